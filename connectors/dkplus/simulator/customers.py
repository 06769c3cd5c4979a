"""Customers in dk (contract dkplus A2). Pure: books, input and time in, a reply out."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.dkplus.simulator import members, paging
from connectors.dkplus.simulator.books import Books, Record
from connectors.dkplus.simulator.replies import (
    BAD_KENNITALA,
    CANNOT_BE_DELETED,
    NO_CODE,
    TOO_LONG,
    Reply,
    invalid,
    missing,
    refused,
)
from connectors.dkplus.simulator.switches import Duplicate, TooLong, Unknown

EXISTS = "{what} exists with this Number."
FILTERS: paging.Filters = {
    "group": ("Group", "equal"),
    "zipcode": ("ZipCode", "equal"),
    "country": ("CountryCode", "equal"),
    "salesperson": ("SalesPerson", "equal"),
    "paymentterm": ("PaymentTerm", "equal"),
    "paymentmode": ("PaymentMode", "equal"),
    "novat": ("NoVat", "flag"),
    "blocked": ("Blocked", "flag"),
    "deleted": ("Deleted", "flag"),
    **paging.MODIFIED,
}
_EMPTY: Record = {
    **dict.fromkeys(("Name", "Alias", "Address1", "Address2", "Address3", "ZipCode"), ""),
    **dict.fromkeys(("Phone", "PhoneLocal", "PhoneMobile", "PhoneFax", "Email", "Group"), ""),
    **dict.fromkeys(("SalesPerson", "PaymentTerm", "PaymentMode"), ""),
    **dict.fromkeys(("BalanceAmount", "Discount"), Decimal(0)),
    **dict.fromkeys(("NoVat", "Blocked", "Deleted"), False),
    **dict.fromkeys(("Contacts", "Recivers", "Properties"), None),
    "CountryCode": "IS",
    "LedgerCode": "0001",
    "PriceGroup": 0,
}


def duplicate(how: Duplicate, what: str) -> Reply:
    """The answer to a POST of a key that exists."""
    if how is Duplicate.EMPTY_OK:
        return Reply(body={})
    return refused(EXISTS.format(what=what), 409 if how is Duplicate.CONFLICT else 400)


def fitted(books: Books, text: str, limit: int, what: str) -> str | Reply:
    """The text within its limit: as it is, cut, or refused, as the switch says."""
    if not limit or len(text) <= limit:
        return text
    if books.switches.too_long is TooLong.REFUSE:
        return refused(TOO_LONG.format(what=what))
    return text[:limit]


def create(books: Books, body: Mapping[str, Any], now: datetime) -> Reply:
    """POST /customer: 200 with no body, or why not."""
    known, wrong = members.read_body(body, members.CUSTOMER, "value")
    if wrong:
        return invalid(wrong)
    number = known.get("Number", "").strip()
    if not number:
        return missing("value.Number")
    fit = fitted(books, number, books.switches.limits.customer_number, "Number")
    if isinstance(fit, Reply):
        return fit
    if fit in books.customers:
        return duplicate(books.switches.duplicate_customer, "Customer")
    fields = _fields(books, known)
    if isinstance(fields, Reply):
        return fields
    currency = {"CurrencyCode": books.config.currency}
    record: Record = {**_EMPTY, **currency, **fields, "Number": fit}
    record["RecordID"] = books.new_record_id()
    record["Modified"] = books.clock(now)
    books.put("customer", fit, record)
    return Reply()


def update(books: Books, number: str, body: Mapping[str, Any], now: datetime) -> Reply:
    """PUT /customer/{number}: members left out are kept; `""` clears."""
    held = books.customers.get(number)
    if held is None:
        return paging.not_found(books)
    known, wrong = members.read_body(body, members.CUSTOMER, "value")
    if wrong:
        return invalid(wrong)
    renamed = known.pop("Number", number)
    fields = _fields(books, known)
    if isinstance(fields, Reply):
        return fields
    for fixed in ("RecordID", "Modified", "BalanceAmount"):
        fields.pop(fixed, None)
    books.put("customer", number, {**held, **fields, "Modified": books.clock(now)})
    if books.switches.renumbers_by_put and renamed not in (number, *books.customers):
        books.rename("customer", number, renamed)
        books.put("customer", renamed, {**books.customers[renamed], "Number": renamed})
    return Reply()


def _fields(books: Books, known: Record) -> Record | Reply:
    fields = dict(known)
    refusal = _codes(books, fields)
    if refusal is not None:
        return refusal
    name = fitted(books, fields.get("Name", ""), books.switches.limits.customer_name, "Name")
    if isinstance(name, Reply):
        return name
    if "Name" in fields:
        fields["Name"] = name
    kennitala = fields.get("SSNumber", "")
    if books.switches.kennitala_checked and kennitala and not members.kennitala_holds(kennitala):
        return refused(BAD_KENNITALA)
    return fields


def _codes(books: Books, fields: Record) -> Reply | None:
    allowed = {
        "PaymentTerm": books.config.payment_terms,
        "CurrencyCode": books.config.currencies,
        "SalesPerson": tuple(books.standing.sales_persons),
    }
    for member, codes in allowed.items():
        value = fields.get(member, "")
        if not value or value in codes or books.switches.unknown_codes is Unknown.KEEP:
            continue
        if books.switches.unknown_codes is Unknown.REFUSE:
            return refused(NO_CODE.format(what=member))
        del fields[member]
    return None


def shown(books: Books, record: Record) -> Record:
    """The record as a GET gives it: SSNumber and City only where the switches say so."""
    hidden = set()
    if not books.switches.returns_ss_number:
        hidden.add("SSNumber")
    if not books.switches.returns_city:
        hidden.add("City")
    return {name: value for name, value in record.items() if name not in hidden}


def read(books: Books, number: str) -> Reply:
    """GET /customer/{number}."""
    record = books.customers.get(number)
    return paging.not_found(books) if record is None else Reply(body=shown(books, record))


def page(books: Books, params: Mapping[str, str], query: Mapping[str, str], url: str) -> Reply:
    """GET /customer/page/{page}/{count} with its filters."""
    kept = paging.filtered(books.customers.values(), query, FILTERS)
    if isinstance(kept, Reply):
        return kept
    return paging.paged([shown(books, record) for record in kept], params, query, url)


def search(books: Books, value: str, most: str) -> Reply:
    """GET /customer/search/{value}/{max}: by number, kennitala, name or alias."""
    wanted, digits = value.lower(), members.kennitala_digits(value)
    hits = [
        shown(books, record)
        for record in books.customers.values()
        if wanted in record["Name"].lower()
        or wanted in record["Alias"].lower()
        or digits in members.kennitala_digits(record["Number"])
        or digits in members.kennitala_digits(record.get("SSNumber", ""))
    ]
    return Reply(body=hits[: int(most)] if most.isdecimal() else hits)


def remove(books: Books, number: str, now: datetime) -> Reply:
    """DELETE /customer/{number}: a mark on the record; refused while it is in use."""
    held = books.customers.get(number)
    if held is None:
        return paging.not_found(books)
    if any(invoice.customer == number for invoice in books.invoices):
        return refused(CANNOT_BE_DELETED)
    books.put("customer", number, {**held, "Deleted": True, "Modified": books.clock(now)})
    return Reply()
