"""INSERT that leaves what is there, in the words of the database at hand; lists cut to size."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

KEYS_A_QUERY = 400  # bound parameters are limited; SQLite's lowest common limit is 999


def insert_new(connection: Connection, table: Table) -> Any:
    """INSERT … ON CONFLICT DO NOTHING in the words of the database at hand."""
    return _insert_new(connection.dialect.name, table)


@lru_cache(maxsize=64)
def _insert_new(dialect_name: str, table: Table) -> Any:
    dialect = sqlite if dialect_name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


def chunks(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut a list of keys so that each part fits into one query."""
    for start in range(0, len(keys), KEYS_A_QUERY):
        yield keys[start : start + KEYS_A_QUERY]
