"""What the books of DK+ must have for an invoice: kennitala, customer, sales person."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.port import (
    Applied,
    GateClosed,
    Hold,
    Refused,
)
from schemas.events import EntityType
from tests.connectors.dkplus.driver import (
    CUSTOMER,
    DASHED,
    INVOICE,
    KENNITALA,
    Dk,
    changed,
    codes,
    deliver,
    invoice_job,
    reference,
)
from tests.connectors.dkplus.invoices import WITHOUT_CUSTOMERS, booked_body

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
