"""What goes to DK+ for an invoice, and what is refused before anything goes."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.dkplus.connector import DkPlus
from connectors.integrations import ItemCodeSource, Language
from connectors.port import (
    Applied,
    Refused,
    Unchanged,
)
from schemas.events import Account, Invoice, InvoiceKind
from tests.connectors.dkplus.driver import (
    HOURS,
    INTEGRATION,
    INVOICE,
    KENNITALA,
    Dk,
    changed,
    codes,
    deliver,
    invoice_job,
)
from tests.connectors.dkplus.invoices import CREDIT, TEXT_ONLY, booked_body, with_line


def test_an_invoice_is_one_post_that_books() -> None:
    dk = Dk()
    cache: dict[str, Any] = {}
    verdict = deliver(invoice_job(), dk, cache)
    assert isinstance(verdict, Applied)
    assert verdict.reference.number == "10457"
    assert verdict.reference.id == "90211"
    assert verdict.warnings == ()
    assert dk.requests[-1].query == (("post", "true"),)
    assert booked_body(dk) == {
        "Customer": {"Number": KENNITALA, "SSN": KENNITALA},
        "Reference": "10457",
        "Date": "2026-03-31T00:00:00Z",
        "DueDate": "2026-04-30T00:00:00Z",
        "Currency": "ISK",
        "SalesPerson": "web",
        "Text1": "Verk 2026-014",
        "Project": "2026-014",
        "Lines": [
            {
                "ItemCode": "ráðgjöf",
                "Text": "Ráðgjöf í mars",
                "Quantity": 10,
                "Price": 19900,
                "IncludingVAT": False,
            }
        ],
    }
    again = Dk()
    deliver(invoice_job(), again, cache)
    assert again.calls == ["POST /sales/invoice"]


def test_the_intent_holds_what_a_look_up_needs() -> None:
    dk = Dk()
    deliver(invoice_job(), dk)
    (intent,) = dk.intents
    assert (intent.kind, intent.key, intent.booking, intent.repeatable) == (
        "invoice.book",
        "10457",
        True,
        False,
    )
    assert intent.detail["customer"] == KENNITALA
    assert intent.detail["net"] == "199000"
    assert intent.detail["total"] == "246760"
    assert intent.detail["lines"] == "1"


def test_a_credit_note_is_a_return_sale_with_signed_quantity_and_absolute_price() -> None:
    dk = Dk()
    deliver(invoice_job(CREDIT), dk)
    body = booked_body(dk)
    assert body["SaleType"] == 2
    assert (body["Lines"][0]["Quantity"], body["Lines"][0]["Price"]) == (-10, 19900)
    assert body["Reference"] == "10458"
    assert body["Text1"] == "Credit note for invoice 10457. Verk 2026-014"


def test_a_credit_note_with_a_negative_price_sends_the_same() -> None:
    dk = Dk()
    line = changed(HOURS, unit_price=Decimal(-19900), total_excl_vat=Decimal(-199000))
    deliver(invoice_job(changed(CREDIT, lines=(line,))), dk)
    line_sent = booked_body(dk)["Lines"][0]
    assert (line_sent["Quantity"], line_sent["Price"]) == (-10, 19900)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (Language.EN, "Credit note for invoice 10457"),
        (Language.NB, "Kreditnota for faktura 10457"),
        (Language.IS, "Kreditreikningur vegna reiknings 10457"),
    ],
)
def test_the_text_names_what_is_credited_in_the_integrations_language(
    language: Language, text: str
) -> None:
    dk = Dk()
    integration = changed(INTEGRATION, language=language)
    deliver(invoice_job(changed(CREDIT, description=None), integration=integration), dk)
    assert booked_body(dk)["Text1"] == text


def test_surcharge_goes_into_the_price_and_discount_into_percent() -> None:
    dk = Dk()
    line = {
        "unit_price": Decimal("100.10"),
        "surcharge_percent": Decimal("12.5"),
        "discount_percent": Decimal("10.0"),
        "total_excl_vat": Decimal(1014),
    }
    deliver(invoice_job(with_line(**line)), dk)
    raw = next(r.body for r in dk.requests if r.path == "/sales/invoice") or b""
    sent = booked_body(dk)["Lines"][0]
    assert b'"Price":112.6125,' in raw
    assert b'"Discount":10}' in raw
    assert "Total" not in sent
    assert "DiscountAmount" not in sent
    assert sent["Quantity"] == 10


def test_numbers_are_exact_decimals_without_exponent() -> None:
    dk = Dk()
    line = {
        "quantity": Decimal("1E+2"),
        "unit_price": Decimal("0.1"),
        "total_excl_vat": Decimal(10),
    }
    deliver(invoice_job(with_line(**line)), dk)
    raw = next(r.body for r in dk.requests if r.path == "/sales/invoice") or b""
    assert b'"Quantity":100,"Price":0.1,' in raw


def test_the_due_date_is_always_said_and_the_term_never() -> None:
    dk = Dk()
    deliver(invoice_job(changed(INVOICE, due_date=None)), dk)
    assert booked_body(dk)["DueDate"] == "2026-03-31T00:00:00Z"
    assert "Term" not in booked_body(dk)


# --- refused before anything is sent ---------------------------------------------------------


@pytest.mark.parametrize(
    ("invoice", "code", "field"),
    [
        (with_line(total_excl_vat=Decimal(1)), "line-total-differs", "$.lines[0].totalExclVat"),
        (changed(INVOICE, total_excl_vat=Decimal(1)), "totals-differ", "$.totalExclVat"),
        (changed(INVOICE, kind=InvoiceKind.CREDIT_NOTE), "credit-sign", None),
        (changed(INVOICE, number="10/457"), "reference-invalid", "$.number"),
        (changed(INVOICE, number="1" * 21), "reference-invalid", "$.number"),
        (changed(INVOICE, number="ð1"), "reference-invalid", "$.number"),
        (changed(INVOICE, number=".."), "reference-invalid", "$.number"),
        (changed(INVOICE, number="10457\n"), "reference-invalid", "$.number"),
        (
            with_line(product_number=None, account=Account(number="3000")),
            "item-code-missing",
            "$.lines[0].productNumber",
        ),
        (with_line(product_number="x" * 21), "item-code-too-long", "$.lines[0].productNumber"),
        (
            with_line(product_number=None, account=Account(number="3", vat_code="x" * 21)),
            "item-code-too-long",
            "$.lines[0].account.vatCode",
        ),
    ],
)
def test_what_is_wrong_in_the_event_is_refused_without_a_call(
    invoice: Invoice, code: str, field: str | None
) -> None:
    dk = Dk()
    verdict = deliver(invoice_job(invoice), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == code
    assert field is None or verdict.failure.field == field
    assert dk.requests == []


def test_twenty_characters_of_reference_and_item_code_still_go() -> None:
    dk = Dk()
    invoice = changed(with_line(product_number="x" * 20), number="A.b_~-" + "1" * 14)
    assert isinstance(deliver(invoice_job(invoice), dk), Applied)


def test_an_invoice_without_amounts_is_not_booked() -> None:
    dk = Dk()
    verdict = deliver(invoice_job(changed(INVOICE, lines=(TEXT_ONLY,))), dk)
    assert isinstance(verdict, Unchanged)
    assert codes(verdict.warnings) == ["nothing-to-book"]
    assert dk.requests == []


def test_a_line_that_is_only_text_becomes_side_text() -> None:
    dk = Dk()
    verdict = deliver(invoice_job(changed(INVOICE, lines=(HOURS, TEXT_ONLY, TEXT_ONLY))), dk)
    assert booked_body(dk)["Text2"] == "Með þökkum\nMeð þökkum"
    assert len(booked_body(dk)["Lines"]) == 1
    assert verdict.warnings == ()


def test_side_text_that_does_not_fit_is_cut_and_told() -> None:
    dk = Dk()
    long = changed(TEXT_ONLY, description="x" * 2001)
    verdict = deliver(invoice_job(changed(INVOICE, lines=(HOURS, long))), dk)
    assert len(booked_body(dk)["Text2"]) == 2000
    assert codes(verdict.warnings) == ["text-shortened"]


@pytest.mark.parametrize(
    ("sources", "code"),
    [
        ("productNumber externalRevenueClass vatCode", "p1"),
        ("externalRevenueClass productNumber vatCode", "r1"),
        ("vatCode productNumber externalRevenueClass", "v1"),
    ],
)
def test_the_item_code_follows_the_order_of_the_settings(sources: str, code: str) -> None:
    dk = Dk()
    order = tuple(ItemCodeSource(source) for source in sources.split())
    line = {
        "product_number": "P1",
        "account": Account(number="3000", vat_code="V1", external_revenue_class="R1"),
    }
    integration = changed(INTEGRATION, item_code_sources=order)
    deliver(invoice_job(with_line(**line), integration=integration), dk)
    assert booked_body(dk)["Lines"][0]["ItemCode"] == code


def test_blank_codes_fall_through_and_the_lines_vat_code_wins() -> None:
    dk = Dk()
    line = {
        "product_number": " ",
        "vat_code": "L1",
        "account": Account(number="3000", vat_code="V1"),
    }
    deliver(invoice_job(with_line(**line)), dk)
    assert booked_body(dk)["Lines"][0]["ItemCode"] == "l1"


# --- the content -----------------------------------------------------------------------------


def test_the_same_invoice_has_the_same_content_whatever_the_set_up_around_it() -> None:
    content = DkPlus().content
    base = content(INVOICE, INTEGRATION)
    other = changed(INTEGRATION, sales_person="x", language=Language.IS)
    same = changed(
        INVOICE,
        lines=(changed(HOURS, quantity=Decimal("1E+1"), unit_price=Decimal("19900.00")),),
        payment_id="1",
        customer_reference="x",
    )
    assert content(INVOICE, other) == base
    assert content(same, INTEGRATION) == base
    json.loads(base)


@pytest.mark.parametrize(
    "other",
    [
        changed(INVOICE, description="x"),
        changed(INVOICE, due_date=date(2026, 5, 1)),
        changed(INVOICE, project_number=None),
        changed(INVOICE, customer_number="1"),
        with_line(unit_price=Decimal(1)),
        with_line(vat_percent=Decimal(11)),
        with_line(product_number="x"),
        with_line(discount_percent=Decimal(1)),
    ],
)
def test_another_invoice_has_another_content(other: Invoice) -> None:
    content = DkPlus().content
    assert content(other, INTEGRATION) != content(INVOICE, INTEGRATION)
