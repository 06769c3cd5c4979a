"""`moment-sync worker`: what must be there before a worker starts, and its exit code."""

import asyncio
import logging
from collections.abc import Callable, Mapping

import uvloop
from aiokafka.errors import KafkaError

from streams.app import Worker
from streams.integrations_file import Integrations
from streams.kafka_client import connection_of, wait_for_kafka
from streams.ledger.schema import SchemaError, is_sqlite, migrate, problems
from streams.settings import Settings
from streams.topics import TopicNames, TopicsCheck, check

log = logging.getLogger(__name__)

KAFKA_WAIT_S = 30.0  # interface section 7: what it needs is waited for at most this long
WRONG_SET_UP, OUT_OF_REACH = 2, 3


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
    worker = Worker(
        settings,
        integrations,
        partitions=found.partitions,
        max_letter_bytes=found.max_letter_bytes,
        environ=environ,
    )
    return await worker.run()


def _ledger_refusal(url: str) -> str | None:
    """Bring SQLite up to date; refuse a PostgreSQL that is not."""
    try:
        if is_sqlite(url):
            migrate(url)
            return None
        return problems(url)
    except SchemaError as error:
        return str(error)
