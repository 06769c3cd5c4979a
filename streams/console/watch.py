"""One look at the ledger for all who watch: whether anything changed, and the figures."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiokafka.errors import KafkaError

from streams.console.figures import Counted, Figures, loads, standings_of
from streams.console.outcome_hours import OutcomeHours
from streams.console.view import ConsoleView
from streams.kafka_client import connection_of
from streams.ledger import console_queries
from streams.ledger.console_reader import LedgerAwayError
from streams.ledger.holds import load_holds
from streams.settings import Settings
from streams.topics import TopicNames, lag

log = logging.getLogger(__name__)

LOOK_S: Final = 1.0  # between two looks at whether anything changed
AWAY_LOOK_S: Final = 2.0
# Counting takes at most a tenth of the time, however many are dead, and is not done more often.
COUNT_LEAST_S: Final = 2.0
COUNT_SHARE: Final = 10
COUNT_OLDEST_S: Final = 30.0  # a hold that ends changes none of the numbers looked at
IDLE_S: Final = 60.0  # nobody has looked for so long: the ledger is left in peace
LAG_S: Final = 15.0
LAG_AGAIN_S: Final = 5.0
LAG_WAIT_S: Final = 10.0
AWAY_AFTER: Final = 2  # failures in a row: a group that is just being made fails once
VIEWERS_MAX: Final = 200  # who listen at once; each is a connection
FIRST_WAIT_S: Final = 0.1  # a page waits so long for figures that are being counted


class TooManyViewersError(Exception):
    """No more listeners are taken."""


class Watch:
    """The figures, and who is to be told of changes. `run` does the looking."""

    def __init__(
        self,
        view: ConsoleView,
        bounds: Callable[[], Mapping[str, int]] = dict,
        ask_lag: Callable[[Settings], Awaitable[int]] | None = None,
    ) -> None:
        self._view = view
        self._how_far = ask_lag or _lag
        self._bounds = bounds
        self._hours = OutcomeHours(view.reader)
        self._mark: tuple[int, ...] = ()
        self._counted_mark: tuple[int, ...] | None = None
        self._counted_at = 0.0
        self._cost = 0.0
        self._wanted = asyncio.Event()
        self._touched_at = self._elapsed() - IDLE_S  # nobody has looked yet
        self._first = asyncio.Event()
        self._listeners: set[asyncio.Queue[str]] = set()
        self._lag: int | None = None
        self._kafka_failed: float | None = None  # since when, and how often in a row
        self._kafka_failures = 0
        self.figures: Figures | None = None

    def _elapsed(self) -> float:
        return self._view.clock.elapsed()

    async def figures_soon(self) -> Figures | None:
        """The newest figures; None where they are still being counted for the first time."""
        self.touch()
        if self.figures is None:
            try:
                async with asyncio.timeout(FIRST_WAIT_S):
                    await self._first.wait()
            except TimeoutError:
                return None
        return self.figures

    def touch(self) -> None:
        """Somebody looks."""
        self._touched_at = self._elapsed()
        self._wanted.set()

    def listen(self) -> "asyncio.Queue[str]":
        """A queue of one: `changed`, `away` or `end`. Raises `TooManyViewersError`."""
        if len(self._listeners) >= VIEWERS_MAX:
            raise TooManyViewersError
        queue: asyncio.Queue[str] = asyncio.Queue(1)
        self._listeners.add(queue)
        self.touch()
        return queue

    def leave(self, queue: "asyncio.Queue[str]") -> None:
        """Listen no more."""
        self._listeners.discard(queue)

    def close(self) -> None:
        """Have everybody who listens end, so that a stop does not wait for them."""
        self._tell("end")

    def _tell(self, what: str) -> None:
        for queue in self._listeners:
            if not queue.empty():
                queue.get_nowait()
            queue.put_nowait(what)

    # --- looking -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_ledger())
            group.create_task(self._run_lag())

    async def _run_ledger(self) -> None:
        away = False
        while True:
            try:
                await self._look()
            except LedgerAwayError as error:
                if not away:
                    self._tell("away")
                    log.warning(
                        "the console cannot read the ledger: %s",
                        error.away.reason,
                        extra={"action": "console_ledger_away"},
                    )
                away = True
                await asyncio.sleep(AWAY_LOOK_S)
                continue
            except Exception:
                log.exception("counting failed", extra={"action": "console_count_failed"})
                await asyncio.sleep(AWAY_LOOK_S)
                continue
            if away:
                away = False
                self._tell("changed")
            await self._rest()

    async def _look(self) -> None:
        mark = await self._view.reader.ask(console_queries.change_mark)
        changed = mark != self._mark and bool(self._mark)
        self._mark = mark
        since = self._elapsed() - self._counted_at
        may = since >= max(COUNT_LEAST_S, COUNT_SHARE * self._cost)
        if self.figures is None or (mark != self._counted_mark and may) or since >= COUNT_OLDEST_S:
            self._counted_mark = mark
            await self._count()
            changed = True
        if changed:
            self._tell("changed")

    async def _rest(self) -> None:
        """Until the next look, or while nobody watches until somebody does."""
        if self._listeners or self._elapsed() - self._touched_at < IDLE_S:
            await asyncio.sleep(LOOK_S)
            return
        self._wanted.clear()
        await self._wanted.wait()

    async def _count(self) -> None:
        began = self._elapsed()
        counted = await self._view.reader.ask(_counted)
        await self._hours.read_on(self._view.now())
        now = self._view.now()
        hours, since = self._hours.snapshot()
        set_up = self._view.integrations
        load_of = loads(counted.open_work, set_up, self._view.settings, self._bounds())
        self.figures = Figures(
            at=now,
            standings=standings_of(counted, set_up, hours, now, load_of),
            causes=counted.causes,
            letters=counted.letters,
            hours=hours,
            hours_since=since,
            last_outcome_at=self._hours.last_at,
            commands=counted.commands,
            lag=self._lag,
            kafka_away_since=self._kafka_failed if self._kafka_failures >= AWAY_AFTER else None,
        )
        self._counted_at = self._elapsed()
        self._cost = self._counted_at - began
        self._first.set()

    async def _run_lag(self) -> None:
        while True:
            if self._listeners or self._elapsed() - self._touched_at < IDLE_S:
                try:
                    await self._ask_lag()
                except Exception:
                    log.exception("asking for the lag failed", extra={"action": "lag_failed"})
            await asyncio.sleep(LAG_S if self._kafka_failed is None else LAG_AGAIN_S)

    async def _ask_lag(self) -> None:
        try:
            async with asyncio.timeout(LAG_WAIT_S):
                self._lag = await self._how_far(self._view.settings)
                self._kafka_failed, self._kafka_failures = None, 0
        except (KafkaError, OSError, TimeoutError):
            self._lag = None
            self._kafka_failed = self._kafka_failed or self._view.now()
            self._kafka_failures += 1


async def _lag(settings: Settings) -> int:
    return await lag(connection_of(settings), settings.group, TopicNames(settings.topic_prefix))


def _counted(connection: Any) -> Counted:
    dead = console_queries.dead_by_code(connection)
    work = tuple(console_queries.open_work(connection))
    names = {*(name for name, _ in dead), *(one.integration for one in work)}
    return Counted(
        open_work=work,
        causes=tuple(console_queries.dead_causes(connection)),
        dead=dead,
        letters=tuple(console_queries.letters_by_code(connection)),
        holds=load_holds(connection),
        whose=console_queries.whose(connection, sorted(names)),
        commands=console_queries.open_commands(connection),
    )
