"""The ledger's schema: made once, the same for all, refused where it does not fit."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from streams.ledger.engine import make_engine
from streams.ledger.migrating import MIGRATIONS
from streams.ledger.schema import SchemaError, known_versions, migrate, problems
from streams.ledger.tables import metadata


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
    else:
        yield str(request.getfixturevalue("postgresql_url"))


def test_an_empty_ledger_is_refused_until_it_is_migrated(url: str) -> None:
    refused = problems(url)
    assert refused is not None
    assert "moment-sync ledger migrate" in refused
    assert migrate(url) == ["0001"]
    assert problems(url) is None
    assert migrate(url) == [], "a second time there is nothing to do"


def test_the_migrations_make_what_the_code_expects(url: str) -> None:
    """Whoever changes the tables without a migration is told here."""
    migrate(url)
    engine = make_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_versions_are_those_of_the_migrations() -> None:
    """They are read off the files' names, which is quicker than loading what applies them."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    revisions = ScriptDirectory.from_config(config).walk_revisions()
    assert known_versions() == [revision.revision for revision in revisions][::-1]


def test_a_schema_that_is_newer_than_the_code_is_refused(url: str) -> None:
    migrate(url)
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    refused = problems(url)
    assert refused is not None
    assert "newer" in refused
    with pytest.raises(SchemaError, match="newer"):
        migrate(url)


def test_two_who_migrate_at_once_wait_for_each_other(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: migrate(url), range(4)))
    assert sorted(applied) == [[], [], [], ["0001"]]
