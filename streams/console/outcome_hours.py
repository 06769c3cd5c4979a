"""How many outcomes of each kind in each hour: read once from the outbox, then as they come."""

from collections.abc import Iterable
from typing import Any, Final

from streams.console.chart import HOUR_S, HOURS, series_of
from streams.ledger.console_lists import MOST_TAIL, Told, outcomes_after, outcomes_before
from streams.ledger.console_reader import ConsoleReader

CHUNKS_A_TURN: Final = 20  # queries before whoever waits is answered with what is known by then
# Rows that a slower transaction may still write before ones that are there already.
OVERLAP: Final = 2_000

Counts = dict[int, dict[str, int]]  # by the hour's beginning and series


class OutcomeHours:
    """Counts of the last day, by integration. Nothing of it is kept: a start reads it again."""

    def __init__(self, reader: ConsoleReader) -> None:
        self._reader = reader
        self._counts: dict[str, Counts] = {}
        self._seen: set[int] = set()  # of the newest positions, those that were counted
        self._newest = 0
        self._oldest: int | None = None  # where reading back goes on; None before the first row
        self._back_to: float | None = None  # how far back is known, until all is
        self._whole = False
        self.last_at: float | None = None  # the newest outcome

    async def read_on(self, now: float) -> bool:
        """Read what came since, then further back; whether there is more to be read at once."""
        if not self._newest:
            await self._read_back(now, 1)
        for _ in range(CHUNKS_A_TURN):
            told = await self._reader.ask(self._after)
            self._take(told)
            if len(told) < MOST_TAIL:
                break
        if not self._whole:
            await self._read_back(now, CHUNKS_A_TURN)
        self._forget(now)
        return not self._whole

    def _after(self, connection: Any) -> list[Told]:
        return outcomes_after(connection, max(0, self._newest - OVERLAP))

    def _before(self, connection: Any) -> list[Told]:
        return outcomes_before(connection, self._oldest)

    async def _read_back(self, now: float, chunks: int) -> None:
        since = now - HOUR_S * HOURS
        for _ in range(chunks):
            told = await self._reader.ask(self._before)
            self._take(told)
            if told:
                self._oldest, self._back_to = told[-1].position, told[-1].at
            if len(told) < MOST_TAIL or told[-1].at < since:
                self._whole, self._back_to = True, None
                return

    def _take(self, told: Iterable[Told]) -> None:
        for one in told:
            if one.position in self._seen:
                continue
            self._seen.add(one.position)
            self._newest = max(self._newest, one.position)
            series = series_of(one.outcome)
            if series is None:
                continue
            self.last_at = max(self.last_at or 0.0, one.at)
            hour = int(one.at) // HOUR_S * HOUR_S
            counts = self._counts.setdefault(one.integration, {}).setdefault(hour, {})
            counts[series] = counts.get(series, 0) + 1

    def _forget(self, now: float) -> None:
        self._seen = {position for position in self._seen if position > self._newest - OVERLAP}
        oldest = int(now) // HOUR_S * HOUR_S - HOUR_S * HOURS
        for counts in self._counts.values():
            for hour in [hour for hour in counts if hour < oldest]:
                del counts[hour]

    def snapshot(self) -> tuple[dict[str, Counts], float | None]:
        """A copy of the counts, and since when they are known (None: the whole day)."""
        copied = {
            name: {hour: dict(of) for hour, of in counts.items()}
            for name, counts in self._counts.items()
        }
        return copied, self._back_to
