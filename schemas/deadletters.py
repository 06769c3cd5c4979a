"""Dead letters: a record as it came, and beside it why nothing more is done (interface section 5).

A record that already carries headers of ours (a letter that somebody produced again) keeps them:
they came with it. Ours follow, `moment-sync-letter-id` first, so everything before the last such
header is the original's and everything from it on is this letter's.
"""

import unicodedata
from datetime import datetime

import msgspec

from schemas.cloudevents import rfc3339
from schemas.failures import FailureClass, FailureCode
from schemas.wire import Outgoing, Record

DEADLETTERS_TOPIC = "moment-sync.deadletters"
PREFIX = "moment-sync-"
LETTER_ID = "moment-sync-letter-id"

# Our headers of one letter together, in bytes (interface section 5).
MAX_HEADERS_BYTES = 64 * 1024
# Kafka writes two lengths of at most five bytes with every header.
HEADER_OVERHEAD_BYTES = 10
# Longest header but the texts, in bytes: ids, paths and numbers are shorter.
MAX_FACT_BYTES = 1_024
# What a person needs of an answer is at its beginning, in bytes.
MAX_RESPONSE_BYTES = 16 * 1024
_TEXTS = ("text", "action", "response")
_INSTEAD = ("\ufffd", " ")  # of what has no picture; of what is only space
# Cut in this order until the headers fit.
_CUT_ORDER = ("response", "text", "action")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """All that is said of a dead letter besides the record itself.

    `letter_id` is taken wherever a delivery id is: the delivery's own, or one made for a record
    that never became a delivery. `entity` is `invoice/1001`, `blocked_by` `customer/100042`.
    `response`: status and body of the last answer, cleared of secrets by the caller.
    """

    letter_id: str
    code: FailureCode
    klass: FailureClass
    text: str
    action: str
    version: str
    field: str | None = None
    delivery_id: str | None = None
    company: str | None = None
    integration: str | None = None
    system: str | None = None
    entity: str | None = None
    attempts: int = 0
    first_failed_at: datetime | None = None
    last_failed_at: datetime | None = None
    blocked_by: str | None = None
    replay_count: int = 0
    response: str | None = None
    trace: str | None = None


def encode_letter(letter: Letter, record: Record, *, topic_prefix: str = "") -> Outgoing:
    """The record of a dead letter: value, key and headers as they came, ours after them.

    `topic_prefix` is what was taken off the record's topic; `-original-topic` names it whole.
    Ours stay under `MAX_HEADERS_BYTES` whatever the letter holds; `-response` is cut first.
    """
    facts = _facts(letter, record) | {"original-topic": topic_prefix + record.topic}
    ours = tuple((f"{PREFIX}{name}", value) for name, value in _fitting(facts))
    return Outgoing(
        topic=DEADLETTERS_TOPIC,
        key=record.key,
        value=record.value,
        headers=(*record.headers, *ours),
    )


def read_letter(headers: tuple[tuple[str, bytes], ...]) -> dict[str, str]:
    """Our headers of a dead letter, by name without `moment-sync-`; empty if it is none."""
    start = _start_of_ours(headers)
    return {
        name.removeprefix(PREFIX): (value or b"").decode(errors="replace")
        for name, value in headers[start:]
        if name.startswith(PREFIX)
    }


def original_headers(headers: tuple[tuple[str, bytes], ...]) -> tuple[tuple[str, bytes], ...]:
    """The headers that the record came with."""
    return headers[: _start_of_ours(headers)]


def headers_size(headers: tuple[tuple[str, bytes], ...]) -> int:
    """Bytes that headers take in a record, at most."""
    return sum(len(n.encode()) + len(v or b"") + HEADER_OVERHEAD_BYTES for n, v in headers)


def _start_of_ours(headers: tuple[tuple[str, bytes], ...]) -> int:
    places = [index for index, (name, _) in enumerate(headers) if name == LETTER_ID]
    return places[-1] if places else len(headers)


def _facts(letter: Letter, record: Record) -> dict[str, str | None]:
    return {
        "letter-id": letter.letter_id,
        "code": letter.code.value,
        "class": letter.klass.value,
        "text": letter.text,
        "action": letter.action,
        "field": letter.field,
        "delivery-id": letter.delivery_id,
        "company": letter.company,
        "integration": letter.integration,
        "system": letter.system,
        "entity": letter.entity,
        "attempts": str(letter.attempts),
        "first-failed-at": rfc3339(letter.first_failed_at) if letter.first_failed_at else None,
        "last-failed-at": rfc3339(letter.last_failed_at) if letter.last_failed_at else None,
        "original-topic": record.topic,
        "original-partition": str(record.partition),
        "original-offset": str(record.offset),
        "original-timestamp": str(record.timestamp_ms),
        "blocked-by": letter.blocked_by,
        "replay-count": str(letter.replay_count),
        "response": letter.response,
        "trace": letter.trace,
        "version": letter.version,
    }


def _fitting(facts: dict[str, str | None]) -> list[tuple[str, bytes]]:
    encoded = {
        name: value if name in _TEXTS else _cut(value, MAX_FACT_BYTES)
        for name, text in facts.items()
        if text is not None
        for value in [_shown(text, name in _TEXTS).encode(errors="replace")]
    }
    if "response" in encoded:
        encoded["response"] = _cut(encoded["response"], MAX_RESPONSE_BYTES)
    for name in _CUT_ORDER:
        size = headers_size(tuple((PREFIX + n, v) for n, v in encoded.items()))
        excess = size - (MAX_HEADERS_BYTES - 1)
        if excess > 0 and name in encoded:
            encoded[name] = _cut(encoded[name], max(0, len(encoded[name]) - excess))
    return list(encoded.items())


def _shown(text: str, quotes: bool) -> str:
    """Without what would steer whoever shows the header: ours quote answers and events.

    Texts keep their lines. Of names only control characters go, which no entity has: they stay
    what they are.
    """
    if text.isprintable():
        return text
    return "".join(char if _harmless(char, quotes) else _INSTEAD[char.isspace()] for char in text)


def _harmless(char: str, quotes: bool) -> bool:
    return char.isprintable() or char == "\n" if quotes else unicodedata.category(char) != "Cc"


def _cut(value: bytes, limit: int) -> bytes:
    """At most `limit` bytes that are still UTF-8."""
    return value if len(value) <= limit else value[:limit].decode(errors="ignore").encode()
