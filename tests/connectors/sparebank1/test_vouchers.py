"""Amounts, signs and texts of a voucher."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sparebank1.guids import Guids
from connectors.sparebank1.mapping import invoice_content
from connectors.sparebank1.vouchers import LinePlan, Plan, Voucher, proposed_number, voucher
from connectors.sparebank1.wire import Row
from schemas.arithmetic import round_money
from schemas.events import Invoice, InvoiceLine
from schemas.failures import WarningCode
from tests.connectors.sparebank1.moment_events import credit_note, invoice, line

GUIDS = Guids(delivery_id="d-1")
RATES = (Decimal(25), Decimal(15), Decimal(12), Decimal("11.11"), Decimal(0))


def planned(event: Invoice, *percents: str | Decimal, **facts: Any) -> Plan:
    """A plan with a rate for each line; 25 where none is said."""
    rates = [Decimal(p) for p in percents] or [Decimal(25)] * len(event.lines)
    lines = tuple(LinePlan(account_id=155, vat_type_id=11, percent=rate) for rate in rates)
    ids = {"customer_id": 812, "sub_account_id": 1811, "currency_id": 7, "foreign": False}
    return Plan(lines=lines, **{**ids, **facts})


def made(event: Invoice, *percents: str | Decimal, **facts: Any) -> Voucher:
    plan = planned(event, *percents, **facts)
    return voucher(invoice_content(event), plan, GUIDS, propose=False)


def lines_of(asked: Voucher) -> list[Row]:
    assert asked.entry is not None
    lines: list[Row] = asked.entry["DraftLines"]
    return lines


def codes(asked: Voucher) -> list[WarningCode]:
    return [warning.code for warning in asked.warnings]


# --- amounts -----------------------------------------------------------------------------------


def test_debit_is_positive_and_income_lines_are_gross() -> None:
    owed, income = lines_of(made(invoice()))
    assert (owed["AccountID"], owed["Amount"]) == (1811, Decimal("12500.00"))
    assert (income["AccountID"], income["Amount"]) == (155, Decimal("-12500.00"))
    assert income["VatTypeID"] == 11


def test_a_credit_note_has_every_sign_reversed_and_a_type_of_its_own() -> None:
    owed, income = lines_of(made(credit_note()))
    assert (owed["Amount"], income["Amount"]) == (Decimal("-12500.00"), Decimal("12500.00"))
    assert {row["JournalEntryTypeID"] for row in (owed, income)} == {11}
    assert {row["JournalEntryTypeID"] for row in lines_of(made(invoice()))} == {8}


@pytest.mark.parametrize(
    ("net", "percent", "gross"),
    [
        ("0.02", "25", "0.03"),
        ("-0.02", "25", "-0.03"),
        ("10.10", "25", "12.63"),
        ("9", "11.11", "10.00"),
    ],
)
def test_half_an_ore_is_rounded_away_from_zero(net: str, percent: str, gross: str) -> None:
    owed = lines_of(made(invoice(line(net)), percent))[0]
    assert owed["Amount"] == Decimal(gross)


_nets = st.decimals(min_value=-(10**9), max_value=10**9, places=2).filter(bool)
_lines = st.lists(st.tuples(_nets, st.sampled_from(RATES)), min_size=1, max_size=12)
_rates = st.decimals(min_value=Decimal("0.000001"), max_value=1000, places=6)


@given(_lines)
def test_any_voucher_sums_to_zero_and_the_vat_comes_back_out(
    drawn: list[tuple[Decimal, Decimal]],
) -> None:
    event = invoice(*(line(str(net)) for net, _ in drawn))
    asked = made(event, *(rate for _, rate in drawn))
    if asked.entry is None:
        return
    rows = lines_of(asked)
    assert sum(row["Amount"] for row in rows) == 0
    income = [row for row in rows if "VatTypeID" in row]
    assert len(income) == len(drawn)
    for row, (net, rate) in zip(income, drawn, strict=True):
        assert round_money(-row["Amount"] / (1 + rate / 100)) == net
        assert row["Amount"].as_tuple().exponent == -2


@given(_lines, _rates)
def test_a_voucher_in_any_currency_sums_to_zero_in_both(
    drawn: list[tuple[Decimal, Decimal]], rate: Decimal
) -> None:
    event = invoice(*(line(str(net)) for net, _ in drawn), currency_code="EUR", currency_rate=rate)
    asked = made(event, *(percent for _, percent in drawn), foreign=True)
    if asked.entry is None:
        return
    rows = lines_of(asked)
    assert sum(row["Amount"] for row in rows) == 0
    if rows[0]["AccountID"] == 1811:
        assert sum(row["AmountCurrency"] for row in rows) == 0
    assert all(row["Amount"] for row in rows)
    assert all(row["CurrencyExchangeRate"] == rate for row in rows)


def test_the_remainder_of_a_currency_is_on_the_customer_line() -> None:
    """Each line keeps its own VAT basis; three thirds of an øre come together where it is owed."""
    event = invoice(
        line("0.10"), line("0.10"), line("0.10"), currency_code="EUR", currency_rate=Decimal("1.04")
    )
    rows = lines_of(made(event, "0", "0", "0", foreign=True, currency_id=9))
    assert [row["Amount"] for row in rows] == [
        Decimal("0.30"),
        *[Decimal("-0.10")] * 3,
    ]
    assert rows[0]["AmountCurrency"] == Decimal("0.30")


def test_eighteen_digits_stay_exact() -> None:
    event = invoice(
        line("999999999999999.99"), currency_code="EUR", currency_rate=Decimal("999999.999999")
    )
    owed, income = lines_of(made(event, "0", foreign=True))
    assert owed["Amount"] == Decimal("999999999998999990000.00")
    assert owed["Amount"] + income["Amount"] == 0


def test_krona_of_iceland_have_no_decimals() -> None:
    event = invoice(line("33"), currency_code="ISK", currency_rate=Decimal("0.08"))
    owed = lines_of(made(event, foreign=True))[0]
    assert owed["AmountCurrency"] == 41
    assert owed["Amount"] == Decimal("3.28")


# --- differences -------------------------------------------------------------------------------


def test_a_total_that_differs_warns_and_is_not_posted() -> None:
    event = invoice(line("0.02"), line("0.02"), total_incl_vat=Decimal("0.05"))
    asked = made(event)
    assert codes(asked) == [WarningCode.AMOUNT_DIFFERS]
    assert asked.warnings[0].parameters == {"moment": "0.05", "books": "0.06"}
    assert lines_of(asked)[0]["Amount"] == Decimal("0.06")


def test_with_a_rounding_account_the_customer_owes_what_moment_says() -> None:
    event = invoice(line("0.02"), line("0.02"), total_incl_vat=Decimal("0.05"))
    asked = made(event, rounding_account_id=158)
    rows = lines_of(asked)
    assert rows[0]["Amount"] == Decimal("0.05")
    assert (rows[-1]["AccountID"], rows[-1]["Amount"]) == (158, Decimal("0.01"))
    assert rows[-1]["InvoiceNumber"] == "1001"
    assert sum(row["Amount"] for row in rows) == 0
    assert codes(asked) == [WarningCode.AMOUNT_DIFFERS]


def test_more_than_an_ore_a_line_is_never_posted_as_rounding() -> None:
    event = invoice(line("100"), total_incl_vat=Decimal("125.02"))
    rows = lines_of(made(event, rounding_account_id=158))
    assert [row["AccountID"] for row in rows] == [1811, 155]


# --- what stands on which line -----------------------------------------------------------------


def test_payment_id_and_due_date_stand_on_the_customer_line_alone() -> None:
    rows = lines_of(made(invoice(payment_id="10017")))
    assert [row.get("PaymentID") for row in rows] == ["10017", None]
    assert [row.get("DueDate") for row in rows] == ["2026-03-24", None]
    assert {row["InvoiceNumber"] for row in rows} == {"1001"}


def test_without_a_kid_the_invoice_number_is_the_payment_id() -> None:
    assert lines_of(made(invoice()))[0]["PaymentID"] == "1001"


def test_the_project_is_a_dimension_of_every_income_line() -> None:
    event = invoice(line(), line())
    rows = lines_of(made(event, project_id=5501))
    dimensions = [row["Dimensions"] for row in rows[1:]]
    assert {d["ProjectID"] for d in dimensions} == {5501}
    assert "Dimensions" not in rows[0]
    guids = [row["_createguid"] for row in (*rows, *dimensions)]
    assert len(set(guids)) == 5


def test_references_name_us_and_credit_notes_have_their_own() -> None:
    asked, credited = made(invoice()).entry, made(credit_note(number="1001")).entry
    assert asked is not None
    assert credited is not None
    assert asked["ExternalReference"] == "moment:invoice:1001"
    assert credited["ExternalReference"] == "moment:creditNote:1001"
    assert asked["ExternalSource"] == "moment-sync"
    assert "Lines" not in asked


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ({"payment_id": "10017"}, "10017-2026"),
        ({"payment_id": "000100101000428"}, "1001-2026"),
        ({"payment_id": "2147483648"}, "1001-2026"),
        ({"payment_id": "2147483647"}, "2147483647-2026"),
        ({}, "1001-2026"),
        ({"number": "F-1001"}, None),
        ({"number": "0000"}, None),
        ({"invoice_date": date(2025, 12, 31)}, "1001-2025"),
    ],
)
def test_a_number_is_proposed_only_where_it_fits(
    change: dict[str, Any], number: str | None
) -> None:
    event = invoice_content(invoice(**change))
    assert proposed_number(event) == number


@pytest.mark.parametrize(
    ("payment_id", "warned"),
    [("10017", False), ("10014", False), ("10013", True), ("1001", False), (None, False)],
)
def test_a_kid_without_its_check_digit_is_a_warning(payment_id: str | None, warned: bool) -> None:
    expected = [WarningCode.KID_CHECK_DIGIT] if warned else []
    assert codes(made(invoice(payment_id=payment_id))) == expected


# --- texts -------------------------------------------------------------------------------------


def description(event: Invoice, *percents: str) -> tuple[str, list[str]]:
    asked = made(event, *percents)
    assert asked.entry is not None
    return asked.entry["Description"], [row["Description"] for row in lines_of(asked)[1:]]


def test_the_voucher_is_named_by_number_kid_and_description() -> None:
    text, _ = description(invoice(payment_id="10017", description="Mars"))
    assert text == "Faktura 1001, KID 10017: Mars"
    assert description(invoice())[0] == "Faktura 1001"


def test_a_credit_note_names_what_it_credits() -> None:
    assert description(credit_note())[0] == "Kreditnota 1002 til faktura 1001"
    assert description(credit_note(credited_invoice_number=None))[0] == "Kreditnota 1002"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({}, "Prosjektering, 1 h"),
        ({"quantity": Decimal("7.50")}, "Prosjektering, 7.5 h"),
        ({"unit": None}, "Prosjektering, 1"),
        ({"description": None, "product_name": "Timer"}, "Timer, 1 h"),
        ({"description": None}, "1 h"),
    ],
)
def test_quantity_and_unit_stand_in_the_text(change: dict[str, Any], text: str) -> None:
    """A journal has no field for them (interface section 2)."""
    assert description(invoice(line(**change)))[1] == [text]


def zero(text: str) -> InvoiceLine:
    return line("0", description=text, quantity=Decimal(0))


def test_lines_without_an_amount_are_left_out_and_their_text_is_kept() -> None:
    event = invoice(zero("Først"), line(), zero("Så"), line("5", description="B"), zero("Sist"))
    _, texts = description(event)
    assert texts == ["Først; Prosjektering, 1 h; Så", "B, 1 h; Sist"]


def test_a_text_without_room_is_left_out_with_a_warning() -> None:
    event = invoice(line(description="x" * 400), zero("y" * 200))
    asked = made(event)
    assert codes(asked) == [WarningCode.TEXT_SHORTENED]
    assert asked.warnings[0].parameters == {"field": "$.lines[1].description", "limit": "500"}


def test_long_texts_are_shortened_but_their_quantity_is_kept() -> None:
    event = invoice(line(description="x" * 600), description="y" * 600)
    asked = made(event)
    text, (line_text,) = description(event)
    assert len(text) == 200
    assert len(line_text) == 500
    assert line_text.endswith("…, 1 h")
    assert codes(asked) == [WarningCode.TEXT_SHORTENED] * 2
    assert len(lines_of(asked)[0]["Description"]) == 500


def test_no_amount_at_all_is_nothing_to_book() -> None:
    assert made(invoice(line("0.001"))).entry is None


# --- what a look-up needs ----------------------------------------------------------------------


def test_the_intent_names_the_customers_line() -> None:
    detail = made(invoice()).intent.detail
    assert detail["externalReference"] == "moment:invoice:1001"
    assert (detail["column"], detail["accountId"]) == ("SubAccountID", "1811")
    assert (detail["amount"], detail["type"]) == ("12500", "8")


def test_where_the_customer_owes_nothing_an_income_line_bears_witness() -> None:
    """A zero line would be refused, so the customer has none in this voucher."""
    asked = made(invoice(line("100"), line("-100")))
    assert [row["AccountID"] for row in lines_of(asked)] == [155, 155]
    detail = asked.intent.detail
    assert (detail["column"], detail["accountId"], detail["amount"]) == ("AccountID", "155", "")
