import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from connectors.dkplus.connector import DkPlus
from connectors.dkplus.wire import ProjectRecord
from connectors.integrations import DataType, ItemCodeSource, Language
from connectors.port import (
    Applied,
    GateClosed,
    Hold,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Retry,
    Unchanged,
    Unsure,
)
from schemas.events import Account, EntityType, Invoice, InvoiceKind
from tests.connectors.dkplus.driver import (
    CUSTOMER,
    DASHED,
    HOURS,
    INTEGRATION,
    INVOICE,
    KENNITALA,
    Dk,
    changed,
    codes,
    deliver,
    invoice_job,
    reference,
    reply,
)

TEXT_ONLY = changed(
    HOURS,
    product_number=None,
    description="Með þökkum",
    quantity=Decimal(0),
    unit_price=Decimal(0),
    total_excl_vat=Decimal(0),
    account=Account(number="3000"),
)
CREDIT = changed(
    INVOICE,
    number="10458",
    kind=InvoiceKind.CREDIT_NOTE,
    credited_invoice_number="10457",
    lines=(changed(HOURS, quantity=Decimal(-10), total_excl_vat=Decimal(-199000)),),
)
WITHOUT_CUSTOMERS = changed(INTEGRATION, data=frozenset({DataType.INVOICES}))


def with_line(**members: Any) -> Invoice:
    return changed(INVOICE, lines=(changed(HOURS, **members),))


def booked_body(dk: Dk) -> Any:
    return next(body for path, body in dk.sent("POST") if path == "/sales/invoice")


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


# --- the kennitala ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "ssn"),
    [
        ({"Number": KENNITALA, "SSNumber": "311299-2040"}, "3112992040"),
        ({"Number": DASHED, "SSNumber": ""}, KENNITALA),
        ({"Number": KENNITALA, "SSNumber": None}, KENNITALA),
    ],
)
@pytest.mark.parametrize("event", [None, changed(CUSTOMER, organisation_number=None)])
def test_a_kennitala_that_moment_does_not_say_is_taken_from_the_books(
    record: dict[str, Any], ssn: str, event: Any
) -> None:
    dk = Dk()
    dk.customers = {record["Number"]: record}
    job = invoice_job(customer_event=event, customer=reference(record["Number"]))
    assert isinstance(deliver(job, dk), Applied)
    assert booked_body(dk)["Customer"] == {"Number": record["Number"], "SSN": ssn}


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({"Number": "4711"}, "kennitala-missing"),
        ({"Number": "4711", "SSNumber": "12"}, "kennitala-invalid"),
    ],
)
def test_without_a_kennitala_anywhere_nothing_is_booked(record: dict[str, Any], code: str) -> None:
    dk = Dk()
    dk.customers = {"4711": record}
    verdict = deliver(invoice_job(customer_event=None, customer=reference("4711")), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == code
    assert dk.intents == []


def test_a_kennitala_of_moment_that_is_not_ten_digits_is_refused() -> None:
    dk = Dk()
    event = changed(CUSTOMER, organisation_number="71129920")
    verdict = deliver(invoice_job(customer_event=event), dk)
    assert verdict.failure.code == "kennitala-invalid"
    assert verdict.failure.parameters == {"number": "71129920"}
    assert dk.requests == []


def test_a_failing_check_digit_is_told_and_booked() -> None:
    event = changed(CUSTOMER, organisation_number="3112992050")
    verdict = deliver(invoice_job(customer_event=event), Dk())
    assert isinstance(verdict, Applied)
    assert codes(verdict.warnings) == ["kennitala-check-digit"]


# --- what the books must have ----------------------------------------------------------------


def test_an_unknown_customer_closes_the_gate() -> None:
    dk = Dk()
    dk.customers.clear()
    gate = GateClosed(parent_type=EntityType.CUSTOMER, parent_number=KENNITALA)
    assert deliver(invoice_job(customer=None), dk) == gate
    assert deliver(invoice_job(customer_event=None), dk) == gate
    assert dk.intents == []


def test_an_unknown_sales_person_holds_the_integration() -> None:
    dk = Dk()
    dk.persons = [{"Number": f"p{n}"} for n in range(250)]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Hold)
    assert verdict.failure.code == "sales-person-unknown"
    assert verdict.failure.parameters == {"salesPerson": "web"}
    pages = [call for call in dk.calls if "person" in call]
    assert pages == [f"GET /sales/person/page/{page}/100" for page in (1, 2, 3)]


def test_a_sales_person_on_a_later_page_is_found_and_read_once() -> None:
    dk = Dk()
    dk.persons = [{"Number": f"p{n}"} for n in range(150)] + [{"Number": "WEB"}]
    cache: dict[str, Any] = {}
    deliver(invoice_job(), dk, cache)
    assert booked_body(dk)["SalesPerson"] == "WEB"
    again = Dk()
    deliver(invoice_job(), again, cache)
    assert not any("person" in call for call in again.calls)


def test_a_currency_of_its_own_needs_no_rate() -> None:
    dk = Dk()
    dk.company = {"General": {"DefaultCurrency": "EUR"}}
    invoice = changed(INVOICE, currency_code="eur", currency_rate=Decimal(150))
    deliver(invoice_job(invoice), dk)
    assert "Exchange" not in booked_body(dk)
    assert booked_body(dk)["Currency"] == "EUR"


def test_a_foreign_currency_goes_with_its_rate() -> None:
    dk = Dk()
    deliver(invoice_job(changed(INVOICE, currency_code="EUR", currency_rate=Decimal("150.50"))), dk)
    assert booked_body(dk)["Exchange"] == 150.5


def test_a_foreign_currency_without_a_rate_is_refused() -> None:
    dk = Dk()
    verdict = deliver(invoice_job(changed(INVOICE, currency_code="EUR")), dk)
    assert verdict.failure.code == "currency-rate-missing"
    assert verdict.failure.field == "$.currencyRate"
    assert verdict.failure.parameters == {"currency": "EUR", "baseCurrency": "ISK"}
    assert dk.intents == []


@pytest.mark.parametrize(("known", "named"), [(True, "2026-014"), (False, None)])
def test_with_projects_switched_off_a_project_is_named_only_if_the_books_have_it(
    known: bool, named: str | None
) -> None:
    dk = Dk()
    if not known:
        dk.projects.clear()
    verdict = deliver(invoice_job(integration=WITHOUT_CUSTOMERS, project=None), dk)
    assert booked_body(dk).get("Project") == named
    assert verdict.warnings == ()


def test_a_twin_is_told_on_the_invoice_only_where_no_customer_is_delivered() -> None:
    dk = Dk()
    job = invoice_job(customer=reference(DASHED), integration=WITHOUT_CUSTOMERS)
    assert codes(deliver(job, dk).warnings) == ["customer-twin"]
    assert deliver(invoice_job(customer=reference(DASHED)), Dk()).warnings == ()


# --- the answer ------------------------------------------------------------------------------


def test_what_a_person_should_know_of_a_booked_invoice_is_told() -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [
        reply(
            200,
            {"Number": "20311", "RecordID": 7, "TotalAmountWithTax": 246762.0, "Project": None},
        )
    ]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Applied)
    assert codes(verdict.warnings) == [
        "invoice-number-differs",
        "amount-differs",
        "project-not-kept",
    ]
    assert verdict.warnings[0].parameters == {"moment": "10457", "books": "20311"}
    assert verdict.warnings[1].parameters == {"moment": "246760", "books": "246762"}


@pytest.mark.parametrize(
    ("currency", "rate", "books", "warned"),
    [
        ("ISK", None, "246761.0", []),
        ("ISK", None, "246759", []),
        ("ISK", None, "246761.01", ["amount-differs"]),
        ("EUR", "150", "246760.01", []),
        ("EUR", "150", "246760.02", ["amount-differs"]),
        ("EUR", "150", "37014000", []),
    ],
)
def test_a_total_that_is_not_moments_is_told(
    currency: str, rate: str | None, books: str, warned: list[str]
) -> None:
    dk = Dk()
    head = f'{{"Number":"10457","TotalAmountWithTax":{books},"Project":"2026-014"}}'
    dk.script["POST", "/sales/invoice"] = [reply(200, head.encode())]
    invoice = changed(
        INVOICE, currency_code=currency, currency_rate=Decimal(rate) if rate else None
    )
    assert codes(deliver(invoice_job(invoice), dk).warnings) == warned


@pytest.mark.parametrize(
    "answer",
    [
        reply(200),
        reply(200, b"<html>"),
        reply(200, b'{"Number": "203'),
        reply(200, {"RecordID": 7, "Number": ""}),
        reply(200, {"RecordID": 7, "Number": None}),
        reply(200, []),
        reply(302),
        reply(408),
        reply(500, {"Message": "dk"}),
        reply(503),
        NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True),
        NoAnswer(kind=NoAnswerKind.BROKEN, sent=True),
    ],
)
def test_an_answer_that_does_not_prove_anything_leaves_the_booking_uncertain(answer: Any) -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [answer]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Unsure)
    assert verdict.intent == dk.intents[-1]
    assert dk.calls.count("POST /sales/invoice") == 1


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        (reply(401), Hold, "credentials-refused"),
        (reply(403), Hold, "right-missing"),
        (reply(429, None, **{"retry-after": "7"}), Retry, "too-many-requests"),
        (reply(404, b"<html>"), Retry, "system-unavailable"),
        (NoAnswer(kind=NoAnswerKind.REFUSED, sent=False), Retry, "connection-failed"),
    ],
)
def test_an_answer_that_proves_that_nothing_was_booked(
    answer: Any, verdict: Any, code: str
) -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [answer]
    came: Any = deliver(invoice_job(), dk)
    assert isinstance(came, verdict)
    assert came.failure.code == code


# --- refused by DK+: explained by reading ----------------------------------------------------

MESSAGES = ["Sölumaður er ekki til", "Value cannot be null. Parameter name: user", "nei"]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_refusal_for_a_sales_person_who_is_gone_holds(message: str) -> None:
    dk = Dk()
    cache = {"sales-person:web": "web"}
    dk.persons = []
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": message})]
    verdict = deliver(invoice_job(), dk, cache)
    assert isinstance(verdict, Hold)
    assert verdict.failure.code == "sales-person-unknown"
    assert cache.get("sales-person:web") is None


@pytest.mark.parametrize("message", MESSAGES)
def test_a_refusal_for_a_customer_who_is_gone_closes_the_gate(message: str) -> None:
    dk = Dk()
    dk.customers.clear()
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": message})]
    assert deliver(invoice_job(), dk) == GateClosed(
        parent_type=EntityType.CUSTOMER, parent_number=KENNITALA
    )


def test_a_refusal_for_a_project_that_is_gone_closes_its_gate() -> None:
    dk = Dk()
    dk.projects.clear()
    dk.script["POST", "/sales/invoice"] = [reply(400)]
    assert deliver(invoice_job(), dk) == GateClosed(
        parent_type=EntityType.PROJECT, parent_number="2026-014"
    )


def test_a_refusal_for_a_project_that_is_gone_leaves_it_out_where_projects_are_off() -> None:
    dk = Dk()
    dk.projects.clear()
    dk.script["POST", "/sales/invoice"] = [reply(400)]
    cache: dict[str, Any] = {"project:2026-014": ProjectRecord()}
    verdict = deliver(invoice_job(integration=WITHOUT_CUSTOMERS, project=None), dk, cache)
    assert isinstance(verdict, Applied)
    assert "Project" not in dk.sent("POST")[-1][1]


def test_a_refusal_for_a_product_that_is_gone_creates_it_and_posts_once_more() -> None:
    dk = Dk()
    cache: dict[str, Any] = {}
    deliver(invoice_job(), dk, cache)
    gone = Dk()
    gone.products.clear()
    gone.script["POST", "/sales/invoice"] = [
        reply(400, {"Message": "Product ItemCode not defined"})
    ]
    verdict = deliver(invoice_job(), gone, cache)
    assert isinstance(verdict, Applied)
    assert [path for path, _ in gone.sent("POST")] == [
        "/sales/invoice",
        "/product",
        "/sales/invoice",
    ]


def test_a_refusal_on_a_blocked_customer_is_that() -> None:
    dk = Dk()
    dk.customers[KENNITALA]["Blocked"] = True
    assert isinstance(deliver(invoice_job(), dk), Applied)
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": "lokað"})]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "customer-blocked"
    assert verdict.failure.failure_class == "set-up"


def test_a_refusal_that_no_read_explains_is_quoted() -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": "Tímabil er lokað"})]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "refused-by-system"
    assert verdict.failure.parameters == {"status": "400", "answer": "Tímabil er lokað"}
    assert dk.calls.count("POST /sales/invoice") == 1


def test_a_refusal_whose_reading_fails_is_tried_again() -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [reply(400)]
    dk.script["GET", f"/customer/{KENNITALA}"] = [reply(500)]
    assert isinstance(deliver(invoice_job(), dk), Retry)


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
