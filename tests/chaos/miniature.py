"""A whole history in which everything went as it should, made from the load of any seed."""

from collections.abc import Iterator
from datetime import UTC, datetime

from schemas.deadletters import Letter, encode_letter
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode
from schemas.lane import lane_key
from schemas.outcomes import (
    FINAL,
    EntityRef,
    EventRef,
    FailureView,
    Outcome,
    OutcomeKind,
    Words,
    encode_outcome,
    outcome_id,
)
from schemas.wire import Outgoing, Record
from streams.ops.chaos.load import Planned, write_load
from streams.ops.chaos.processes import every_books
from streams.ops.chaos.record import Emitted, Fate, History, Operation, Told
from streams.ops.demo.books_read import FoundBooks
from streams.ops.demo.companies import Books, Kind
from streams.ops.demo.expectations import Fields

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
STEP_MS = 1000
_PREFERRED = ("applied", "unchanged", "dead")


def history_of(seed: int, events: int = 80) -> History:
    """Everything told once, everything booked once, parents first, the newest state in the end."""
    emitted = [
        _emitted(place, one)
        for place, one in enumerate(write_load(events, 10, seed, clearing=True))
    ]
    told = list(_told(emitted))
    return History(
        integrations=every_books(),
        emitted=emitted,
        told=told,
        books={books.id: _books(books, emitted) for books in every_books()},
        operations=list(_operations(emitted)),
    )


def _emitted(place: int, one: Planned) -> Emitted:
    return Emitted(
        topic=one.record.topic,
        partition=0,
        offset=place,
        key=one.record.key,
        value=one.record.value,
        source=one.source,
        id=one.id,
        company=one.company,
        entity=one.entity,
        version=one.version,
        parents=one.parents,
        fates=one.fates,
        letter=one.letter,
        duplicate=one.duplicate,
    )


def _told(emitted: list[Emitted]) -> Iterator[Told]:
    place = 0
    for one in emitted:
        for integration, fate in one.fates.items():
            kind = OutcomeKind(next((k for k in _PREFERRED if k in fate.outcomes), "applied"))
            outcome = outcome_of(one, integration, kind, fate.code)
            yield as_told(outcome, place)
            if kind is OutcomeKind.DEAD:
                yield _as_letter(one, outcome.delivery_id, fate.code or "", place)
            place += 1
        if one.letter is not None:
            yield _as_letter(one, None, one.letter, place)
            place += 1


def outcome_of(
    one: Emitted, integration: str, kind: OutcomeKind, code: str | None = None
) -> Outcome:
    """An outcome of one event in one integration."""
    entity_type, _, number = one.entity.partition("/")
    customer = one.parents[0].partition("/")[2] if one.parents else number
    return Outcome(
        delivery_id=f"{one.id}/{integration}",
        outcome=kind,
        final=kind in FINAL,
        company=one.company,
        integration=integration,
        system="sparebank1",
        entity=EntityRef(type=EntityType(entity_type), number=number, customer_number=customer),
        event=EventRef(
            id=one.id,
            source=one.source,
            type="team.moment.customer.created",
            time=AT,
            topic=one.topic,
            partition=one.partition,
            offset=one.offset,
        ),
        attempts=1,
        received_at=AT,
        settled_at=AT,
        failure=None if code is None else _failure(code),
    )


def _failure(code: str) -> FailureView:
    failure = Failure(code=FailureCode(code))
    return FailureView(
        code=failure.code,
        klass=failure.failure_class,
        text="text",
        action="action",
        parameters={},
        languages={"en": Words(text="text", action="action")},
    )


def as_told(outcome: Outcome, place: int, ordinal: int = 1) -> Told:
    """The record of an outcome, told at the `place`-th second."""
    record = encode_outcome(
        outcome,
        outcome_id=outcome_id(outcome.delivery_id, outcome.outcome, ordinal),
        source="/moment-sync/chaos",
        time=AT,
        key=lane_key(outcome.company, outcome.entity.customer_number),
    )
    return _record(record, place)


def _as_letter(one: Emitted, delivery: str | None, code: str, place: int) -> Told:
    failure = Failure(code=FailureCode(code))
    letter = Letter(
        letter_id=delivery or f"letter-{one.offset}",
        delivery_id=delivery,
        code=failure.code,
        klass=failure.failure_class,
        text="text",
        action="action",
        version="0",
    )
    came = Record(
        topic=one.topic,
        partition=one.partition,
        offset=one.offset,
        timestamp_ms=0,
        key=one.key,
        value=one.value,
    )
    return _record(encode_letter(letter, came), place)


def _record(record: Outgoing, place: int) -> Told:
    return Told(
        topic=record.topic,
        partition=0,
        offset=place,
        timestamp_ms=place * STEP_MS,
        key=record.key,
        value=record.value,
        headers=record.headers,
    )


def _alive(emitted: list[Emitted], integration: str) -> Iterator[tuple[Emitted, Fate]]:
    for one in emitted:
        fate = one.fates.get(integration)
        if fate is not None and fate.code is None:
            yield one, fate


def _shelf(books: Books, emitted: list[Emitted], what: str) -> dict[str, Fields]:
    newest: dict[str, tuple[int, Fields]] = {}
    for one, fate in _alive(emitted, books.id):
        kind, _, number = one.entity.partition("/")
        if kind == what and fate.fields is not None:
            newest[number] = max(newest.get(number, (0, {})), (one.version, fate.fields))
    return {number: dict(fields) for number, (_, fields) in newest.items()}


def _books(books: Books, emitted: list[Emitted]) -> FoundBooks:
    return FoundBooks(
        customers=_shelf(books, emitted, "customer"),
        projects=_shelf(books, emitted, "project"),
        bookings=tuple(
            fate.booking for _, fate in _alive(emitted, books.id) if fate.booking is not None
        ),
    )


def _operations(emitted: list[Emitted]) -> Iterator[Operation]:
    """All customers, then all projects, then all invoices; states in their order."""
    place = 0
    for what in ("customer", "project", "invoice"):
        for one in sorted(emitted, key=lambda one: one.version):
            if not one.entity.startswith(what):
                continue
            for books in every_books():
                fate = one.fates.get(books.id)
                if fate is None or fate.code or not (fate.fields or fate.booking):
                    continue
                if what == "project" and books.kind is Kind.DKPLUS and one.version > 1:
                    continue
                place += 1
                yield Operation(
                    place=place,
                    integration=books.id,
                    entity=one.entity,
                    version=None if what == "invoice" else one.version,
                )
