"""Events, verdicts and settings that the stories of the ledger are made of."""

from datetime import date
from decimal import Decimal

import msgspec

from connectors.integrations import DataType, Integration, System
from connectors.port import Intent
from schemas.events import (
    Account,
    Customer,
    CustomerStatus,
    Entity,
    EntityType,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
    customer_number_of,
)
from schemas.failures import Failure, FailureCode, Reference
from schemas.lane import lane_key, partition_of
from streams.core.conclude import Policy, Result, What
from streams.core.model import entity_key

LETTERS = "moment-sync.deadletters"
PARTITIONS = 12
LANES = frozenset(range(PARTITIONS))
COMPANY = "c-1001"
SB1 = Integration(
    id="fjord-sb1",
    company=COMPANY,
    system=System.SPAREBANK1,
    base_url="https://books.example",
    data=frozenset(DataType),
    notify="regnskap@fjord.example",
)
DK = msgspec.structs.replace(SB1, id="fjord-dk", system=System.DKPLUS)
POLICY = Policy(
    retry_base=1.0,
    retry_max=300.0,
    retry_for=259_200.0,
    settle=30.0,
    deadline=60.0,
    parent_wait=900.0,
)
TYPES = {
    Customer: "team.moment.customer.updated",
    Project: "team.moment.project.updated",
    Invoice: "team.moment.invoice.finalized",
}
DOWN = Failure(code=FailureCode.SYSTEM_UNAVAILABLE, parameters={"status": "503"})
REFUSAL = Failure(code=FailureCode.ACCOUNT_UNKNOWN, parameters={"account": "3000"})
ACCESS = Failure(code=FailureCode.CREDENTIALS_REFUSED, parameters={"answer": "401"})
IN_DOUBT = Failure(code=FailureCode.WRITE_UNCERTAIN, parameters={"number": "1001"})
CREATE = Intent(kind="customer.create", key="100042")
UPDATE = Intent(kind="customer.update", key="100042", repeatable=True)
BOOK = Intent(kind="voucher.book", key="1001", booking=True)
RETRY = Result(what=What.RETRY, failure=DOWN)
REFUSED = Result(what=What.REFUSED, failure=REFUSAL)
HOLD = Result(what=What.HOLD, failure=ACCESS)
UNSURE = Result(what=What.UNSURE, failure=IN_DOUBT)
ABSENT = Result(what=What.ABSENT)
DROPPED = Result(what=What.DROPPED)

Given = Entity | tuple[Entity, int]


def applied(number: str = "1") -> Result:
    """It is in the books, under this number."""
    return Result(what=What.APPLIED, reference=Reference(id=f"id-{number}", number=number))


def customer(number: str = "100042", name: str = "Fjord AS") -> Customer:
    return Customer(company=COMPANY, number=number, name=name, status=CustomerStatus.ACTIVE)


def project(number: str = "7", customer_number: str = "100042", name: str = "Bro") -> Project:
    return Project(
        company=COMPANY,
        number=number,
        name=name,
        customer_number=customer_number,
        state=ProjectState.IN_PROGRESS,
    )


def invoice(
    number: str = "1001",
    customer_number: str = "100042",
    *,
    project_number: str | None = None,
    credits: str | None = None,  # noqa: A002 - the word for it
    amount: int = 1000,
) -> Invoice:
    """An invoice of one line; with `credits` a credit note."""
    signed = Decimal(-amount if credits else amount)
    line = InvoiceLine(
        product_type=ProductType.HOURS,
        quantity=Decimal(-1 if credits else 1),
        unit_price=Decimal(amount),
        total_excl_vat=signed,
        account=Account(number="3000"),
    )
    return Invoice(
        company=COMPANY,
        number=number,
        kind=InvoiceKind.CREDIT_NOTE if credits else InvoiceKind.INVOICE,
        customer_number=customer_number,
        project_number=project_number,
        credited_invoice_number=credits,
        invoice_date=date(2026, 11, 2),
        currency_code="NOK",
        lines=(line,),
    )


def key_of(entity_type: str, number: str, integration: str = SB1.id) -> str:
    return entity_key(integration, EntityType(entity_type), number)


def lane_of(entity: Entity) -> int:
    return partition_of(lane_key(entity.company, customer_number_of(entity)), PARTITIONS)
