"""Ingest's one write: what was fetched becomes events, deliveries, commands and letters.

Guarded by unique keys alone, so that any worker may do it for any lane (design section 5.2).
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from schemas.wire import Outgoing, Record
from streams.ledger.engine import Operation
from streams.ledger.rows import pack_headers, unpack_headers
from streams.ledger.tables import (
    commands,
    deliveries,
    inbox,
    letters,
    outbox,
    source_offsets,
)

KEYS_A_QUERY = 400  # bound parameters are limited; SQLite's lowest common limit is 999


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery to be opened, but for its event's row number."""

    delivery_id: str
    integration: str
    system: str
    entity_key: str
    lane: int


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could be read and whose company is set up."""

    record: Record
    source: str
    ce_id: str
    ce_type: str
    digest: bytes
    digest_version: int
    company: str
    entity_type: str
    number: str
    customer_number: str
    sequence: int | None
    received_at: float
    deliveries: tuple[NewDelivery, ...]


class NewLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A record that becomes no delivery, with its dead letter as it is to be published."""

    record: Record
    letter_id: str
    company: str | None
    failure: bytes  # JSON of a `Failure`
    received_at: float
    lane: int
    outgoing: Outgoing


class NewCommand(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's command, checked."""

    source: str
    ce_id: str
    command: bytes  # JSON
    lane: int
    received_at: float


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """One fetch of one partition, decoded. `next_offset` is where reading goes on."""

    topic: str
    partition: int
    next_offset: int
    events: tuple[NewEvent, ...] = ()
    letters: tuple[NewLetter, ...] = ()
    commands: tuple[NewCommand, ...] = ()


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What a fetch came to: integrations with something to do, and how many of what."""

    integrations: frozenset[str]
    events: int
    duplicates: int
    letters: int
    commands: int


def insert_new(connection: Connection, table: Table) -> Any:
    """INSERT … ON CONFLICT DO NOTHING in the words of the database at hand."""
    return _insert_new(connection.dialect.name, table)


@lru_cache(maxsize=64)
def _insert_new(dialect_name: str, table: Table) -> Any:
    dialect = sqlite if dialect_name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


def chunks(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    """Cut a list of keys so that each part fits into one query."""
    for start in range(0, len(keys), KEYS_A_QUERY):
        yield keys[start : start + KEYS_A_QUERY]


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
    fresh = _insert_events(connection, fetch.events)
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
    _open_deliveries(connection, opened)
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


def _insert_events(
    connection: Connection, events: Sequence[NewEvent]
) -> dict[tuple[str, str], int]:
    if not events:
        return {}
    rows = [
        {
            "source": e.source,
            "ce_id": e.ce_id,
            "ce_type": e.ce_type,
            "digest": e.digest,
            "digest_version": e.digest_version,
            "topic": e.record.topic,
            "partition": e.record.partition,
            "offset": e.record.offset,
            "timestamp_ms": e.record.timestamp_ms,
            "key": e.record.key,
            "value": e.record.value,
            "headers": pack_headers(e.record.headers),
            "company": e.company,
            "entity_type": e.entity_type,
            "number": e.number,
            "customer_number": e.customer_number,
            "sequence": e.sequence,
            "received_at": e.received_at,
        }
        for e in events
    ]
    statement = insert_new(connection, inbox).returning(
        inbox.c.event_pk, inbox.c.source, inbox.c.ce_id
    )
    inserted = connection.execute(statement, rows)
    return {(row.source, row.ce_id): row.event_pk for row in inserted}


def _sort_repeats(
    connection: Connection,
    repeats: Sequence[NewEvent],
    same_content: SameContent,
    just_opened: frozenset[int],
) -> tuple[list[tuple[int, NewEvent]], list[NewEvent]]:
    """Of events seen before: those that became no delivery then, and those that say otherwise."""
    if not repeats:
        return [], []
    known = _known_events(connection, repeats)
    again: list[tuple[int, NewEvent]] = []
    reused: list[NewEvent] = []
    for event in repeats:
        row = known[event.source, event.ce_id]
        place = (event.record.topic, event.record.partition, event.record.offset)
        if place == (row.topic, row.partition, row.offset):
            continue  # Kafka gave us the same record again
        if not _same(row, event, same_content):
            reused.append(event)
        elif not row.delivered and event.deliveries and row.event_pk not in just_opened:
            again.append((row.event_pk, event))
    return again, reused


def _known_events(connection: Connection, repeats: Sequence[NewEvent]) -> dict[Any, Any]:
    delivered = (
        select(func.count())
        .select_from(deliveries)
        .where(deliveries.c.event_pk == inbox.c.event_pk)
        .scalar_subquery()
        .label("delivered")
    )
    columns = [c for c in inbox.c if c.name != "received_at"]
    known = {}
    for part in chunks(list({(e.source, e.ce_id) for e in repeats})):
        query = select(*columns, delivered).where(tuple_(inbox.c.source, inbox.c.ce_id).in_(part))
        known.update({(row.source, row.ce_id): row for row in connection.execute(query)})
    return known


def _same(row: Any, event: NewEvent, same_content: SameContent) -> bool:
    if row.digest_version == event.digest_version:
        return bool(row.digest == event.digest)
    stored = Record(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        timestamp_ms=row.timestamp_ms,
        key=row.key,
        value=row.value,
        headers=unpack_headers(row.headers),
    )
    return same_content(stored, event.digest)


def _open_deliveries(connection: Connection, opened: Sequence[tuple[int, NewEvent]]) -> None:
    rows = [
        {
            "delivery_id": d.delivery_id,
            "event_pk": event_pk,
            "integration": d.integration,
            "system": d.system,
            "company": e.company,
            "entity_key": d.entity_key,
            "entity_type": e.entity_type,
            "number": e.number,
            "customer_number": e.customer_number,
            "lane": d.lane,
            "sequence": e.sequence,
            "state": "ready",
            "received_at": e.received_at,
        }
        for event_pk, e in opened
        for d in e.deliveries
    ]
    if rows:
        connection.execute(insert_new(connection, deliveries), rows)


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
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(source_offsets)
    larger = func.max if connection.dialect.name == "sqlite" else func.greatest
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[source_offsets.c.topic, source_offsets.c.partition],
            set_={
                "next_offset": larger(source_offsets.c.next_offset, statement.excluded.next_offset)
            },
        ),
        {
            "topic": fetch.topic,
            "partition": fetch.partition,
            "next_offset": fetch.next_offset,
        },
    )


class Repeat(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the ledger has already. `delivered`: it became deliveries."""

    event_pk: int
    same: bool
    delivered: bool


def repeat_of(connection: Connection, event: NewEvent, same_content: SameContent) -> Repeat | None:
    """What the ledger has under an event's source and id; None where it is new."""
    row = _known_events(connection, [event]).get((event.source, event.ce_id))
    if row is None:
        return None
    return Repeat(
        event_pk=row.event_pk,
        same=_same(row, event, same_content),
        delivered=bool(row.delivered),
    )


def open_again(connection: Connection, event: NewEvent, known: Repeat | None) -> None:
    """Open the deliveries of an event that became none when it came."""
    if known is not None:
        _open_deliveries(connection, [(known.event_pk, event)])
        return
    fresh = _insert_events(connection, [event])
    _open_deliveries(connection, [(pk, event) for pk in fresh.values()])
