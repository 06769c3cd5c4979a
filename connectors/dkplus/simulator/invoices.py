"""Sales invoices in dk: checked in some order, priced, booked whole or not at all (dkplus A4).

Pure: books, input and time in, a reply out. `orders.py` reads and checks; here they are written.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.dkplus.simulator import members, orders, paging
from connectors.dkplus.simulator.books import Books, Invoice, Record
from connectors.dkplus.simulator.customers import create as create_customer
from connectors.dkplus.simulator.orders import Order
from connectors.dkplus.simulator.pricing import Priced, PricedLine, price_invoice, price_line
from connectors.dkplus.simulator.replies import Reply, invalid, refused
from connectors.dkplus.simulator.switches import DraftNumber

_SEQUENCE_STEP = 20000  # dk numbers lines 20000, 40000, …
_CREDITS = (1, 2)
_ALREADY_REVERSED = "Reikningur hefur verið bakfærður"
_DAYS_DEFAULT = 0


def create(
    books: Books, body: Mapping[str, Any], now: datetime, *, post: bool, via_api: bool = True
) -> Reply:
    """POST /sales/invoice: 200 with the read model; nothing is written where anything is wrong."""
    order = orders.read(books, body)
    if isinstance(order, Reply):
        return order
    if order.customer_number not in books.customers:
        made = create_customer(books, _customer_of(order), now)
        if made.status != 200:  # noqa: PLR2004 - the one status of success
            return made
    invoice = _write(books, order, now, post=post, via_api=via_api)
    return Reply(body=invoice.record)


def calculate(books: Books, body: Mapping[str, Any], now: datetime) -> Reply:
    """PATCH /sales/invoice/calculate: what create would answer, without writing."""
    order = orders.read(books, body)
    if isinstance(order, Reply):
        return order
    priced = _price(books, order)
    return Reply(body=_record(books, order, priced, now, number="", record_id=0))


def _customer_of(order: Order) -> Record:
    sent = order.customer
    return {
        "Number": order.customer_number,
        "Name": sent.get("Name", ""),
        "SSNumber": sent.get("SSN", ""),
        "Email": sent.get("Email", ""),
    }


def _write(books: Books, order: Order, now: datetime, *, post: bool, via_api: bool) -> Invoice:
    priced = _price(books, order)
    number = books.new_number() if post else None
    record_id = books.new_record_id()
    empty = None if books.switches.draft_number is DraftNumber.NULL else ""
    record = _record(books, order, priced, now, number=number or empty, record_id=record_id)
    invoice = Invoice(
        record_id=record_id,
        number=number,
        reference=order.head.get("Reference", ""),
        customer=order.customer_number,
        negative=priced.total_with_tax < 0,
        via_api=via_api,
        created=now,
        visible_from=now + timedelta(seconds=books.switches.look_up_lag_seconds),
        record=record,
    )
    books.put_invoice(invoice)
    if post:
        _add_to_balance(books, order.customer_number, priced.total_with_tax * order.exchange)
    return invoice


def _add_to_balance(books: Books, customer: str, amount: Decimal) -> None:
    held = books.customers[customer]
    books.put("customer", customer, {**held, "BalanceAmount": held["BalanceAmount"] + amount})


def _price(books: Books, order: Order) -> Priced:
    switches = books.switches
    customer = books.customers.get(order.customer_number, {})
    project = books.projects.get(order.project, {})
    untaxed = bool(customer.get("NoVat") and switches.no_vat_customer_counts) or bool(
        project.get("SkipTaxOnInvoice") and switches.skip_tax_project_counts
    )
    original = order.head.get("Options", {}).get("OriginalPrices") is True
    lines = tuple(
        price_line(
            line,
            books.products[line["ItemCode"].lower()],
            switches,
            untaxed=untaxed,
            original_prices=original,
            currency=order.currency,
        )
        for line in order.lines
    )
    return price_invoice(lines, switches, order.currency)


def _record(
    books: Books, order: Order, priced: Priced, now: datetime, *, number: str | None, record_id: int
) -> Record:
    head, customer = order.head, books.customers.get(order.customer_number, {})
    kennitala = members.kennitala_digits(
        order.customer.get("SSN") or customer.get("SSNumber") or order.customer_number
    )
    day = members.as_day(head.get("Date")) or now.astimezone(UTC).date()
    return {
        "Number": number,
        "RecordID": record_id,
        "Created": books.clock(now),
        "CreatedBy": "API",
        "Modified": books.clock(now),
        "CNumber": order.customer_number,
        "CName": order.customer.get("Name") or customer.get("Name", ""),
        "CAddress1": customer.get("Address1", ""),
        "CAddress2": customer.get("Address2", ""),
        "CZipCode": customer.get("ZipCode", ""),
        "CCountryCode": customer.get("CountryCode", ""),
        "CSSNumber": kennitala if len(kennitala) == members.KENNITALA_LENGTH else "",
        "CPhone": customer.get("Phone", ""),
        "CContact": head.get("Contact", {}).get("Name") or "",
        "OrderNumber": 0,
        "InvoiceDate": _midnight(day),
        "DueDate": _midnight(_due(books, order, day)),
        "DiscountPercent": Decimal(0),
        "Discount": Decimal(0),
        "TotalAmount": priced.total,
        "TotalAmountWithTax": priced.total_with_tax,
        "Currency": order.currency,
        "Exchange": order.exchange,
        "Reference": order.reference,
        "Text1": order.text1,
        "Text2": head.get("Text2", ""),
        "Voucher": f"F-{number}" if number else "",
        "SettledType": 0,
        "SettledAmount": Decimal(0),
        "SalePerson": order.sales_person,
        "PaymentTerm": _term(books, order),
        "PaymentMode": head.get("Mode", ""),
        "SalesType": _sales_type(books, order, priced),
        "Project": order.project,
        "ClaimStatus": 0,
        "ClaimNumber": 0,
        "ExternalInvoiceNumber": 0,
        "Lines": [_line(line, index + 1) for index, line in enumerate(priced.lines)],
    }


def _line(line: PricedLine, place: int) -> Record:
    return {
        "SequenceNumber": place * _SEQUENCE_STEP,
        "ItemCode": line.item_code,
        "Text": line.text,
        "Quantity": line.quantity,
        "UnitQuantity": Decimal(1),
        "UnitPrice": line.unit_price,
        "UnitPriceWithTax": line.unit_price_with_tax,
        "Discount": line.discount,
        "DiscountAmount": line.discount_amount,
        "DiscountAmountWithTax": line.discount_amount * line.factor,
        "TotalAmount": line.total,
        "TotalAmountWithTax": line.total_with_tax,
        "Dim1": line.dim1,
    }


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _term(books: Books, order: Order) -> str:
    of_customer = books.customers.get(order.customer_number, {}).get("PaymentTerm", "")
    return str(order.head.get("Term") or of_customer)


def _due(books: Books, order: Order, day: date) -> date:
    sent = members.as_day(order.head.get("DueDate"))
    if sent is not None and (books.switches.due_date_wins or not order.head.get("Term")):
        return sent
    days = _term(books, order)[1:]
    return day + timedelta(days=int(days) if days.isdecimal() else _DAYS_DEFAULT)


def _sales_type(books: Books, order: Order, priced: Priced) -> int:
    forced = books.switches.credit_sales_type
    if forced is not None and order.sale_type in _CREDITS and priced.total_with_tax < 0:
        return forced
    return order.sale_type


def reverse(
    books: Books, number: str, query: Mapping[str, str], now: datetime, *, via_api: bool = True
) -> Reply:
    """POST /sales/invoice/{number}/reverse: the whole invoice again with the sign turned.

    Reference is copied. An invoice that was reversed already is refused (text unknown).
    """
    original = books.invoice(number)
    if original is None:
        return paging.not_found(books)
    if original.reversed or original.reversal:
        return refused(_ALREADY_REVERSED)
    day = members.as_day(query["date"]) if "date" in query else now.astimezone(UTC).date()
    if day is None:
        return invalid({"date": ["The value is not valid for date."]})
    post = query.get("post", "true").lower() != "false"
    credit = _write_reversal(books, original, now, day, post=post, via_api=via_api)
    original.reversed = post
    books.put_invoice(original)
    return Reply(body=credit.record) if books.switches.reverse_answers_invoice else Reply()


def _write_reversal(
    books: Books, original: Invoice, now: datetime, day: date, *, post: bool, via_api: bool
) -> Invoice:
    number = books.new_number() if post else None
    record_id = books.new_record_id()
    record: Record = {
        **_negated(original.record, ("TotalAmount", "TotalAmountWithTax")),
        "Number": number or ("" if books.switches.draft_number is DraftNumber.EMPTY else None),
        "RecordID": record_id,
        "Created": books.clock(now),
        "Modified": books.clock(now),
        "InvoiceDate": _midnight(day),
        "Voucher": f"F-{number}" if number else "",
        "SalesType": 1,
        "Lines": [
            _negated(line, ("Quantity", "DiscountAmount", "TotalAmount", "TotalAmountWithTax"))
            for line in original.record["Lines"]
        ],
    }
    credit = Invoice(
        record_id=record_id,
        number=number,
        reference=original.reference,
        customer=original.customer,
        negative=not original.negative,
        via_api=via_api,
        created=now,
        visible_from=now + timedelta(seconds=books.switches.look_up_lag_seconds),
        record=record,
        reversal=True,
    )
    books.put_invoice(credit)
    if post:
        amount = record["TotalAmountWithTax"] * record["Exchange"]
        _add_to_balance(books, original.customer, amount)
    return credit


def _negated(record: Record, names: tuple[str, ...]) -> Record:
    return {**record, **{name: -record[name] for name in names}}
