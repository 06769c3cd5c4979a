"""What the ledger last heard of an entity, whatever became of it."""

from typing import Any

from sqlalchemy import Connection, func, select

from schemas.events import EntityType
from schemas.wire import Record
from streams.core.model import EntityRow
from streams.ledger.rows import entity_columns, entity_of, unpack_headers
from streams.ledger.tables import entities, inbox


def last_event(
    connection: Connection, company: str, entity_type: EntityType, number: str
) -> Record | None:
    """The record of an entity's last state: by `sequence` where given, else by receipt.

    None where there is none, or it was forgotten.
    """
    query = (
        select(inbox)
        .where(
            inbox.c.company == company,
            inbox.c.entity_type == entity_type.value,
            inbox.c.number == number,
        )
        .order_by(func.coalesce(inbox.c.sequence, -1).desc(), inbox.c.event_pk.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return None if row is None or is_forgotten(row) else record_of(row)


def is_forgotten(row: Any) -> bool:
    """Whether a row of the inbox was erased but for its numbers (`forgetting.py`)."""
    return row.value is None


def record_of(row: Any) -> Record:
    """A row that has the inbox's columns, as the record that came."""
    return Record(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        timestamp_ms=row.timestamp_ms,
        key=row.key,
        value=row.value,
        headers=unpack_headers(row.headers),
    )


def load_entity(connection: Connection, key: str) -> EntityRow | None:
    """One entity's row, without a lock; None where the ledger does not know it."""
    row = connection.execute(entity_columns.where(entities.c.entity_key == key)).first()
    return None if row is None else entity_of(row)
