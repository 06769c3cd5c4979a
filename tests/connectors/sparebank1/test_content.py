"""Which changes of an event are changes in the books."""

from decimal import Decimal

import msgspec
import pytest

from connectors.sparebank1.mapping import MAPPING_VERSION, CustomerContent
from schemas.events import Address, Customer, CustomerStatus, Entity
from tests.connectors.sparebank1.fake_books import CONNECTOR, INTEGRATION
from tests.connectors.sparebank1.moment_events import customer, invoice, line, project


def content(event: Entity) -> bytes:
    return CONNECTOR.content(event, INTEGRATION)


def test_content_is_canonical_json_with_the_version_of_the_mapping() -> None:
    tree = msgspec.json.decode(content(customer()))
    assert tree["version"] == MAPPING_VERSION
    assert list(tree) == sorted(tree)


def test_what_is_not_mapped_changes_nothing() -> None:
    """Status and order reference have no place in SpareBank 1 Regnskap."""
    assert content(customer()) == content(customer(status=CustomerStatus.BLOCKED))
    assert content(invoice()) == content(invoice(order_reference="4711"))


def test_amounts_are_compared_by_value() -> None:
    plain, long = invoice(line("100")), invoice(line("100.00"))
    assert content(plain) == content(long)
    assert content(plain) != content(invoice(line("100.01")))


def test_empty_and_absent_are_the_same() -> None:
    assert content(customer(website=" ")) == content(customer(website=None))


@pytest.mark.parametrize(
    ("event", "country"),
    [
        (customer(country_code="no", address=None), "NO"),
        (customer(country_code="NO", address=Address(country_code="SE")), "SE"),
        (customer(country_code=None, address=Address(city="Oslo")), ""),
    ],
)
def test_the_country_of_the_address_wins(event: Customer, country: str) -> None:
    assert CustomerContent.read(content(event)).country == country  # type: ignore[union-attr]  # content of a customer is read


def test_content_that_cannot_be_read_any_more_clears_nothing() -> None:
    assert CustomerContent.read(b"[]") is None
    assert CustomerContent.read(None) is None


def test_every_mapped_field_of_each_type_changes_the_content() -> None:
    assert content(project()) != content(project(end_date=None))
    assert content(invoice()) != content(invoice(payment_id="10017"))
    assert content(invoice()) != content(invoice(line(quantity=Decimal(2))))
    assert content(customer()) != content(customer(fax=None))
