"""What every test may ask for: a real Kafka, a real PostgreSQL, and silence in the background."""

import asyncio
import gc
import itertools
import logging
import os
import re
import secrets
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from streams import settings
from streams.kafka_client import KafkaConnection, connection_of, wait_for_kafka
from streams.local.kafka_node import KafkaNode, KafkaUnavailableError
from streams.local.postgresql_node import PostgresNode, PostgresUnavailableError

# Loggers whose errors are ours: a library may log one while a broker is away, and be right.
OURS = ("streams", "connectors", "schemas", "asyncio")
KAFKA_S = 30.0
_counter = itertools.count(1)


# A shell's background job ignores SIGINT, and so would every command that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Speed is measured in benchmarks: a busy machine must not make a property fail.
hypothesis_settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("house")


# What takes minutes goes first, so that no core is left with it in the end.
SLOW_FIRST = ("chaos", "soak", "e2e", "security", "kafka", "deploy", "docs", "demo", "benchmarks")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files; within one, the tests stay as they are."""

    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(Path(__file__).parent).parts[0]
        return SLOW_FIRST.index(room) if room in SLOW_FIRST else len(SLOW_FIRST)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make what was logged fit to be sent to the process that reports it."""
    report = yield
    report.sections = [
        (name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections
    ]
    return report


class BackgroundErrors(logging.Handler):
    """Errors that our own code logged. A test that provokes some takes them out with `take`."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] in OURS:
            self.records.append(record)

    def take(self, pattern: str = "") -> list[str]:
        """Take out those whose `action` or text matches, and return their texts."""
        found = [
            record
            for record in self.records
            if re.search(pattern, f"{getattr(record, 'action', '')} {record.getMessage()}")
        ]
        self.records = [record for record in self.records if record not in found]
        return [record.getMessage() for record in found]


@pytest.fixture(autouse=True)
def background_errors() -> Iterator[BackgroundErrors]:
    """Fails a test in whose time an error was logged that it did not take out."""
    handler = BackgroundErrors()
    logging.getLogger().addHandler(handler)
    yield handler
    if handler.records:
        gc.collect()
    logging.getLogger().removeHandler(handler)
    left = [f"{record.name}: {record.getMessage()}" for record in handler.records]
    assert left == [], "errors were logged in the background"


@pytest.fixture(scope="session")
def _session_kafka_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    # A killed worker's partitions are free again after a second, not six.
    node = KafkaNode(
        tmp_path_factory.mktemp("kafka"), properties={"group.min.session.timeout.ms": "1000"}
    )
    try:
        node.start()
    except KafkaUnavailableError as error:
        pytest.fail(str(error), pytrace=False)
    yield node
    node.stop()


@pytest.fixture
def kafka_node(_session_kafka_node: KafkaNode) -> KafkaNode:
    """The session's own broker, running, for tests that kill it and start it again."""
    _session_kafka_node.start()
    return _session_kafka_node


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> KafkaConnection:
    """A real Kafka: the one that MOMENT_SYNC_KAFKA names, else one started for the session."""
    if os.environ.get("MOMENT_SYNC_KAFKA"):
        connection = connection_of(settings.load(os.environ))
        trouble = asyncio.run(wait_for_kafka(connection, KAFKA_S))
        if trouble is not None:
            pytest.fail(trouble, pytrace=False)
        return connection
    node: KafkaNode = request.getfixturevalue("_session_kafka_node")
    return KafkaConnection(bootstrap=node.bootstrap)


@pytest.fixture
def topic_prefix() -> str:
    """A prefix that no other test has, nor another run on the same cluster."""
    return f"t{next(_counter)}-{secrets.token_hex(4)}."


@pytest.fixture(scope="session")
def postgresql_node() -> Iterator[PostgresNode]:
    """A real PostgreSQL, started once for the session."""
    # Not among pytest's directories: those are closed to the user that a server of root's runs as.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as directory:
        node = PostgresNode(Path(directory))
        try:
            node.start()
        except PostgresUnavailableError as error:
            pytest.fail(str(error), pytrace=False)
        yield node
        node.stop()


@pytest.fixture
def postgresql_url(postgresql_node: PostgresNode) -> Iterator[str]:
    """The URL of an empty database of this test's own, as the setting LEDGER takes it."""
    postgresql_node.start()
    name = f"t{next(_counter)}_{secrets.token_hex(4)}"
    yield postgresql_node.create_database(name)
    postgresql_node.start()
    postgresql_node.drop_database(name)
