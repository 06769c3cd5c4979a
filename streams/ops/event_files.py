"""Files of events: one structured CloudEvent, an array of them, or one a line. Pure.

Each event keeps the bytes that it came as, so that its decimals and a dead letter are exact.
"""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from schemas.cloudevents import structured_headers
from schemas.codec import EVENT_TYPES, TOPIC_OF, Unreadable, decode
from schemas.failures import Failure, FailureCode
from schemas.refusals import unreadable
from schemas.wire import Outgoing, Record

_BOM: Final = b"\xef\xbb\xbf"
_WHOLE: Final = "$"
_ATTRIBUTE: Final = re.compile(r"(?:attribute )?(\w+) is (?:missing|longer|not 1\.0)")
# For whoever wrote the file; the catalogue speaks to who finds a dead letter.
_REMEDIES: Final = {
    FailureCode.EVENT_UNREADABLE: (
        "write a CloudEvent 1.0 as one JSON object: specversion, id, source, type, data"
    ),
    FailureCode.EVENT_INVALID: (
        "correct it; `moment-sync schemas export DIR` writes what is allowed"
    ),
    FailureCode.EVENT_TYPE_UNKNOWN: f"use one of {', '.join(EVENT_TYPES)}",
}
_values: Final = msgspec.json.Decoder(msgspec.Raw)
_arrays: Final = msgspec.json.Decoder(list[msgspec.Raw])


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """An event that must not be sent. `index` counts the events of the file from 0.

    `path` is that of the missing or wrong member; of the data where the envelope is good.
    """

    file: str
    index: int
    path: str
    code: str
    text: str
    action: str


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A record and where it came from."""

    file: str
    index: int
    record: Outgoing


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of some files: records in the order of the files, and what is refused."""

    records: tuple[Located, ...]
    refused: tuple[Refused, ...]

    @property
    def events(self) -> int:
        """How many events there are, good and bad."""
        return len(self.records) + len(self.refused)


def check(files: Sequence[tuple[str, bytes]]) -> Checked:
    """Every event of named files, with its right topic and key. Never raises; does no I/O."""
    records: list[Located] = []
    refused: list[Refused] = []
    for name, content in files:
        for index, value in enumerate(split(content)):
            found = outgoing(value)
            if isinstance(found, Failure):
                refused.append(_refused(name, index, found))
            else:
                records.append(Located(file=name, index=index, record=found))
    return Checked(records=tuple(records), refused=tuple(refused))


def outgoing(value: bytes) -> Outgoing | Failure:
    """The record of one structured event, as it came; or why it is none."""
    headers = structured_headers()
    record = Record(
        topic="", partition=0, offset=0, timestamp_ms=0, key=None, value=value, headers=headers
    )
    event = decode(record)
    if isinstance(event, Unreadable):
        return event.failure
    return Outgoing(topic=TOPIC_OF[event.entity_type], key=event.key, value=value, headers=headers)


def split(content: bytes) -> list[bytes]:
    """The events of a file's content; what cannot be split is one of them, and fails its check."""
    text = content.removeprefix(_BOM).strip()
    if not text:
        return []
    if text.startswith(b"["):
        try:
            return [bytes(value) for value in _arrays.decode(text)]
        except (msgspec.MsgspecError, RecursionError):
            return [text]
    if _is_one_value(text):
        return [text]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # A broken event over many lines is one mistake, not one for each of its lines.
    return lines if any(_is_one_value(line) for line in lines) else [text]


def _is_one_value(text: bytes) -> bool:
    try:
        found = _values.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return bytes(found).startswith(b"{")


def too_large(file: str, index: int, limit: int) -> Refused:
    """An event that its topic would not take."""
    return _refused(file, index, unreadable(f"larger than its topic takes ({limit} bytes)"))


def _refused(file: str, index: int, failure: Failure) -> Refused:
    given = failure.parameters
    return Refused(
        file=file,
        index=index,
        path=_path(failure),
        code=failure.code.value,
        text=given.get("reason") or f"type {given.get('type', '')!r} is not known",
        action=_REMEDIES.get(failure.code, _REMEDIES[FailureCode.EVENT_INVALID]),
    )


def _path(failure: Failure) -> str:
    """Where in the event: a member of the data, else an attribute, else the whole."""
    if failure.code is FailureCode.EVENT_TYPE_UNKNOWN:
        return "$.type"
    if failure.field is not None:
        return failure.field if failure.field.startswith(_WHOLE) else f"$.{failure.field}"
    named = _ATTRIBUTE.match(failure.parameters.get("reason", ""))
    return f"$.{named[1]}" if named else _WHOLE
