"""What an integration will need of its books, and what is wrong there: the words of `check`.

An inspection is a question flow of a connector, `inspect(integration, needs, now)`. It reads what
a delivery would read, through the same `Look`s, and returns its flaws, or the `Retry` of books
that do not answer.
"""

from datetime import date
from enum import StrEnum

import msgspec

from connectors.port import Hold, Refused, Retry
from schemas.events import Customer, Entity, EntityType, Invoice, InvoiceLine
from schemas.failures import Failure, FailureCode


class FlawKind(StrEnum):
    """What a flaw is of."""

    TOKEN = "token"  # noqa: S105 - a word, not a secret
    COMPANY = "company"
    CURRENCY = "currency"
    NUMBER_SERIES = "number-series"
    PERIOD = "period"
    ACCOUNT = "account"
    VAT_CODE = "vat-code"
    SALES_PERSON = "sales-person"
    ITEM_CODE = "item-code"
    MAIL = "mail"


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `entity`, such as `invoice/1001`, is one of those that meet it."""

    kind: FlawKind
    failure: Failure
    entity: str = ""


Inspected = tuple[Flaw, ...] | Retry


class LineNeed(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice line that stands for all that need the same, and the newest day it is for."""

    line: InvoiceLine
    index: int
    invoice: str
    customer_number: str
    day: date

    @property
    def entity(self) -> str:
        """The invoice, as findings name it."""
        return f"{EntityType.INVOICE}/{self.invoice}"


class CurrencyNeed(msgspec.Struct, frozen=True, kw_only=True):
    """A currency code in upper case. `rated` is False where an invoice in it has no rate."""

    code: str
    entity: str
    rated: bool = True


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What events have named so far, or a person: the latter without an invoice behind it."""

    accounts: tuple[str, ...] = ()
    vat_codes: tuple[str, ...] = ()
    item_codes: tuple[str, ...] = ()
    lines: tuple[LineNeed, ...] = ()
    currencies: tuple[CurrencyNeed, ...] = ()
    customer_numbers: tuple[str, ...] = ()


class NeedsSoFar:
    """Collects needs from events; its size goes by what differs, not by how many there are."""

    def __init__(self) -> None:
        self._lines: dict[object, LineNeed] = {}
        self._currencies: dict[tuple[str, bool], CurrencyNeed] = {}

    def add(self, event: Entity) -> None:
        """Take in what an event names."""
        if isinstance(event, Customer):
            self._currency(event.currency_code, f"{EntityType.CUSTOMER}/{event.number}")
        elif isinstance(event, Invoice):
            rated = event.currency_rate is not None
            self._currency(event.currency_code, f"{EntityType.INVOICE}/{event.number}", rated=rated)
            for index, line in enumerate(event.lines):
                self._line(event, index, line)

    def needs(self, customer_numbers: tuple[str, ...] = ()) -> Needs:
        """All that was named."""
        return Needs(
            lines=tuple(self._lines.values()),
            currencies=tuple(self._currencies.values()),
            customer_numbers=customer_numbers,
        )

    def _currency(self, code: str | None, entity: str, *, rated: bool = True) -> None:
        named = (code or "").strip().upper()
        if named:
            need = CurrencyNeed(code=named, entity=entity, rated=rated)
            self._currencies.setdefault((named, rated), need)

    def _line(self, invoice: Invoice, index: int, line: InvoiceLine) -> None:
        # At 0 % it matters to DK+ for whom the invoice is: a customer may be without VAT.
        customer = invoice.customer_number if line.vat_percent == 0 else ""
        key = (
            line.account.number,
            line.account.external_revenue_class,
            line.effective_vat_code,
            line.vat_percent,
            line.product_number,
            line.total_excl_vat.is_zero(),
            customer,
        )
        known = self._lines.get(key)
        if known is None or known.day < invoice.invoice_date:
            self._lines[key] = LineNeed(
                line=line,
                index=index,
                invoice=invoice.number,
                customer_number=invoice.customer_number,
                day=invoice.invoice_date,
            )


def flaw_of(verdict: Hold | Refused, kind: FlawKind) -> Flaw:
    """The flaw behind a verdict that met a question about `kind`."""
    if isinstance(verdict, Hold):
        refused = verdict.failure.code is FailureCode.CREDENTIALS_REFUSED
        kind = FlawKind.TOKEN if refused else FlawKind.COMPANY
    return Flaw(kind=kind, failure=verdict.failure)
