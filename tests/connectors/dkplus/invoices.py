"""Invoices as the tests of DK+ write them."""

from decimal import Decimal
from typing import Any

from connectors.integrations import DataType
from schemas.events import Account, Invoice, InvoiceKind
from tests.connectors.dkplus.driver import (
    HOURS,
    INTEGRATION,
    INVOICE,
    Dk,
    changed,
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
