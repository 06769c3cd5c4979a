"""Ingest's one write: what was fetched becomes events, deliveries, commands and letters.

Guarded by unique keys alone, so that any worker may do it for any lane (design section 5.2).
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, func
from sqlalchemy.dialects import postgresql, sqlite

from schemas.wire import Outgoing, Record
from streams.ledger.arrivals import Fetch, NewCommand, NewEvent, NewLetter, Taken
from streams.ledger.engine import TO_PUBLISH, Operation
from streams.ledger.event_rows import (
    KnownEvent,
    insert_events,
    known_events,
    open_deliveries,
    stored_record,
)
from streams.ledger.inserting import insert_new
from streams.ledger.rows import pack_headers
from streams.ledger.statements import Statement
from streams.ledger.tables import commands, letters, outbox, source_offsets

SameContent = Callable[[Record, bytes], bool]
Reused = Callable[[NewEvent], NewLetter]


def take_operation(same_content: SameContent, reused: Reused) -> Operation[Fetch, Taken]:
    """The operation that writes fetches down.

    `same_content(stored record, digest)` decides whether a stored event of an older version of
    the digest says the same as a new one; `reused` makes the letter of one that does not.
    """

    def handler(connection: Connection, fetches: Sequence[Fetch]) -> list[Taken]:
        return [_take_one(connection, fetch, same_content, reused) for fetch in fetches]

    return Operation("take", 10, handler)


def _take_one(
    connection: Connection, fetch: Fetch, same_content: SameContent, make_reused: Reused
) -> Taken:
    fresh = insert_events(connection, fetch.events)
    told: list[NewLetter] = list(fetch.letters)
    opened: list[tuple[int, NewEvent]] = []
    repeats: list[NewEvent] = []
    for event in fetch.events:
        event_pk = fresh.pop((event.source, event.ce_id), None)
        if event_pk is None:
            repeats.append(event)
        else:
            opened.append((event_pk, event))
    again, reused = _sort_repeats(
        connection, repeats, same_content, frozenset(event_pk for event_pk, _ in opened)
    )
    told.extend(make_reused(event) for event in reused)
    opened.extend(again)
    open_deliveries(connection, opened)
    letters_new = _insert_letters(connection, told)
    commands_new = _insert_commands(connection, fetch.commands)
    _advance(connection, fetch)
    return Taken(
        integrations=frozenset(d.integration for _, e in opened for d in e.deliveries),
        events=len(opened),
        duplicates=len(repeats) - len(again) - len(reused),
        letters=letters_new,
        commands=commands_new,
    )


def _sort_repeats(
    connection: Connection,
    repeats: Sequence[NewEvent],
    same_content: SameContent,
    just_opened: frozenset[int],
) -> tuple[list[tuple[int, NewEvent]], list[NewEvent]]:
    """Of events seen before: those that became no delivery then, and those that say otherwise."""
    if not repeats:
        return [], []
    known = known_events(connection, repeats)
    again: list[tuple[int, NewEvent]] = []
    reused: list[NewEvent] = []
    for event in repeats:
        row = known[event.source, event.ce_id]
        record = event.record
        # Also at the same place: of a topic that was made anew.
        if not _same(connection, row, event, same_content):
            reused.append(event)
        elif row.place == (record.topic, record.partition, record.offset):
            continue  # Kafka gave us the same record again
        elif not row.delivered and event.deliveries and row.event_pk not in just_opened:
            again.append((row.event_pk, event))
    return again, reused


def _same(
    connection: Connection, known: KnownEvent, event: NewEvent, same_content: SameContent
) -> bool:
    if known.digest_version == event.digest_version:
        return known.digest == event.digest
    stored = stored_record(connection, known.event_pk)
    # What was forgotten can be compared no more: the same identity is the same event.
    return stored is None or same_content(stored, event.digest)


def _insert_letters(connection: Connection, told: Sequence[NewLetter]) -> int:
    """Store letters once a record, with their row in the outbox."""
    count = 0
    for letter in told:
        record = letter.record
        result = connection.execute(
            insert_new(connection, letters).returning(letters.c.letter_id),
            {
                "letter_id": letter.letter_id,
                "topic": record.topic,
                "partition": record.partition,
                "offset": record.offset,
                "timestamp_ms": record.timestamp_ms,
                "key": record.key,
                "value": record.value,
                "headers": pack_headers(record.headers),
                "company": letter.company,
                "failure": letter.failure,
                "received_at": letter.received_at,
            },
        )
        if result.first() is None:
            continue
        count += 1
        put_out(connection, letter.outgoing, letter.lane, None, letter.received_at)
    return count


def put_out(
    connection: Connection, outgoing: Outgoing, lane: int, ordinal: int | None, now: float
) -> None:
    """Add one record to the outbox of a lane."""
    connection.info[TO_PUBLISH] = 1
    connection.execute(
        outbox.insert(),
        {
            "lane": lane,
            "topic": outgoing.topic,
            "key": outgoing.key,
            "value": outgoing.value,
            "headers": pack_headers(outgoing.headers),
            "delivery_ordinal": ordinal,
            "created_at": now,
        },
    )


def _insert_commands(connection: Connection, new: Sequence[NewCommand]) -> int:
    if not new:
        return 0
    rows = [msgspec.structs.asdict(command) for command in new]
    statement = insert_new(connection, commands).returning(commands.c.ce_id)
    return len(list(connection.execute(statement, rows)))


def _advance(connection: Connection, fetch: Fetch) -> None:
    _ADVANCE.run(
        connection,
        {
            "topic": fetch.topic,
            "partition": fetch.partition,
            "next_offset": fetch.next_offset,
        },
    )


def _advance_with(insert: Any, larger: Any) -> Any:
    new = insert(source_offsets).values(
        {name: bindparam(name) for name in ("topic", "partition", "next_offset")}
    )
    return new.on_conflict_do_update(
        index_elements=[source_offsets.c.topic, source_offsets.c.partition],
        set_={"next_offset": larger(source_offsets.c.next_offset, new.excluded.next_offset)},
    )


_ADVANCE = Statement(
    _advance_with(sqlite.insert, func.max),
    on_postgresql=_advance_with(postgresql.insert, func.greatest),
)


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the ledger has already. `delivered`: it became deliveries."""

    event_pk: int
    same: bool
    delivered: bool


def repeat_of(connection: Connection, event: NewEvent, same_content: SameContent) -> Repeat | None:
    """What the ledger has under an event's source and id; None where it is new."""
    row = known_events(connection, [event]).get((event.source, event.ce_id))
    if row is None:
        return None
    return Repeat(
        event_pk=row.event_pk,
        same=_same(connection, row, event, same_content),
        delivered=bool(row.delivered),
    )


def open_again(connection: Connection, event: NewEvent, known: Repeat | None) -> None:
    """Open the deliveries of an event that became none when it came."""
    if known is not None:
        open_deliveries(connection, [(known.event_pk, event)])
        return
    fresh = insert_events(connection, [event])
    open_deliveries(connection, [(pk, event) for pk in fresh.values()])
