"""An integration whose books have not said whose they are, held for it and resumed."""

import asyncio
import json
import urllib.request
from pathlib import Path

from connectors.dkplus.simulator import serve as dkplus
from connectors.dkplus.simulator.settings import CompanyConfig, SimulatorConfig
from schemas.cloudevents import Attributes
from schemas.commands import CommandData, encode_command
from schemas.wire import Record
from streams.ledger.holds import load_holds
from tests.observability.running import INTEGRATION, Running, customer, record_of, running

BOOKS = CompanyConfig(token="token-vik", name="Vik")
LATER = "60s"  # longer than the test waits: a probe that comes in its own time does not help


def _resume() -> Record:
    attributes = Attributes(id="r1", source="/ops", type="moment-sync.command.resume")
    key = INTEGRATION.encode()
    out = encode_command(attributes, CommandData(by="kari", integration=INTEGRATION), key=key)
    return Record(
        topic=out.topic,
        partition=0,
        offset=0,
        timestamp_ms=1_790_000_000_000,
        key=out.key,
        value=out.value,
        headers=out.headers,
    )


def _token(url: str, *, revoked: bool) -> None:
    admin = f"{url.removesuffix('/api/v1')}/_simulator/books/{BOOKS.identity}/token"
    body = json.dumps({"revoked": revoked}).encode()
    with urllib.request.urlopen(admin, data=body, timeout=5) as answer:  # noqa: S310 - loopback
        assert answer.status == 200


def test_what_is_resumed_goes_at_once_though_its_books_were_never_identified(
    tmp_path: Path,
) -> None:
    async def story(w: Running, url: str) -> None:
        await w.take(record_of(customer(), "a"))

        def held() -> bool:
            hold = w.worker.ledger.read_now(load_holds).get(INTEGRATION)
            return hold is not None and hold.failure is not None

        await w.until(held, "it is held")
        await asyncio.to_thread(_token, url, revoked=False)
        await w.take(_resume())
        await w.until(lambda: w.state("a") == "applied", "it is applied")

    async def run() -> None:
        async with dkplus.running_simulator(SimulatorConfig(companies=(BOOKS,))) as simulator:
            url = simulator.base_url
            await asyncio.to_thread(_token, url, revoked=True)
            async with running(tmp_path, url, HOLD_PROBE=LATER, HOLD_PROBE_MAX=LATER) as w:
                await asyncio.wait_for(story(w, url), 60.0)

    asyncio.run(run())
