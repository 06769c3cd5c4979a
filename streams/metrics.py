"""Every metric there is: names, units, labels. One closed type; nothing else is ever emitted.

Labels are closed too, and each has few values: an integration's id is one, a company, a customer
or an entity's number never is.
"""

from enum import Enum, StrEnum
from typing import Final

import msgspec

PREFIX: Final = "moment_sync_"


class Kind(StrEnum):
    """How a number behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Unit(StrEnum):
    """What a number counts; seconds and bytes stand in its name too."""

    SECONDS = "seconds"
    BYTES = "bytes"
    TIMESTAMP = "seconds since 1970"
    ONE_OR_NONE = "0 or 1"
    DELIVERIES = "deliveries"
    RECORDS = "records"
    CALLS = "calls"
    ATTEMPTS = "attempts"
    ITEMS = "items"
    LANES = "lanes"
    NOTICES = "notices"
    COMMANDS = "commands"
    TASKS = "tasks"
    FILES = "file descriptors"


class Label(StrEnum):
    """Every label that a metric may have."""

    INTEGRATION = "integration"
    SYSTEM = "system"
    STATE = "state"
    VERDICT = "verdict"
    OUTCOME = "outcome"
    CODE = "code"
    CLASS = "class"
    KIND = "kind"
    ANSWER = "answer"
    TOPIC = "topic"
    PARTITION = "partition"
    PHASE = "phase"
    RESULT = "result"
    VERSION = "version"
    PYTHON = "python"


class Spec(msgspec.Struct, frozen=True):
    """What a metric is. `name` is whole; a counter's ends with `_total`."""

    name: str
    kind: Kind
    unit: Unit
    help: str
    labels: tuple[Label, ...] = ()
    bounds: tuple[float, ...] = ()


def _counter(name: str, unit: Unit, text: str, *labels: Label) -> Spec:
    return Spec(f"{PREFIX}{name}_total", Kind.COUNTER, unit, text, labels)


def _gauge(name: str, unit: Unit, text: str, *labels: Label) -> Spec:
    return Spec(f"{PREFIX}{name}", Kind.GAUGE, unit, text, labels)


def _spread(name: str, unit: Unit, text: str, bounds: tuple[float, ...], *labels: Label) -> Spec:
    return Spec(f"{PREFIX}{name}", Kind.HISTOGRAM, unit, text, labels, bounds)


def _process(name: str, kind: Kind, unit: Unit, text: str) -> Spec:
    return Spec(f"process_{name}", kind, unit, text)


# A look-up takes 50 ms, a booking may take two minutes, and a call's deadline is three.
CALL_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 180.0)
# From an event that is booked at once to one that waited three days for its accounting system.
DELIVERY_BOUNDS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 86400.0, 259200.0)
COMMIT_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0)
BATCH_BOUNDS: Final = (1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0)


class Metric(Enum):
    """Every metric. What a worker tells beyond these is a bug."""

    # -- deliveries ------------------------------------------------------------------------------
    DELIVERIES = _gauge(
        "deliveries",
        Unit.DELIVERIES,
        "Deliveries that are not done, as the ledger has them; counted up to 10,000 of a kind. The "
        "same from every worker: take the maximum",
        Label.INTEGRATION,
        Label.STATE,
    )
    OLDEST = _gauge(
        "delivery_oldest_age_seconds",
        Unit.SECONDS,
        "Age of the oldest of them since it was received. The same from every worker",
        Label.INTEGRATION,
        Label.STATE,
    )
    DELIVERY_TIME = _spread(
        "delivery_seconds",
        Unit.SECONDS,
        "From an event's receipt until its delivery was applied or found unchanged by an attempt",
        DELIVERY_BOUNDS,
        Label.SYSTEM,
    )
    OUTCOMES = _counter(
        "outcomes",
        Unit.RECORDS,
        "Outcomes that Kafka has acknowledged, by kind",
        Label.OUTCOME,
    )
    DEAD_LETTERS = _counter(
        "dead_letters",
        Unit.RECORDS,
        "Dead letters that Kafka has acknowledged; without an integration where the record never "
        "became a delivery",
        Label.INTEGRATION,
        Label.CLASS,
        Label.CODE,
    )
    # -- attempts and calls ----------------------------------------------------------------------
    ATTEMPTS = _counter(
        "attempts",
        Unit.ATTEMPTS,
        "Attempts and look-ups that have ended, by what they came to",
        Label.INTEGRATION,
        Label.SYSTEM,
        Label.KIND,
        Label.VERDICT,
    )
    RETRIES = _counter(
        "retries",
        Unit.ATTEMPTS,
        "Attempts that were not the first of their delivery",
        Label.INTEGRATION,
    )
    CALLS = _counter(
        "calls",
        Unit.CALLS,
        "Calls to accounting systems that have ended: reads and writes, by the class of the "
        "status or why there was none",
        Label.INTEGRATION,
        Label.SYSTEM,
        Label.KIND,
        Label.ANSWER,
    )
    CALL_TIME = _spread(
        "call_seconds",
        Unit.SECONDS,
        "Until the last byte of an answer, waiting for a token or for the ledger not included",
        CALL_BOUNDS,
        Label.SYSTEM,
        Label.KIND,
    )
    IN_FLIGHT = _gauge(
        "in_flight",
        Unit.DELIVERIES,
        "Deliveries that this worker is at work on",
        Label.INTEGRATION,
    )
    BOUND = _gauge(
        "in_flight_bound",
        Unit.DELIVERIES,
        "How many it may be at work on now; adapts to how the accounting system answers",
        Label.INTEGRATION,
    )
    PACE = _gauge(
        "pace",
        Unit.DELIVERIES,
        "How many a second may start, learnt from answers of 429; none where no limit is known",
        Label.INTEGRATION,
    )
    LIMIT = _gauge(
        "in_flight_limit", Unit.DELIVERIES, "How many of all integrations together (IN_FLIGHT)"
    )
    BREAKER = _gauge(
        "breaker",
        Unit.ONE_OR_NONE,
        "1 for the phase that the integration's breaker is in, in this worker",
        Label.INTEGRATION,
        Label.PHASE,
    )
    HELD = _gauge(
        "held",
        Unit.ONE_OR_NONE,
        "1 while an integration is held, by the failure that holds it",
        Label.INTEGRATION,
        Label.CODE,
    )
    HELD_SINCE = _gauge(
        "held_since_timestamp_seconds",
        Unit.TIMESTAMP,
        "Since when an integration is held",
        Label.INTEGRATION,
        Label.CODE,
    )
    # -- Kafka -----------------------------------------------------------------------------------
    EVENTS = _counter(
        "records_taken",
        Unit.RECORDS,
        "Records that were written to the ledger, by what they were",
        Label.KIND,
    )
    LAG = _gauge(
        "consumer_lag_records",
        Unit.RECORDS,
        "Records of this worker's partitions that are not in the ledger yet",
        Label.TOPIC,
        Label.PARTITION,
    )
    LANES = _gauge("lanes", Unit.LANES, "Lanes that this worker owns")
    PARTITIONS = _gauge("partitions", Unit.LANES, "Lanes that there are")
    PUBLISHED = _counter(
        "published", Unit.RECORDS, "Records that Kafka has acknowledged, by topic", Label.TOPIC
    )
    # -- ledger ----------------------------------------------------------------------------------
    BATCH = _spread(
        "ledger_batch_items", Unit.ITEMS, "Items written in one commit of the ledger", BATCH_BOUNDS
    )
    COMMIT_TIME = _spread(
        "ledger_commit_seconds",
        Unit.SECONDS,
        "From the start of a batch until its commit is durable, retries included",
        COMMIT_BOUNDS,
    )
    OUTBOX = _gauge(
        "outbox_records",
        Unit.RECORDS,
        "Records that wait to be published; counted up to 10,000. The same from every worker",
    )
    OUTBOX_AGE = _gauge(
        "outbox_oldest_age_seconds",
        Unit.SECONDS,
        "Age of the oldest of them, 0 without any. The same from every worker",
    )
    COMMANDS = _gauge(
        "commands_open",
        Unit.COMMANDS,
        "Commands that are not carried out to their end; counted up to 10,000",
    )
    SAMPLED = _gauge(
        "ledger_sampled_timestamp_seconds",
        Unit.TIMESTAMP,
        "When this worker last read from the ledger what it tells of it",
    )
    RETENTION_ALARM = _gauge(
        "retention_alarm_deliveries",
        Unit.DELIVERIES,
        "Deliveries that the daily look found to be open for longer than the topics keep events",
    )
    PRUNING_STOPPED = _gauge(
        "pruning_stopped",
        Unit.ONE_OR_NONE,
        "1 while nothing is pruned since the wall clock has jumped",
    )
    # -- people, worker, process -----------------------------------------------------------------
    NOTICES = _counter(
        "notices",
        Unit.NOTICES,
        "Notices that were sent, logged, or could not be sent",
        Label.RESULT,
    )
    PROBLEM = _gauge(
        "problem",
        Unit.ONE_OR_NONE,
        "1 for each kind of problem that /healthz reports",
        Label.KIND,
    )
    READY = _gauge("ready", Unit.ONE_OR_NONE, "1 while /readyz says 200")
    LOOP_DELAY = _gauge(
        "event_loop_delay_seconds",
        Unit.SECONDS,
        "The longest that the event loop was late in the last minute",
    )
    LOOP_TASKS = _gauge("tasks", Unit.TASKS, "Attempts, look-ups and questions that are under way")
    BUILD = _gauge(
        "build_info", Unit.ONE_OR_NONE, "1, with what runs here", Label.VERSION, Label.PYTHON
    )
    PROCESS_CPU = _process(
        "cpu_seconds_total", Kind.COUNTER, Unit.SECONDS, "CPU time that the process has used"
    )
    PROCESS_MEMORY = _process(
        "resident_memory_bytes", Kind.GAUGE, Unit.BYTES, "Memory that the process has"
    )
    PROCESS_FILES = _process("open_fds", Kind.GAUGE, Unit.FILES, "File descriptors that are open")
    PROCESS_FILES_MOST = _process(
        "max_fds", Kind.GAUGE, Unit.FILES, "File descriptors that may be open"
    )
    PROCESS_START = _process(
        "start_time_seconds", Kind.GAUGE, Unit.TIMESTAMP, "When the process started"
    )

    @property
    def spec(self) -> Spec:
        """What it is."""
        found: Spec = self.value
        return found
