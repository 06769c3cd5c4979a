"""The ledger as it was first released."""

from streams.ledger.migrations.first_flow import make_flow
from streams.ledger.migrations.first_keeping import make_keeping

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    make_flow()
    make_keeping()
