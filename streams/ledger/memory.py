"""A ledger in memory, without a thread: the same operations, one transaction after the other.

For simulations of many short histories: the tables are made once and emptied between them, and
every change of a delivery's state is kept beside, also those within one transaction.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, StaticPool, create_engine

from streams.ledger.engine import Operation
from streams.ledger.prepared import PreparedConnection
from streams.ledger.tables import metadata

Answer = TypeVar("Answer")

STATEMENTS_KEPT = 4_000  # compiled by SQLite, for one connection
_PRAGMAS = ("journal_mode=MEMORY", "synchronous=OFF", "temp_store=MEMORY", "locking_mode=EXCLUSIVE")
_MOVES = """
CREATE TEMP TABLE moves (ordinal INTEGER, old TEXT, new TEXT);
CREATE TEMP TRIGGER moved AFTER UPDATE OF state ON main.deliveries WHEN old.state <> new.state
BEGIN INSERT INTO moves VALUES (old.ordinal, old.state, new.state); END;
"""


class Move(msgspec.Struct, frozen=True):
    """One delivery went from one state to another."""

    ordinal: int
    old: str
    new: str


class Copy(msgspec.Struct, frozen=True):
    """All rows of a ledger at one moment, by table."""

    rows: dict[str, list[Any]]


class MemoryLedger:
    """The database. What its callers promise: one of them at a time."""

    def __init__(self) -> None:
        engine = create_engine(
            "sqlite://",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False, "cached_statements": STATEMENTS_KEPT},
        )
        self._connection = engine.connect()
        metadata.create_all(self._connection)
        self._connection.commit()
        driver: Any = self._connection.connection.driver_connection
        driver.isolation_level = None
        self._raw = driver
        for pragma in _PRAGMAS:
            self._raw.execute(f"PRAGMA {pragma}")
        self._raw.executescript(_MOVES)
        self._fast: Any = PreparedConnection(self._connection)
        self._tables = [*metadata.tables, "sqlite_sequence"]

    def close(self) -> None:
        """Give the memory back."""
        self._connection.close()
        self._connection.engine.dispose()

    def clear(self) -> None:
        """Empty every table; numbering begins anew."""
        self._raw.execute("BEGIN")
        for table in (*self._tables, "moves"):
            self._raw.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own tables
        self._raw.execute("COMMIT")

    @property
    def changes(self) -> int:
        """Rows changed since the beginning of time: equal means that nothing was written."""
        return int(self._raw.total_changes)

    def write(self, batch: Sequence[tuple[Operation[Any, Any], Any]]) -> list[Any]:
        """Run operations as the engine does, by rank, one transaction for all; their results.

        Raises what an operation raises; then nothing is written.
        """
        groups: dict[str, list[int]] = {}
        for place in sorted(range(len(batch)), key=lambda place: batch[place][0].rank):
            groups.setdefault(batch[place][0].name, []).append(place)
        results: list[Any] = [None] * len(batch)
        with self._transaction() as connection:
            for places in groups.values():
                operation = batch[places[0]][0]
                items = [batch[place][1] for place in places]
                for place, result in zip(places, operation.handler(connection, items), strict=True):
                    results[place] = result
        return results

    def read(self, query: Callable[[Connection], Answer]) -> Answer:
        """Run a query as it is run on a connection of its own."""
        return query(self._fast)  # there is nobody who could write meanwhile

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """The connection within a transaction; what raises takes it back."""
        self._raw.execute("BEGIN")
        try:
            yield self._fast
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        self._raw.execute("COMMIT")

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Rows of a query of a check's own, as tuples."""
        return list(self._raw.execute(sql, parameters))

    def execute(self, sql: str, *parameters: Any) -> None:
        """Change something from outside, as a person with a database shell would."""
        self._raw.execute(sql, parameters)

    def moves(self) -> list[Move]:
        """Every change of state since the last call, in order."""
        found = [Move(*row) for row in self._raw.execute("SELECT * FROM moves ORDER BY rowid")]
        if found:
            self._raw.execute("DELETE FROM moves")
        return found

    def copy(self) -> Copy:
        """A backup."""
        return Copy(
            {
                table: list(self._raw.execute(f"SELECT * FROM {table}"))  # noqa: S608 - as above
                for table in self._tables
            }
        )

    def restore(self, copy: Copy) -> None:
        """Be as a backup was."""
        self.clear()
        self._raw.execute("BEGIN")
        for table, rows in copy.rows.items():
            self._raw.execute(f"DELETE FROM {table}")  # noqa: S608 - as above
            if rows:
                marks = ",".join("?" * len(rows[0]))
                self._raw.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608
        self._raw.execute("COMMIT")
