"""SpareBank 1 Regnskap as a world of the contract tests."""

from contextlib import AsyncExitStack
from datetime import date
from decimal import Decimal
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.credentials import _key
from connectors.http import HttpSession
from connectors.integrations import DataType, Integration, PlatformClient, Secret, System
from connectors.simulation_faults import FaultRule
from connectors.sparebank1.connector import SpareBank1
from connectors.sparebank1.simulator.admin import DEEDS
from connectors.sparebank1.simulator.books import Books, Row
from connectors.sparebank1.simulator.model import CUSTOMER_DELETED
from connectors.sparebank1.simulator.report import rows
from connectors.sparebank1.simulator.serve import RunningSimulator, running_simulator
from connectors.sparebank1.simulator.settings import ClientConfig, CompanyConfig, SimulatorConfig
from connectors.tokens import Token, token_url
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

KEYS: Final = ("3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11", "77777777-0a5e-4d0e-9d32-3f2a1f8d8b11")
_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM: Final = _KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
_PUBLIC: Final = (
    _KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
_STATES: Final = {42201: "registered", 42202: "offer", 42203: "inProgress", 42204: "completed"}
_FAX: Final = 150103
_SOLD: Final = range(3000, 4000)


class Sparebank1World(World):
    """Two companies of one bank, each reached by a client of its own."""

    system = System.SPAREBANK1
    connector = SpareBank1()
    shape = Shape(
        customer_fields=(
            *("name", "organisation_number", "email", "website", "phone", "fax", "currency"),
            *("line1", "line2", "postal_code", "city", "country"),
        ),
        booking="voucher.book",
        reads=("customer.list", "customer.get", "project.list", "project.get"),
        look_ups=("voucher.list", "line.list", "statistics"),
    )

    async def start(self, stack: AsyncExitStack) -> None:
        companies = (
            CompanyConfig(key=KEYS[0], name="Fjordkraft AS"),
            CompanyConfig(key=KEYS[1], name="Annen AS", organisation_number="999888771"),
        )
        clients = tuple(
            ClientConfig(client_id=f"client-{key[:4]}", public_key=_PUBLIC, companies=(key,))
            for key in KEYS
        )
        config = SimulatorConfig(companies=companies, clients=clients, hostile=self.hostile)
        self.running: RunningSimulator = await stack.enter_async_context(
            running_simulator(config, clock=self.clock.now)
        )
        host = frozenset({self.running.base_url.removeprefix("http://")})
        http = await stack.enter_async_context(HttpSession(host, host))
        self.wire(http, {"SB1_KEY": PEM})
        self.here, self.there = (self._integration(key) for key in KEYS)

    def _integration(self, key: str) -> Integration:
        return Integration(
            id=f"sb1-{key[:4]}",
            company="c-1001",
            system=System.SPAREBANK1,
            base_url=self.running.base_url,
            identity_url=self.running.base_url,
            company_key=key,
            client=PlatformClient(client_id=f"client-{key[:4]}", key=Secret(env="SB1_KEY")),
            data=frozenset(DataType),
            notify="regnskap@fjord.example",
        )

    def warm(self) -> None:
        identity = self.running.server.simulator.identity
        for integration in (self.here, self.there):
            key = _key(integration)
            assert key is not None
            client = identity.clients[key.client.client_id]
            endpoint = token_url(key.identity_url)
            value = identity._grant(client, endpoint, self.clock.now())
            now = self.clock.elapsed()
            token = Token(value=value, issued_at=now, renew_at=now + 3000, ends_at=now + 3500)
            self.credentials._tokens[key] = token

    @property
    def secrets(self) -> tuple[str, ...]:  # type: ignore[override]  # tokens come while it runs
        lines = tuple(line for line in PEM.splitlines() if "-----" not in line)
        return (*KEYS, *self.running.server.simulator.identity.tokens, *lines, "eyJ")

    def sent_secrets(self) -> tuple[str, ...]:
        return (KEYS[0], *self.running.server.simulator.identity.tokens)

    def set_faults(self, *rules: FaultRule) -> None:
        self.running.server.faults.replace(rules)

    def late(self) -> bool:
        server = self.running.server
        slow = any(one["fault"] == "slow" and one["status"] is None for one in server.log)
        return slow or bool(server.delayed._handles)

    def asked(self) -> list[Asked]:
        return [
            Asked(kind=one["kind"], write=one["method"] != "GET", fault=one["fault"])
            for one in self.running.server.log
            if one["kind"] != "token"
        ]

    def violations(self) -> list[str]:
        return [f"{one.kind}: {one.text}" for one in self.running.violations]

    # --- the books ----------------------------------------------------------------------------

    def raw(self, at: Integration | None = None) -> Books:
        """The simulator's own tables."""
        return self.running.server.simulator.books[(at or self.here).company_key]

    def _report(self, at: Integration | None) -> dict[str, Any]:
        return self.running.books((at or self.here).company_key)

    def customers(self, number: str, at: Integration | None = None) -> list[dict[str, str]]:
        found = self._report(at)["customers"]
        living = [row for row in found if not row["Deleted"]]
        return [
            self._customer(row, self.raw(at))
            for row in living
            if str(row["CustomerNumber"]) == number
        ]

    def _customer(self, row: Row, books: Books) -> dict[str, str]:
        info = row["Info"]
        address = info.get("InvoiceAddress") or {}
        faxes = [p["Number"] for p in info.get("Phones") or () if p.get("Type") == _FAX]
        assert len(faxes) <= 1, faxes
        found = {
            "name": info["Name"],
            "organisation_number": row["OrgNumber"],
            "website": row["WebUrl"],
            "email": (info.get("DefaultEmail") or {}).get("EmailAddress"),
            "phone": (info.get("DefaultPhone") or {}).get("Number"),
            "fax": faxes[0] if faxes else None,
            "currency": (books.row("CurrencyCode", row["CurrencyCodeID"]) or {}).get("Code"),
            "line1": address.get("AddressLine1"),
            "line2": address.get("AddressLine2"),
            "postal_code": address.get("PostalCode"),
            "city": address.get("City"),
            "country": address.get("CountryCode"),
        }
        return {name: text_or_empty(value) for name, value in found.items()}

    def projects(self, number: str, at: Integration | None = None) -> list[dict[str, str]]:
        return [
            {
                "name": row["Name"],
                "customer": text_or_empty((row["ProjectCustomer"] or {}).get("CustomerNumber")),
                "state": _STATES[row["StatusCode"]],
                "start": text_or_empty(row["StartDate"]),
                "end": text_or_empty(row["EndDate"]),
            }
            for row in self._report(at)["projects"]
            if row["ProjectNumber"] == number
        ]

    def bookings(self, number: str, at: Integration | None = None) -> list[Booking]:
        vouchers = self._report(at)["vouchers"]
        return [_booking(one) for one in vouchers if one["invoiceNumber"] == number]

    def snapshot(self) -> Any:
        times = ("UpdatedAt", "UpdatedBy")
        return {
            (key, name, row["ID"]): {k: v for k, v in row.items() if k not in times}
            for key, books in self.running.server.simulator.books.items()
            for name in books.tables
            for row in rows(books, name)
        }

    # --- what people do to the books ----------------------------------------------------------

    def deed(self, name: str, body: Any, at: Integration | None = None) -> Any:
        """What a person can do to the books by the simulator's side door."""
        books = self.raw(at)
        with books.transaction():
            return DEEDS[name](self.running.server, books, body)

    def have_customer(self, number: str, **fields: str) -> None:
        info: Row = {"Name": fields.get("name", "Fra før AS")}
        if "phone" in fields:
            phone = {"Number": fields["phone"], "Type": 150101}
            info["DefaultPhone"] = phone | {"_createguid": "11111111-0000-4000-8000-000000000001"}
        body = {"CustomerNumber": int(number), "Info": info}
        body["_createguid"] = "11111111-0000-4000-8000-000000000002"
        info["_createguid"] = "11111111-0000-4000-8000-000000000003"
        self.deed("customers", body)

    def have_project(self, number: str, name: str, customer: str) -> None:
        owner = self.raw().table("Customer").where("CustomerNumber", int(customer))[0]["ID"]
        body = {"ProjectNumber": number, "Name": name, "ProjectCustomerID": owner}
        self.deed("projects", body | {"_createguid": "11111111-0000-4000-8000-000000000004"})

    def accountants_own(self, number: str) -> dict[str, Any]:
        books = self.raw()
        row = books.table("Customer").where("CustomerNumber", int(number))[0]
        own = {"CreditDays": 45, "GLN": "7080000000000", "AvtaleGiro": True}
        if row["GLN"] is None:
            now = self.clock.now()
            address = {"AddressLine1": "Lageret 9", "BusinessRelationID": row["BusinessRelationID"]}
            made = books.make("Address", address, now)
            info = books.row("BusinessRelation", row["BusinessRelationID"]) or {}
            books.change("BusinessRelation", info, {"ShippingAddressID": made["ID"]})
            row = books.change("Customer", row, own)
        info = books.row("BusinessRelation", row["BusinessRelationID"]) or {}
        return {name: row[name] for name in own} | {"shipping": info["ShippingAddressID"]}

    def mark_deleted(self, number: str) -> None:
        """A person deletes a customer: it stays in lists."""
        row = self.raw().table("Customer").where("CustomerNumber", int(number))[0]
        self.raw().change("Customer", row, {"StatusCode": CUSTOMER_DELETED})

    # --- events -------------------------------------------------------------------------------

    def customer(self, **changes: Any) -> Customer:
        fields: dict[str, Any] = {
            "company": "c-1001",
            "number": "100042",
            "name": "Nordlys Ærø AS",
            "status": CustomerStatus.ACTIVE,
            "organisation_number": "123456785",
            "email": "post@nordlys.example",
            "website": "https://nordlys.example",
            "phone": "22334455",
            "fax": "22334456",
            "currency_code": "NOK",
            "country_code": "NO",
            "address": Address(line1="Storgata 1", line2="2. etg", postal_code="0155", city="Oslo"),
        }
        return Customer(**{**fields, **changes})

    def project(self, **changes: Any) -> Project:
        fields: dict[str, Any] = {
            "company": "c-1001",
            "number": "10024",
            "name": "Sentrumskvartalet",
            "customer_number": "100042",
            "state": ProjectState.IN_PROGRESS,
            "start_date": date(2026, 1, 5),
            "end_date": date(2026, 12, 18),
        }
        return Project(**{**fields, **changes})

    def line(self, total: str, **changes: Any) -> InvoiceLine:
        fields: dict[str, Any] = {
            "product_type": ProductType.HOURS,
            "quantity": Decimal(1),
            "unit_price": Decimal(total),
            "total_excl_vat": Decimal(total),
            "account": Account(number="3000"),
            "description": "Prosjektering",
            "unit": "t",
            "vat_code": "3",
            "vat_percent": Decimal(25),
        }
        return InvoiceLine(**{**fields, **changes})

    def invoice(self, *lines: InvoiceLine, **changes: Any) -> Invoice:
        fields: dict[str, Any] = {
            "company": "c-1001",
            "number": "1001",
            "kind": InvoiceKind.INVOICE,
            "customer_number": "100042",
            "invoice_date": date(2026, 3, 10),
            "due_date": date(2026, 3, 24),
            "currency_code": "NOK",
            "payment_id": "10017",
            "description": "Mars",
            "lines": lines or (self.line("10000"),),
        }
        return Invoice(**{**fields, **changes})

    def credit_note(self, *lines: InvoiceLine, **changes: Any) -> Invoice:
        credit = {
            "number": "1002",
            "kind": InvoiceKind.CREDIT_NOTE,
            "credited_invoice_number": "1001",
            "payment_id": None,
        }
        return self.invoice(*(lines or (self.line("-10000"),)), **{**credit, **changes})


def _booking(voucher: dict[str, Any]) -> Booking:
    (customer,) = [line for line in voucher["lines"] if line["customerNumber"]]
    sold = [line for line in voucher["lines"] if line["account"] in _SOLD and not line["vatLine"]]
    return Booking(
        reference=voucher["number"],
        customer=str(customer["customerNumber"]),
        owed=customer["amount"],
        due=text_or_empty(customer["dueDate"]),
        project=text_or_empty(sold[0]["projectNumber"]),
        text=customer["description"],
        lines=tuple(Posting(net=-line["amount"], text=line["description"]) for line in sold),
        more={"payment": text_or_empty(customer["paymentId"]), "type": str(customer["type"])},
    )


def made(clock: PassingClock, hostile: bool) -> World:
    """What `Place` makes its world by."""
    return Sparebank1World(clock, hostile)
