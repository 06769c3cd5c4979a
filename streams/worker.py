"""`moment-sync worker`: what must be there before a worker starts, and its exit code."""

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping

import uvloop
from aiokafka.errors import KafkaError

from streams.app import VERSION, Worker
from streams.clock import SystemClock
from streams.integrations_file import Integrations
from streams.kafka_client import connection_of, wait_for_kafka
from streams.ledger.schema import SchemaError, is_sqlite, migrate, problems
from streams.settings import Settings
from streams.topics import TopicNames, TopicsCheck, check
from streams.tracing import TracesError, tracing_of

log = logging.getLogger(__name__)

KAFKA_WAIT_S = 30.0  # interface section 7: what it needs is waited for at most this long
WRONG_SET_UP, OUT_OF_REACH = 2, 3

# Containers made and not freed before the young ones are looked through, then how many such looks
# before the next generation's. At some 100 bytes each this is 5 MB of young garbage at most.
GARBAGE_THRESHOLDS = (50_000, 20, 50)


def run(
    settings: Settings,
    integrations: Integrations,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> int:
    """Run a worker to its end; returns the exit code. `say` is told why it does not start."""
    return uvloop.run(_run(settings, integrations, environ, say))


async def _run(
    settings: Settings,
    integrations: Integrations,
    environ: Mapping[str, str],
    say: Callable[[str], None],
) -> int:
    refused = await asyncio.to_thread(_ledger_refusal, settings.ledger)
    if refused is not None:
        say(refused)
        return WRONG_SET_UP
    connection = connection_of(settings)
    away = await wait_for_kafka(connection, KAFKA_WAIT_S, say)
    if away is not None:
        say(f"Kafka cannot be reached at {connection.bootstrap}: {away}")
        return OUT_OF_REACH
    try:
        found: TopicsCheck = await check(connection, TopicNames(prefix=settings.topic_prefix))
    except (KafkaError, OSError) as error:
        say(f"Kafka cannot be reached at {connection.bootstrap}: {error}")
        return OUT_OF_REACH
    if found.problems or found.partitions is None:
        for problem in found.problems:
            say(problem)
        return WRONG_SET_UP
    clock = SystemClock()
    try:
        tracing = tracing_of(settings.traces, VERSION, clock)
    except TracesError as error:
        say(str(error))
        return WRONG_SET_UP
    worker = Worker(
        settings,
        integrations,
        partitions=found.partitions,
        max_letter_bytes=found.max_letter_bytes,
        environ=environ,
        clock=clock,
        tracing=tracing,
    )
    _settle_garbage()
    return await worker.run()


def _settle_garbage() -> None:
    """What is there at the start stays: the collector need not walk it again and again.

    An event in flight makes some hundred containers and hardly a cycle; at Python's own threshold
    half of a busy worker's time went into looking for some.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)


def _ledger_refusal(url: str) -> str | None:
    """Bring SQLite up to date; refuse a PostgreSQL that is not."""
    try:
        if is_sqlite(url):
            migrate(url)
            return None
        return problems(url)
    except SchemaError as error:
        return str(error)
