"""Rows of events and of the deliveries that they open: written once, found again."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, func, select

from schemas.wire import Record
from streams.ledger.arrivals import NewEvent
from streams.ledger.inserting import insert_new
from streams.ledger.last_states import is_forgotten, record_of
from streams.ledger.rows import pack_headers
from streams.ledger.statements import Among, Statement, insert_or_skip
from streams.ledger.tables import deliveries, inbox

_EVENT = (
    "source",
    "ce_id",
    "ce_type",
    "digest",
    "digest_version",
    "topic",
    "partition",
    "offset",
    "timestamp_ms",
    "key",
    "value",
    "headers",
    "company",
    "entity_type",
    "number",
    "customer_number",
    "sequence",
    "received_at",
)
_DELIVERY = (
    "delivery_id",
    "event_pk",
    "integration",
    "system",
    "company",
    "entity_key",
    "entity_type",
    "number",
    "customer_number",
    "lane",
    "sequence",
    "state",
    "received_at",
)
_NEW_EVENT = insert_or_skip(inbox, _EVENT)
_NEW_DELIVERY = insert_or_skip(deliveries, _DELIVERY)
_HIGHEST = Statement(select(func.coalesce(func.max(inbox.c.event_pk), 0)))
_ABOVE = Statement(
    select(inbox.c.event_pk, inbox.c.source, inbox.c.ce_id).where(
        inbox.c.event_pk > bindparam("before")
    )
)

# One source at a time: for a list of pairs SQLite would read the whole table.
_KNOWN = Statement(
    select(
        *(inbox.c[name] for name in ("source", "ce_id", "event_pk", "digest", "digest_version")),
        *(inbox.c[name] for name in ("topic", "partition", "offset")),
        select(deliveries.c.ordinal)
        .where(deliveries.c.event_pk == inbox.c.event_pk)
        .exists()
        .label("delivered"),
    ).where(inbox.c.source == bindparam("source"), Among(inbox.c.ce_id, "ids"))
)


def insert_events(connection: Connection, events: Sequence[NewEvent]) -> dict[tuple[str, str], int]:
    """Write events that are new; their row numbers by source and id. The others are left out."""
    if not events:
        return {}
    rows = [
        {
            "source": e.source,
            "ce_id": e.ce_id,
            "ce_type": e.ce_type,
            "digest": e.digest,
            "digest_version": e.digest_version,
            "topic": e.record.topic,
            "partition": e.record.partition,
            "offset": e.record.offset,
            "timestamp_ms": e.record.timestamp_ms,
            "key": e.record.key,
            "value": e.record.value,
            "headers": pack_headers(e.record.headers),
            "company": e.company,
            "entity_type": e.entity_type,
            "number": e.number,
            "customer_number": e.customer_number,
            "sequence": e.sequence,
            "received_at": e.received_at,
        }
        for e in events
    ]
    if connection.dialect.name == "sqlite":
        # The only writer: what is above the highest number of before is what was new.
        ((before,),) = _HIGHEST.rows(connection, {})
        _NEW_EVENT.each(connection, rows)
        new = _ABOVE.rows(connection, {"before": before})
    else:
        statement = insert_new(connection, inbox).returning(
            inbox.c.event_pk, inbox.c.source, inbox.c.ce_id
        )
        new = [tuple(row) for row in connection.execute(statement, rows)]
    return {(source, ce_id): event_pk for event_pk, source, ce_id in new}


class KnownEvent(NamedTuple):
    """An event that is there already: who it is, where it came from, whether it opened deliveries.

    Without the record itself, which is read only where a digest of another version needs it.
    """

    source: str
    ce_id: str
    event_pk: int
    digest: bytes
    digest_version: int
    topic: str
    partition: int
    offset: int
    delivered: bool

    @property
    def place(self) -> tuple[str, int, int]:
        """Where it was on Kafka."""
        return self.topic, self.partition, self.offset


def known_events(
    connection: Connection, repeats: Sequence[NewEvent]
) -> dict[tuple[str, str], KnownEvent]:
    """Events that were there before, by source and id."""
    ids: dict[str, set[str]] = {}
    for event in repeats:
        ids.setdefault(event.source, set()).add(event.ce_id)
    rows = (
        KnownEvent(*row)
        for source, some in ids.items()
        for row in _KNOWN.rows(connection, {"source": source, "ids": sorted(some)})
    )
    return {(row.source, row.ce_id): row for row in rows}


def stored_record(connection: Connection, event_pk: int) -> Record | None:
    """The record of an event, None where its content was forgotten."""
    row = connection.execute(select(inbox).where(inbox.c.event_pk == event_pk)).one()
    return None if is_forgotten(row) else record_of(row)


def open_deliveries(connection: Connection, opened: Sequence[tuple[int, NewEvent]]) -> None:
    """Open the deliveries of events, by row number; one that is there already stays."""
    rows = [
        {
            "delivery_id": d.delivery_id,
            "event_pk": event_pk,
            "integration": d.integration,
            "system": d.system,
            "company": e.company,
            "entity_key": d.entity_key,
            "entity_type": e.entity_type,
            "number": e.number,
            "customer_number": e.customer_number,
            "lane": d.lane,
            "sequence": e.sequence,
            "state": "ready",
            "received_at": e.received_at,
        }
        for event_pk, e in opened
        for d in e.deliveries
    ]
    _NEW_DELIVERY.each(connection, rows)
