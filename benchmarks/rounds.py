"""One measured round of one contender: its topic filled while it stands still, then let go."""

import asyncio
from collections import Counter
from collections.abc import Container, Sequence
from typing import Final

import msgspec

from benchmarks.cluster import Cluster, Outcome
from benchmarks.contender import Contender, Plan, Running
from benchmarks.events import FIRST_NUMBER, Event
from benchmarks.stub import Orders
from benchmarks.stub_process import Counterpart, Seen
from streams.topics import FAILURES

NEVER_SENT: Final = frozenset({"superseded", "stale"})
QUIET_S: Final = 0.3  # after a round: commits and marks of what was just done


class Stand(msgspec.Struct):
    """A contender that runs, with its stub and its plan."""

    contender: Contender
    plan: Plan
    stub: Counterpart
    running: Running

    @property
    def name(self) -> str:
        """The contender's name."""
        return self.contender.name

    def stop(self) -> None:
        """End the contender and its stub."""
        self.running.stop()
        self.stub.stop()


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What one round showed."""

    events: int
    seconds: float  # from the first write at the stub to the last outcome on Kafka
    cpu_seconds: float
    seen: Seen
    outcomes: list[Outcome]
    failures: int  # outcomes that are not final, or dead

    def figures(self) -> dict[str, float]:
        """The figures of a drained backlog."""
        report = self.seen.report
        return {
            "events/s": self.events / self.seconds if self.seconds > 0 else 0.0,
            "CPU us/event": self.cpu_seconds / self.events * 1e6,
            "writes/event": report.writes / self.events,
            "calls/event": report.calls / self.events,
            "most in flight": float(report.most_in_flight),
        }

    def faults(self, events: Sequence[Event], *, done: frozenset[str]) -> dict[str, int]:
        """Loss, doubles and broken order (`wrong_in`)."""
        return wrong_in(events, self.outcomes, self.seen, done)


def broken_order(outcomes: Sequence[Outcome]) -> int:
    """How many states of a key are told as in the books after a later one. In partition order.

    That a state is superseded is told as soon as it is certain, maybe while an older one is on its
    way: it says nothing of the books.
    """
    latest: dict[str, int] = {}
    broken = 0
    for outcome in outcomes:
        if outcome.outcome in NEVER_SENT:
            continue
        key, _, serial = outcome.event.rpartition("-")
        if int(serial) < latest.get(key, -1):
            broken += 1
        latest[key] = max(latest.get(key, -1), int(serial))
    return broken


class Paced(msgspec.Struct, frozen=True, kw_only=True):
    """What a round at a steady rate showed. `appended`: when each event came onto Kafka."""

    events: int
    cpu_seconds: float
    seen: Seen
    outcomes: list[Outcome]
    appended: dict[str, float]

    def to_outcome_ms(self) -> list[float]:
        """Kafka to outcome, of every event that has a final one."""
        return self._to_outcome_ms(self.appended.keys())

    def to_outcome_ms_of(self, events: Sequence[Event]) -> list[float]:
        """The same, of these events."""
        return self._to_outcome_ms({event.id for event in events})

    def _to_outcome_ms(self, wanted: Container[str]) -> list[float]:
        return [
            (outcome.at_s - self.appended[outcome.event]) * 1000
            for outcome in self.outcomes
            if outcome.final and outcome.event in wanted and outcome.event in self.appended
        ]

    def to_request_ms(self) -> list[float]:
        """Kafka to the request at the stub; up to 1 ms too long, since Kafka's are whole."""
        return [
            (arrival.at - self.appended[event]) * 1000
            for arrival in self.seen.arrivals
            if arrival.write
            and (event := event_of_write(arrival.key, arrival.serial)) in self.appended
        ]


def event_of_write(path: str, serial: int) -> str:
    """The id of the event that a write at the stub is of."""
    return f"{int(path.rpartition('/')[2]) - FIRST_NUMBER}-{serial}"


def wrong_in(
    events: Sequence[Event], outcomes: Sequence[Outcome], seen: Seen, done: frozenset[str]
) -> dict[str, int]:
    """Loss, doubles and broken order, as the stub and the topic saw them."""
    counted = Counter(outcome.event for outcome in outcomes if outcome.final)
    return {
        "lost": sum(1 for event in events if not counted[event.id]),
        "not done": sum(1 for o in outcomes if o.final and o.outcome not in done),
        "outcomes doubled": sum(count - 1 for count in counted.values() if count > 1),
        "written twice": seen.report.doubles,
        "written out of order": seen.report.order_breaks,
        "written side by side": seen.report.overlaps,
        "told out of order": broken_order(outcomes),
    }


async def drain(
    cluster: Cluster, stand: Stand, events: Sequence[Event], *, delay_ms: float
) -> Round:
    """Fill the topic while the contender is stopped, let it go, wait for every outcome."""
    plan, running = stand.plan, stand.running
    before = await cluster.ends(plan.results)
    failed_before = sum((await cluster.ends(plan.prefix + FAILURES)).values())
    running.pause()
    try:
        await cluster.fill(plan.prefix, events)
        stand.stub.order(Orders(delay_ms=delay_ms, reset=True))
        spent = running.cpu_seconds()
    finally:
        running.go_on()
    await cluster.wait_for(plan.results, before, len(events))
    spent = running.cpu_seconds() - spent
    seen = stand.stub.seen()
    outcomes = await cluster.outcomes(plan.results, before)
    failed = sum((await cluster.ends(plan.prefix + FAILURES)).values()) - failed_before
    await asyncio.sleep(QUIET_S)
    last = max((outcome.at_s for outcome in outcomes), default=0.0)
    return Round(
        events=len(events),
        seconds=last - seen.report.first_write_at,
        cpu_seconds=spent,
        seen=seen,
        outcomes=outcomes,
        failures=failed,
    )


async def paced(
    cluster: Cluster,
    stand: Stand,
    events: Sequence[Event],
    *,
    delay_ms: float,
    per_second: float,
    awaited: int | None = None,
) -> Paced:
    """Offer events at a steady rate and wait for `awaited` outcomes, all of them by default."""
    plan = stand.plan
    before = await cluster.ends(plan.results)
    read_before = await cluster.ends(plan.input)
    stand.stub.order(Orders(delay_ms=delay_ms, reset=True, keep_arrivals=True))
    spent = stand.running.cpu_seconds()
    await cluster.pace(plan.prefix, events, per_second)
    await cluster.wait_for(plan.results, before, len(events) if awaited is None else awaited)
    spent = stand.running.cpu_seconds() - spent
    seen = stand.stub.seen()
    await asyncio.sleep(QUIET_S)
    return Paced(
        events=len(events),
        cpu_seconds=spent,
        seen=seen,
        outcomes=await cluster.outcomes(plan.results, before),
        appended=await cluster.appended(plan.input, read_before),
    )
