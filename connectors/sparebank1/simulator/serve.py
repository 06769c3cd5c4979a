"""Running the simulator: as a process, as a task, or inside a test on a port of its own."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from connectors.sparebank1.simulator import report
from connectors.sparebank1.simulator.judge import Violation
from connectors.sparebank1.simulator.server import SERVER, build_app
from connectors.sparebank1.simulator.settings import SimulatorConfig
from connectors.sparebank1.simulator.shell import Clock, Server

LOOPBACK = "127.0.0.1"
# Held and slow answers are not waited for when the server stops: they are meant to be lost.
SHUTDOWN_SECONDS = 0.1


def load(path: str) -> SimulatorConfig:
    """Read a configuration, TOML by its name's ending, else JSON.

    Raises OSError, or msgspec.ValidationError that names the member.
    """
    text = Path(path).read_bytes()
    if path.endswith(".toml"):
        return msgspec.toml.decode(text, type=SimulatorConfig)
    return msgspec.json.decode(text, type=SimulatorConfig)


class RunningSimulator(msgspec.Struct, frozen=True, kw_only=True):
    """A simulator at work in this process."""

    base_url: str
    server: Server

    def books(self, company_key: str) -> dict[str, Any]:
        """The books as `GET /_simulator/companies/{key}` shows them, with Decimals."""
        simulator = self.server.simulator
        return report.of_books(simulator, simulator.books[company_key.lower()])

    @property
    def violations(self) -> list[Violation]:
        """What was done and must not be, over all companies."""
        return self.server.simulator.judge.violations


def _utc() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def running_simulator(
    config: SimulatorConfig, *, host: str = LOOPBACK, port: int = 0, clock: Clock = _utc
) -> AsyncIterator[RunningSimulator]:
    """Serve until the block ends; port 0 takes a free one."""
    app = build_app(config, clock)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound: int = runner.addresses[0][1]
        yield RunningSimulator(base_url=f"http://{host}:{bound}", server=app[SERVER])
    finally:
        await runner.cleanup()


async def serve(
    host: str,
    port: int,
    config: SimulatorConfig,
    *,
    stop: asyncio.Event | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until `stop` is set or the task is cancelled; `ready` is told the base URL."""
    async with running_simulator(config, host=host, port=port) as running:
        if ready is not None:
            ready(running.base_url)
        await (stop or asyncio.Event()).wait()


def run(
    host: str, port: int, config: SimulatorConfig, ready: Callable[[str], None] | None = None
) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError where the port is taken."""

    async def until_told() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(host, port, config, stop=stop, ready=ready)

    asyncio.run(until_told())
