"""The reference worker: aiokafka, a queue for each key, uvloop. No ledger, no dedupe, no retry.

Made to be fast: as many callers as calls may be in flight, each taking the next key that has
work; partitions read round robin, since aiokafka empties one before the next; a slot is given
back when its call ends; the outcome is produced with acks=all, and only then its offset counts
as done and is committed.
"""

import asyncio
import contextlib
import sys
from collections import deque
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contenders.customer_change import body_of, decode, event_id, outcome_of, url_of
from benchmarks.contenders.worker_plan import WorkerPlan

READ_AHEAD: Final = 4_000  # records taken and not called for: enough keys for a thousand calls
TAKE: Final = 100  # of one partition in its turn
IDLE_MS: Final = 200
COMMIT_S: Final = 1.0
LOOK_AGAIN_S: Final = 0.05
LINGER_MS: Final = 5
BATCH_BYTES: Final = 65_536
OK_BELOW: Final = 300


class Offsets:
    """What may be committed of a partition: everything below the first record not done."""

    def __init__(self) -> None:
        self._done: dict[int, set[int]] = {}
        self._next: dict[int, int] = {}

    def taken(self, partition: int, offset: int) -> None:
        """A record has been read."""
        self._next.setdefault(partition, offset)

    def done(self, partition: int, offset: int) -> None:
        """Its outcome is acknowledged."""
        done, following = self._done.setdefault(partition, set()), self._next[partition]
        done.add(offset)
        while following in done:
            done.remove(following)
            following += 1
        self._next[partition] = following

    def committable(self, topic: str) -> dict[TopicPartition, int]:
        """The next offset of each partition."""
        return {TopicPartition(topic, number): offset for number, offset in self._next.items()}


class Worker:
    """One reference worker."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._queues: dict[bytes, deque[Any]] = {}
        self._ready: asyncio.Queue[bytes] = asyncio.Queue()
        self._waiting = 0
        self._room = asyncio.Event()
        self._offsets = Offsets()
        self._headers = {
            company: {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            for company, token in plan.tokens.items()
        }
        self._consumer = AIOKafkaConsumer(
            plan.input,
            bootstrap_servers=plan.bootstrap,
            group_id=plan.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=plan.bootstrap,
            acks="all",
            enable_idempotence=True,
            linger_ms=LINGER_MS,
            max_batch_size=BATCH_BYTES,
        )

    async def run(self) -> None:
        """Work until the process is ended."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as session:
            await self._producer.start()
            await self._consumer.start()
            while not self._consumer.assignment():  # noqa: ASYNC110 - the client tells nobody
                await asyncio.sleep(LOOK_AGAIN_S)
            Path(self._plan.ready).touch()  # noqa: ASYNC240 - before anything is measured
            callers = [self._call(session) for _ in range(self._plan.in_flight)]
            await asyncio.gather(self._read(), self._commit(), *callers)

    async def _read(self) -> None:
        turns = cycle(sorted(self._consumer.assignment()))
        empty, partitions = 0, len(self._consumer.assignment())
        while True:
            if self._waiting >= READ_AHEAD:
                self._room.clear()
                await self._room.wait()
            found = await self._consumer.getmany(next(turns), timeout_ms=0, max_records=TAKE)
            empty = 0 if found else empty + 1
            if empty >= partitions:
                found = await self._consumer.getmany(timeout_ms=IDLE_MS, max_records=TAKE)
                empty = 0
            for records in found.values():
                self._take(records)

    def _take(self, records: list[Any]) -> None:
        self._waiting += len(records)
        for record in records:
            self._offsets.taken(record.partition, record.offset)
            queue = self._queues.get(record.key)
            if queue is None:
                self._queues[record.key] = deque((record,))
                self._ready.put_nowait(record.key)
            else:
                queue.append(record)

    async def _call(self, session: aiohttp.ClientSession) -> None:
        base_url, results = self._plan.base_url, self._plan.results
        while True:
            key = await self._ready.get()
            queue = self._queues[key]
            record = queue[0]
            event = decode(record.value)
            done = False
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.put(
                    url_of(base_url, event),
                    data=body_of(event),
                    headers=self._headers[event.company],
                    allow_redirects=False,
                ) as response:
                    await response.read()
                    done = response.status < OK_BELOW
            self._called(key, queue)
            value = outcome_of(
                event,
                event_id(record.headers),
                record.topic,
                record.partition,
                record.offset,
                done=done,
            )
            acknowledged = await self._producer.send(results, value, key)
            acknowledged.add_done_callback(
                lambda _, p=record.partition, o=record.offset: self._offsets.done(p, o)
            )

    def _called(self, key: bytes, queue: deque[Any]) -> None:
        """A call has ended: the next event of its key may go."""
        queue.popleft()
        self._waiting -= 1
        if self._waiting < READ_AHEAD:
            self._room.set()
        if queue:
            self._ready.put_nowait(key)
        else:
            del self._queues[key]

    async def _commit(self) -> None:
        committed: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(COMMIT_S)
            offsets = self._offsets.committable(self._plan.input)
            if offsets and offsets != committed:
                await self._consumer.commit(offsets)
                committed = offsets


async def main(plan: WorkerPlan) -> None:
    """Run the worker of a plan."""
    await Worker(plan).run()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=WorkerPlan)))
