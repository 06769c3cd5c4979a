"""The books of SpareBank 1 Regnskap, read page by page and held against what was applied.

Lists are asked for with `top`, `skip` and `orderby=ID` and without a filter, which could be
ignored; they end at an empty page (contract sparebank1-regnskap 6.1). Vouchers carry no date of
their own, so all of them are read.
"""

from collections.abc import Callable, Generator
from datetime import date
from decimal import Decimal
from typing import Any, Final

from connectors.books_reading import Facts, Page, Pair, Seen
from connectors.integrations import Integration
from connectors.port import Answer, Flow, Request, Step
from connectors.sparebank1 import reference_data, requests
from connectors.sparebank1.customer_record import FAX_TYPE
from connectors.sparebank1.customers import DELETED
from connectors.sparebank1.exchange import Books, read_page
from connectors.sparebank1.guids import Guids
from connectors.sparebank1.inspection import of_code
from connectors.sparebank1.lookups import CREDITED_LINE
from connectors.sparebank1.mapping import CustomerContent, InvoiceContent, ProjectContent
from connectors.sparebank1.project_record import STATUS
from connectors.sparebank1.reference_data import Settings, VatType
from connectors.sparebank1.responses import Stop, not_understood, undropped
from connectors.sparebank1.vouchers import (
    CREDIT_NOTE_TYPE,
    EXTERNAL_SOURCE,
    INVOICE_TYPE,
    LinePlan,
    Plan,
    external_reference,
    voucher,
)
from connectors.sparebank1.wire import Row, amount, child, children, day, integer, text
from schemas.events import EntityType, InvoiceKind
from schemas.failures import Change, Reference, plain

PAGE_ROWS: Final = 100
"""Vouchers with their lines: a page of them stays below a tenth of the largest body."""

_LISTS: Final = {
    EntityType.CUSTOMER: (requests.CUSTOMERS, requests.CUSTOMER_EXPAND),
    EntityType.PROJECT: (requests.PROJECTS, "ProjectCustomer"),
    EntityType.INVOICE: (requests.JOURNAL_ENTRIES, "Lines,Lines.SubAccount"),
}
_OWN_TYPES: Final = (INVOICE_TYPE, CREDIT_NOTE_TYPE)


class SpareBank1Books:
    """Implements `connectors.books_reading.BooksReader`."""

    def page(
        self,
        integration: Integration,
        entity_type: EntityType,
        since: date | None,
        cursor: str | None,
    ) -> Flow:
        """Read one page: a `Page`, or a verdict."""
        del since
        skip, last = _place(cursor)
        path, expand = _LISTS[entity_type]
        rows = yield from read_page(Books(integration=integration), _listed(path, expand, skip))
        if isinstance(rows, Stop):
            return undropped(rows)
        if not rows:
            return Page(records=())
        highest = max(integer(row, "ID") or 0 for row in rows)
        if highest <= last:
            # The same rows again: `skip` was not heeded, and this would never end.
            return not_understood(Answer(status=200, body=b"a page that repeats the one before"))
        records = tuple(_SEEN[entity_type](row) for row in rows)
        return Page(records=records, next=f"{skip + len(rows)} {highest}")

    def differences(
        self, integration: Integration, entity_type: EntityType, pairs: tuple[Pair, ...]
    ) -> Flow:
        """Compare: for each pair what differs, or a verdict."""
        if entity_type is EntityType.CUSTOMER:
            return tuple(_customer_differs(content, seen.raw) for content, seen in pairs)
        if entity_type is EntityType.PROJECT:
            return tuple(_project_differs(content, seen.raw) for content, seen in pairs)
        books = Books(integration=integration)
        found = []
        for content, seen in pairs:
            invoice = InvoiceContent.read(content)
            changes = () if invoice is None else (yield from _invoice_differs(books, invoice, seen))
            if isinstance(changes, Stop):
                return undropped(changes)
            found.append(changes)
        return tuple(found)

    def facts(self, entity_type: EntityType, content: bytes) -> Facts:
        """Read the facts of applied content. Unknown content has none."""
        invoice = InvoiceContent.read(content) if entity_type is EntityType.INVOICE else None
        if invoice is None:
            return Facts()
        total = sum(Decimal(line.total) for line in invoice.lines)
        return Facts(customer=invoice.customer_number, negative=total < 0, day=invoice.invoice_date)


def _place(cursor: str | None) -> tuple[int, int]:
    if cursor is None:
        return 0, 0
    skip, last = cursor.split()
    return int(skip), int(last)


def _listed(path: str, expand: str, skip: int) -> Request:
    query = (
        ("expand", expand),
        ("top", str(PAGE_ROWS)),
        ("skip", str(skip)),
        ("orderby", "ID"),
    )
    return Request(method="GET", path=path, query=query)


# --- a row as what it may be of ours -----------------------------------------------------------


def _customer(row: Row) -> Seen:
    deleted = row.get("Deleted") is True or integer(row, "StatusCode") == DELETED
    return _record(row, text(row, "CustomerNumber"), undone=deleted)


def _project(row: Row) -> Seen:
    return _record(row, text(row, "ProjectNumber"), undone=row.get("Deleted") is True)


def _record(row: Row, number: str, *, undone: bool) -> Seen:
    return Seen(
        numbers=(number,) if number else (),
        reference=Reference(id=str(integer(row, "ID")), number=number),
        undone=undone,
        raw=row,
    )


def _voucher(row: Row) -> Seen:
    """A voucher by its customer line; payments carry the same number (contract 12.2)."""
    lines = children(row, "Lines")
    owed = _owed(lines)
    marked = _number_in_mark(text(row, "ExternalReference"))
    said = next((text(line, "InvoiceNumber") for line in lines if text(line, "InvoiceNumber")), "")
    number = marked or said
    return Seen(
        numbers=(number,) if number else (),
        reference=Reference(
            id=str(integer(row, "ID")), number=text(row, "JournalEntryNumber") or "?"
        ),
        facts=_facts(owed),
        marked=bool(marked) or text(row, "ExternalSource") == EXTERNAL_SOURCE,
        alike=bool(marked) or any(integer(li, "JournalEntryTypeID") in _OWN_TYPES for li in lines),
        undone=any(_is_credited(line) for line in lines),
        raw=row,
    )


_SEEN: Final[dict[EntityType, Callable[[Row], Seen]]] = {
    EntityType.CUSTOMER: _customer,
    EntityType.PROJECT: _project,
    EntityType.INVOICE: _voucher,
}


def _number_in_mark(reference: str) -> str:
    """The invoice number in an ExternalReference of ours, else nothing."""
    for kind in InvoiceKind:
        prefix = external_reference(kind, "")
        if reference.startswith(prefix):
            return reference.removeprefix(prefix)
    return ""


def _owed(lines: list[Row]) -> list[Row]:
    return [line for line in lines if integer(line, "SubAccountID")]


def _is_credited(line: Row) -> bool:
    """Reversed by the platform, or such a reversal (contract sparebank1-regnskap 4.6, 4.7)."""
    return integer(line, "StatusCode") == CREDITED_LINE or bool(
        integer(line, "ReferenceCreditPostID") or integer(line, "OriginalReferencePostID")
    )


def _facts(owed: list[Row]) -> Facts:
    total = _total(owed)
    account = child(owed[0], "SubAccount") if owed else None
    return Facts(
        customer=text(account, "AccountNumber") if account is not None else "",
        negative=None if not total else total < 0,
        day=day(owed[0], "FinancialDate") if owed else None,
    )


def _total(owed: list[Row]) -> Decimal | None:
    amounts = [amount(line, "Amount") for line in owed]
    known = [value for value in amounts if value is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(amounts) else None


# --- what differs ------------------------------------------------------------------------------


def _changes(fields: dict[str, tuple[str, str]]) -> tuple[Change, ...]:
    """Of (books, applied) by Moment's name those that differ; what is empty here says nothing."""
    return tuple(
        Change(field=name, from_=there or None, to=ours)
        for name, (there, ours) in fields.items()
        if ours and there != ours
    )


def _customer_differs(content: bytes, row: Row) -> tuple[Change, ...]:
    customer, info = CustomerContent.read(content), child(row, "Info")
    if customer is None or info is None:
        return ()
    address = child(info, "InvoiceAddress") or {}
    phone = child(info, "DefaultPhone") or {}
    faxes = [
        other
        for other in children(info, "Phones")
        if integer(other, "Type") == FAX_TYPE and integer(other, "ID") != integer(phone, "ID")
    ]
    return _changes(
        {
            "name": (text(info, "Name"), customer.name),
            "organisationNumber": (text(row, "OrgNumber"), customer.organisation_number),
            "website": (text(row, "WebUrl"), customer.website),
            "email": (_of(info, "DefaultEmail", "EmailAddress"), customer.email),
            "phone": (text(phone, "Number"), customer.phone),
            "fax": (text(faxes[0], "Number") if faxes else "", customer.fax),
            "address.line1": (text(address, "AddressLine1"), customer.line1),
            "address.line2": (text(address, "AddressLine2"), customer.line2),
            "address.postalCode": (text(address, "PostalCode"), customer.postal_code),
            "address.city": (text(address, "City"), customer.city),
            "address.countryCode": (text(address, "CountryCode"), customer.country),
        }
    )


def _of(row: Row, name: str, field: str) -> str:
    related = child(row, name)
    return "" if related is None else text(related, field)


def _project_differs(content: bytes, row: Row) -> tuple[Change, ...]:
    project = ProjectContent.read(content)
    if project is None:
        return ()
    owner = child(row, "ProjectCustomer")
    customer = project.customer_number
    names = {status: state.value for state, status in STATUS.items()}
    status = integer(row, "StatusCode")
    return _changes(
        {
            "name": (text(row, "Name"), project.name),
            # Where the related customer did not come, nothing is known of it.
            "customerNumber": (text(owner, "CustomerNumber") if owner else customer, customer),
            "state": (names.get(status or 0, str(status)), project.state.value),
            "startDate": (_iso(day(row, "StartDate")), _iso(project.start_date)),
            "endDate": (_iso(day(row, "EndDate")), _iso(project.end_date)),
        }
    )


def _iso(value: date | None) -> str:
    return value.isoformat() if value is not None else ""


def _invoice_differs(
    books: Books, invoice: InvoiceContent, seen: Seen
) -> Generator[Step, Any, tuple[Change, ...] | Stop]:
    """Customer, date, and what the customer owes, to the øre."""
    amounts = yield from _amounts(books, invoice)
    if isinstance(amounts, Stop):
        return amounts
    facts, owed = seen.facts, _total(_owed(children(seen.raw, "Lines"))) or Decimal(0)
    customer = invoice.customer_number
    fields = {
        "customerNumber": (facts.customer or customer, customer),
        "invoiceDate": (
            _iso(facts.day or invoice.invoice_date),
            _iso(invoice.invoice_date),
        ),
    }
    if amounts and owed not in amounts:
        fields["totalInclVat"] = (plain(owed), plain(amounts[0]))
    return _changes(fields)


def _amounts(
    books: Books, invoice: InvoiceContent
) -> Generator[Step, Any, tuple[Decimal, ...] | Stop]:
    """What a delivery would have the customer owe: without the rounding account, and with it.

    Empty where it cannot be told: a VAT code is no more, a rate is missing, or nothing is booked.
    """
    lines = yield from _rates(books, invoice)
    if not isinstance(lines, tuple):
        return lines
    foreign = yield from _is_foreign(books, invoice)
    if isinstance(foreign, Stop):
        return foreign
    if not lines or (foreign and not invoice.rate):
        return ()
    found = []
    for rounding in (None, 1):
        # The ids are of no account: only the sum of the customer line is looked at.
        plan = Plan(
            customer_id=1,
            sub_account_id=1,
            currency_id=1,
            foreign=foreign,
            lines=lines,
            rounding_account_id=rounding,
        )
        made = voucher(invoice, plan, Guids(delivery_id=""), propose=False)
        if made.entry is not None:
            found.append(Decimal(made.intent.detail.get("amount") or 0))
    return tuple(found)


def _rates(
    books: Books, invoice: InvoiceContent
) -> Generator[Step, Any, tuple[LinePlan, ...] | Stop]:
    types: tuple[VatType, ...] | Stop
    types = yield reference_data.vat_types(books, lambda _found: True)
    if isinstance(types, Stop):
        return types
    found = []
    for line in invoice.lines:
        vat_type = of_code(types, line.vat_code, invoice.invoice_date)
        percent = vat_type.percent_on(invoice.invoice_date) if vat_type is not None else None
        if vat_type is None or percent is None:
            return ()
        rate = percent if vat_type.split else Decimal(0)
        found.append(LinePlan(account_id=1, vat_type_id=1, percent=rate))
    return tuple(found)


def _is_foreign(books: Books, invoice: InvoiceContent) -> Generator[Step, Any, bool | Stop]:
    settings: Settings | Stop = yield reference_data.settings(books)
    if not isinstance(settings, Settings):
        return settings
    code: int | Stop | None = yield reference_data.currency(books, invoice.currency)
    if isinstance(code, Stop):
        return code
    base = settings.base_currency_id
    return code != base if base and code else bool(invoice.rate) and not base
