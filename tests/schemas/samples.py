"""Events as producers send them, and the records that carry them."""

import json
from typing import Any

from schemas.wire import Record

CUSTOMER: dict[str, Any] = {
    "company": "c-1001",
    "number": "100042",
    "name": "Fjordkraft Rådgivning AS",
    "status": "active",
    "organisationNumber": "123456785",
    "address": {"line1": "Storgata 1", "postalCode": "0155", "city": "Oslo"},
}
PROJECT: dict[str, Any] = {
    "company": "c-1001",
    "number": "7",
    "name": "Ny bro",
    "customerNumber": "100042",
    "state": "inProgress",
    "startDate": "2026-01-01",
}
LINE: dict[str, Any] = {
    "productType": "hours",
    "quantity": "2",
    "unitPrice": "500",
    "totalExclVat": "1000",
    "vatPercent": "25",
    "vatCode": "3",
    "account": {"number": "3000", "vatCode": "3"},
}
INVOICE: dict[str, Any] = {
    "company": "c-1001",
    "number": "1001",
    "kind": "invoice",
    "customerNumber": "100042",
    "projectNumber": "7",
    "invoiceDate": "2026-11-02",
    "currencyCode": "NOK",
    "totalExclVat": "2000",
    "totalVat": "500",
    "totalInclVat": "2500",
    "lines": [LINE, LINE],
}
TYPE = {
    "customer": "team.moment.customer.updated",
    "project": "team.moment.project.created",
    "invoice": "team.moment.invoice.finalized",
}
SAMPLE = {"customer": CUSTOMER, "project": PROJECT, "invoice": INVOICE}


def attributes(kind: str = "customer", **changes: Any) -> dict[str, Any]:
    """The attributes of an event; a change to None takes one away."""
    whole = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/moment/crm",
        "type": TYPE[kind],
        "subject": f"{kind}/{SAMPLE[kind]['number']}",
        "time": "2026-11-02T10:00:00+01:00",
        "sequence": "17",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "correlationid": "corr-1",
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def record(
    value: bytes | None,
    headers: tuple[tuple[str, bytes], ...] = (),
    key: bytes | None = b"c-1001/100042",
) -> Record:
    return Record(
        topic="moment.customers",
        partition=3,
        offset=41,
        timestamp_ms=1_793_000_000_000,
        key=key,
        value=value,
        headers=headers,
    )


def binary(data: Any, kind: str = "customer", **changes: Any) -> Record:
    """A binary-mode record; `data` is JSON bytes or something to be made JSON."""
    headers = tuple((f"ce_{n}", str(v).encode()) for n, v in attributes(kind, **changes).items())
    value = data if isinstance(data, bytes) else json.dumps(data).encode()
    return record(value, (*headers, ("content-type", b"application/json")))


def structured(data: Any, kind: str = "customer", **changes: Any) -> Record:
    """A structured-mode record."""
    value = json.dumps({**attributes(kind, **changes), "data": data}).encode()
    return record(value, (("content-type", b"application/cloudevents+json; charset=utf-8"),))


def without(data: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}


def invoice_with_line(**changes: Any) -> dict[str, Any]:
    """An invoice whose third line (index 2) is changed."""
    return {**INVOICE, "lines": [LINE, LINE, {**LINE, **changes}]}


def odd_numbers(number: str) -> list[str]:
    """A number with a blank at either end, or a control character anywhere in it."""
    blanks = " \t\n\r\u00a0\u2007\u2009\u2028\u202f\u3000\u200b\u2060\ufeff"
    controls = "\u0001\u001c\u001f\u007f\u0085\u009f"
    ends = [form for blank in blanks for form in (number + blank, blank + number)]
    return ends + [f"{number[:3]}{control}{number[3:]}" for control in controls]
