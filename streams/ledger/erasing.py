"""Erasing a scope in short transactions, and then the bytes that the database has let go of."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Self, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from streams.ledger.engine import make_engine
from streams.ledger.forgetting import Erased, Scope, Survey, note, survey, unpublished
from streams.ledger.forgotten_rows import (
    EVENTS_A_TRANSACTION,
    erase_events,
    erase_letters,
    erase_told,
)
from streams.ledger.tables import metadata

Answer = TypeVar("Answer")

# A worker that holds the lock, a deadlock with one, a server that restarts: over within seconds.
TRIES: Final = 20
TRY_AGAIN_S: Final = 0.5


class Eraser:
    """A ledger of which a scope is erased. Blocks; raises what the database does after `TRIES`."""

    def __init__(self, url: str, scope: Scope) -> None:
        self._engine = make_engine(url)
        self._scope = scope

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def survey(self) -> Survey:
        """What there is; changes nothing."""
        return self._read(lambda connection: survey(connection, self._scope))

    def unpublished(self) -> int:
        """How many outcomes of the scope are still to be published."""
        return self._read(lambda connection: unpublished(connection, self._scope))

    def erase(
        self, found: Survey, advance: Callable[[int], None], *, at: float, who: str, why: str
    ) -> Erased:
        """Erase all that has ended; `advance` is told of so many more events. May be repeated."""
        erased, scope = Erased(), self._scope
        for first in range(0, len(found.events), EVENTS_A_TRANSACTION):
            some = found.events[first : first + EVENTS_A_TRANSACTION]
            erased.add(self._write(partial(erase_events, found=found, event_pks=some)))
            advance(len(some))
        erased.add(self._write(lambda c: erase_letters(c, scope)))
        erased.add(self._write(lambda c: erase_told(c, scope, found.kept_customers)))
        self._write(lambda c: note(c, scope, at=at, who=who, why=why, erased=erased))
        return erased

    def let_go(self, *, rewrite: bool) -> str | None:
        """Take the bytes out of the ledger's files; why that is not done wholly, or None.

        SQLite's files are written anew. PostgreSQL's tables are vacuumed: with `rewrite` they are
        written anew, each under a lock that workers wait for.
        """
        if self._engine.dialect.name == "sqlite":
            return self._shrink_sqlite()
        words = "VACUUM (FULL, ANALYZE)" if rewrite else "VACUUM (ANALYZE)"
        trouble = None
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # What the planner keeps of values that were frequent is data too.
            for name in (*(table.name for table in metadata.sorted_tables), "pg_statistic"):
                try:
                    connection.exec_driver_sql(f"{words} {name}")
                except DBAPIError as error:
                    trouble = f"{name} could not be vacuumed: {error.orig}"
        return trouble

    def _shrink_sqlite(self) -> str | None:
        raw = self._engine.raw_connection()
        try:
            driver: Any = raw.driver_connection
            driver.execute("VACUUM")
            for _ in range(TRIES):
                busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                if not busy:
                    return None
                time.sleep(TRY_AGAIN_S)
        except driver.Error as error:
            return f"the file could not be written anew: {error}"
        finally:
            raw.close()
        return "somebody reads an older state of the ledger: its log still has it; run this again"

    def _read(self, query: Callable[[Connection], Answer]) -> Answer:
        def once() -> Answer:
            plain = self._engine.connect().execution_options(ledger_read_only=True)
            with plain as connection, connection.begin():
                return query(connection)

        return _patiently(once)

    def _write(self, step: Callable[[Connection], Answer]) -> Answer:
        def once() -> Answer:
            with self._engine.begin() as connection:
                return step(connection)

        return _patiently(once)


def _patiently(once: Callable[[], Answer]) -> Answer:
    for _ in range(TRIES - 1):
        try:
            return once()
        except (OperationalError, InterfaceError):
            time.sleep(TRY_AGAIN_S)
    return once()
