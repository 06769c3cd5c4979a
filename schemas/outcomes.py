"""What is published of a delivery (interface section 4)."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from schemas.cloudevents import Attributes, binary_headers
from schemas.events import EntityType
from schemas.failures import Change, FailureClass, FailureCode, Reference, WarningCode
from schemas.wire import Outgoing

RESULTS_TOPIC = "moment-sync.results"
FAILURES_TOPIC = "moment-sync.failures"
TYPE_PREFIX = "moment-sync.delivery."


class OutcomeKind(StrEnum):
    """What became of a delivery."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    STALE = "stale"
    MANUAL = "manual"
    DISCARDED = "discarded"
    DEAD = "dead"
    BLOCKED = "blocked"
    HELD = "held"
    RETRYING = "retrying"


FINAL = frozenset(OutcomeKind) - {OutcomeKind.BLOCKED, OutcomeKind.HELD, OutcomeKind.RETRYING}

TOPIC_OF: dict[OutcomeKind, str] = {
    kind: RESULTS_TOPIC if kind in FINAL and kind is not OutcomeKind.DEAD else FAILURES_TOPIC
    for kind in OutcomeKind
}


# A time in UTC; on the wire RFC 3339 with `Z`. Must be aware.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Published(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of all that is published: frozen, camelCase, what is empty is absent."""


class EntityRef(_Published, frozen=True):
    """The entity that a delivery is about."""

    type: EntityType
    number: str
    customer_number: str


class EventRef(_Published, frozen=True):
    """The event behind a delivery. `time` is its own, or its record's where it has none."""

    id: str
    source: str
    type: str
    time: Moment
    topic: str
    partition: int
    offset: int
    sequence: str | None = None


class WarningView(_Published, frozen=True):
    """Something that was done and that a person should know of."""

    code: WarningCode
    text: str


class Words(_Published, frozen=True):
    """What happened, and what to do and where, in one language."""

    text: str
    action: str


class BlockedBy(_Published, frozen=True):
    """The nearest parent that a delivery waits for; the last two are absent for an absent one."""

    type: EntityType
    number: str
    delivery_id: str | None = None
    code: FailureCode | None = None


class FailureView(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"klass": "class", "blocked_by": "blockedBy"},
    omit_defaults=True,
):
    """Why. `text` and `action` in the integration's language, `languages` in all of them."""

    code: FailureCode
    klass: FailureClass
    text: str
    action: str
    parameters: dict[str, str]
    languages: dict[str, Words]
    field: str | None = None
    blocked_by: BlockedBy | None = None


class ManualView(_Published, frozen=True):
    """What a person has to do by hand."""

    text: str
    changes: tuple[Change, ...]


class SupersededBy(_Published, frozen=True):
    """The newer event."""

    id: str
    source: str


class Outcome(_Published, frozen=True):
    """One outcome of one delivery. `final` must be `outcome in FINAL`.

    `replay_of` is the id of the final outcome that this one replaces; `withdraws` holds ids of
    dead deliveries of the entity that need no more care.
    """

    delivery_id: str
    outcome: OutcomeKind
    final: bool
    company: str
    integration: str
    system: str
    entity: EntityRef
    event: EventRef
    attempts: int
    received_at: Moment
    settled_at: Moment
    reference: Reference | None = None
    warnings: tuple[WarningView, ...] = ()
    superseded_by: SupersededBy | None = None
    manual: ManualView | None = None
    failure: FailureView | None = None
    replay_of: str | None = None
    withdraws: tuple[str, ...] = ()


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Outcome)


def outcome_id(delivery_id: str, kind: OutcomeKind, ordinal: int) -> str:
    """The CloudEvents id of the n-th outcome of a delivery: the same on every repeat."""
    return f"{delivery_id}.{kind.value}.{ordinal}"


def outcome_source(group: str) -> str:
    """The CloudEvents source of the outcomes of a consumer group."""
    return f"/moment-sync/{group}"


def encode_outcome(
    outcome: Outcome,
    *,
    outcome_id: str,
    source: str,
    time: datetime,
    key: bytes | None,
    traceparent: str | None = None,
    tracestate: str | None = None,
    correlation_id: str | None = None,
    partitionkey: str | None = None,
) -> Outgoing:
    """The record of an outcome: CloudEvents binary mode, on the topic of its kind.

    `partitionkey` defaults to the key's text. Raises ValueError where `final` contradicts the
    outcome, since consumers count final outcomes.
    """
    if outcome.final != (outcome.outcome in FINAL):
        raise ValueError(f"final={outcome.final} contradicts {outcome.outcome.value}")
    attributes = Attributes(
        id=outcome_id,
        source=source,
        type=f"{TYPE_PREFIX}{outcome.outcome.value}",
        subject=f"{outcome.entity.type.value}/{outcome.entity.number}",
        time=time,
        traceparent=traceparent,
        tracestate=tracestate,
        correlation_id=correlation_id,
        partition_key=partitionkey or (key.decode(errors="replace") if key else None),
    )
    return Outgoing(
        topic=TOPIC_OF[outcome.outcome],
        key=key,
        value=_encoder.encode(outcome),
        headers=binary_headers(attributes),
    )


def decode_outcome(value: bytes) -> Outcome:
    """The outcome in a record's value. Raises `msgspec.MsgspecError` where it holds none."""
    return _decoder.decode(value)
