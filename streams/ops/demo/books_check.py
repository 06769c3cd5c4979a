"""The judge: what the books hold and what was told, against what must have come of the day.

Pure. Every violation is one sentence that names the books, the entity and what is wrong with it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from schemas.outcomes import FINAL, Outcome, OutcomeKind
from streams.ops.demo.books_read import FoundBooks
from streams.ops.demo.expectations import (
    Booking,
    EventKey,
    Expectations,
    Expected,
    ExpectedBooks,
    Fields,
)

# A line's net amount is taken back out of its gross amount in a journal: a cent may move.
LINE_TOLERANCE: Final = Decimal("0.01")


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter: what it says of itself (header names without their prefix), and the record."""

    says: Mapping[str, str]
    key: bytes | None
    value: bytes | None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Where a record of the day lies: `topic` with its prefix."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """All that came out of Kafka. Outcomes by the id of their event, so a repeat counts once."""

    outcomes: Mapping[str, Outcome]
    letters: Sequence[Letter]


def violations(
    expected: Expectations, found: Mapping[str, FoundBooks], told: Told, sent: Sequence[Sent]
) -> list[str]:
    """Everything that is not as it must be; empty where the books are right."""
    wrong = [sentence for name in expected.books for sentence in _books(name, expected, found)]
    wrong += _deliveries(expected, told)
    wrong += _letters(expected, told, sent)
    return wrong


# --- the books -------------------------------------------------------------------------------


def _books(name: str, expected: Expectations, found: Mapping[str, FoundBooks]) -> Iterator[str]:
    should, holds = expected.books[name], found.get(name)
    if holds is None:
        yield f"{name}: the books could not be read"
        return
    yield from (f"{name}: {sentence}" for sentence in _records(should, holds))
    yield from (f"{name}: {sentence}" for sentence in _bookings(should, holds.bookings))
    yield from (f"{name}: {sentence}" for sentence in holds.odd)


def _records(should: ExpectedBooks, holds: FoundBooks) -> Iterator[str]:
    yield from _shelf("customer", should.customers, holds.customers)
    yield from _shelf("project", should.projects, holds.projects)
    for code in sorted(should.products - holds.products):
        yield f"product {code} is missing"
    for code in sorted(holds.products - should.products):
        yield f"product {code} is there and should not be"


def _shelf(what: str, should: Mapping[str, Fields], holds: Mapping[str, Fields]) -> Iterator[str]:
    for number in sorted(should.keys() - holds.keys()):
        yield f"{what} {number} is missing"
    for number in sorted(holds.keys() - should.keys()):
        yield f"{what} {number} is there and should not be"
    for number in sorted(should.keys() & holds.keys()):
        for field, value in should[number].items():
            if holds[number].get(field) != value:
                shown = holds[number].get(field)
                yield f"{what} {number} has {field} {shown!r} instead of {value!r}"


def _bookings(should: ExpectedBooks, holds: Sequence[Booking]) -> Iterator[str]:
    times = Counter(booking.number for booking in holds)
    for number in sorted(should.bookings.keys() - times.keys()):
        yield f"invoice {number} is not booked"
    for number, count in sorted(times.items()):
        if number not in should.bookings:
            yield f"invoice {number or '(without a number)'} is booked and should not be"
        elif count > 1:
            yield f"invoice {number} is booked {count} times"
    for booking in holds:
        if booking.number in should.bookings:
            yield from _differences(should.bookings[booking.number], booking)


def _differences(should: Booking, holds: Booking) -> Iterator[str]:
    for field in ("customer", "amount", "date", "due", "project", "payment_id"):
        wanted, there = getattr(should, field), getattr(holds, field)
        if wanted != there:
            name = field.replace("_", " ")
            yield f"invoice {should.number} has {name} {there} instead of {wanted}"
    same = [account for account, _ in should.lines] == [account for account, _ in holds.lines]
    near = same and all(
        abs(one - other) <= LINE_TOLERANCE
        for (_, one), (_, other) in zip(should.lines, holds.lines, strict=True)
    )
    if not near:
        yield f"invoice {should.number} has lines {_shown(holds)} instead of {_shown(should)}"


def _shown(booking: Booking) -> str:
    return ", ".join(f"{account} {amount}" for account, amount in booking.lines) or "none"


# --- what was told of deliveries -------------------------------------------------------------


def _deliveries(expected: Expectations, told: Told) -> Iterator[str]:
    by_delivery: dict[tuple[EventKey, str], list[Outcome]] = {}
    for outcome in told.outcomes.values():
        key = ((outcome.event.source, outcome.event.id), outcome.integration)
        by_delivery.setdefault(key, []).append(outcome)
    for (event, integration), outcomes in by_delivery.items():
        if (event, integration) not in expected.deliveries:
            kinds = ", ".join(sorted(outcome.outcome.value for outcome in outcomes))
            yield f"{integration}: event {event[1]} has outcomes and should have none: {kinds}"
    letters = Counter(letter.says.get("delivery-id") for letter in told.letters)
    for delivery, wanted in expected.deliveries.items():
        name = f"{delivery[1]}: event {delivery[0][1]}"
        outcomes = by_delivery.get(delivery, [])
        for sentence in _delivery(wanted, outcomes, letters):
            yield f"{name} {sentence}"


def _delivery(
    wanted: Expected, outcomes: Sequence[Outcome], letters: Mapping[str | None, int]
) -> Iterator[str]:
    final = [outcome for outcome in outcomes if outcome.outcome in FINAL]
    names = " or ".join(sorted(kind.value for kind in wanted.outcomes))
    last = final or [o for o in outcomes if o.outcome is OutcomeKind.BLOCKED]
    if wanted.blocked and final:
        yield f"is {final[0].outcome.value} and should wait as blocked"
    if len(final) > 1:
        kinds = ", ".join(outcome.outcome.value for outcome in final)
        yield f"has {len(final)} final outcomes: {kinds}"
    if not last:
        yield f"has no outcome; it should be {names}"
        return
    if last[0].outcome not in wanted.outcomes:
        why = f" ({last[0].failure.code.value})" if last[0].failure else ""
        yield f"is {last[0].outcome.value}{why} and should be {names}"
    elif wanted.code is not None:
        code = last[-1].failure.code if last[-1].failure else None
        if code is not wanted.code:
            yield f"failed as {code} and should as {wanted.code}"
    should_letters = int(last[0].outcome is OutcomeKind.DEAD)
    if letters.get(last[0].delivery_id, 0) != should_letters:
        count = letters.get(last[0].delivery_id, 0)
        yield f"has {count} dead letters and should have {should_letters}"


# --- dead letters ----------------------------------------------------------------------------


def _letters(expected: Expectations, told: Told, sent: Sequence[Sent]) -> Iterator[str]:
    places = {
        (record.topic, str(record.partition), str(record.offset)): place
        for place, record in enumerate(sent)
    }
    alone: Counter[int] = Counter()
    for letter in told.letters:
        says = letter.says
        where = (
            says.get("original-topic", ""),
            says.get("original-partition", ""),
            says.get("original-offset", ""),
        )
        name = "/".join(where)
        place = places.get(where)
        if place is None:
            yield f"the dead letter of {name} is of no record that was sent"
            continue
        if (letter.key, letter.value) != (sent[place].key, sent[place].value):
            yield f"the dead letter of {name} is not the record that was sent"
        if not says.get("text") or not says.get("action"):
            yield f"the dead letter of {name} does not say what happened and what to do"
        if "delivery-id" not in says:
            alone[place] += 1
            if says.get("code") != expected.letters.get(place):
                wanted = expected.letters.get(place, "no letter")
                yield f"the dead letter of {name} says {says.get('code')}, expected {wanted}"
    for place, code in expected.letters.items():
        if alone[place] != 1:
            record = sent[place]
            name = f"{record.topic}/{record.partition}/{record.offset}"
            yield f"{name} has {alone[place]} dead letters and should have one ({code})"
