"""Has it been booked? Every row is judged, and only proof counts as absence."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.port import (
    Absent,
    Applied,
    Found,
    Hold,
    Identity,
    Intent,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Retry,
    Settled,
    Unsure,
)
from schemas.events import EntityType
from schemas.failures import Reference, WarningCode
from tests.connectors.sparebank1.fake_books import (
    CONNECTOR,
    INTEGRATION,
    FakeBooks,
    answer,
    job,
)
from tests.connectors.sparebank1.moment_events import customer, invoice, project

CUSTOMER = Reference(id="812", number="100042")


def booked(**changes: Any) -> tuple[FakeBooks, Intent, Reference]:
    """Books with invoice 1001 in them, and the intent of its booking."""
    books = FakeBooks()
    verdict = books.deliver(invoice(**changes), customer=CUSTOMER)
    assert isinstance(verdict, Applied)
    return books, books.intents[0], verdict.reference


def resolve(books: FakeBooks, intent: Intent) -> Any:
    return books.run(CONNECTOR.resolve(job(invoice()), intent))


def find(books: FakeBooks, kind: EntityType, number: str) -> Any:
    return books.run(CONNECTOR.find(kind, number, INTEGRATION))


def owed_line(books: FakeBooks) -> dict[str, Any]:
    return next(r for r in books.tables["journalentrylines"] if r.get("SubAccountID") == 1811)


# --- resolve: bookings -------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_reference", [True, False])
def test_a_booking_is_found_with_or_without_our_reference(keeps_reference: bool) -> None:
    books, intent, reference = booked()
    if not keeps_reference:
        del books.tables["journalentries"][0]["ExternalReference"]
    assert resolve(books, intent) == Applied(reference=reference)


def test_what_was_warned_of_is_told_of_an_adopted_booking_too() -> None:
    books, intent, _ = booked(payment_id="10013")
    assert [w.code for w in resolve(books, intent).warnings] == [WarningCode.KID_CHECK_DIGIT]


def test_an_empty_journal_is_proof_of_absence() -> None:
    _, intent, _ = booked()
    books = FakeBooks()
    assert resolve(books, intent) == Absent()
    assert len(books.sent) == 3
    assert all(request.method == "GET" for request in books.sent)


@pytest.mark.parametrize(
    "change",
    [
        {"Amount": Decimal(-12500)},  # a payment has the other sign
        {"Amount": Decimal("12500.01")},
        {"InvoiceNumber": "1O01"},
        {"SubAccountID": 1812},
        {"StatusCode": 31004},
        {"JournalEntryTypeID": 1},
        {"JournalEntryTypeID": 11},
        {"JournalEntryTypeID": 6},
    ],
)
def test_a_line_that_differs_in_anything_is_not_the_booking(change: dict[str, Any]) -> None:
    books, intent, _ = booked()
    books.tables["journalentries"].clear()
    owed_line(books).update(change)
    books.unknown_fields = {"InvoiceNumber", "SubAccountID"}
    assert resolve(books, intent) == Absent()


def test_a_server_that_keeps_no_type_does_not_hide_the_booking() -> None:
    books, intent, reference = booked()
    books.tables["journalentries"].clear()
    owed_line(books)["JournalEntryTypeID"] = None
    assert resolve(books, intent).reference.id == reference.id


@pytest.mark.parametrize(
    "change",
    [
        {"StatusCode": 31004},
        {"Lines": [{"StatusCode": 31004}]},
        {"DraftLines": [{"StatusCode": 34002}]},
    ],
)
def test_a_credited_voucher_is_not_the_booking(change: dict[str, Any]) -> None:
    books, intent, _ = booked()
    books.tables["journalentries"][0].update(change)
    books.tables["journalentrylines"].clear()
    assert resolve(books, intent) == Absent()


def test_a_reference_that_differs_in_case_is_another_ones() -> None:
    books, intent, _ = booked()
    books.tables["journalentries"][0]["ExternalReference"] = "Moment:Invoice:1001"
    books.tables["journalentrylines"].clear()
    books.unknown_fields = {"ExternalReference"}
    assert resolve(books, intent) == Absent()


def test_two_bookings_are_for_a_person() -> None:
    books, intent, first = booked()
    books.deliver(invoice(), customer=CUSTOMER)
    verdict = resolve(books, intent)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "found-twice"
    assert verdict.failure.parameters["number"] == "1001"
    assert first.number in verdict.failure.parameters["hits"]


@pytest.mark.parametrize("name", ["GET journalentries", "GET journalentrylines", "GET statistics"])
@pytest.mark.parametrize(
    "reply",
    [
        answer({"Message": "x"}, 400),
        answer({}, 500),
        answer({}, 404),
        answer({"Success": False, "Message": "timeout", "Data": None}),
        answer({"unheard": "of"}),
        answer([1]),
        answer([{"Amount": 1}]),
        NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True),
        NoAnswer(kind=NoAnswerKind.DROPPED, sent=False),
        NoAnswer(kind=NoAnswerKind.TOO_LARGE, sent=True),
    ],
)
def test_absence_is_believed_only_when_every_look_up_was_answered(name: str, reply: Any) -> None:
    _, intent, _ = booked()
    books = FakeBooks()
    books.script(name, reply)
    assert isinstance(resolve(books, intent), Retry)


def test_a_hit_counts_although_another_look_up_failed() -> None:
    books, intent, reference = booked()
    books.script("GET statistics", answer({}, 500))
    assert resolve(books, intent).reference == reference


def test_a_wrapped_answer_of_the_statistics_is_understood() -> None:
    books, intent, reference = booked()
    rows = books.tables["journalentrylines"]
    books.script("GET journalentries", answer([]))
    books.script("GET journalentrylines", answer([]))
    books.script("GET statistics", answer({"Success": True, "Data": rows}), answer([]))
    assert resolve(books, intent).reference == reference


def test_a_server_that_does_not_know_our_reference_still_proves_absence() -> None:
    """Its rows do not have the member: more pages of them would prove nothing."""
    _, intent, _ = booked()
    books = FakeBooks()
    books.unknown_fields = {"ExternalReference"}
    books.tables["journalentries"] = [{"ID": n} for n in range(1, 201)]
    assert resolve(books, intent) == Absent()
    assert len(books.asked("GET journalentries")) == 1


def test_an_ignored_filter_is_read_to_its_end() -> None:
    books, intent, reference = booked()
    books.tables["journalentries"].clear()
    books.unknown_fields = {"InvoiceNumber", "SubAccountID"}
    filler = [{"ID": n, "JournalEntryID": 1, "InvoiceNumber": "7"} for n in range(1, 130)]
    books.tables["journalentrylines"][:0] = filler
    assert resolve(books, intent).reference == reference


def test_a_list_that_does_not_page_proves_nothing() -> None:
    _, intent, _ = booked()
    books = FakeBooks()
    page = answer([{"ID": n, "JournalEntryID": 1, "InvoiceNumber": "7"} for n in range(1, 51)])
    books.rule(lambda r: page if "journalentrylines" in r.path or "statistics" in r.path else None)
    assert isinstance(resolve(books, intent), Retry)
    assert len(books.sent) < 10


# --- resolve: the rest -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "there", "absent"),
    [("customer", "100042", "100077"), ("project", "10023", "10099")],
)
def test_a_create_is_looked_up_by_its_number(kind: str, there: str, absent: str) -> None:
    books = FakeBooks()
    found = resolve(books, Intent(kind=f"{kind}.create", key=there))
    assert isinstance(found, Settled)
    assert found.reference is not None
    assert found.reference.number == there
    assert resolve(books, Intent(kind=f"{kind}.create", key=absent)) == Absent()


def test_a_customer_that_stands_there_twice_is_for_a_person() -> None:
    books = FakeBooks()
    books.tables["customers"].append({**books.tables["customers"][0], "ID": 813})
    verdict = resolve(books, Intent(kind="customer.create", key="100042"))
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "found-twice"


# --- resolve: a refused guid -------------------------------------------------------------------

GUID = answer({"Message": "an entity with that _createguid exists"}, 400)


@pytest.mark.parametrize(
    ("event", "name"),
    [
        (invoice(), "POST journalentries?book-journal-entries"),
        (customer(number="100077"), "POST customers"),
        (project(), "POST projects"),
    ],
)
def test_a_refused_guid_is_asked_for_again_and_never_proved_absent(event: Any, name: str) -> None:
    """It would be posted five times, and refused each time (contract sparebank1-regnskap 12.5)."""
    books = FakeBooks()
    books.script(name, GUID)
    unsure = books.deliver(event, customer=CUSTOMER)
    assert isinstance(unsure, Unsure)
    verdict = books.run(CONNECTOR.resolve(job(event), unsure.intent))
    assert isinstance(verdict, Retry)
    assert verdict.failure.code == "refused-by-system"
    assert verdict.failure.parameters["status"] == "400"
    assert books.writes == [name]


@pytest.mark.parametrize(
    ("event", "name"),
    [(customer(number="100077"), "POST customers"), (project(), "POST projects")],
)
def test_a_refused_guid_is_settled_once_the_record_shows(event: Any, name: str) -> None:
    books = FakeBooks()
    books.script(name, GUID)
    unsure = books.deliver(event, customer=CUSTOMER)
    assert isinstance(books.deliver(event, customer=CUSTOMER), Applied)
    assert isinstance(books.run(CONNECTOR.resolve(job(event), unsure.intent)), Settled)


def test_a_booking_whose_guid_was_refused_is_applied_once_it_shows() -> None:
    books, _, reference = booked()
    books.script("POST journalentries?book-journal-entries", GUID)
    books.script("GET journalentries", answer([]))
    books.script("GET journalentrylines", answer([]))
    books.script("GET statistics", answer([]))
    unsure = books.deliver(invoice(), customer=CUSTOMER)
    assert isinstance(unsure, Unsure)
    verdict = resolve(books, unsure.intent)
    assert isinstance(verdict, Applied)
    assert verdict.reference == reference


def test_an_update_whose_guid_is_refused_is_read_again_once_and_then_for_a_person() -> None:
    """An earlier try may have made what the guid was for; the next read shows it by its id."""
    books = FakeBooks()
    del books.tables["customers"][0]["Info"]["DefaultEmail"]
    books.script("PUT customers", GUID, GUID)
    first = books.deliver(customer(), itself=CUSTOMER)
    assert isinstance(first, Unsure)
    assert first.intent.repeatable
    second = books.deliver(customer(), itself=CUSTOMER, post=1)
    assert isinstance(second, Unsure)
    assert not second.intent.repeatable
    assert isinstance(books.run(CONNECTOR.resolve(job(customer()), second.intent)), Retry)


# --- find --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "number", "row_id"),
    [(EntityType.CUSTOMER, "100042", "812"), (EntityType.PROJECT, "10023", "5501")],
)
def test_what_is_in_the_books_is_found_by_its_number(
    kind: EntityType, number: str, row_id: str
) -> None:
    found = find(FakeBooks(), kind, number)
    assert found == Found(reference=Reference(id=row_id, number=number))


@pytest.mark.parametrize("kind", list(EntityType))
def test_what_is_not_there_is_absent(kind: EntityType) -> None:
    assert find(FakeBooks(), kind, "100099") == Absent()


def test_an_invoice_is_found_whoever_booked_it() -> None:
    books, _, reference = booked()
    assert find(books, EntityType.INVOICE, "1001") == Found(reference=reference)
    books.tables["journalentries"].clear()
    assert find(books, EntityType.INVOICE, "1001").reference.id == reference.id


def test_a_payment_is_no_invoice() -> None:
    books, _, _ = booked()
    books.tables["journalentries"].clear()
    owed_line(books)["JournalEntryTypeID"] = 1
    assert find(books, EntityType.INVOICE, "1001") == Absent()


def test_a_question_that_failed_is_asked_again() -> None:
    books = FakeBooks()
    books.script("GET customers", answer({}, 503, **{"retry-after": "30"}))
    verdict = find(books, EntityType.CUSTOMER, "100042")
    assert isinstance(verdict, Retry)
    assert verdict.retry_after == 30


# --- identify ----------------------------------------------------------------------------------


def test_books_are_known_by_address_key_and_organisation_number() -> None:
    books = FakeBooks()
    first = books.run(CONNECTOR.identify(INTEGRATION))
    assert isinstance(first, Identity)
    assert "https://regnskap.example" in first.books
    assert INTEGRATION.company_key in first.books
    books.tables["companysettings"][0]["OrganizationNumber"] = "999888771"
    assert books.run(CONNECTOR.identify(INTEGRATION)) != first


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (answer({}, 500), Retry),
        (answer([]), Retry),
        (answer({}, 404), Retry),
        (answer({}, 403), Hold),
    ],
)
def test_books_that_cannot_be_known_have_no_identity(reply: Any, expected: type) -> None:
    books = FakeBooks()
    books.script("GET companysettings", reply)
    assert isinstance(books.run(CONNECTOR.identify(INTEGRATION)), expected)


def test_events_of_each_type_find_their_way() -> None:
    books = FakeBooks()
    for event in (customer(), project(), invoice()):
        assert isinstance(books.deliver(event), Applied)
