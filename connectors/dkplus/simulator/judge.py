"""What a right client never does, seen from dk's side (contract dkplus A9 item 9, A11).

Each finding is a violation in the books of the company; nothing is refused because of it. The
judge looks at what was sent, and, after a booking, at what now stands in the books.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from connectors.dkplus.simulator import members
from connectors.dkplus.simulator.books import Books, Invoice

REFERENCE = re.compile(r"[A-Za-z0-9._~-]{1,20}")  # A11.4
DECIMALS_MAX = 10  # events carry at most six decimals; so many more come from binary arithmetic
ITEM_CODE_MAX = 20  # A11.8
DESCRIPTION_MAX = 40
_CREDIT_SALE = 2  # A11.5
_PROOFS = 2  # look-ups that prove absence, A11.2

# the writes that the contract offers; calculate and refresh change nothing in dk
WRITES = frozenset(
    {
        "customer.create",
        "customer.update",
        "project.create",
        "product.create",
        "invoice.create",
        "invoice.calculate",
        "invoice.refresh",
    }
)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it arrived: `kind` is the simulator's name of the call, `""` without a route.

    `body` is None where there was none or it could not be read as a JSON object.
    """

    method: str
    path: str
    kind: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any] | None


def judge_request(books: Books, seen: Seen, now: datetime, *, acted: bool = True) -> None:
    """Note every violation in a request as it arrives.

    `acted` is False where it is turned away unread (429, 401): then a POST of a customer does not
    use up the GET before it.
    """
    for kind, text in _findings(books, seen):
        books.violate(now, kind, text)
    if not acted:
        return
    if seen.kind in ("customer.read", "customer.search"):
        books.asked(_asked(seen), asked=True)
    if seen.kind == "customer.create":
        number = str((seen.body or {}).get("Number"))
        books.asked(members.kennitala_digits(number), asked=False)


def _asked(seen: Seen) -> str:
    return members.kennitala_digits(seen.params.get("number") or seen.params.get("value", ""))


def _findings(books: Books, seen: Seen) -> Iterator[tuple[str, str]]:
    where = f"{seen.method} {seen.path}"
    if _destructive(seen):
        yield "destructive-call", where
    elif seen.method != "GET" and seen.kind not in WRITES:
        yield "write-outside-contract", where
    if seen.body is None:
        return
    yield from ((kind, f"{where}: {text}") for kind, text in _in_body(books, seen, seen.body))


def _destructive(seen: Seen) -> bool:
    path = seen.path.lower()
    if seen.query.get("delete", "").lower() == "true" or "/general/table/" in path:
        return True
    return seen.method == "DELETE" and "/sales/" in path


def _in_body(books: Books, seen: Seen, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for path, value in _numbers(body, ""):
        if -int(value.as_tuple().exponent) > DECIMALS_MAX:
            yield "binary-tail", f"{path} is {value}"
    entity = seen.kind.partition(".")[0]
    if entity in _TABLES:
        for name in members.unknown_members(body, _TABLES[entity]):
            yield "unknown-member", name
    if entity == "customer":
        yield from _customer(books, seen, body)
    elif seen.kind == "product.create":
        yield from _product(body)
    elif seen.kind == "invoice.create":
        yield from _invoice(books, seen, body)


_TABLES = {"customer": members.CUSTOMER, "project": members.PROJECT, "product": members.PRODUCT}


def _customer(books: Books, seen: Seen, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "PaymentTerm" in body:
        yield "term-sent", "PaymentTerm"
    if seen.kind == "customer.update":
        for name in (name for name, value in body.items() if value is None):
            yield "null-in-put", name
    number = str(body.get("Number"))
    if seen.kind == "customer.create" and (
        members.kennitala_digits(number) not in books.conduct.asked
    ):
        yield "post-first", f"customer {number} was created without being asked for"


def _numbers(value: Any, path: str) -> Iterator[tuple[str, Decimal]]:
    if isinstance(value, Decimal) and value.is_finite():
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _numbers(inner, f"{path}[{index}]")


def _product(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    code, description = str(body.get("ItemCode", "")), str(body.get("Description") or "")
    if len(code) > ITEM_CODE_MAX:
        yield "too-long", f"ItemCode {code}"
    if len(description) > DESCRIPTION_MAX:
        yield "too-long", f"Description of {code}"
    if body.get("TaxPercent") is None:
        yield "product-without-vat", code


def _invoice(books: Books, seen: Seen, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if seen.query.get("post", "").lower() not in ("true", "false"):
        yield "post-not-explicit", str(body.get("Reference"))
    for name in members.unknown_members(body, members.INVOICE):
        yield "unknown-member", name
    for part, table in members.INVOICE_PARTS.items():
        inner = body.get(part)
        if isinstance(inner, dict):
            for name in members.unknown_members(inner, table):
                yield "unknown-member", f"{part}.{name}"
    if body.get("Term") is not None:
        yield "term-sent", "Term"
    reference = body.get("Reference")
    if not isinstance(reference, str) or not REFERENCE.fullmatch(reference):
        yield "reference-form", repr(reference)
    else:
        yield from _reposted(books, reference)
    currency = body.get("Currency") or books.config.currency
    if currency != books.config.currency and body.get("Exchange") is None:
        yield "exchange-missing", f"{reference} in {currency}"
    yield from _kennitala(body)
    yield from _sent_lines(body)


def _kennitala(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    customer = body.get("Customer")
    sent = customer.get("SSN") if isinstance(customer, dict) else None
    digits = members.kennitala_digits(str(sent or ""))
    if len(digits) != members.KENNITALA_LENGTH or not digits.isdecimal():
        yield "kennitala-missing", f"Customer.SSN is {sent!r}"


def _reposted(books: Books, reference: str) -> Iterator[tuple[str, str]]:
    proofs = books.conduct.unproved.get(reference)
    if proofs is None or proofs >= _PROOFS:
        return
    kind = "repost-without-look-up" if proofs == 0 else "repost-after-one-look-up"
    yield kind, f"{reference} was posted again after an answer that proved nothing"


def _sent_lines(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    credit = members.enum_number(members.SALE_TYPES, body.get("SaleType", 0)) == _CREDIT_SALE
    sent = body.get("Lines")
    net = Decimal(0)
    for index, line in enumerate(sent if isinstance(sent, list) else []):
        if not isinstance(line, dict):
            continue
        for name in members.unknown_members(line, members.INVOICE_LINE):
            yield "unknown-member", f"Lines[{index}].{name}"
        if "Total" in line:
            yield "total-sent", f"Lines[{index}]"
        if "Discount" in line and "DiscountAmount" in line:
            yield "both-discounts", f"Lines[{index}]"
        price = members.as_decimal(line.get("Price")) or Decimal(0)
        net += price * (members.as_decimal(line.get("Quantity")) or Decimal(0))
        if credit and price < 0:
            yield "credit-form", f"Lines[{index}]: Price is negative"
    if net < 0 and not credit:
        yield "credit-form", f"a negative total with SaleType {body.get('SaleType')!r}"


def judge_booking(books: Books, invoice: Invoice, now: datetime) -> None:
    """Note a double booking: same Reference, customer and sign, both over the API, none undone."""
    twins = [
        other
        for other in books.sent_as(invoice.reference)
        if other is not invoice and _counts(other) and _same(other, invoice)
    ]
    if _counts(invoice) and twins:
        numbers = ", ".join(str(one.number) for one in (*twins, invoice))
        books.violate(
            now,
            "double-booking",
            f"{invoice.reference} of customer {invoice.customer} is booked as {numbers}",
        )


def _counts(invoice: Invoice) -> bool:
    return invoice.posted and invoice.via_api and not invoice.reversed and not invoice.reversal


def _same(one: Invoice, other: Invoice) -> bool:
    return one.customer == other.customer and one.negative == other.negative


def judge_post_answer(books: Books, reference: str, *, proves: bool) -> None:
    """Remember whether the answer to a post of `reference` told the client what became of it."""
    if not proves:
        books.unproved(reference, 0)
    elif reference in books.conduct.unproved:
        books.unproved(reference, None)


def judge_look_up(books: Books, reference: str) -> None:
    """Count a look-up by Reference whose answer reached the client whole."""
    if reference in books.conduct.unproved:
        books.unproved(reference, books.conduct.unproved[reference] + 1)
