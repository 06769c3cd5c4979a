"""Ingest inside our own event loop: what a record may look like, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import pytest
from aiokafka import AIOKafkaProducer

from schemas.wire import Record
from streams.faust_app import IngestApp, build_faust_app
from streams.ingest import run_ingest
from tests.conftest import BackgroundErrors
from tests.kafka.stage import DEADLINE_S, PARTITIONS, Stage

pytestmark = pytest.mark.kafka

TOPIC = "moment.invoices"
# A little below the broker's limit for a whole batch.
LARGE = b"x" * 1_000_000


class Memory:
    """An intake and lanes that keep everything in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.told: list[tuple[str, frozenset[int]]] = []
        self.changed = asyncio.Event()
        self.trouble: Exception | None = None

    async def take(self, records: Sequence[Record]) -> None:
        assert len({(r.topic, r.partition) for r in records}) == 1
        if self.trouble is not None:
            # Heard when the failure is known.
            asyncio.get_running_loop().call_later(0.1, self.changed.set)
            raise self.trouble
        self.records.extend(records)
        self.changed.set()

    async def resume_at(
        self,
        committed: Mapping[tuple[str, int], int],  # noqa: ARG002
    ) -> Mapping[tuple[str, int], int]:
        return {}

    async def assigned(self, partitions: frozenset[int]) -> None:
        self.told.append(("assigned", partitions))
        self.changed.set()

    async def revoked(self, partitions: frozenset[int]) -> None:
        self.told.append(("revoked", partitions))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


def running(
    stage: Stage, memory: Memory, body: Callable[[IngestApp, AIOKafkaProducer], Awaitable[None]]
) -> str | None:
    """Run ingest while `body` runs, then stop it; returns why it ended."""

    async def main() -> str | None:
        app = build_faust_app(
            connection=stage.connection,
            group=stage.group,
            topics=stage.names,
            intake=memory,
            lanes=memory,
        )
        stop = asyncio.Event()
        exits: list[int] = []
        ingest = asyncio.create_task(run_ingest(app, stop=stop, drain_s=5, hard_exit=exits.append))
        async with AIOKafkaProducer(
            **stage.connection.client_options(), max_request_size=2_000_000
        ) as producer:
            await body(app, producer)
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            reason = await ingest
        assert exits == []
        return reason

    return asyncio.run(main())


def test_records_arrive_byte_for_byte(stage: Stage) -> None:
    """Large, without key, without value, with repeated and empty headers: all as they came."""
    memory = Memory()
    topic = stage.names.full(TOPIC)
    headers = [("a", b"1"), ("b", b"\xff\x00"), ("a", b"2"), ("empty", b"")]

    async def body(app: IngestApp, producer: AIOKafkaProducer) -> None:
        await producer.send_and_wait(topic, key=b"k", value=LARGE, headers=headers, partition=0)
        await producer.send_and_wait(topic, value=b"no key", partition=0, timestamp_ms=1_234)
        await producer.send_and_wait(topic, key=b"no value", partition=0)
        await producer.send_and_wait(topic, key=b"", value=b"", partition=0)
        await memory.until(lambda: len(memory.records) == 4)

    assert running(stage, memory, body) is None
    large, no_key, no_value, empty = memory.records
    assert large.value == LARGE
    assert (large.key, large.headers) == (b"k", tuple(headers))
    assert (no_key.key, no_key.value, no_key.timestamp_ms) == (None, b"no key", 1_234)
    assert (no_value.key, no_value.value, no_value.headers) == (b"no value", None, ())
    assert (empty.key, empty.value) == (b"", b"")
    assert [(r.topic, r.partition, r.offset) for r in memory.records] == [
        (TOPIC, 0, offset) for offset in range(4)
    ]
    assert stage.lag() == 0


def test_a_worker_is_ready_when_it_has_joined_and_tells_its_lanes(stage: Stage) -> None:
    memory = Memory()
    every = frozenset(range(PARTITIONS))

    async def body(app: IngestApp, producer: AIOKafkaProducer) -> None:
        assert not app.ready
        await memory.until(lambda: memory.told != [])
        assert memory.told == [("assigned", every)]
        await producer.send_and_wait(stage.names.full(TOPIC), b"1")
        await memory.until(lambda: memory.records != [])
        assert app.ready

    assert running(stage, memory, body) is None
    assert memory.told == [("assigned", every), ("revoked", every)]


def test_a_ledger_that_cannot_be_written_is_the_reason_to_end(
    stage: Stage, background_errors: BackgroundErrors
) -> None:
    memory = Memory()
    memory.trouble = OSError("disk full")

    async def body(app: IngestApp, producer: AIOKafkaProducer) -> None:
        await producer.send_and_wait(stage.names.full(TOPIC), b"1")
        await memory.until(lambda: app.failure is not None)

    reason = running(stage, memory, body)
    assert reason is not None
    assert "disk full" in reason
    assert stage.lag() == 1
    assert len(background_errors.take("^ingest_failed")) == 1
    assert len(background_errors.take("^ingest_ends")) == 1
