"""What the ledger says of the books, and what events have named: read in bounded pieces.

For `check` and `verify`. Pages are by key, each query on its own, so that no transaction stays
open while an accounting system is asked.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from schemas.events import EntityType
from schemas.failures import Reference
from schemas.wire import Record
from streams.core.model import entity_key
from streams.core.states import OPEN, State
from streams.ledger.inserting import chunks
from streams.ledger.last_states import is_forgotten, record_of
from streams.ledger.rows import reference_of, state_is
from streams.ledger.tables import bookings, books, deliveries, entities, inbox


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One entity that is in the books as far as the ledger knows.

    `content` is what was applied last, None where that is not known or a write is in doubt.
    `at`: when it was booked, on the wall clock; 0.0 for what is not booked.
    """

    number: str
    reference: Reference | None
    content: bytes | None
    at: float = 0.0


def books_of(connection: Connection, integration: str) -> str | None:
    """The identity of an integration's books, None where nobody has asked yet."""
    query = select(books.c.identity).where(books.c.integration == integration)
    return connection.execute(query).scalar_one_or_none()


def how_many(connection: Connection, integration: str, identity: str | None) -> int:
    """How many records the books should hold of ours."""
    booked = select(func.count()).select_from(bookings).where(bookings.c.books == identity)
    found = int(connection.execute(booked).scalar_one())
    for entity_type in (EntityType.CUSTOMER, EntityType.PROJECT):
        query = select(func.count()).select_from(entities).where(_of(integration, entity_type))
        found += int(connection.execute(query).scalar_one())
    return found


# --- customers and projects ----------------------------------------------------------------------


def entities_by_number(
    connection: Connection, integration: str, entity_type: EntityType, numbers: Iterable[str]
) -> dict[str, Recorded]:
    """Those of these numbers that are in the books."""
    keys = [entity_key(integration, entity_type, number) for number in numbers]
    found: dict[str, Recorded] = {}
    for part in chunks(keys):
        query = select(entities).where(entities.c.entity_key.in_(part), entities.c.in_books)
        for row in connection.execute(query):
            one = _entity(row)
            found[one.number] = one
    return found


def entities_after(
    connection: Connection,
    integration: str,
    entity_type: EntityType,
    after: str,
    limit: int,
) -> list[Recorded]:
    """The next ones in the books, by key; `after` is a number, empty for the beginning."""
    query = (
        select(entities)
        .where(
            entities.c.entity_key > entity_key(integration, entity_type, after),
            _of(integration, entity_type),
        )
        .order_by(entities.c.entity_key)
        .limit(limit)
    )
    return [_entity(row) for row in connection.execute(query)]


def _of(integration: str, entity_type: EntityType) -> Any:
    prefix = entity_key(integration, entity_type, "")
    return entities.c.in_books & entities.c.entity_key.startswith(prefix, autoescape=True)


def _entity(row: Any) -> Recorded:
    settled = not row.dirty and row.claimed_by is None
    return Recorded(
        number=row.entity_key.rpartition("\x1f")[2],
        reference=reference_of(row.reference),
        content=row.content if settled else None,
    )


# --- invoices ------------------------------------------------------------------------------------


def bookings_by_number(
    connection: Connection, identity: str, numbers: Iterable[str]
) -> dict[str, Recorded]:
    """Those of these invoice numbers that are booked."""
    found: dict[str, Recorded] = {}
    for part in chunks(list(numbers)):
        query = select(bookings).where(bookings.c.books == identity, bookings.c.number.in_(part))
        found.update({row.number: _booking(row) for row in connection.execute(query)})
    return found


def bookings_after(connection: Connection, identity: str, after: str, limit: int) -> list[Recorded]:
    """The next booked invoices, by number as text; `after` is empty for the beginning."""
    query = (
        select(bookings)
        .where(bookings.c.books == identity, bookings.c.number > after)
        .order_by(bookings.c.number)
        .limit(limit)
    )
    return [_booking(row) for row in connection.execute(query)]


def _booking(row: Any) -> Recorded:
    return Recorded(
        number=row.number,
        reference=reference_of(row.reference),
        content=row.content,
        at=row.booked_at,
    )


def open_and_dead(
    connection: Connection, integration: str, numbers: Sequence[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """Invoices of these numbers with an open delivery, and those with a dead one."""
    keys = [entity_key(integration, EntityType.INVOICE, number) for number in numbers]
    states: dict[State, set[str]] = {}
    for part in chunks(keys):
        query = select(deliveries.c.number, deliveries.c.state).where(
            deliveries.c.entity_key.in_(part), state_is(*OPEN, State.DEAD)
        )
        for row in connection.execute(query):
            states.setdefault(State(row.state), set()).add(row.number)
    dead = states.pop(State.DEAD, set())
    return frozenset().union(*states.values()), frozenset(dead)


# --- what events have named ---------------------------------------------------------------------


def newest_events(
    connection: Connection,
    company: str,
    entity_type: EntityType,
    before: int | None,
    limit: int,
) -> tuple[list[Record], int | None]:
    """Records of a company, newest first, and what to pass as `before` for older ones."""
    query = select(inbox).where(
        inbox.c.company == company, inbox.c.entity_type == entity_type.value
    )
    if before is not None:
        query = query.where(inbox.c.event_pk < before)
    rows = connection.execute(query.order_by(inbox.c.event_pk.desc()).limit(limit)).all()
    known = [record_of(row) for row in rows if not is_forgotten(row)]
    return known, rows[-1].event_pk if len(rows) == limit else None


def customer_numbers(connection: Connection, company: str) -> tuple[str, ...]:
    """Every customer number that a company's events have had, in order."""
    query = (
        select(inbox.c.number)
        .where(inbox.c.company == company, inbox.c.entity_type == EntityType.CUSTOMER.value)
        .distinct()
        .order_by(inbox.c.number)
    )
    return tuple(connection.execute(query).scalars())
