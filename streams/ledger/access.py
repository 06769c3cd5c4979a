"""Reading what decisions need, in few queries for many deliveries, and locking it."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from schemas.failures import Failure
from streams.core.model import EntityRow, Sibling
from streams.core.states import State
from streams.ledger.intake import chunks, insert_new
from streams.ledger.rows import (
    StoredDelivery,
    delivery_of,
    entity_of,
    failure_of,
    open_or_dead,
    stored,
)
from streams.ledger.tables import deliveries, entities, lanes

# Statements are built once: composing one costs more than running it.
_EPOCHS = select(lanes.c.lane, lanes.c.epoch).where(
    lanes.c.lane.in_(bindparam("lanes", expanding=True))
)
_EPOCHS_LOCKED = _EPOCHS.order_by(lanes.c.lane).with_for_update(read=True)
_ENTITIES = select(entities).where(entities.c.entity_key.in_(bindparam("keys", expanding=True)))
_ENTITIES_LOCKED = _ENTITIES.order_by(entities.c.entity_key).with_for_update()
_SIBLINGS = (
    select(
        deliveries.c.ordinal,
        deliveries.c.delivery_id,
        deliveries.c.entity_key,
        deliveries.c.state,
        deliveries.c.sequence,
        deliveries.c.failure,
    )
    .where(
        deliveries.c.entity_key.in_(bindparam("keys", expanding=True)),
        open_or_dead,
    )
    .order_by(deliveries.c.entity_key, deliveries.c.ordinal)
)


def owned(connection: Connection, epochs: Mapping[int, int]) -> frozenset[int]:
    """Of the lanes that the caller believes to own, those it does own in this transaction.

    Their rows stay locked until its end, so that nobody can take one over in between.
    """
    present = epochs_now(connection, epochs)
    return frozenset(lane for lane, epoch in epochs.items() if present.get(lane) == epoch)


def epochs_now(connection: Connection, of: Iterable[int]) -> dict[int, int]:
    """The epochs in force, with their rows locked as `owned` does."""
    query = _EPOCHS_LOCKED if connection.dialect.name == "postgresql" else _EPOCHS
    return {row.lane: row.epoch for row in connection.execute(query, {"lanes": sorted(of)})}


def locked(connection: Connection, query: Select[Any]) -> Select[Any]:
    """The query with a lock on the deliveries it finds, as they are when the lock is had.

    A worker may supersede what waits in another's lane: whoever moves first is seen by the other.
    """
    if connection.dialect.name != "postgresql":
        return query
    return query.with_for_update(of=deliveries)


def load_entities(connection: Connection, lane_of: Mapping[str, int]) -> dict[str, EntityRow]:
    """Entity rows by key, locked; a row is made for what the ledger does not know yet."""
    found = _read_entities(connection, list(lane_of))
    missing = [key for key in lane_of if key not in found]
    if missing:
        rows = [{"entity_key": key, "lane": lane_of[key]} for key in missing]
        connection.execute(insert_new(connection, entities), rows)
        found.update(_read_entities(connection, missing))
    return found


def _read_entities(connection: Connection, keys: list[str]) -> dict[str, EntityRow]:
    found: dict[str, EntityRow] = {}
    for part in chunks(sorted(keys)):
        query = _ENTITIES_LOCKED if connection.dialect.name == "postgresql" else _ENTITIES
        for row in connection.execute(query, {"keys": part}):
            found[row.entity_key] = entity_of(row)
    return found


def load_siblings(connection: Connection, keys: Iterable[str]) -> dict[str, list[Sibling]]:
    """Open and dead deliveries by the key of their entity, oldest first."""
    found: dict[str, list[Sibling]] = {}
    for part in chunks(sorted(set(keys))):
        for row in connection.execute(_SIBLINGS, {"keys": part}):
            found.setdefault(row.entity_key, []).append(_sibling(row))
    return found


def _sibling(row: Any) -> Sibling:
    failure: Failure | None = failure_of(row.failure)
    return Sibling(
        ordinal=row.ordinal,
        delivery_id=row.delivery_id,
        state=State(row.state),
        sequence=row.sequence,
        failure=failure,
    )


def load_deliveries(connection: Connection, ordinals: Iterable[int]) -> dict[int, StoredDelivery]:
    """Deliveries with their events, by ordinal."""
    found: dict[int, StoredDelivery] = {}
    for part in chunks(sorted(set(ordinals))):
        for row in connection.execute(stored.where(deliveries.c.ordinal.in_(part))):
            found[row.ordinal] = delivery_of(row)
    return found
