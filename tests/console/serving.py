"""The console served on this machine, over a ledger that a test has filled."""

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web

from connectors.integrations import Integration
from streams.clock import SystemClock
from streams.console.app import add_console
from streams.settings import Settings, load
from tests.console.world import ALL, NOW

NOWHERE = "127.0.0.1:1"


class StandingClock:
    """Wall time stands still, so that pictures are the same each time; elapsed time goes on."""

    def __init__(self, at: float = NOW) -> None:
        self.at = at
        self._real = SystemClock()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def elapsed(self) -> float:
        return self._real.elapsed()

    @property
    def boot_id(self) -> str:
        return self._real.boot_id


def settings_for(url: str, **more: str) -> Settings:
    """Settings of a console over this ledger; given without their prefix."""
    given = {"LEDGER": url, "KAFKA": NOWHERE, **more}
    return load({f"MOMENT_SYNC_{name}": value for name, value in given.items()})


def people_file(directory: Path) -> Path:
    """Kari acts in everything; Ola acts for one company; Siv looks at one. No tokens."""
    path = directory / "people.toml"
    path.write_text(
        '[[people]]\nname = "kari"\nact = true\n'
        '[[people]]\nname = "ola"\nact = true\ncompanies = ["c-1001"]\n'
        '[[people]]\nname = "siv"\ncompanies = ["c-1002"]\n'
    )
    return path


async def _no_lag(_settings: Settings) -> int:
    return 0


def application(
    settings: Settings,
    integrations: Callable[[], Mapping[str, Integration]] | None = None,
    clock: SystemClock | StandingClock | None = None,
) -> web.Application:
    """An application with the console in it and nothing else."""
    app = web.Application()
    known = {one.id: one for one in ALL}
    add_console(
        app,
        settings,
        set_up=integrations or (lambda: known),
        clock=clock or StandingClock(),
        ask_lag=_no_lag,
    )
    return app


@contextlib.asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The address of the console, while it is served by the running loop."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
