"""What is dead now, for people: deliveries, and letters that never became one.

Pages by key, so that a page costs the same however many there are. What a text is looked for in
is made here and not in the database: such a page looks at a bounded number of rows, and says
where to go on when it stopped for that.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, func, literal_column, select, tuple_

from schemas.failures import Failure, FailureClass, FailureCode
from streams.core.states import State
from streams.ledger.rows import failure_of, state_is
from streams.ledger.tables import deliveries, letters

READ_A_QUERY = 500
READ_A_PAGE = 20_000  # rows looked at for one page: a filter that fits hardly anything ends too

_DELIVERY, _LETTER = "d", "l"


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """One dead delivery, or one letter without: then there is no integration and no entity.

    `entity` is `invoice/1001`. Times are seconds since 1970.
    """

    delivery_id: str
    failure: Failure
    company: str | None
    integration: str | None = None
    entity: str | None = None
    customer_number: str | None = None
    lane_key: bytes | None = None  # of a letter: the key that it came under
    attempts: int = 0
    replays: int = 0
    last_failed_at: float


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead ones. None: all. `since`: seconds since 1970. `text` is asked of each."""

    code: FailureCode | None = None
    klass: FailureClass | None = None
    company: str | None = None
    integration: str | None = None
    entity: str | None = None
    since: float | None = None
    text: Callable[[Dead], bool] | None = None

    def fits(self, dead: Dead) -> bool:
        """Whether what the database was not asked for fits too."""
        return (
            (self.code is None or dead.failure.code is self.code)
            and (self.klass is None or dead.failure.failure_class is self.klass)
            and (self.text is None or self.text(dead))
        )

    @property
    def names_deliveries(self) -> bool:
        """Whether no letter can fit: it belongs to no integration and to no entity."""
        return self.integration is not None or self.entity is not None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the dead, and where the next page begins; None: these were the last."""

    dead: tuple[Dead, ...]
    next: str | None = None


class BadCursorError(Exception):
    """A cursor that no page has given."""


def dead_page(connection: Connection, wanted: Filter, *, after: str | None, limit: int) -> Page:
    """At most `limit` of the dead that fit, oldest first, deliveries before letters.

    Raises `BadCursorError`.
    """
    found: list[Dead] = []
    for looked_at, (cursor, dead) in enumerate(_rows(connection, wanted, after), 1):
        if wanted.fits(dead):
            found.append(dead)
        if len(found) == limit or looked_at == READ_A_PAGE:
            return Page(dead=tuple(found), next=cursor)
    return Page(dead=tuple(found))


def all_dead(connection: Connection, wanted: Filter) -> Iterator[Dead]:
    """All that fit, in the order of the pages; holds one query's rows at a time."""
    return (dead for _, dead in _rows(connection, wanted, None) if wanted.fits(dead))


def _rows(connection: Connection, wanted: Filter, after: str | None) -> Iterator[tuple[str, Dead]]:
    kind, place = _place(after)
    if kind == _DELIVERY:
        yield from _dead_deliveries(connection, wanted, int(place) if place else 0)
        place = ""
    if not wanted.names_deliveries:
        yield from _dead_letters(connection, wanted, place)


def _place(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return _DELIVERY, ""
    kind, _, place = cursor.partition(":")
    if kind == _DELIVERY and place.isdigit():
        return kind, place
    at, slash, name = place.partition("/")
    with contextlib.suppress(ValueError):
        if kind == _LETTER and slash and name and math.isfinite(float(at)):
            return kind, place
    raise BadCursorError(cursor)


delivery_columns = select(
    *(
        deliveries.c[name]
        for name in (
            "ordinal",
            "delivery_id",
            "company",
            "integration",
            "entity_type",
            "number",
            "customer_number",
            "failure",
            "attempts",
            "replays",
            "received_at",
            "last_failed_at",
        )
    )
)
letter_columns = select(
    *(
        letters.c[name]
        for name in (
            "received_at",
            "letter_id",
            "key",
            "company",
            "failure",
            "replays",
            "last_failed_at",
        )
    )
)


def _dead_deliveries(
    connection: Connection, wanted: Filter, after: int
) -> Iterator[tuple[str, Dead]]:
    query = (
        delivery_columns.where(state_is(State.DEAD), *dead_where(wanted, in_order=True))
        .order_by(deliveries.c.ordinal)
        .limit(READ_A_QUERY)
    )
    while True:
        rows = list(connection.execute(query.where(deliveries.c.ordinal > after)))
        for row in rows:
            yield f"{_DELIVERY}:{row.ordinal}", dead_delivery(row)
        if len(rows) < READ_A_QUERY:
            return
        after = rows[-1].ordinal


def dead_where(wanted: Filter, *, in_order: bool) -> list[ColumnElement[bool]]:
    """The filter as conditions on dead deliveries, but for the text.

    `in_order`: so that the index of the order is used and no other, which would give all that
    fit to be sorted, be it a million.
    """
    row = deliveries.c
    named = (
        (row.failure_code, wanted.code),
        (row.failure_class, wanted.klass),
        (row.company, wanted.company),
        (row.integration, wanted.integration),
    )
    found: list[ColumnElement[bool]] = [
        (column.concat("") if in_order else column) == str(value)
        for column, value in named
        if value is not None
    ]
    if wanted.since is not None:
        at = row.last_failed_at + 0 if in_order else row.last_failed_at
        found.append(at >= wanted.since)
    if wanted.entity is not None:
        kind, _, number = wanted.entity.partition("/")
        found += [row.entity_type == kind, row.number == number]
    return found


def dead_delivery(row: Any) -> Dead:
    """One row of `delivery_columns` as a value."""
    return Dead(
        delivery_id=row.delivery_id,
        failure=failure_of(row.failure) or _UNKNOWN,
        company=row.company,
        integration=row.integration,
        entity=f"{row.entity_type}/{row.number}",
        customer_number=row.customer_number,
        attempts=row.attempts,
        replays=row.replays,
        last_failed_at=row.last_failed_at or row.received_at,
    )


# A dead delivery always has its failure; should one not, it must still be listed.
_UNKNOWN = Failure(code=FailureCode.ANSWER_NOT_UNDERSTOOD)


def _dead_letters(connection: Connection, wanted: Filter, after: str) -> Iterator[tuple[str, Dead]]:
    place = (letters.c.received_at, letters.c.letter_id)
    query = letter_columns.where(*letters_where(wanted)).order_by(*place).limit(READ_A_QUERY)
    while True:
        some = query
        if after:
            at, _, name = after.partition("/")
            some = query.where(tuple_(*place) > (float(at), name))
        rows = list(connection.execute(some))
        for row in rows:
            after = f"{row.received_at!r}/{row.letter_id}"
            yield f"{_LETTER}:{after}", dead_letter(row)
        if len(rows) < READ_A_QUERY:
            return


def letters_where(wanted: Filter) -> list[ColumnElement[bool]]:
    """The filter as conditions on dead letters, but for code, class and text."""
    conditions: list[ColumnElement[bool]] = [literal_column("letters.state = 'dead'").self_group()]
    if wanted.company is not None:
        conditions.append(letters.c.company == wanted.company)
    if wanted.since is not None:
        at = func.coalesce(letters.c.last_failed_at, letters.c.received_at)
        conditions.append(at >= wanted.since)
    return conditions


def dead_letter(row: Any) -> Dead:
    """One row of `letter_columns` as a value."""
    return Dead(
        delivery_id=row.letter_id,
        failure=failure_of(row.failure) or _UNKNOWN,
        company=row.company,
        lane_key=row.key,
        replays=row.replays,
        last_failed_at=row.last_failed_at or row.received_at,
    )
