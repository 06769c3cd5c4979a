"""Stock Faust: one agent with as much concurrency as calls may be in flight, as its guide shows."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import aiohttp
import faust
import msgspec
import uvloop

from benchmarks.contenders.customer_change import body_of, decode, event_id, outcome_of, url_of
from benchmarks.contenders.worker_plan import WorkerPlan

LOOK_AGAIN_S: Final = 0.05
OK_BELOW: Final = 300


def app_of(plan: WorkerPlan) -> faust.App:
    """The app of a plan."""
    app = faust.App(
        plan.group,
        broker=f"kafka://{plan.bootstrap}",
        datadir=str(Path(plan.ready).parent / "faust"),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        stream_wait_empty=False,
        producer_acks=-1,
    )
    raw: dict[str, Any] = {
        "key_type": bytes,
        "value_type": bytes,
        "key_serializer": "raw",
        "value_serializer": "raw",
    }
    read, results = app.topic(plan.input, **raw), app.topic(plan.results, **raw)
    sessions: list[aiohttp.ClientSession] = []

    def session() -> aiohttp.ClientSession:
        if not sessions:
            connector = aiohttp.TCPConnector(limit=0)
            no_timeout = aiohttp.ClientTimeout(total=None)
            sessions.append(aiohttp.ClientSession(connector=connector, timeout=no_timeout))
        return sessions[0]

    @app.agent(read, concurrency=plan.in_flight)
    async def change(stream: Any) -> None:
        async for event in stream.events():
            data = decode(event.value)
            done = False
            try:
                async with session().put(
                    url_of(plan.base_url, data),
                    data=body_of(data),
                    headers={
                        "Authorization": f"Bearer {plan.tokens[data.company]}",
                        "Content-Type": "application/json",
                    },
                ) as response:
                    await response.read()
                    done = response.status < OK_BELOW
            except (aiohttp.ClientError, OSError):
                pass
            message = event.message
            ce_id = event_id(message.headers or [])
            value = outcome_of(
                data, ce_id, plan.input, message.partition, message.offset, done=done
            )
            await (await results.send(key=message.key, value=value))

    @app.task  # type: ignore[untyped-decorator]  # not typed there
    async def tell() -> None:
        while not app.consumer.assignment():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(LOOK_AGAIN_S)
        Path(plan.ready).touch()  # noqa: ASYNC240 - before anything is measured

    return app


if __name__ == "__main__":
    uvloop.install()
    given = msgspec.json.decode(sys.argv[1], type=WorkerPlan)
    faust.Worker(
        app_of(given), loglevel="WARNING", loop=asyncio.new_event_loop()
    ).execute_from_commandline()
