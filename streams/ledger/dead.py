"""What is dead now, for people: deliveries, and letters that never became one.

Pages by key, so that a page costs the same however many there are; one page reads a bounded
number of rows, and says where to go on when it stopped for that.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, select, tuple_

from schemas.failures import Failure, FailureClass, FailureCode
from streams.core.states import State
from streams.ledger.letters import DEAD
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
    if wanted.integration is None and wanted.entity is None:
        yield from _dead_letters(connection, wanted, place)


def _place(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return _DELIVERY, ""
    kind, _, place = cursor.partition(":")
    if kind == _DELIVERY and place.isdigit():
        return kind, place
    parts = place.rsplit("/", 2)
    if kind == _LETTER and len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():  # noqa: PLR2004 - topic, partition, offset
        return kind, place
    raise BadCursorError(cursor)


def _dead_deliveries(
    connection: Connection, wanted: Filter, after: int
) -> Iterator[tuple[str, Dead]]:
    conditions: list[ColumnElement[bool]] = [state_is(State.DEAD)]
    if wanted.company is not None:
        conditions.append(deliveries.c.company == wanted.company)
    if wanted.integration is not None:
        conditions.append(deliveries.c.integration == wanted.integration)
    if wanted.since is not None:
        conditions.append(deliveries.c.last_failed_at >= wanted.since)
    if wanted.entity is not None:
        kind, _, number = wanted.entity.partition("/")
        conditions += [deliveries.c.entity_type == kind, deliveries.c.number == number]
    columns = (
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
    while True:
        query = (
            select(*(deliveries.c[name] for name in columns))
            .where(*conditions, deliveries.c.ordinal > after)
            .order_by(deliveries.c.ordinal)
            .limit(READ_A_QUERY)
        )
        rows = list(connection.execute(query))
        for row in rows:
            yield f"{_DELIVERY}:{row.ordinal}", _dead_delivery(row)
        if len(rows) < READ_A_QUERY:
            return
        after = rows[-1].ordinal


def _dead_delivery(row: Any) -> Dead:
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
    place = (letters.c.topic, letters.c.partition, letters.c.offset)
    conditions: list[ColumnElement[bool]] = [letters.c.state == DEAD]
    if wanted.company is not None:
        conditions.append(letters.c.company == wanted.company)
    if wanted.since is not None:
        conditions.append(letters.c.received_at >= wanted.since)
    while True:
        query = select(
            letters.c.letter_id,
            letters.c.key,
            letters.c.company,
            letters.c.failure,
            letters.c.received_at,
            *place,
        ).where(*conditions)
        if after:
            topic, partition, offset = after.rsplit("/", 2)
            query = query.where(tuple_(*place) > (topic, int(partition), int(offset)))
        rows = list(connection.execute(query.order_by(*place).limit(READ_A_QUERY)))
        for row in rows:
            after = f"{row.topic}/{row.partition}/{row.offset}"
            yield f"{_LETTER}:{after}", _dead_letter(row)
        if len(rows) < READ_A_QUERY:
            return


def _dead_letter(row: Any) -> Dead:
    return Dead(
        delivery_id=row.letter_id,
        failure=failure_of(row.failure) or _UNKNOWN,
        company=row.company,
        lane_key=row.key,
        last_failed_at=row.received_at,
    )
