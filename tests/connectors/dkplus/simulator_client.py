"""A bare client of the simulator, for its tests: it says what it is told to say."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec

from connectors.dkplus.simulator.serve import Running, running_simulator
from connectors.dkplus.simulator.settings import CompanyConfig, ProductConfig, SimulatorConfig
from connectors.simulation_faults import FaultRule

TOKEN = "0b9c1c0e-9c42-4a5a-8f5e-0d3c1f6f2a01"
OTHER_TOKEN = "0b9c1c0e-9c42-4a5a-8f5e-0d3c1f6f2a02"
KENNITALA = "7112992030"
START = datetime(2026, 3, 31, 14, 22, 10, tzinfo=UTC)
CLIENT_SECONDS = 5  # a client that waits longer has met a bug of the simulator


class HandClock:
    """A wall clock that moves by hand."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def pass_seconds(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class Got(msgspec.Struct, frozen=True):
    """A complete answer."""

    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body, numbers with a point as Decimal."""
        return msgspec.json.Decoder(float_hook=Decimal).decode(self.text)


class Dk:
    """The simulator as a client sees it, and its admin side."""

    def __init__(self, running: Running, session: aiohttp.ClientSession, clock: HandClock) -> None:
        self.running = running
        self.clock = clock
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = TOKEN,
        raw: bytes | None = None,
        scheme: str = "Bearer",
    ) -> Got:
        """One call below /api/v1; raises aiohttp.ClientError or TimeoutError as a client would."""
        data = raw if raw is not None else None if body is None else encoded(body)
        async with self._session.request(
            method,
            self.running.base_url + path,
            data=data,
            headers={"Authorization": f"{scheme} {token}", "Accept": "application/json"},
        ) as response:
            return Got(response.status, (await response.read()).decode(), dict(response.headers))

    async def admin(self, path: str, body: Any = None) -> Any:
        """A POST to the admin side where there is a body, else a GET; must succeed."""
        async with self._session.request(
            "GET" if body is None else "POST", self.running.admin_url + path, json=body
        ) as response:
            assert response.status == 200, await response.text()
            return msgspec.json.Decoder(float_hook=Decimal).decode(await response.read())

    def kinds(self) -> list[str]:
        """The kinds of the violations so far."""
        return [violation.kind for violation in self.running.violations()]

    async def customer(self, number: str = KENNITALA, **members: Any) -> Got:
        """A customer made the right way: asked for, then created."""
        await self.call("GET", f"/customer/{number}")
        body = {"Number": number, "Name": "Ærslabelgur ehf.", "SSNumber": KENNITALA, **members}
        return await self.call("POST", "/customer", body)

    async def invoice(self, post: str = "?post=true", **members: Any) -> Got:
        """An invoice that is right but for what `members` change."""
        return await self.call("POST", f"/sales/invoice{post}", invoice_body(**members))


def encoded(body: Any) -> bytes:
    """JSON with Decimals as numbers."""
    return msgspec.json.Encoder(decimal_format="number").encode(body)


def line(**members: Any) -> dict[str, Any]:
    """The contract's first line, changed by `members`; one given as None is left out."""
    whole = {
        "ItemCode": "raðgjof",
        "Text": "Ráðgjöf í mars",
        "Quantity": 10,
        "Price": 19900,
        "IncludingVAT": False,
        **members,
    }
    return {name: value for name, value in whole.items() if value is not None}


def invoice_body(**members: Any) -> dict[str, Any]:
    """The contract's invoice with one line, changed by `members`; None leaves one out."""
    whole = {
        "Customer": {"Number": KENNITALA, "SSN": KENNITALA},
        "Reference": "10457",
        "Date": "2026-03-31T00:00:00Z",
        "DueDate": "2026-04-30T00:00:00Z",
        "Currency": "ISK",
        "SalesPerson": "web",
        "Lines": [line()],
        **members,
    }
    return {name: value for name, value in whole.items() if value is not None}


def company(**members: Any) -> CompanyConfig:
    """Vík, with two products."""
    whole = {
        "token": TOKEN,
        "name": "Vík ehf.",
        "key": "vik",
        "products": (
            ProductConfig(item_code="Raðgjof", description="Ráðgjöf"),
            ProductConfig(item_code="bok", tax_percent=Decimal(11), allow_discount=False),
        ),
        **members,
    }
    return CompanyConfig(**whole)


Scenario = Callable[[Dk], Awaitable[None]]


def simulate(
    scenario: Scenario,
    *,
    companies: tuple[CompanyConfig, ...] | None = None,
    faults: tuple[FaultRule, ...] = (),
    switches: dict[str, Any] | None = None,
    **config: Any,
) -> None:
    """Run a scenario against a fresh simulator on a free port."""

    async def whole() -> None:
        clock = HandClock()
        settings = SimulatorConfig(
            companies=(company(),) if companies is None else companies,
            faults=faults,
            switches=switches or {},
            **config,
        )
        timeout = aiohttp.ClientTimeout(total=CLIENT_SECONDS)
        async with (
            running_simulator(settings, now=clock.now) as running,
            aiohttp.ClientSession(timeout=timeout) as session,
        ):
            await scenario(Dk(running, session, clock))

    asyncio.run(whole())
