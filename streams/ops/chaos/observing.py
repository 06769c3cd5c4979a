"""What can be seen from outside: the outcome topics, the simulators' books, judges and faults."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.http import HttpSession
from connectors.port import Answer
from schemas.outcomes import FINAL, TYPE_PREFIX, decode_outcome
from streams import topics
from streams.kafka_client import KafkaConnection
from streams.ops.chaos.processes import ChaosError, SimulatorProcess
from streams.ops.chaos.record import EventKey, SimulatorViolation, Told
from streams.ops.demo.books_read import FoundBooks
from streams.ops.demo.companies import Books, Kind
from streams.ops.demo.observing import read_all_books

CALL_S: Final = 10.0
POLL_MS: Final = 200
END_S: Final = 60.0


class Listener:
    """Reads results, failures and dead letters from the beginning, and keeps every record."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.told: list[Told] = []
        self.settled: set[tuple[EventKey, str]] = set()
        self.told_of: set[tuple[EventKey, str]] = set()
        self.newest = time.monotonic()

    async def poll(self) -> None:
        """Read what has come, waiting a moment for it."""
        found = await self._consumer.getmany(timeout_ms=POLL_MS)
        for records in found.values():
            for record in records:
                self.newest = time.monotonic()
                self._take(record)

    def _take(self, record: Any) -> None:
        told = Told(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple((name, value or b"") for name, value in record.headers),
        )
        self.told.append(told)
        if told.topic != topics.DEADLETTERS:
            outcome = decode_outcome(told.value or b"")
            delivery = ((outcome.event.source, outcome.event.id), outcome.integration)
            self.told_of.add(delivery)
            if outcome.outcome in FINAL:
                self.settled.add(delivery)

    def outcomes(self) -> Counter[str]:
        """How many outcomes there are of each kind, each once by its id."""
        kinds = {
            headers["ce_id"]: headers["ce_type"].decode().removeprefix(TYPE_PREFIX)
            for headers in (dict(told.headers) for told in self.told)
            if "ce_type" in headers and headers["ce_type"].startswith(TYPE_PREFIX.encode())
        }
        return Counter(kinds.values())

    async def to_the_end(self) -> None:
        """Read until the ends that the topics have now. Raises TimeoutError."""
        partitions: set[TopicPartition] = self._consumer.assignment()
        ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(list(partitions))
        async with asyncio.timeout(END_S):
            for partition, end in ends.items():
                while await self._consumer.position(partition) < end:
                    await self.poll()


@asynccontextmanager
async def listening(connection: KafkaConnection) -> AsyncIterator[Listener]:
    """Listen to the outcome topics, which are there, until the block ends."""
    consumer = AIOKafkaConsumer(
        topics.RESULTS,
        topics.FAILURES,
        topics.DEADLETTERS,
        **connection.client_options(),
        group_id=None,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        yield Listener(consumer)
    finally:
        await consumer.stop()


class Simulators:
    """The admin sides of both simulators."""

    def __init__(self, processes: Mapping[Kind, SimulatorProcess], books: Sequence[Books]) -> None:
        self._processes = processes
        self._books = books
        self._lives: Counter[str] = Counter()  # met in lives that are over
        self._now: dict[Kind, Counter[str]] = {}

    async def books(self) -> dict[str, FoundBooks]:
        """What stands in every books, without what the judges noted."""
        urls = {kind: one.base_url for kind, one in self._processes.items()}
        found = await read_all_books(urls, self._books)
        noted = {f"{one.kind}: {one.text}" for one in await self.noted()}
        return {
            name: msgspec.structs.replace(
                books, odd=tuple(text for text in books.odd if text not in noted)
            )
            for name, books in found.items()
        }

    async def noted(self) -> list[SimulatorViolation]:
        """What the judges of both systems wrote down, across restarts."""
        ids = {(one.kind, one.key.lower()): one.id for one in self._books}
        found = []
        for kind in self._processes:
            shown = await self._call(kind, "GET", "/_simulator/violations")
            for one in shown["violations"] if isinstance(shown, dict) else shown:
                company = str(one["company"]).lower()
                found.append(
                    SimulatorViolation(
                        at=datetime.fromisoformat(one["at"]).timestamp(),
                        integration=ids.get((kind, company), f"{kind.value} {company}"),
                        kind=one["kind"],
                        text=one["text"],
                    )
                )
        return found

    @property
    def met(self) -> Counter[str]:
        """How often each kind of fault was seen to have met a request, in all lives."""
        return sum(self._now.values(), self._lives)

    async def see_faults(self) -> None:
        """Look how often each kind of fault has met a request; counts begin anew with a life.

        What was met between the last look and a kill is not seen. Raises ChaosError.
        """
        for kind in self._processes:
            shown = await self._call(kind, "GET", "/_simulator/faults")
            met: Counter[str] = Counter()
            if isinstance(shown, dict):
                for rule, times in zip(shown["rules"], shown["met"], strict=True):
                    met[rule["fault"]] += times
            else:
                for rule in shown:
                    met[rule["fault"]] += int(rule["met"])
            before = self._now.get(kind, Counter())
            if met.total() < before.total():
                self._lives.update(before)
            self._now[kind] = +met

    async def no_more_faults(self) -> None:
        """From now on both systems behave."""
        for kind in self._processes:
            await self._call(kind, "POST", "/_simulator/faults", b'{"rules": []}')

    async def _call(self, kind: Kind, method: str, path: str, body: bytes | None = None) -> Any:
        url = self._processes[kind].root + path
        place = urlsplit(url).netloc
        async with HttpSession(frozenset({place}), frozenset({place, "127.0.0.1"})) as session:
            answer = await session.send(
                url,
                method=method,
                headers={"Content-Type": "application/json"},
                body=body,
                deadline_s=CALL_S,
                may_send=lambda: True,
            )
        if not isinstance(answer, Answer) or answer.status != HTTPStatus.OK:
            raise ChaosError(f"{method} {url}: {answer}")
        return msgspec.json.decode(answer.body)
