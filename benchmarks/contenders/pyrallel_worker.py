"""Pyrallel Consumer: asynchronous, ordered by the hash of the key.

The ordering is set as its enumeration: a plain string was once taken for no order at all.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import uvloop
from aiokafka import AIOKafkaProducer
from pyrallel_consumer.config import KafkaConfig
from pyrallel_consumer.consumer import PyrallelConsumer
from pyrallel_consumer.dto import ExecutionMode, OrderingMode

from benchmarks.contenders.customer_change import body_of, decode, id_by_content, outcome_of, url_of
from benchmarks.contenders.worker_plan import WorkerPlan

OK_BELOW: Final = 300
SETTLE_S: Final = 3.0  # it says nothing of its partitions
SHARDS: Final = 16  # for each call in flight: few keys share one


def config_of(plan: WorkerPlan) -> Any:
    """Its settings: as many calls in flight as the others, no retries."""
    config = KafkaConfig()
    config.BOOTSTRAP_SERVERS = [plan.bootstrap]
    config.CONSUMER_GROUP = plan.group
    config.AUTO_OFFSET_RESET = "earliest"
    config.dlq_enabled = False
    parallel = config.parallel_consumer
    parallel.ordering_mode = OrderingMode.KEY_HASH
    parallel.worker_pool_size = plan.in_flight * SHARDS
    parallel.execution.mode = ExecutionMode.ASYNC
    parallel.execution.max_in_flight = plan.in_flight
    parallel.execution.max_retries = 1  # it counts attempts: with 0 it makes none
    return config


async def main(plan: WorkerPlan) -> None:
    """Run until the process is ended."""
    producer = AIOKafkaProducer(
        bootstrap_servers=plan.bootstrap, acks="all", enable_idempotence=True, linger_ms=5
    )
    await producer.start()
    connector, no_timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=no_timeout) as session:

        async def change(item: Any) -> None:
            data = decode(item.payload)
            done = False
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.put(
                    url_of(plan.base_url, data),
                    data=body_of(data),
                    headers={
                        "Authorization": f"Bearer {plan.tokens[data.company]}",
                        "Content-Type": "application/json",
                    },
                ) as response:
                    await response.read()
                    done = response.status < OK_BELOW
            ce_id = id_by_content(data)  # it hands no headers on
            value = outcome_of(data, ce_id, plan.input, item.tp.partition, item.offset, done=done)
            key = f"{data.company}/{data.number}".encode()
            await producer.send_and_wait(plan.results, value, key)

        consumer = PyrallelConsumer(config=config_of(plan), worker=change, topic=plan.input)
        await consumer.start()
        await asyncio.sleep(SETTLE_S)
        Path(plan.ready).touch()  # noqa: ASYNC240 - before anything is measured
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=WorkerPlan)))
