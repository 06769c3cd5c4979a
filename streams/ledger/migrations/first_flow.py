"""The tables that events flow through, as they were first released. Never changed again."""

import sqlalchemy as sa
from alembic import op


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column(
            "attempt_pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("exchanges", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_pk"),
        sqlite_autoincrement=True,
    )
    op.create_index("attempts_delivery", "attempts", ["ordinal"], unique=False)


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column(
            "ordinal",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("event_pk", sa.BigInteger(), nullable=False),
        sa.Column("integration", sa.String(), nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("entity_key", sa.String(), nullable=False),
        sa.Column("entity_type", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("customer_number", sa.String(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("waits_key", sa.String(), nullable=True),
        sa.Column("act_at", sa.Float(), nullable=True),
        sa.Column("act_boot", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("retried_s", sa.Float(), server_default="0", nullable=False),
        sa.Column("posts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("absences", sa.Integer(), server_default="0", nullable=False),
        sa.Column("intent", sa.LargeBinary(), nullable=True),
        sa.Column("send_by", sa.Float(), nullable=True),
        sa.Column("failure", sa.LargeBinary(), nullable=True),
        sa.Column("failure_code", sa.String(), nullable=True),
        sa.Column("failure_class", sa.String(), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("told", sa.String(), server_default="", nullable=False),
        sa.Column("outcomes", sa.Integer(), server_default="0", nullable=False),
        sa.Column("final_id", sa.String(), nullable=True),
        sa.Column("replays", sa.Integer(), server_default="0", nullable=False),
        sa.Column("replay_of", sa.String(), nullable=True),
        sa.Column("rewrite", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("edited", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("first_failed_at", sa.Float(), nullable=True),
        sa.Column("last_failed_at", sa.Float(), nullable=True),
        sa.Column("settled_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("ordinal"),
        sa.UniqueConstraint("delivery_id"),
        sqlite_autoincrement=True,
    )


def _deliveries_indexes() -> None:
    op.create_index(
        "deliveries_dead",
        "deliveries",
        ["ordinal"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "deliveries_dead_newest",
        "deliveries",
        ["last_failed_at", "ordinal"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "deliveries_dead_of_cause",
        "deliveries",
        ["integration", "failure_code", "cause", "last_failed_at", "ordinal"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "deliveries_dead_of_class",
        "deliveries",
        ["integration", "failure_code", "failure_class", "last_failed_at"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "deliveries_dead_of_code",
        "deliveries",
        ["failure_code", "last_failed_at", "ordinal"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "deliveries_dead_of_company",
        "deliveries",
        ["company", "last_failed_at", "ordinal"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )


def _deliveries_indexes_2() -> None:
    op.create_index(
        "deliveries_dead_of_integration",
        "deliveries",
        ["integration", "last_failed_at", "ordinal"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index("deliveries_event", "deliveries", ["event_pk"], unique=False)
    op.create_index(
        "deliveries_in_doubt",
        "deliveries",
        ["lane"],
        unique=False,
        sqlite_where=sa.text("state IN ('sending','uncertain')"),
        postgresql_where=sa.text("state IN ('sending','uncertain')"),
    )
    op.create_index(
        "deliveries_open_of_entity",
        "deliveries",
        ["entity_key", "ordinal"],
        unique=False,
        sqlite_where=sa.text(
            "state IN ('ready','waiting') OR state IN ('blocked','due')"
            " OR state IN ('sending','uncertain') OR state = 'dead'"
        ),
        postgresql_where=sa.text(
            "state IN ('ready','waiting') OR state IN ('blocked','due')"
            " OR state IN ('sending','uncertain') OR state = 'dead'"
        ),
    )
    op.create_index(
        "deliveries_parked",
        "deliveries",
        ["waits_key", "ordinal"],
        unique=False,
        sqlite_where=sa.text("waits_key IS NOT NULL"),
        postgresql_where=sa.text("waits_key IS NOT NULL"),
    )
    op.create_index(
        "deliveries_ready",
        "deliveries",
        ["integration", "entity_type", "ordinal"],
        unique=False,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )


def _deliveries_indexes_3() -> None:
    op.create_index(
        "deliveries_standing",
        "deliveries",
        ["integration", "state", "received_at"],
        unique=False,
        sqlite_where=sa.text("state IN ('waiting','blocked') OR state IN ('due','uncertain')"),
        postgresql_where=sa.text("state IN ('waiting','blocked') OR state IN ('due','uncertain')"),
    )
    op.create_index(
        "deliveries_timed",
        "deliveries",
        ["act_at"],
        unique=False,
        sqlite_where=sa.text("act_at IS NOT NULL"),
        postgresql_where=sa.text("act_at IS NOT NULL"),
    )


def _entities() -> None:
    op.create_table(
        "entities",
        sa.Column("entity_key", sa.String(), nullable=False),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("in_books", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reference", sa.LargeBinary(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("dirty", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("applied_ordinal", sa.BigInteger(), nullable=True),
        sa.Column("applied_sequence", sa.BigInteger(), nullable=True),
        sa.Column("claimed_by", sa.BigInteger(), nullable=True),
        sa.Column("ask_at", sa.Float(), nullable=True),
        sa.Column("ask_boot", sa.String(), nullable=True),
        sa.Column("asked_no_at", sa.Float(), nullable=True),
        sa.Column("asked_boot", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("entity_key"),
    )
    op.create_index(
        "entities_ask",
        "entities",
        ["ask_at"],
        unique=False,
        sqlite_where=sa.text("ask_at IS NOT NULL"),
        postgresql_where=sa.text("ask_at IS NOT NULL"),
    )


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column(
            "event_pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("ce_id", sa.String(), nullable=False),
        sa.Column("ce_type", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("digest_version", sa.SmallInteger(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("company", sa.String(), nullable=False),
        sa.Column("entity_type", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("customer_number", sa.String(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("event_pk"),
        sa.UniqueConstraint("source", "ce_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "inbox_entity", "inbox", ["company", "entity_type", "number", "event_pk"], unique=False
    )


def _letters() -> None:
    op.create_table(
        "letters",
        sa.Column("letter_id", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("timestamp_ms", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("company", sa.String(), nullable=True),
        sa.Column("failure", sa.LargeBinary(), nullable=False),
        sa.Column("received_at", sa.Float(), nullable=False),
        sa.Column("state", sa.String(), server_default="dead", nullable=False),
        sa.Column("replays", sa.Integer(), server_default="0", nullable=False),
        sa.Column("last_failed_at", sa.Float(), nullable=True),
        sa.Column("told", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("letter_id"),
    )
    op.create_index(
        "letters_dead_newest",
        "letters",
        ["received_at", "letter_id"],
        unique=False,
        sqlite_where=sa.text("state = 'dead'"),
        postgresql_where=sa.text("state = 'dead'"),
    )
    op.create_index(
        "letters_untold",
        "letters",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("NOT told"),
        postgresql_where=sa.text("NOT told"),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column(
            "position",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("value", sa.LargeBinary(), nullable=True),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("delivery_ordinal", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("published", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sqlite_autoincrement=True,
    )
    op.create_index("outbox_delivery", "outbox", ["delivery_ordinal"], unique=False)
    op.create_index(
        "outbox_unpublished",
        "outbox",
        ["position"],
        unique=False,
        sqlite_where=sa.text("NOT published"),
        postgresql_where=sa.text("NOT published"),
    )


def _signals() -> None:
    op.create_table(
        "signals",
        sa.Column(
            "signal_pk",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("lane", sa.Integer(), nullable=False),
        sa.Column("entity_key", sa.String(), nullable=False),
        sa.Column("after", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("signal_pk"),
        sa.UniqueConstraint("lane", "entity_key"),
        sqlite_autoincrement=True,
    )


def _source_offsets() -> None:
    op.create_table(
        "source_offsets",
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "partition"),
    )


def make_flow() -> None:
    """Make them."""
    _attempts()
    _deliveries()
    _deliveries_indexes()
    _deliveries_indexes_2()
    _deliveries_indexes_3()
    _entities()
    _inbox()
    _letters()
    _outbox()
    _signals()
    _source_offsets()
