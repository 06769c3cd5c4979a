"""The judge must find whatever is planted: a judge that always says yes is worth nothing."""

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from schemas.failures import FailureCode
from schemas.outcomes import OutcomeKind
from streams.ops.demo.books_check import Told, violations
from streams.ops.demo.books_read import FoundBooks
from tests.demo.perfect_world import EXPECTED, SENT, failure_of, right_books, right_told

replace = msgspec.structs.replace
Books = dict[str, FoundBooks]
SPAREBANK1, DKPLUS = "fjord-sb1", "vik-dk"


def judged(books: Books, told: Told) -> list[str]:
    return violations(EXPECTED, books, told, SENT)


def test_a_perfect_world_has_no_violation() -> None:
    assert judged(right_books(), right_told()) == []


# --- the books -------------------------------------------------------------------------------


def removed(books: FoundBooks) -> FoundBooks:
    return replace(books, bookings=books.bookings[1:])


def doubled(books: FoundBooks) -> FoundBooks:
    return replace(books, bookings=(*books.bookings, books.bookings[0]))


def cent_off(books: FoundBooks) -> FoundBooks:
    first = books.bookings[0]
    wrong = replace(first, amount=first.amount + Decimal("0.01"))
    return replace(books, bookings=(wrong, *books.bookings[1:]))


def other_customer(books: FoundBooks) -> FoundBooks:
    wrong = replace(books.bookings[0], customer="1")
    return replace(books, bookings=(wrong, *books.bookings[1:]))


def other_account(books: FoundBooks) -> FoundBooks:
    first = books.bookings[0]
    lines = (("1", first.lines[0][1]), *first.lines[1:])
    return replace(books, bookings=(replace(first, lines=lines), *books.bookings[1:]))


def unknown_booking(books: FoundBooks) -> FoundBooks:
    return replace(books, bookings=(*books.bookings, replace(books.bookings[0], number="77")))


def customer_gone(books: FoundBooks) -> FoundBooks:
    number = min(books.customers)
    return replace(books, customers={n: f for n, f in books.customers.items() if n != number})


def customer_extra(books: FoundBooks) -> FoundBooks:
    return replace(books, customers={**books.customers, "199999": {"name": "nobody"}})


def phone_not_cleared(books: FoundBooks) -> FoundBooks:
    number = next(n for n, fields in books.customers.items() if fields["phone"] == "")
    kept = {**books.customers[number], "phone": "+4712345678"}
    return replace(books, customers={**books.customers, number: kept})


def project_gone(books: FoundBooks) -> FoundBooks:
    return replace(books, projects={})


def violation_recorded(books: FoundBooks) -> FoundBooks:
    return replace(books, odd=("double-booking: 1 and 2",))


PLANTED: dict[Callable[[FoundBooks], FoundBooks], str] = {
    removed: "is not booked",
    doubled: "is booked 2 times",
    cent_off: "has amount",
    other_customer: "has customer 1 instead of",
    other_account: "has lines 1 ",
    unknown_booking: "invoice 77 is booked and should not be",
    customer_gone: "is missing",
    customer_extra: "customer 199999 is there and should not be",
    phone_not_cleared: "has phone '+4712345678' instead of ''",
    project_gone: "project",
    violation_recorded: "double-booking: 1 and 2",
}


@pytest.mark.parametrize("name", [SPAREBANK1, DKPLUS])
@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_what_is_wrong_in_the_books_is_found(
    plant: Callable[[FoundBooks], FoundBooks], name: str
) -> None:
    books = right_books()
    books[name] = plant(books[name])
    found = judged(books, right_told())
    assert found != []
    assert all(sentence.startswith(f"{name}: ") for sentence in found)
    assert PLANTED[plant] in found[0]


def test_a_product_that_nobody_needed_is_found() -> None:
    """A refused invoice must leave nothing behind in DK+."""
    books = right_books()
    books[DKPLUS] = replace(books[DKPLUS], products=books[DKPLUS].products | {"left-over"})
    assert judged(books, right_told()) == ["vik-dk: product left-over is there and should not be"]


def test_books_that_cannot_be_read_are_not_right() -> None:
    books = right_books()
    del books[DKPLUS]
    assert judged(books, right_told()) == ["vik-dk: the books could not be read"]


# --- what was told -----------------------------------------------------------------------------


def some(told: Told, kind: OutcomeKind) -> str:
    return next(key for key, outcome in told.outcomes.items() if outcome.outcome is kind)


def test_a_missing_outcome_is_found() -> None:
    told = right_told()
    gone = some(told, OutcomeKind.APPLIED)
    outcomes = {key: outcome for key, outcome in told.outcomes.items() if key != gone}
    (sentence,) = judged(right_books(), replace(told, outcomes=outcomes))
    assert "has no outcome; it should be applied" in sentence


def test_a_second_final_outcome_is_found() -> None:
    """A repeat on the wire has the id of the first and is none; another id is a new fact."""
    told = right_told()
    one = told.outcomes[some(told, OutcomeKind.APPLIED)]
    (sentence,) = judged(right_books(), replace(told, outcomes={**told.outcomes, "new": one}))
    assert "has 2 final outcomes: applied, applied" in sentence


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (OutcomeKind.STALE, OutcomeKind.APPLIED),
        (OutcomeKind.APPLIED, OutcomeKind.STALE),
        (OutcomeKind.MANUAL, OutcomeKind.APPLIED),
        (OutcomeKind.BLOCKED, OutcomeKind.APPLIED),
        (OutcomeKind.APPLIED, OutcomeKind.BLOCKED),
    ],
)
def test_another_outcome_than_the_right_one_is_found(
    was: OutcomeKind, becomes: OutcomeKind
) -> None:
    told = right_told()
    key = some(told, was)
    final = becomes is not OutcomeKind.BLOCKED
    wrong = replace(told.outcomes[key], outcome=becomes, final=final)
    found = judged(right_books(), replace(told, outcomes={**told.outcomes, key: wrong}))
    assert any(f"is {becomes.value} and should" in sentence for sentence in found)


def test_a_failure_under_another_code_is_found() -> None:
    told = right_told()
    key = some(told, OutcomeKind.BLOCKED)
    wrong = replace(told.outcomes[key], failure=failure_of(FailureCode.PERIOD_LOCKED))
    (sentence,) = judged(right_books(), replace(told, outcomes={**told.outcomes, key: wrong}))
    assert "failed as period-locked and should as" in sentence


def test_being_blocked_for_a_while_is_no_violation() -> None:
    """A child may be told as blocked before its parent comes, and go then."""
    told = right_told()
    one = told.outcomes[some(told, OutcomeKind.APPLIED)]
    early = replace(one, outcome=OutcomeKind.BLOCKED, final=False)
    assert judged(right_books(), replace(told, outcomes={"early": early, **told.outcomes})) == []


def test_an_outcome_of_nothing_that_was_sent_is_found() -> None:
    told = right_told()
    one = told.outcomes[some(told, OutcomeKind.APPLIED)]
    stranger = replace(one, event=replace(one.event, id="stranger"), delivery_id="stranger")
    (sentence,) = judged(right_books(), replace(told, outcomes={**told.outcomes, "x": stranger}))
    assert "event stranger has outcomes and should have none" in sentence


def test_a_missing_letter_of_a_dead_delivery_is_found() -> None:
    told = right_told()
    left = [one for one in told.letters if one.says["code"] != "vat-code-unknown"]
    (sentence,) = judged(right_books(), replace(told, letters=left))
    assert "has 0 dead letters and should have 1" in sentence


def test_a_missing_letter_of_what_cannot_be_read_is_found() -> None:
    told = right_told()
    left = [one for one in told.letters if one.says["code"] != "company-unknown"]
    (sentence,) = judged(right_books(), replace(told, letters=left))
    assert "has 0 dead letters and should have one (company-unknown)" in sentence


def test_a_letter_that_is_not_the_record_that_was_sent_is_found() -> None:
    told = right_told()
    first, *others = told.letters
    changed = replace(first, value=b"{}")
    (sentence,) = judged(right_books(), replace(told, letters=[changed, *others]))
    assert "is not the record that was sent" in sentence


def test_a_letter_without_words_is_found() -> None:
    told = right_told()
    first, *others = told.letters
    silent = replace(first, says={**first.says, "action": ""})
    (sentence,) = judged(right_books(), replace(told, letters=[silent, *others]))
    assert "does not say what happened and what to do" in sentence
