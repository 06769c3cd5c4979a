"""Asking one integration's books for a command: at a pace, and again where they do not answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from connectors.attempts import Attempt
from connectors.integrations import Integration
from connectors.port import Clock, Flow, Hold, Retry
from connectors.runner import Runner
from schemas.events import EntityType
from schemas.failures import Failure

PAUSE_S: Final = 0.5  # between the first two tries of books that do not answer
PAUSE_MAX_S: Final = 5.0


class BooksAwayError(Exception):
    """The books could not be read, or not within the time that a command waits."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class Asker:
    """One integration's books, for one command. Raises nothing but `BooksAwayError`."""

    def __init__(
        self,
        integration: Integration,
        runner: Runner,
        clock: Clock,
        *,
        wait_s: float,
        calls_per_s: float | None = None,
    ) -> None:
        self.integration = integration
        self._runner = runner
        self._clock = clock
        self._wait_s = wait_s
        self._call_s = 0.0 if calls_per_s is None else 1.0 / calls_per_s
        self._turn_at = 0.0

    async def ask(self, begin: Callable[[], Flow]) -> Any:
        """Run a question flow of the connector: its answer, never a `Retry`."""
        return await self._patiently(lambda: self._runner.ask(begin, self.integration))

    async def find(self, entity_type: EntityType, number: str) -> Any:
        """Ask whether a record is in the books: `Found`, `Absent` or `Refused`."""
        found = await self._patiently(
            lambda: self._runner.find(entity_type, number, self.integration)
        )
        if isinstance(found, Hold):
            raise BooksAwayError(found.failure)
        return found

    async def identify(self) -> Any:
        """Ask whose books these are: an `Identity` or a `Hold`."""
        return await self._patiently(lambda: self._runner.identify(self.integration))

    async def _patiently(self, begin: Callable[[], Awaitable[Attempt[Any]]]) -> Any:
        """Ask until the answer is no `Retry`, for as long as the command waits.

        Where a longer pause is asked for than that, nobody is asked again.
        """
        deadline, pause = self._clock.elapsed() + self._wait_s, PAUSE_S
        while True:
            answer = await self._paced(begin)
            if not isinstance(answer, Retry):
                return answer
            wanted = max(pause, answer.retry_after or 0.0)
            if self._clock.elapsed() + wanted > deadline:
                raise BooksAwayError(answer.failure)
            await asyncio.sleep(wanted)
            pause = min(2 * pause, PAUSE_MAX_S)

    async def _paced(self, begin: Callable[[], Awaitable[Attempt[Any]]]) -> Any:
        """Wait for a turn; each call that is made puts the next turn off."""
        await asyncio.sleep(max(0.0, self._turn_at - self._clock.elapsed()))
        began = self._clock.elapsed()
        attempt = await begin()
        self._turn_at = began + len(attempt.exchanges) * self._call_s
        return attempt.verdict
