"""Rows of the ledger as values, and values as rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, literal_column, select

from schemas.events import EntityType
from schemas.failures import Failure, Reference
from schemas.wire import Record
from streams.core.model import EntityRow, Sibling, Version
from streams.core.states import State
from streams.ledger.tables import deliveries, entities, inbox, one_of

# A look into a table is several times quicker than a call of the enumeration.
STATES = {state.value: state for state in State}
TYPES = {kind.value: kind for kind in EntityType}

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
    condition = one_of("deliveries.state", *(state.value for state in states))
    return literal_column(f"({condition})" if " OR " in condition else condition).self_group()


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


# In this order: `delivery_of` reads rows by place.
_DELIVERY = (
    "ordinal",
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
    "waits_key",
    "act_at",
    "act_boot",
    "attempts",
    "retried_s",
    "posts",
    "absences",
    "intent",
    "send_by",
    "failure",
    "told",
    "outcomes",
    "final_id",
    "replays",
    "replay_of",
    "rewrite",
    "edited",
    "received_at",
    "first_failed_at",
    "last_failed_at",
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
    *(deliveries.c[name] for name in _DELIVERY), *(inbox.c[name] for name in _INBOX)
).join(inbox, inbox.c.event_pk == deliveries.c.event_pk)


def delivery_of(row: Sequence[Any]) -> StoredDelivery:
    """One row of a `stored` query as a value, from SQLAlchemy or from the driver."""
    return StoredDelivery(
        ordinal=row[0],
        delivery_id=row[1],
        event_pk=row[2],
        integration=row[3],
        system=row[4],
        company=row[5],
        entity_key=row[6],
        entity_type=TYPES[row[7]],
        number=row[8],
        customer_number=row[9],
        lane=row[10],
        sequence=row[11],
        state=STATES[row[12]],
        waits_key=row[13],
        act_at=row[14],
        act_boot=row[15],
        attempts=row[16],
        retried_s=row[17],
        posts=row[18],
        absences=row[19],
        intent=row[20],
        send_by=row[21],
        failure=failure_of(row[22]),
        told=row[23],
        outcomes=row[24],
        final_id=row[25],
        replays=row[26],
        replay_of=row[27],
        rewrite=bool(row[28]),
        edited=row[29],
        received_at=row[30],
        first_failed_at=row[31],
        last_failed_at=row[32],
        source=row[33],
        ce_id=row[34],
        ce_type=row[35],
        record=Record(
            topic=row[36],
            partition=row[37],
            offset=row[38],
            timestamp_ms=row[39],
            key=row[40],
            value=row[41],
            headers=unpack_headers(row[42]),
        ),
    )


# In this order: `entity_of` reads rows by place.
_ENTITY = (
    "entity_key",
    "in_books",
    "reference",
    "content",
    "dirty",
    "applied_ordinal",
    "applied_sequence",
    "claimed_by",
    "asked_no_at",
)
entity_columns = select(*(entities.c[name] for name in _ENTITY))


def entity_of(row: Sequence[Any]) -> EntityRow:
    """One row of an `entity_columns` query as a value, from SQLAlchemy or from the driver."""
    return EntityRow(
        key=row[0],
        in_books=bool(row[1]),
        reference=reference_of(row[2]),
        content=row[3],
        dirty=bool(row[4]),
        applied=None if row[5] is None else Version(row[5], row[6]),
        claimed_by=row[7],
        asked_no_at=row[8],
    )
