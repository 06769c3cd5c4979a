"""What a look-up needs to know of a delivery that was claimed earlier, by whomever."""

import msgspec
from sqlalchemy import Connection, select

from connectors.integrations import Integration
from schemas.events import Customer, Entity, EntityType
from schemas.failures import Reference
from streams.core.model import EntityRow, entity_key
from streams.ledger.last_states import last_event, load_entity
from streams.ledger.rows import StoredDelivery, reference_of
from streams.ledger.rules import Rules
from streams.ledger.tables import entities


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The event, its mapped content, and what the books call the entity and its parents."""

    event: Entity
    content: bytes
    row: EntityRow
    parents: dict[EntityType, Reference | None]
    customer_event: Customer | None


def load_context(
    connection: Connection,
    rules: Rules,
    delivery: StoredDelivery,
    integration: Integration,
) -> Context:
    """Read it all; changes nothing."""
    event = rules.event(delivery)
    row = load_entity(connection, delivery.entity_key)
    parents: dict[EntityType, Reference | None] = {}
    for parent in rules.parents(event, integration):
        key = entity_key(integration.id, parent.entity_type, parent.number)
        query = select(entities.c.reference).where(entities.c.entity_key == key)
        parents[parent.entity_type] = reference_of(connection.execute(query).scalar())
    record = last_event(connection, delivery.company, EntityType.CUSTOMER, delivery.customer_number)
    customer = rules.read(record) if record is not None else None
    return Context(
        event=event,
        content=rules.content(event, integration),
        row=row or EntityRow(key=delivery.entity_key),
        parents=parents,
        customer_event=customer if isinstance(customer, Customer) else None,
    )
