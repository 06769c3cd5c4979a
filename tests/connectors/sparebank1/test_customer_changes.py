"""Customers that the books have: read whole, changed by their rows, cleared with care."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.port import Applied, Refused
from schemas.events import Address
from schemas.failures import Reference, WarningCode
from tests.connectors.sparebank1.fake_books import (
    CONNECTOR,
    INTEGRATION,
    FakeBooks,
    body_of,
)
from tests.connectors.sparebank1.moment_events import customer

KNOWN = Reference(id="812", number="100042")
UNKNOWN = "100077"


def put_of(books: FakeBooks) -> dict[str, Any]:
    (request,) = books.asked("PUT customers")
    body: dict[str, Any] = body_of(request)
    return body


# --- changed -----------------------------------------------------------------------------------


def test_all_that_was_read_is_sent_back_and_rows_are_changed_by_their_id() -> None:
    books = FakeBooks()
    before = books.tables["customers"][0]
    books.deliver(
        customer(
            name="Nordlys AS",
            email="ny@nordlys.example",
            phone="99887766",
            fax="55443322",
            address=Address(line1="Nygata 2", postal_code="0159", city="Bergen", country_code="SE"),
        ),
        itself=KNOWN,
    )
    body = put_of(books)
    assert set(body) == set(before)
    assert body["CreditDays"] == 14
    assert body["PeppolAddress"] == "0192:123456785"
    info = body["Info"]
    assert info["Name"] == "Nordlys AS"
    assert info["DefaultEmail"] == {
        "ID": 77,
        "EmailAddress": "ny@nordlys.example",
        "Description": "x",
    }
    assert info["DefaultPhone"]["Number"] == "99887766"
    assert [(p["ID"], p["Number"]) for p in info["Phones"]] == [(78, "99887766"), (79, "55443322")]
    assert info["InvoiceAddress"]["ID"] == 41
    assert info["InvoiceAddress"]["AddressLine3"] == "Bakgården"
    assert info["InvoiceAddress"]["CountryCode"] == "SE"


def test_numbers_that_are_read_are_sent_back_digit_for_digit() -> None:
    books = FakeBooks()
    books.tables["customers"][0]["AcceptableDelta"] = Decimal("0.10")
    books.deliver(customer(name="Nordlys AS"), itself=KNOWN)
    assert b'"AcceptableDelta":0.10' in (books.asked("PUT customers")[0].body or b"")


def test_what_there_is_no_row_of_is_made_with_id_zero_and_a_guid() -> None:
    books = FakeBooks()
    info = books.tables["customers"][0]["Info"]
    info |= {"DefaultEmail": None, "DefaultPhone": None, "InvoiceAddress": None, "Phones": []}
    books.deliver(customer(), itself=KNOWN)
    sent = put_of(books)["Info"]
    for row in (
        sent["DefaultEmail"],
        sent["DefaultPhone"],
        sent["InvoiceAddress"],
        *sent["Phones"],
    ):
        assert row["ID"] == 0
        assert row["_createguid"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"organisation_number": None}, ("OrgNumber",)),
        ({"email": None}, ("Info", "DefaultEmail", "EmailAddress")),
        ({"phone": None}, ("Info", "DefaultPhone", "Number")),
        ({"fax": ""}, ("Info", "Phones", 1, "Number")),
        ({"currency_code": None}, ("CurrencyCodeID",)),
        ({"address": None}, ("Info", "InvoiceAddress", "City")),
        ({"country_code": None}, ("Info", "InvoiceAddress", "CountryCode")),
    ],
)
def test_what_became_empty_is_cleared_where_it_had_a_value(
    change: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    books = FakeBooks()
    before = CONNECTOR.content(customer(), INTEGRATION)
    books.deliver(customer(**change), itself=KNOWN, applied=before)
    value: Any = put_of(books)
    for step in path:
        value = value[step]
    assert value in ("", None)


@pytest.mark.parametrize("applied", [None, CONNECTOR.content(customer(email=None), INTEGRATION)])
def test_nothing_is_cleared_that_we_did_not_put_there(applied: bytes | None) -> None:
    """At adoption nothing is cleared, nor is what was empty in Moment before (interface 2)."""
    books = FakeBooks()
    verdict = books.deliver(customer(email=None), itself=KNOWN, applied=applied)
    assert isinstance(verdict, Applied)
    assert books.writes == []


def test_a_fax_of_a_list_that_was_not_answered_is_not_made_anew() -> None:
    books = FakeBooks()
    del books.tables["customers"][0]["Info"]["Phones"]
    applied = CONNECTOR.content(customer(), INTEGRATION)
    assert isinstance(books.deliver(customer(), itself=KNOWN, applied=applied), Applied)
    assert books.writes == []


def test_a_customer_without_the_info_that_was_asked_for_is_not_overwritten() -> None:
    books = FakeBooks()
    del books.tables["customers"][0]["Info"]
    verdict = books.deliver(customer(), itself=KNOWN)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "answer-not-understood"
    assert books.writes == []


# --- the organisation number -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "country", "warned"),
    [
        ("123456785", "NO", False),
        ("912345671", "NO", True),
        ("912345671", "SE", False),
        ("912345671", None, False),
        (None, "NO", False),
    ],
)
def test_the_check_digit_is_a_warning_for_customers_in_norway_only(
    number: str | None, country: str | None, warned: bool
) -> None:
    verdict = FakeBooks().deliver(customer(organisation_number=number, country_code=country))
    codes = [warning.code for warning in verdict.warnings]
    assert codes == ([WarningCode.ORGANISATION_NUMBER_CHECK_DIGIT] if warned else [])
