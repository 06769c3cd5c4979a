"""Kafka as the harness uses it: topics that note when a record came, filling, waiting, reading.

Both times of a latency are the broker's (LogAppendTime), in whole milliseconds of one clock.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.events import Event, by_partition
from schemas.lane import partition_of
from streams.kafka_client import KafkaConnection
from streams.topics import DEADLETTERS, FAILURES, INPUTS, RESULTS, TopicNames, create

RETENTION_S: Final = 86_400.0
BATCH_BYTES: Final = 262_144
LOOK_AGAIN_S: Final = 0.02  # between two looks at the end of a topic: one small request each
READ_MS: Final = 1_000
TICK_S: Final = 0.002  # of a steady rate
STALLED_S: Final = 60.0  # without a new outcome for so long, a contender has lost the rest


class _EventOf(msgspec.Struct, frozen=True):
    id: str = ""


class _Value(msgspec.Struct, frozen=True):
    event: _EventOf = _EventOf()
    outcome: str = ""
    final: bool = True


class Outcome(msgspec.Struct, frozen=True):
    """One outcome as it stands on Kafka: of which event, what, and when it was appended."""

    event: str
    outcome: str
    final: bool
    at_s: float


_VALUE: Final = msgspec.json.Decoder(_Value)
Ends = dict[int, int]


class Cluster:
    """A client of the cluster. Use as an async context manager; one for a whole case."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self.bootstrap = bootstrap
        self.partitions = partitions
        self._connection = KafkaConnection(bootstrap=bootstrap)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap, acks="all", max_batch_size=BATCH_BYTES
        )
        self._reader = AIOKafkaConsumer(
            bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._reader.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.stop()
        await self._producer.stop()

    async def make_topics(self, prefix: str) -> None:
        """Make all topics of a contender; inputs and outcomes note the broker's time."""
        names = TopicNames(prefix=prefix)
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            timed = [
                NewTopic(
                    names.full(bare),
                    self.partitions,
                    1,
                    topic_configs={
                        "message.timestamp.type": "LogAppendTime",
                        "retention.ms": str(int(RETENTION_S * 1000)),
                    },
                )
                for bare in (*INPUTS, RESULTS, FAILURES)
            ]
            await admin.create_topics(timed)
        finally:
            await admin.close()
        await create(
            self._connection,
            names,
            partitions=self.partitions,
            replication=1,
            retention_s=RETENTION_S,
        )

    async def fill(self, prefix: str, events: Sequence[Event]) -> None:
        """Put events on their topics as fast as it goes, in order within a key."""
        waiting: list[Any] = []
        by_topic: dict[str, list[Event]] = {}
        for event in events:
            by_topic.setdefault(prefix + event.record.topic, []).append(event)
        for topic, some in by_topic.items():
            for partition, rows in by_partition(some, self.partitions).items():
                left = deque(rows)
                while left:
                    waiting.append(
                        await self._producer.send_batch(
                            _filled(self._producer, left), topic, partition=partition
                        )
                    )
        await asyncio.gather(*waiting)

    async def put(self, prefix: str, event: Event) -> None:
        """Put one event, and return when the broker has it."""
        record = event.record
        await self._producer.send_and_wait(
            prefix + record.topic, record.value, record.key, headers=list(record.headers)
        )

    async def pace(self, prefix: str, events: Sequence[Event], per_second: float) -> None:
        """Put events at a steady rate, and return when the broker has them all.

        A late tick is made up for: the rate is that of the whole.
        """
        waiting: list[Any] = []
        begun, sent = time.monotonic(), 0
        while sent < len(events):
            due = min(len(events), int((time.monotonic() - begun) * per_second) + 1)
            for event in events[sent:due]:
                record = event.record
                assert record.key is not None  # noqa: S101 - every change event has one
                waiting.append(
                    await self._producer.send(
                        prefix + record.topic,
                        record.value,
                        record.key,
                        partition=partition_of(record.key, self.partitions),
                        headers=list(record.headers),
                    )
                )
            sent = due
            await asyncio.sleep(TICK_S)
        await asyncio.gather(*waiting)

    async def ends(self, topic: str) -> Ends:
        """The next offset of each partition."""
        partitions = [TopicPartition(topic, number) for number in range(self.partitions)]
        found = await self._reader.end_offsets(partitions)
        return {tp.partition: offset for tp, offset in found.items()}

    async def wait_for(
        self, topic: str, since: Ends, count: int, *, stalled_s: float = STALLED_S
    ) -> int:
        """Wait until `count` records have come since; returns how many have when it gives up."""
        before = sum(since.values())
        came, moved = 0, time.monotonic()
        while True:
            now = sum((await self.ends(topic)).values()) - before
            if now >= count:
                return now
            if now > came:
                came, moved = now, time.monotonic()
            elif time.monotonic() - moved > stalled_s:
                return now
            await asyncio.sleep(LOOK_AGAIN_S)

    async def outcomes(self, topic: str, since: Ends) -> list[Outcome]:
        """The outcomes that have come since, in order within a partition."""
        found = []
        for record in await self._records(topic, since):
            value = _VALUE.decode(record.value)
            at = record.timestamp / 1000
            found.append(Outcome(value.event.id, value.outcome, value.final, at))
        return found

    async def appended(self, topic: str, since: Ends) -> dict[str, float]:
        """When each event of an input topic was appended, by its id; seconds."""
        return {
            dict(record.headers)["ce_id"].decode(): record.timestamp / 1000
            for record in await self._records(topic, since)
        }

    async def _records(self, topic: str, since: Ends) -> list[Any]:
        until = await self.ends(topic)
        wanted = {
            TopicPartition(topic, number): end
            for number, end in until.items()
            if end > since.get(number, 0)
        }
        if not wanted:
            return []
        self._reader.assign(list(wanted))
        for tp in wanted:
            self._reader.seek(tp, since.get(tp.partition, 0))
        found: list[Any] = []
        reached: dict[TopicPartition, int] = {}
        while any(reached.get(tp, -1) < end - 1 for tp, end in wanted.items()):
            for tp, records in (await self._reader.getmany(timeout_ms=READ_MS)).items():
                found += records
                reached[tp] = records[-1].offset
        self._reader.assign([])
        return found

    async def letters(self, prefix: str) -> int:
        """How many dead letters there are."""
        return sum((await self.ends(prefix + DEADLETTERS)).values())


def nothing(partitions: int) -> Ends:
    """The ends of a topic that is new."""
    return dict.fromkeys(range(partitions), 0)


def added(since: Mapping[int, int], until: Mapping[int, int]) -> int:
    """How many records lie between two looks."""
    return sum(until.values()) - sum(since.values())


def _filled(producer: AIOKafkaProducer, rows: deque[Event]) -> Any:
    """A batch with as many as fit, taken off `rows`."""
    batch = producer.create_batch()
    while rows:
        record = rows[0].record
        added_ = batch.append(
            timestamp=None, key=record.key, value=record.value, headers=list(record.headers)
        )
        if added_ is None:
            break
        rows.popleft()
    batch.close()
    return batch
