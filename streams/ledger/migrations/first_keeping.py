"""The tables of what is kept and told, as they were first released. Never changed again."""

import sqlalchemy as sa
from alembic import op


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column(
            "audit_pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=True),
        sa.Column("integration", sa.String(), nullable=True),
        sa.Column("detail", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("audit_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_delivery", "audit", ["delivery_id"], unique=False)


def _bookings() -> None:
    op.create_table(
        "bookings",
        sa.Column("books", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("booked_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("books", "number"),
    )


def _books() -> None:
    op.create_table(
        "books",
        sa.Column("integration", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("first_seen_at", sa.Float(), nullable=False),
        sa.Column("look_up_until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("integration"),
    )


def _commands() -> None:
    op.create_table(
        "commands",
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("ce_id", sa.String(), nullable=False),
        sa.Column("command", sa.LargeBinary(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("progress", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("source", "ce_id"),
    )
    op.create_index(
        "commands_open",
        "commands",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )


def _holds() -> None:
    op.create_table(
        "holds",
        sa.Column("integration", sa.String(), nullable=False),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("since", sa.Float(), nullable=True),
        sa.Column("probe_at", sa.Float(), nullable=True),
        sa.Column("probes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pause_until", sa.Float(), nullable=True),
        sa.Column("kind", sa.String(), server_default="", nullable=False),
        sa.Column("quiet_until", sa.Float(), nullable=True),
        sa.Column("quiet_boot", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("integration"),
    )


def _lanes() -> None:
    op.create_table(
        "lanes",
        sa.Column("lane", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("taken_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("lane"),
    )


def _meta() -> None:
    op.create_table(
        "meta",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )


def _notice_causes() -> None:
    op.create_table(
        "notice_causes",
        sa.Column(
            "cause_pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("integration", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("entity_types", sa.String(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("told", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("changed_at", sa.Float(), nullable=False),
        sa.Column("fresh", sa.Integer(), nullable=False),
        sa.Column("fresh_since", sa.Float(), nullable=True),
        sa.Column("told_at", sa.Float(), nullable=True),
        sa.Column("told_pk", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("mails", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reminders", sa.Integer(), server_default="0", nullable=False),
        sa.Column("mended", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("cause_pk"),
        sa.UniqueConstraint("integration", "kind", "code", "cause"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "notice_causes_open",
        "notice_causes",
        ["integration"],
        unique=False,
        sqlite_where=sa.text("open"),
        postgresql_where=sa.text("open"),
    )


def _notices() -> None:
    op.create_table(
        "notices",
        sa.Column(
            "notice_pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("integration", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("letter_id", sa.String(), nullable=True),
        sa.Column("entity_type", sa.String(), nullable=False),
        sa.Column("many", sa.Integer(), nullable=False),
        sa.Column("detail", sa.LargeBinary(), nullable=False),
        sa.Column("cause_pk", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("notice_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("notices_cause", "notices", ["cause_pk", "notice_pk"], unique=False)
    op.create_index("notices_delivery", "notices", ["ordinal"], unique=False)
    op.create_index(
        "notices_new",
        "notices",
        ["integration", "notice_pk"],
        unique=False,
        sqlite_where=sa.text("cause_pk IS NULL"),
        postgresql_where=sa.text("cause_pk IS NULL"),
    )


def make_keeping() -> None:
    """Make them."""
    _audit()
    _bookings()
    _books()
    _commands()
    _holds()
    _lanes()
    _meta()
    _notice_causes()
    _notices()
