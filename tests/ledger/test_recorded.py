"""What the ledger says of the books, in pieces, on both databases."""

import itertools
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from schemas.events import EntityType
from schemas.failures import Reference
from streams.core.model import entity_key
from streams.ledger import recorded
from streams.ledger.engine import make_engine
from streams.ledger.queries import ask
from streams.ledger.schema import migrate
from streams.ledger.tables import bookings, books, deliveries, entities

NUMBERS = sorted(("1", "10", "100", "2", "A-1", "a-1", "a 1", "Å7"))


@pytest.fixture
def url(ledger_url: str) -> str:
    """A ledger with entities of three integrations whose ids begin alike, and bookings."""
    migrate(ledger_url)
    blob = msgspec.json.encode(Reference(id="7", number="7"))
    rows: list[dict[str, Any]] = [
        {
            "entity_key": entity_key(name, entity_type, number),
            "lane": 1,
            "in_books": number != "2",
            "reference": blob,
            "content": b"{}",
            "dirty": number == "10",
        }
        for name in ("fjord", "fjord-2", "fjor_")
        for entity_type in EntityType
        for number in NUMBERS
    ]
    booked = [
        {
            "books": name,
            "number": number,
            "delivery_id": "d",
            "reference": blob,
            "content": None,
            "booked_at": 5.0,
        }
        for name in ("one", "other")
        for number in NUMBERS
    ]
    engine = make_engine(ledger_url)
    with engine.begin() as connection:
        connection.execute(insert(entities), rows)
        connection.execute(insert(bookings), booked)
        row = {"integration": "fjord", "identity": "one", "first_seen_at": 0.0}
        connection.execute(insert(books), {**row, "look_up_until": 0.0})
    engine.dispose()
    return ledger_url


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_entity_comes_once_whatever_the_size_of_a_page(url: str, limit: int) -> None:
    """Texts are ordered as the database pleases: a page must begin where the last one ended."""
    found: list[str] = []
    after = ""
    while batch := ask(
        url,
        lambda c, after=after: recorded.entities_after(  # type: ignore[misc]  # the default binds it in the loop
            c, "fjord", EntityType.CUSTOMER, after, limit
        ),
    ):
        found += [one.number for one in batch]
        after = batch[-1].number
    assert sorted(found) == [number for number in NUMBERS if number != "2"]


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_every_booking_of_the_books_comes_once(url: str, limit: int) -> None:
    found: list[str] = []
    after = ""
    while batch := ask(
        url,
        lambda c, after=after: recorded.bookings_after(c, "one", after, limit),  # type: ignore[misc]  # the default binds it in the loop
    ):
        found += [one.number for one in batch]
        after = batch[-1].number
    assert sorted(found) == NUMBERS


def test_content_that_is_in_doubt_is_not_told(url: str) -> None:
    found = ask(
        url,
        lambda c: recorded.entities_by_number(c, "fjord", EntityType.PROJECT, ["1", "10", "2"]),
    )
    assert {number: one.content for number, one in found.items()} == {"1": b"{}", "10": None}


def test_all_that_should_be_there_is_counted(url: str) -> None:
    identity = ask(url, lambda c: recorded.books_of(c, "fjord"))
    assert identity == "one"
    total = ask(url, lambda c: recorded.how_many(c, "fjord", identity))
    assert total == len(NUMBERS) + 2 * (len(NUMBERS) - 1)
    assert ask(url, lambda c: recorded.books_of(c, "nobody")) is None


def test_open_and_dead_deliveries_are_told_apart(url: str) -> None:
    ordinals = itertools.count(1)
    states = {"1": "waiting", "10": "dead", "100": "applied", "2": "uncertain"}
    rows = [
        {
            "ordinal": next(ordinals),
            "delivery_id": number,
            "event_pk": 1,
            "integration": "fjord",
            "system": "dkplus",
            "company": "c",
            "entity_key": entity_key("fjord", EntityType.INVOICE, number),
            "entity_type": "invoice",
            "number": number,
            "customer_number": "1",
            "lane": 1,
            "state": state,
            "received_at": 0.0,
        }
        for number, state in states.items()
    ]
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(insert(deliveries), rows)
    engine.dispose()
    found = ask(url, lambda c: recorded.open_and_dead(c, "fjord", [*states, "3"]))
    assert found == (frozenset({"1", "2"}), frozenset({"10"}))
