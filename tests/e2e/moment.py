"""What Moment's producers write, as plain JSON: customers, projects, invoices."""

from decimal import Decimal
from typing import Any

Data = dict[str, Any]
HUNDRED = Decimal(100)


def customer(company: str, number: str, **changes: object) -> Data:
    whole = {
        "company": company,
        "number": number,
        "name": f"Nordlys {number} AS",
        "status": "active",
        "organisationNumber": None,
        "email": f"post{number}@customer.example",
        "phone": "+4722334455",
        "countryCode": "NO",
        "address": {"line1": "Storgata 1", "postalCode": "0155", "city": "Oslo"},
        "aFieldOfTomorrow": {"anything": [1, 2]},
    }
    return {**whole, **changes}


def icelander(company: str, number: str, **changes: object) -> Data:
    whole = {"organisationNumber": "7112992030", "countryCode": "IS", "name": f"Hekla {number}"}
    return customer(company, number, **{**whole, **changes})


def project(company: str, number: str, customer_number: str, **changes: object) -> Data:
    whole = {
        "company": company,
        "number": number,
        "name": f"Prosjekt {number}",
        "customerNumber": customer_number,
        "state": "INPROGRESS",
        "startDate": "2026-01-05",
    }
    return {**whole, **changes}


def line(**changes: object) -> Data:
    """One hour at a thousand, 25 % VAT, account 3000 of SpareBank 1 Regnskap."""
    whole: Data = {
        "productType": "hours",
        "productNumber": "RADG",
        "productName": "Rådgivning",
        "description": "Rådgivning i mars",
        "unit": "timer",
        "quantity": "1",
        "unitPrice": "1000",
        "vatPercent": 25,
        "account": {"number": "3000", "vatCode": "3"},
    }
    whole |= changes
    whole.setdefault(
        "totalExclVat", str(Decimal(str(whole["quantity"])) * Decimal(str(whole["unitPrice"])))
    )
    return whole


def icelandic_line(**changes: object) -> Data:
    whole = {
        "productNumber": "HONNUN",
        "description": "Hönnun í mars",
        "vatPercent": 24,
        "account": {"number": "1010", "vatCode": "24"},
    }
    return line(**{**whole, **changes})


def invoice(
    company: str, number: str, customer_number: str, *lines: Data, **changes: object
) -> Data:
    given = lines or (line(),)
    net = sum((Decimal(str(one["totalExclVat"])) for one in given), Decimal(0))
    vat = sum(
        (
            Decimal(str(one["totalExclVat"])) * Decimal(str(one.get("vatPercent") or 0)) / HUNDRED
            for one in given
        ),
        Decimal(0),
    )
    whole = {
        "company": company,
        "number": number,
        "kind": "invoice",
        "description": "Mars",
        "customerNumber": customer_number,
        "invoiceDate": "2026-03-10",
        "dueDate": "2026-03-24",
        "currencyCode": "NOK",
        "lines": list(given),
        "totalExclVat": str(net),
        "totalVat": str(vat),
        "totalInclVat": str(net + vat),
    }
    return {**whole, **changes}


def icelandic_invoice(
    company: str, number: str, customer_number: str, *lines: Data, **changes: object
) -> Data:
    given = lines or (icelandic_line(),)
    whole = invoice(company, number, customer_number, *given, currencyCode="ISK")
    return {**whole, **changes}


TYPES = {
    "customer": "team.moment.customer.created",
    "project": "team.moment.project.created",
    "invoice": "team.moment.invoice.finalized",
}


def kind_of(data: Data) -> str:
    if "lines" in data:
        return "invoice"
    return "project" if "state" in data else "customer"


def lane_of(data: Data) -> bytes:
    number = data["number"] if kind_of(data) == "customer" else data["customerNumber"]
    return f"{data['company']}/{number}".encode()
