import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from streams.integrations_file import gather
from streams.ops import cli as command_line
from streams.ops.cli import COMMANDS, LazyCommand, cli
from streams.ops.command_base import CommandEnds, Exit, integration_named
from tests.ops.running import environment, run

HERE = [name for name, command in COMMANDS.items() if command.there()]


def leaves(command: click.Command, *path: str) -> list[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    return [found for name, one in command.commands.items() for found in leaves(one, *path, name)]


def test_help_offers_what_is_there_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = LazyCommand("streams.ops.nowhere.command:absent", "Not there.")
    monkeypatch.setitem(command_line.COMMANDS, "absent", absent)
    listed = re.findall(r"(?m)^  ([a-z]+)  ", CliRunner().invoke(cli, ["--help"]).output)
    assert listed == HERE
    assert {"worker", "topics", "ledger", "config", "schemas", "emit", "simulate"} <= {*listed}


def test_a_command_that_is_not_there_is_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = LazyCommand("streams.ops.nowhere:absent", "Not there.")
    monkeypatch.setitem(command_line.COMMANDS, "absent", absent)
    assert CliRunner().invoke(cli, ["absent"]).exit_code == Exit.WRONG


def test_help_loads_no_command() -> None:
    """Else it takes seconds: Kafka's client and Faust are slow to load."""
    code = (
        "import sys\nfrom streams.ops.cli import cli\n"
        "try: cli(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.partition('.')[0] in "
        "('faust', 'aiokafka', 'sqlalchemy', 'aiohttp', 'rich')])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        text=True,
        env=environment({}),
    )
    assert found.stdout.endswith("[]\n"), found.stdout + found.stderr


@pytest.mark.parametrize("name", HERE)
def test_every_command_shows_an_example(name: str) -> None:
    for path, command in leaves(COMMANDS[name].load(), name):
        shown = CliRunner().invoke(cli, [*path, "--help"])
        assert shown.exit_code == 0
        assert f"moment-sync {' '.join(path)}" in (command.epilog or ""), path


def test_an_unknown_option_is_wrong_use() -> None:
    assert CliRunner().invoke(cli, ["config", "--nope"]).exit_code == Exit.WRONG


def test_every_wrong_setting_is_told_on_stderr(tmp_path: Path) -> None:
    found = run(tmp_path, "config", "--json", DRAIN="soon", WEB="nowhere")
    assert found.returncode == Exit.WRONG
    assert found.stdout == ""
    assert "MOMENT_SYNC_DRAIN = 'soon'" in found.stderr
    assert "MOMENT_SYNC_WEB = 'nowhere'" in found.stderr


def test_an_integration_that_is_not_set_up_is_wrong_use() -> None:
    with pytest.raises(CommandEnds, match="'nope' is not set up") as raised:
        integration_named(gather(()), "nope")
    assert raised.value.exit_code == Exit.WRONG
