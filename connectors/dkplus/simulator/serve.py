"""Where a simulator is put together: as an application, as a process, or within a test."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from aiohttp import web

from connectors.dkplus.simulator.admin import ADMIN, Admin
from connectors.dkplus.simulator.books import Books, Violation
from connectors.dkplus.simulator.server import API, BODY_BYTES_MAX, Simulator
from connectors.dkplus.simulator.settings import SimulatorConfig

SHUTDOWN_SECONDS = 0.1  # held connections are cut at the end: nobody waits for a fault to finish
SIMULATOR: web.AppKey[Simulator] = web.AppKey("simulator", Simulator)


def wall_clock() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def read_config(path: Path) -> SimulatorConfig:
    """The configuration in a `.json` or TOML file. Raises msgspec.ValidationError where wrong."""
    text = path.read_bytes()
    if path.suffix == ".json":
        return msgspec.json.decode(text, type=SimulatorConfig)
    return msgspec.toml.decode(text, type=SimulatorConfig)


def build_app(
    config: SimulatorConfig, *, now: Callable[[], datetime] = wall_clock
) -> web.Application:
    """The simulator as an application; `app[SIMULATOR]` is what its books are reached by."""
    simulator = Simulator(config, now=now)
    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app[SIMULATOR] = simulator
    app.router.add_routes(Admin(simulator).routes())
    app.router.add_route("*", "/{path:.*}", simulator.handle)

    async def close(_: web.Application) -> None:
        simulator.delayed.close()

    app.on_cleanup.append(close)
    return app


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A simulator that listens. `base_url` includes `/api/v1`, `admin_url` is the other side."""

    base_url: str
    admin_url: str
    port: int
    simulator: Simulator

    def books(self, company: str) -> Books:
        """The live books of a company. Raises KeyError for one that is not served."""
        return self.simulator.companies[company]

    def violations(self) -> list[Violation]:
        """What the judge has found in all companies."""
        return [found for books in self.simulator.companies.values() for found in books.violations]


@asynccontextmanager
async def running_simulator(
    config: SimulatorConfig,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    now: Callable[[], datetime] = wall_clock,
) -> AsyncIterator[Running]:
    """A listening simulator, on a free port unless one is given; closed at the end.

    Raises OSError where the port is taken.
    """
    app = build_app(config, now=now)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = int(runner.addresses[0][1])
        yield Running(
            base_url=f"http://{host}:{bound}{API}",
            admin_url=f"http://{host}:{bound}{ADMIN}",
            port=bound,
            simulator=app[SIMULATOR],
        )
    finally:
        await runner.cleanup()


def run(host: str, port: int, config: SimulatorConfig) -> None:
    """Serve until the process is told to stop (SIGINT, SIGTERM). Blocks."""
    web.run_app(
        build_app(config),
        host=host,
        port=port,
        access_log=None,
        print=lambda *_: None,
        shutdown_timeout=SHUTDOWN_SECONDS,
        loop=asyncio.new_event_loop(),
    )
