"""The compose file and the image, as far as they can be judged without an engine."""

import ast
import re
import shlex
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from connectors.dkplus.simulator import serve as dkplus_serve
from connectors.sparebank1.simulator import serve as sparebank1_serve
from streams.integrations_file import Integrations
from streams.integrations_file import read as read_integrations
from streams.ledger.engine import make_engine
from streams.ops import cli
from streams.ops.event_files import check
from streams.setting_values import without_password
from streams.settings import PREFIX, Settings, load
from tests.docs.compose_shape import COMPOSE
from tests.docs.pages import ROOT, block
from tests.docs.test_docs import parse

FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OWN = [name for name, service in SERVICES.items() if service["image"].startswith("moment-sync:")]
USER = 10001


def settings_of(service: dict[str, Any]) -> Settings:
    return load({k: str(v) for k, v in service["environment"].items() if k.startswith(PREFIX)})


def mounted(service: dict[str, Any]) -> dict[str, str]:
    """What is mounted where: container path by volume name or host path."""
    pairs = (mount.removesuffix(":ro").rpartition(":") for mount in service.get("volumes", ()))
    return {inside: source for source, _, inside in pairs}


# --- shape -----------------------------------------------------------------------------------


def test_the_file_has_the_shape_that_compose_asks_for() -> None:
    jsonschema.Draft202012Validator(COMPOSE).validate(FILE)


def test_the_example_for_real_accounting_systems_has_it_too() -> None:
    example = yaml.safe_load(block("docs/operating.md", "compose"))
    jsonschema.Draft202012Validator(COMPOSE).validate(example)
    (service,) = example["services"].values()
    assert service["secrets"] == list(example["secrets"])
    settings = settings_of(service)
    for path in (settings.kafka_password_file, settings.ledger.rpartition("passfile=")[2]):
        assert path is not None
        assert path.removeprefix("/run/secrets/") in example["secrets"]


def test_a_member_that_is_misspelt_is_found() -> None:
    """The shape is only as good as what it refuses."""
    wrong: dict[str, Any] = {"services": {"a": {"image": "a:1", "restart": "no", "comand": []}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(COMPOSE).validate(wrong)


def test_whoever_is_named_is_there() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", ())) <= set(SERVICES)
        shared = service.get("network_mode", "none").removeprefix("service:")
        assert shared == "none" or shared in service["depends_on"]
        for source in mounted(service).values():
            assert source in FILE["volumes"] or (ROOT / source).exists(), source
    used = {source for service in SERVICES.values() for source in mounted(service).values()}
    assert set(FILE["volumes"]) <= used


def test_what_is_waited_for_can_come_about() -> None:
    for service in SERVICES.values():
        for name, needed in service.get("depends_on", {}).items():
            once = SERVICES[name]["restart"] == "no"
            assert (needed["condition"] == "service_completed_successfully") == once, name


def test_images_are_pinned() -> None:
    for service in SERVICES.values():
        assert re.fullmatch(r"[\w/-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", service["image"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {SERVICES[name]["image"] for name in OWN} == {f"moment-sync:{version}"}
    assert all(SERVICES[name]["build"] == "." for name in OWN)


def test_every_service_has_a_health_check_or_runs_once() -> None:
    """The image brings the worker's, which would be wrong for everything else that it runs."""
    for name, service in SERVICES.items():
        disabled = service["healthcheck"].get("disable", False)
        assert disabled == (service["restart"] == "no"), name


def test_no_secret_stands_in_the_files() -> None:
    for path in (ROOT / "compose").iterdir():
        assert path.suffix in {".py", ".toml", ".json"}
        assert "PRIVATE KEY" not in path.read_text(encoding="utf-8")
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            secret = re.search(r"password|token|secret|key", name, re.IGNORECASE)
            assert secret is None or str(value).startswith("/run/"), name
    ledger = SERVICES["worker"]["environment"]["MOMENT_SYNC_LEDGER"]
    assert without_password(ledger) == ledger


# --- settings and commands -------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in OWN if "environment" in SERVICES[name]])
def test_the_settings_of_a_service_are_known_and_allowed(name: str) -> None:
    settings = settings_of(SERVICES[name])
    assert settings.kafka == ("kafka:19092",)
    assert "INSIDE://kafka:19092" in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.web.host == "0.0.0.0"  # noqa: S104 - within the container's own network
    assert f"127.0.0.1:8080:{settings.web.port}" in SERVICES["loopback"]["ports"]


def test_the_ledger_is_the_database_that_is_set_up() -> None:
    settings = settings_of(SERVICES["worker"])
    engine = make_engine(settings.ledger)
    _, options = engine.dialect.create_connect_args(engine.url)
    environment = SERVICES["postgresql"]["environment"]
    assert options["host"] in SERVICES
    assert options["user"] == environment["POSTGRES_USER"]
    assert options["dbname"] == environment["POSTGRES_DB"]
    for name in ("worker", "ledger"):
        assert str(Path(options["passfile"]).parent) in mounted(SERVICES[name])
    assert str(Path(environment["POSTGRES_PASSWORD_FILE"]).parent) in mounted(
        SERVICES["postgresql"]
    )


def test_a_worker_has_time_to_drain() -> None:
    grace = int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
    assert grace > settings_of(SERVICES["worker"]).drain_s


@pytest.mark.parametrize("name", [name for name in OWN if "entrypoint" not in SERVICES[name]])
def test_what_a_service_runs_is_a_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    command, *arguments = SERVICES[name]["command"]
    assert cli.COMMANDS[command].there()
    configs = {"sparebank1.toml", "dkplus.toml"}
    arguments = [
        f"--config={ROOT / 'compose' / Path(a).name}" if Path(a).name in configs else a
        for a in arguments
    ]
    monkeypatch.chdir(ROOT)
    parse(cli.COMMANDS[command].load(), command, arguments, None)


# --- what is made at the first start ---------------------------------------------------------


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The directories that the service `secrets` fills, filled."""
    make(tmp_path)
    return tmp_path


def make(place: Path) -> None:
    """Run the service's own command line, with its directories moved below `place`."""
    service = SERVICES["secrets"]
    _, script = service["entrypoint"]
    arguments = []
    for word in service["command"]:
        option, _, path = word.partition("=")
        inside = ROOT / mounted(service)[path] if option == "--templates" else place / path[1:]
        inside.mkdir(parents=True, exist_ok=True)
        arguments.append(f"{option}={inside}")
    script = ROOT / mounted(service)[str(Path(script).parent)] / Path(script).name
    subprocess.run([sys.executable, script, *arguments], check=True)


def integrations(place: Path) -> Integrations:
    text = (ROOT / "compose" / "integrations.toml").read_text(encoding="utf-8")
    file = place / "integrations.toml"
    file.write_text(text.replace("/run/", f"{place}/run/"), encoding="utf-8")
    return read_integrations(str(file), {})


def secret_directory(place: Path, volume: str) -> Path:
    (inside,) = [at for at, source in mounted(SERVICES["secrets"]).items() if source == volume]
    return place / inside[1:]


def test_secrets_are_for_their_owner_alone_and_kept_when_made_again(made: Path) -> None:
    files = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    assert len(files) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    make(made)
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == files


def test_the_password_file_of_libpq_holds_the_password(made: Path) -> None:
    ledger = secret_directory(made, "ledger-secrets")
    password = (ledger / "password").read_text()
    assert len(password) >= 40
    assert (ledger / "pgpass").read_text() == f"*:*:*:*:{password}\n"
    assert not set(password) & set(":\\\n")


def test_the_integrations_are_those_of_the_simulators(made: Path) -> None:
    found = integrations(made)
    config = secret_directory(made, "simulator-config")
    sparebank1 = sparebank1_serve.load(str(config / "sparebank1.toml"))
    dkplus = dkplus_serve.read_config(config / "dkplus.toml")
    fjord, vik = found.integrations
    assert fjord.company_key == sparebank1.companies[0].key
    assert fjord.client is not None
    assert fjord.client.client_id == sparebank1.clients[0].client_id
    assert vik.token is not None
    assert vik.token.file is not None
    assert Path(vik.token.file).read_text() == dkplus.companies[0].token
    assert vik.sales_person in dkplus.companies[0].sales_persons
    for one, service in ((fjord, "sparebank1-books"), (vik, "dkplus-books")):
        command = SERVICES[service]["command"]
        port = next(w.removeprefix("--port=") for w in command if w.startswith("--port="))
        assert f"//127.0.0.1:{port}" in one.base_url
        assert SERVICES[service]["network_mode"] == SERVICES["worker"]["network_mode"]
        assert f":{port}/" in SERVICES[service]["healthcheck"]["test"][-1]
    for state in (sparebank1.state_path, dkplus.state_path):
        assert state is not None
        assert mounted(SERVICES["dkplus-books"])[str(Path(state).parent)] == "books"


def test_where_secrets_are_kept_is_where_they_are_mounted() -> None:
    text = (ROOT / "compose" / "integrations.toml").read_text(encoding="utf-8")
    paths = re.findall(r'_file = "([^"]+)"', text)
    assert paths
    assert {str(Path(path).parent) for path in paths} <= set(mounted(SERVICES["worker"]))


def test_the_events_of_the_example_are_events_of_its_companies(made: Path) -> None:
    content = (ROOT / "compose" / "events.json").read_bytes()
    checked = check([("events.json", content)])
    assert checked.refused == ()
    companies = {entry["data"]["company"] for entry in msgspec.json.decode(content)}
    assert companies == set(integrations(made).by_company)


# --- the image -------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their text, lines that go on put together."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.strip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (word, rest.strip())
        for line in joined.splitlines()
        if line.strip()
        for word, _, rest in [line.partition(" ")]
    ]


def named(word: str) -> list[str]:
    return [rest for found, rest in instructions() if found == word]


def test_what_is_copied_is_there_and_not_kept_out() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    sources: set[str] = set()
    for rest in named("COPY"):
        words = shlex.split(rest)
        if not words[0].startswith("--from="):
            sources |= set(words[:-1])
    assert sources == allowed
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_is_built_on_what_is_pinned() -> None:
    for base in named("FROM"):
        assert re.match(r"python:3\.11-slim-bookworm( AS \w+)?$", base)
    runs = " ".join(named("RUN"))
    installs = re.findall(r"pip (?:--python \S+ )?install ([^&]*)", runs)
    assert installs
    assert all("--require-hashes" in one or "--no-deps" in one for one in installs)


def test_the_build_backend_is_taken_from_the_lock_with_its_hashes() -> None:
    """The awk of the Dockerfile, run on the lock."""
    (script,) = re.findall(r"awk ('[^']+') requirements-dev\.lock", " ".join(named("RUN")))
    found = subprocess.run(
        ["awk", shlex.split(script)[0], "requirements-dev.lock"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert re.match(r"setuptools==[\d.]+ \\\n +--hash=sha256:", found)
    assert found.count("==") == 1


def test_the_image_runs_the_console_script_as_nobody_special() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entry,) = [ast.literal_eval(rest) for rest in named("ENTRYPOINT")]
    assert entry[0] in scripts
    assert ast.literal_eval(named("CMD")[-1]) == ["worker"]
    assert named("USER") == [f"{USER}:{USER}"]
    (owned,) = re.findall(r"install -d -o (\d+) ", " ".join(named("RUN")))
    assert int(owned) == USER
    directories = re.findall(r"(/(?:run|var)/[\w/-]+)", " ".join(named("RUN")))
    volumes = set(mounted(SERVICES["secrets"])) - {"/etc/moment-sync"}
    assert volumes <= set(directories), "a volume on another directory belongs to root"


def test_the_health_check_asks_a_page_that_is_served() -> None:
    (check_,) = named("HEALTHCHECK")
    program = ast.literal_eval(check_[check_.index("CMD ") + 4 :])[2]
    ast.parse(program)
    (path,) = re.findall(r"127\.0\.0\.1:\{port\}(/\w+)", program)
    web = (ROOT / "streams" / "web" / "pages.py").read_text(encoding="utf-8")
    assert f'"{path}"' in web
    assert path in SERVICES["worker"]["healthcheck"]["test"][-1]
