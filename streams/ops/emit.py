"""`moment-sync emit`: events from files onto their topics, all of them or none."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import IO, Final

import click
import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from schemas.wire import Outgoing
from streams.kafka_client import KafkaConnection
from streams.ops import console_output as out
from streams.ops.command_base import (
    WAIT_S,
    CommandEnds,
    Exit,
    example,
    json_option,
    settings_in_force,
)
from streams.ops.event_files import Checked, Refused, check, too_large
from streams.ops.reach import kafka_within_reach
from streams.settings import Settings
from streams.topics import TopicNames

# Sent, then waited for: enough to fill batches, few enough to be acknowledged within WAIT_S.
CHUNK: Final = 1_000
LINGER_MS: Final = 5
# What Kafka adds to a record's key and value in a batch of its own, headers of ours included.
RECORD_ROOM_BYTES: Final = 512
AGAIN: Final = "sending them again does no harm: an event that comes twice is one event"


class Emitted(msgspec.Struct, frozen=True, kw_only=True):
    """What was put on each topic, by its full name; nothing where anything is refused."""

    events: int
    sent: dict[str, int] = {}
    refused: tuple[Refused, ...] = ()


@click.command(
    epilog=example(
        "moment-sync emit customers.json invoices.jsonl",
        "producer | moment-sync emit - --json",
    )
)
@click.argument("files", nargs=-1, required=True, type=click.File("rb"), metavar="FILE...")
@json_option
def emit(files: Sequence[IO[bytes]], as_json: bool) -> None:
    """Check events and put them on the right topic under the right key.

    A FILE holds one structured CloudEvent, an array of them, or one a line; - is stdin. If any
    is wrong nothing is sent, and the exit code is 1. Order is kept; every event is acknowledged
    by all replicas before the command ends.
    """
    settings = settings_in_force()
    checked = check([(_name(file), file.read()) for file in files])
    if not checked.refused:
        result = asyncio.run(_emit(settings, checked))
    else:
        result = Emitted(events=checked.events, refused=checked.refused)
    if as_json:
        out.document(result)
    else:
        _tell(result)
    if result.refused:
        raise click.exceptions.Exit(Exit.FOUND)


def _name(file: IO[bytes]) -> str:
    name = getattr(file, "name", "-")
    return "-" if name == "<stdin>" or not isinstance(name, str) else name


def _tell(result: Emitted) -> None:
    for one in result.refused:
        where = f"{one.file}[{one.index}] {one.path}"
        out.say(out.harmless(f"{where}: {one.code}: {one.text}; {one.action}"))
    if result.refused:
        out.say(f"nothing was sent: {len(result.refused)} of {result.events} events are wrong")
        return
    out.table(("topic", "events"), list(result.sent.items()))


async def _emit(settings: Settings, checked: Checked) -> Emitted:
    names = TopicNames(settings.topic_prefix)
    records = [located.record for located in checked.records]
    if not records:
        return Emitted(events=0)
    connection = await kafka_within_reach(settings)
    sent: Counter[str] = Counter()
    try:
        limits = await _limits(connection, {names.full(record.topic) for record in records})
        large = _too_large(checked, limits, names)
        if large:
            return Emitted(events=checked.events, refused=large)
        await _produce(connection, names, records, max(limits.values()), sent)
    except (KafkaError, OSError, TimeoutError) as error:
        done = f"{sent.total()} of {len(records)} events were acknowledged"
        raise CommandEnds(
            Exit.AWAY,
            f"Kafka at {connection.bootstrap} went away ({type(error).__name__}): {done}; {AGAIN}",
        ) from None
    return Emitted(events=len(records), sent=dict(sorted(sent.items())))


async def _limits(connection: KafkaConnection, wanted: set[str]) -> dict[str, int]:
    """The largest message of each topic, in bytes. Ends the command (2) where one is missing."""
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        # Asked without naming one: a broker may make a topic that is asked for by its name.
        missing = sorted(wanted - set(await admin.list_topics()))
        if missing:
            told = "\n".join(f"topic {name} is missing" for name in missing)
            raise CommandEnds(Exit.WRONG, f"{told}\nrun `moment-sync topics create`")
        answers = await admin.describe_configs(
            [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(wanted)]
        )
    finally:
        await admin.close()
    return {
        name: int(next(entry[1] for entry in entries if entry[0] == "max.message.bytes"))
        for answer in answers
        for _, _, _, name, entries in answer.resources
    }


def _too_large(checked: Checked, limits: dict[str, int], names: TopicNames) -> tuple[Refused, ...]:
    return tuple(
        too_large(one.file, one.index, limit)
        for one in checked.records
        if _size(one.record) > (limit := limits[names.full(one.record.topic)])
    )


def _size(record: Outgoing) -> int:
    return len(record.key or b"") + len(record.value or b"") + RECORD_ROOM_BYTES


async def _produce(
    connection: KafkaConnection,
    names: TopicNames,
    records: Sequence[Outgoing],
    largest: int,
    sent: Counter[str],
) -> None:
    """Send in order; `sent` counts what was acknowledged. Gives up after WAIT_S without any."""
    producer = AIOKafkaProducer(
        **connection.client_options(),
        acks="all",
        enable_idempotence=True,
        linger_ms=LINGER_MS,
        max_request_size=largest,
    )
    try:
        async with asyncio.timeout(WAIT_S):
            await producer.start()
        with out.progress("sending", len(records)) as advance:
            for first in range(0, len(records), CHUNK):
                chunk = records[first : first + CHUNK]
                async with asyncio.timeout(WAIT_S):
                    await _send(producer, names, chunk)
                sent.update(names.full(record.topic) for record in chunk)
                advance(len(chunk))
    finally:
        await _close(producer)


async def _send(producer: AIOKafkaProducer, names: TopicNames, records: Sequence[Outgoing]) -> None:
    waiting = [
        await producer.send(
            names.full(record.topic),
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
        for record in records
    ]
    await asyncio.gather(*waiting)


async def _close(producer: AIOKafkaProducer) -> None:
    """Not waited for long: what is not acknowledged by now is told as not sent."""
    try:
        async with asyncio.timeout(1.0):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError):
        return
