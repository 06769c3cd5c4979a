"""How many are dead of what: counted in an index, however many there are."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, func, literal_column, select

from schemas.failures import FACTS, FailureCode
from streams.core.states import State
from streams.ledger.dead import (
    Dead,
    Filter,
    all_dead,
    dead_delivery,
    dead_letter,
    dead_where,
    delivery_columns,
    letter_columns,
    letters_where,
)
from streams.ledger.rows import state_is
from streams.ledger.tables import deliveries, letters


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Dead ones of one code, class and integration (None: letters without a delivery).

    Times are seconds since 1970; `newest` is one of those that failed last.
    """

    code: str
    klass: str
    integration: str | None
    count: int
    oldest_at: float
    newest_at: float
    newest: Dead


def dead_groups(connection: Connection, wanted: Filter) -> list[Group]:
    """Everything dead that fits, the most first.

    With a text each one is looked at; without, an index of the dead is read from end to end.
    """
    if wanted.text is not None:
        groups = _gathered(all_dead(connection, wanted))
    else:
        groups = list(_deliveries(connection, wanted))
        if not wanted.names_deliveries:
            groups += _letters(connection, wanted)
    return sorted(groups, key=lambda group: (-group.count, group.code, group.integration or ""))


def _gathered(found: Iterable[Dead]) -> list[Group]:
    groups: dict[tuple[str, str, str | None], Group] = {}
    for dead in found:
        key = (dead.failure.code.value, dead.failure.failure_class.value, dead.integration)
        at, known = dead.last_failed_at, groups.get(key)
        groups[key] = Group(
            code=key[0],
            klass=key[1],
            integration=key[2],
            count=1 if known is None else known.count + 1,
            oldest_at=at if known is None else min(at, known.oldest_at),
            newest_at=at if known is None else max(at, known.newest_at),
            newest=dead if known is None or at >= known.newest_at else known.newest,
        )
    return list(groups.values())


def _deliveries(connection: Connection, wanted: Filter) -> Iterator[Group]:
    row = deliveries.c
    conditions = [state_is(State.DEAD), *dead_where(wanted, in_order=False)]
    query = (
        select(
            row.integration,
            row.failure_code,
            row.failure_class,
            func.count().label("many"),
            func.min(row.last_failed_at).label("oldest"),
            func.max(row.last_failed_at).label("newest"),
        )
        .where(*conditions)
        .group_by(row.integration, row.failure_code, row.failure_class)
    )
    for group in connection.execute(query).all():
        newest = delivery_columns.where(
            *conditions,
            row.integration == group.integration,
            row.failure_code == group.failure_code,
            row.failure_class == group.failure_class,
            row.last_failed_at == group.newest,
        )
        found = connection.execute(newest.limit(1)).first()
        if found is not None:
            yield _group(group, group.failure_class, group.integration, dead_delivery(found))


def _letters(connection: Connection, wanted: Filter) -> Iterator[Group]:
    """Every letter is read: its code stands in its failure alone."""
    code = _code(connection)
    at = func.coalesce(letters.c.last_failed_at, letters.c.received_at)
    conditions = letters_where(wanted)
    query = (
        select(
            code.label("failure_code"),
            func.count().label("many"),
            func.min(at).label("oldest"),
            func.max(at).label("newest"),
        )
        .where(*conditions)
        .group_by(code)
    )
    for group in connection.execute(query).all():
        klass = FACTS[FailureCode(group.failure_code)][0]
        if not (_is(wanted.code, group.failure_code) and _is(wanted.klass, klass)):
            continue
        newest: Select[Any] = letter_columns.where(
            *conditions, code == group.failure_code, at == group.newest
        )
        found = connection.execute(newest.limit(1)).first()
        if found is not None:
            yield _group(group, klass.value, None, dead_letter(found))


def _is(wanted: str | None, found: str) -> bool:
    return wanted is None or wanted == found


def _code(connection: Connection) -> Any:
    """A letter's code, in the words of each database."""
    sqlite = "json_extract(CAST(letters.failure AS TEXT), '$.code')"
    postgresql = "convert_from(letters.failure, 'UTF8')::json->>'code'"
    return literal_column(sqlite if connection.dialect.name == "sqlite" else postgresql)


def _group(row: Any, klass: str, integration: str | None, newest: Dead) -> Group:
    return Group(
        code=row.failure_code,
        klass=klass,
        integration=integration,
        count=row.many,
        oldest_at=row.oldest,
        newest_at=row.newest,
        newest=newest,
    )
