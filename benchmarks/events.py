"""The load: customers of many companies that change. Deterministic, the same for all contenders."""

import random
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.events import Address, Customer, CustomerStatus
from schemas.lane import partition_of
from schemas.wire import Outgoing

SOURCE: Final = "/moment/benchmark"
UPDATED: Final = "team.moment.customer.updated"
FIRST_NUMBER: Final = 100_000  # six digits, so that no number is taken for a kennitala


class Event(msgspec.Struct, frozen=True):
    """One change on its way to Kafka. `serial` grows with the states of one customer."""

    id: str
    customer: int
    serial: int
    record: Outgoing


def company_of(customer: int, companies: int) -> int:
    """Which company a customer belongs to."""
    return customer % companies


def company_id(company: int) -> str:
    """A company as Moment calls it."""
    return f"c-{company:04d}"


def token_of(company: int) -> str:
    """The token of a company's DK+ integration."""
    return f"00000000-0000-4000-8000-{company:012d}"


def number_of(customer: int) -> str:
    """A customer's number in Moment and in the books."""
    return str(FIRST_NUMBER + customer)


def event_of(customer: int, serial: int, companies: int) -> Event:
    """The `serial`-th state of a customer."""
    data = Customer(
        company=company_id(company_of(customer, companies)),
        number=number_of(customer),
        name=f"Customer {customer} #{serial}",
        status=CustomerStatus.ACTIVE,
        email=f"books-{customer}@customer.example",
        phone=f"5{customer:06d}",
        country_code="IS",
        address=Address(line1=f"Street {customer}", postal_code="101", city="Reykjavik"),
    )
    event_id = f"{customer}-{serial}"
    record = encode_event(Attributes(id=event_id, source=SOURCE, type=UPDATED), data)
    return Event(event_id, customer, serial, record)


def states(customers: int, serials: Iterable[int], companies: int, seed: int) -> list[Event]:
    """Every customer once in each of `serials`, shuffled; states of one customer stay in order.

    Shuffled, since keys in strict rotation hide lost order.
    """
    numbers = sorted(serials)
    slots = [customer for customer in range(customers) for _ in numbers]
    random.Random(seed).shuffle(slots)  # noqa: S311 - a load, no secret
    following = dict.fromkeys(range(customers), 0)
    events: list[Event] = []
    for customer in slots:
        events.append(event_of(customer, numbers[following[customer]], companies))
        following[customer] += 1
    return events


def new_customers(first: int, count: int, companies: int) -> list[Event]:
    """The first state of customers that no other event is of."""
    return [event_of(customer, 0, companies) for customer in range(first, first + count)]


def by_partition(events: Sequence[Event], partitions: int) -> dict[int, list[Event]]:
    """Events sorted into the partitions of their keys, each in order."""
    sorted_: dict[int, list[Event]] = {}
    for event in events:
        assert event.record.key is not None  # noqa: S101 - every change event has one
        sorted_.setdefault(partition_of(event.record.key, partitions), []).append(event)
    return sorted_
