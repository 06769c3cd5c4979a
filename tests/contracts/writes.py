"""Every kind of write that the connectors make, and what must stand in the books after it."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from schemas.events import Customer, Entity, Invoice, Project
from tests.contracts.carrier import Carrier
from tests.contracts.world import World, customer_as_booked


class WriteCase(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of write: how it comes about, and how its success is seen in the books alone.

    `kinds`: its name in the simulators. `looked_up`: kinds of read that look for it afterwards.
    """

    id: str
    kinds: tuple[str, ...]
    looked_up: tuple[str, ...]
    prepare: Callable[[World, Carrier], Awaitable[None]]
    event: Callable[[World], Entity]
    stands: Callable[[World, Entity], bool]
    repeatable: bool = False


async def _nothing(_world: World, _carrier: Carrier) -> None:
    pass


async def _customer(world: World, carrier: Carrier) -> None:
    await carrier.applied(world.customer())


async def _both(world: World, carrier: Carrier) -> None:
    await carrier.applied(world.customer())
    await carrier.applied(world.project())


def _changed_customer(world: World) -> Entity:
    return world.customer(name="Nýtt nafn", phone="11223344")


def _customer_stands(world: World, event: Entity) -> bool:
    assert isinstance(event, Customer)
    mine = {"name": event.name, "phone": event.phone or ""}
    expected = customer_as_booked(world, world.customer()) | mine
    return world.customers(event.number) == [expected]


def _changed_project(world: World) -> Entity:
    return world.project(name="Nytt navn")


def _project_stands(world: World, event: Entity) -> bool:
    assert isinstance(event, Project)
    rows = world.projects(event.number)
    found = [(row["name"], row.get("state", "inProgress")) for row in rows]
    return found == [(event.name, "inProgress")]


def _invoice(world: World) -> Entity:
    return world.invoice(project_number=world.project().number)


def _credit_note(world: World) -> Entity:
    return world.credit_note()


def _new_product(world: World) -> Entity:
    return world.invoice(world.line("1000", product_number="nýtt"))


def _invoice_stands(world: World, event: Entity) -> bool:
    assert isinstance(event, Invoice)
    booked = world.bookings(event.number)
    net = event.lines[0].total_excl_vat
    return len(booked) == 1 and sum(line.net for line in booked[0].lines) == net


CUSTOMER_MADE: Final = WriteCase(
    id="customer-made",
    kinds=("customer.create",),
    looked_up=("customer.list",),
    prepare=_nothing,
    event=lambda world: world.customer(),
    stands=_customer_stands,
)
CUSTOMER_CHANGED: Final = WriteCase(
    id="customer-changed",
    kinds=("customer.update",),
    looked_up=("customer.list",),
    prepare=_customer,
    event=_changed_customer,
    stands=_customer_stands,
    repeatable=True,
)
PROJECT_MADE: Final = WriteCase(
    id="project-made",
    kinds=("project.create",),
    looked_up=("project.list",),
    prepare=_customer,
    event=lambda world: world.project(),
    stands=_project_stands,
)
PROJECT_CHANGED: Final = WriteCase(
    id="project-changed",
    kinds=("project.update",),
    looked_up=("project.list",),
    prepare=_both,
    event=_changed_project,
    stands=_project_stands,
    repeatable=True,
)
PROJECT_MOVED: Final = WriteCase(
    id="project-moved",
    kinds=("project.StartProject",),
    looked_up=("project.list",),
    prepare=_customer,
    event=lambda world: world.project(),
    stands=_project_stands,
    repeatable=True,
)
PRODUCT_MADE: Final = WriteCase(
    id="product-made",
    kinds=("product.create",),
    looked_up=(),
    prepare=_customer,
    event=_new_product,
    stands=_invoice_stands,
)
INVOICE_BOOKED: Final = WriteCase(
    id="invoice-booked",
    kinds=("voucher.book", "invoice.create"),
    looked_up=("voucher.list", "line.list", "statistics", "invoice.by-reference"),
    prepare=_both,
    event=_invoice,
    stands=_invoice_stands,
)
CREDIT_NOTE_BOOKED: Final = WriteCase(
    id="credit-note-booked",
    kinds=("voucher.book", "invoice.create"),
    looked_up=("voucher.list", "line.list", "statistics", "invoice.by-reference"),
    prepare=_both,
    event=_credit_note,
    stands=_invoice_stands,
)

_OF_BOTH: Final = (
    CUSTOMER_MADE,
    CUSTOMER_CHANGED,
    PROJECT_MADE,
    INVOICE_BOOKED,
    CREDIT_NOTE_BOOKED,
)


def cases_at(place_id: str) -> tuple[WriteCase, ...]:
    """The kinds of write that are made at a place."""
    if place_id.startswith("dkplus"):
        return (*_OF_BOTH, PRODUCT_MADE)
    # Only where a status in the body does not take is a project moved by an action.
    moved = (PROJECT_MOVED,) if place_id.endswith("hostile") else ()
    return (*_OF_BOTH, PROJECT_CHANGED, *moved)
