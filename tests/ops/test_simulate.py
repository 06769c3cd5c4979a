import json
import signal
from pathlib import Path

import pytest

from connectors.integrations import System
from streams.integrations_file import read
from streams.ops.command_base import Exit
from streams.ops.simulate import COMPANY_KEY
from tests.ops.running import end, run, started


@pytest.mark.parametrize("system", list(System))
def test_a_simulator_tells_the_integrations_that_reach_it(system: System, tmp_path: Path) -> None:
    process = started(tmp_path, "simulate", system.value, "--port", "0", "--json")
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert end(process, signal.SIGTERM)[0] == Exit.DONE
    (tmp_path / "integrations.toml").write_text(told["integrations"])
    (one,) = read(str(tmp_path / "integrations.toml"), {}).integrations
    assert (one.system, one.base_url) == (system, told["baseUrl"])
    secret = tmp_path / told["secretFile"]
    assert secret.stat().st_mode & 0o077 == 0
    assert secret.read_text().splitlines()[0] not in told["integrations"]


def test_a_secret_is_kept_for_the_next_run(tmp_path: Path) -> None:
    secrets = []
    for _ in range(2):
        process = started(tmp_path, "simulate", "dkplus", "--port", "0")
        assert process.stdout is not None
        assert "dkplus is simulated at http://127.0.0.1:" in process.stdout.readline()
        assert end(process, signal.SIGINT)[0] == Exit.DONE
        secrets.append((tmp_path / "dkplus-simulator.token").read_bytes())
    assert secrets[0] == secrets[1]


@pytest.mark.parametrize("system", list(System))
def test_a_configuration_is_served(system: System, tmp_path: Path) -> None:
    companies = {
        System.SPAREBANK1: f'[[companies]]\nkey = "{COMPANY_KEY}"\nname = "F"',
        System.DKPLUS: '[[companies]]\ntoken = "b"\nname = "V"',
    }
    (tmp_path / "c.toml").write_text(companies[system])
    process = started(tmp_path, "simulate", system.value, "--port=0", "--config=c.toml", "--json")
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert end(process, signal.SIGTERM)[0] == Exit.DONE
    assert told["secretFile"] is None
    assert told["integrations"].count("[[integrations]]") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.toml"]


@pytest.mark.parametrize("system", list(System))
@pytest.mark.parametrize("content", ["companies = 7", "nope = [", '{"a": 1}', "\xff"])
def test_a_wrong_configuration_is_wrong_use(system: System, content: str, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_bytes(content.encode("latin-1"))
    found = run(tmp_path, "simulate", system.value, "--port=0", "--config=c.toml")
    assert found.returncode == Exit.WRONG
    assert found.stderr.startswith("--config: ")


def test_a_port_that_is_taken_is_wrong_use(tmp_path: Path) -> None:
    first = started(tmp_path, "simulate", "dkplus", "--port", "0", "--json")
    assert first.stdout is not None
    port = json.loads(first.stdout.readline())["baseUrl"].split(":")[2].split("/")[0]
    found = run(tmp_path, "simulate", "dkplus", "--port", port)
    end(first, signal.SIGTERM)
    assert found.returncode == Exit.WRONG
    assert "cannot be started" in found.stderr
