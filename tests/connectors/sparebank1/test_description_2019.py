"""What is sent and read has the names and types of the vendor's description of 2019.

`description_2019.json` holds names and types alone. What came later is listed here with where it
is known from (contract sparebank1-regnskap 12.11).
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from connectors.sparebank1 import requests
from schemas.events import Address
from tests.connectors.sparebank1.fake_books import FakeBooks, body_of, name_of
from tests.connectors.sparebank1.moment_events import customer, invoice, line, project

DESCRIPTION = json.loads((Path(__file__).parent / "description_2019.json").read_text())
DEFINITIONS: dict[str, dict[str, str]] = DESCRIPTION["definitions"]
LATER = {"JournalEntry.ExternalReference", "JournalEntry.ExternalSource"}
OTHER_TYPE = {"Phone.Type"}  # a number, although the description calls it a string


def strangers(definition: str, value: dict[str, Any]) -> Iterator[str]:
    """Members that the description does not have, or has with another type."""
    known = DEFINITIONS[definition]
    for name, member in value.items():
        where = f"{definition}.{name}"
        kind = known.get(name)
        if kind is None:
            yield where
        elif kind.startswith("["):
            for item in member:
                yield from strangers(kind.strip("[->]"), item)
        elif kind.startswith("->"):
            yield from strangers(kind.removeprefix("->"), member)
        elif not _fits(kind, member):
            yield f"{where}: {kind}"


def _fits(kind: str, value: object) -> bool:
    if kind in ("string", "date"):
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole if kind == "integer" else whole or isinstance(value, Decimal)


def test_a_new_customer_is_described() -> None:
    books = FakeBooks()
    event = customer(
        number="100077",
        website="https://x.example",
        address=Address(line1="a", line2="b", postal_code="c", city="d", country_code="NO"),
    )
    books.deliver(event)
    body = body_of(books.asked("POST customers")[0])
    assert {s.partition(":")[0] for s in strangers("Customer", body)} == OTHER_TYPE


def test_a_new_project_is_described() -> None:
    books = FakeBooks()
    books.deliver(project())
    assert not list(strangers("Project", body_of(books.asked("POST projects")[0])))


def test_a_voucher_is_described_but_for_what_came_later() -> None:
    books = FakeBooks()
    event = invoice(
        line(), currency_code="EUR", currency_rate=Decimal("11.5"), project_number="10023"
    )
    books.deliver(event)
    (entry,) = body_of(books.asked("POST journalentries?book-journal-entries")[0])
    assert set(strangers("JournalEntry", entry)) == LATER


def test_every_field_that_is_filtered_or_expanded_is_described() -> None:
    fields = {
        "Customer": ("CustomerNumber", "Info"),
        "BusinessRelation": ("DefaultEmail", "DefaultPhone", "InvoiceAddress", "Phones"),
        "Project": ("ProjectNumber",),
        "Account": ("AccountNumber", "CustomerID", "Locked", "LockManualPosts"),
        "VatType": ("VatCode", "VatPercent", "VatTypePercentages", "DirectJournalEntryOnly"),
        "CurrencyCode": ("Code",),
        "NumberSeries": ("NumberSeriesType", "MainAccount", "FromNumber", "ToNumber", "Disabled"),
        "NumberSeriesType": ("EntityType",),
        "JournalEntryLine": ("InvoiceNumber", "SubAccountID", "JournalEntryTypeID", "StatusCode"),
        "CompanySettings": (
            "OrganizationNumber",
            "BaseCurrencyCodeID",
            "AccountingLockedDate",
            "VatLockedDate",
        ),
    }
    for definition, names in fields.items():
        assert set(names) <= set(DEFINITIONS[definition])
    for path in requests.CUSTOMER_EXPAND.split(","):
        assert path.rpartition(".")[2] in DEFINITIONS["Customer"] | DEFINITIONS["BusinessRelation"]


def test_every_route_that_is_used_is_described() -> None:
    """Besides `init/companies` and the statistics, which are no business routes."""
    books = FakeBooks()
    for event in (customer(name="x"), customer(number="100077"), project(), invoice()):
        books.deliver(event, look_up_first=True)
    described = {route.replace("/{id}", "") for route in DESCRIPTION["routes"]}
    used = {name_of(request) for request in books.sent} - {"GET statistics"}
    for name in used:
        method, _, rest = name.partition(" ")
        path, _, action = rest.partition("?")
        route = f"{method} /{path}" + (f"?action={action}" if action else "")
        assert route in described


def test_no_parameter_carries_a_dollar_sign_and_every_list_is_bounded() -> None:
    books = FakeBooks()
    for event in (customer(), project(), invoice(project_number="10023")):
        books.deliver(event, look_up_first=True)
    for request in books.sent:
        query = dict(request.query)
        assert not any(name.startswith("$") for name in query)
        if "filter" in query:
            assert query["top"] == "50"
            assert query["orderby"] == "ID"
