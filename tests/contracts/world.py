"""What both accounting systems are to the tests of the port: events, books, faults, one runner.

A `World` is one connector behind the real runner, over real HTTP, against its real simulator with
two companies in it. What is in the books is told in Moment's words, so that one test can judge
either system by what it holds, and not by what the connector says of itself.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import msgspec

from connectors.credentials import TokenCredentials
from connectors.http import HttpSession
from connectors.integrations import Integration, System
from connectors.port import Connector
from connectors.reference_cache import ReferenceCache
from connectors.runner import Runner
from connectors.secrets import SecretStore
from connectors.simulation_faults import FaultRule
from schemas.events import Address, Customer, CustomerStatus, Invoice, InvoiceLine, Project
from streams.clock import new_id

DEADLINE_S: Final = 10.0
"""Of a request that nobody holds back: long enough for a machine that is busy with other tests."""


class PassingClock:
    """The machine's time, and what a test lets pass on top of it, for both ends of the line."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.passed)

    def elapsed(self) -> float:
        return time.monotonic() + self.passed

    @property
    def boot_id(self) -> str:
        return "boot"

    def advance(self, seconds: float) -> None:
        self.passed += seconds


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request as the simulator saw it. `fault`: what it did instead of answering plainly."""

    kind: str
    write: bool
    fault: str | None


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a booked invoice, with the sign that it has on the invoice."""

    net: Decimal
    text: str


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """A booked invoice or credit note: what is owed by whom, until when, and for what."""

    reference: str  # what the books call it: a voucher's number, an invoice's number
    customer: str
    owed: Decimal
    due: str
    project: str
    text: str
    lines: tuple[Posting, ...]
    more: dict[str, str] = {}


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What differs in the words of the two systems, for tests that are the same otherwise.

    `customer_fields`: what of a customer is carried, under the names that `World.customers` uses.
    The others are kinds of call in the simulators, as faults and counts name them.
    """

    customer_fields: tuple[str, ...]
    booking: str
    reads: tuple[str, ...]
    look_ups: tuple[str, ...]


class World(ABC):
    """One accounting system as the tests see it. Made by `open_world`."""

    system: System
    shape: Shape
    connector: Connector
    here: Integration
    there: Integration
    secrets: tuple[str, ...]  # what may stand nowhere but in a request's headers

    def __init__(self, clock: PassingClock, hostile: bool) -> None:
        self.clock = clock
        self.hostile = hostile

    def wire(self, http: HttpSession, environment: Mapping[str, str]) -> None:
        """Put the shell together as the worker does."""
        self.http = http
        self.credentials = TokenCredentials(http, SecretStore(environment), self.clock, new_id)
        # Reads that were in vain are not spaced: nothing here waits for a code to be mended.
        self.cache = ReferenceCache(self.clock, spacing_s=0.0)

    def runner(self, deadline_s: float = DEADLINE_S) -> Runner:
        """The runner; those with another deadline share its tokens and its cache."""
        return Runner(
            self.connector, self.http, self.credentials, self.cache, self.clock, deadline_s
        )

    @abstractmethod
    def warm(self) -> None:
        """Have tokens, where there are such, as if they had been asked for."""

    def unplug(self) -> None:
        """Call where nobody listens from now on."""
        here = {"base_url": "http://127.0.0.1:1/api/v1", "identity_url": "http://127.0.0.1:1"}
        self.here = msgspec.structs.replace(self.here, **here)
        nobody = frozenset({"127.0.0.1:1"})
        self.http.allow(nobody, nobody)

    # --- the way in ---------------------------------------------------------------------------

    @abstractmethod
    async def start(self, stack: AsyncExitStack) -> None:
        """Start the simulator and wire the shell to it."""

    @abstractmethod
    def set_faults(self, *rules: FaultRule) -> None:
        """Let the simulator misbehave by these rules, and by no others, from now on."""

    @abstractmethod
    def late(self) -> bool:
        """Whether a commit is still to come."""

    @abstractmethod
    def sent_secrets(self) -> tuple[str, ...]:
        """The secrets that requests of `here` carry."""

    # --- what was asked -----------------------------------------------------------------------

    @abstractmethod
    def asked(self) -> list[Asked]:
        """Every request for the books so far; those for a token are not among them."""

    @abstractmethod
    def violations(self) -> list[str]:
        """What a right client never does and this one did."""

    def writes(self) -> list[str]:
        """The kinds of the writes that the simulator was sent, in order."""
        return [one.kind for one in self.asked() if one.write]

    # --- the books ----------------------------------------------------------------------------

    @abstractmethod
    def customers(self, number: str, at: Integration | None = None) -> list[dict[str, str]]:
        """Every customer of that number that is not deleted; what is empty is an empty text."""

    @abstractmethod
    def projects(self, number: str, at: Integration | None = None) -> list[dict[str, str]]:
        """Every project of that number."""

    @abstractmethod
    def bookings(self, number: str, at: Integration | None = None) -> list[Booking]:
        """Everything that is booked under Moment's invoice number, whoever booked it."""

    @abstractmethod
    def snapshot(self) -> Any:
        """All books without times of change: equal where nothing was done."""

    # --- what people do to the books ------------------------------------------------------------

    @abstractmethod
    def have_customer(self, number: str, **fields: str) -> None:
        """A person makes a customer."""

    @abstractmethod
    def have_project(self, number: str, name: str, customer: str) -> None:
        """A person makes a project."""

    @abstractmethod
    def accountants_own(self, number: str) -> dict[str, Any]:
        """Fill, or read where filled, fields of a customer that Moment does not own."""

    # --- events ---------------------------------------------------------------------------------

    @abstractmethod
    def customer(self, **changes: Any) -> Customer:
        """A customer with every field that Moment has."""

    @abstractmethod
    def project(self, **changes: Any) -> Project:
        """A project of that customer."""

    @abstractmethod
    def line(self, total: str, **changes: Any) -> InvoiceLine:
        """A line of one piece at the system's usual rate."""

    @abstractmethod
    def invoice(self, *lines: InvoiceLine, **changes: Any) -> Invoice:
        """An invoice of that customer, one line unless others are given."""

    @abstractmethod
    def credit_note(self, *lines: InvoiceLine, **changes: Any) -> Invoice:
        """A credit note of that invoice."""


def customer_as_booked(world: World, event: Customer) -> dict[str, str]:
    """How a customer of Moment must stand in these books; the address's country wins."""
    address = event.address or Address()
    every = {
        "name": event.name,
        "organisation_number": event.organisation_number,
        "email": event.email,
        "website": event.website,
        "phone": event.phone,
        "fax": event.fax,
        "currency": event.currency_code,
        "line1": address.line1,
        "line2": address.line2,
        "postal_code": address.postal_code,
        "city": address.city,
        "country": address.country_code or event.country_code,
        "blocked": event.status is CustomerStatus.BLOCKED,
    }
    return {name: text_or_empty(every[name]) for name in world.shape.customer_fields}


Story = Callable[[Any], Awaitable[None]]
Make = Callable[[PassingClock, bool], World]


class Place(msgspec.Struct, frozen=True):
    """Where a test takes place: a system under the likeliest or the hardest answers."""

    make: Make
    hostile: bool
    id: str

    def run(
        self, story: Story, *, lawful: bool = True, unplugged: bool = False, cold: bool = False
    ) -> None:
        """Tell a story in a fresh world; unless `lawful` is False nothing in it may break rules.

        `unplugged`: nobody listens where the accounting system should be. `cold`: no token is
        had yet; else there is one from the start, since signing for one takes longer than all
        the rest of a story.
        """

        async def whole() -> None:
            world = self.make(PassingClock(), self.hostile)
            async with AsyncExitStack() as stack:
                await world.start(stack)
                if not cold:
                    world.warm()
                if unplugged:
                    world.unplug()
                await story(world)
                if lawful:
                    assert world.violations() == []
                await world.cache.close()
                await world.credentials.close()

        asyncio.run(whole())


def text_or_empty(value: object) -> str:
    """A value of the books as text; nothing is an empty text."""
    return "" if value is None else str(value)
