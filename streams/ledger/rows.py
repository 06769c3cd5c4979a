"""Rows of the ledger as values, and values as rows."""

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, and_, literal_column, select

from schemas.events import EntityType
from schemas.failures import Failure, Reference
from schemas.wire import Record
from streams.core.model import EntityRow, Sibling, Version
from streams.core.states import State
from streams.ledger.tables import deliveries, entities, inbox

Headers = tuple[tuple[str, bytes], ...]

_json = msgspec.json.Encoder()
_pack = msgspec.msgpack.Encoder()
_failure = msgspec.json.Decoder(Failure)
_reference = msgspec.json.Decoder(Reference)
_headers = msgspec.msgpack.Decoder(Headers)


def to_json(value: Any) -> bytes | None:
    """A struct as JSON for a blob column, None as NULL."""
    return None if value is None else _json.encode(value)


def failure_of(blob: bytes | None) -> Failure | None:
    """Read a failure back from its column."""
    return None if blob is None else _failure.decode(blob)


def reference_of(blob: bytes | None) -> Reference | None:
    """Read a reference back from its column."""
    return None if blob is None else _reference.decode(blob)


def pack_headers(headers: Headers) -> bytes:
    """Kafka headers, in order and with repeats, as one blob."""
    return _pack.encode(headers)


def unpack_headers(blob: bytes) -> Headers:
    """Read Kafka headers back from their blob."""
    return _headers.decode(blob)


def state_is(*states: State) -> ColumnElement[bool]:
    """`state IN (…)` with literals, so that the partial indexes can be used."""
    quoted = ",".join(f"'{state.value}'" for state in states)
    if len(states) == 1:
        return literal_column(f"deliveries.state = {quoted}").self_group()
    return literal_column(f"deliveries.state IN ({quoted})").self_group()


# The words of the partial indexes, one by one and in their order: SQLite uses an index only where
# it finds them, and does not see that one list of states holds another.
open_or_dead = state_is(
    State.READY,
    State.WAITING,
    State.BLOCKED,
    State.DUE,
    State.SENDING,
    State.UNCERTAIN,
    State.DEAD,
)
is_sending = and_(state_is(State.SENDING, State.UNCERTAIN), state_is(State.SENDING))


class StoredDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery with its event, whole: enough to decide, send, and tell of it."""

    ordinal: int
    delivery_id: str
    event_pk: int
    integration: str
    system: str
    company: str
    entity_key: str
    entity_type: EntityType
    number: str
    customer_number: str
    lane: int
    sequence: int | None
    state: State
    waits_key: str | None
    act_at: float | None
    act_boot: str | None
    attempts: int
    retried_s: float
    posts: int
    absences: int
    intent: bytes | None
    send_by: float | None
    failure: Failure | None
    told: str
    outcomes: int
    final_id: str | None
    replays: int
    replay_of: str | None
    rewrite: bool
    edited: bytes | None
    received_at: float
    first_failed_at: float | None
    last_failed_at: float | None
    source: str
    ce_id: str
    ce_type: str
    record: Record

    @property
    def version(self) -> Version:
        """Its place in the order of its entity."""
        return Version(self.ordinal, self.sequence)

    @property
    def sibling(self) -> Sibling:
        """The delivery as others see it."""
        return Sibling(
            ordinal=self.ordinal,
            delivery_id=self.delivery_id,
            state=self.state,
            sequence=self.sequence,
            failure=self.failure,
        )


_INBOX = (
    "source",
    "ce_id",
    "ce_type",
    "topic",
    "partition",
    "offset",
    "timestamp_ms",
    "key",
    "value",
    "headers",
)

# A delivery joined with its event; every query that returns `StoredDelivery` starts here.
stored = select(
    *(c for c in deliveries.c if c.name != "settled_at"),
    *(inbox.c[name] for name in _INBOX),
).join(inbox, inbox.c.event_pk == deliveries.c.event_pk)


def delivery_of(row: Row[Any]) -> StoredDelivery:
    """One row of a `stored` query as a value."""
    return StoredDelivery(
        ordinal=row.ordinal,
        delivery_id=row.delivery_id,
        event_pk=row.event_pk,
        integration=row.integration,
        system=row.system,
        company=row.company,
        entity_key=row.entity_key,
        entity_type=EntityType(row.entity_type),
        number=row.number,
        customer_number=row.customer_number,
        lane=row.lane,
        sequence=row.sequence,
        state=State(row.state),
        waits_key=row.waits_key,
        act_at=row.act_at,
        act_boot=row.act_boot,
        attempts=row.attempts,
        retried_s=row.retried_s,
        posts=row.posts,
        absences=row.absences,
        intent=row.intent,
        send_by=row.send_by,
        failure=failure_of(row.failure),
        told=row.told,
        outcomes=row.outcomes,
        final_id=row.final_id,
        replays=row.replays,
        replay_of=row.replay_of,
        rewrite=bool(row.rewrite),
        edited=row.edited,
        received_at=row.received_at,
        first_failed_at=row.first_failed_at,
        last_failed_at=row.last_failed_at,
        source=row.source,
        ce_id=row.ce_id,
        ce_type=row.ce_type,
        record=Record(
            topic=row.topic,
            partition=row.partition,
            offset=row.offset,
            timestamp_ms=row.timestamp_ms,
            key=row.key,
            value=row.value,
            headers=unpack_headers(row.headers),
        ),
    )


def entity_of(row: Row[Any]) -> EntityRow:
    """One row of `entities` as a value."""
    applied = (
        None if row.applied_ordinal is None else Version(row.applied_ordinal, row.applied_sequence)
    )
    return EntityRow(
        key=row.entity_key,
        in_books=bool(row.in_books),
        reference=reference_of(row.reference),
        content=row.content,
        dirty=bool(row.dirty),
        applied=applied,
        claimed_by=row.claimed_by,
        asked_no_at=row.asked_no_at,
    )


entity_columns = select(entities)
