"""The dead as a person looks through them: newest failure first, or oldest, page by page.

A page reads one index from where the page before ended. What that index does not sort by is
looked at row by row, and only so many of them: a page may end before it is full, and says so.
"""

import heapq
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, literal_column, select, tuple_

from schemas.failures import FailureClass, FailureCode
from streams.core.model import entity_key
from streams.core.states import State
from streams.ledger.dead import Dead, dead_delivery, dead_letter
from streams.ledger.rows import open_or_dead, state_is
from streams.ledger.tables import deliveries, letters

LOOKED_AT: Final = 2_000  # rows of one page at most: a filter that fits hardly anything ends too
FIRST_READ: Final = 100  # rows of the first query of a page
READ: Final = 1_000  # and of those after it

_DELIVERY, _LETTER = "d", "l"
_CURSOR: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)~([dl])~([0-9a-zA-Z-]{1,64})")


class BadPlaceError(Exception):
    """A place that no page has given."""


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the dead. None: all. Times are seconds since 1970.

    `integrations`: every one that an entity may be in, for a filter by entity. `company`: whose
    letters are shown too. `delivered`: no letters without a delivery.
    """

    code: FailureCode | None = None
    klass: FailureClass | None = None
    company: str | None = None
    integration: str | None = None
    entity: str | None = None
    cause: str | None = None
    since: float | None = None
    until: float | None = None
    integrations: tuple[str, ...] = ()
    text: Callable[[Dead], bool] | None = None

    def fits(self, dead: Dead) -> bool:
        """Whether what the index was not asked for fits too."""
        return (
            (self.code is None or dead.failure.code is self.code)
            and (self.klass is None or dead.failure.failure_class is self.klass)
            and (self.company is None or dead.company == self.company)
            and (self.integration is None or dead.integration == self.integration)
            and (self.since is None or dead.last_failed_at >= self.since)
            and (self.until is None or dead.last_failed_at <= self.until)
            and (self.text is None or self.text(dead))
        )


class Place(msgspec.Struct, frozen=True):
    """Where a page ended: when that one failed, whether it is a delivery or a letter, and its id.

    The id of a delivery is its ordinal.
    """

    at: float
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.at!r}~{self.kind}~{self.name}"


class DeadPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the dead. `next`: where the next page begins, None at the end.

    `broken_off`: it is not full because so many rows were looked at.
    """

    dead: tuple[Dead, ...]
    next: str | None = None
    broken_off: bool = False


def place_of(text: str | None) -> Place | None:
    """Read a place back. Raises `BadPlaceError`."""
    if text is None:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None or (match[2] == _DELIVERY and not match[3].isdigit()):
        raise BadPlaceError(text)
    return Place(float(match[1]), match[2], match[3])


def sought_page(
    connection: Connection, sought: Sought, *, after: str | None, limit: int, newest: bool = True
) -> DeadPage:
    """At most `limit` of the dead that fit. Raises `BadPlaceError`."""
    found: list[Dead] = []
    last: Place | None = None
    rows = _rows(connection, sought, place_of(after), newest=newest)
    for looked_at, (place, dead) in enumerate(rows, 1):
        fits = sought.fits(dead)
        if fits and len(found) == limit:
            return DeadPage(dead=tuple(found), next=str(last))
        if fits:
            found.append(dead)
        if fits or len(found) < limit:
            last = place
        if looked_at >= max(LOOKED_AT, limit + 1):
            return DeadPage(dead=tuple(found), next=str(last), broken_off=len(found) < limit)
    return DeadPage(dead=tuple(found))


def all_sought(connection: Connection, sought: Sought, most: int) -> tuple[list[Dead], bool]:
    """The oldest that fit, at most so many, and whether these are all. Reads what it must."""
    rows = _rows(connection, sought, None, newest=False)
    found = list(islice((dead for _, dead in rows if sought.fits(dead)), most + 1))
    return found[:most], len(found) <= most


_Rows = Iterator[tuple[Place, Dead]]


def _rows(connection: Connection, sought: Sought, after: Place | None, *, newest: bool) -> _Rows:
    sources = [_deliveries(connection, sought, after, newest=newest)]
    if sought.integration is None and sought.entity is None and sought.cause is None:
        sources.append(_letters(connection, sought, after, newest=newest))
    # Of the same moment, deliveries come before letters, whichever way.
    return heapq.merge(*sources, key=lambda one: -one[0].at if newest else one[0].at)


def _deliveries(
    connection: Connection, sought: Sought, after: Place | None, *, newest: bool
) -> _Rows:
    order = (deliveries.c.last_failed_at, deliveries.c.ordinal)
    columns = (
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
    )
    base = (
        select(*order, *(deliveries.c[name] for name in columns))
        .where(state_is(State.DEAD), *_index_for(sought))
        .where(*_between(order[0], sought))
        .order_by(*(one.desc() if newest else one for one in order))
    )
    place: tuple[float, int] | None = None
    condition: ColumnElement[bool] | None = None
    if after is not None and after.kind == _DELIVERY:
        place = (after.at, int(after.name))
    elif after is not None:
        condition = order[0] < after.at if newest else order[0] > after.at
    size = FIRST_READ
    while True:
        query = base.limit(size)
        if place is not None:
            query = query.where(tuple_(*order) < place if newest else tuple_(*order) > place)
        elif condition is not None:
            query = query.where(condition)
        rows = list(connection.execute(query))
        for row in rows:
            yield Place(row.last_failed_at, _DELIVERY, str(row.ordinal)), dead_delivery(row)
        if len(rows) < size:
            return
        place, size = (rows[-1].last_failed_at, rows[-1].ordinal), READ


def _index_for(sought: Sought) -> list[ColumnElement[bool]]:
    """Conditions that one index answers in order; the others are looked at row by row."""
    if sought.entity is not None:
        kind, _, number = sought.entity.partition("/")
        of = (sought.integration,) if sought.integration is not None else sought.integrations
        keys = [entity_key(name, kind, number) for name in of]
        return [open_or_dead, deliveries.c.entity_key.in_(keys)]
    if sought.cause is not None and sought.integration is not None and sought.code is not None:
        return [
            deliveries.c.integration == sought.integration,
            deliveries.c.failure_code == sought.code.value,
            deliveries.c.cause == sought.cause,
        ]
    if sought.code is not None:
        return [deliveries.c.failure_code == sought.code.value]
    if sought.integration is not None:
        return [deliveries.c.integration == sought.integration]
    if sought.company is not None:
        return [deliveries.c.company == sought.company]
    return []


def _between(column: Any, sought: Sought) -> Iterable[ColumnElement[bool]]:
    if sought.since is not None:
        yield column >= sought.since
    if sought.until is not None:
        yield column <= sought.until


def _letters(connection: Connection, sought: Sought, after: Place | None, *, newest: bool) -> _Rows:
    order = (letters.c.received_at, letters.c.letter_id)
    columns = ("key", "company", "failure", "replays", "last_failed_at")
    base = (
        select(*order, *(letters.c[name] for name in columns))
        .where(literal_column("letters.state = 'dead'"), *_between(order[0], sought))
        .order_by(*(one.desc() if newest else one for one in order))
    )
    place: tuple[float, str] | None = None
    condition: ColumnElement[bool] | None = None
    if after is not None and after.kind == _LETTER:
        place = (after.at, after.name)
    elif after is not None:
        condition = order[0] <= after.at if newest else order[0] >= after.at
    size = FIRST_READ
    while True:
        query = base.limit(size)
        if place is not None:
            query = query.where(tuple_(*order) < place if newest else tuple_(*order) > place)
        elif condition is not None:
            query = query.where(condition)
        rows = list(connection.execute(query))
        for row in rows:
            yield Place(row.received_at, _LETTER, row.letter_id), dead_letter(row)
        if len(rows) < size:
            return
        place, size = (rows[-1].received_at, rows[-1].letter_id), READ
