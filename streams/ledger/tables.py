"""The ledger's tables, the same on SQLite and PostgreSQL.

Wall times are seconds since 1970 (for people); `act_at`, `send_by` and the like are
CLOCK_BOOTTIME seconds and count only together with the boot they belong to. Structures that no
query looks into are JSON in a blob.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

metadata = MetaData()

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
_Ordinal = BigInteger().with_variant(Integer(), "sqlite")


def one_of(column: str, *states: str) -> str:
    """`column IN (…)` as SQL, two by two.

    SQLite makes a table of a longer list anew for every row that it writes, to see whether the row
    belongs into an index: of all that a delivery costs in its table that was two fifths.
    """
    pairs = [states[place : place + 2] for place in range(0, len(states), 2)]
    return " OR ".join(
        f"{column} IN ('{pair[0]}','{pair[1]}')" if len(pair) > 1 else f"{column} = '{pair[0]}'"
        for pair in pairs
    )


def _where(condition: str, name: str, *columns: str) -> Index:
    """An index that holds the rows that fulfil a condition, and no others."""
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


def _of_dead(name: str, *columns: str) -> Index:
    """An index that holds what is dead and nothing else."""
    return _where("state = 'dead'", name, *columns)


meta = Table(
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

lanes = Table(
    "lanes",
    metadata,
    Column("lane", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", String, nullable=False),
    Column("boot", String, nullable=False),
    Column("taken_at", Float, nullable=False),
)

source_offsets = Table(
    "source_offsets",
    metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("event_pk", _Ordinal, primary_key=True, autoincrement=True),
    Column("source", String, nullable=False),
    Column("ce_id", String, nullable=False),
    Column("ce_type", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("digest_version", SmallInteger, nullable=False),
    Column("topic", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("company", String, nullable=False),
    Column("entity_type", String, nullable=False),
    Column("number", String, nullable=False),
    Column("customer_number", String, nullable=False),
    Column("sequence", BigInteger),
    Column("received_at", Float, nullable=False),
    UniqueConstraint("source", "ce_id"),
    Index("inbox_entity", "company", "entity_type", "number", "event_pk"),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("ordinal", _Ordinal, primary_key=True, autoincrement=True),
    Column("delivery_id", String, nullable=False, unique=True),
    Column("event_pk", BigInteger, nullable=False),
    Column("integration", String, nullable=False),
    Column("system", String, nullable=False),
    Column("company", String, nullable=False),
    Column("entity_key", String, nullable=False),
    Column("entity_type", String, nullable=False),
    Column("number", String, nullable=False),
    Column("customer_number", String, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("sequence", BigInteger),
    Column("state", String, nullable=False),
    Column("waits_key", String),
    Column("act_at", Float),
    Column("act_boot", String),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("retried_s", Float, nullable=False, server_default="0"),
    Column("posts", Integer, nullable=False, server_default="0"),
    Column("absences", Integer, nullable=False, server_default="0"),
    Column("intent", LargeBinary),
    Column("send_by", Float),
    Column("failure", LargeBinary),
    # Of what died: its failure's code and what sets its cause apart, for lists and counts of many.
    Column("failure_code", String),
    Column("failure_class", String),
    Column("cause", String),
    Column("told", String, nullable=False, server_default=""),
    Column("outcomes", Integer, nullable=False, server_default="0"),
    Column("final_id", String),
    Column("replays", Integer, nullable=False, server_default="0"),
    Column("replay_of", String),
    Column("rewrite", Boolean, nullable=False, server_default=text("false")),
    Column("edited", LargeBinary),
    Column("received_at", Float, nullable=False),
    Column("first_failed_at", Float),
    Column("last_failed_at", Float),
    Column("settled_at", Float),
    _where("state = 'ready'", "deliveries_ready", "integration", "entity_type", "ordinal"),
    _where("act_at IS NOT NULL", "deliveries_timed", "act_at"),
    _where(
        one_of("state", "ready", "waiting", "blocked", "due", "sending", "uncertain", "dead"),
        "deliveries_open_of_entity",
        "entity_key",
        "ordinal",
    ),
    _where("waits_key IS NOT NULL", "deliveries_parked", "waits_key", "ordinal"),
    _of_dead("deliveries_dead", "ordinal"),
    # What people look through, newest failure first: only the dead pay for these.
    _of_dead("deliveries_dead_newest", "last_failed_at", "ordinal"),
    _of_dead("deliveries_dead_of_company", "company", "last_failed_at", "ordinal"),
    _of_dead("deliveries_dead_of_integration", "integration", "last_failed_at", "ordinal"),
    _of_dead("deliveries_dead_of_code", "failure_code", "last_failed_at", "ordinal"),
    _of_dead(
        "deliveries_dead_of_cause",
        *("integration", "failure_code", "cause", "last_failed_at", "ordinal"),
    ),
    _of_dead(
        "deliveries_dead_of_class",
        *("integration", "failure_code", "failure_class", "last_failed_at"),
    ),
    _where(one_of("state", "sending", "uncertain"), "deliveries_in_doubt", "lane"),
    # What is counted for people. A delivery that just goes is never in it.
    _where(
        one_of("state", "waiting", "blocked", "due", "uncertain"),
        "deliveries_standing",
        *("integration", "state", "received_at"),
    ),
    Index("deliveries_event", "event_pk"),
    sqlite_autoincrement=True,
)

entities = Table(
    "entities",
    metadata,
    Column("entity_key", String, primary_key=True),
    Column("lane", Integer, nullable=False),
    Column("in_books", Boolean, nullable=False, server_default=text("false")),
    Column("reference", LargeBinary),
    Column("content", LargeBinary),
    Column("dirty", Boolean, nullable=False, server_default=text("false")),
    Column("applied_ordinal", BigInteger),
    Column("applied_sequence", BigInteger),
    Column("claimed_by", BigInteger),
    Column("ask_at", Float),
    Column("ask_boot", String),
    Column("asked_no_at", Float),
    Column("asked_boot", String),
    _where("ask_at IS NOT NULL", "entities_ask", "ask_at"),
)

books = Table(
    "books",
    metadata,
    Column("integration", String, primary_key=True),
    Column("identity", String, nullable=False),
    Column("first_seen_at", Float, nullable=False),
    Column("look_up_until", Float, nullable=False),
)

bookings = Table(
    "bookings",
    metadata,
    Column("books", String, primary_key=True),
    Column("number", String, primary_key=True),
    Column("delivery_id", String, nullable=False),
    Column("reference", LargeBinary, nullable=False),
    Column("content", LargeBinary),
    Column("booked_at", Float, nullable=False),
)

holds = Table(
    "holds",
    metadata,
    Column("integration", String, primary_key=True),
    Column("failure", LargeBinary),
    Column("since", Float),
    Column("probe_at", Float),
    Column("probes", Integer, nullable=False, server_default="0"),
    Column("pause_until", Float),
    Column("kind", String, nullable=False, server_default=""),
    Column("quiet_until", Float),
    Column("quiet_boot", String),
)

attempts = Table(
    "attempts",
    metadata,
    Column("attempt_pk", _Ordinal, primary_key=True, autoincrement=True),
    Column("ordinal", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("verdict", String, nullable=False),
    Column("exchanges", LargeBinary, nullable=False),
    Index("attempts_delivery", "ordinal"),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("position", _Ordinal, primary_key=True, autoincrement=True),
    Column("lane", Integer, nullable=False),
    Column("topic", String, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("delivery_ordinal", BigInteger),
    Column("created_at", Float, nullable=False),
    Column("published", Boolean, nullable=False, server_default=text("false")),
    _where("NOT published", "outbox_unpublished", "position"),
    Index("outbox_delivery", "delivery_ordinal"),
    sqlite_autoincrement=True,
)

letters = Table(
    "letters",
    metadata,
    Column("letter_id", String, primary_key=True),
    Column("topic", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("timestamp_ms", BigInteger, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    Column("company", String),
    Column("failure", LargeBinary, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("state", String, nullable=False, server_default="dead"),
    # In vain: it was read again and still is nothing that could be delivered.
    Column("replays", Integer, nullable=False, server_default="0"),
    Column("last_failed_at", Float),
    # Looked at for whether somebody is to be told of it.
    Column("told", Boolean, nullable=False, server_default=text("false")),
    _of_dead("letters_dead_newest", "received_at", "letter_id"),
    _where("NOT told", "letters_untold", "received_at"),
)

signals = Table(
    "signals",
    metadata,
    Column("signal_pk", _Ordinal, primary_key=True, autoincrement=True),
    Column("lane", Integer, nullable=False),
    Column("entity_key", String, nullable=False),
    Column("after", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("lane", "entity_key"),
    sqlite_autoincrement=True,
)

commands = Table(
    "commands",
    metadata,
    Column("source", String, primary_key=True),
    Column("ce_id", String, primary_key=True),
    Column("command", LargeBinary, nullable=False),
    Column("lane", Integer, nullable=False),
    Column("received_at", Float, nullable=False),
    Column("state", String, nullable=False, server_default="open"),
    Column("progress", BigInteger, nullable=False, server_default="0"),
    _where("state = 'open'", "commands_open", "received_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("audit_pk", _Ordinal, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("why", String, nullable=False),
    Column("what", String, nullable=False),
    Column("delivery_id", String),
    Column("integration", String),
    Column("detail", LargeBinary),
    Index("audit_delivery", "delivery_id"),
    sqlite_autoincrement=True,
)

# One thing that a person is to be told, written beside its outcome. `cause_pk`: taken up by a
# cause; `many`: it stands for so many deliveries.
notices = Table(
    "notices",
    metadata,
    Column("notice_pk", _Ordinal, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("integration", String, nullable=False),
    Column("system", String, nullable=False),
    Column("company", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("code", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("ordinal", BigInteger, nullable=False),
    Column("letter_id", String),
    Column("entity_type", String, nullable=False),
    Column("many", Integer, nullable=False),
    Column("detail", LargeBinary, nullable=False),
    Column("cause_pk", BigInteger),
    _where("cause_pk IS NULL", "notices_new", "integration", "notice_pk"),
    Index("notices_cause", "cause_pk", "notice_pk"),
    Index("notices_delivery", "ordinal"),
    sqlite_autoincrement=True,
)

# What has been told of one cause. `fresh`: things that came since the last mail; `told_pk`: the
# newest thing that the last mail knew; `mended`: things that have ended well since it was opened.
notice_causes = Table(
    "notice_causes",
    metadata,
    Column("cause_pk", _Ordinal, primary_key=True, autoincrement=True),
    Column("integration", String, nullable=False),
    Column("system", String, nullable=False),
    Column("company", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("code", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("detail", LargeBinary, nullable=False),
    Column("entity_types", String, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("told", Boolean, nullable=False, server_default=text("false")),
    Column("changed_at", Float, nullable=False),
    Column("fresh", Integer, nullable=False),
    Column("fresh_since", Float),
    Column("told_at", Float),
    Column("told_pk", BigInteger, nullable=False, server_default="0"),
    Column("mails", Integer, nullable=False, server_default="0"),
    Column("reminders", Integer, nullable=False, server_default="0"),
    Column("mended", Integer, nullable=False, server_default="0"),
    UniqueConstraint("integration", "kind", "code", "cause"),
    _where("open", "notice_causes_open", "integration"),
    sqlite_autoincrement=True,
)
