"""Invoices: what is refused before anything is sent, and with which field."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.integrations import VoucherNumber
from connectors.port import (
    Applied,
    Refused,
    Unchanged,
)
from schemas.events import Account, Invoice
from schemas.failures import Reference, WarningCode
from tests.connectors.sparebank1.fake_books import (
    INTEGRATION,
    FakeBooks,
    entry_of,
)
from tests.connectors.sparebank1.moment_events import invoice, line

BOOK = "POST journalentries?book-journal-entries"
CUSTOMER = Reference(id="812", number="100042")
PROPOSING = msgspec.structs.replace(INTEGRATION, voucher_number=VoucherNumber.PAYMENT_ID)
ROUNDING = msgspec.structs.replace(INTEGRATION, rounding_account="7740")
LOOK_UPS = ["GET journalentries", "GET journalentrylines", "GET statistics"]


def refused(
    books: FakeBooks, event: Invoice, **facts: Any
) -> tuple[str, str | None, dict[str, str]]:
    verdict = books.deliver(event, customer=CUSTOMER, **facts)
    assert isinstance(verdict, Refused)
    assert BOOK not in books.writes
    failure = verdict.failure
    return failure.code, failure.field, failure.parameters


# --- refused before anything is sent -----------------------------------------------------------


def test_an_invoice_that_does_not_add_up_is_refused_without_a_call() -> None:
    books = FakeBooks()
    event = invoice(line("100", unit_price=Decimal(7)))
    assert refused(books, event)[:2] == ("line-total-differs", "$.lines[0].totalExclVat")
    assert books.sent == []


@pytest.mark.parametrize(
    ("change", "field"),
    [({"number": "1" * 101}, "$.number"), ({"payment_id": "1" * 256}, "$.paymentId")],
)
def test_numbers_that_are_too_long_are_refused_not_shortened(
    change: dict[str, Any], field: str
) -> None:
    code, at, _ = refused(FakeBooks(), invoice(**change))
    assert (code, at) == ("too-long", field)


def test_an_invoice_without_an_amount_is_unchanged_without_a_call() -> None:
    books = FakeBooks()
    verdict = books.deliver(invoice(line("0"), line("0")), customer=CUSTOMER)
    assert isinstance(verdict, Unchanged)
    assert [w.code for w in verdict.warnings] == [WarningCode.NOTHING_TO_BOOK]
    assert books.sent == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("3999", "account-unknown"),
        ("30A0", "account-unknown"),
        ("100042", "account-unknown"),  # a customer's sub-account is no ledger account
        ("3900", "account-locked"),
    ],
)
def test_an_account_must_be_there_and_open(number: str, code: str) -> None:
    event = invoice(line(), line(account=Account(number=number)))
    assert refused(FakeBooks(), event) == (code, "$.lines[1].account.number", {"account": number})


def test_an_account_that_was_made_since_is_found() -> None:
    """A failure is never declared from a remembered no (design section 7)."""
    books = FakeBooks()
    event = invoice(line(account=Account(number="3900")))
    refused(books, event)
    del books.tables["accounts"][2]["LockManualPosts"]
    assert isinstance(books.deliver(event, customer=CUSTOMER), Applied)


@pytest.mark.parametrize(
    ("own", "accounts", "code", "field"),
    [
        ("99", "3", "vat-code-unknown", "$.lines[0].vatCode"),
        (None, "99", "vat-code-unknown", "$.lines[0].account.vatCode"),
        (None, None, "vat-code-unknown", "$.lines[0].vatCode"),
        ("34", None, "vat-code-not-valid", "$.lines[0].vatCode"),
        (None, "34", "vat-code-not-valid", "$.lines[0].account.vatCode"),
        ("7", None, "vat-code-not-valid", "$.lines[0].vatCode"),
    ],
)
def test_a_vat_code_must_be_known_and_valid_on_the_day(
    own: str | None, accounts: str | None, code: str, field: str
) -> None:
    event = invoice(line(vat_code=own, account=Account(number="3000", vat_code=accounts)))
    found, at, parameters = refused(FakeBooks(), event)
    assert (found, at) == (code, field)
    assert parameters["vatCode"] == (own or accounts or "")


def test_a_rate_that_is_not_the_codes_is_refused_at_the_percent() -> None:
    event = invoice(line(vat_percent=Decimal(15)))
    assert refused(FakeBooks(), event) == (
        "vat-rate-differs",
        "$.lines[0].vatPercent",
        {"vatCode": "3", "vatPercent": "15", "booksPercent": "25", "date": "2026-03-10"},
    )


def test_the_rate_may_stand_on_the_type_itself() -> None:
    """The 2019 model; the newer one keeps rates by date (contract sparebank1-regnskap 5)."""
    books = FakeBooks()
    books.deliver(invoice(line("100", vat_code="33")), customer=CUSTOMER)
    assert entry_of(books.asked(BOOK)[0])["DraftLines"][0]["Amount"] == 112


def test_the_rate_of_the_invoice_date_counts() -> None:
    books = FakeBooks()
    event = invoice(line("100", vat_code="34"), invoice_date=date(2020, 12, 31))
    books.deliver(event, customer=CUSTOMER)
    assert entry_of(books.asked(BOOK)[0])["DraftLines"][0]["Amount"] == 120


def test_a_type_that_is_booked_directly_is_not_split() -> None:
    books = FakeBooks()
    books.deliver(invoice(line("100", vat_code="86")), customer=CUSTOMER)
    assert entry_of(books.asked(BOOK)[0])["DraftLines"][0]["Amount"] == 100


@pytest.mark.parametrize("lock", ["AccountingLockedDate", "VatLockedDate"])
@pytest.mark.parametrize("locked", ["2026-03-10", "2026-03-31T00:00:00Z"])
def test_a_locked_period_is_refused_with_the_lock_date(lock: str, locked: str) -> None:
    books = FakeBooks()
    books.tables["companysettings"][0][lock] = locked
    parameters = {"lockDate": locked[:10], "date": "2026-03-10"}
    assert refused(books, invoice()) == ("period-locked", "$.invoiceDate", parameters)


def test_a_period_that_was_opened_since_is_not_refused_from_memory() -> None:
    books = FakeBooks()
    books.tables["companysettings"][0]["VatLockedDate"] = "2026-03-31"
    refused(books, invoice())
    books.tables["companysettings"][0]["VatLockedDate"] = "2026-02-28"
    assert isinstance(books.deliver(invoice(), customer=CUSTOMER), Applied)


def test_a_currency_of_its_own_needs_no_rate_and_another_does() -> None:
    event = invoice(currency_code="EUR")
    assert refused(FakeBooks(), event) == (
        "currency-rate-missing",
        "$.currencyRate",
        {"currency": "EUR", "baseCurrency": "NOK"},
    )
    assert refused(FakeBooks(), invoice(currency_code="XXX"))[:2] == (
        "currency-unknown",
        "$.currencyCode",
    )


def test_a_rate_is_ignored_where_the_currency_is_the_companys_own() -> None:
    books = FakeBooks()
    books.deliver(invoice(currency_rate=Decimal(2)), customer=CUSTOMER)
    owed = entry_of(books.asked(BOOK)[0])["DraftLines"][0]
    assert owed["Amount"] == owed["AmountCurrency"] == 12500
    assert "CurrencyExchangeRate" not in owed


def test_a_foreign_invoice_has_both_amounts_and_the_rate() -> None:
    books = FakeBooks()
    event = invoice(currency_code="EUR", currency_rate=Decimal("11.5"))
    books.deliver(event, customer=CUSTOMER)
    owed = entry_of(books.asked(BOOK)[0])["DraftLines"][0]
    assert (owed["Amount"], owed["AmountCurrency"]) == (143750, 12500)
    assert (owed["CurrencyCodeID"], owed["CurrencyExchangeRate"]) == (9, Decimal("11.5"))


def test_a_rounding_account_must_be_there() -> None:
    integration = msgspec.structs.replace(INTEGRATION, rounding_account="7777")
    code, field, parameters = refused(FakeBooks(), invoice(), integration=integration)
    assert (code, field, parameters) == ("account-unknown", None, {"account": "7777"})


def test_a_difference_goes_to_the_rounding_account_that_the_integration_names() -> None:
    books = FakeBooks()
    event = invoice(line("0.02"), line("0.02"), total_incl_vat=Decimal("0.05"))
    assert isinstance(books.deliver(event, customer=CUSTOMER, integration=ROUNDING), Applied)
    assert entry_of(books.asked(BOOK)[0])["DraftLines"][-1]["AccountID"] == 158
