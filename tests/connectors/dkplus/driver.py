"""A driver for flows and a very small DK+, so that a test says only what is different in it."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec

from connectors.dkplus.connector import DkPlus
from connectors.integrations import DataType, Integration, System
from connectors.port import (
    Answer,
    Call,
    Flow,
    Forget,
    Hold,
    Intent,
    Job,
    Look,
    NoAnswer,
    Refused,
    Request,
    Retry,
    Write,
)
from schemas.events import (
    Account,
    Address,
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
from schemas.failures import Reference

NOW = datetime(2026, 3, 31, 14, 0, tzinfo=UTC)
KENNITALA = "7112992030"
DASHED = "711299-2030"
COMPANY = {
    "Information": {"Owner": "Vik", "Company": {"Number": "DEV", "SSNumber": "7112992030"}},
    "General": {"DefaultCurrency": "ISK"},
}

INTEGRATION = Integration(
    id="vik-dk",
    company="c-2001",
    system=System.DKPLUS,
    base_url="https://api.dkplus.is/api/v1",
    data=frozenset(DataType),
    notify="bokhald@vik.example",
    sales_person="web",
)
CUSTOMER = Customer(
    company="c-2001",
    number=KENNITALA,
    name="Ærslabelgur ehf.",
    status=CustomerStatus.ACTIVE,
    organisation_number=KENNITALA,
    phone="5550000",
    email="bokhald@example.is",
    country_code="is",
    address=Address(line1="Þórsgata 1", postal_code="101", city="Reykjavík"),
)
PROJECT = Project(
    company="c-2001",
    number="2026-014",
    name="Brúarhönnun",
    customer_number=KENNITALA,
    state=ProjectState.IN_PROGRESS,
)
HOURS = InvoiceLine(
    product_type=ProductType.HOURS,
    product_number="Ráðgjöf",
    description="Ráðgjöf í mars",
    quantity=Decimal(10),
    unit_price=Decimal(19900),
    total_excl_vat=Decimal(199000),
    vat_percent=Decimal(24),
    account=Account(number="3000", vat_code="u1", external_revenue_class="sala"),
)
INVOICE = Invoice(
    company="c-2001",
    number="10457",
    kind=InvoiceKind.INVOICE,
    customer_number=KENNITALA,
    project_number="2026-014",
    invoice_date=date(2026, 3, 31),
    due_date=date(2026, 4, 30),
    currency_code="ISK",
    lines=(HOURS,),
    description="Verk 2026-014",
)

Reply = Answer | NoAnswer
S = TypeVar("S", bound=msgspec.Struct)


def reply(status: int, body: Any = None, **headers: str) -> Answer:
    """An answer with a JSON body, bytes as they are, or no body at all."""
    raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    return Answer(status=status, body=raw, headers=headers)


class Dk:
    """A scripted DK+: records by kind, and `script`, answers that come before the records'."""

    def __init__(self) -> None:
        self.customers: dict[str, dict[str, Any]] = {KENNITALA: {"Number": KENNITALA}}
        self.projects: dict[str, dict[str, Any]] = {"2026-014": {"Number": "2026-014"}}
        self.products: dict[str, dict[str, Any]] = {
            "ráðgjöf": {"ItemCode": "ráðgjöf", "TaxPercent": 24.0}
        }
        self.persons: list[dict[str, Any]] = [{"Number": "web"}]
        self.company: dict[str, Any] = COMPANY
        self.booked: list[dict[str, Any]] = []
        self.script: dict[tuple[str, str], list[Reply]] = {}
        self.requests: list[Request] = []
        self.intents: list[Intent] = []

    def answer(self, request: Request) -> Reply:
        """The scripted answer to this method and path if one is left, else the records'."""
        self.requests.append(request)
        path = unquote(request.path)
        scripted = self.script.get((request.method, path))
        if scripted:
            return scripted.pop(0)
        return self._routed(request, path)

    def _routed(self, request: Request, path: str) -> Reply:
        body: Any = msgspec.json.decode(request.body) if request.body else None
        match request.method, path.split("/")[1:]:
            case "GET", ["company"]:
                return reply(200, self.company)
            case "GET", ["customer", "search", value, _]:
                return reply(200, [c for c in self.customers.values() if value in str(c.values())])
            case "GET", ["sales", "person", "page", page, count]:
                start = (int(page) - 1) * int(count)
                return reply(200, self.persons[start : start + int(count)])
            case "GET", ["sales", "invoice", "reference", value]:
                return reply(200, [i for i in self.booked if i["Reference"] == value])
            case "POST", ["sales", "invoice"]:
                return self._book(msgspec.json.decode(request.body or b"", type=dict))
            case "GET", [kind, key]:
                record = getattr(self, f"{kind}s").get(key.lower() if kind == "product" else key)
                return reply(200, record) if record else reply(404)
            case "PUT", ["customer", key]:
                if key not in self.customers:
                    return reply(404)
                self.customers[key].update(body)
                return reply(200)
            case "POST", [kind]:
                key = body["ItemCode"] if kind == "product" else body["Number"]
                getattr(self, f"{kind}s")[key] = body
                return reply(200) if kind == "customer" else reply(200, body)
        return reply(404, {"Message": "No HTTP resource was found"})

    def _book(self, body: dict[str, Any]) -> Reply:
        net = sum(
            line["Quantity"] * line["Price"] * (1 - line.get("Discount", 0) / 100)
            for line in body["Lines"]
        )
        record = {
            "Number": body["Reference"],
            "RecordID": 90211,
            "Reference": body["Reference"],
            "CNumber": body["Customer"]["Number"],
            "TotalAmount": net,
            "TotalAmountWithTax": net * 1.24,
            "Project": body.get("Project", ""),
        }
        self.booked.append(record)
        return reply(200, record)

    def sent(self, method: str) -> list[tuple[str, Any]]:
        """Path and decoded body of every request by a method."""
        return [
            (unquote(r.path), msgspec.json.decode(r.body) if r.body else None)
            for r in self.requests
            if r.method == method
        ]

    @property
    def calls(self) -> list[str]:
        """`GET /customer/1` and so on, in order."""
        return [f"{r.method} {unquote(r.path)}" for r in self.requests]


def drive(flow: Flow, dk: Dk, cache: dict[str, Any] | None = None) -> Any:
    """Run a flow against a DK+ to its verdict; reference data is kept as the shell would."""
    kept: dict[str, Any] = {} if cache is None else cache
    given: Any = None
    while True:
        try:
            step = flow.send(given)
        except StopIteration as end:
            return end.value
        match step:
            case Call(request):
                given = dk.answer(request)
            case Write(request, intent):
                dk.intents.append(intent)
                given = dk.answer(request)
            case Forget(prefix):
                for key in [key for key in kept if key.startswith(prefix)]:
                    del kept[key]
                given = None
            case Look(key, fetch, suits):
                if key in kept and suits(kept[key]):
                    given = kept[key]
                else:
                    given = drive(fetch(), dk, kept)
                    if given is not None and not isinstance(given, Retry | Hold | Refused):
                        kept[key] = given


def job(event: Entity, **known: Any) -> Job:
    """A job of an event; `known` is what the ledger knows."""
    facts: dict[str, Any] = {"integration": INTEGRATION, **known}
    return Job(delivery_id="d-1", event=event, now=NOW, **facts)


def invoice_job(event: Invoice = INVOICE, **known: Any) -> Job:
    """An invoice whose customer and project are in the books."""
    facts = {
        "customer": reference(KENNITALA),
        "project": reference("2026-014"),
        "customer_event": CUSTOMER,
    }
    return job(event, **{**facts, **known})


def deliver(job_: Job, dk: Dk, cache: dict[str, Any] | None = None) -> Any:
    """The verdict of a delivery."""
    return drive(DkPlus().deliver(job_), dk, cache)


def reference(number: str) -> Reference:
    """A reference as the ledger keeps it."""
    return Reference(id=number, number=number)


def codes(warnings: tuple[Any, ...]) -> list[str]:
    """The codes of warnings, in order."""
    return [warning.code.value for warning in warnings]


def changed(struct: S, **members: Any) -> S:
    """A struct with some members changed."""
    return msgspec.structs.replace(struct, **members)
