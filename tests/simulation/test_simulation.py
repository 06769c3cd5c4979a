"""The simulation itself: it holds, it is the same again, and it cuts down what it finds."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from streams.ledger.memory import MemoryLedger
from streams.ledger.prepared import PreparedConnection
from streams.simulation import command
from streams.simulation.command import simulation
from streams.simulation.drawing import LARGE, MEDIUM, SIZES, SMALL, Size, draw, size_of
from streams.simulation.history import Action, Backup, History, Put, Setup, Switch, dump, load
from streams.simulation.idle import Idle
from streams.simulation.many import STRETCH, Stretch, run_all
from streams.simulation.run import play
from streams.simulation.shrink import shrink
from streams.simulation.tally import Tally
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


def test_histories_do_what_they_are_for(ledger: MemoryLedger) -> None:
    """A generator that has gone tame would find nothing, and say that all is well."""
    seen: set[str] = set()
    for seed in range(250):
        report = play(draw(seed), ledger)
        seen |= {*report.seen}
        seen |= {row[0] for row in ledger.rows("SELECT DISTINCT state FROM deliveries")}
        seen |= {row[0] for row in ledger.rows("SELECT verdict FROM attempts")}
    assert {"faults: late", "faults: failed-after", "faults: busy", "faults: refused"} <= seen
    assert {"applied", "dead", "superseded", "unchanged", "stale", "withdrawn"} <= seen
    assert {"absent", "unsure write-uncertain", "refused account-unknown"} <= seen
    assert {"crashes between intent and verdict", "sleeps between intent and verdict"} <= seen
    assert {"writes done whose answer was lost", "rebalances with a write in flight"} <= seen
    assert {"ledgers restored from a copy", "data types switched off or on"} <= seen


def test_most_histories_are_small_and_some_are_large() -> None:
    many = 5_000
    drawn = [size_of(seed).name for seed in range(many)]
    for size in SIZES:
        share = drawn.count(size.name) / many
        assert size.share * 0.7 < share < size.share * 1.3, size.name
    assert sum(size.share for size in SIZES) == pytest.approx(1)


@pytest.mark.parametrize("size", [SMALL, MEDIUM, LARGE], ids=lambda size: size.name)
def test_a_history_of_every_size_is_drawn_alike_and_kept_as_it_is(size: Size) -> None:
    for seed in range(50):
        history = draw(seed, size)
        assert history == draw(seed, size)
        assert load(dump(history)) == history


def test_what_needs_no_look_is_as_if_it_was_looked_at(
    ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks that cannot find anything are not run: the histories must be the same with them."""
    seeds = range(200, 225)
    without = [_outcome(draw(seed), ledger) for seed in seeds]
    monkeypatch.setattr(Idle, "write", lambda self, batch: self._ledger.write(batch))
    assert [_outcome(draw(seed), ledger) for seed in seeds] == without


def test_prepared_statements_do_what_sqlalchemy_does(
    ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = range(300, 315)
    prepared = [_outcome(draw(seed), ledger) for seed in seeds]
    monkeypatch.setattr(PreparedConnection, "execute", _by_sqlalchemy)
    assert [_outcome(draw(seed), ledger) for seed in seeds] == prepared


def _by_sqlalchemy(self: PreparedConnection, statement: Any, parameters: Any = None) -> Any:
    return self._connection.execute(statement, parameters)


def _outcome(history: History, ledger: MemoryLedger) -> tuple[Any, ...]:
    report = play(history, ledger)
    return report, ledger.rows(OUTCOMES), ledger.rows("SELECT * FROM deliveries")


def test_nothing_is_decided_before_it_is_known_that_the_ledger_was_restored(
    ledger: MemoryLedger,
) -> None:
    """An invoice was booked; its ledger goes back to when the customer was not there yet.

    The customer's events are not carried any more, so the absence that the copy remembers would
    be the last word on the invoice.
    """
    given: tuple[Action, ...] = (
        Put(at=1.5, id="i", kind="invoice", company="c-1", number="104", content=1, customer="3"),
        Backup(at=2.0, restored_at=6.3),
        Put(at=2.1, id="c", kind="customer", company="c-1", number="3", content=1),
        Switch(at=6.5, integration="c-1-dkplus", data=("projects", "invoices")),
    )
    history = History(
        seed=11541123,
        workers=1,
        hosts=1,
        setups=(Setup(id="c-1-dkplus", company="c-1", system="dkplus"),),
        actions=given,
        seconds=12.3,
        mend=False,
    )
    assert play(history, ledger).violations == ()
    assert {row[0] for row in ledger.rows("SELECT state FROM deliveries")} <= {"applied"}


def test_a_data_type_that_is_switched_off_and_on_loses_nothing(ledger: MemoryLedger) -> None:
    switched = 0
    for seed in range(400):
        history = draw(seed)
        if any(isinstance(action, Switch) for action in history.actions):
            switched += 1
            assert play(history, ledger).violations == ()
    assert switched > 5


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=lambda size: size.name)
def test_what_is_found_is_cut_down(size: Size, ledger: MemoryLedger) -> None:
    with planted("gate ignored"):
        seed = next(seed for seed in range(60) if play(draw(seed, size), ledger).violations)
        small = shrink(draw(seed, size), "parent-first", lambda one: play(one, ledger), tries=60)
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
    assert told["cpu_seconds"] > 0
    assert told["seen"]["events"]["histories"] == 2
    assert "uncertain → manual" in told["never_taken"]
    assert "ready → sending" not in told["never_taken"]


def test_the_command_tells_people_what_happened() -> None:
    found = CliRunner().invoke(simulation, ["--histories", "3"])
    assert found.exit_code == 0
    assert re.search(r"events +100\.0% +\d", found.stdout)
    assert "transitions that nothing took: " in found.stdout
    assert "3 histories (" in found.stdout
    assert "every rule held" in found.stdout


def test_the_help_tells_how_large_histories_are() -> None:
    told = " ".join(CliRunner().invoke(simulation, ["--help"]).stdout.split())
    for size in SIZES:
        assert f"{size.share:.0%} {size.name}" in told


def test_several_processes_come_to_what_one_comes_to() -> None:
    sums = []
    for jobs in (1, 2):
        tally = Tally()
        cut = [Stretch(0, 4), Stretch(4, 4), Stretch(8, 4)]
        for stretch, some in run_all(cut, jobs):
            assert stretch.first == tally.histories
            tally.add(some)
        tally.cpu_s = 0.0
        sums.append(tally)
    assert sums[0] == sums[1]


def test_a_run_ends_with_the_first_history_that_fails_or_collects_them() -> None:
    runner = CliRunner()
    many = str(3 * STRETCH)
    with planted("gate ignored"):
        first = runner.invoke(simulation, ["--histories", many, "--json"])
    told = json.loads(first.stdout)
    assert first.exit_code == 1
    assert told["histories"] == STRETCH
    seed = told["violations"][0]["seed"]
    with planted("gate ignored"):
        again = runner.invoke(
            simulation, ["--first-seed", str(seed), "--histories", "1", "--collect", "--json"]
        )
    assert json.loads(again.stdout)["violations"][0]["rule"] == told["violations"][0]["rule"]


def test_progress_says_where_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PROGRESS_S", 0.0)
    found = CliRunner().invoke(simulation, ["--histories", "2", "--first-seed", "7"])
    assert re.search(r"2 histories in .* MB; go on later with --first-seed 9", found.stderr)


def test_the_command_keeps_what_failed_and_runs_it_again(tmp_path: Path) -> None:
    kept = str(tmp_path / "history.json")
    runner = CliRunner()
    with planted("gate ignored"):
        first = runner.invoke(simulation, ["--histories", "20", "--history", kept])
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
