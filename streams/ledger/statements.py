"""Statements of the hot path: composed by SQLAlchemy once, run by the driver from then on.

From a composed statement to its rows SQLAlchemy's own way costs many times what the database
needs for it. What is not run for every event is better left to it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ClauseElement, ColumnElement, Connection, Table, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import Boolean

Values = Mapping[str, Any]
Row = tuple[Any, ...]

_DIALECTS: dict[str, Any] = {
    "sqlite": sqlite.dialect(paramstyle="named"),
    "postgresql": postgresql.psycopg.dialect(),  # type: ignore[no-untyped-call]  # SQLAlchemy left it untyped
}
_json = msgspec.json.Encoder()

# Told of every statement that is run here, with its values: for tests that look at plans and count.
listeners: list[Callable[[str, Any], None]] = []


class Among(ColumnElement[bool]):
    """`column` is one of the list bound to `name`: the same statement for lists of any length.

    With `but=True`: it is none of them.
    """

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: ColumnElement[Any], name: str, *, but: bool = False) -> None:
        self.column = column
        self.name = name
        self.but = but

    def self_group(self, against: Any = None) -> "Among":
        """It stands as it is: `… = 1` around it would keep SQLite from using an index."""
        del against
        return self


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: Any, **_: Any) -> str:
    column, word = compiler.process(element.column), "NOT IN" if element.but else "IN"
    values = compiler.process(bindparam(element.name))
    return f"{column} {word} (SELECT value FROM json_each({values}))"  # noqa: S608 - names of ours


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: Any, **_: Any) -> str:
    # Bare: the driver knows what a list is a list of.
    compiler.process(bindparam(element.name))
    word = "<> ALL" if element.but else "= ANY"
    return f"{compiler.process(element.column)} {word}(%({element.name})s)"


class Statement:
    """One statement. `postgresql` takes its place there, where rows are locked or words differ."""

    def __init__(
        self, statement: ClauseElement, *, on_postgresql: ClauseElement | None = None
    ) -> None:
        there = statement if on_postgresql is None else on_postgresql
        self._composed = {"sqlite": statement, "postgresql": there}
        self._compiled: dict[str, tuple[str, dict[str, Any]]] = {}

    def rows(self, connection: Connection, values: Values) -> list[Row]:
        """Run it once and return what it found. Lists are bound whole. May block.

        Raises SQLAlchemy's `DBAPIError` as SQLAlchemy would.
        """
        sql, bound = self._bind(connection, values)
        try:
            found: list[Row] = _driver(connection).execute(sql, bound).fetchall()
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, sql, error) from error
        return found

    def each(self, connection: Connection, many: Sequence[Values]) -> None:
        """Run it for each set of values, for what it changes. May block; raises as `rows`."""
        if not many:
            return
        sql, _ = self._ready(connection)
        for listener in listeners:
            listener(sql, many)
        cursor = _driver(connection).cursor()
        try:
            cursor.executemany(sql, many)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, sql, error) from error

    def run(self, connection: Connection, values: Values) -> None:
        """Run it once, for what it changes. May block; raises as `rows`."""
        sql, bound = self._bind(connection, values)
        try:
            _driver(connection).execute(sql, bound)
        except connection.dialect.loaded_dbapi.Error as error:
            raise _told(connection, sql, error) from error

    def _ready(self, connection: Connection) -> tuple[str, dict[str, Any]]:
        name = connection.dialect.name
        ready = self._compiled.get(name)
        if ready is None:
            compiled = self._composed[name].compile(dialect=_DIALECTS[name])
            fixed = {key: value for key, value in compiled.params.items() if value is not None}
            ready = self._compiled[name] = (str(compiled), fixed)
        return ready

    def _bind(self, connection: Connection, values: Values) -> tuple[str, dict[str, Any]]:
        sql, fixed = self._ready(connection)
        bound = {**fixed, **values}
        if connection.dialect.name == "sqlite":
            for key, value in bound.items():
                if isinstance(value, list):
                    bound[key] = _json.encode(value).decode()
        for listener in listeners:
            listener(sql, bound)
        return sql, bound


def insert_or_skip(table: Table, columns: Iterable[str]) -> Statement:
    """INSERT of these columns; a row that is there already stays as it is."""
    values: dict[str, Any] = {name: bindparam(name) for name in columns}
    return Statement(
        sqlite.insert(table).values(values).on_conflict_do_nothing(),
        on_postgresql=postgresql.insert(table).values(values).on_conflict_do_nothing(),
    )


def _driver(connection: Connection) -> Any:
    """The driver's own connection: what it runs belongs to the transaction that is open."""
    return connection.connection.driver_connection


def _told(connection: Connection, sql: str, error: Any) -> BaseException:
    """The error as SQLAlchemy tells it; without the values, which are somebody's data."""
    dialect = connection.dialect
    told: BaseException = DBAPIError.instance(
        sql, None, error, dialect.loaded_dbapi.Error, dialect=dialect
    )
    return told
