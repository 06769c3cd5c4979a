"""What happened, counted where it happens: an addition to a cell, and nothing is looked at.

Everything but `begin_commit` and `end_commit` is called on the event loop, these by the ledger's
writer; the page reads the cells from a thread of its own. A cell is a number, so nobody waits.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from connectors.attempts import Exchange
from connectors.integrations import Integration
from schemas.deadletters import DEADLETTERS_TOPIC, read_letter
from schemas.outcomes import TYPE_PREFIX, OutcomeKind
from streams.core.conclude import What
from streams.core.states import State
from streams.ledger.arrivals import Taken
from streams.ledger.settle import Settlement
from streams.metrics import CALL_BOUNDS, DELIVERY_BOUNDS, Kind, Metric
from streams.ports import OutboxRow

_TYPE: Final = "ce_type"
_DONE: Final = frozenset({What.APPLIED, What.UNCHANGED})
_STATUS_CLASSES: Final = {n: f"{n}xx" for n in range(1, 6)}
SENT, LOGGED, FAILED = "sent", "logged", "failed"


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Spread:
    """How many values lay below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def note(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


Counts = dict[tuple[str, ...], Count]
Spreads = dict[tuple[str, ...], Spread]


class Meters:
    """The counters and histograms of one worker. Restarted, they start again from nothing."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self.counts: dict[Metric, Counts] = {m: {} for m in Metric if m.spec.kind is Kind.COUNTER}
        self.spreads: dict[Metric, Spreads] = {
            m: {} if m.spec.labels else {(): Spread(m.spec.bounds)}
            for m in Metric
            if m.spec.kind is Kind.HISTOGRAM
        }
        # Bound here once: a metric's hash is computed in Python.
        self._calls = self.counts[Metric.CALLS]
        self._call_time = self.spreads[Metric.CALL_TIME]
        self._attempts = self.counts[Metric.ATTEMPTS]
        self._retries = self.counts[Metric.RETRIES]
        self._delivery_time = self.spreads[Metric.DELIVERY_TIME]
        self._events = self.counts[Metric.EVENTS]
        self._published = self.counts[Metric.PUBLISHED]
        self._outcomes = self.counts[Metric.OUTCOMES]
        self._dead = self.counts[Metric.DEAD_LETTERS]
        self._notices = self.counts[Metric.NOTICES]
        self._batch = self.spreads[Metric.BATCH][()]
        self._commit = self.spreads[Metric.COMMIT_TIME][()]
        # They are there from the start: a first one is then an increase.
        for kind in ("event", "duplicate", "letter", "command"):
            _count(self._events, (kind,), 0)
        for result in (SENT, LOGGED, FAILED):
            _count(self._notices, (result,), 0)
        for outcome in OutcomeKind:
            _count(self._outcomes, (outcome.value,), 0)
        # What a watchdog compares: grows with each call, attempt and look-up that has ended.
        self.moved: dict[str, int] = {}
        # When the batch that is being written was begun (elapsed seconds); None between batches.
        self.writing_since: float | None = None

    # -- calls and attempts ----------------------------------------------------------------------

    def called(self, integration: Integration, exchange: Exchange) -> None:
        """Count a call that has ended."""
        name = integration.id
        status = exchange.status
        answer = str(exchange.no_answer) if status is None else _class_of(status)
        system = integration.system.value
        _count(self._calls, (name, system, exchange.kind, answer))
        _note(self._call_time, (system, exchange.kind), exchange.seconds, CALL_BOUNDS)
        self.moved[name] = self.moved.get(name, 0) + 1

    def attempted(self, item: Settlement) -> None:
        """Count an attempt or a look-up that has ended."""
        delivery, what = item.delivery, item.result.what
        name, system = delivery.integration, delivery.system
        _count(self._attempts, (name, system, item.kind, what.value))
        if delivery.attempts and item.state is State.SENDING:
            _count(self._retries, (name,))
        if what in _DONE:
            age_s = max(0.0, item.now.wall - delivery.received_at)
            _note(self._delivery_time, (system,), age_s, DELIVERY_BOUNDS)
        self.moved[name] = self.moved.get(name, 0) + 1

    # -- Kafka -----------------------------------------------------------------------------------

    def taken(self, taken: Taken) -> None:
        """Count what a fetch came to."""
        for kind, many in (
            ("event", taken.events),
            ("duplicate", taken.duplicates),
            ("letter", taken.letters),
            ("command", taken.commands),
        ):
            if many:
                _count(self._events, (kind,), many)

    def published(self, rows: Iterable[OutboxRow]) -> None:
        """Count records that the brokers have acknowledged."""
        for row in rows:
            record = row.record
            _count(self._published, (record.topic,))
            if record.topic == DEADLETTERS_TOPIC:
                said = read_letter(record.headers)
                labels = said.get("integration", ""), said.get("class", ""), said.get("code", "")
                _count(self._dead, labels)
                continue
            for name, value in record.headers:
                if name == _TYPE:
                    _count(self._outcomes, (value.decode().removeprefix(TYPE_PREFIX),))
                    break

    # -- ledger ----------------------------------------------------------------------------------

    def begin_commit(self) -> None:
        """A batch is about to be written."""
        self.writing_since = self._elapsed()

    def end_commit(self, items: int) -> None:
        """It was written, or given up at the end of the worker."""
        begun, self.writing_since = self.writing_since, None
        self._batch.note(items)
        if begun is not None:
            self._commit.note(self._elapsed() - begun)

    # -- people ----------------------------------------------------------------------------------

    def noticed(self, result: str) -> None:
        """Count a notice: `sent`, `logged` or `failed`."""
        _count(self._notices, (result,))


def _count(cells: Counts, labels: tuple[str, ...], many: int = 1) -> None:
    cell = cells.get(labels)
    if cell is None:
        cell = cells[labels] = Count()
    cell.value += many


def _note(cells: Spreads, labels: tuple[str, ...], value: float, bounds: Sequence[float]) -> None:
    cell = cells.get(labels)
    if cell is None:
        cell = cells[labels] = Spread(bounds)
    cell.note(value)


def _class_of(status: int) -> str:
    """429 is told apart: it is asked for, where another 4xx is about one delivery."""
    return "429" if status == 429 else _STATUS_CLASSES.get(status // 100, "other")  # noqa: PLR2004
