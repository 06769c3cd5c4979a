"""DK+ as a world of the contract tests."""

from contextlib import AsyncExitStack
from copy import deepcopy
from datetime import date
from decimal import Decimal
from typing import Any, Final

from connectors.dkplus.connector import DkPlus
from connectors.dkplus.simulator import customers, projects
from connectors.dkplus.simulator.admin import snapshot
from connectors.dkplus.simulator.books import Books
from connectors.dkplus.simulator.books import Invoice as BookedInvoice
from connectors.dkplus.simulator.serve import Running, running_simulator
from connectors.dkplus.simulator.settings import CompanyConfig, ProductConfig, SimulatorConfig
from connectors.http import HttpSession
from connectors.integrations import DataType, Integration, Secret, System
from connectors.simulation_faults import FaultRule
from schemas.events import (
    Account,
    Address,
    Customer,
    CustomerStatus,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
)
from tests.contracts.world import Asked, Booking, PassingClock, Posting, Shape, World, text_or_empty

TOKENS: Final = ("0b9c1c0e-9c42-4a5a-8f5e-0d3c1f6f2a01", "0b9c1c0e-9c42-4a5a-8f5e-0d3c1f6f2a02")
KENNITALA: Final = "7112992030"


class DkPlusWorld(World):
    """Two companies of dk, each with a token of its own."""

    system = System.DKPLUS
    connector = DkPlus()
    shape = Shape(
        customer_fields=(
            *("name", "organisation_number", "phone", "country"),
            *("line1", "line2", "postal_code", "city", "blocked"),
        ),
        booking="invoice.create",
        reads=("customer.read", "project.read", "product.read", "company.read"),
        look_ups=("invoice.by-reference",),
    )
    secrets = TOKENS

    async def start(self, stack: AsyncExitStack) -> None:
        names = ("vik", "eyri")
        companies = tuple(
            CompanyConfig(
                token=token,
                name=name,
                key=name,
                products=(ProductConfig(item_code="raðgjof", description="Ráðgjöf"),),
            )
            for token, name in zip(TOKENS, names, strict=True)
        )
        config = SimulatorConfig(
            companies=companies, preset="hostile" if self.hostile else "default"
        )
        self.running: Running = await stack.enter_async_context(
            running_simulator(config, now=self.clock.now)
        )
        host = frozenset({f"127.0.0.1:{self.running.port}"})
        http = await stack.enter_async_context(HttpSession(host, host))
        self._faults_before = 0
        self.wire(http, dict(zip(names, TOKENS, strict=True)))
        self.here, self.there = (self._integration(name) for name in names)

    def _integration(self, name: str) -> Integration:
        return Integration(
            id=name,
            company="c-2001",
            system=System.DKPLUS,
            base_url=self.running.base_url,
            token=Secret(env=name),
            data=frozenset(DataType),
            notify="bokhald@vik.example",
            sales_person="web",
        )

    def warm(self) -> None:
        """There is nothing to ask for: tokens of DK+ are made by hand."""

    def sent_secrets(self) -> tuple[str, ...]:
        return TOKENS[:1]

    def set_faults(self, *rules: FaultRule) -> None:
        self.running.simulator.plan.replace(rules)
        self._faults_before = sum(one.fault is not None for one in self.asked())

    def late(self) -> bool:
        simulator = self.running.simulator
        # A call is on the list when it is over; one that met a fault and is not there is not.
        over = sum(one.fault is not None for one in self.asked()) - self._faults_before
        return sum(simulator.plan.met) > over or bool(simulator.delayed._handles)

    def asked(self) -> list[Asked]:
        return [
            Asked(kind=one["kind"], write=one["method"] != "GET", fault=one["fault"])
            for one in self.running.simulator.calls
        ]

    def violations(self) -> list[str]:
        return [f"{one.kind}: {one.text}" for one in self.running.violations()]

    # --- the books ----------------------------------------------------------------------------

    def raw(self, at: Integration | None = None) -> Books:
        """The simulator's own books."""
        return self.running.books((at or self.here).id)

    def customers(self, number: str, at: Integration | None = None) -> list[dict[str, str]]:
        return [
            {
                "name": row["Name"],
                "organisation_number": row.get("SSNumber", ""),
                "phone": row["Phone"],
                "country": row["CountryCode"],
                "line1": row["Address1"],
                "line2": row["Address2"],
                "postal_code": row["ZipCode"],
                "city": row.get("City", ""),
                "blocked": str(row["Blocked"]),
            }
            for row in self.raw(at).customers.values()
            if row["Number"].replace("-", "") == number
        ]

    def projects(self, number: str, at: Integration | None = None) -> list[dict[str, str]]:
        return [
            {"name": row["Name"], "customer": row["CustomerToBill"]}
            for row in self.raw(at).projects.values()
            if row["Number"] == number
        ]

    def bookings(self, number: str, at: Integration | None = None) -> list[Booking]:
        return [_booking(one) for one in self.raw(at).sent_as(number) if one.posted]

    def snapshot(self) -> Any:
        companies = self.running.simulator.companies.values()
        whole = deepcopy([snapshot(books) for books in companies])
        for books in whole:
            del books["counts"]
            for customer in books["customers"].values():
                customer.pop("Modified")
        return whole

    # --- what people do to the books ----------------------------------------------------------

    def have_customer(self, number: str, **fields: str) -> None:
        names = {"name": "Name", "phone": "Phone", "ssn": "SSNumber"}
        body = {"Name": "Frá fyrri tíð", **{names[k]: v for k, v in fields.items()}}
        reply = customers.create(self.raw(), {"Number": number, **body}, self.clock.now())
        assert reply.status == 200, reply

    def have_project(self, number: str, name: str, customer: str) -> None:
        body = {"Number": number, "Name": name, "CustomerToBill": customer}
        assert projects.create_project(self.raw(), body, self.clock.now()).status == 200

    def accountants_own(self, number: str) -> dict[str, Any]:
        books = self.raw()
        own = {"PaymentTerm": "d30", "Email": "reikningar@example.is", "Discount": Decimal(5)}
        row = books.customers[number]
        if not row["PaymentTerm"]:
            books.put("customer", number, {**row, **own})
        return {name: books.customers[number][name] for name in own}

    # --- events -------------------------------------------------------------------------------

    def customer(self, **changes: Any) -> Customer:
        fields: dict[str, Any] = {
            "company": "c-2001",
            "number": KENNITALA,
            "name": "Ærslabelgur ehf.",
            "status": CustomerStatus.ACTIVE,
            "organisation_number": KENNITALA,
            "email": "post@aersl.example",
            "phone": "5550000",
            "country_code": "IS",
            "address": Address(
                line1="Þórsgata 1", line2="2. hæð", postal_code="101", city="Reykjavík"
            ),
        }
        return Customer(**{**fields, **changes})

    def project(self, **changes: Any) -> Project:
        fields: dict[str, Any] = {
            "company": "c-2001",
            "number": "2026-014",
            "name": "Brúarhönnun, Ölfusá",
            "customer_number": KENNITALA,
            "state": ProjectState.IN_PROGRESS,
        }
        return Project(**{**fields, **changes})

    def line(self, total: str, **changes: Any) -> InvoiceLine:
        fields: dict[str, Any] = {
            "product_type": ProductType.HOURS,
            "product_number": "Raðgjof",
            "quantity": Decimal(1),
            "unit_price": Decimal(total),
            "total_excl_vat": Decimal(total),
            "account": Account(number="3000"),
            "description": "Ráðgjöf í mars",
            "vat_percent": Decimal(24),
        }
        return InvoiceLine(**{**fields, **changes})

    def invoice(self, *lines: InvoiceLine, **changes: Any) -> Invoice:
        fields: dict[str, Any] = {
            "company": "c-2001",
            "number": "10457",
            "kind": InvoiceKind.INVOICE,
            "customer_number": KENNITALA,
            "invoice_date": date(2026, 3, 31),
            "due_date": date(2026, 4, 30),
            "currency_code": "ISK",
            "description": "Mars",
            "lines": lines or (self.line("199000"),),
        }
        return Invoice(**{**fields, **changes})

    def credit_note(self, *lines: InvoiceLine, **changes: Any) -> Invoice:
        credit = {
            "number": "10458",
            "kind": InvoiceKind.CREDIT_NOTE,
            "credited_invoice_number": "10457",
        }
        return self.invoice(*(lines or (self.line("-199000"),)), **{**credit, **changes})


def _booking(invoice: BookedInvoice) -> Booking:
    record = invoice.record
    return Booking(
        reference=text_or_empty(invoice.number),
        customer=record["CNumber"],
        owed=record["TotalAmountWithTax"],
        due=record["DueDate"][:10],
        project=record["Project"],
        text=record["Text1"],
        lines=tuple(
            Posting(net=line["TotalAmount"], text=line["Text"]) for line in record["Lines"]
        ),
        more={
            "kennitala": record["CSSNumber"],
            "sales person": record["SalePerson"],
            "reference": record["Reference"],
        },
    )


def made(clock: PassingClock, hostile: bool) -> World:
    """What `Place` makes its world by."""
    return DkPlusWorld(clock, hostile)
