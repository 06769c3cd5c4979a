"""Letters of records that never became a delivery, as people are told of them.

Whoever keeps a company's books waits for what never came: where the company is known and set up,
its first integration (by id) is told. Of other letters nobody outside can be told; they are in
the dead letters, the log and `moment-sync status`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, insert, literal_column, select, update

from connectors.integrations import Integration
from schemas.codec import EVENT_TYPES, Event, decode
from schemas.failures import Failure
from schemas.lane import partition_of
from schemas.outcomes import OutcomeKind
from schemas.wire import Record
from streams.ledger.inserting import chunks
from streams.ledger.letters import DEAD, StoredLetter, letter_of
from streams.ledger.rows import to_json
from streams.ledger.tables import letters, notices
from streams.notices.causes import Detail, cause_of

LOOKED_AT = 500  # letters in one transaction
NO_DELIVERY = 0  # in `notices.ordinal`: no delivery has it
ANYBODYS_LANE = 0  # its owner marks the letters of which nobody can be told
# As the partial index has it.
_UNTOLD: ColumnElement[bool] = literal_column("NOT letters.told").self_group()


def first_of_company(integrations: Mapping[str, Integration]) -> dict[str, str]:
    """The integration that is told of a company's letters, by company."""
    found: dict[str, str] = {}
    for name in sorted(integrations):
        found.setdefault(integrations[name].company, name)
    return found


def any_untold(
    connection: Connection, firsts: Mapping[str, str], own: frozenset[int], partitions: int
) -> bool:
    """Whether a letter is to be looked at by the owner of these lanes."""
    query = select(letters.c.company).where(_UNTOLD).order_by(letters.c.received_at)
    companies = connection.scalars(query.limit(LOOKED_AT))
    return any(_is_ours(company, firsts, own, partitions) for company in companies)


def note_letters(
    connection: Connection,
    integrations: Mapping[str, Integration],
    own: frozenset[int],
    partitions: int,
) -> bool:
    """Note letters that nobody looked at yet. True: there may be more."""
    query = select(letters).where(_UNTOLD).order_by(letters.c.received_at).limit(LOOKED_AT)
    rows = connection.execute(query).all()
    firsts = first_of_company(integrations)
    ours = [letter_of(row) for row in rows if _is_ours(row.company, firsts, own, partitions)]
    noted = [
        _notice(letter, integrations[firsts[letter.company]])
        for letter in ours
        if letter.state == DEAD and letter.company in firsts
    ]
    if noted:
        connection.execute(insert(notices), noted)
    for part in chunks([letter.letter_id for letter in ours]):
        connection.execute(update(letters).where(letters.c.letter_id.in_(part)).values(told=True))
    return len(rows) == LOOKED_AT and bool(ours)


def _is_ours(
    company: str | None, firsts: Mapping[str, str], own: Iterable[int], partitions: int
) -> bool:
    first = firsts.get(company or "")
    lane = ANYBODYS_LANE if first is None else partition_of(first.encode(), partitions)
    return lane in own


def _notice(letter: StoredLetter, integration: Integration) -> dict[str, Any]:
    detail = detail_of(letter.record, letter.failure)
    return {
        "at": letter.received_at,
        "integration": integration.id,
        "system": integration.system.value,
        "company": integration.company,
        "kind": OutcomeKind.DEAD.value,
        "code": letter.failure.code.value,
        "cause": cause_of(OutcomeKind.DEAD, letter.failure),
        "ordinal": NO_DELIVERY,
        "letter_id": letter.letter_id,
        "entity_type": detail.entity_type.value if detail.entity_type is not None else "",
        "many": 1,
        "detail": to_json(detail),
    }


class _Numbered(msgspec.Struct):
    number: str | None = None


class _Enveloped(msgspec.Struct):
    number: str | None = None
    data: _Numbered | None = None


_numbers = msgspec.json.Decoder(_Enveloped)


def detail_of(record: Record, failure: Failure) -> Detail:
    """What can be said of a record: its entity where it names one, else its event or place."""
    found = decode(record)
    if isinstance(found, Event):
        return Detail(entity_type=found.entity_type, number=found.data.number, failure=failure)
    kind, number = EVENT_TYPES.get(found.type or ""), _number(record)
    if kind is not None and number:
        return Detail(entity_type=kind, number=number, failure=failure)
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return Detail(number=found.event_id or place, failure=failure)


def _number(record: Record) -> str | None:
    try:
        found = _numbers.decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.number or (found.data.number if found.data is not None else None)
