"""A plain client of the simulated platform, for its own tests: it follows rules or breaks them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.sparebank1.simulator.answers import decode, encode
from connectors.sparebank1.simulator.serve import RunningSimulator, running_simulator
from connectors.sparebank1.simulator.settings import ClientConfig, CompanyConfig, SimulatorConfig
from connectors.sparebank1.simulator.switches import Switches

KEY = "3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11"
OTHER_KEY = "77777777-0a5e-4d0e-9d32-3f2a1f8d8b11"
CLIENT = "moment-sync-tests"
_PRIVATE = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE_PEM = _PRIVATE.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
PUBLIC_PEM = (
    _PRIVATE.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)


def config(switches: Switches | None = None, **more: Any) -> SimulatorConfig:
    """Two companies and one client."""
    companies = (
        CompanyConfig(key=KEY, name="Fjordkraft Rådgivning AS"),
        CompanyConfig(key=OTHER_KEY, name="Annen Bedrift AS", organisation_number="999888771"),
    )
    clients = (ClientConfig(client_id=CLIENT, public_key=PUBLIC_PEM),)
    return SimulatorConfig(
        companies=companies, clients=clients, switches=switches or Switches(), **more
    )


class Answered(msgspec.Struct, frozen=True):
    """What came back."""

    status: int
    json: Any
    headers: dict[str, str]
    text: str


class Client:
    """Talks to one simulator as one client of the platform."""

    def __init__(self, running: RunningSimulator, session: aiohttp.ClientSession) -> None:
        self.running, self.session, self.base = running, session, running.base_url
        self.token = ""

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = KEY,
        headers: dict[str, str] | None = None,
        seconds: float = 5,
        **query: Any,
    ) -> Answered:
        """One request; raises what aiohttp raises."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if key is not None:
            sent["CompanyKey"] = key
        if body is not None:
            sent["Content-Type"] = "application/json"
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self.session.request(
            method,
            self.base + path,
            params=query,
            data=None if body is None else encode(body),
            headers={**sent, **(headers or {})},
            timeout=timeout,
        ) as response:
            raw = await response.read()
            plain = "json" in response.headers.get("Content-Type", "") and raw
            json = _or_none(raw) if plain else None
            return Answered(response.status, json, dict(response.headers), raw.decode())

    async def get(self, path: str, **query: Any) -> Any:
        """The JSON of a read that must succeed."""
        answer = await self.send("GET", path, **query)
        assert answer.status == 200, answer
        return answer.json

    async def admin(self, path: str, body: object = None) -> Any:
        """The side door: GET without a body, else POST."""
        method = "GET" if body is None else "POST"
        answer = await self.send(method, f"/_simulator/{path}", body, key=None)
        assert answer.status == 200, answer
        return answer.json

    async def ask_token(self, **changed: Any) -> Answered:
        """A token request; `changed` replaces claims, or form fields where named so."""
        now = datetime.now(UTC)
        claims = {
            "jti": str(uuid4()),
            "iss": CLIENT,
            "sub": CLIENT,
            "aud": f"{self.base}/connect/token",
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(seconds=60)).timestamp()),
        }
        form = {
            "grant_type": "client_credentials",
            "scope": "AppFramework",
            "client_id": CLIENT,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }
        private = changed.pop("private_key", PRIVATE_PEM)
        form |= {name: changed.pop(name) for name in list(changed) if name in form}
        form["client_assertion"] = jwt.encode(claims | changed, private, algorithm="RS256")
        async with self.session.post(f"{self.base}/connect/token", data=form) as response:
            raw = await response.read()
            return Answered(response.status, decode(raw), {}, raw.decode())

    async def sign_in(self) -> None:
        """Take a token and use it from now on."""
        self.token = (await self.ask_token()).json["access_token"]

    # --- what most tests need ------------------------------------------------------------------

    async def customer(self, number: int = 100_042, **more: Any) -> Any:
        """Make a customer and give it back with its Account."""
        body = customer_body(number) | more
        answer = await self.send("POST", "/api/biz/customers", body)
        assert answer.status in (200, 201), answer
        path = f"/api/biz/customers/{answer.json['ID']}"
        return await self.get(path, expand="Account,Info,Info.DefaultEmail,Info.Phones")

    async def account_id(self, number: int) -> int:
        rows = await self.get("/api/biz/accounts", filter=f"AccountNumber eq {number}", top="9")
        return next(int(r["ID"]) for r in rows if r["AccountNumber"] == number)

    async def vat_id(self, code: str) -> int:
        rows = await self.get("/api/biz/vattypes", top="50", expand="VatTypePercentages")
        return next(int(r["ID"]) for r in rows if r["VatCode"] == code)

    async def voucher(self, invoice: str = "1001", **more: Any) -> Any:
        """A correct voucher body for customer 100042, who is made where missing."""
        books = self.running.books(KEY)
        if not books["customers"]:
            await self.customer()
            books = self.running.books(KEY)
        return voucher_body(
            books["customers"][0]["Account"]["ID"],
            await self.account_id(3000),
            await self.vat_id("3"),
            invoice,
            **more,
        )

    async def book(self, body: Any, **query: Any) -> Answered:
        """Post one voucher."""
        path = "/api/biz/journalentries"
        return await self.send("POST", path, [body], action="book-journal-entries", **query)

    def kinds(self) -> set[str]:
        """The kinds of violation so far."""
        return {violation.kind for violation in self.running.violations}


def _or_none(raw: bytes) -> Any:
    try:
        return decode(raw)
    except msgspec.DecodeError:
        return None


def guid() -> str:
    return str(uuid4())


def customer_body(number: int) -> dict[str, Any]:
    return {
        "_createguid": guid(),
        "CustomerNumber": number,
        "OrgNumber": "123456785",
        "CreditDays": 14,
        "Info": {
            "_createguid": guid(),
            "Name": "Nordlys Byggrådgivning AS",
            "DefaultEmail": {"_createguid": guid(), "EmailAddress": "faktura@nordlys.example"},
            "Phones": [{"_createguid": guid(), "Number": "22334456", "Type": 150103}],
        },
    }


def voucher_body(
    customer_account: int, income_account: int, vat: int, invoice: str, **more: Any
) -> dict[str, Any]:
    amount = more.pop("amount", Decimal("12500.00"))
    common = {"FinancialDate": "2026-03-10", "InvoiceNumber": invoice, "JournalEntryTypeID": 8}
    customer = {"AccountID": customer_account, "Amount": amount, "DueDate": "2026-03-24"}
    income = {"AccountID": income_account, "Amount": -amount, "VatTypeID": vat}
    lines = [line | common | {"_createguid": guid()} for line in (customer, income)]
    return {
        "Description": f"Faktura {invoice}",
        "ExternalReference": f"invoice:{invoice}",
        "DraftLines": lines,
    } | more


@asynccontextmanager
async def client(setup: SimulatorConfig | None = None, **more: Any) -> AsyncIterator[Client]:
    """A running simulator and a client of it that has a token."""
    async with (
        running_simulator(setup or config(), **more) as running,
        aiohttp.ClientSession() as session,
    ):
        talker = Client(running, session)
        await talker.sign_in()
        yield talker


def against(setup: SimulatorConfig | None, story: Callable[[Client], Awaitable[None]]) -> None:
    """Run a story against a fresh simulator."""

    async def whole() -> None:
        async with client(setup) as talker:
            await story(talker)

    asyncio.run(whole())


async def until(true: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for a condition, with a deadline."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is state, and sets no event
            await asyncio.sleep(0.005)
