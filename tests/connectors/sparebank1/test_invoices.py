"""Invoices: what is booked, what a booking's answer means, when it is looked up."""

from typing import Any

import msgspec
import pytest

from connectors.integrations import DataType, VoucherNumber
from connectors.port import (
    Answer,
    Applied,
    Dropped,
    GateClosed,
    Hold,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Retry,
    Unsure,
)
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode, Reference, WarningCode
from tests.connectors.sparebank1.fake_books import (
    CONNECTOR,
    INTEGRATION,
    FakeBooks,
    answer,
    entry_of,
)
from tests.connectors.sparebank1.moment_events import credit_note, invoice

BOOK = "POST journalentries?book-journal-entries"
CUSTOMER = Reference(id="812", number="100042")
PROPOSING = msgspec.structs.replace(INTEGRATION, voucher_number=VoucherNumber.PAYMENT_ID)
ROUNDING = msgspec.structs.replace(INTEGRATION, rounding_account="7740")
LOOK_UPS = ["GET journalentries", "GET journalentrylines", "GET statistics"]


# --- booked ------------------------------------------------------------------------------------


def test_an_invoice_is_one_voucher_and_its_number_is_told() -> None:
    books = FakeBooks()
    verdict = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(verdict, Applied)
    assert books.writes == [BOOK]
    assert verdict.reference.number == f"{verdict.reference.id}-2026"
    (intent,) = books.intents
    assert (intent.kind, intent.key) == ("voucher.book", "1001")
    assert intent.booking
    assert not intent.repeatable


def test_ids_are_those_of_the_books_and_never_printed_numbers() -> None:
    books = FakeBooks()
    books.deliver(invoice(project_number="10023"), customer=CUSTOMER)
    owed, income = entry_of(books.asked(BOOK)[0])["DraftLines"]
    assert (owed["AccountID"], income["AccountID"]) == (1811, 155)
    assert (income["VatTypeID"], income["CurrencyCodeID"]) == (11, 7)
    assert income["Dimensions"]["ProjectID"] == 5501


def test_amounts_are_json_numbers_with_two_decimals() -> None:
    books = FakeBooks()
    books.deliver(invoice(), customer=CUSTOMER)
    assert b'"Amount":12500.00,' in (books.asked(BOOK)[0].body or b"")


def test_a_second_invoice_asks_for_nothing_that_is_known() -> None:
    books = FakeBooks()
    books.deliver(invoice(), customer=CUSTOMER)
    books.sent.clear()
    assert isinstance(books.deliver(invoice(number="1002"), customer=CUSTOMER), Applied)
    assert len(books.sent) == 1


def test_a_sub_account_is_found_by_its_customer_where_it_is_not_expanded() -> None:
    books = FakeBooks()
    del books.tables["customers"][0]["Account"]
    assert isinstance(books.deliver(invoice(), customer=CUSTOMER), Applied)
    assert entry_of(books.asked(BOOK)[0])["DraftLines"][0]["AccountID"] == 1811


def test_a_customer_whose_sub_account_is_not_there_yet_is_tried_again() -> None:
    books = FakeBooks()
    books.tables["customers"][0]["Account"] = None
    books.tables["accounts"].pop()
    assert isinstance(books.deliver(invoice(), customer=CUSTOMER), Retry)


@pytest.mark.parametrize("number", ["100099", "10A"])
def test_without_its_customer_the_gate_is_closed(number: str) -> None:
    verdict = FakeBooks().deliver(invoice(customer_number=number))
    assert verdict == GateClosed(parent_type=EntityType.CUSTOMER, parent_number=number)


def test_a_customers_id_that_is_gone_is_forgotten() -> None:
    books = FakeBooks()
    verdict = books.deliver(invoice(), customer=Reference(id="999", number="100042"))
    assert isinstance(verdict, Applied)


def test_a_project_that_is_not_there_closes_the_gate() -> None:
    verdict = FakeBooks().deliver(invoice(project_number="777"), customer=CUSTOMER)
    assert verdict == GateClosed(parent_type=EntityType.PROJECT, parent_number="777")


@pytest.mark.parametrize(("number", "named"), [("10023", True), ("777", False)])
def test_with_projects_off_a_project_is_named_only_if_the_books_have_it(
    number: str, named: bool
) -> None:
    data = frozenset({DataType.CUSTOMERS, DataType.INVOICES})
    books = FakeBooks()
    integration = msgspec.structs.replace(INTEGRATION, data=data)
    event = invoice(project_number=number)
    assert isinstance(books.deliver(event, customer=CUSTOMER, integration=integration), Applied)
    assert ("Dimensions" in entry_of(books.asked(BOOK)[0])["DraftLines"][1]) is named


def test_a_credit_note_is_a_voucher_of_our_own() -> None:
    books = FakeBooks()
    assert isinstance(books.deliver(credit_note(), customer=CUSTOMER), Applied)
    entry = entry_of(books.asked(BOOK)[0])
    assert entry["ExternalReference"] == "moment:creditNote:1002"
    assert entry["DraftLines"][0]["Amount"] == -12500


# --- what the answer to a booking means --------------------------------------------------------

NEVER_SENT = NoAnswer(kind=NoAnswerKind.REFUSED, sent=False, reason="connection refused")


@pytest.mark.parametrize(
    "reply",
    [
        NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True),
        NoAnswer(kind=NoAnswerKind.BROKEN, sent=True),
        NoAnswer(kind=NoAnswerKind.TOO_LARGE, sent=True),
        *(answer({"Message": "x"}, status) for status in (301, 307, 408, 500, 502, 503, 504)),
        answer({"Message": "FOREIGN KEY"}, 500),
        Answer(status=200, body=b"<html>"),
        Answer(status=200, body=b""),
        Answer(status=204),
        answer([]),
        answer([{"ID": 5}]),
        answer([{"JournalEntryNumber": "1-2026"}]),
        answer([{"ID": 5, "JournalEntryNumber": "5-2026"}, {"ID": 6, "JournalEntryNumber": "6"}]),
    ],
)
def test_a_booking_whose_end_is_not_known_is_unsure(reply: Any) -> None:
    books = FakeBooks()
    books.script(BOOK, reply)
    verdict = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(verdict, Unsure)
    assert verdict.intent == books.intents[0]
    assert verdict.failure.code == "write-uncertain"
    assert len(books.asked(BOOK)) == 1


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (NEVER_SENT, Retry),
        (NoAnswer(kind=NoAnswerKind.DROPPED, sent=False), Dropped),
        (answer({}, 429), Retry),
        (answer({}, 401), Hold),
        (answer({}, 403), Hold),
    ],
)
def test_a_booking_that_was_not_done_is_no_uncertain_one(reply: Any, expected: type) -> None:
    books = FakeBooks()
    books.script(BOOK, reply)
    verdict = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(verdict, expected)
    assert not any(name in books.writes for name in LOOK_UPS)


def test_a_token_that_could_not_be_had_says_itself_what_it_means() -> None:
    hold = Hold(failure=Failure(code=FailureCode.CREDENTIALS_REFUSED, parameters={"answer": "x"}))
    books = FakeBooks()
    books.script(BOOK, NoAnswer(kind=NoAnswerKind.TOKEN, sent=False, verdict=hold))
    assert books.deliver(invoice(), customer=CUSTOMER) == hold


def test_a_refused_booking_is_looked_up_before_it_counts() -> None:
    books = FakeBooks()
    books.script(BOOK, answer({"Messages": [{"Message": "Bilag går ikke i balanse"}]}, 400))
    verdict = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(verdict, Refused)
    assert verdict.failure.parameters["answer"] == "Bilag går ikke i balanse"
    assert [len(books.asked(name)) for name in LOOK_UPS] == [1, 1, 1]


def test_a_refused_repeat_of_what_is_booked_is_applied() -> None:
    books = FakeBooks()
    first = books.deliver(invoice(), customer=CUSTOMER)
    books.script(BOOK, answer({"Message": "_createguid exists"}, 400))
    second = books.deliver(invoice(), customer=CUSTOMER)
    assert second == first


def test_a_refused_guid_that_no_look_up_explains_stays_uncertain() -> None:
    books = FakeBooks()
    books.script(BOOK, answer({"Message": "duplicate _createguid"}, 400))
    assert isinstance(books.deliver(invoice(), customer=CUSTOMER), Unsure)


def test_a_refusal_that_cannot_be_looked_up_is_uncertain() -> None:
    books = FakeBooks()
    books.script(BOOK, answer({"Message": "no"}, 400))
    books.script("GET statistics", answer({}, 500))
    assert isinstance(books.deliver(invoice(), customer=CUSTOMER), Unsure)


@pytest.mark.parametrize(
    ("table", "change", "code"),
    [
        ("companysettings", {"AccountingLockedDate": "2026-03-31"}, "period-locked"),
        ("accounts", {"Locked": True}, "account-locked"),
        ("accounts", {"AccountNumber": 2999}, "account-unknown"),
        ("vattypes", {"Locked": True}, "vat-code-not-valid"),
    ],
)
def test_what_was_locked_since_it_was_read_is_named_and_not_only_quoted(
    table: str, change: dict[str, Any], code: str
) -> None:
    books = FakeBooks()
    books.deliver(invoice(number="1000"), customer=CUSTOMER)
    books.script(BOOK, answer({"Message": "sperret"}, 400))
    books.tables[table][0] |= change
    verdict = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == code


def test_a_foreign_key_fault_is_tried_once_more_with_fresh_ids_and_then_a_defect() -> None:
    fault = answer({"Message": "conflicted with the FOREIGN KEY constraint"}, 500)
    books = FakeBooks()
    books.script(BOOK, fault, fault)
    assert isinstance(books.deliver(invoice(), customer=CUSTOMER), Unsure)
    assert books.forgotten == [""]
    assert books.cache == {}
    verdict = books.deliver(invoice(), customer=CUSTOMER, post=1)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "answer-not-understood"


def test_a_later_post_goes_with_fresh_ids() -> None:
    """The cache of another worker knows nothing of the fault."""
    books = FakeBooks()
    books.deliver(invoice(), customer=CUSTOMER)
    books.tables["accounts"][0]["ID"] = 255
    event = invoice(number="1002")
    assert isinstance(books.deliver(event, customer=CUSTOMER, post=1), Applied)
    assert entry_of(books.asked(BOOK)[-1])["DraftLines"][1]["AccountID"] == 255


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120.0), ("Tue, 10 Mar 2026 12:02:00 GMT", 120.0), ("99999999", 86400.0)],
)
def test_retry_after_of_an_uncertain_booking_is_handed_on(
    status: int, said: str, seconds: float
) -> None:
    """It holds for the whole company (contract sparebank1-regnskap 12.9)."""
    books = FakeBooks()
    books.script(BOOK, answer({}, status, **{"retry-after": said}))
    verdict = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(verdict, Unsure)
    assert verdict.retry_after == seconds


def test_retry_after_of_a_look_up_that_could_not_explain_a_refusal_is_handed_on() -> None:
    books = FakeBooks()
    books.script(BOOK, answer({"Message": "no"}, 400))
    books.script("GET journalentries", answer({}, 503, **{"retry-after": "7"}))
    verdict = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(verdict, Unsure)
    assert verdict.retry_after == 7


def test_what_the_ledger_knows_as_booked_is_never_posted() -> None:
    """The accountant may have credited it since."""
    books = FakeBooks()
    first = books.deliver(invoice(), customer=CUSTOMER)
    books.tables["journalentries"][0]["StatusCode"] = 31004
    for row in books.tables["journalentrylines"]:
        row["StatusCode"] = 31004
    event = invoice(payment_id="12")
    known = {"itself": first.reference, "applied": CONNECTOR.content(event, INTEGRATION)}
    for facts in ({}, {"look_up_first": True, "replay": 1}):
        verdict = books.deliver(event, customer=CUSTOMER, **known, **facts)
        assert isinstance(verdict, Applied)
        assert verdict.reference == first.reference
        assert [w.code for w in verdict.warnings] == [WarningCode.KID_CHECK_DIGIT]
    assert books.writes == [BOOK]


# --- the voucher number ------------------------------------------------------------------------


def test_the_number_is_left_to_the_server_unless_the_integration_says_otherwise() -> None:
    books = FakeBooks()
    books.deliver(invoice(), customer=CUSTOMER)
    assert "JournalEntryNumber" not in entry_of(books.asked(BOOK)[0])


def test_a_proposed_number_that_is_taken_needs_no_word() -> None:
    books = FakeBooks()
    books.script(BOOK, answer([{"ID": 5, "JournalEntryNumber": "1001-2026"}]))
    verdict = books.deliver(invoice(), customer=CUSTOMER, integration=PROPOSING)
    assert entry_of(books.asked(BOOK)[0])["JournalEntryNumber"] == "1001-2026"
    assert isinstance(verdict, Applied)
    assert verdict.warnings == ()


def test_a_proposed_number_that_the_server_ignores_is_told() -> None:
    books = FakeBooks()
    books.script(BOOK, answer([{"ID": 5, "JournalEntryNumber": "128-2026"}]))
    verdict = books.deliver(invoice(), customer=CUSTOMER, integration=PROPOSING)
    (warning,) = verdict.warnings
    assert warning.code is WarningCode.VOUCHER_NUMBER_NOT_TAKEN
    assert warning.parameters == {"proposed": "1001-2026", "given": "128-2026"}


def test_a_proposed_number_that_is_refused_falls_back_to_the_servers() -> None:
    books = FakeBooks()
    books.script(BOOK, answer({"Message": "number taken"}, 400))
    verdict = books.deliver(invoice(), customer=CUSTOMER, integration=PROPOSING)
    assert isinstance(verdict, Applied)
    assert [w.code for w in verdict.warnings] == [WarningCode.VOUCHER_NUMBER_NOT_TAKEN]
    first, second = (entry_of(request) for request in books.asked(BOOK))
    assert first.pop("JournalEntryNumber") == "1001-2026"
    assert first == second


# --- looked up first ---------------------------------------------------------------------------


def test_after_a_restore_what_is_booked_is_not_booked_again() -> None:
    books = FakeBooks()
    first = books.deliver(invoice(), customer=CUSTOMER)
    second = books.deliver(invoice(), customer=CUSTOMER, look_up_first=True, delivery_id="d-2")
    assert second.reference == first.reference
    assert len(books.asked(BOOK)) == 1


def test_after_a_restore_a_voucher_of_another_type_counts() -> None:
    """Vouchers made before us may carry another type (contract sparebank1-regnskap 12.2)."""
    books = FakeBooks()
    books.keeps_reference = False
    books.deliver(invoice(), customer=CUSTOMER)
    for row in books.tables["journalentrylines"]:
        row["JournalEntryTypeID"] = 3
    verdict = books.deliver(invoice(), customer=CUSTOMER, look_up_first=True)
    assert isinstance(verdict, Applied)
    assert len(books.asked(BOOK)) == 1


def test_after_a_restore_a_booking_in_a_period_locked_since_is_found_not_refused() -> None:
    books = FakeBooks()
    books.deliver(invoice(), customer=CUSTOMER)
    books.tables["companysettings"][0]["AccountingLockedDate"] = "2026-03-31"
    verdict = books.deliver(invoice(), customer=CUSTOMER, look_up_first=True)
    assert isinstance(verdict, Applied)


@pytest.mark.parametrize("name", LOOK_UPS)
@pytest.mark.parametrize("status", [400, 500])
def test_a_look_up_that_fails_posts_nothing(name: str, status: int) -> None:
    books = FakeBooks()
    books.script(name, answer({"Message": "x"}, status))
    verdict = books.deliver(invoice(), customer=CUSTOMER, look_up_first=True)
    assert isinstance(verdict, Retry)
    assert books.writes == []


def test_looked_up_and_not_there_it_is_booked() -> None:
    books = FakeBooks()
    assert isinstance(books.deliver(invoice(), customer=CUSTOMER, look_up_first=True), Applied)
    assert len(books.asked(BOOK)) == 1


def test_after_a_post_in_vain_the_project_is_looked_up_anew() -> None:
    books = FakeBooks()
    event, gone = invoice(project_number="10023"), Reference(id="999", number="10023")
    assert isinstance(books.deliver(event, customer=CUSTOMER, project=gone, post=1), Applied)
    income = entry_of(books.asked(BOOK)[0])["DraftLines"][1]
    assert income["Dimensions"]["ProjectID"] == 5501
