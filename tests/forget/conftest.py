"""The ledgers of the stories in `tests/ledger`, SQLite's and PostgreSQL's."""

from tests.ledger.conftest import _postgresql_ledger, ledger_url

__all__ = ["_postgresql_ledger", "ledger_url"]
