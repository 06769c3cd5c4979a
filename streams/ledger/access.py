"""Reading what decisions need, in few queries for many deliveries, and locking it."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, select

from streams.core.model import EntityRow, Sibling
from streams.ledger.rows import (
    STATES,
    StoredDelivery,
    delivery_of,
    entity_columns,
    entity_of,
    failure_of,
    open_or_dead,
    stored,
)
from streams.ledger.statements import Among, Row, Statement, insert_or_skip
from streams.ledger.tables import deliveries, entities, lanes

_epochs = select(lanes.c.lane, lanes.c.epoch).where(Among(lanes.c.lane, "lanes"))
_EPOCHS = Statement(
    _epochs, on_postgresql=_epochs.order_by(lanes.c.lane).with_for_update(read=True)
)
_entities = entity_columns.where(Among(entities.c.entity_key, "keys"))
_ENTITIES = Statement(
    _entities, on_postgresql=_entities.order_by(entities.c.entity_key).with_for_update()
)
_SIBLINGS = Statement(
    select(
        deliveries.c.entity_key,
        deliveries.c.ordinal,
        deliveries.c.delivery_id,
        deliveries.c.state,
        deliveries.c.sequence,
        deliveries.c.failure,
    )
    .where(Among(deliveries.c.entity_key, "keys"), open_or_dead)
    .order_by(deliveries.c.entity_key, deliveries.c.ordinal)
)
_DELIVERIES = Statement(stored.where(Among(deliveries.c.ordinal, "ordinals")))
_NEW_ENTITY = insert_or_skip(entities, ("entity_key", "lane"))


def owned(connection: Connection, epochs: Mapping[int, int]) -> frozenset[int]:
    """Of the lanes that the caller believes to own, those it does own in this transaction.

    Their rows stay locked until its end, so that nobody can take one over in between.
    """
    present = epochs_now(connection, epochs)
    return frozenset(lane for lane, epoch in epochs.items() if present.get(lane) == epoch)


def epochs_now(connection: Connection, of: Iterable[int]) -> dict[int, int]:
    """The epochs in force, with their rows locked as `owned` does."""
    return dict(_EPOCHS.rows(connection, {"lanes": sorted(of)}))


def load_entities(connection: Connection, lane_of: Mapping[str, int]) -> dict[str, EntityRow]:
    """Entity rows by key, locked; a row is made for what the ledger does not know yet."""
    found = _read_entities(connection, list(lane_of))
    missing = [key for key in lane_of if key not in found]
    if missing:
        _NEW_ENTITY.each(
            connection, [{"entity_key": key, "lane": lane_of[key]} for key in sorted(missing)]
        )
        found.update(_read_entities(connection, missing))
    return found


def _read_entities(connection: Connection, keys: list[str]) -> dict[str, EntityRow]:
    return {row[0]: entity_of(row) for row in _ENTITIES.rows(connection, {"keys": sorted(keys)})}


def load_siblings(connection: Connection, keys: Iterable[str]) -> dict[str, list[Sibling]]:
    """Open and dead deliveries by the key of their entity, oldest first."""
    found: dict[str, list[Sibling]] = {}
    for row in _SIBLINGS.rows(connection, {"keys": sorted(set(keys))}):
        found.setdefault(row[0], []).append(_sibling(row))
    return found


def _sibling(row: Row) -> Sibling:
    return Sibling(
        ordinal=row[1],
        delivery_id=row[2],
        state=STATES[row[3]],
        sequence=row[4],
        failure=failure_of(row[5]),
    )


def load_deliveries(connection: Connection, ordinals: Iterable[int]) -> dict[int, StoredDelivery]:
    """Deliveries with their events, by ordinal."""
    wanted = sorted(set(ordinals))
    if not wanted:
        return {}
    return {row[0]: delivery_of(row) for row in _DELIVERIES.rows(connection, {"ordinals": wanted})}
