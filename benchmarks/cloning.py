"""Fills a ledger with a great many rows that mirror real ones, by statements inside the database.

A real worker brings one delivery into the state that is wanted; its rows in every table are the
pattern. A clone has the pattern's rows with its own numbers, ids, company and lane in the place
of the pattern's, in texts and inside blobs alike. Replaced texts have one length, so that
lengths written into blobs stay right.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Column, LargeBinary, String, Table, func, select, text
from sqlalchemy.engine import Connection

from streams.ledger import tables
from streams.ledger.engine import make_engine

CHUNK: Final = 50_000  # clones prepared at a time: bounds the harness's memory
# Columns that hold the number of a clone's event, or of its delivery.
EVENT_COLUMNS: Final = frozenset({("inbox", "event_pk"), ("deliveries", "event_pk")})
ORDINAL_COLUMNS: Final = frozenset(
    {
        ("deliveries", "ordinal"),
        ("attempts", "ordinal"),
        ("outbox", "delivery_ordinal"),
        ("notices", "ordinal"),
        ("entities", "applied_ordinal"),
    }
)
# Numbered by the database itself.
OWN_NUMBERS: Final = frozenset(
    {("attempts", "attempt_pk"), ("outbox", "position"), ("notices", "notice_pk")}
)
LANE_COLUMNS: Final = frozenset(
    {("deliveries", "lane"), ("entities", "lane"), ("outbox", "lane"), ("inbox", "partition")}
)


class Pattern(msgspec.Struct, frozen=True):
    """What is cloned: rows of tables, and the texts in them that a clone has its own of."""

    rows: tuple[tuple[Table, Mapping[str, Any]], ...]
    texts: tuple[str, ...]


class Clone(msgspec.Struct, frozen=True, array_like=True):
    """One clone: its lane, and its texts in the place of the pattern's, each of the same length."""

    lane: int
    texts: tuple[str, ...]


def delivery_pattern(url: str, entity_key: str, texts: Sequence[str]) -> Pattern:
    """The rows of the one delivery of an entity, its event and its entity among them.

    The delivery's id is added to the texts, as the last. Raises LookupError where there is none.
    """
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            found = _rows(connection, tables.deliveries, "entity_key", entity_key)
            if len(found) != 1:
                raise LookupError(f"{len(found)} deliveries of {entity_key!r}")
            delivery = found[0]
            ordinal = delivery["ordinal"]
            rows = [(tables.deliveries, delivery)]
            for table, column, value in (
                (tables.inbox, "event_pk", delivery["event_pk"]),
                (tables.entities, "entity_key", entity_key),
                (tables.attempts, "ordinal", ordinal),
                (tables.outbox, "delivery_ordinal", ordinal),
                (tables.notices, "ordinal", ordinal),
            ):
                rows += [(table, row) for row in _rows(connection, table, column, value)]
    finally:
        engine.dispose()
    return Pattern(tuple(rows), (*texts, delivery["delivery_id"]))


def entity_pattern(url: str, entity_key: str, texts: Sequence[str]) -> Pattern:
    """The row of an entity alone."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            rows = _rows(connection, tables.entities, "entity_key", entity_key)
    finally:
        engine.dispose()
    return Pattern(tuple((tables.entities, row) for row in rows), tuple(texts))


def _rows(connection: Connection, table: Table, column: str, value: object) -> list[dict[str, Any]]:
    found = connection.execute(select(table).where(table.c[column] == value))
    return [dict(row._mapping) for row in found]  # noqa: SLF001 - its documented name


def clone(url: str, pattern: Pattern, clones: Iterable[Clone]) -> int:
    """Put clones into the ledger, which no worker may have open; returns how many.

    Blocks for as long as the database takes, some ten seconds for a million.
    """
    engine = make_engine(url)
    done = 0
    try:
        with engine.begin() as connection:
            event = connection.scalar(select(func.max(tables.inbox.c.event_pk))) or 0
            ordinal = connection.scalar(select(func.max(tables.deliveries.c.ordinal))) or 0
            _make_list(connection, len(pattern.texts))
            for some in _chunks(clones):
                _fill_list(connection, some, len(pattern.texts))
                for table, row in pattern.rows:
                    bases = {"event": event + done + 1, "ordinal": ordinal + done + 1}
                    connection.execute(
                        text(_statement(connection, table, row, pattern.texts)), bases
                    )
                done += len(some)
            connection.exec_driver_sql("DROP TABLE clones")
            _number_on(connection)
    finally:
        engine.dispose()
    return done


def _chunks(clones: Iterable[Clone]) -> Iterable[list[Clone]]:
    some: list[Clone] = []
    for one in clones:
        some.append(one)
        if len(some) == CHUNK:
            yield some
            some = []
    if some:
        yield some


def _make_list(connection: Connection, width: int) -> None:
    columns = ", ".join(f"r{index} TEXT" for index in range(width))
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE clones (k BIGINT, lane INT, {columns})")


def _fill_list(connection: Connection, some: Sequence[Clone], width: int) -> None:
    connection.exec_driver_sql("DELETE FROM clones")
    rows = [(k, one.lane, *one.texts) for k, one in enumerate(some)]
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy("COPY clones FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" for _ in range(width + 2))
    connection.exec_driver_sql(f"INSERT INTO clones VALUES ({marks})", rows)  # noqa: S608 - ours


def _statement(
    connection: Connection, table: Table, row: Mapping[str, Any], texts: Sequence[str]
) -> str:
    """Insert the clones of one row of the pattern; the row itself is read where it stands."""
    columns = [c for c in table.columns if (table.name, c.name) not in OWN_NUMBERS]
    postgresql = connection.dialect.name == "postgresql"
    values = [_value(table, column, row, texts, postgresql=postgresql) for column in columns]
    key = next(iter(table.primary_key.columns))
    wanted = row[key.name]
    place = f"'{wanted}'" if isinstance(wanted, str) else str(wanted)
    names = ", ".join(f'"{column.name}"' for column in columns)
    return (
        f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values)} "  # noqa: S608 - ours
        f'FROM clones AS c, {table.name} AS s WHERE s."{key.name}" = {place}'
    )


def _value(
    table: Table,
    column: Column[Any],
    row: Mapping[str, Any],
    texts: Sequence[str],
    *,
    postgresql: bool,
) -> str:
    place = (table.name, column.name)
    if place in EVENT_COLUMNS:
        return "CAST(:event AS BIGINT) + c.k"
    if place in ORDINAL_COLUMNS and row[column.name] is not None:
        return "CAST(:ordinal AS BIGINT) + c.k"
    if place in LANE_COLUMNS:
        return "c.lane"
    value, own = row[column.name], f's."{column.name}"'
    if isinstance(column.type, String) and isinstance(value, str):
        return _replaced(own, [i for i, one in enumerate(texts) if one in value], texts)
    if isinstance(column.type, LargeBinary) and value is not None:
        data = bytes(value)
        inside = [i for i, one in enumerate(texts) if one.encode() in data]
        if not inside:
            return own
        if postgresql:
            return _overlaid(own, data, texts)
        return f"CAST({_replaced(f'CAST({own} AS TEXT)', inside, texts)} AS BLOB)"
    return own


def _replaced(expression: str, inside: Sequence[int], texts: Sequence[str]) -> str:
    for index in inside:
        expression = f"replace({expression}, '{texts[index]}', c.r{index})"
    return expression


def _overlaid(expression: str, data: bytes, texts: Sequence[str]) -> str:
    """PostgreSQL has no `replace` of bytes: each place in the pattern's own bytes is overlaid."""
    for index, one in enumerate(texts):
        sought, start = one.encode(), 0
        while (at := data.find(sought, start)) >= 0:
            expression = (
                f"overlay({expression} PLACING convert_to(c.r{index}, 'UTF8') "
                f"FROM {at + 1} FOR {len(sought)})"
            )
            start = at + len(sought)
    return expression


def _number_on(connection: Connection) -> None:
    """Let PostgreSQL number on after the clones; SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for table, column in (("inbox", "event_pk"), ("deliveries", "ordinal")):
        connection.exec_driver_sql(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), "  # noqa: S608 - ours
            f"(SELECT max({column}) FROM {table}))"
        )
