"""What a delivery waited for before it went, told when it is over.

While it waits, its row says so. Afterwards it follows from the ledger: a parent that got into the
books by us for the first time after the delivery came, and before it was tried, had its gate
closed (design section 5.4).
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, func, select

from schemas.events import EntityType
from streams.core.states import State
from streams.ledger.rows import StoredDelivery
from streams.ledger.tables import deliveries, inbox

_THROUGH = (State.APPLIED.value, State.UNCHANGED.value)


class Waited(msgspec.Struct, frozen=True, kw_only=True):
    """`delivery` waited for `parent` (`customer/100042`) until `until` (seconds since 1970)."""

    delivery: StoredDelivery
    parent: str
    until: float


class _Named(msgspec.Struct, rename="camel"):
    project_number: str | None = None


class _Enveloped(msgspec.Struct, rename="camel"):
    project_number: str | None = None
    data: _Named | None = None


_named = msgspec.json.Decoder(_Enveloped)


def waited(
    connection: Connection, found: Sequence[StoredDelivery], tried_at: Mapping[int, float]
) -> Iterable[Waited]:
    """The waits of these deliveries that are over; `tried_at`: first attempts, by ordinal."""
    known: dict[tuple[str, str, str, str], float | None] = {}
    for delivery in found:
        first = tried_at.get(delivery.ordinal)
        if first is None:
            continue
        for kind, number in _parents(delivery):
            place = (delivery.company, delivery.integration, kind.value, number)
            if place not in known:
                known[place] = _first_in_books(connection, *place)
            there_at = known[place]
            if there_at is not None and delivery.received_at < there_at <= first:
                yield Waited(delivery=delivery, parent=f"{kind.value}/{number}", until=there_at)


def _parents(delivery: StoredDelivery) -> Iterable[tuple[EntityType, str]]:
    if delivery.entity_type is EntityType.CUSTOMER:
        return
    yield EntityType.CUSTOMER, delivery.customer_number
    if delivery.entity_type is EntityType.INVOICE and (project := _project(delivery)) is not None:
        yield EntityType.PROJECT, project


def _project(delivery: StoredDelivery) -> str | None:
    try:
        said = _named.decode(delivery.record.value or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return said.project_number or (said.data.project_number if said.data is not None else None)


def _first_in_books(
    connection: Connection, company: str, integration: str, kind: str, number: str
) -> float | None:
    query = (
        select(func.min(deliveries.c.settled_at))
        .join(inbox, inbox.c.event_pk == deliveries.c.event_pk)
        .where(
            inbox.c.company == company,
            inbox.c.entity_type == kind,
            inbox.c.number == number,
            deliveries.c.integration == integration,
            deliveries.c.state.in_(_THROUGH),
        )
    )
    return connection.execute(query).scalar()
