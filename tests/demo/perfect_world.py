"""A day of the demo and a world in which everything came of it as it must."""

from datetime import UTC, datetime

from schemas.events import customer_number_of, type_of
from schemas.failures import FACTS, FailureCode
from schemas.outcomes import (
    FINAL,
    EntityRef,
    EventRef,
    FailureView,
    Outcome,
    OutcomeKind,
)
from streams.ops.demo.books_check import Letter, Sent, Told
from streams.ops.demo.books_read import FoundBooks
from streams.ops.demo.companies import COMPANIES
from streams.ops.demo.day import write_day
from streams.ops.demo.expectations import Expected, expect
from streams.ops.demo.writing import Emission

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
DAY = write_day(120, "test", START)
EMISSIONS = DAY.emissions
EXPECTED = expect(EMISSIONS, COMPANIES)
SENT = [
    Sent(
        topic=emission.record.topic,
        partition=0,
        offset=place,
        key=emission.record.key,
        value=emission.record.value,
    )
    for place, emission in enumerate(EMISSIONS)
]
FIRST = {(e.source, e.id): place for place, e in reversed(list(enumerate(EMISSIONS))) if e.entity}


def right_books() -> dict[str, FoundBooks]:
    return {
        name: FoundBooks(
            customers={number: dict(fields) for number, fields in books.customers.items()},
            projects={number: dict(fields) for number, fields in books.projects.items()},
            bookings=tuple(books.bookings.values()),
            products=frozenset(books.products),
        )
        for name, books in EXPECTED.books.items()
    }


def right_told() -> Told:
    outcomes: dict[str, Outcome] = {}
    letters: list[Letter] = []
    for (event, integration), wanted in EXPECTED.deliveries.items():
        place = FIRST[event]
        outcome = outcome_of(EMISSIONS[place], integration, wanted)
        outcomes[f"{outcome.delivery_id}.1"] = outcome
        if outcome.outcome is OutcomeKind.DEAD and wanted.code is not None:
            letters.append(letter_of(place, wanted.code, outcome.delivery_id))
    letters += [letter_of(place, code) for place, code in EXPECTED.letters.items()]
    return Told(outcomes=outcomes, letters=tuple(letters))


def outcome_of(
    emission: Emission, integration: str, wanted: Expected, kind: OutcomeKind | None = None
) -> Outcome:
    entity = emission.entity
    assert entity is not None
    kind = kind or min(wanted.outcomes)
    return Outcome(
        delivery_id=f"{emission.id}.{integration}",
        outcome=kind,
        final=kind in FINAL,
        company=entity.company,
        integration=integration,
        system="sparebank1",
        entity=EntityRef(
            type=type_of(entity),
            number=entity.number,
            customer_number=customer_number_of(entity),
        ),
        event=EventRef(
            id=emission.id,
            source=emission.source,
            type="team.moment.customer.created",
            time=START,
            topic=emission.record.topic,
            partition=0,
            offset=0,
        ),
        attempts=1,
        received_at=START,
        settled_at=START,
        failure=failure_of(wanted.code) if wanted.code else None,
    )


def failure_of(code: FailureCode) -> FailureView:
    return FailureView(
        code=code, klass=FACTS[code][0], text="what", action="do", parameters={}, languages={}
    )


def letter_of(place: int, code: FailureCode, delivery_id: str | None = None) -> Letter:
    sent = SENT[place]
    says = {
        "letter-id": delivery_id or f"letter-{place}",
        "code": code.value,
        "text": "what happened",
        "action": "what to do",
        "original-topic": sent.topic,
        "original-partition": str(sent.partition),
        "original-offset": str(sent.offset),
    }
    if delivery_id is not None:
        says["delivery-id"] = delivery_id
    return Letter(says=says, key=sent.key, value=sent.value)
