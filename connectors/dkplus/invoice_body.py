"""The body that books a sales invoice, with the members of contract dkplus A4.1."""

from datetime import date
from decimal import Decimal

import msgspec

from connectors.dkplus import requests
from connectors.dkplus.amounts import quantity_and_price
from connectors.dkplus.products import CodedLine
from schemas.events import Invoice, InvoiceKind

RETURN_SALE = 2  # `SaleType` of a credit note (contract dkplus A4.3, A11.5)


class _Body(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Base of what is written: PascalCase on the wire, what is empty is left out."""


class CustomerBody(_Body, frozen=True):
    """Whom the invoice is for; everything else is taken from the record in the books."""

    number: str
    ssn: str = msgspec.field(name="SSN")


class LineBody(_Body, frozen=True, omit_defaults=False):
    """One line. `Price` is net and after surcharge; `Total` is never sent (contract A11.6)."""

    item_code: str
    quantity: Decimal
    price: Decimal
    including_vat: bool = msgspec.field(default=False, name="IncludingVAT")
    text: str | msgspec.UnsetType = msgspec.UNSET
    discount: Decimal | msgspec.UnsetType = msgspec.UNSET


class InvoiceBody(_Body, frozen=True):
    """The head and its lines."""

    customer: CustomerBody
    reference: str
    date: str
    due_date: str
    currency: str
    sales_person: str
    lines: tuple[LineBody, ...]
    exchange: Decimal | msgspec.UnsetType = msgspec.UNSET
    text1: str = ""
    text2: str = ""
    project: str = ""
    sale_type: int | msgspec.UnsetType = msgspec.UNSET


class Extras(msgspec.Struct, frozen=True, kw_only=True):
    """What the books and the set-up add to an invoice of Moment. `exchange` None: own currency."""

    customer_number: str
    kennitala: str
    sales_person: str
    codes: dict[str, str]
    exchange: Decimal | None = None
    project: str = ""
    text1: str = ""
    text2: str = ""


def midnight(day: date) -> str:
    """A date as DK+ takes it (contract dkplus A6)."""
    return f"{day.isoformat()}T00:00:00Z"


def invoice_body(invoice: Invoice, lines: tuple[CodedLine, ...], extras: Extras) -> InvoiceBody:
    """The whole body. `DueDate` is always said, `Term` never (contract dkplus A11.7)."""
    credit = invoice.kind is InvoiceKind.CREDIT_NOTE
    return InvoiceBody(
        customer=CustomerBody(number=extras.customer_number, ssn=extras.kennitala),
        reference=invoice.number,
        date=midnight(invoice.invoice_date),
        due_date=midnight(invoice.due_date or invoice.invoice_date),
        currency=invoice.currency_code.upper(),
        sales_person=extras.sales_person,
        lines=tuple(_line_body(invoice, line, extras.codes) for line in lines),
        exchange=msgspec.UNSET if extras.exchange is None else requests.number(extras.exchange),
        text1=extras.text1,
        text2=extras.text2,
        project=extras.project,
        sale_type=RETURN_SALE if credit else msgspec.UNSET,
    )


def _line_body(invoice: Invoice, coded: CodedLine, codes: dict[str, str]) -> LineBody:
    quantity, price = quantity_and_price(invoice.kind, coded.line)
    discount = coded.line.discount_percent
    return LineBody(
        item_code=codes[coded.product],
        quantity=requests.number(quantity),
        price=requests.number(price),
        text=coded.line.book_text or msgspec.UNSET,
        discount=requests.number(discount) if discount else msgspec.UNSET,
    )
