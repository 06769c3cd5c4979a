"""What the watchdog sees of Kafka's side: whether it polls, and how far behind it is."""

import asyncio
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from streams.faust_app import Consumer
from streams.kafka_client import KafkaConnection
from streams.web.kafka_side import KafkaSide

CUSTOMERS, INVOICES = TP("p.moment.customers", 1), TP("p.moment.invoices", 1)


def side(**now: Any) -> KafkaSide:
    """With as much of the app as is looked at: a whole one opens sockets of its own."""
    reader = SimpleNamespace(polls=7, acked_to={CUSTOMERS: 10, INVOICES: 5}, highwaters=ends)
    whole = {"rebalancing": False, "should_stop": False, "assigned_lanes": frozenset({1})}
    app: Any = SimpleNamespace(reader=reader, **{**whole, **now})
    return KafkaSide(app, KafkaConnection(bootstrap="127.0.0.1:9"))


async def ends(*_: TP) -> dict[TP, int]:
    """The brokers say nothing of the invoices."""
    return {CUSTOMERS: 12}


def test_every_time_that_records_are_asked_for_is_a_poll() -> None:
    """Without it every worker would be taken for one that stands still."""
    consumer: Any = object.__new__(Consumer)
    consumer.polls = 0
    consumer._position_epoch = 0

    async def nothing_came(_: float) -> tuple[None, None]:
        return None, None

    consumer._wait_next_records = nothing_came

    async def poll() -> None:
        async for _ in consumer.getmany(1.0):
            raise AssertionError

    for n in (1, 2):
        asyncio.run(poll())
        assert consumer.polls == n


def test_only_who_has_partitions_need_poll() -> None:
    assert side().polls == 7
    assert side(assigned_lanes=None).polls is None, "the group is not joined"
    assert side(assigned_lanes=frozenset()).polls is None, "it has none to give"
    assert side(rebalancing=True).polls is None
    assert side(should_stop=True).polls is None


def test_the_lag_is_what_is_not_acked_yet() -> None:
    assert asyncio.run(side().lag()) == {
        (CUSTOMERS.topic, 1): 2,
        (INVOICES.topic, 1): 0,
    }
    assert asyncio.run(side(assigned_lanes=None).lag()) == {}, "nothing is ours"


def test_whether_brokers_answer_is_asked_beside_the_consumer() -> None:
    assert asyncio.run(side().answers()) is False
