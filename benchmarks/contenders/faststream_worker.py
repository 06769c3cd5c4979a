"""FastStream: a subscriber with as many workers as calls may be in flight.

More than one worker needs acknowledgement before the handler runs: at most once.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
import uvloop
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage

from benchmarks.contenders.customer_change import body_of, decode, event_id, outcome_of, url_of
from benchmarks.contenders.worker_plan import WorkerPlan

OK_BELOW: Final = 300
SETTLE_S: Final = 3.0  # it says nothing of its partitions


async def _as_it_came(message: Any) -> Any:
    return message.body


async def main(plan: WorkerPlan) -> None:
    """Run until the process is ended."""
    broker = KafkaBroker(plan.bootstrap, acks="all", enable_idempotence=True)
    connector, no_timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=None)
    session = aiohttp.ClientSession(connector=connector, timeout=no_timeout)

    @broker.subscriber(  # type: ignore[untyped-decorator]  # not typed there
        plan.input,
        group_id=plan.group,
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK_FIRST,
        max_workers=plan.in_flight,
        decoder=_as_it_came,
    )
    async def change(message: KafkaMessage) -> None:
        record = message.raw_message
        data = decode(record.value)
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
        ce_id = event_id(record.headers)
        value = outcome_of(data, ce_id, plan.input, record.partition, record.offset, done=done)
        await broker.publish(value, plan.results, key=record.key)

    async with session, broker:
        await broker.start()
        await asyncio.sleep(SETTLE_S)
        Path(plan.ready).touch()  # noqa: ASYNC240 - before anything is measured
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=WorkerPlan)))
