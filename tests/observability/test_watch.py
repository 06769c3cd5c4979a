"""The watchdog's judgement, by signs alone: what is wrong, since when, and what is not."""

from typing import Any

import msgspec
import pytest

from streams.web.health import Flow, Limits, ProblemKind, Signs, Watch

LIMITS = Limits(stalled=300.0)
BEGAN = 1_790_000_000.0


class Looks:
    """Looks once a second, with a loop that turns and a consumer that polls unless told not to."""

    def __init__(self) -> None:
        self.watch = Watch(LIMITS)
        self.now = 0.0
        self.turns = 0

    def on(self, seconds: float, **signs: Any) -> list[str]:
        """Look for so long; the kinds of problem at the end."""
        found: list[str] = []
        for _ in range(int(seconds)):
            self.now += 1
            self.turns += 1
            given = {"beats": self.turns, "polls": self.turns, **signs}
            problems = self.watch.look(Signs(**given), BEGAN + self.now, self.now)
            self.problems = problems
            found = [one.kind.value for one in problems]
        return found


def test_a_worker_at_work_or_at_rest_has_no_problem() -> None:
    looks = Looks()
    assert looks.on(1000) == []
    assert looks.on(1000, flows={"a": Flow(None, 0, 7)}) == []


def test_a_ledger_that_cannot_be_written_is_told_at_once_and_since_when() -> None:
    looks = Looks()
    looks.on(10)
    assert looks.on(5, unwritable="database or disk is full") == ["ledger-unwritable"]
    problem = looks.problems[0]
    assert problem.since == BEGAN + 11
    assert "disk is full" in problem.text
    assert looks.on(1) == []


def test_a_commit_that_does_not_end_is_told_since_it_began() -> None:
    looks = Looks()
    looks.on(100)
    assert looks.on(1, writing_s=15.0) == []
    assert looks.on(1, writing_s=25.0) == ["ledger-unwritable"]
    assert looks.problems[0].since == BEGAN + 102 - 25


def test_a_loop_that_does_not_turn_is_told() -> None:
    looks = Looks()
    looks.on(10)
    assert looks.on(8, beats=10) == []
    assert looks.on(5, beats=10) == ["event-loop-blocked"]
    assert looks.problems[0].since == BEGAN + 11
    assert looks.on(1) == []


def test_a_process_that_was_stopped_for_a_night_has_not_hung() -> None:
    looks = Looks()
    looks.on(10)
    looks.now += 30_000
    assert looks.on(1, beats=10, polls=10, flows={"a": Flow(1, 1, 1)}) == []


def test_a_delivery_that_may_go_and_does_not_is_told_with_its_integration() -> None:
    looks = Looks()
    stuck = {"a": Flow(41, 0, 7), "b": Flow(None, 0, 3)}
    assert looks.on(300, flows=stuck) == []
    assert looks.on(5, flows=stuck) == ["deliveries-stalled"]
    assert looks.problems[0].about == ("a",)
    assert looks.problems[0].since == BEGAN + 2


@pytest.mark.parametrize(
    "moved",
    [
        {"a": Flow(41, 0, 8)},  # a call of it ended
        {"a": Flow(42, 0, 7)},  # another one is next
        {"a": Flow(None, 0, 7)},  # held, paused, or nothing to do
    ],
)
def test_any_movement_starts_the_wait_anew(moved: dict[str, Flow]) -> None:
    looks = Looks()
    assert looks.on(299, flows={"a": Flow(41, 0, 7)}) == []
    assert looks.on(2, flows=moved) == []
    assert looks.on(299, flows={"a": Flow(41, 0, 7)}) == []


def test_an_attempt_that_never_ends_is_told() -> None:
    looks = Looks()
    assert looks.on(310, flows={"a": Flow(None, 1, 7)}) == ["deliveries-stalled"]


def test_work_of_one_integration_does_not_hide_another_that_stands_still() -> None:
    looks = Looks()
    for n in range(310):
        found = looks.on(1, flows={"a": Flow(41, 1, 7), "b": Flow(50 + n, 4, n)})
    assert found == ["deliveries-stalled"]
    assert looks.problems[0].about == ("a",)


def test_a_clock_that_nobody_looks_at_is_told() -> None:
    looks = Looks()
    assert looks.on(50, overdue_s=100.0) == []
    assert looks.on(15, overdue_s=100.0) == ["deliveries-stalled"]
    assert looks.on(1, overdue_s=0.0) == []


def test_outcomes_that_stay_where_they_are_are_told() -> None:
    looks = Looks()
    assert looks.on(290, unpublished_s=400.0) == []
    assert looks.on(20, unpublished_s=400.0) == ["publishing-stalled"]
    looks = Looks()
    for n in range(400):
        assert looks.on(1, unpublished_s=400.0, published=n) == [], "a backlog that gets out"


def test_a_consumer_that_does_not_poll_is_told() -> None:
    looks = Looks()
    assert looks.on(59, polls=7) == []
    assert looks.on(5, polls=7) == ["consumer-not-polling"]


def test_a_consumer_without_partitions_need_not_poll() -> None:
    assert Looks().on(500, polls=None) == []


def test_a_consumer_that_waits_for_the_ledger_is_not_told_beside_it() -> None:
    looks = Looks()
    assert looks.on(100, polls=7, unwritable="locked") == ["ledger-unwritable"]


def test_a_problem_is_shown_with_its_kind_and_since_when() -> None:
    looks = Looks()
    looks.on(310, flows={"a": Flow(41, 0, 7)})
    assert looks.problems[0].shown() == {
        "kind": "deliveries-stalled",
        "since": "2026-09-21T14:13:22Z",
        "text": "deliveries may go and none has moved",
        "integrations": ["a"],
    }


def test_kinds_are_words_for_labels() -> None:
    assert all(kind.value.replace("-", "").isalpha() for kind in ProblemKind)
    assert msgspec.json.encode(list(ProblemKind))
