"""One ledger of a day for all who only look; both databases."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.ledger.schema import migrate
from streams.local.postgresql_node import PostgresNode
from streams.settings import Settings
from tests.console.browser import missing
from tests.console.serving import application
from tests.console.world import World
from tests.ledger.stage import Stage

Answer = TypeVar("Answer")
Client = TestClient[web.Request, web.Application]
STORY_S = 60.0  # a story that is not over by then hangs


def fill(url: str, story: Callable[[World], Awaitable[None]]) -> None:
    """Have a story happen in a ledger, until now."""

    async def run() -> None:
        stage = Stage(url)
        await stage.begin()
        try:
            await asyncio.wait_for(story(World(stage)), STORY_S)
        finally:
            await stage.ledger.stop()

    asyncio.run(run())


async def short_day(world: World) -> None:
    await world.day(hours=2)


@pytest.fixture(
    scope="session",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def world_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A ledger with a day in it, for tests that change nothing."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('console') / 'ledger.db'}"
        fill(url, short_day)
        yield url
        return
    node: PostgresNode = request.getfixturevalue("postgresql_node")
    node.start()
    url = node.create_database("console_world")
    migrate(url)
    fill(url, short_day)
    yield url
    node.start()
    node.drop_database("console_world")


@pytest.fixture
def sqlite_world(tmp_path: Path) -> str:
    """A ledger with a day in it of this test's own."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    fill(url, short_day)
    return url


def visit(
    settings: Settings,
    story: Callable[[Client], Awaitable[Answer]],
) -> Answer:
    """Serve the console to a client while a story lasts."""

    async def run() -> Answer:
        async with TestClient(TestServer(application(settings))) as client:
            return await asyncio.wait_for(story(client), STORY_S)

    return asyncio.run(run())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A browser that cannot be had is said aloud: nobody reads who was skipped."""
    reason = missing()
    if reason is not None:
        terminalreporter.write_line(f"the console was not looked at in a browser: {reason}")
