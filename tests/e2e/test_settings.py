"""Sections 6 and 7 of the interface: settings, set-up, exit codes."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from streams.local.guarded import free_port
from streams.local.postgresql_node import PostgresNode
from tests.e2e.conftest import LATE, Shared
from tests.e2e.moment import customer, invoice, line

pytestmark = pytest.mark.kafka

OUTPUTS = ("results", "failures", "deadletters")


def test_a_wrong_setting_stops_the_start_with_its_name_its_value_and_what_is_allowed(
    scene: Shared,
) -> None:
    for name, value in (
        ("PARENT_WAIT", "soon"),
        ("DRAIN", "-1s"),
        ("TOPIC_PARTITIONS", "many"),
        ("LEDGER", "oracle://x"),
        ("WEB", "nowhere"),
    ):
        done = scene.cli("config", **{name: value})
        assert done.code == 2, name
        assert name in done.err
        assert value in done.err
        assert done.out == ""


def test_the_environment_wins_over_the_file_and_config_shows_what_is_in_force(
    scene: Shared, tmp_path: Path
) -> None:
    (tmp_path / "settings.toml").write_text('PARENT_WAIT = "7m"\nDRAIN = "9s"\n')
    shown = scene.cli("config", "--json", CONFIG=str(tmp_path / "settings.toml"))
    text = json.dumps(json.loads(shown.out))
    assert shown.code == 0
    assert "9s" not in text, "the environment's DRAIN wins"
    assert "5s" in text
    (tmp_path / "secret.toml").write_text('SMTP_PASSWORD = "hunter2"\n')
    done = scene.cli("config", CONFIG=str(tmp_path / "secret.toml"))
    assert "hunter2" not in done.out + done.err


def test_a_wrong_integrations_file_stops_the_start_and_keeps_its_secrets(scene: Shared) -> None:
    text = (scene.directory / "integrations.toml").read_text(encoding="utf-8")
    wrong = {
        "token": text.replace("token_file = ", 'token = "hunter2"\n# ', 1),
        "hosts": text.replace("allow_hosts = ", "# allow_hosts = ", 1),
        "twice": text + text[text.index("[[integrations]]") :],
        "plain": "integrations = 3",
        "none": "",
    }
    for name, content in wrong.items():
        path = scene.directory / f"wrong-{name}.toml"
        path.write_text(content, encoding="utf-8")
        done = scene.cli("worker", INTEGRATIONS=str(path), WEB=f"127.0.0.1:{free_port()}")
        assert (name, done.code) == (name, 2)
        assert "hunter2" not in done.out + done.err
        assert done.err
    assert "token_file" in scene.cli("worker", INTEGRATIONS="wrong-token.toml").err
    assert scene.cli("worker", INTEGRATIONS="not-there.toml").code == 2


def test_topics_are_made_once_and_a_worker_names_the_one_that_is_missing(scene: Shared) -> None:
    assert "moment.customers" in json.dumps(scene.asked("topics", "create"))
    done = scene.cli("topics", "create", TOPIC_PARTITIONS="9")
    assert "9" in done.out + done.err
    done = scene.cli("worker", TOPIC_PREFIX="nobodys.", WEB=f"127.0.0.1:{free_port()}")
    assert done.code == 2
    for name in ("moment.customers", "moment-sync.commands", *OUTPUTS):
        assert name in done.err


def test_a_postgresql_ledger_is_refused_until_it_is_migrated(
    scene: Shared, postgresql_node: PostgresNode
) -> None:
    postgresql_node.start()
    url = postgresql_node.create_database("e2e_refused")
    try:
        done = scene.cli("worker", LEDGER=url, WEB=f"127.0.0.1:{free_port()}")
        assert done.code == 2
        assert "ledger migrate" in done.err
        assert scene.cli("ledger", "migrate", LEDGER=url).code == 0
        assert scene.cli("ledger", "migrate", LEDGER=url).code == 0
        status = scene.asked("deadletters", "list", LEDGER=url)
        assert status["deadletters"] == []
    finally:
        postgresql_node.drop_database("e2e_refused")


def test_the_published_schemas_describe_what_producers_send(scene: Shared, tmp_path: Path) -> None:
    assert scene.cli("schemas", "export", str(tmp_path)).code == 0
    company = "c-no-00"
    for kind, data in (
        ("customer", customer(company, "100042")),
        ("invoice", invoice(company, "1", "100042", line(quantity="7.5"))),
    ):
        schema = json.loads((tmp_path / f"{kind}.schema.json").read_text(encoding="utf-8"))
        Draft202012Validator(schema).validate(data)
        assert list(Draft202012Validator(schema).iter_errors({**data, "number": 7}))


def test_emit_sends_all_or_nothing(scene: Shared, tmp_path: Path) -> None:
    tenant = scene.norway()
    sent = [
        {
            "specversion": "1.0",
            "id": f"emitted-{number}",
            "source": "/moment/e2e",
            "type": "team.moment.customer.created",
            "data": customer(tenant.company, str(number)),
        }
        for number in (100042, 100043, 100044, 100045)
    ]
    one, array, lines = (tmp_path / name for name in ("one.json", "array.json", "lines.jsonl"))
    one.write_text(json.dumps(sent[0], indent=2))
    array.write_text(json.dumps(sent[1:3]))
    lines.write_text("".join(f"{json.dumps(event)}\n" for event in sent[3:]))
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps([sent[0], {**sent[1], "data": {"company": "c-1"}}]))
    done = scene.cli("emit", str(one), str(wrong), "--json")
    assert done.code == 1
    assert "number" in done.out + done.err
    assert scene.cli("emit", str(tmp_path / "none.json")).code == 2
    done = scene.cli("emit", str(one), str(array), str(lines), "--json")
    assert done.code == 0, done.err
    for event in sent:
        scene.outcome(str(event["id"]), "applied")


def test_wrong_use_is_two_and_every_help_has_an_example(
    scene: Shared,
) -> None:
    assert scene.cli("no-such-command").code == 2
    assert scene.cli("show", "c-1", "planet", "7").code == 2
    assert scene.asked("show", "c-nobody", "invoice", "7")["story"] == []
    for words in (("status",), ("deadletters", "replay"), ("emit",), ("resync",)):
        done = scene.cli(*words, "--help")
        assert done.code == 0
        assert "Example" in done.out


def test_the_integrations_file_is_read_again_on_a_hangup(scene: Shared) -> None:
    """A wrong file changes nothing; a new company works; what is removed is told and returns."""
    first, second = scene.norway(), LATE
    path = scene.directory / "integrations.toml"
    scene.applied(customer(first.company, "100042"))
    early = scene.send(customer(second.company, "100042"))
    scene.letter(lambda x: x.said.get("company") == second.company, "the company is not known")
    path.write_text("[[integrations]]\nid = 7\n", encoding="utf-8")
    hang_up(scene, "integrations_refused")
    scene.applied(customer(first.company, "100043"))
    scene.write_integrations(scene.tenants)
    hang_up(scene, "integrations_read")
    again = scene.send(customer(second.company, "100042"), id=early)
    scene.outcome(again, "applied")
    scene.deed(first, "active", active=False)
    waiting = scene.send(customer(first.company, "100044"))
    scene.outcome(waiting, "held")
    scene.write_integrations([tenant for tenant in scene.tenants if tenant != first])
    hang_up(scene, "integrations_read")

    def told() -> bool | None:
        codes = [one.code for one in scene.told(waiting, "held")]
        return True if "switched-off" in codes else None

    scene.wire.wait(told, "what is open is told as switched off")
    scene.applied(customer(second.company, "100045"))
    scene.deed(first, "active", active=True)
    scene.write_integrations(scene.tenants)
    hang_up(scene, "integrations_read")
    scene.cli("resume", first.id, "--by", "kari")
    scene.outcome(waiting, "applied")


def hang_up(scene: Shared, action: str) -> None:
    """Let the worker read the file again, and wait until it says what came of it."""

    def said() -> int:
        return scene.log.read_text(encoding="utf-8").count(f'"{action}"')

    before = said()
    scene.hang_up(scene.worker)
    scene.wire.wait(lambda: True if said() > before else None, action)
