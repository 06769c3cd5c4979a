"""Reading the ledger for people: off the event loop, bounded, and honest where it is away."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import msgspec
from sqlalchemy import Connection
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError

from connectors.redaction import cleared
from streams.ledger.engine import make_engine
from streams.ledger.schema import is_sqlite, problems
from streams.setting_values import without_password

Answer = TypeVar("Answer")

READERS: Final = 4  # queries at once, over all who look
CONNECT_S: Final = 3  # of one try to reach a server
QUERY_MS: Final = 30_000  # of one statement of a server; far more than any page takes

_AWAY: Final = frozenset({OperationalError, DatabaseError})


class Away(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger does not answer: since when (seconds since 1970), where it is, and why."""

    since: float
    place: str
    reason: str


class LedgerAwayError(Exception):
    """The ledger could not be read."""

    def __init__(self, away: Away) -> None:
        super().__init__(away.reason)
        self.away = away


class ConsoleReader:
    """The ledger, read only. Tries anew at each question, so it comes back by itself."""

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self.url = url
        self._now = now
        self._engine: Engine | None = None
        self._file: tuple[int, int] | None = None
        self._making = threading.Lock()
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="console-reader")
        self.away: Away | None = None

    async def ask(self, query: Callable[[Connection], Answer]) -> Answer:
        """Run a read-only query in a thread. Raises `LedgerAwayError`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self.ask_now, query)

    def ask_now(self, query: Callable[[Connection], Answer]) -> Answer:
        """Run a read-only query here. Blocks; raises `LedgerAwayError`."""
        try:
            with self._making:
                engine = self._engine_at_hand()
            with (
                engine.connect().execution_options(ledger_read_only=True) as connection,
                connection.begin(),
            ):
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {QUERY_MS}")
                answer = query(connection)
        except (DatabaseError, InterfaceError, FileNotFoundError, _WrongSchemaError) as error:
            # Of its kinds, one that is neither this nor that says the file is no database.
            if isinstance(error, DatabaseError) and type(error) not in _AWAY:
                raise
            raise self._gone(error) from None
        self.away = None
        return answer

    def close(self) -> None:
        """Close what is open; what is being asked is waited for."""
        self._threads.shutdown(cancel_futures=True)
        self._let_go()

    def _engine_at_hand(self) -> Engine:
        """The engine; made anew, its schema looked at, after it was away or its file replaced."""
        here = _file_of(self.url)
        if here != self._file:
            self._let_go()
        if self._engine is None:
            bounded = self.url
            if not is_sqlite(self.url) and "connect_timeout" not in self.url:
                bounded += f"{'&' if '?' in self.url else '?'}connect_timeout={CONNECT_S}"
            trouble = problems(bounded)
            if trouble is not None:
                raise _WrongSchemaError(trouble)
            self._engine, self._file = make_engine(bounded, pooled=True), here
        return self._engine

    def _let_go(self) -> None:
        engine, self._engine, self._file = self._engine, None, None
        if engine is not None:
            engine.dispose()

    def _gone(self, error: Exception) -> LedgerAwayError:
        self._let_go()
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        reason = cleared(without_password(said[0] if said else type(error).__name__))
        since = self.away.since if self.away is not None else self._now()
        self.away = Away(since=since, place=without_password(self.url), reason=reason)
        return LedgerAwayError(self.away)


class _WrongSchemaError(Exception):
    """The ledger answers, and is another version's."""


def _file_of(url: str) -> tuple[int, int] | None:
    """Which file a SQLite ledger is now. Looking must not make one where there is none."""
    if not is_sqlite(url):
        return None
    found = os.stat(make_url(url).database or "")  # noqa: PTH116 - its name is all there is
    return found.st_dev, found.st_ino
