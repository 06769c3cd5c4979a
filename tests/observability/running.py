"""A real worker, all of it but Kafka's client: what is fetched is handed in, what goes out read.

Its accounting system is the simulator of DK+, over real HTTP.
"""

import asyncio
import itertools
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import text

from connectors.dkplus.simulator import serve as dkplus
from connectors.dkplus.simulator.settings import CompanyConfig, SimulatorConfig
from schemas.cloudevents import Attributes, Mode
from schemas.codec import encode_event
from schemas.events import Customer, CustomerStatus, Entity
from schemas.wire import Record
from streams.app import Worker
from streams.integrations_file import read as read_integrations
from streams.ledger.outbox import mark_published
from streams.ledger.schema import migrate
from streams.local.guarded import free_port
from streams.ports import OutboxRow
from streams.settings import load
from streams.tracing_spans import Tracing
from streams.web.health import Limits
from streams.web.pages import WebServer

PARTITIONS = 4
COMPANY = "c-2001"
INTEGRATION = "vik-dk"
DEADLINE_S = 20.0
QUICK = {
    "RETRY_BASE": "50ms",
    "RETRY_MAX": "100ms",
    "DKPLUS_TIMEOUT": "5s",
    "DKPLUS_SETTLE": "100ms",
    "SPAREBANK1_TIMEOUT": "5s",
    "SPAREBANK1_SETTLE": "100ms",
}
_offsets = itertools.count()


def customer(number: str = "100042", company: str = COMPANY) -> Customer:
    return Customer(company=company, number=number, name="Vík ehf", status=CustomerStatus.ACTIVE)


def record_of(
    entity: Entity,
    ce_id: str,
    *,
    traceparent: str | None = None,
    header: str | None = None,
    mode: Mode = Mode.BINARY,
) -> Record:
    """The record of an event. `header`: a `traceparent` of Kafka's own, beside the event's."""
    out = encode_event(
        Attributes(
            id=ce_id,
            source="/moment/crm",
            type="team.moment.customer.updated",
            traceparent=traceparent,
        ),
        entity,
        mode=mode,
    )
    extra = (("traceparent", header.encode()),) if header else ()
    return Record(
        topic=out.topic,
        partition=0,
        offset=next(_offsets),
        timestamp_ms=1_790_000_000_000,
        key=out.key,
        value=out.value,
        headers=(*out.headers, *extra),
    )


class Running:
    """A worker at work, for one test."""

    def __init__(self, worker: Worker, web: WebServer) -> None:
        self.worker = worker
        self.web = web
        self.intake = worker._app.seams.intake

    async def take(self, *records: Record) -> None:
        await self.intake.take(records)

    async def until(self, look: Callable[[], Any], what: str, seconds: float = DEADLINE_S) -> Any:
        """What `look` returns once it is true."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    found = await asyncio.to_thread(look)
                    if found:
                        return found
                    await asyncio.sleep(0.02)
        raise AssertionError(f"not within {seconds} s: {what}")

    async def published(self) -> list[OutboxRow]:
        """Publish what is in the outbox, to nobody."""
        rows = list(await self.worker.outbox.unpublished(1000))
        await self.worker.outbox.published([row.position for row in rows])
        await self.worker.ledger.submit(mark_published, ())  # which takes the others along
        self.worker.meters.published(rows)
        return rows

    def state(self, ce_id: str) -> str | None:
        """The state of an event's delivery; None before there is one. Blocks."""
        query = (
            "SELECT state FROM deliveries d JOIN inbox i ON i.event_pk = d.event_pk "
            "WHERE ce_id = :ce_id"
        )
        found = self.worker.ledger.read_now(
            lambda c: c.execute(text(query), {"ce_id": ce_id}).scalar()
        )
        return None if found is None else str(found)

    def asked(self, page: str) -> tuple[int, str]:
        """Status and text of a page. Blocks."""
        address = self.worker.settings.web
        url = f"http://{address.host}:{address.port}/{page}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def health(self) -> tuple[int, list[str]]:
        """Status of /healthz, and the kinds of problem that it tells."""
        status, text = self.asked("healthz")
        return status, [problem["kind"] for problem in json.loads(text)["problems"]]


def set_up(directory: Path, url: str, tracing: Tracing | None = None, **changes: str) -> Worker:
    """A worker of this directory's ledger, not started."""
    (directory / "vik").write_text("token-vik")
    host = url.split("/")[2]
    (directory / "integrations.toml").write_text(
        f'allow_hosts = ["{host}"]\n[[integrations]]\nid = "{INTEGRATION}"\n'
        f'company = "{COMPANY}"\nsystem = "dkplus"\ntoken_file = "{directory}/vik"\n'
        f'base_url = "{url}"\nsales_person = "web"\ndata = ["customers"]\n'
        'notify = "bokhald@vik.example"\nlanguage = "is"\n'
    )
    given = {
        "LEDGER": f"sqlite:///{directory}/ledger.db",
        "INTEGRATIONS": f"{directory}/integrations.toml",
        "WEB": f"127.0.0.1:{free_port()}",
        **QUICK,
        **changes,
    }
    environ = {f"MOMENT_SYNC_{name}": value for name, value in given.items()}
    settings = load(environ)
    migrate(settings.ledger)
    return Worker(
        settings,
        read_integrations(settings.integrations, environ),
        partitions=PARTITIONS,
        max_letter_bytes=1_000_000,
        environ=environ,
        tracing=tracing,
    )


@asynccontextmanager
async def books() -> AsyncIterator[str]:
    """DK+, as its simulator is; the base URL."""
    config = SimulatorConfig(companies=(CompanyConfig(token="token-vik", name="Vik"),))
    async with dkplus.running_simulator(config) as simulator:
        yield simulator.base_url


@asynccontextmanager
async def running(
    directory: Path,
    url: str,
    *,
    limits: Limits | None = None,
    tracing: Tracing | None = None,
    **changes: str,
) -> AsyncIterator[Running]:
    """A worker at work, with its pages, until the block ends."""
    worker = set_up(directory, url, tracing, **changes)
    web = WebServer(worker, "0.1.0", limits=limits)
    worker.ledger.start()
    async with worker._connections:
        worker.dispatcher.set_up(worker._by_id)
        await web.start()
        await worker.dispatcher.assigned(frozenset(range(PARTITIONS)))
        worker.dispatcher.sought()
        working = asyncio.create_task(worker.dispatcher.run())
        try:
            yield Running(worker, web)
        finally:
            await worker.dispatcher.stop(5.0)
            await working
            await web.stop()
    await worker.ledger.stop()


def play(directory: Path, story: Callable[[Running], Awaitable[None]], **how: Any) -> None:
    """Run a story with a worker at work."""

    async def run() -> None:
        async with books() as url, running(directory, url, **how) as worker:
            await asyncio.wait_for(story(worker), 60.0)

    asyncio.run(run())
