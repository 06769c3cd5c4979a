"""Records of the input topics as events and commands, and events as records.

Reading never raises, whatever a record holds: what cannot be read is an `Unreadable` with the
code of its dead letter (interface section 4).
"""

from datetime import datetime

import msgspec

from schemas.checks import MAX_NUMBER_CHARACTERS
from schemas.cloudevents import Attributes, Envelope, Mode, open_envelope, parse_time, parts
from schemas.commands import COMMAND_TYPES, Command, command_tree, decode_command_data
from schemas.content import company_in, decode_data, encode_data
from schemas.digest import DIGEST_VERSION, digest_of, digest_of_json
from schemas.events import Entity, EntityType, customer_number_of, type_of
from schemas.failures import Failure
from schemas.lane import lane_key
from schemas.refusals import invalid, unknown_type, unreadable
from schemas.wire import Outgoing, Record

CUSTOMERS_TOPIC = "moment.customers"
PROJECTS_TOPIC = "moment.projects"
INVOICES_TOPIC = "moment.invoices"
TOPIC_OF: dict[EntityType, str] = {
    EntityType.CUSTOMER: CUSTOMERS_TOPIC,
    EntityType.PROJECT: PROJECTS_TOPIC,
    EntityType.INVOICE: INVOICES_TOPIC,
}
EVENT_TYPES: dict[str, EntityType] = {
    "team.moment.customer.created": EntityType.CUSTOMER,
    "team.moment.customer.updated": EntityType.CUSTOMER,
    "team.moment.project.created": EntityType.PROJECT,
    "team.moment.project.updated": EntityType.PROJECT,
    "team.moment.invoice.finalized": EntityType.INVOICE,
}
# Begins the reason of a letter that only a mistake in this package can cause.
DEFECT = "defect in the reader:"
# The largest sequence that every ledger keeps as a number (64 bits, signed).
MAX_SEQUENCE = 2**63 - 1
# Producers may pad a sequence with zeros so that it sorts as text; longer is no sequence.
MAX_SEQUENCE_CHARACTERS = 64


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A change event that can be delivered. `time` is aware, in UTC.

    `subject` is the producer's, or `customer/100042` made from the data where there is none; what
    the event is about is said by `entity_type` and `data` alone.
    """

    id: str
    source: str
    type: str
    entity_type: EntityType
    subject: str
    time: datetime | None
    sequence: int | None
    traceparent: str | None
    tracestate: str | None
    correlation_id: str | None
    partition_key: str | None
    data: Entity
    digest: bytes
    digest_version: int

    @property
    def company(self) -> str:
        """The company whose entity changed."""
        return self.data.company

    @property
    def key(self) -> bytes:
        """The right Kafka key, whatever key the event came under."""
        return lane_key(self.data.company, customer_number_of(self.data))


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A record that becomes a dead letter, and what could be read of it all the same.

    `company` is a guess (data, else key, else partition key) for people who search letters.
    """

    failure: Failure
    company: str | None = None
    event_id: str | None = None
    source: str | None = None
    type: str | None = None
    traceparent: str | None = None


def decode(record: Record) -> Event | Unreadable:
    """The change event of a record, or why there is none. Never raises; does no I/O."""
    try:
        return _decode(record)
    except Exception as error:  # a record that raised would stop its partition
        return Unreadable(failure=unreadable(f"{DEFECT} {type(error).__name__}"))


def decode_command(record: Record) -> Command | Unreadable:
    """The command of a record, or why there is none. Never raises; does no I/O."""
    try:
        return _decode_command(record)
    except Exception as error:  # a record that raised would stop its partition
        return Unreadable(failure=unreadable(f"{DEFECT} {type(error).__name__}"))


def encode_event(attributes: Attributes, entity: Entity, *, mode: Mode = Mode.BINARY) -> Outgoing:
    """The record of a change event, as producers should write it: topic and key from the data.

    `subject` and `partition_key` are made from the data where they are not given.
    """
    key = lane_key(entity.company, customer_number_of(entity))
    whole = msgspec.structs.replace(
        attributes,
        subject=attributes.subject or subject_of(entity),
        partition_key=attributes.partition_key or key.decode(),
    )
    value, headers = parts(whole, encode_data(entity), mode)
    return Outgoing(topic=TOPIC_OF[type_of(entity)], key=key, value=value, headers=headers)


def subject_of(entity: Entity) -> str:
    """`customer/100042`, `project/7`, `invoice/1001`."""
    return f"{type_of(entity).value}/{entity.number}"


def _decode(record: Record) -> Event | Unreadable:
    envelope = open_envelope(record)
    attributes = envelope.attributes
    if envelope.problem is not None:
        return _unreadable(record, envelope, unreadable(envelope.problem))
    kind = EVENT_TYPES.get(attributes["type"])
    if kind is None:
        return _unreadable(record, envelope, unknown_type(attributes["type"]))
    data = decode_data(kind, envelope.data)
    sequence = _sequence(attributes.get("sequence"))
    if isinstance(data, Failure):
        return _unreadable(record, envelope, data)
    if isinstance(sequence, Failure):
        return _unreadable(record, envelope, sequence)
    subject = attributes.get("subject") or subject_of(data)
    return Event(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        entity_type=kind,
        subject=subject,
        time=parse_time(attributes.get("time")),
        sequence=sequence,
        traceparent=attributes.get("traceparent"),
        tracestate=attributes.get("tracestate"),
        correlation_id=attributes.get("correlationid"),
        partition_key=attributes.get("partitionkey"),
        data=data,
        digest=digest_of(attributes["type"], subject, data),
        digest_version=DIGEST_VERSION,
    )


def _decode_command(record: Record) -> Command | Unreadable:
    envelope = open_envelope(record)
    attributes = envelope.attributes
    if envelope.problem is not None:
        return _unreadable(record, envelope, unreadable(envelope.problem))
    kind = COMMAND_TYPES.get(attributes["type"])
    if kind is None:
        return _unreadable(record, envelope, unknown_type(attributes["type"]))
    data = decode_command_data(kind, envelope.data)
    if isinstance(data, Failure):
        return _unreadable(record, envelope, data)
    subject = attributes.get("subject")
    return Command(
        id=attributes["id"],
        source=attributes["source"],
        type=attributes["type"],
        kind=kind,
        data=data,
        digest=digest_of_json(attributes["type"], subject or "", command_tree(data)),
        digest_version=DIGEST_VERSION,
        subject=subject,
        time=parse_time(attributes.get("time")),
        traceparent=attributes.get("traceparent"),
        tracestate=attributes.get("tracestate"),
        correlation_id=attributes.get("correlationid"),
        partition_key=attributes.get("partitionkey"),
    )


def _sequence(text: str | None) -> int | Failure | None:
    """Decimal digits only; a wrong one is refused, since order would have to be guessed."""
    if text is None:
        return None
    digits = text.isascii() and text.isdigit() and len(text) <= MAX_SEQUENCE_CHARACTERS
    if not digits or int(text) > MAX_SEQUENCE:
        return invalid("sequence", "not a whole number of decimal digits")
    return int(text)


def _unreadable(record: Record, envelope: Envelope, failure: Failure) -> Unreadable:
    attributes = envelope.attributes
    guesses = (
        company_in(envelope.data),
        company_in(record.value or b""),
        _company_of_key(record.key),
        _company_of_key(attributes.get("partitionkey", "").encode()),
    )
    return Unreadable(
        failure=failure,
        company=next((guess for guess in guesses if _is_company(guess)), None),
        event_id=attributes.get("id"),
        source=attributes.get("source"),
        type=attributes.get("type"),
        traceparent=attributes.get("traceparent"),
    )


def _company_of_key(key: bytes | None) -> str | None:
    company, slash, _ = (key or b"").rpartition(b"/")
    return company.decode(errors="replace") if slash else None


def _is_company(text: str | None) -> bool:
    return (
        text is not None
        and text.strip() != ""
        and len(text) <= MAX_NUMBER_CHARACTERS
        and text.isprintable()
        and "\ufffd" not in text
    )
