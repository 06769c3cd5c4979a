"""The same event is the same digest, and only the same."""

import json
from typing import Any

import pytest

from schemas.codec import Event, decode
from schemas.content import decode_data, encode_data
from schemas.events import EntityType, Invoice
from schemas.wire import Record
from tests.schemas.samples import CUSTOMER, INVOICE, binary, invoice_with_line, structured


def digest(record: Record) -> bytes:
    event = decode(record)
    assert isinstance(event, Event)
    return event.digest


@pytest.mark.parametrize("quantity", ["1E+2", "100", "100.00", "+100", "0.1e3"])
def test_decimals_count_by_value(quantity: str) -> None:
    expected = digest(binary(invoice_with_line(quantity=100), "invoice"))
    assert digest(binary(invoice_with_line(quantity=quantity), "invoice")) == expected


def test_a_minus_before_nothing_does_not_count() -> None:
    line = invoice_with_line(totalExclVat="-0.00")
    assert digest(binary(line, "invoice")) == digest(
        binary(invoice_with_line(totalExclVat=0), "invoice")
    )


@pytest.mark.parametrize("make", [binary, structured])
def test_spelling_does_not_count(make: Any) -> None:
    expected = digest(binary(INVOICE, "invoice"))
    backwards = dict(reversed(INVOICE.items()))
    assert digest(make({**backwards, "unknown": 1}, "invoice")) == expected
    assert digest(make({**INVOICE, "dueDate": None, "description": ""}, "invoice")) == expected
    assert digest(make({**INVOICE, "kind": "INVOICE"}, "invoice")) == expected
    assert digest(make(INVOICE, "invoice", time=None, sequence=None)) == expected
    spaced = json.dumps(INVOICE, indent=3).encode()
    assert digest(binary(spaced, "invoice")) == expected


@pytest.mark.parametrize(
    "other",
    [
        binary({**CUSTOMER, "name": "Another"}),
        binary({**CUSTOMER, "email": "a@b.example"}),
        binary(CUSTOMER, type="team.moment.customer.created"),
        binary(CUSTOMER, subject="customer/1"),
    ],
)
def test_type_subject_and_data_count(other: Record) -> None:
    assert digest(other) != digest(binary(CUSTOMER))


def test_digests_of_version_1_stay_what_they_are() -> None:
    """They are kept in ledgers: change this only together with DIGEST_VERSION."""
    assert digest(binary(INVOICE, "invoice")).hex() == "7cb19ac136c296dc237d85491c16254f"


def test_encoded_data_is_canonical_and_reads_back() -> None:
    data = decode_data(EntityType.INVOICE, json.dumps(invoice_with_line(quantity="1E+2")).encode())
    assert isinstance(data, Invoice)
    encoded = encode_data(data)
    assert b'"quantity":"100"' in encoded
    assert encoded.startswith(b'{"company":"c-1001","currencyCode"')
    assert decode_data(EntityType.INVOICE, encoded) == data
