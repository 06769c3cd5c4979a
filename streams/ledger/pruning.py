"""Deleting what nobody needs any more, and telling what will be needed for too long.

**What goes** when it is older than RETENTION: outcomes and letters that are published, attempts,
and deliveries that are settled and not dead; events that no delivery needs; letters that were
discarded or replayed. **What stays**: whatever is dead or open, with all that belongs to it; the
last event of every entity; the delivery that its books show, where it is the only one to say so
(a letter of an older state must be seen to be stale, a resync must bring over what was edited or
booked); entities, bookings, commands and the audit.

**Why the same event is still seen as the same.** Kafka can give an event again only while its
topic still has it. RETENTION is not shorter than that of the input topics (settings refuse it),
counted from when the event was received, or from its own time stamp where that is later; and
Kafka keeps a record longer than that by at most the age of its segment, which `SEGMENT_S` adds.
So whatever is read again, after a rebalance, a rewind or a restored broker, meets its row here.
Beyond that, an event is new; content that the books have is `unchanged` even then, and an invoice
number is booked once for ever.

One worker deletes, the owner of lane 0: what is deleted has no writer any more, in any lane.
Reading is done beside the writer thread; each transaction deletes at most `PRUNE_MOST` rows.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
)

from schemas.events import EntityType
from streams.core.states import SETTLED, State
from streams.ledger.access import owned
from streams.ledger.engine import Operation
from streams.ledger.inserting import chunks
from streams.ledger.letters import DISCARDED, REPLAYED
from streams.ledger.rows import open_or_dead
from streams.ledger.tables import (
    attempts,
    commands,
    deliveries,
    entities,
    inbox,
    letters,
    notice_causes,
    outbox,
)

PRUNE_MOST: Final = 500  # rows of one transaction: others wait for it for some milliseconds
# Kafka deletes whole segments, and begins a new one after `segment.ms`: 7 days by default.
SEGMENT_S: Final = 8 * 24 * 3600.0
CAUSE_QUIET_S: Final = 24 * 3600.0  # a cause that is over and comes back within this is known
_SETTLED: Final = tuple(state.value for state in sorted(SETTLED))


class Part(StrEnum):
    """What is deleted, in this order: a delivery goes when nothing belongs to it any more."""

    OUTCOMES = "outcomes"
    ATTEMPTS = "attempts"
    DELIVERIES = "deliveries"
    EVENTS = "events"
    LETTERS = "letters"
    CAUSES = "causes"


class Prunable(msgspec.Struct, frozen=True):
    """Some rows that may go, by key; behind what to go on, and whether these were the last."""

    keys: tuple[Any, ...]
    after: Any
    last: bool


def prunable(connection: Connection, part: Part, before: float, after: Any) -> Prunable:
    """Look at `PRUNE_MOST` rows behind `after` (None: from the first) for those that may go.

    `before`: seconds since 1970; of causes it is now. Rows are as good as in order of time, so
    the first stretch without an old one is the last: one wrong clock hides nothing.
    """
    key, at = _KEYS[part]
    query = select(key, at).order_by(key).limit(PRUNE_MOST)
    if after is not None:
        query = query.where(key > after)
    rows = list(connection.execute(query))
    old = [row[0] for row in rows if row[1] < before]
    keys: list[Any] = []
    for some in chunks(old):
        keys.extend(connection.scalars(_old(part, before).where(key.in_(some)).order_by(key)))
    in_order = part not in {Part.LETTERS, Part.CAUSES}
    return Prunable(
        tuple(keys),
        after=rows[-1][0] if rows else after,
        last=len(rows) < PRUNE_MOST or (in_order and not old),
    )


class Prune(msgspec.Struct, frozen=True, kw_only=True):
    """Delete these rows, where they still may go, for the owner of the lanes in `epochs`."""

    part: Part
    keys: tuple[Any, ...]
    before: float
    epochs: Mapping[int, int]


def _prune(connection: Connection, items: Sequence[Prune]) -> list[int]:
    return [_prune_some(connection, item) for item in items]


# Returns how many went. First of its transaction, since it may lock a table: whoever waits for
# that lock then holds nothing that this one waits for.
prune: Operation[Prune, int] = Operation("prune", 1, _prune)


def _prune_some(connection: Connection, item: Prune) -> int:
    if item.part is Part.EVENTS and connection.dialect.name == "postgresql":
        # Ingest may just be opening deliveries of such an event, having read that it has none.
        connection.exec_driver_sql("LOCK TABLE inbox IN SHARE ROW EXCLUSIVE MODE")
    if owned(connection, item.epochs) != item.epochs.keys():
        return 0
    key, gone = _KEYS[item.part][0], 0
    for some in chunks(item.keys):
        found = list(connection.scalars(_old(item.part, item.before).where(key.in_(some))))
        connection.execute(delete(key.table).where(key.in_(found)))
        gone += len(found)
    return gone


# --- what may go -----------------------------------------------------------------------------

# Its key, and when it came or ended.
_KEYS: Final[dict[Part, tuple[Column[Any], Column[Any]]]] = {
    Part.OUTCOMES: (outbox.c.position, outbox.c.created_at),
    Part.ATTEMPTS: (attempts.c.attempt_pk, attempts.c.ended_at),
    Part.DELIVERIES: (deliveries.c.ordinal, deliveries.c.received_at),
    Part.EVENTS: (inbox.c.event_pk, inbox.c.received_at),
    Part.LETTERS: (letters.c.letter_id, letters.c.received_at),
    Part.CAUSES: (notice_causes.c.cause_pk, notice_causes.c.changed_at),
}


def _old(part: Part, before: float) -> Select[Any]:
    match part:
        case Part.OUTCOMES:
            return _outcomes(before)
        case Part.ATTEMPTS:
            return _attempts(before)
        case Part.DELIVERIES:
            # As long as their events: one without deliveries would be taken as never delivered.
            return _deliveries(before - SEGMENT_S)
        case Part.EVENTS:
            return _events(before - SEGMENT_S)
        case Part.LETTERS:
            done = letters.c.state.in_((DISCARDED, REPLAYED))
            long_ago = letters.c.received_at < before - SEGMENT_S
            return select(letters.c.letter_id).where(done, long_ago)
        case Part.CAUSES:
            quiet = notice_causes.c.changed_at < before - CAUSE_QUIET_S
            return select(notice_causes.c.cause_pk).where(~notice_causes.c.open, quiet)


def _needs_nothing(ordinal: Column[Any]) -> ColumnElement[bool]:
    """What belongs to a delivery may go: it is settled, or there is none (any more)."""
    kept = exists().where(deliveries.c.ordinal == ordinal, deliveries.c.state.not_in(_SETTLED))
    return or_(ordinal.is_(None), ~kept)


def _outcomes(before: float) -> Select[Any]:
    return select(outbox.c.position).where(
        outbox.c.created_at < before,
        outbox.c.published,
        _needs_nothing(outbox.c.delivery_ordinal),
    )


def _attempts(before: float) -> Select[Any]:
    return select(attempts.c.attempt_pk).where(
        attempts.c.ended_at < before,
        _needs_nothing(attempts.c.ordinal),
    )


def _deliveries(before: float) -> Select[Any]:
    row = deliveries.c
    shown = exists().where(
        entities.c.entity_key == row.entity_key, entities.c.applied_ordinal == row.ordinal
    )
    event, newer = inbox.alias("its_event"), inbox.alias("newer_event")
    overtaken = exists().where(
        event.c.event_pk == row.event_pk, _is_same_entity(newer, event), _is_newer(newer, event)
    )
    alone = or_(row.entity_type != EntityType.INVOICE.value, row.edited.is_not(None), overtaken)
    return select(row.ordinal).where(
        row.received_at < before,
        row.state.in_(_SETTLED),
        row.settled_at < before,
        ~exists().where(outbox.c.delivery_ordinal == row.ordinal),
        ~exists().where(attempts.c.ordinal == row.ordinal),
        ~and_(shown, alone),
    )


def _events(before: float) -> Select[Any]:
    newer = inbox.alias("newer_event")
    return select(inbox.c.event_pk).where(
        inbox.c.received_at < before,
        inbox.c.timestamp_ms < before * 1000,
        ~exists().where(deliveries.c.event_pk == inbox.c.event_pk),
        exists().where(_is_same_entity(newer, inbox), _is_newer(newer, inbox)),
        # A resync under way goes from event to event.
        ~exists(select(literal_column("1")).select_from(commands).where(_COMMAND_OPEN)),
    )


_COMMAND_OPEN: Final[ColumnElement[bool]] = literal_column("commands.state = 'open'")


def _is_same_entity(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(
        one.c.company == other.c.company,
        one.c.entity_type == other.c.entity_type,
        one.c.number == other.c.number,
    )


def _is_newer(one: Any, other: Any) -> ColumnElement[bool]:
    """As `last_states.last_event` has it: by `sequence` where given, else by receipt."""
    ours, theirs = (func.coalesce(table.c.sequence, -1) for table in (one, other))
    return or_(ours > theirs, and_(ours == theirs, one.c.event_pk > other.c.event_pk))


# --- what stays too long ---------------------------------------------------------------------


ALARM_LEAD_S: Final = 7 * 24 * 3600.0  # a person has a week to do something about it,
ALARM_SHARE: Final = 4  # or a quarter of the retention where that is less


def alarm_age_s(kept_s: float) -> float:
    """How old what is open may be until people are told; `kept_s`: the topics' retention."""
    return kept_s - min(ALARM_LEAD_S, kept_s / ALARM_SHARE)


class Lasting(msgspec.Struct, frozen=True, kw_only=True):
    """What is open or dead since before a time: how many by state, and the oldest's receipt."""

    states: Mapping[str, int]
    oldest_at: float | None


def lasting(connection: Connection, since_before: float) -> Lasting:
    """Find what the topics will not have any more should the ledger be lost. Reads all of it."""
    query = (
        select(deliveries.c.state, func.count(), func.min(deliveries.c.received_at))
        .where(open_or_dead, deliveries.c.received_at < since_before)
        .group_by(deliveries.c.state)
    )
    found = [tuple(row) for row in connection.execute(query)]
    unsent = connection.execute(
        select(func.count(), func.min(letters.c.received_at)).where(
            letters.c.state == State.DEAD.value, letters.c.received_at < since_before
        )
    ).one()
    if unsent[0]:
        found.append(("letter", unsent[0], unsent[1]))
    return Lasting(
        states={state: many for state, many, _ in found},
        oldest_at=min((oldest for _, _, oldest in found), default=None),
    )
