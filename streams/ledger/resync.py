"""Resync: the last known state of a company's entities, as new deliveries (design 5.10).

Customers first, then projects, and invoices only from a date that a person names. A bounded
stretch a transaction; the command's `progress` says where to go on. Opening deliveries needs no
lane: it is guarded by their ids, which are made from command, entity and integration.
"""

import hashlib
from typing import Any

from sqlalchemy import Connection, func, select

from connectors.integrations import Integration
from schemas.events import EntityType, Invoice
from streams.core.model import entity_key
from streams.ledger.act import REFUSED, Act
from streams.ledger.inserting import insert_new
from streams.ledger.last_states import is_forgotten, record_of
from streams.ledger.resuming import NOT_SET_UP
from streams.ledger.tables import deliveries, entities, inbox

CHUNK = 200  # entities in one transaction

# `progress` holds the phase above this bit, and below it the event that was the last one done.
_PHASE_BITS = 56
_PHASES = (EntityType.CUSTOMER, EntityType.PROJECT, EntityType.INVOICE)


def resync(act: Act) -> None:
    """Open the next stretch; `act.done` says whether it was the last one."""
    data = act.command.data
    targets = act.directory.integrations(integration=data.integration, company=data.company)
    if not targets:
        act.tell(REFUSED, integration=data.integration, refusal=NOT_SET_UP)
        return
    phase, after = act.progress >> _PHASE_BITS, act.progress & ((1 << _PHASE_BITS) - 1)
    kind = _PHASES[phase]
    last = len(_PHASES) - 1 if data.invoices_from is not None else len(_PHASES) - 2
    rows = _last_events(act.connection, targets[0].company, kind, after)
    for one in targets:
        if act.directory.carries(one, kind):
            _open(act, one, kind, rows)
    if len(rows) == CHUNK:
        act.progress = (phase << _PHASE_BITS) | rows[-1].event_pk
        act.done = False
    elif phase < last:
        act.progress = (phase + 1) << _PHASE_BITS
        act.done = False
    else:
        _tell_end(act, targets)


def _tell_end(act: Act, targets: list[Integration]) -> None:
    since = act.command.data.invoices_from
    for one in targets:
        act.tell("resynced", integration=one.id, invoicesFrom=since)


def _last_events(connection: Connection, company: str, kind: EntityType, after: int) -> list[Any]:
    """The last event of each entity, by number, behind the entity of the event `after`."""
    of_kind = (inbox.c.company == company, inbox.c.entity_type == kind.value)
    behind = select(inbox.c.number).where(inbox.c.event_pk == after).scalar_subquery()
    numbers = select(inbox.c.number).where(*of_kind).distinct()
    if after:
        numbers = numbers.where(inbox.c.number > behind)
    some = [row.number for row in connection.execute(numbers.order_by(inbox.c.number).limit(CHUNK))]
    if not some:
        return []
    rank = (
        func.row_number()
        .over(
            partition_by=inbox.c.number,
            order_by=(func.coalesce(inbox.c.sequence, -1).desc(), inbox.c.event_pk.desc()),
        )
        .label("rank")
    )
    ranked = select(*inbox.c, rank).where(*of_kind, inbox.c.number.in_(some)).subquery()
    query = select(ranked).where(ranked.c.rank == 1).order_by(ranked.c.number)
    return list(connection.execute(query))


def _open(act: Act, integration: Integration, kind: EntityType, events: list[Any]) -> None:
    known = [event for event in events if not is_forgotten(event)]
    wanted = [event for event in known if _is_wanted(act, event)]
    booked = _booked_events(act.connection, integration, wanted) if kind in _IMMUTABLE else {}
    newest = [booked.get(event.number, event) for event in wanted]
    chosen = [event for event in newest if not is_forgotten(event)]
    edited = _edits(act.connection, integration.id, [event.event_pk for event in chosen])
    rows = [
        {
            "delivery_id": resync_id(act.command.source, act.command.id, integration.id, key),
            "event_pk": event.event_pk,
            "integration": integration.id,
            "company": event.company,
            "entity_key": key,
            "entity_type": kind.value,
            "number": event.number,
            "customer_number": event.customer_number,
            "lane": act.directory.lane(event.company, event.customer_number),
            "sequence": event.sequence,
            "state": "ready",
            "rewrite": True,
            "system": integration.system.value,
            "edited": edited.get(event.event_pk),
            "received_at": act.now.wall,
        }
        for event in chosen
        for key in (entity_key(integration.id, kind, event.number),)
    ]
    if rows:
        act.connection.execute(insert_new(act.connection, deliveries), rows)
        act.woken.add(integration.id)


_IMMUTABLE = frozenset({EntityType.INVOICE})


def _is_wanted(act: Act, event: Any) -> bool:
    since = act.command.data.invoices_from
    if event.entity_type != EntityType.INVOICE:
        return True
    entity = act.rules.read(record_of(event))
    return since is not None and isinstance(entity, Invoice) and entity.invoice_date >= since


def _booked_events(
    connection: Connection, integration: Integration, events: list[Any]
) -> dict[str, Any]:
    """Of invoices that are booked, the event that was: a later one of the number is another."""
    keys = [entity_key(integration.id, EntityType.INVOICE, event.number) for event in events]
    query = (
        select(inbox)
        .join(deliveries, deliveries.c.event_pk == inbox.c.event_pk)
        .join(entities, entities.c.applied_ordinal == deliveries.c.ordinal)
        .where(entities.c.entity_key.in_(keys))
    )
    return {row.number: row for row in connection.execute(query)}


def _edits(connection: Connection, integration: str, event_pks: list[int]) -> dict[int, bytes]:
    """What a person has edited is the state that counts, not the event."""
    query = (
        select(deliveries.c.event_pk, deliveries.c.edited)
        .where(
            deliveries.c.event_pk.in_(event_pks),
            deliveries.c.integration == integration,
            deliveries.c.edited.is_not(None),
        )
        .order_by(deliveries.c.ordinal)
    )
    return {row.event_pk: row.edited for row in connection.execute(query)}


def resync_id(source: str, command: str, integration: str, key: str) -> str:
    """The id of the delivery that a resync opens: the same however often it is run."""
    text = f"resync\0{source}\0{command}\0{integration}\0{key}"
    digits = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
