"""What the tests of Kafka's side share: topics of their own, records, worker processes."""

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from streams import topics
from streams.kafka_client import KafkaConnection

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("ingest_worker.py")
PARTITIONS = 4
# Far above what anything here takes, also on a busy machine.
DEADLINE_S = 60.0
LOOK_AGAIN_S = 0.02
# A steady flow of some 1,000 records a second.
FLOW_RECORDS = 20
FLOW_PAUSE_S = 0.02


def eventually(condition: Callable[[], bool], what: str, seconds: float = DEADLINE_S) -> None:
    """Wait until the condition holds. Fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(LOOK_AGAIN_S)


class Flow:
    """How many records went out so far, and the sign to stop."""

    def __init__(self) -> None:
        self.produced = 0
        self.stop = threading.Event()


class Stage:
    """Topics under a prefix, a group, a database, and the workers started on them."""

    def __init__(self, connection: KafkaConnection, prefix: str, directory: Path) -> None:
        self.connection = connection
        self.names = topics.TopicNames(prefix)
        self.group = f"{prefix}group"
        self.database = directory / "taken.db"
        self.log = directory / "workers.log"
        self.workers: list[subprocess.Popen[bytes]] = []

    def create_topics(self, partitions: int = PARTITIONS) -> None:
        report = asyncio.run(
            topics.create(
                self.connection,
                self.names,
                partitions=partitions,
                replication=-1,
                retention_s=86_400,
            )
        )
        assert report.failed == ()
        assert len(report.created) == len(topics.ALL)

    def produce(self, topic: str, numbers: Iterable[int], keys: int = 100) -> None:
        """Records whose value is their number, the key going round."""
        asyncio.run(self._produce(topic, numbers, keys))

    async def _produce(self, topic: str, numbers: Iterable[int], keys: int) -> None:
        async with AIOKafkaProducer(
            **self.connection.client_options(), enable_idempotence=True, linger_ms=5
        ) as producer:
            for number in numbers:
                key = b"k%d" % (number % keys)
                await producer.send(self.names.full(topic), key=key, value=b"%d" % number)

    @contextlib.contextmanager
    def flow(self, topic: str) -> Iterator["Flow"]:
        """Records that come all the while, so that something is always under way."""
        flow = Flow()
        thread = threading.Thread(target=lambda: asyncio.run(self._flow(topic, flow)))
        thread.start()
        try:
            yield flow
        finally:
            flow.stop.set()
            thread.join(DEADLINE_S)

    async def _flow(self, topic: str, flow: "Flow") -> None:
        async with AIOKafkaProducer(**self.connection.client_options()) as producer:
            while not flow.stop.is_set():
                for _ in range(FLOW_RECORDS):
                    key = b"k%d" % (flow.produced % 100)
                    await producer.send(self.names.full(topic), key=key, value=b"1")
                    flow.produced += 1
                await asyncio.sleep(FLOW_PAUSE_S)

    def start_worker(self, name: str, **given: object) -> "subprocess.Popen[bytes]":
        arguments = {
            "bootstrap": self.connection.bootstrap,
            "group": self.group,
            "prefix": self.names.prefix,
            "database": str(self.database),
            "worker": name,
            "session_s": 6 if os.environ.get("MOMENT_SYNC_KAFKA") else 2,
            **given,
        }
        with self.log.open("ab") as log:
            worker = subprocess.Popen(
                [sys.executable, str(WORKER), json.dumps(arguments)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
        self.workers.append(worker)
        return worker

    def end(self, worker: "subprocess.Popen[bytes]", how: signal.Signals) -> int:
        worker.send_signal(how)
        return worker.wait(DEADLINE_S)

    def query(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of the database; none while there is no table yet."""
        if not self.database.exists():
            return []
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            try:
                return connection.execute(statement, values).fetchall()
            except sqlite3.OperationalError:
                return []

    def distinct(self) -> int:
        rows = self.query(
            'select count(*) from (select distinct topic, partition, "offset" from taken)'
        )
        return int(str(rows[0][0])) if rows else 0

    def wait_for(self, records: int) -> None:
        try:
            eventually(lambda: self.distinct() >= records, f"{records} records taken")
        except AssertionError as error:
            tail = self.log.read_text()[-4000:] if self.log.exists() else ""
            raise AssertionError(f"{error}; {self.distinct()} are\n{tail}") from None

    def repeats(self) -> int:
        rows = self.query("select count(*) from taken")
        return int(str(rows[0][0])) - self.distinct()

    def lag(self) -> int:
        return asyncio.run(topics.lag(self.connection, self.group, self.names))

    def assert_in_order(self) -> None:
        """No offset of a partition comes before an earlier one has come, and none is missing."""
        newest: dict[tuple[object, object], int] = {}
        for topic, partition, offset in self.query(
            'select topic, partition, "offset" from taken order by nr'
        ):
            assert isinstance(offset, int)
            seen = newest.get((topic, partition), -1)
            assert offset <= seen + 1, f"{topic}/{partition}: {offset} after {seen}"
            newest[topic, partition] = max(seen, offset)

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()


def read_all(connection: KafkaConnection, topic: str, count: int) -> Sequence[ConsumerRecord]:
    """At least `count` records of a topic, and whatever else is there, partition by partition."""
    return asyncio.run(_read_all(connection, topic, count))


async def _read_all(connection: KafkaConnection, topic: str, count: int) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    options = {**connection.client_options(), "max_partition_fetch_bytes": 4_000_000}
    async with AIOKafkaConsumer(**options) as consumer:
        await consumer._client.force_metadata_update()
        partitions = [TopicPartition(topic, n) for n in await _partitions_of(consumer, topic)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        async with asyncio.timeout(DEADLINE_S):
            while len(found) < max(count, sum(ends.values())):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found.extend(records)
    return found


async def _partitions_of(consumer: AIOKafkaConsumer, topic: str) -> Iterator[int]:
    await consumer._client.add_topic(topic)
    return iter(sorted(consumer.partitions_for_topic(topic) or ()))
