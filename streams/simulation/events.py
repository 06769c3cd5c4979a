"""What a history only names, in full: integrations, and the events that are put on topics."""

from datetime import date
from decimal import Decimal

from connectors.integrations import DataType, Integration, System
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.events import (
    Account,
    Customer,
    CustomerStatus,
    Entity,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
)
from schemas.wire import Outgoing
from streams.simulation import history as told

TYPES = {
    "customer": "team.moment.customer.updated",
    "project": "team.moment.project.updated",
    "invoice": "team.moment.invoice.finalized",
}


def record_of(put: told.Put) -> Outgoing:
    """The record of an event, under the key that the producer gives it."""
    attributes = Attributes(
        id=put.id, source="/moment/simulation", type=TYPES[put.kind], sequence=put.sequence
    )
    return encode_event(attributes, event_of(put))


def integration_of(setup: told.Setup) -> Integration:
    """An integration as its settings would say it."""
    return Integration(
        id=setup.id,
        company=setup.company,
        system=System(setup.system),
        base_url=f"https://{setup.id}",
        data=frozenset(DataType(name) for name in setup.data),
        notify="-",
    )


def event_of(put: told.Put) -> Entity:
    """The entity that an event carries."""
    content = f"state {put.content}"
    if put.kind == "customer":
        return Customer(
            company=put.company, number=put.number, name=content, status=CustomerStatus.ACTIVE
        )
    if put.kind == "project":
        return Project(
            company=put.company,
            number=put.number,
            name=content,
            customer_number=put.customer,
            state=ProjectState.IN_PROGRESS,
        )
    sign = -1 if put.credits else 1
    line = InvoiceLine(
        product_type=ProductType.PRODUCTS if put.number == "102" else ProductType.HOURS,
        quantity=Decimal(sign),
        unit_price=Decimal(100),
        total_excl_vat=Decimal(100 * sign),
        account=Account(number="3000"),
        product_number="p1" if put.number == "102" else None,
    )
    return Invoice(
        company=put.company,
        number=put.number,
        kind=InvoiceKind.CREDIT_NOTE if put.credits else InvoiceKind.INVOICE,
        customer_number=put.customer,
        project_number=put.project,
        credited_invoice_number=put.credits,
        description=content,
        invoice_date=date(2026, 11, 2),
        currency_code="NOK",
        lines=(line,),
    )
