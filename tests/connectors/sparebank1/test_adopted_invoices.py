"""A booking that somebody's question found before the event of it came, or came again."""

import msgspec

from connectors.port import Applied, Refused
from schemas.failures import FailureCode, Reference
from tests.connectors.sparebank1.fake_books import FakeBooks
from tests.connectors.sparebank1.moment_events import invoice

BOOK = "POST journalentries?book-journal-entries"
CUSTOMER = Reference(id="812", number="100042")


def found_by_a_question() -> tuple[FakeBooks, Reference]:
    """Books with an invoice of which the ledger knows no more than that its number is booked."""
    books = FakeBooks()
    booked = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(booked, Applied)
    assert booked.reference is not None
    return books, booked.reference


def test_a_booking_that_a_question_found_is_adopted_where_it_is_alike() -> None:
    books, known = found_by_a_question()
    verdict = books.deliver(invoice(), customer=CUSTOMER, itself=known, look_up_first=True)
    assert isinstance(verdict, Applied)
    assert verdict.reference == known
    assert books.writes == [BOOK]


def test_a_booking_that_a_question_found_is_not_that_of_an_event_that_could_not_be_booked() -> None:
    """It is that of the event which mended this one: after a restore both come again."""
    books, known = found_by_a_question()
    bad = msgspec.structs.replace(invoice().lines[0], vat_code="99")
    verdict = books.deliver(invoice(lines=(bad,)), customer=CUSTOMER, itself=known)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code is FailureCode.VAT_CODE_UNKNOWN
    assert books.writes == [BOOK]


def test_a_booking_that_a_question_found_and_that_is_not_alike_is_told_and_never_repeated() -> None:
    books, known = found_by_a_question()
    for row in [*books.tables["journalentrylines"], *books.tables["journalentries"]]:
        row["ExternalReference"] = None  # booked by hand
        row["Amount"] = 17
    verdict = books.deliver(invoice(), customer=CUSTOMER, itself=known)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code is FailureCode.INVOICE_DIFFERS_FROM_BOOKED
    assert verdict.failure.parameters == {"number": "1001", "booked": known.number}
    assert books.writes == [BOOK]
