"""The books as the simulators show them to a person, in the words of the demo's own model."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from streams.ops.demo.companies import Books, Kind
from streams.ops.demo.expectations import Booking, Fields, sorted_lines

_DECODER: Final = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
_SALES: Final = range(3000, 4000)  # accounts of income, contract sparebank1-regnskap 4.3


class FoundBooks(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in one company's books. A booking stands there once for each time it was made.

    `odd` are sentences on what no booking of ours looks like; `calls` counts requests.
    """

    customers: dict[str, Fields]
    projects: dict[str, Fields]
    bookings: tuple[Booking, ...]
    products: frozenset[str] = frozenset()
    odd: tuple[str, ...] = ()
    calls: int = 0


def path_of(books: Books) -> str:
    """Where the simulator shows these books."""
    if books.kind is Kind.SPAREBANK1:
        return f"/_simulator/companies/{books.key}"
    return f"/_simulator/books/{books.key}"


def read_books(books: Books, document: bytes) -> FoundBooks:
    """The books in a simulator's answer. Raises msgspec.DecodeError where it is none."""
    shown = _DECODER.decode(document)
    return _sparebank1(shown) if books.kind is Kind.SPAREBANK1 else _dkplus(shown)


def _violations(shown: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(f"{one['kind']}: {one['text']}" for one in shown["violations"])


def _text(value: object) -> str:
    return "" if value is None else str(value)


# --- SpareBank 1 Regnskap --------------------------------------------------------------------


def _sparebank1(shown: Mapping[str, Any]) -> FoundBooks:
    customers = [row for row in shown["customers"] if not row["Deleted"]]
    numbers = [_text(row["CustomerNumber"]) for row in customers]
    projects = [_text(row["ProjectNumber"]) for row in shown["projects"]]
    vouchers = [_voucher(entry) for entry in shown["vouchers"] if not entry["credited"]]
    odd = [f"two records have the number {n}" for n in _doubled(numbers) + _doubled(projects)]
    odd += [
        f"voucher {entry['number']} does not balance"
        for entry in shown["vouchers"]
        if sum((Decimal(line["amount"]) for line in entry["lines"]), Decimal(0))
    ]
    return FoundBooks(
        customers={_text(row["CustomerNumber"]): _customer(row) for row in customers},
        projects={_text(row["ProjectNumber"]): _project(row) for row in shown["projects"]},
        bookings=tuple(vouchers),
        odd=(*odd, *_violations(shown)),
        calls=sum(shown["requests"].values()),
    )


def _doubled(numbers: list[str]) -> list[str]:
    return sorted({number for number in numbers if numbers.count(number) > 1})


def _customer(row: Mapping[str, Any]) -> Fields:
    info = row["Info"] or {}
    address, phone = info.get("InvoiceAddress") or {}, info.get("DefaultPhone") or {}
    email = info.get("DefaultEmail") or {}
    return {
        "name": _text(info.get("Name")),
        "phone": _text(phone.get("Number")),
        "street": _text(address.get("AddressLine1")),
        "postal code": _text(address.get("PostalCode")),
        "city": _text(address.get("City")),
        "country": _text(address.get("CountryCode")),
        "organisation number": _text(row["OrgNumber"]),
        "e-mail": _text(email.get("EmailAddress")),
        "website": _text(row["WebUrl"]),
    }


def _project(row: Mapping[str, Any]) -> Fields:
    return {
        "name": _text(row["Name"]),
        "customer": _text((row["ProjectCustomer"] or {}).get("CustomerNumber")),
        "state": _text(row["StatusCode"]),
        "start": _text(row["StartDate"])[:10],
        "end": _text(row["EndDate"])[:10],
    }


def _voucher(entry: Mapping[str, Any]) -> Booking:
    lines = entry["lines"]
    owed = [line for line in lines if line["customerNumber"] is not None]
    head = owed[0] if owed else (lines[0] if lines else {})
    income = [line for line in lines if line["account"] in _SALES and not line["vatLine"]]
    return Booking(
        number=_text(entry["invoiceNumber"]),
        customer=_text(entry["customerNumber"]),
        amount=sum((Decimal(line["amount"]) for line in owed), Decimal(0)),
        date=_text(head.get("financialDate"))[:10],
        due=_text(head.get("dueDate"))[:10],
        project=next((_text(ln["projectNumber"]) for ln in income if ln["projectNumber"]), ""),
        payment_id=_text(head.get("paymentId")),
        lines=sorted_lines((_text(ln["account"]), -Decimal(ln["amount"])) for ln in income),
    )


# --- DK+ -------------------------------------------------------------------------------------


def _dkplus(shown: Mapping[str, Any]) -> FoundBooks:
    drafts = [one["reference"] for one in shown["invoices"] if not one["posted"]]
    return FoundBooks(
        customers={
            number: {
                "name": _text(row["Name"]),
                "phone": _text(row["Phone"]),
                "street": _text(row["Address1"]),
                "postal code": _text(row["ZipCode"]),
                "city": _text(row.get("City")),
                "country": _text(row["CountryCode"]),
                "kennitala": _text(row.get("SSNumber")),
                "blocked": "yes" if row["Blocked"] else "no",
            }
            for number, row in shown["customers"].items()
            if not row["Deleted"]
        },
        projects={
            number: {"name": _text(row["Name"]), "customer": _text(row["CustomerToBill"])}
            for number, row in shown["projects"].items()
        },
        bookings=tuple(_sale(one) for one in shown["invoices"] if one["posted"]),
        products=frozenset(shown["products"]),
        odd=(*(f"invoice {reference} is a draft" for reference in drafts), *_violations(shown)),
        calls=sum(shown["counts"].values()),
    )


def _sale(one: Mapping[str, Any]) -> Booking:
    record = one["record"]
    return Booking(
        number=_text(one["reference"]),
        customer=_text(one["customer"]),
        amount=Decimal(record["TotalAmountWithTax"]),
        date=_text(record["InvoiceDate"])[:10],
        due=_text(record["DueDate"])[:10],
        project=_text(record["Project"]),
        payment_id="",
        lines=sorted_lines(
            (_text(line["ItemCode"]).lower(), Decimal(line["TotalAmount"]))
            for line in record["Lines"]
        ),
    )
