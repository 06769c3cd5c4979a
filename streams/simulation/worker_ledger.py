"""A simulated worker's way to the ledger: real operations, moments later, in one transaction."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from streams.ledger.engine import LedgerClosedError, Operation
from streams.ledger.memory import MemoryLedger
from streams.ledger.settle import Settled
from streams.simulation.idle import Idle
from streams.simulation.loop import Timeline, Todo
from streams.simulation.luck import Luck

Item = TypeVar("Item")
Result = TypeVar("Result")

_Entry = tuple[Operation[Any, Any], Any, "asyncio.Future[Any]"]

COMMIT_LATENCY_S = 0.02
READS_AT_ONCE = 0.8  # this share of reads comes before anything else happens


class Process(Protocol):
    """Whose way it is."""

    dead: bool
    random: Luck

    def gate(self, step: str, todo: Todo) -> None:
        """Do something of it, if it still can."""


class Around(Protocol):
    """The world, as far as a way to the ledger needs it."""

    timeline: Timeline
    ledger: MemoryLedger

    def wrote(self) -> None:
        """A transaction is on disk."""

    def broke(self, what: str) -> None:
        """Something raised that must not."""

    def note(self, what: str) -> None:
        """Count something that happened."""


class WorkerLedger:
    """A worker's way to the ledger: what has gathered is one transaction, a little later."""

    def __init__(self, worker: Process, world: Around) -> None:
        self._worker = worker
        self._world = world
        self._queue: list[_Entry] = []
        self._along: list[_Entry] = []
        self._waiting: list[asyncio.Future[None]] = []
        self._idle = Idle(world.ledger)
        self.commits = 0

    def submit(self, operation: Operation[Item, Result], item: Item) -> "asyncio.Future[Result]":
        """Queue an item, as `Ledger.submit` does."""
        if self._worker.dead:
            raise LedgerClosedError(operation.name)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        if not self._queue:
            self._soon(self._kind, self._commit)
        self._queue.append((operation, item, future))
        return future

    def submit_along(
        self, operation: Operation[Item, Result], item: Item
    ) -> "asyncio.Future[Result]":
        """Queue an item for the next commit of anything else, as `Ledger.submit_along` does."""
        if self._worker.dead:
            raise LedgerClosedError(operation.name)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._along.append((operation, item, future))
        return future

    @property
    def to_publish(self) -> int:
        """Every commit may have put something into the outbox."""
        return self.commits

    async def read(self, query: Callable[[Any], Result]) -> Result:
        """Read what is on disk a moment later."""
        if self._worker.dead:
            raise LedgerClosedError("read")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def answer() -> None:
            if not future.done():
                future.set_result(self._world.ledger.read(query))

        if self._worker.random.random() < READS_AT_ONCE:
            return self._world.ledger.read(query)
        self._soon(lambda: "ledger read", answer)
        return await future

    async def committed(self) -> None:
        """Return after the next commit."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _kind(self) -> str:
        """What kind of a step the next commit is."""
        return "intend" if any(each[0].name == "intend" for each in self._queue) else "commit"

    def _soon(self, step: Callable[[], str], todo: Todo) -> None:
        seconds = self._worker.random.random() * COMMIT_LATENCY_S
        self._world.timeline.after(seconds, lambda: self._worker.gate(step(), todo))

    def _commit(self) -> None:
        queue, self._queue, self._along = [*self._queue, *self._along], [], []
        batch = [(each[0], each[1]) for each in queue]
        before = self._world.ledger.changes
        try:
            results = self._idle.write(batch)
        except Exception as error:  # whatever it is, it is what the simulation looks for
            names = ", ".join(sorted({each[0].name for each in queue}))
            self._world.broke(f"{names} raised {type(error).__name__}: {error}")
            return
        self._world.wrote()
        self.commits += 1
        for result in results:
            if isinstance(result, Settled) and result.lost:
                self._world.note("verdicts of a former owner refused")

        def answer() -> None:
            for (_, _, future), result in zip(queue, results, strict=True):
                if not future.done():
                    future.set_result(result)
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if not one.done():
                    one.set_result(None)

        if self._world.ledger.changes == before:
            answer()  # whether it is heard of what did not happen makes no difference
        else:
            self._soon(lambda: "answer of the ledger", answer)
