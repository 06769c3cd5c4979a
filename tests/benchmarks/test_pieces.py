"""What the figures are made of: judged by hand, without a process."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import flames, report, show
from benchmarks.cluster import Outcome
from benchmarks.events import by_partition, event_of, states
from benchmarks.figures import CaseResult, Goal, Row, percentile, spread, written
from benchmarks.rounds import broken_order, event_of_write, wrong_in
from benchmarks.stub import Allowance
from benchmarks.stub_process import Seen
from benchmarks.stub_record import Record
from schemas.codec import Event, decode
from schemas.wire import Record as WireRecord


def record_of(*writes: tuple[str, int], answered: bool = True) -> Record:
    record = Record()
    for at, (key, serial) in enumerate(writes, 1):
        record.write(key.encode(), serial, float(at))
        if answered:
            record.answered(key.encode())
    return record


# --- what the stub sees ----------------------------------------------------------------------


def test_writes_of_a_key_in_order_are_right() -> None:
    report_ = record_of(("a", 1), ("b", 1), ("a", 2), ("b", 7)).report
    assert (report_.order_breaks, report_.doubles, report_.overlaps) == (0, 0, 0)
    assert (report_.writes, report_.first_write_at, report_.last_write_at) == (4, 1.0, 4.0)


def test_an_older_state_after_a_newer_one_is_out_of_order() -> None:
    assert record_of(("a", 2), ("a", 1)).report.order_breaks == 1


def test_the_same_state_twice_is_a_double() -> None:
    assert record_of(("a", 1), ("a", 1)).report.doubles == 1


def test_two_writes_of_a_key_at_once_overlap() -> None:
    assert record_of(("a", 1), ("a", 2), ("b", 1), answered=False).report.overlaps == 1


def test_order_is_judged_over_a_reset() -> None:
    record = record_of(("a", 5))
    record.reset(keep_arrivals=False)
    record.write(b"a", 4, 1.0)
    assert record.report.order_breaks == 1


def test_calls_in_flight_are_counted_until_they_are_answered() -> None:
    record = Record()
    record.read(b"a", 0.0)
    record.write(b"a", 1, 0.0)
    record.answered(None)
    record.read(b"a", 0.0)
    assert record.report.most_in_flight == 2


def test_an_allowance_lets_in_what_it_says_and_saves_up_a_second_at_most() -> None:
    allowance = Allowance(10.0)
    assert [allowance.take(0.001) for _ in range(2)] == [True, False]
    taken = sum(allowance.take(0.001 + step / 100) for step in range(1, 1001))
    assert 99 <= taken <= 101


# --- what the topic says ---------------------------------------------------------------------


def outcomes(*events: str) -> list[Outcome]:
    return [Outcome(event, "applied", True, 0.0) for event in events]


def test_a_lost_a_doubled_and_a_wrong_outcome_are_each_counted() -> None:
    events = [event_of(customer, 1, 10) for customer in range(3)]
    found = [*outcomes("0-1", "0-1"), Outcome("1-1", "dead", True, 0.0)]
    wrong = wrong_in(events, found, Seen(Record().report, []), frozenset({"applied"}))
    assert wrong == {
        "lost": 1,
        "not done": 1,
        "outcomes doubled": 1,
        "written twice": 0,
        "written out of order": 0,
        "written side by side": 0,
        "told out of order": 0,
    }


def test_an_outcome_of_an_older_state_after_a_newer_one_is_seen() -> None:
    assert broken_order(outcomes("7-1", "8-2", "7-2", "8-1")) == 1
    assert broken_order(outcomes("7-1", "8-1", "7-2", "8-2")) == 0


def test_that_a_state_is_never_sent_may_be_told_while_an_older_one_is_on_its_way() -> None:
    never = Outcome("7-2", "superseded", True, 0.0)
    assert broken_order([never, *outcomes("7-1", "7-3")]) == 0
    assert broken_order([never, *outcomes("7-3", "7-1")]) == 1


def test_a_write_at_the_stub_names_its_event() -> None:
    event = event_of(17, 4, 10)
    assert event_of_write("/api/v1/customer/100017", 4) == event.id


# --- the load --------------------------------------------------------------------------------


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 1000))
def test_states_of_one_customer_stay_in_order_however_they_are_shuffled(
    customers: int, each: int, seed: int
) -> None:
    events = states(customers, range(each), 3, seed)
    assert len(events) == customers * each
    for customer in range(customers):
        assert [e.serial for e in events if e.customer == customer] == list(range(each))


def test_states_are_no_strict_rotation() -> None:
    """Keys that take turns hide lost order."""
    order = [event.customer for event in states(50, range(4), 3, 1)]
    assert order != [*range(50)] * 4


def test_the_load_is_what_ingest_reads() -> None:
    event = event_of(12, 3, 10)
    read = decode(
        WireRecord(
            topic=event.record.topic,
            partition=0,
            offset=0,
            timestamp_ms=0,
            key=event.record.key,
            value=event.record.value,
            headers=event.record.headers,
        )
    )
    assert isinstance(read, Event)
    assert (read.id, read.key) == (event.id, event.record.key)


def test_every_event_is_in_one_partition() -> None:
    events = states(40, [1], 10, 1)
    sorted_ = by_partition(events, 8)
    assert sorted(e.id for some in sorted_.values() for e in some) == sorted(e.id for e in events)


# --- figures ---------------------------------------------------------------------------------


@given(st.lists(st.integers(-1000, 1000), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(
    values: list[int], share: float
) -> None:
    found = percentile([float(v) for v in values], share)
    assert found in values
    assert sum(v <= found for v in values) >= share * len(values) - 1e-9
    assert sum(v < found for v in values) < share * len(values) + 1e-9


def rows() -> list[Row]:
    ours = Row(contender="moment-sync", figures={"events/s": [90.0, 110.0, 100.0]})
    theirs = Row(contender="reference", figures={"events/s": [100.0, 100.0, 50.0]})
    return [ours, theirs]


def goal(**given_: object) -> Goal:
    fields = {
        "text": "throughput",
        "contender": "moment-sync",
        "figure": "events/s",
        "limit": 1.1,
        "at_least": True,
        "against": "reference",
    }
    return Goal(**{**fields, **given_})  # type: ignore[arg-type]  # fields by name, of any type


def test_a_ratio_is_taken_within_each_round() -> None:
    assert goal().values(rows()) == [0.9, 1.1, 2.0]
    assert goal(difference=True).values(rows()) == [-10.0, 10.0, 50.0]
    assert goal(against=None).values(rows()) == [90.0, 110.0, 100.0]


def test_a_goal_is_judged_by_its_median_and_not_at_all_without_figures() -> None:
    assert goal().reached(rows()) is True
    assert goal(limit=1.2).reached(rows()) is False
    assert goal(at_least=False, limit=1.2).reached(rows()) is True
    assert goal().reached(rows()[:1]) is None


def test_figures_are_written_with_three_digits_that_matter() -> None:
    assert [written(v) for v in (0, 0.12345, 9.876, 1234.5)] == ["0", "0.123", "9.88", "1,234"]
    assert str(spread([1.0, 3.0, 2.0])) == "2 (1-3)"


def test_a_skipped_contender_says_why_in_the_place_of_figures() -> None:
    skipped = Row(contender="peer", skipped="no Python 3.12")
    result = CaseResult(case="x", title="X", rows=[*rows(), skipped])
    assert show.lines(result)[2] == ["peer", "-", "-", "skipped: no Python 3.12"]


# --- pages and profiles ----------------------------------------------------------------------


def results_file(path: Path) -> Path:
    case = {
        "case": "end-to-end",
        "title": "End to end",
        "setting": {"events": 10},
        "rows": [
            {"contender": "moment-sync", "figures": {"events/s": [1.0, 2.0]}, "faults": {"lost": 0}}
        ],
        "goals": [],
    }
    machine = {"at": "2026", "processor": "a|b", "cores": 2, "python": "3.11", "load": [0.5]}
    document = {"machine": machine, "options": {"runs": 2}, "cases": [case]}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_a_report_takes_the_place_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    given_ = [str(results_file(tmp_path / "r.json")), "--into", str(page), "--commit", "abc"]
    done = CliRunner().invoke(report.report, given_)
    assert done.exit_code == 0, done.output
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| moment-sync | 1.5 (1-2) | nothing |" in text
    assert "commit abc" in text


def test_results_name_the_commit_that_they_are_of(tmp_path: Path) -> None:
    results = results_file(tmp_path / "r.json")
    done = CliRunner().invoke(report.report, [f"{results}@def", "--commit", "abc"])
    assert "commit def" in done.output
    assert "commit abc" not in done.output


def test_results_that_are_not_there_are_refused_by_name(tmp_path: Path) -> None:
    done = CliRunner().invoke(report.report, [f"{tmp_path / 'none.json'}@def"])
    assert done.exit_code == 2
    assert "none.json" in done.output


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no marks", encoding="utf-8")
    given_ = [str(results_file(tmp_path / "r.json")), "--into", str(page)]
    assert CliRunner().invoke(report.report, given_).exit_code == 2
    assert page.read_text(encoding="utf-8") == "no marks"


FOLDED = (
    "Main;run.py:main;streams/dispatch.py:go;/x/site/aiohttp/client.py:send 3\n"
    "Main;run.py:main;aiokafka/fetch.py:read 1\n"
    "Main;run.py:main;streams/dispatch.py:go 1\n"
)


def test_a_cost_is_the_innermost_file_of_ours_or_else_the_library() -> None:
    assert flames.costs(flames.read(FOLDED)) == [("streams/dispatch.py", 0.8), ("aiokafka", 0.2)]


def test_a_flame_graph_and_a_speedscope_file_hold_every_frame() -> None:
    stacks = flames.read(FOLDED)
    drawn = flames.svg(stacks, "a <title>")
    assert drawn.count("<rect") == 5
    assert "a &lt;title&gt;" in drawn
    profile = flames.speedscope(stacks, "x")["profiles"][0]
    assert sum(profile["weights"]) == profile["endValue"] == 5


def test_a_case_that_is_not_there_is_wrong_use() -> None:
    from benchmarks.command import benchmark

    done = CliRunner().invoke(benchmark, ["no-such-case"])
    assert done.exit_code == 2
    assert "end-to-end" in done.output


@pytest.mark.parametrize("option", ["--contenders", "--peers"])
def test_a_contender_that_is_not_there_is_wrong_use(option: str) -> None:
    from benchmarks.command import benchmark

    done = CliRunner().invoke(benchmark, ["end-to-end", option, "nobody"])
    assert done.exit_code == 2
    assert "nobody" in done.output


def test_a_case_that_fails_takes_no_other_with_it() -> None:
    from benchmarks import command
    from benchmarks.registry import Case

    async def fails(*_: object) -> CaseResult:
        raise TimeoutError("it took too long")

    async def works(*_: object) -> CaseResult:
        return CaseResult(
            case="works", title="W", rows=[Row(contender="faust", faults={"lost": 1})]
        )

    cases = {"fails": Case("F", fails), "works": Case("W", works)}
    done = asyncio.run(command.run_cases(cases, None, None, shown=False))  # type: ignore[arg-type]  # these cases use neither
    assert [result.failed for result in done] == ["TimeoutError: it took too long", None]
    assert command.broken(done)
    assert not command.broken(done[1:]), "a peer may lose what it does not promise to keep"
