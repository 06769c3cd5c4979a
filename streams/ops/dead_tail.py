"""`moment-sync deadletters tail`: what dies, as it dies."""

import asyncio
import contextlib
import signal
from typing import Any, Final

import click
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.deadletters import read_letter
from streams.kafka_client import KafkaConnection
from streams.ops import console_output as out
from streams.ops.command_base import (
    WAIT_S,
    CommandEnds,
    Exit,
    example,
    settings_in_force,
)
from streams.ops.dead_filters import Wanted, filter_options
from streams.ops.reach import kafka_within_reach
from streams.settings import Settings
from streams.topics import DEADLETTERS, TopicNames

FETCH_MS: Final = 500  # how long one look waits; also how soon a signal is heeded
LARGEST_BYTES: Final = 64 * 1024 * 1024  # one letter of any size that a broker takes


@click.command(epilog=example("moment-sync deadletters tail --company c-1001 --json"))
@filter_options
@click.option("--count", type=click.IntRange(min=1), help="End after so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def tail(count: int | None, as_json: bool, **wanted: Any) -> None:
    """Follow the dead letters from now on, until SIGINT or SIGTERM.

    Prints the objects of `list`, one a line. Says on stderr from when on it follows.
    """
    asyncio.run(_tail(settings_in_force(), Wanted(**wanted), count, as_json))


async def _tail(settings: Settings, wanted: Wanted, count: int | None, as_json: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    connection = await kafka_within_reach(settings)
    topic = TopicNames(settings.topic_prefix).full(DEADLETTERS)
    consumer = AIOKafkaConsumer(
        **connection.client_options(),
        enable_auto_commit=False,
        max_partition_fetch_bytes=LARGEST_BYTES,
    )
    try:
        async with asyncio.timeout(WAIT_S):
            await consumer.start()
            await _to_the_end(connection, consumer, topic)
        out.say(f"following {topic}")
        await _follow(consumer, wanted, count, as_json, ended)
    except (KafkaError, OSError, TimeoutError) as error:
        raise CommandEnds(
            Exit.AWAY, f"Kafka at {connection.bootstrap} went away ({type(error).__name__})"
        ) from None
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await consumer.stop()


async def _to_the_end(connection: KafkaConnection, consumer: AIOKafkaConsumer, topic: str) -> None:
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        if topic not in await admin.list_topics():
            raise CommandEnds(
                Exit.WRONG, f"topic {topic} is missing: run `moment-sync topics create`"
            )
        (described,) = await admin.describe_topics([topic])
    finally:
        await admin.close()
    places = [TopicPartition(topic, number) for number in range(len(described["partitions"]))]
    consumer.assign(places)
    await consumer.seek_to_end(*places)
    for place in places:
        await consumer.position(place)


async def _follow(
    consumer: AIOKafkaConsumer,
    wanted: Wanted,
    count: int | None,
    as_json: bool,
    ended: asyncio.Event,
) -> None:
    left = count
    while not ended.is_set():
        fetched = await consumer.getmany(timeout_ms=FETCH_MS)
        records = [record for some in fetched.values() for record in some]
        for record in sorted(records, key=lambda one: one.timestamp):
            shown = shown_letter(record)
            if shown is None or not wanted.fits(shown):
                continue
            _print(shown, as_json)
            if left is not None:
                left -= 1
                if left == 0:
                    return


def shown_letter(record: ConsumerRecord) -> dict[str, Any] | None:
    """A record of the dead letters as `list` shows it; None where it carries no header of ours."""
    headers = tuple((name, value or b"") for name, value in record.headers)
    said = read_letter(headers)
    if not said:
        return None
    return {
        "deliveryId": said.get("letter-id"),
        "code": said.get("code"),
        "class": said.get("class"),
        "company": said.get("company"),
        "integration": said.get("integration"),
        "entity": said.get("entity"),
        "text": said.get("text"),
        "action": said.get("action"),
        "field": said.get("field"),
        "attempts": _number(said.get("attempts")),
        "replays": _number(said.get("replay-count")),
        "lastFailedAt": said.get("last-failed-at"),
    }


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def _print(shown: dict[str, Any], as_json: bool) -> None:
    if as_json:
        out.document(shown)
        return
    where = shown["integration"] or shown["company"] or "-"
    parts = (shown["lastFailedAt"], where, shown["entity"], shown["code"], shown["text"])
    out.text("  ".join(out.harmless(part) for part in parts if part))
