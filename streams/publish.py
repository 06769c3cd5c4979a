"""The outbox goes out to Kafka: in order, at least once, however long the broker is away."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.lane import partition_of
from streams import publish_order
from streams.kafka_client import KafkaConnection, wait_for_kafka
from streams.ports import Outbox, OutboxRow
from streams.topics import DEADLETTER_ROOM_BYTES, DEFAULT_MESSAGE_BYTES, TopicNames

log = logging.getLogger(__name__)

# Rows read from the ledger at a time: at a few hundred bytes each they fill some batches.
ROWS_MAX = 1_000
BATCH_BYTES = 65_536
# A batch that is not acknowledged after this is given back, and sent again by a fresh producer.
PRODUCE_TIMEOUT_MS = 30_000
START_TIMEOUT_S = 30.0
# Before the next try after a failure, and between two lines of the log while it lasts.
TRY_AGAIN_S = 1.0
TELL_EVERY_S = 60.0
# A producer that has failed is not waited for: what it still holds is sent again.
CLOSE_S = 5.0

Lane = tuple[str, int]


class Publisher:
    """Drains an outbox. One at a time for each process.

    Within a partition, and so within a key, a batch is sent only when the one before it is
    acknowledged; the same holds for an entity over all topics (`publish_order`). When a batch
    fails, its rows and those after them in its partition are sent again by a fresh producer:
    repeats are possible, another order and loss are not.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        outbox: Outbox,
        names: TopicNames,
        *,
        max_request_bytes: int = DEFAULT_MESSAGE_BYTES + DEADLETTER_ROOM_BYTES,
        told: Callable[[Sequence[OutboxRow]], None] = lambda _: None,
    ) -> None:
        """`max_request_bytes` follows the dead letters' limit (`TopicsCheck.max_letter_bytes`).

        `told` is told of the rows that the brokers have acknowledged.
        """
        self._told = told
        self._connection = connection
        self._outbox = outbox
        self._names = names
        self._max_request_bytes = max_request_bytes
        self._producer: AIOKafkaProducer | None = None
        self._told_at: float | None = None
        self.published = 0

    async def run(self, stop: asyncio.Event, *, drain_s: float) -> None:
        """Publish until `stop` is set; then what is left, at most `drain_s` longer.

        What does not get out stays in the outbox. Raises only what the outbox raises.
        """
        try:
            running = asyncio.create_task(self._run(stop))
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not running.done():
                    await asyncio.wait({running}, timeout=drain_s)
            finally:
                stopping.cancel()
                running.cancel()
                await asyncio.wait({running})
            if not running.cancelled():
                running.result()
        finally:
            await self._close()

    async def _run(self, stop: asyncio.Event) -> None:
        while True:
            rows = await self._outbox.unpublished(ROWS_MAX)
            if rows:
                if not await self._publish(rows):
                    await asyncio.sleep(TRY_AGAIN_S)
            elif stop.is_set():
                return
            else:
                await self._wait(stop)

    async def _wait(self, stop: asyncio.Event) -> None:
        more = asyncio.ensure_future(self._outbox.wait())
        stopping = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({more, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if more.done():
                more.result()
        finally:
            more.cancel()
            stopping.cancel()

    async def _publish(self, rows: Sequence[OutboxRow]) -> bool:
        """Send rows and mark those acknowledged. False when some were not."""
        # Quietly first: the client library tells of every refused connection.
        away = None if self._producer else await wait_for_kafka(self._connection, 0)
        if away is not None:
            await self._failed(away)
            return False
        try:
            producer = await self._started()
            steps = [await self._by_lane(producer, step) for step in publish_order.steps(rows)]
        except (KafkaError, OSError, TimeoutError) as error:
            await self._failed(error)
            return False
        for lanes in steps:
            while lanes:
                trouble = await self._round(producer, lanes)
                if trouble is not None:
                    await self._failed(trouble)
                    return False
        self._told_at = None
        return True

    async def _by_lane(
        self, producer: AIOKafkaProducer, rows: Sequence[OutboxRow]
    ) -> dict[Lane, deque[OutboxRow]]:
        """Rows in order, sorted into topic and partition."""
        lanes: dict[Lane, deque[OutboxRow]] = {}
        counts: dict[str, int] = {}
        for row in rows:
            topic = self._names.full(row.record.topic)
            if topic not in counts:
                counts[topic] = len(await producer.partitions_for(topic))
            lane = (topic, partition_for(row.record.key, counts[topic], row.position))
            lanes.setdefault(lane, deque()).append(row)
        return lanes

    async def _round(
        self, producer: AIOKafkaProducer, lanes: dict[Lane, deque[OutboxRow]]
    ) -> BaseException | None:
        """One batch for each lane, acknowledged and marked. Returns what went wrong."""
        sent: list[list[OutboxRow]] = []
        waiting: list[Any] = []
        trouble: BaseException | None = None
        for lane, rows in list(lanes.items()):
            batch = _filled(producer, rows)
            try:
                waiting.append(await producer.send_batch(batch[0], lane[0], partition=lane[1]))
            except (KafkaError, OSError, TimeoutError) as error:
                trouble = error
                break
            sent.append(batch[1])
            if not rows:
                del lanes[lane]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        done: list[int] = []
        for batch_rows, answer in zip(sent, answers, strict=True):
            if isinstance(answer, BaseException):
                trouble = answer
            else:
                done.extend(row.position for row in batch_rows)
                self._told(batch_rows)
        if done:
            await self._outbox.published(sorted(done))
            self.published += len(done)
        return trouble

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            options = {
                **self._connection.client_options(),
                "request_timeout_ms": PRODUCE_TIMEOUT_MS,
            }
            producer = AIOKafkaProducer(
                **options,
                acks="all",
                enable_idempotence=True,
                max_batch_size=BATCH_BYTES,
                max_request_size=self._max_request_bytes,
            )
            try:
                async with asyncio.timeout(START_TIMEOUT_S):
                    await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _failed(self, error: BaseException | str) -> None:
        """A producer that failed once is not trusted with an order any more."""
        now = asyncio.get_running_loop().time()
        if self._told_at is None or now - self._told_at >= TELL_EVERY_S:
            self._told_at = now
            log.warning(
                "outcomes cannot be published, trying on: %r",
                error,
                extra={"action": "publish_failed"},
            )
        await self._close()

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await producer.stop()
            except (KafkaError, OSError, TimeoutError) as error:
                log.info("producer given up: %r", error, extra={"action": "producer_given_up"})


def partition_for(key: bytes | None, partitions: int, position: int) -> int:
    """The partition that Kafka's clients give a key; without a key, spread by position."""
    return position % partitions if key is None else partition_of(key, partitions)


def _filled(producer: AIOKafkaProducer, rows: deque[OutboxRow]) -> tuple[Any, list[OutboxRow]]:
    """A batch with as many rows as fit, taken off `rows`. The first one always fits."""
    batch = producer.create_batch()
    taken: list[OutboxRow] = []
    while rows:
        record = rows[0].record
        added = batch.append(
            timestamp=None, key=record.key, value=record.value, headers=list(record.headers)
        )
        if added is None:
            break
        taken.append(rows.popleft())
    batch.close()
    return batch, taken
