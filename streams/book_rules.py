"""How events are read, mapped and told: the ledger's `Rules`, made from schemas and connectors."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from connectors.integrations import DataType, Integration, System
from connectors.port import Connector
from schemas.catalogue.by_hand import by_hand
from schemas.catalogue.catalogue import render, render_all, render_warning
from schemas.codec import Event, decode
from schemas.content import decode_data
from schemas.deadletters import Letter, encode_letter
from schemas.events import Customer, Entity, EntityType, InvoiceKind, Project
from schemas.failures import Failure, Notable
from schemas.lane import lane_key
from schemas.outcomes import (
    FINAL,
    BlockedBy,
    EntityRef,
    EventRef,
    FailureView,
    ManualView,
    Outcome,
    OutcomeKind,
    SupersededBy,
    WarningView,
    Words,
    encode_outcome,
    outcome_id,
    outcome_source,
)
from schemas.wire import Record
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Parent, Tell, Told, UnreadableEventError


class BookRules:
    """The rules of one worker. `integrations` gives the set that is in force now."""

    def __init__(
        self,
        *,
        integrations: Callable[[], Mapping[str, Integration]],
        connectors: Mapping[System, Connector],
        group: str,
        version: str,
        topic_prefix: str,
    ) -> None:
        self._integrations = integrations
        self._connectors = connectors
        self._source = outcome_source(group)
        self._version = version
        self._prefix = topic_prefix

    def event(self, delivery: StoredDelivery) -> Entity:
        """Read the event of a delivery, or its edited whole."""
        if delivery.edited is None:
            return self.read(delivery.record)
        entity = decode_data(delivery.entity_type, delivery.edited)
        if isinstance(entity, Failure):
            raise UnreadableEventError(delivery.delivery_id)
        return entity

    def read(self, record: Record) -> Entity:
        """Read the event of a stored record that was readable when it came."""
        return _event(record).data

    def integration(self, integration: str) -> Integration | None:
        """Look up an integration as it is set up now; None when it was removed."""
        return self._integrations().get(integration)

    def content(self, event: Entity, integration: Integration) -> bytes:
        """Map an event to what would be written (`Connector.content`)."""
        return self._connectors[integration.system].content(event, integration)

    def parents(self, event: Entity, integration: Integration) -> tuple[Parent, ...]:
        """Name what must be in the books before the event may go, the customer first."""
        if isinstance(event, Customer):
            return ()
        customer = Parent(
            entity_type=EntityType.CUSTOMER,
            number=event.customer_number,
            carried=integration.carries(DataType.CUSTOMERS),
        )
        if isinstance(event, Project):
            return (customer,)
        found = [customer]
        if event.project_number and integration.carries(DataType.PROJECTS):
            found.append(Parent(entity_type=EntityType.PROJECT, number=event.project_number))
        if event.kind is InvoiceKind.CREDIT_NOTE and event.credited_invoice_number:
            found.append(
                Parent(
                    entity_type=EntityType.INVOICE,
                    number=event.credited_invoice_number,
                    optional=True,
                )
            )
        return tuple(found)

    def tell(self, tell: Tell) -> Told:
        """Put an outcome into records: the outcome, and for a dead delivery its letter."""
        delivery = tell.delivery
        integration = self.integration(delivery.integration)
        language = integration.language.value if integration else "en"
        system = delivery.system
        event = _event_if_readable(delivery.record)
        told_id = outcome_id(delivery.delivery_id, tell.kind, tell.nth)
        failure = self._failure(tell, language, system)
        outcome = Outcome(
            delivery_id=delivery.delivery_id,
            outcome=tell.kind,
            final=tell.kind in FINAL,
            company=delivery.company,
            integration=delivery.integration,
            system=system,
            entity=EntityRef(
                type=delivery.entity_type,
                number=delivery.number,
                customer_number=delivery.customer_number,
            ),
            event=self._event_ref(delivery, event),
            attempts=tell.attempts,
            received_at=_at(delivery.received_at),
            settled_at=_at(tell.at),
            reference=tell.reference,
            warnings=tuple(_warning(w, language, system) for w in tell.warnings),
            superseded_by=_superseded_by(tell.superseded_by),
            manual=_manual(tell, language),
            failure=failure,
            replay_of=delivery.replay_of,
            withdraws=tell.withdraws,
        )
        key = lane_key(delivery.company, delivery.customer_number)
        record = encode_outcome(
            outcome,
            outcome_id=told_id,
            source=self._source,
            time=_at(tell.at),
            key=key,
            traceparent=event.traceparent if event else None,
            tracestate=event.tracestate if event else None,
            correlation_id=event.correlation_id if event else None,
        )
        if tell.kind is not OutcomeKind.DEAD or failure is None:
            return Told(outcome_id=told_id, records=(record,))
        letter = self._letter(tell, failure, system, event)
        return Told(
            outcome_id=told_id,
            records=(record, encode_letter(letter, delivery.record, topic_prefix=self._prefix)),
        )

    def _event_ref(self, delivery: StoredDelivery, event: Event | None) -> EventRef:
        record = delivery.record
        return EventRef(
            id=delivery.ce_id,
            source=delivery.source,
            type=delivery.ce_type,
            time=(event.time if event else None) or _at(record.timestamp_ms / 1000),
            topic=self._prefix + record.topic,
            partition=record.partition,
            offset=record.offset,
            sequence=None if delivery.sequence is None else str(delivery.sequence),
        )

    def _failure(self, tell: Tell, language: str, system: str) -> FailureView | None:
        failure = tell.failure
        if failure is None:
            return None
        delivery = tell.delivery
        words = render(
            failure,
            language=language,
            system=system,
            entity_type=delivery.entity_type.value,
            number=delivery.number,
        )
        languages = render_all(
            failure,
            system=system,
            entity_type=delivery.entity_type.value,
            number=delivery.number,
        )
        return FailureView(
            code=failure.code,
            klass=failure.failure_class,
            text=words.text,
            action=words.action,
            parameters=failure.parameters,
            languages={
                name: Words(text=each.text, action=each.action) for name, each in languages.items()
            },
            field=failure.field,
            blocked_by=_blocked_by(tell),
        )

    def _letter(self, tell: Tell, failure: FailureView, system: str, event: Event | None) -> Letter:
        delivery = tell.delivery
        return Letter(
            letter_id=delivery.delivery_id,
            code=failure.code,
            klass=failure.klass,
            text=failure.text,
            action=failure.action,
            version=self._version,
            field=failure.field,
            delivery_id=delivery.delivery_id,
            company=delivery.company,
            integration=delivery.integration,
            system=system,
            entity=f"{delivery.entity_type.value}/{delivery.number}",
            attempts=tell.attempts,
            first_failed_at=_at(tell.first_failed_at or tell.at),
            last_failed_at=_at(tell.at),
            replay_count=delivery.replays,
            # The answer that says why; after it more may have been read to find out.
            response=(tell.failure.answer if tell.failure else None) or tell.answer,
            trace=event.traceparent if event else None,
        )


# Of the latest records: between ingest, claim and verdict an event is read three times. At some
# 4 kB each this is bounded at 8 MB.
decoded = lru_cache(maxsize=2_048)(decode)


def _event(record: Record) -> Event:
    event = decoded(record)
    if not isinstance(event, Event):
        raise UnreadableEventError(f"{record.topic}/{record.partition}@{record.offset}")
    return event


def _event_if_readable(record: Record) -> Event | None:
    event = decoded(record)
    return event if isinstance(event, Event) else None


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _warning(notable: Notable, language: str, system: str) -> WarningView:
    text = render_warning(notable, language=language, system=system)
    return WarningView(code=notable.code, text=text)


def _superseded_by(named: tuple[str, str] | None) -> SupersededBy | None:
    return None if named is None else SupersededBy(id=named[0], source=named[1])


def _blocked_by(tell: Tell) -> BlockedBy | None:
    blocked = tell.blocked_by
    if blocked is None:
        return None
    behind = blocked.behind
    return BlockedBy(
        type=blocked.entity_type,
        number=blocked.number,
        delivery_id=behind.delivery_id if behind else None,
        code=behind.failure.code if behind and behind.failure else None,
    )


def _manual(tell: Tell, language: str) -> ManualView | None:
    if tell.kind is not OutcomeKind.MANUAL:
        return None
    text = by_hand(tell.changes, language=language, system=tell.delivery.system)
    return ManualView(text=text, changes=tell.changes)


def same_content(record: Record, digest: bytes) -> bool:
    """Whether a stored event says what a new one with this digest says."""
    event = decode(record)
    return isinstance(event, Event) and event.digest == digest
