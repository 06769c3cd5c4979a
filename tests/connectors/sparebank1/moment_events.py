"""Events of Moment for the tests: whole, plain, changed by keyword."""

from datetime import date
from decimal import Decimal
from typing import Any

from schemas.events import (
    Account,
    Address,
    Customer,
    CustomerStatus,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
)


def customer(**changes: Any) -> Customer:
    """The customer that the fake books hold as 812, with all that Moment has of it."""
    fields: dict[str, Any] = {
        "company": "c-1001",
        "number": "100042",
        "name": "Nordlys",
        "status": CustomerStatus.ACTIVE,
        "organisation_number": "123456785",
        "email": "post@nordlys.example",
        "phone": "22334455",
        "fax": "22334456",
        "currency_code": "NOK",
        "country_code": "NO",
        "address": Address(line1="Storgata 1", postal_code="0155", city="Oslo"),
    }
    return Customer(**{**fields, **changes})


def project(**changes: Any) -> Project:
    """A project that the fake books do not have."""
    fields: dict[str, Any] = {
        "company": "c-1001",
        "number": "10024",
        "name": "Sentrumskvartalet",
        "customer_number": "100042",
        "state": ProjectState.IN_PROGRESS,
        "start_date": date(2026, 1, 5),
        "end_date": date(2026, 12, 18),
    }
    return Project(**{**fields, **changes})


def line(total: str = "10000", **changes: Any) -> InvoiceLine:
    """One line of hours at 25 %."""
    fields: dict[str, Any] = {
        "product_type": ProductType.HOURS,
        "quantity": Decimal(1),
        "unit_price": Decimal(total),
        "total_excl_vat": Decimal(total),
        "account": Account(number="3000"),
        "description": "Prosjektering",
        "unit": "h",
        "vat_code": "3",
    }
    return InvoiceLine(**{**fields, **changes})


def invoice(*lines: InvoiceLine, **changes: Any) -> Invoice:
    """Invoice 1001 of 10 March 2026, one line unless others are given."""
    fields: dict[str, Any] = {
        "company": "c-1001",
        "number": "1001",
        "kind": InvoiceKind.INVOICE,
        "customer_number": "100042",
        "invoice_date": date(2026, 3, 10),
        "due_date": date(2026, 3, 24),
        "currency_code": "NOK",
        "lines": lines or (line(),),
    }
    return Invoice(**{**fields, **changes})


def credit_note(*lines: InvoiceLine, **changes: Any) -> Invoice:
    """Credit note 1002 of invoice 1001."""
    fields: dict[str, Any] = {
        "number": "1002",
        "kind": InvoiceKind.CREDIT_NOTE,
        "credited_invoice_number": "1001",
    }
    return invoice(*(lines or (line("-10000"),)), **{**fields, **changes})
