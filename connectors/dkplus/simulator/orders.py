"""What was asked for in an invoice, and whether dk takes it: the checks, in the switched order.

Pure; nothing here writes to the books (contract dkplus A4.1, A9 item 5).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from connectors.dkplus.simulator import members, replies
from connectors.dkplus.simulator.books import Books, Record
from connectors.dkplus.simulator.customers import fitted
from connectors.dkplus.simulator.replies import Reply, invalid, missing, refused
from connectors.dkplus.simulator.switches import (
    EVERY_CHECK,
    Check,
    DiscountRule,
    MissingExchange,
    Unknown,
)


class Order(msgspec.Struct, kw_only=True):
    """An invoice to be. `head`, `customer`, `lines` hold known members only, numbers as Decimal."""

    head: Record
    customer: Record
    lines: list[Record]
    customer_number: str
    sales_person: str
    currency: str
    project: str
    sale_type: int
    reference: str
    text1: str
    exchange: Decimal = Decimal(1)


def read(books: Books, body: Mapping[str, Any]) -> Order | Reply:
    """The order in a body that dk would take, or its refusal."""
    head, wrong = members.read_body(body, members.INVOICE, "invoice")
    customer, bad = members.read_body(
        head.get("Customer", {}), members.INVOICE_CUSTOMER, "invoice.Customer"
    )
    wrong |= bad
    lines: list[Record] = []
    for index, sent in enumerate(head.get("Lines", [])):
        path = f"invoice.Lines[{index}]"
        line, bad = (
            members.read_body(sent, members.INVOICE_LINE, path)
            if isinstance(sent, dict)
            else ({}, {path: ["The value is not valid."]})
        )
        lines.append(line)
        wrong |= bad
    sale_type = members.enum_number(members.SALE_TYPES, head.get("SaleType", 0))
    if sale_type is None:
        wrong["invoice.SaleType"] = ["The value is not valid for SaleType."]
    if wrong:
        return invalid(wrong)
    if not customer.get("Number"):
        return missing("invoice.Customer")
    order = Order(
        head=head,
        customer=customer,
        lines=lines,
        customer_number=customer["Number"],
        sales_person=head.get("SalesPerson", ""),
        currency=head.get("Currency") or books.config.currency,
        project=head.get("Project", ""),
        sale_type=sale_type or 0,
        reference=head.get("Reference", ""),
        text1=head.get("Text1", ""),
    )
    return _refusal(books, order) or _lengths(books, order) or order


def _refusal(books: Books, order: Order) -> Reply | None:
    asked = books.switches.check_order
    for check in (*asked, *(check for check in EVERY_CHECK if check not in asked)):
        refusal = _CHECKS[check](books, order)
        if refusal is not None:
            return refusal
    return None


def _lengths(books: Books, order: Order) -> Reply | None:
    limits = books.switches.limits
    for name, limit in (("reference", limits.reference), ("text1", limits.text1)):
        fit = fitted(books, getattr(order, name), limit, name.capitalize())
        if isinstance(fit, Reply):
            return fit
        setattr(order, name, fit)
    if limits.text2 and len(order.head.get("Text2", "")) > limits.text2:
        return refused(replies.TOO_LONG.format(what="Text2"))
    return None


def _sales_person(books: Books, order: Order) -> Reply | None:
    known = order.sales_person in books.standing.sales_persons
    return None if known else refused(replies.NO_SALES_PERSON)


def _customer(books: Books, order: Order) -> Reply | None:
    record = books.customers.get(order.customer_number)
    if record is None or record["Deleted"]:
        if record is None and books.switches.invoice_creates_customer:
            return None
        return refused(replies.NO_CUSTOMER)
    if record["Blocked"] and books.switches.blocked_customer_refused:
        return refused(replies.CUSTOMER_BLOCKED)
    kennitala = order.customer.get("SSN", "")
    if books.switches.kennitala_checked and kennitala and not members.kennitala_holds(kennitala):
        return refused(replies.BAD_KENNITALA)
    return None


def _lines(books: Books, order: Order) -> Reply | None:
    if not order.lines:
        return refused(replies.NO_LINES)
    for line in order.lines:
        product = books.products.get(line.get("ItemCode", "").lower())
        if product is None or product["Inactive"] or product["Deleted"]:
            return refused(replies.NO_ITEM)
        discounted = line.get("Discount") or line.get("DiscountAmount")
        if (
            discounted
            and not product["AllowDiscount"]
            and books.switches.discount_not_allowed is DiscountRule.REFUSE
        ):
            return refused(replies.NO_DISCOUNT)
    return None


def _project(books: Books, order: Order) -> Reply | None:
    if not order.project or order.project in books.projects:
        return None
    if books.switches.unknown_project is Unknown.REFUSE:
        return refused(replies.NO_PROJECT)
    if books.switches.unknown_project is Unknown.DROP:
        order.project = ""
    return None


def _period(books: Books, order: Order) -> Reply | None:
    closed = books.standing.closed_until
    day = members.as_day(order.head.get("Date"))
    if closed is None or day is None or not books.switches.closed_period_refused:
        return None
    return refused(replies.PERIOD_CLOSED) if day.isoformat() <= closed else None


def _currency(books: Books, order: Order) -> Reply | None:
    if order.currency not in books.config.currencies:
        return refused(replies.NO_CODE.format(what="Currency"))
    if order.currency == books.config.currency:
        return None
    order.exchange = order.head.get("Exchange", Decimal(0))
    if order.exchange > 0:
        return None
    if books.switches.missing_exchange is MissingExchange.REFUSE:
        return refused(replies.NO_EXCHANGE)
    order.exchange = Decimal(1)
    return None


def _terms(books: Books, order: Order) -> Reply | None:
    term = order.head.get("Term", "")
    if not term or term in books.config.payment_terms:
        return None
    if books.switches.unknown_codes is Unknown.REFUSE:
        return refused(replies.NO_CODE.format(what="Term"))
    if books.switches.unknown_codes is Unknown.DROP:
        del order.head["Term"]
    return None


_CHECKS: Mapping[Check, Callable[[Books, Order], Reply | None]] = {
    Check.SALES_PERSON: _sales_person,
    Check.CUSTOMER: _customer,
    Check.LINES: _lines,
    Check.PROJECT: _project,
    Check.PERIOD: _period,
    Check.CURRENCY: _currency,
    Check.TERMS: _terms,
}
