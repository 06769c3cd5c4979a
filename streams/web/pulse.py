"""On the worker's own event loop: proof that it turns, and what only it can ask Kafka."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

BEAT_S: Final = 0.25
DELAYS_KEPT: Final = 240  # a minute of beats
LAG_EVERY_S: Final = 15.0
LAG_WITHIN_S: Final = 10.0

Place = tuple[str, int]


class Reader(Protocol):
    """Kafka's side of a worker, as far as it is looked at."""

    @property
    def polls(self) -> int | None:
        """How often records were asked for; None while none need to be."""

    async def lag(self) -> Mapping[Place, int]:
        """Records that are not written down yet, by topic and partition. Asks the brokers."""

    async def answers(self) -> bool:
        """Whether a broker answers, asked beside the consumer."""


class Pulse:
    """Beats while the loop turns."""

    def __init__(self, reader: Reader, elapsed: Callable[[], float]) -> None:
        self._reader = reader
        self._elapsed = elapsed
        self._delays: deque[float] = deque(maxlen=DELAYS_KEPT)
        self.beats = 0
        self.lag: Mapping[Place, int] = {}
        self.kafka_seen_at: float | None = None  # elapsed; None: it did not answer the last time

    @property
    def longest_delay(self) -> float:
        """How late the loop was at most, of the last minute's beats, in seconds."""
        return max(list(self._delays), default=0.0)

    async def run(self) -> None:
        """Beat until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            group.create_task(self._look_at_lag())

    async def _beat(self) -> None:
        while True:
            before = self._elapsed()
            await asyncio.sleep(BEAT_S)
            self._delays.append(max(0.0, self._elapsed() - before - BEAT_S))
            self.beats += 1

    async def _look_at_lag(self) -> None:
        while True:
            self.kafka_seen_at = await self._ask()
            await asyncio.sleep(LAG_EVERY_S)

    async def _ask(self) -> float | None:
        """When Kafka answered; None where it did not. Whatever is raised is no answer."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(LAG_WITHIN_S):
                self.lag = await self._reader.lag()
                return self._elapsed()
        with contextlib.suppress(Exception):  # the consumer does not answer: is it Kafka, or we?
            async with asyncio.timeout(LAG_WITHIN_S):
                return self._elapsed() if await self._reader.answers() else None
        return None
