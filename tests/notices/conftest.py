"""Stories of notices run on SQLite and PostgreSQL, like those of the ledger."""

from tests.ledger.conftest import (  # noqa: F401 - fixtures
    _postgresql_ledger,
    ledger_url,
    tell,
)
