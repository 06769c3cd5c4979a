"""Whether a worker that is up is also at work: what is wrong, since when. Pure.

Only time in which somebody looked is counted: a machine that was suspended for a night, or a
process that was stopped and goes on, has not stalled.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

LOOK_S: Final = 1.0  # between two looks; a look that came late counts as two at most
LATE_LOOKS: Final = 2.0
BLOCKED_S: Final = 10.0  # no step of ours takes a second; a loop that has not turned for ten hangs
# SQLite waits for another writer for 30 s; a commit that takes this long stops everything.
WRITING_S: Final = 20.0
POLLING_S: Final = 60.0  # the consumer asks every second, while Kafka answers
OVERDUE_S: Final = 60.0  # the clock is looked at every second
PUBLISHING_S: Final = 300.0  # a producer that failed is replaced after 30 s and 5 s
# On top of the longest that one call may take and its system may still be at work on it.
STALL_SLACK_S: Final = 60.0


class ProblemKind(StrEnum):
    """Every kind of problem that a page may report."""

    LEDGER_UNWRITABLE = "ledger-unwritable"
    EVENT_LOOP_BLOCKED = "event-loop-blocked"
    DELIVERIES_STALLED = "deliveries-stalled"
    PUBLISHING_STALLED = "publishing-stalled"
    CONSUMER_NOT_POLLING = "consumer-not-polling"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `since`: wall time in seconds. `about`: integrations, if any."""

    kind: ProblemKind
    since: float
    text: str
    about: tuple[str, ...] = ()

    def shown(self) -> dict[str, Any]:
        """As the page's JSON has it."""
        moment = datetime.fromtimestamp(self.since, UTC).isoformat(timespec="seconds")
        about = {"integrations": list(self.about)} if self.about else {}
        return {
            "kind": self.kind.value,
            "since": moment.replace("+00:00", "Z"),
            "text": self.text,
            **about,
        }


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How long what may last, in seconds. `stalled` is longer than any call may take."""

    stalled: float
    blocked: float = BLOCKED_S
    writing: float = WRITING_S
    polling: float = POLLING_S
    overdue: float = OVERDUE_S
    publishing: float = PUBLISHING_S


class Flow(msgspec.Struct, frozen=True):
    """One integration's work in this worker.

    `head`: the delivery that could go next, of what is free to go. `in_flight`: how many are under
    way. `moved` grows with every call and attempt that ends.
    """

    head: int | None
    in_flight: int
    moved: int


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be seen of a worker at one moment.

    `beats`: turns of the event loop. `unwritable`: why the last commit failed; `writing_s`: for
    how long the present one has been under way. `polls`: how often Kafka was asked for records,
    None while it need not be, or Kafka is away. `overdue_s`: how late the ledger's clock work is.
    `unpublished_s`: age of the oldest record of our lanes that is not on Kafka, 0 without any or
    while Kafka is away; `published` grows with every record that gets there.
    """

    beats: int
    unwritable: str | None = None
    writing_s: float = 0.0
    polls: int | None = None
    flows: Mapping[str, Flow] = {}
    overdue_s: float = 0.0
    unpublished_s: float = 0.0
    published: int = 0


class _Lasting:
    """For how long something has been seen to be so, without a break."""

    __slots__ = ("_before", "seconds", "since")

    def __init__(self) -> None:
        self._before: object = None
        self.seconds = 0.0
        self.since = 0.0

    def so(self, is_so: bool, wall: float, passed: float) -> float:
        """Look once more."""
        if not is_so:
            self.seconds = 0.0
            self.since = wall
            return 0.0
        if self.seconds == 0.0:
            self.since = wall
        self.seconds += passed
        return self.seconds

    def same(self, sign: object, wall: float, passed: float) -> float:
        """For how long a sign has not changed; None changes always."""
        still = sign is not None and sign == self._before
        self._before = sign
        return self.so(still, wall, passed)


class Watch:
    """Looks at signs, one look after the other."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._looked_at: float | None = None
        self._lasting: dict[str, _Lasting] = {}

    def look(self, signs: Signs, wall: float, elapsed: float) -> tuple[Problem, ...]:
        """What is wrong now. `elapsed` never goes back; `wall` only says since when."""
        before, self._looked_at = self._looked_at, elapsed
        passed = 0.0 if before is None else min(elapsed - before, LATE_LOOKS * LOOK_S)
        found = [
            self._ledger(signs, wall, passed),
            self._loop(signs, wall, passed),
            self._stalled(signs, wall, passed),
            self._publishing(signs, wall, passed),
            self._polling(signs, wall, passed),
        ]
        return tuple(problem for problem in found if problem is not None)

    def _of(self, name: str) -> _Lasting:
        return self._lasting.setdefault(name, _Lasting())

    def _ledger(self, signs: Signs, wall: float, passed: float) -> Problem | None:
        failing = self._of("ledger")
        slow = signs.writing_s > self._limits.writing
        bad = signs.unwritable is not None or slow
        failing.so(bad, wall, passed)
        if not bad:
            return None
        why = signs.unwritable or f"a commit has been under way for {signs.writing_s:.0f} s"
        return Problem(
            kind=ProblemKind.LEDGER_UNWRITABLE,
            since=min(failing.since, wall - signs.writing_s),
            text=f"the ledger cannot be written: {why}",
        )

    def _loop(self, signs: Signs, wall: float, passed: float) -> Problem | None:
        still = self._of("loop")
        if still.same(signs.beats, wall, passed) <= self._limits.blocked:
            return None
        return Problem(
            kind=ProblemKind.EVENT_LOOP_BLOCKED,
            since=still.since,
            text=f"the event loop has not turned for {still.seconds:.0f} s",
        )

    def _stalled(self, signs: Signs, wall: float, passed: float) -> Problem | None:
        since = wall
        about: list[str] = []
        for name, flow in sorted(signs.flows.items()):
            still = self._of(f"flow {name}")
            work = flow.head is not None or flow.in_flight > 0
            sign = (flow.head, flow.moved) if work else None
            if still.same(sign, wall, passed) > self._limits.stalled:
                about.append(name)
                since = min(since, still.since)
        late = signs.overdue_s > self._limits.overdue
        overdue = self._of("overdue")
        lasts = overdue.so(late, wall, passed) > self._limits.overdue
        if not about and not lasts:
            return None
        text = "deliveries may go and none has moved" if about else "what is due is not looked at"
        return Problem(
            kind=ProblemKind.DELIVERIES_STALLED,
            since=min(since, overdue.since) if lasts else since,
            text=text,
            about=tuple(about),
        )

    def _publishing(self, signs: Signs, wall: float, passed: float) -> Problem | None:
        still = self._of("publishing")
        old = signs.unpublished_s > self._limits.publishing
        lasts = still.same(signs.published if old else None, wall, passed)
        if lasts <= self._limits.publishing:
            return None
        return Problem(
            kind=ProblemKind.PUBLISHING_STALLED,
            since=still.since,
            text=f"outcomes have waited for {signs.unpublished_s:.0f} s though Kafka answers",
        )

    def _polling(self, signs: Signs, wall: float, passed: float) -> Problem | None:
        still = self._of("polling")
        if still.same(signs.polls, wall, passed) <= self._limits.polling:
            return None
        if signs.unwritable is not None or signs.writing_s > self._limits.writing:
            return None  # what was read cannot be written down: that is told already
        return Problem(
            kind=ProblemKind.CONSUMER_NOT_POLLING,
            since=still.since,
            text=f"Kafka has not been asked for records for {still.seconds:.0f} s, and it answers",
        )
