"""The version of the ledger's schema: brought up to date, or refused with a word."""

from pathlib import Path

from sqlalchemy import Connection, inspect
from sqlalchemy.engine import make_url

from streams.ledger.engine import make_engine

VERSIONS = Path(__file__).with_name("migrations") / "versions"
VERSION_TABLE = "alembic_version"
# Any number that no other application on the same PostgreSQL is likely to lock.
ADVISORY_LOCK = 8_243_117


class SchemaError(Exception):
    """The ledger cannot be used as it is; the text says what to do."""


def migrate(url: str) -> list[str]:
    """Bring the ledger at `url` to this code's schema; returns the versions applied, in order.

    Two at once wait for each other. Raises `SchemaError` when the schema is newer than the code.
    Blocks.
    """
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
            before = _current(connection)
            pending = _pending(before)
            if pending:
                from streams.ledger.migrating import upgrade  # noqa: PLC0415 - slow to load

                upgrade(connection)
            return pending
    finally:
        engine.dispose()


def problems(url: str) -> str | None:
    """What stops a worker from using the ledger as it is; None when nothing does. Blocks."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            current = _current(connection)
    finally:
        engine.dispose()
    try:
        pending = _pending(current)
    except SchemaError as error:
        return str(error)
    if pending:
        return (
            f"the ledger's schema is at {current or 'nothing'}, this code needs {pending[-1]}: "
            "run `moment-sync ledger migrate`"
        )
    return None


def is_sqlite(url: str) -> bool:
    """Whether the ledger is a file that the worker migrates by itself."""
    return make_url(url).get_backend_name() == "sqlite"


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - ours
    return found.scalar()


def known_versions() -> list[str]:
    """Every version of the schema that this code knows, in order: they are the files' names."""
    return sorted(path.stem.partition("_")[0][1:] for path in VERSIONS.glob("v*_*.py"))


def _pending(current: str | None) -> list[str]:
    known = known_versions()
    if current is None:
        return known
    if current not in known:
        raise SchemaError(
            f"the ledger's schema is at {current}, which this code does not know: "
            "it was made by a newer version; run that one"
        )
    return known[known.index(current) + 1 :]
