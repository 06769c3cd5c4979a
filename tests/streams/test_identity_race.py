"""Books that are asked for anew while the answer to an earlier question is being written down."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec

from connectors import port
from connectors.integrations import Integration
from schemas.failures import Failure, FailureCode
from streams.holding import Holding
from streams.ledger.holds import HoldRow
from streams.ledger.known_books import Known
from streams.ledger.rules import Moment
from streams.ledger.work import Want
from streams.settings import load
from streams.tenants import Tenant

NOW = Moment(wall=1_790_000_000.0, elapsed=1000.0, boot="host/1")
REFUSED = Failure(code=FailureCode.RIGHT_MISSING, parameters={"answer": "no"})
SETTINGS = load(
    {
        "MOMENT_SYNC_KAFKA": "127.0.0.1:9092",
        "MOMENT_SYNC_LEDGER": "sqlite:///x.db",
        "MOMENT_SYNC_INTEGRATIONS": "x.toml",
    }
)
INTEGRATION = msgspec.convert(
    {
        "id": "vik-dk",
        "company": "c-2001",
        "system": "dkplus",
        "base_url": "http://127.0.0.1:9",
        "token_file": "x",
        "sales_person": "web",
        "data": ["customers"],
        "notify": "a@b.example",
        "language": "is",
    },
    Integration,
    strict=False,
)


class Ledger:
    """Says that the books are accepted; what it is told of the hold waits until it is let go."""

    def __init__(self) -> None:
        self.writing = asyncio.Event()
        self.go = asyncio.Event()

    async def submit(self, operation: Any, _item: Any) -> Any:
        if operation.name == "identify":
            return Known(accepted=True, look_up_until=0.0)
        self.writing.set()
        await self.go.wait()
        return None

    async def read(self, _query: Any) -> dict[str, HoldRow]:
        return {}


def test_books_that_an_empty_probe_asks_for_anew_are_not_put_off_for_an_hour() -> None:
    async def story() -> None:
        tenant, ledger = Tenant(INTEGRATION, SETTINGS), Ledger()
        tenant.hold = HoldRow(
            integration="vik-dk",
            failure=REFUSED,
            since=NOW.wall,
            probe_at=NOW.wall,
            pause_until=None,
        )

        async def identify(_integration: Integration) -> port.Identification:
            return port.Identity(books="books of vik")

        desk: Any = SimpleNamespace(
            clock=SimpleNamespace(elapsed=lambda: NOW.elapsed),
            now=lambda: NOW,
            settings=SETTINGS,
            performer=SimpleNamespace(identify=identify),
            ledger=ledger,
            tenants=SimpleNamespace(by_id={"vik-dk": tenant}, in_force=dict),
            partitions=1,
            active={0: 1},
            work=asyncio.Event(),
        )
        holding = Holding(desk)
        asked = asyncio.create_task(holding._identify(tenant))
        await ledger.writing.wait()
        probe = Want(
            integration=INTEGRATION, sends=1, bookings=1, books="", held=REFUSED, probe=True
        )
        holding.end_empty_probes((probe,), set())
        assert tenant.books is None
        ledger.go.set()
        await asked
        assert tenant.identify_at <= NOW.elapsed, "it is asked at once"

    asyncio.run(story())
