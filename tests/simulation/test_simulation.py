"""The simulation itself: it holds, it is the same again, and it cuts down what it finds."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from streams.ledger.memory import MemoryLedger
from streams.simulation.command import simulation
from streams.simulation.history import Put, draw, dump, load
from streams.simulation.run import play
from streams.simulation.shrink import shrink
from tests.simulation.planted import planted

HISTORIES = 12  # CI runs the many
OUTCOMES = "SELECT value FROM outbox ORDER BY position"


@pytest.fixture(scope="module")
def ledger() -> Iterator[MemoryLedger]:
    found = MemoryLedger()
    yield found
    found.close()


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_rule_holds(seed: int, ledger: MemoryLedger) -> None:
    assert play(draw(seed), ledger).violations == ()


def test_the_same_history_does_the_same_again(ledger: MemoryLedger) -> None:
    reports = []
    for _ in range(2):
        report = play(draw(5), ledger)
        reports.append((report, ledger.rows(OUTCOMES), ledger.rows("SELECT * FROM deliveries")))
    assert reports[0] == reports[1]


def test_a_history_is_kept_as_it_is() -> None:
    for seed in range(20):
        assert load(dump(draw(seed))) == draw(seed)


def test_histories_do_what_they_are_for(ledger: MemoryLedger) -> None:
    """A generator that has gone tame would find nothing, and say that all is well."""
    seen: set[str] = set()
    for seed in range(30):
        report = play(draw(seed), ledger)
        seen |= {*report.faults.values()}
        seen |= {row[0] for row in ledger.rows("SELECT DISTINCT state FROM deliveries")}
        seen |= {row[0] for row in ledger.rows("SELECT verdict FROM attempts")}
    assert {"late", "failed-after", "lag", "busy", "refused"} <= seen
    assert {"applied", "dead", "superseded", "unchanged", "stale", "withdrawn", "manual"} <= seen
    assert {"absent", "unsure write-uncertain", "refused account-unknown"} <= seen


def test_what_is_found_is_cut_down(ledger: MemoryLedger) -> None:
    with planted("gate ignored"):
        seed = next(seed for seed in range(30) if play(draw(seed), ledger).violations)
        small = shrink(draw(seed), "parent-first", lambda one: play(one, ledger), tries=60)
        again = play(load(dump(small)), ledger)
    assert [one.rule for one in again.violations] == ["parent-first"]
    assert len(small.actions) <= 2
    assert all(isinstance(action, Put) for action in small.actions)


def test_the_command_tells_in_one_document() -> None:
    found = CliRunner().invoke(simulation, ["--histories", "2", "--seed", "3", "--json"])
    told = json.loads(found.stdout)
    assert found.exit_code == 0
    assert told["violations"] == []
    assert (told["histories"], told["seed"]) == (2, 3)
    assert told["steps"] > 0
    assert told["seconds"] > 0


def test_the_command_keeps_what_failed_and_runs_it_again(tmp_path: Path) -> None:
    kept = str(tmp_path / "history.json")
    runner = CliRunner()
    with planted("gate ignored"):
        first = runner.invoke(simulation, ["--histories", "3", "--history", kept])
        again = runner.invoke(simulation, ["--history", kept, "--json"])
    mended = runner.invoke(simulation, ["--history", kept, "--json"])
    assert first.exit_code == 1
    assert "parent-first" in first.stdout
    assert again.exit_code == 1
    assert json.loads(again.stdout)["violations"][0]["rule"] == "parent-first"
    assert mended.exit_code == 0


def test_a_file_that_holds_no_history_is_wrong_use(tmp_path: Path) -> None:
    kept = tmp_path / "history.json"
    kept.write_text("{}")
    assert CliRunner().invoke(simulation, ["--history", str(kept)]).exit_code == 2
