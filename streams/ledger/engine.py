"""One writer thread, many callers, one commit: the ledger's engine.

Everything that is written is an *operation*: a function over a transaction and a list of items,
which returns one result an item. Callers submit items from the event loop; the thread takes all
that have gathered since its last commit, runs each operation once over its items, and commits
them together (group commit: no timer, so an idle ledger answers at once and a busy one in large
batches). An operation may be run again when a commit failed, so it must decide only by what it
reads in the transaction, and must do nothing twice.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool, Pool, QueuePool

from streams.ledger.database_errors import is_of_the_database
from streams.ledger.patience import patience

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_ITEMS = 5000  # of one commit: bounds the time a caller waits behind others
# Another worker process may hold SQLite's write lock for a flush. What lasts longer is told of, and
# tried again; a stop waits for it once.
BUSY_TIMEOUT_MS = 5_000
RETRY_PAUSE_S = 0.05  # first pause when the database cannot be written
RETRY_PAUSE_MAX_S = 2.0
READERS = 4  # connections kept for reads; more are opened when they are all in use
PAGE_CACHE_KB = 8_000  # a connection; a worker has one that writes and a few that read
WAL_TRIES, WAL_PAUSE_S = 50, 0.1  # as long as a busy database is waited for
WAL_PAGES = 8_000  # about 32 MB of log between two checkpoints
TO_PUBLISH = "to publish"  # an operation marks its connection so: there are new rows in the outbox


class Operation(msgspec.Struct, Generic[Item, Result], frozen=True):
    """A named handler; lower ranks run first within a commit."""

    name: str
    rank: int
    handler: Callable[[Connection, Sequence[Item]], Sequence[Result]]


class LedgerClosedError(Exception):
    """The ledger was stopped before the item was written: nothing of it is on disk."""


class CommitWatch(Protocol):
    """Who is told of every batch that is written. Must not block, nor raise."""

    def begin_commit(self) -> None:
        """A batch is about to be written."""

    def end_commit(self, items: int) -> None:
        """It was written, or given up at the end."""


class Unwatched:
    """Nobody is told."""

    def begin_commit(self) -> None:
        """Nothing."""

    def end_commit(self, items: int) -> None:
        """Nothing."""


class _Entry:
    __slots__ = ("error", "future", "item", "operation", "result")

    def __init__(
        self, operation: Operation[Any, Any], item: Any, future: "asyncio.Future[Any]"
    ) -> None:
        self.operation = operation
        self.item = item
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


def make_engine(url: str | URL, *, pooled: bool = False) -> Engine:
    """An engine set up as the ledger needs it. Opens no connection.

    `pooled` keeps a few connections open between uses: for the many small reads of a worker.
    """
    pool: type[Pool] = QueuePool if pooled else NullPool
    sized: dict[str, Any] = {"pool_size": READERS, "pool_pre_ping": True} if pooled else {}
    sized["hide_parameters"] = True  # errors are logged, and parameters are events
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return create_engine(
            parsed,
            poolclass=pool,
            isolation_level="READ COMMITTED",
            connect_args=patience(parsed),
            **sized,
        )
    engine = create_engine(
        parsed, poolclass=pool, connect_args={"check_same_thread": False}, **sized
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    _write_ahead(cursor)
    for pragma in (
        "synchronous=FULL",
        f"wal_autocheckpoint={WAL_PAGES}",
        "temp_store=MEMORY",
        f"cache_size=-{PAGE_CACHE_KB}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Turn the write-ahead log on. Two who make a database at once are refused without waiting."""
    for left in reversed(range(WAL_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if not left:
                raise
            time.sleep(WAL_PAUSE_S)
        else:
            return


def _begin_immediate(connection: Connection) -> None:
    options = connection.get_execution_options()
    deferred = options.get("ledger_read_only", False)
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")


class Ledger:
    """The engine with its thread. `start` before anything else; `stop` writes what has gathered."""

    def __init__(self, url: str | URL) -> None:
        self.engine = make_engine(url)
        self._readers = make_engine(url, pooled=True)
        self._queue: queue.SimpleQueue[_Entry | None] = queue.SimpleQueue()
        self._along: deque[_Entry] = deque()
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = threading.Event()
        self.unwritable: str | None = None  # why the last commit failed, until one succeeds
        self.commits = 0
        self.to_publish = 0  # commits that put something into the outbox
        self.items = 0
        self.watch: CommitWatch = Unwatched()  # is told of every batch, on the writer's thread
        self._committed = asyncio.Event()

    def start(self) -> None:
        """Start the writer thread for the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Write what was submitted, then end. Later submissions raise `LedgerClosedError`."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self.engine.dispose()
        self._readers.dispose()

    def submit(self, operation: "Operation[Item, Result]", item: Item) -> "asyncio.Future[Result]":
        """Queue an item; the future ends when its commit is durable, or with its exception."""
        entry = self._entry(operation, item)
        self._queue.put(entry)
        return entry.future

    def submit_along(
        self, operation: "Operation[Item, Result]", item: Item
    ) -> "asyncio.Future[Result]":
        """As `submit`, for what nobody waits for: it goes with the next commit of anything else."""
        entry = self._entry(operation, item)
        self._along.append(entry)
        return entry.future

    def _entry(self, operation: "Operation[Any, Any]", item: Any) -> _Entry:
        if self._loop is None or self._closing.is_set():
            raise LedgerClosedError(operation.name)
        return _Entry(operation, item, self._loop.create_future())

    async def committed(self) -> None:
        """Return after the next commit."""
        self._committed.clear()
        await self._committed.wait()

    async def read(self, query: Callable[[Connection], Result]) -> Result:
        """Run a read-only query on a connection of its own, off the event loop.

        A database that is away is waited for. Raises `LedgerClosedError` once we are stopped.
        """
        pause = RETRY_PAUSE_S
        while True:
            try:
                return await asyncio.to_thread(self.read_now, query)
            except (OperationalError, InterfaceError) as error:
                if self._closing.is_set():
                    raise LedgerClosedError(str(error.orig)) from error
                log.warning(
                    "the ledger cannot be read, trying again: %s",
                    error.orig,
                    extra={"action": "ledger_unreadable"},
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY_PAUSE_MAX_S)

    def read_now(self, query: Callable[[Connection], Result]) -> Result:
        """Run a read-only query and wait for it."""
        with (
            self._readers.connect().execution_options(ledger_read_only=True) as connection,
            connection.begin(),
        ):
            return query(connection)

    # -- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        connection: Connection | None = None
        ending = False
        while not ending:
            first = self._queue.get()
            batch: list[_Entry] = []
            ending = first is None
            if first is not None:
                batch.append(first)
            while len(batch) < MOST_ITEMS:
                try:
                    entry = self._queue.get_nowait()
                except queue.Empty:
                    break
                if entry is None:
                    ending = True
                else:
                    batch.append(entry)
            while self._along and (batch or ending):
                batch.append(self._along.popleft())
            if batch:
                self.watch.begin_commit()
                connection = self._write(connection, batch)
                self.watch.end_commit(len(batch))
                self._answer(batch)
        if connection is not None:
            connection.close()

    def _write(self, connection: Connection | None, batch: list[_Entry]) -> Connection | None:
        pause = RETRY_PAUSE_S
        while True:
            try:
                if connection is None:
                    connection = self.engine.connect()
                with connection.begin():
                    self._apply(connection, batch)
            except Exception as error:  # a thread that ended would leave every caller waiting
                connection = self._give_up(connection)
                self._say_unwritable(error)
                if self._closing.wait(pause):
                    for entry in batch:
                        entry.error = LedgerClosedError(self.unwritable)
                    return connection
                pause = min(pause * 2, RETRY_PAUSE_MAX_S)
            else:
                self.unwritable = None
                self.commits += 1
                self.to_publish += connection.info.pop(TO_PUBLISH, 0)
                self.items += len(batch)
                return connection

    def _say_unwritable(self, error: Exception) -> None:
        defect = None if isinstance(error, DBAPIError) else error
        said = f"a defect, {type(error).__name__}"
        if isinstance(error, DBAPIError):
            said = _said_first(error)
        if self.unwritable is None:
            log.warning(
                "the ledger cannot be written, trying again: %s",
                said,
                exc_info=defect,
                extra={"action": "ledger_unwritable"},
            )
        self.unwritable = said

    @staticmethod
    def _give_up(connection: Connection | None) -> None:
        if connection is None:
            return
        with suppress(Exception):  # it is not used again, whatever it has to say to that
            connection.invalidate()
            connection.close()

    def _apply(self, connection: Connection, batch: list[_Entry]) -> None:
        groups: dict[str, list[_Entry]] = {}
        for entry in sorted(batch, key=lambda e: e.operation.rank):
            entry.error = None
            groups.setdefault(entry.operation.name, []).append(entry)
        for group in groups.values():
            self._apply_group(connection, group)

    def _apply_group(self, connection: Connection, group: list[_Entry]) -> None:
        """Run one operation over its items; if that raises, over each item alone.

        So one item that cannot be written (a bug) fails alone. What the database itself has to
        say (locked, lost, full) goes up: the whole batch is run again.
        """
        try:
            with connection.begin_nested():
                results = group[0].operation.handler(connection, [e.item for e in group])
                for entry, result in zip(group, results, strict=True):
                    entry.result = result
        except Exception as error:
            if is_of_the_database(error):
                raise
            if len(group) == 1:
                log.exception(
                    "ledger operation %s failed",
                    group[0].operation.name,
                    extra={"action": "ledger_operation_failed"},
                )
                group[0].error = error
                return
            for entry in group:
                self._apply_group(connection, [entry])

    def _answer(self, batch: list[_Entry]) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        try:
            loop.call_soon_threadsafe(self._resolve, batch)
        except RuntimeError:  # the loop closed between the two lines: nobody waits any more
            return

    def _resolve(self, batch: list[_Entry]) -> None:
        self._committed.set()
        for entry in batch:
            if entry.future.done():
                continue
            if entry.error is not None:
                entry.future.set_exception(entry.error)
            else:
                entry.future.set_result(entry.result)


def _said_first(error: DBAPIError) -> str:
    """What went wrong at first: a full SQLite also forgets the savepoint that is then undone."""
    first: DBAPIError = error
    found = error.__context__
    while found is not None:
        first = found if isinstance(found, DBAPIError) else first
        found = found.__context__
    return str(first.orig)
