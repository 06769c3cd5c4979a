"""Stories of notices run on SQLite and PostgreSQL, like those of the ledger."""

import secrets
from pathlib import Path

import pytest

from streams.ledger.schema import migrate
from streams.local.postgresql_node import PostgresNode
from tests.ledger.conftest import Tell, emptied, play


@pytest.fixture(scope="session")
def _postgresql_notices(postgresql_node: PostgresNode) -> str:
    """A ledger on PostgreSQL that the stories use one after the other."""
    url = postgresql_node.create_database(f"notice_stories_{secrets.token_hex(4)}")
    migrate(url)
    return url


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Tell:
    """Runs a story on an empty ledger of this test's own."""
    if request.param == "postgresql":
        url = emptied(request.getfixturevalue("_postgresql_notices"))
    else:
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    return lambda story: play(url, story)
