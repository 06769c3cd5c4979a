"""CloudEvents 1.0 on Kafka: reading an envelope in either mode, and writing one.

Binary mode: attributes in `ce_*` headers, data in the value. Structured mode: everything in one
JSON object. Reading never raises; what is wrong is a value (`Envelope.problem`).

`msgspec.Raw` keeps the data of a structured event as the bytes that came, so that its decimals
are read once, exactly, by the typed decoder. orjson is of no use here: it would make floats.
"""

import base64
import binascii
import re
from datetime import UTC, datetime
from enum import StrEnum

import msgspec
import orjson

from schemas.wire import Record

SPEC_VERSION = "1.0"
STRUCTURED_CONTENT_TYPE = "application/cloudevents+json"
DATA_CONTENT_TYPE = "application/json"

# Longest id, source, type or subject, in characters. Source and id together are a unique key of
# the ledger, and PostgreSQL indexes at most 2,704 bytes: 2 x 255 characters of 4 bytes fit.
MAX_ATTRIBUTE_CHARACTERS = 255
# Longest attribute that is only carried along (tracestate is at most 512 by its specification).
MAX_CARRIED_CHARACTERS = 1_024

_STRUCTURED_PREFIX = STRUCTURED_CONTENT_TYPE.encode()
_REQUIRED = ("id", "source", "type", "specversion")
_CARRIED = (
    "time",
    "sequence",
    "traceparent",
    "tracestate",
    "correlationid",
    "partitionkey",
)
_HEADERS = {f"ce_{name}": name for name in (*_REQUIRED, "subject", *_CARRIED)}
# W3C Trace Context, as tracing producers put it on records beside or instead of the event's own.
_TRACE = frozenset({"traceparent", "tracestate"})
# CloudEvents 1.0 section 2 forbids these in strings, and PostgreSQL cannot keep the first.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Mode(StrEnum):
    """How an event lies in a Kafka record."""

    BINARY = "binary"
    STRUCTURED = "structured"


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a record: attributes by name, the data's bytes, and what is wrong.

    With a `problem` the rest holds what could be read all the same. Attributes are free of
    control characters and within their limits; empty ones are absent.
    """

    attributes: dict[str, str]
    data: bytes = b""
    problem: str | None = None


class Attributes(msgspec.Struct, frozen=True, kw_only=True):
    """The attributes of an event to be written."""

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    sequence: int | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    correlation_id: str | None = None
    partition_key: str | None = None


class _Structured(msgspec.Struct, kw_only=True):
    """A structured event before any attribute is judged."""

    specversion: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()
    source: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()
    subject: msgspec.Raw = msgspec.Raw()
    time: msgspec.Raw = msgspec.Raw()
    sequence: msgspec.Raw = msgspec.Raw()
    traceparent: msgspec.Raw = msgspec.Raw()
    tracestate: msgspec.Raw = msgspec.Raw()
    correlationid: msgspec.Raw = msgspec.Raw()
    partitionkey: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()
    data_base64: msgspec.Raw = msgspec.Raw()


_structured = msgspec.json.Decoder(_Structured)
_text_or_whole_number = msgspec.json.Decoder(str | int | None)
_moment = msgspec.json.Decoder(datetime)


def open_envelope(record: Record) -> Envelope:
    """Read the envelope of a record, in whichever mode it is. Never raises.

    A `content-type` of `application/cloudevents+json` says structured; any of the four required
    `ce_*` headers says binary; else the value must be a JSON object with `specversion`.
    Header names in any letter case; of repeated ones the last counts. An event without a trace of
    its own has that of the record's plain `traceparent` header.
    """
    attributes, content_type = _from_headers(record.headers)
    if not record.value:
        return Envelope(attributes=attributes, problem="the value is empty")
    if content_type.startswith(_STRUCTURED_PREFIX) or attributes.keys().isdisjoint(_REQUIRED):
        opened = _open_structured(record.value)
        if not _TRACE.isdisjoint(attributes) and "traceparent" not in opened.attributes:
            carried = _judged({name: attributes[name] for name in _TRACE & attributes.keys()}, b"")
            opened.attributes.update(carried.attributes)
        return opened
    return _judged(attributes, record.value)


def parse_time(text: str | None) -> datetime | None:
    """A `time` attribute in UTC; None where it is absent or no RFC 3339 time.

    `time` never decides anything, so a bad one does not cost the event. Without an offset: UTC.
    """
    if text is None:
        return None
    try:
        moment = _moment.decode(orjson.dumps(text))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        return None


def parts(
    attributes: Attributes, data: bytes, mode: Mode
) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    """Value and headers of a record that carries JSON `data` in a mode."""
    if mode is Mode.STRUCTURED:
        return structured_value(attributes, data), structured_headers()
    return data, binary_headers(attributes)


def binary_headers(attributes: Attributes) -> tuple[tuple[str, bytes], ...]:
    """The headers of a binary-mode record: `ce_*` of what is set, and `content-type`."""
    named = _written(attributes)
    return (
        *((f"ce_{name}", text.encode()) for name, text in named.items()),
        ("content-type", DATA_CONTENT_TYPE.encode()),
    )


def structured_value(attributes: Attributes, data: bytes) -> bytes:
    """One JSON object with the attributes and `data`, which must be JSON and is kept as it is."""
    named: dict[str, object] = dict(_written(attributes))
    return msgspec.json.encode(
        named | {"datacontenttype": DATA_CONTENT_TYPE, "data": msgspec.Raw(data)}
    )


def structured_headers() -> tuple[tuple[str, bytes], ...]:
    """The headers of a structured-mode record."""
    return (("content-type", f"{STRUCTURED_CONTENT_TYPE}; charset=utf-8".encode()),)


def rfc3339(moment: datetime) -> str:
    """A time in UTC as outcomes, headers and lists show it: `2026-01-31T12:00:00Z`."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _written(attributes: Attributes) -> dict[str, str]:
    whole = {
        "specversion": SPEC_VERSION,
        "id": attributes.id,
        "source": attributes.source,
        "type": attributes.type,
        "subject": attributes.subject,
        "time": rfc3339(attributes.time) if attributes.time else None,
        "sequence": None if attributes.sequence is None else str(attributes.sequence),
        "traceparent": attributes.traceparent,
        "tracestate": attributes.tracestate,
        "correlationid": attributes.correlation_id,
        "partitionkey": attributes.partition_key,
    }
    return {name: text for name, text in whole.items() if text}


def _from_headers(headers: tuple[tuple[str, bytes], ...]) -> tuple[dict[str, str], bytes]:
    attributes: dict[str, str] = {}
    carried: dict[str, str] = {}
    content_type = b""
    for raw_name, raw in headers:
        name = raw_name.lower()
        attribute = _HEADERS.get(name)
        if attribute is not None:
            try:
                attributes[attribute] = raw.decode() if raw else ""
            except UnicodeDecodeError:
                attributes[attribute] = "\x00"  # refused, or left out, as any control character
        elif name == "content-type":
            content_type = (raw or b"").strip().lower()
        elif name in _TRACE and raw and raw.isascii():
            # Of whoever sent the record; what the event itself says counts, wherever it stands.
            carried[name] = raw.decode()
    return {**carried, **attributes} if carried else attributes, content_type


def _open_structured(value: bytes) -> Envelope:
    try:
        value.decode()
        whole = _structured.decode(value)
    except UnicodeDecodeError:
        return Envelope(attributes={}, problem="not UTF-8")
    except msgspec.ValidationError:
        # A JSON value that is no object, unless it is broken further on: unreadable either way.
        return Envelope(attributes={}, problem="not a CloudEvent: no ce_ headers, no JSON object")
    except msgspec.DecodeError:
        return Envelope(attributes={}, problem="not JSON")
    except RecursionError:
        return Envelope(attributes={}, problem="nested too deeply")
    attributes = {}
    for name in _HEADERS.values():
        text = _raw_text(getattr(whole, name), whole_number=name == "sequence")
        if text is not None:
            attributes[name] = text
    data: bytes | None = bytes(whole.data)
    if not data and bytes(whole.data_base64) not in {b"", b"null"}:
        data = _from_base64(whole.data_base64)
    envelope = _judged(attributes, data or b"null")
    if data is None and envelope.problem is None:
        return Envelope(attributes=envelope.attributes, problem="data_base64 is not base64")
    return envelope


def _raw_text(raw: msgspec.Raw, *, whole_number: bool) -> str | None:
    """The text of one attribute; control characters, which are refused later, for a wrong type."""
    if not bytes(raw):
        return None
    try:
        found = _text_or_whole_number.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return "\x00"
    if found is None or isinstance(found, str):
        return found
    return str(found) if whole_number and abs(found) < 2**63 else "\x00"


def _from_base64(raw: msgspec.Raw) -> bytes | None:
    try:
        return base64.b64decode(msgspec.json.decode(raw, type=str), validate=True)
    except (msgspec.MsgspecError, RecursionError, binascii.Error, ValueError):
        return None


def _judged(found: dict[str, str], data: bytes) -> Envelope:
    """Drop what is empty or cannot be carried; name the first required attribute that fails."""
    problem = None
    attributes = {}
    for name, text in found.items():
        decisive = name in _REQUIRED or name == "subject"
        limit = MAX_ATTRIBUTE_CHARACTERS if decisive else MAX_CARRIED_CHARACTERS
        if not text or text.isspace():
            continue
        if len(text) <= limit and (text.isprintable() or not _CONTROL.search(text)):
            attributes[name] = text
        elif name == "sequence":
            attributes[name] = "?"  # kept as a wrong one: order must not be guessed
        elif decisive:
            problem = problem or f"attribute {name} is longer than {limit} characters or no text"
    missing = next((name for name in _REQUIRED if name not in attributes), None)
    if problem is None and missing is not None:
        problem = f"attribute {missing} is missing"
    if problem is None and attributes["specversion"] != SPEC_VERSION:
        problem = "specversion is not 1.0"
    return Envelope(attributes=attributes, data=data, problem=problem)
