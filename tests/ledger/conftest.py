"""One contract, two databases: every story runs on SQLite and on a real PostgreSQL."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from streams.ledger.engine import make_engine
from streams.ledger.schema import migrate
from streams.ledger.tables import metadata
from streams.local.postgresql_node import PostgresNode
from tests.ledger.stage import Stage

Story = Callable[[Stage], Awaitable[None]]
Tell = Callable[[Story], None]
STORY_S = 60.0  # a story that is not over by then hangs


@pytest.fixture(scope="session")
def _postgresql_ledger(postgresql_node: PostgresNode) -> str:
    """A ledger on PostgreSQL that the stories use one after the other."""
    # Directories that borrow this fixture have one of their own.
    url = postgresql_node.create_database(f"ledger_stories_{secrets.token_hex(4)}")
    migrate(url)
    return url


def emptied(url: str) -> str:
    """The same ledger as if it were new: much quicker than a new database for each story."""
    names = ", ".join(table.name for table in metadata.sorted_tables)
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY")
    engine.dispose()
    return url


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty ledger of this test's own."""
    if request.param == "postgresql":
        return emptied(request.getfixturevalue("_postgresql_ledger"))
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def play(url: str, story: Story) -> None:
    """Run a story on a ledger that is started and stopped around it."""

    async def run() -> None:
        stage = Stage(url)
        await stage.begin()
        try:
            await asyncio.wait_for(story(stage), STORY_S)
        finally:
            await stage.ledger.stop()

    asyncio.run(run())


@pytest.fixture
def tell(ledger_url: str) -> Tell:
    """Runs a story on this test's ledger."""
    return lambda story: play(ledger_url, story)
