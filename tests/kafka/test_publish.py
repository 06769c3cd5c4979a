"""The publisher on a real broker: everything, in order, also when the broker dies."""

import asyncio
from collections.abc import Sequence

import pytest

from schemas.wire import Outgoing
from streams.kafka_client import KafkaConnection
from streams.local.kafka_node import KafkaNode
from streams.ports import OutboxRow
from streams.publish import ROWS_MAX, Publisher, partition_for
from streams.topics import DEADLETTERS, RESULTS, TopicNames
from tests.kafka.stage import DEADLINE_S, Stage, read_all

KEYS = 50


class MemoryOutbox:
    """Rows in memory; what is published is remembered in the order it was marked."""

    def __init__(self, rows: Sequence[OutboxRow]) -> None:
        self.open = {row.position: row for row in rows}
        self.marked: list[int] = []
        self.changed = asyncio.Event()

    async def wait(self) -> None:
        await asyncio.sleep(0.01)

    async def unpublished(self, limit: int) -> Sequence[OutboxRow]:
        return [self.open[position] for position in sorted(self.open)[:limit]]

    async def published(self, positions: Sequence[int]) -> None:
        for position in positions:
            del self.open[position]
        self.marked.extend(positions)
        self.changed.set()

    async def until_marked(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(self.marked) < count:
                self.changed.clear()
                await self.changed.wait()


def row(position: int, record: Outgoing) -> OutboxRow:
    return OutboxRow(position=position, record=record)


def result(number: int) -> Outgoing:
    key = b"c/%d" % (number % KEYS)
    return Outgoing(topic=RESULTS, key=key, value=b"%d" % number, headers=(("n", b"%d" % number),))


def first_seen(values: Sequence[int]) -> list[int]:
    return list(dict.fromkeys(values))


@pytest.mark.kafka
def test_all_rows_go_out_in_the_order_of_each_key_though_the_broker_is_killed(
    kafka_node: KafkaNode, stage: Stage
) -> None:
    total = ROWS_MAX * 20
    outbox = MemoryOutbox([row(number, result(number)) for number in range(total)])

    async def main() -> None:
        publisher = Publisher(stage.connection, outbox, stage.names)
        stop = asyncio.Event()
        running = asyncio.create_task(publisher.run(stop, drain_s=30))
        await outbox.until_marked(ROWS_MAX)
        await asyncio.to_thread(kafka_node.restart, kill=True)
        assert len(outbox.marked) < total, "all went out before the broker was killed"
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await running

    asyncio.run(main())
    assert sorted(outbox.marked) == list(range(total))
    by_key: dict[bytes, list[int]] = {}
    for record in read_all(stage.connection, stage.names.full(RESULTS), total):
        assert record.headers == (("n", record.value),)
        by_key.setdefault(record.key, []).append(int(record.value))
    assert len(by_key) == KEYS
    for key, numbers in by_key.items():
        start = int(key.removeprefix(b"c/"))
        assert first_seen(numbers) == list(range(start, total, KEYS))


@pytest.mark.kafka
def test_dead_letters_go_out_whole_with_their_headers_and_without_a_key(stage: Stage) -> None:
    headers = (("ce_id", b"1"), ("ce_id", b"2"), ("moment-sync-response", b"r" * 60_000))
    letters = [
        Outgoing(topic=DEADLETTERS, key=None, value=b"x" * 1_048_000, headers=headers),
        Outgoing(topic=DEADLETTERS, key=b"k", value=None, headers=()),
        Outgoing(topic=DEADLETTERS, key=None, value=None, headers=()),
    ]
    outbox = MemoryOutbox([row(n, letter) for n, letter in enumerate(letters)])

    async def main() -> None:
        stop = asyncio.Event()
        stop.set()  # what is there is still drained
        await Publisher(stage.connection, outbox, stage.names).run(stop, drain_s=30)

    asyncio.run(main())
    assert sorted(outbox.marked) == [0, 1, 2]
    found = read_all(stage.connection, stage.names.full(DEADLETTERS), 3)
    expected = {(letter.key, letter.value, letter.headers) for letter in letters}
    assert {(r.key, r.value, r.headers) for r in found} == expected


def test_without_a_broker_the_publisher_goes_on_trying_and_stops_in_time() -> None:
    """What did not get out stays in the outbox, unmarked."""
    outbox = MemoryOutbox([row(0, result(0))])

    async def main() -> float:
        loop = asyncio.get_running_loop()
        publisher = Publisher(KafkaConnection(bootstrap="127.0.0.1:1"), outbox, TopicNames(""))
        stop = asyncio.Event()
        running = asyncio.create_task(publisher.run(stop, drain_s=0.2))
        loop.call_later(0.2, stop.set)
        started = loop.time()
        await running
        return loop.time() - started

    assert asyncio.run(main()) < 5
    assert outbox.marked == []


def test_records_without_a_key_are_spread_and_others_go_by_it() -> None:
    assert [partition_for(None, 3, position) for position in range(4)] == [0, 1, 2, 0]
    assert partition_for(b"abc", 12, 0) == partition_for(b"abc", 12, 1) == 479470107 % 12
