"""The requests to DK+: routes of contract dkplus A1 to A5, and how values travel in them.

A path is already percent-encoded here, segment by segment; a query is not.
"""

from base64 import b64encode
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from connectors.port import Request
from schemas.failures import plain

PAGE_SIZE = 100  # records: the count that every source has been seen to use for sales persons
SEARCH_HITS = 10  # records: more twins than that are nobody's warning

# Servers of this kind take these for their own even where they are percent-encoded.
_BREAKS_A_PATH = frozenset('/\\%?#&*:<>+"')

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def segment(value: str) -> str:
    """A value as one path segment. `.` and `..` are encoded too: they would climb the path."""
    encoded = quote(value, safe="")
    return encoded.replace(".", "%2E") if encoded in {".", ".."} else encoded


def number(value: Decimal) -> Decimal:
    """The same value in plain notation, so that no exponent and no `-0` goes on the wire."""
    return Decimal(0) if value.is_zero() else Decimal(plain(value))


def _get(path: str, query: tuple[tuple[str, str], ...] = ()) -> Request:
    return Request(method="GET", path=path, query=query)


def get_company() -> Request:
    """Whose books these are, and their own currency (contract dkplus A1)."""
    return _get("/company")


def get_customer(customer_number: str) -> Request:
    """One customer (contract dkplus A2)."""
    return _get(f"/customer/{segment(customer_number)}")


def search_customers(value: str) -> Request:
    """Customers in whom a value occurs (contract dkplus A2)."""
    return _get(f"/customer/search/{segment(value)}/{SEARCH_HITS}")


def create_customer(members: dict[str, Any]) -> Request:
    """A new customer (contract dkplus A2)."""
    return Request(method="POST", path="/customer", body=_ENCODER.encode(members))


def update_customer(customer_number: str, members: dict[str, Any]) -> Request:
    """Some members of a customer; those left out are kept (contract dkplus A2)."""
    path = f"/customer/{segment(customer_number)}"
    return Request(method="PUT", path=path, body=_ENCODER.encode(members))


def get_project(project_number: str) -> Request:
    """One project (contract dkplus A3)."""
    return _get(f"/project/{segment(project_number)}")


def create_project(members: dict[str, Any]) -> Request:
    """A new project; there is no request to change one (contract dkplus A3)."""
    return Request(method="POST", path="/project", body=_ENCODER.encode(members))


def get_product(item_code: str) -> Request:
    """One product; a code that breaks a path travels in Base64 (contract dkplus A5)."""
    if not _BREAKS_A_PATH.intersection(item_code) and item_code.strip("."):
        return _get(f"/product/{segment(item_code)}")
    coded = b64encode(item_code.encode()).decode()
    return _get(f"/product/{segment(coded)}", (("isBase64", "true"),))


def create_product(members: dict[str, Any]) -> Request:
    """A new product; existing ones are never changed (contract dkplus A11.8)."""
    return Request(method="POST", path="/product", body=_ENCODER.encode(members))


def get_sales_persons(page: int) -> Request:
    """One page of sales persons; pages count from 1 (contract dkplus A1, A4.4)."""
    return _get(f"/sales/person/page/{page}/{PAGE_SIZE}")


def get_invoices_by_reference(reference: str) -> Request:
    """Every invoice that carries a reference (contract dkplus A4.2)."""
    return _get(f"/sales/invoice/reference/{segment(reference)}")


def book_invoice(invoice: msgspec.Struct) -> Request:
    """A booked sales invoice: `post=true` is always said (contract dkplus A4.1)."""
    return Request(
        method="POST",
        path="/sales/invoice",
        query=(("post", "true"),),
        body=_ENCODER.encode(invoice),
    )
