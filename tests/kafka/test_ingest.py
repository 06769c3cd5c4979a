"""Ingest on a real broker: nothing lost, in order, whatever dies."""

import json
import signal

import pytest

from streams.local.kafka_node import KafkaNode
from tests.kafka.stage import PARTITIONS, Stage, eventually

pytestmark = pytest.mark.kafka

TOPIC = "moment.customers"


def test_kills_and_stops_lose_nothing_and_keep_the_order_of_every_partition(stage: Stage) -> None:
    """SIGKILL leaves acks uncommitted and takes half done; SIGTERM must not leave any."""
    total = 20_000
    stage.produce(TOPIC, range(total))
    ends = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)
    for number, how in enumerate(ends, 1):
        worker = stage.start_worker(f"w{number}", pause_s=0.1)
        stage.wait_for(number * 2_000)
        assert stage.end(worker, how) == (0 if how is signal.SIGTERM else -how)
    assert stage.distinct() < total, "the last worker has nothing to do: the test proves too little"
    worker = stage.start_worker("last")
    stage.wait_for(total)
    assert stage.end(worker, signal.SIGTERM) == 0
    assert stage.distinct() == total
    stage.assert_in_order()
    assert stage.lag() == 0


def test_workers_that_come_and_go_in_good_order_repeat_nothing(stage: Stage) -> None:
    """What was acked is committed at the revoke; Faust by itself forgets it then."""
    with stage.flow(TOPIC) as flow:
        first = stage.start_worker("first")
        stage.wait_for(1_000)
        second = stage.start_worker("second")
        eventually(lambda: _assigned(stage, "second") != [], "the second worker has lanes")
        stage.wait_for(stage.distinct() + 1_000)
        assert stage.end(first, signal.SIGTERM) == 0
        eventually(lambda: len(_assigned(stage, "second")) == 2, "the second worker has all")
        stage.wait_for(stage.distinct() + 1_000)
    stage.wait_for(flow.produced)
    assert stage.end(second, signal.SIGTERM) == 0
    assert stage.distinct() == flow.produced
    stage.assert_in_order()
    assert stage.lag() == 0
    assert stage.repeats() == 0


def test_a_lane_is_one_partition_in_all_topics_and_one_workers_at_a_time(stage: Stage) -> None:
    """The lanes are told before records flow, so every record taken is of an assigned lane."""
    first = stage.start_worker("first")
    eventually(lambda: _assigned(stage, "first") == [list(range(PARTITIONS))], "all to the first")
    second = stage.start_worker("second")
    eventually(lambda: len(_assigned(stage, "second")) == 1, "some to the second")
    eventually(lambda: len(_assigned(stage, "first")) == 2, "fewer to the first")
    ones, others = _assigned(stage, "first")[-1], _assigned(stage, "second")[-1]
    assert sorted([*ones, *others]) == list(range(PARTITIONS))
    assert ones != []
    assert others != []
    for topic in ("moment.customers", "moment.projects", "moment.invoices"):
        stage.produce(topic, range(200))
    stage.produce("moment-sync.commands", range(200))
    stage.wait_for(800)
    for name, lanes in (("first", ones), ("second", others)):
        taken = stage.query("select distinct partition from taken where worker = ?", name)
        assert sorted(int(str(row[0])) for row in taken) == lanes
    assert stage.query("select count(distinct topic) from taken") == [(4,)]
    every = list(range(PARTITIONS))
    assert stage.end(first, signal.SIGTERM) == 0
    eventually(lambda: _assigned(stage, "second")[-1] == every, "all to the one that is left")
    assert stage.end(second, signal.SIGTERM) == 0
    last = stage.query("select at, partitions from lanes where worker = 'second' order by nr")[-1]
    assert last == ("revoked", json.dumps(every))


def test_a_broker_that_is_killed_and_comes_back_is_survived(
    kafka_node: KafkaNode, stage: Stage
) -> None:
    worker = stage.start_worker("w", pause_s=0.05)
    stage.produce(TOPIC, range(4_000))
    stage.wait_for(1_000)
    kafka_node.restart(kill=True)
    stage.produce(TOPIC, range(4_000, 6_000))
    stage.wait_for(6_000)
    assert worker.poll() is None
    assert stage.end(worker, signal.SIGTERM) == 0
    stage.assert_in_order()
    assert stage.lag() == 0


def test_a_ledger_that_cannot_be_written_ends_the_worker_and_acks_nothing(stage: Stage) -> None:
    stage.produce(TOPIC, range(10), keys=1)
    worker = stage.start_worker("w")
    stage.wait_for(10)
    assert stage.end(worker, signal.SIGTERM) == 0
    worker = stage.start_worker("w")
    eventually(lambda: len(_assigned(stage, "w")) == 2, "it runs again")
    _produce_refused(stage)
    assert worker.wait(60) == 1
    assert stage.distinct() == 10
    assert stage.lag() == 1
    assert "could not be written down" in stage.log.read_text()


def test_where_the_ledger_says_so_ingest_reads_again(stage: Stage) -> None:
    """A restored ledger is behind what Kafka has committed: its word counts."""
    stage.produce(TOPIC, range(10), keys=1)
    worker = stage.start_worker("first")
    stage.wait_for(10)
    assert stage.end(worker, signal.SIGTERM) == 0
    assert stage.lag() == 0
    partition = stage.query("select partition from taken")[0][0]
    worker = stage.start_worker("second", resume={f"{TOPIC}/{partition}": 3})
    eventually(lambda: stage.repeats() >= 7, "the last seven come again")
    assert stage.end(worker, signal.SIGTERM) == 0
    again = stage.query("select \"offset\" from taken where worker = 'second' order by nr")
    assert again == [(offset,) for offset in range(3, 10)]
    assert stage.lag() == 0


def _assigned(stage: Stage, worker: str) -> list[list[int]]:
    rows = stage.query(
        "select partitions from lanes where worker = ? and at = 'assigned' order by nr", worker
    )
    return [json.loads(str(row[0])) for row in rows]


def _produce_refused(stage: Stage) -> None:
    import asyncio

    from aiokafka import AIOKafkaProducer

    async def send() -> None:
        async with AIOKafkaProducer(**stage.connection.client_options()) as producer:
            await producer.send_and_wait(stage.names.full(TOPIC), key=b"k0", value=b"refuse")

    asyncio.run(send())
