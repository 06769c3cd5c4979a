"""Kafka as somebody outside uses it: sends records, and keeps whatever comes out."""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from streams.kafka_client import KafkaConnection

T = TypeVar("T")
Headers = tuple[tuple[str, bytes], ...]
RESULTS, FAILURES, LETTERS = (f"moment-sync.{n}" for n in ("results", "failures", "deadletters"))
OUTPUTS = (RESULTS, FAILURES, LETTERS)
DEADLINE_S = 30.0  # far above what any of it takes, also on a busy machine
LOOK_AGAIN_S = 0.02
MAX_FETCH_BYTES = 8 * 1024 * 1024


class Told(msgspec.Struct, frozen=True):
    """One outcome as it was published."""

    topic: str
    key: bytes | None
    headers: Headers
    data: dict[str, Any]

    def header(self, name: str) -> str | None:
        return next((value.decode() for n, value in self.headers if n == name), None)

    @property
    def kind(self) -> str:
        return str(self.data["outcome"])

    @property
    def code(self) -> str | None:
        return (self.data.get("failure") or {}).get("code")


class Letter(msgspec.Struct, frozen=True):
    """One dead letter as it was published. `said`: our headers without their prefix."""

    key: bytes | None
    value: bytes | None
    came: Headers
    said: dict[str, str]


class Wire:
    """A producer and a consumer in a thread of their own; what came out is kept in order."""

    def __init__(self, connection: KafkaConnection, prefix: str) -> None:
        self.prefix = prefix
        self.told: list[Told] = []
        self.letters: list[Letter] = []
        self._connection = connection
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.call(self._start())

    def stop(self) -> None:
        if not self._thread.is_alive():
            self._loop.close()
            return
        self.call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Headers = ()
    ) -> tuple[int, int]:
        """Partition and offset of the record, once every replica has it."""
        placed = self.call(
            self._producer.send_and_wait(
                self.prefix + topic, key=key, value=value, headers=list(headers)
            )
        )
        return placed.partition, placed.offset

    def wait(self, look: Callable[[], T | None], what: str, seconds: float = DEADLINE_S) -> T:
        """The first thing that `look` finds."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
            time.sleep(LOOK_AGAIN_S)
        return found

    async def _start(self) -> None:
        options = self._connection.client_options()
        self._producer = AIOKafkaProducer(**options, max_request_size=MAX_FETCH_BYTES)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            *(self.prefix + name for name in OUTPUTS),
            **options,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_bytes=MAX_FETCH_BYTES,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
            fetch_max_wait_ms=20,
        )
        await self._consumer.start()
        self._reading = asyncio.create_task(self._read())

    async def _stop(self) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        await self._consumer.stop()
        await self._producer.stop()

    async def _read(self) -> None:
        async for record in self._consumer:
            self._keep(record)

    def _keep(self, record: ConsumerRecord) -> None:
        topic = record.topic.removeprefix(self.prefix)
        headers = tuple(record.headers)
        if topic != LETTERS:
            data = json.loads(record.value)
            self.told.append(Told(topic, record.key, headers, data))
            return
        start = max(i for i, (name, _) in enumerate(headers) if name == "moment-sync-letter-id")
        said = {n.removeprefix("moment-sync-"): v.decode() for n, v in headers[start:]}
        self.letters.append(Letter(record.key, record.value, headers[:start], said))


def as_json(value: object) -> bytes:
    """JSON as a producer writes it: decimals as text."""
    return json.dumps(value, ensure_ascii=False, default=_text).encode()


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


def binary(attributes: Mapping[str, str]) -> Headers:
    """The headers of an event in binary mode."""
    whole = {"specversion": "1.0", **attributes}
    named = tuple((f"ce_{name}", value.encode()) for name, value in whole.items())
    return (*named, ("content-type", b"application/json"))
