"""The day on Kafka: sends it wave by wave, and watches what is told of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.deadletters import read_letter
from schemas.outcomes import FINAL, Outcome, OutcomeKind, decode_outcome
from streams import topics
from streams.kafka_client import KafkaConnection
from streams.ops.demo.books_check import Letter, Sent, Told
from streams.ops.demo.day import Day, Wave
from streams.ops.demo.expectations import EventKey, Expectations

# Nothing new for so long means that nothing more will come; a busy machine pauses for less.
STALLED_S: Final = 60.0
BETWEEN_WAVES_S: Final = 0.4  # shorter than PARENT_WAIT: children wait, and are not told yet
POLL_MS: Final = 100
END_S: Final = 30.0
CE_ID: Final = "ce_id"

DeliveryKey = tuple[EventKey, str]


class Watch:
    """Reads results, failures and dead letters from the beginning, as a consumer of them would."""

    def __init__(self, consumer: AIOKafkaConsumer, names: topics.TopicNames) -> None:
        self._consumer = consumer
        self._names = names
        self._outcomes: dict[str, Outcome] = {}
        self._letters: dict[tuple[str, int, int], Letter] = {}
        self.settled: dict[DeliveryKey, OutcomeKind] = {}
        self.last_final_at: float | None = None

    @property
    def told(self) -> Told:
        """All that was read so far."""
        return Told(outcomes=dict(self._outcomes), letters=tuple(self._letters.values()))

    @property
    def letters(self) -> int:
        """How many dead letters were read so far."""
        return len(self._letters)

    async def poll(self) -> int:
        """Read what has come, waiting a moment for it; returns how many records it was."""
        found = await self._consumer.getmany(timeout_ms=POLL_MS)
        for records in found.values():
            for record in records:
                self._take(record)
        return sum(len(records) for records in found.values())

    async def to_the_end(self) -> None:
        """Read until the ends that the topics have now. Raises TimeoutError."""
        partitions: set[TopicPartition] = self._consumer.assignment()
        ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(list(partitions))
        async with asyncio.timeout(END_S):
            for partition, end in ends.items():
                while await self._consumer.position(partition) < end:
                    await self.poll()

    def _take(self, record: "Record") -> None:
        bare = self._names.bare(record.topic)
        headers = tuple((name, value or b"") for name, value in record.headers)
        if bare == topics.DEADLETTERS:
            place = (record.topic, record.partition, record.offset)
            self._letters[place] = Letter(
                says=read_letter(headers), key=record.key, value=record.value
            )
            return
        outcome = decode_outcome(record.value or b"")
        self._outcomes[dict(headers)[CE_ID].decode()] = outcome
        delivery = ((outcome.event.source, outcome.event.id), outcome.integration)
        if outcome.outcome in FINAL:
            self.last_final_at = time.monotonic()
            self.settled[delivery] = outcome.outcome
        elif outcome.outcome is OutcomeKind.BLOCKED:
            self.settled.setdefault(delivery, outcome.outcome)

    def is_settled(self, delivery: DeliveryKey, *, blocked: bool) -> bool:
        """Whether a delivery has its final outcome, or is blocked where that is its end."""
        kind = self.settled.get(delivery)
        return kind is not None and (blocked or kind in FINAL)


class Record:
    """What is used of aiokafka's record."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes | None]]


@asynccontextmanager
async def watching(connection: KafkaConnection, names: topics.TopicNames) -> AsyncIterator[Watch]:
    """Watch the outcome topics, which are there, until the block ends."""
    wanted = (names.full(name) for name in (topics.RESULTS, topics.FAILURES, topics.DEADLETTERS))
    consumer = AIOKafkaConsumer(
        *wanted, **connection.client_options(), group_id=None, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        yield Watch(consumer, names)
    finally:
        await consumer.stop()


class Sender:
    """Sends the waves of a day and waits for what must come of them."""

    def __init__(
        self,
        connection: KafkaConnection,
        names: topics.TopicNames,
        watch: Watch,
        expected: Expectations,
        look: Callable[[], None],
    ) -> None:
        """`look` is called again and again while anything is waited for; it may raise."""
        self._connection = connection
        self._names = names
        self._watch = watch
        self._expected = expected
        self._look = look
        self.sent: list[Sent] = []

    async def send(self, day: Day) -> bool:
        """Send the whole day. False where it stalled: then something is missing in the end."""
        producer = AIOKafkaProducer(
            **self._connection.client_options(), enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        try:
            for number, wave in enumerate(day.waves):
                await self._send_wave(producer, wave)
                last = number == len(day.waves) - 1
                if wave.settle and not last and not await self._until(self._of(wave), letters=0):
                    return False
                if not wave.settle and not last:
                    await self._pause()
        finally:
            await producer.stop()
        return await self._until(list(self._expected.deliveries), len(self._expected.letters))

    async def _send_wave(self, producer: AIOKafkaProducer, wave: Wave) -> None:
        pending = []
        for emission in wave.emissions:
            record = emission.record
            topic = self._names.full(record.topic)
            sending = await producer.send(
                topic, key=record.key, value=record.value, headers=list(record.headers)
            )
            pending.append((record, sending))
        for record, sending in pending:
            place = await sending
            self.sent.append(
                Sent(
                    topic=place.topic,
                    partition=place.partition,
                    offset=place.offset,
                    key=record.key,
                    value=record.value,
                )
            )

    def _of(self, wave: Wave) -> list[DeliveryKey]:
        events = {(emission.source, emission.id) for emission in wave.emissions}
        return [delivery for delivery in self._expected.deliveries if delivery[0] in events]

    async def _pause(self) -> None:
        until = time.monotonic() + BETWEEN_WAVES_S
        while time.monotonic() < until:
            await self._watch.poll()
            self._look()

    async def _until(self, deliveries: list[DeliveryKey], letters: int) -> bool:
        """Wait for these deliveries and so many letters; False when nothing comes any more."""
        open_ = set(deliveries)
        newest = time.monotonic()
        while True:
            if await self._watch.poll():
                newest = time.monotonic()
            self._look()
            open_ = {one for one in open_ if not self._done(one)}
            if not open_ and self._watch.letters >= letters:
                return True
            if time.monotonic() - newest > STALLED_S:
                return False

    def _done(self, delivery: DeliveryKey) -> bool:
        blocked = self._expected.deliveries[delivery].blocked
        return self._watch.is_settled(delivery, blocked=blocked)
