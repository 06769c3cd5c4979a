"""The whole story of an entity, or of one delivery, as the ledger has it (interface section 7)."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from schemas.failures import Failure
from schemas.outcomes import FAILURES_TOPIC, RESULTS_TOPIC, Outcome, decode_outcome
from streams.ledger.inserting import chunks
from streams.ledger.queries import Said, said_of
from streams.ledger.replays import load_by_id
from streams.ledger.rows import StoredDelivery, delivery_of, reference_of, stored
from streams.ledger.story_parking import waited
from streams.ledger.tables import attempts, audit, bookings, deliveries, entities, inbox, outbox

MOST_EVENTS = 200  # of one entity that are told, the newest
MOST_DELIVERIES = 500
MOST_LINES = 5_000  # attempts and outcomes that are told, the newest

_exchanges = msgspec.json.Decoder(list[dict[str, Any]])


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened. `at`: seconds since 1970; `facts` are ready to be shown."""

    at: float
    what: str
    facts: dict[str, Any]


class Known(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the accounting system of an integration is known to have of the entity."""

    integration: str
    in_books: bool
    reference: Any = None


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """In order of time. `whole`: nothing was left out for its length."""

    deliveries: tuple[StoredDelivery, ...]
    known: tuple[Known, ...]
    lines: tuple[Line, ...]
    whole: bool
    customer_number: str | None = None


def story_of_entity(connection: Connection, company: str, kind: str, number: str) -> Story | None:
    """All that is known of one entity, in all its integrations; None where it has no event."""
    query = (
        select(inbox)
        .where(inbox.c.company == company, inbox.c.entity_type == kind, inbox.c.number == number)
        .order_by(inbox.c.event_pk.desc())
        .limit(MOST_EVENTS)
    )
    events = list(connection.execute(query))[::-1]
    if not events:
        return None
    return _story(connection, events, _deliveries_of(connection, events))


def story_of_delivery(connection: Connection, delivery_id: str) -> Story | None:
    """All that is known of one delivery; None where there is none of this id."""
    found = list(load_by_id(connection, [delivery_id]).values())
    if not found:
        return None
    query = select(inbox).where(inbox.c.event_pk == found[0].event_pk)
    return _story(connection, list(connection.execute(query)), found)


def _deliveries_of(connection: Connection, events: Sequence[Any]) -> list[StoredDelivery]:
    query = (
        stored.where(deliveries.c.event_pk.in_([event.event_pk for event in events]))
        .order_by(deliveries.c.ordinal.desc())
        .limit(MOST_DELIVERIES)
    )
    return [delivery_of(row) for row in connection.execute(query)][::-1]


def _story(connection: Connection, events: Sequence[Any], found: Sequence[StoredDelivery]) -> Story:
    by_ordinal = {delivery.ordinal: delivery for delivery in found}
    tried = _attempts(connection, by_ordinal)
    told = _outcomes(connection, by_ordinal)
    lines = [_event(row) for row in events]
    lines += [_delivery(delivery) for delivery in found]
    lines += tried + told + _said(connection, found) + _booked(connection, found)
    lines += _waited(connection, found)
    lines.sort(key=lambda line: line.at)
    short = len(events) < MOST_EVENTS and len(found) < MOST_DELIVERIES
    return Story(
        deliveries=tuple(found),
        known=tuple(_known(connection, {d.entity_key: d.integration for d in found})),
        lines=tuple(lines),
        whole=short and max(len(tried), len(told)) < MOST_LINES,
        customer_number=events[-1].customer_number,
    )


def _event(row: Any) -> Line:
    facts = {
        "id": row.ce_id,
        "source": row.source,
        "type": row.ce_type,
        "topic": row.topic,
        "partition": row.partition,
        "offset": row.offset,
        "sequence": None if row.sequence is None else str(row.sequence),
    }
    return Line(at=row.received_at, what="event", facts=facts)


def _delivery(delivery: StoredDelivery) -> Line:
    """Opened then; and where it is now, with the parent that it waits for."""
    parts = (delivery.waits_key or "").split("\x1f")
    waits_for = "/".join(parts[1:]) if delivery.waits_key else None
    facts = {
        "deliveryId": delivery.delivery_id,
        "integration": delivery.integration,
        "eventId": delivery.ce_id,
        "state": delivery.state.value,
        "waitsFor": waits_for,
        "attempts": delivery.attempts,
        "replays": delivery.replays,
        "failure": _failure(delivery.failure),
        "edited": True if delivery.edited is not None else None,
    }
    return Line(at=delivery.received_at, what="delivery", facts=facts)


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    found: dict[str, Any] = msgspec.to_builtins(failure)
    return {**found, "class": failure.failure_class.value}


def _attempts(connection: Connection, by_ordinal: dict[int, StoredDelivery]) -> list[Line]:
    lines = []
    for part in chunks(sorted(by_ordinal)):
        query = (
            select(attempts)
            .where(attempts.c.ordinal.in_(part))
            .order_by(attempts.c.attempt_pk.desc())
            .limit(MOST_LINES)
        )
        for row in connection.execute(query):
            delivery = by_ordinal[row.ordinal]
            facts = {
                "deliveryId": delivery.delivery_id,
                "integration": delivery.integration,
                "kind": row.kind,
                "verdict": row.verdict,
                "exchanges": _exchanges.decode(row.exchanges),
            }
            lines.append(Line(at=row.ended_at, what="attempt", facts=facts))
    return lines


def _outcomes(connection: Connection, by_ordinal: dict[int, StoredDelivery]) -> list[Line]:
    lines = []
    for part in chunks(sorted(by_ordinal)):
        query = (
            select(outbox)
            .where(
                outbox.c.delivery_ordinal.in_(part),
                outbox.c.topic.in_((RESULTS_TOPIC, FAILURES_TOPIC)),
            )
            .order_by(outbox.c.position.desc())
            .limit(MOST_LINES)
        )
        for row in connection.execute(query):
            facts = _outcome(decode_outcome(row.value)) | {"published": bool(row.published)}
            lines.append(Line(at=row.created_at, what="outcome", facts=facts))
    return lines


def _outcome(outcome: Outcome) -> dict[str, Any]:
    """What a person asks of an outcome; what the other lines say already is left out."""
    told = msgspec.to_builtins(outcome)
    failure = told.get("failure")
    if failure is not None:
        failure.pop("languages", None)
    left_out = {"company", "system", "entity", "event", "receivedAt", "settledAt"}
    return {name: value for name, value in told.items() if name not in left_out}


def _said(connection: Connection, found: Sequence[StoredDelivery]) -> list[Line]:
    lines = []
    for part in chunks([delivery.delivery_id for delivery in found]):
        query = select(audit).where(audit.c.delivery_id.in_(part)).order_by(audit.c.audit_pk)
        lines += [line_of(said_of(row)) for row in connection.execute(query)]
    return lines


def line_of(said: Said) -> Line:
    """A row of the audit as a line of a story."""
    facts = {
        "by": said.who,
        "reason": said.why or None,
        "deliveryId": said.delivery_id,
        "integration": said.integration,
        **said.detail,
    }
    return Line(at=said.at, what=said.what, facts=facts)


def _booked(connection: Connection, found: Sequence[StoredDelivery]) -> list[Line]:
    lines = []
    of_id = {delivery.delivery_id: delivery for delivery in found}
    numbers = sorted({delivery.number for delivery in found})
    query = select(bookings).where(
        bookings.c.number.in_(numbers), bookings.c.delivery_id.in_(list(of_id))
    )
    for row in connection.execute(query):
        facts = {
            "deliveryId": row.delivery_id,
            "integration": of_id[row.delivery_id].integration,
            "reference": msgspec.to_builtins(reference_of(row.reference)),
        }
        lines.append(Line(at=row.booked_at, what="booked", facts=facts))
    return lines


def _waited(connection: Connection, found: Sequence[StoredDelivery]) -> list[Line]:
    first: dict[int, float] = {}
    for part in chunks([delivery.ordinal for delivery in found]):
        query = (
            select(attempts.c.ordinal, func.min(attempts.c.ended_at).label("first"))
            .where(attempts.c.ordinal.in_(part))
            .group_by(attempts.c.ordinal)
        )
        for row in connection.execute(query):
            first[row.ordinal] = row.first
    return [
        Line(
            at=one.until,
            what="released",
            facts={
                "deliveryId": one.delivery.delivery_id,
                "integration": one.delivery.integration,
                "waitedFor": one.parent,
                "parkedSeconds": round(one.until - one.delivery.received_at, 3),
            },
        )
        for one in waited(connection, found, first)
    ]


def _known(connection: Connection, integration_of: dict[str, str]) -> Iterable[Known]:
    for part in chunks(sorted(integration_of)):
        query = select(entities).where(entities.c.entity_key.in_(part))
        for row in connection.execute(query):
            reference = reference_of(row.reference)
            yield Known(
                integration=integration_of[row.entity_key],
                in_books=bool(row.in_books),
                reference=None if reference is None else msgspec.to_builtins(reference),
            )
