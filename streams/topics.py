"""The seven topics (interface section 1): their names, making them, and checking them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from streams.kafka_client import KafkaConnection

INPUTS = ("moment.customers", "moment.projects", "moment.invoices")
COMMANDS = "moment-sync.commands"
RESULTS = "moment-sync.results"
FAILURES = "moment-sync.failures"
DEADLETTERS = "moment-sync.deadletters"
ALL = (*INPUTS, COMMANDS, RESULTS, FAILURES, DEADLETTERS)

# The broker's own default; taken where a topic does not exist yet.
DEFAULT_MESSAGE_BYTES = 1_048_588
# A dead letter is the original and our headers beside it (interface section 5).
DEADLETTER_ROOM_BYTES = 256 * 1024
# People need longer to mend a dead letter than events take to pass (interface section 6).
DEADLETTER_RETENTION_FACTOR = 3
_NO_ERROR = 0


class TopicNames(msgspec.Struct, frozen=True):
    """The topics under `prefix`, which is put before each name as it stands."""

    prefix: str = ""

    def full(self, bare: str) -> str:
        """The name on the cluster."""
        return self.prefix + bare

    def bare(self, full: str) -> str:
        """The name of interface section 1."""
        return full.removeprefix(self.prefix)

    @property
    def read(self) -> tuple[str, ...]:
        """What a worker reads: the three inputs and the commands. Full names."""
        return tuple(self.full(name) for name in (*INPUTS, COMMANDS))

    @property
    def all(self) -> tuple[str, ...]:
        """All seven, full names."""
        return tuple(self.full(name) for name in ALL)


class TopicState(msgspec.Struct, frozen=True, kw_only=True):
    """A topic as it is on the cluster."""

    partitions: int
    retention_ms: int
    max_message_bytes: int
    cleanup_policy: str


class TopicsReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `create` did. `differing`: one sentence for each setting that is not as we would."""

    created: tuple[str, ...] = ()
    existing: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class TopicsCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker finds at start. With any problem it must not run (exit 2).

    `partitions` is the lanes' count, None when there is no one count. `max_letter_bytes` is the
    dead letters' limit, which the producer's follows.
    """

    problems: tuple[str, ...]
    partitions: int | None
    max_letter_bytes: int


async def create(
    connection: KafkaConnection,
    names: TopicNames,
    *,
    partitions: int,
    replication: int,
    retention_s: float,
) -> TopicsReport:
    """Make the topics that are missing; change none that is there. `replication` -1: the broker's.

    May raise KafkaError or OSError when the cluster cannot be reached.
    """
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        found = await _states(admin, names.all)
        wanted = _wanted(names, found, partitions, int(retention_s * 1000))
        missing = [name for name in names.all if name not in found]
        answer = await admin.create_topics(
            [_new_topic(name, wanted[name], replication) for name in missing]
        )
        created, there, failed = _outcome(answer)
    finally:
        await admin.close()
    return TopicsReport(
        created=tuple(created),
        existing=tuple(name for name in names.all if name in found or name in there),
        differing=tuple(
            text
            for name in names.all
            if name in found
            for text in _differences(name, found[name], wanted[name])
        ),
        failed=tuple(failed),
    )


async def check(connection: KafkaConnection, names: TopicNames) -> TopicsCheck:
    """Look whether a worker can run on the topics as they are.

    May raise KafkaError or OSError when the cluster cannot be reached.
    """
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        found = await _states(admin, names.all)
    finally:
        await admin.close()
    return judge(names, found)


def judge(names: TopicNames, found: Mapping[str, TopicState]) -> TopicsCheck:
    """What is wrong with the topics that were found. Pure."""
    problems = [
        f"topic {name} is missing: run `moment-sync topics create`"
        for name in names.all
        if name not in found
    ]
    counts = {name: found[name].partitions for name in names.read if name in found}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        problems.append(
            f"the topics that are read must have the same number of partitions, but have {listed}"
        )
    letters = found.get(names.full(DEADLETTERS))
    needed = _largest_input(names, found) + DEADLETTER_ROOM_BYTES
    if letters is not None and letters.max_message_bytes < needed:
        problems.append(
            f"topic {names.full(DEADLETTERS)} takes {letters.max_message_bytes} bytes a message; "
            f"set max.message.bytes to {needed} or more, so that any event fits with our headers"
        )
    one_count = len(set(counts.values())) == 1 and len(counts) == len(names.read)
    return TopicsCheck(
        problems=tuple(problems),
        partitions=next(iter(counts.values())) if one_count else None,
        max_letter_bytes=needed if letters is None else letters.max_message_bytes,
    )


async def lag(connection: KafkaConnection, group: str, names: TopicNames) -> int:
    """How many records of the topics read the group has not committed yet.

    May raise KafkaError or OSError when the cluster cannot be reached.
    """
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(group)
        found = await _partitions(admin, names.read)
    finally:
        await admin.close()
    wanted = [TopicPartition(name, n) for name, count in found.items() for n in range(count)]
    reader = AIOKafkaConsumer(**connection.client_options())
    await reader.start()
    try:
        first, last = await reader.beginning_offsets(wanted), await reader.end_offsets(wanted)
    finally:
        await reader.stop()
    return sum(
        max(0, last[tp] - max(first[tp], committed[tp].offset if tp in committed else 0))
        for tp in wanted
    )


def _wanted(
    names: TopicNames, found: Mapping[str, TopicState], partitions: int, retention_ms: int
) -> dict[str, TopicState]:
    ordinary = TopicState(
        partitions=partitions,
        retention_ms=retention_ms,
        max_message_bytes=DEFAULT_MESSAGE_BYTES,
        cleanup_policy="delete",
    )
    wanted = dict.fromkeys(names.all, ordinary)
    for name in names.all:
        if name in found:  # how large an event may be is the producers' business
            size = found[name].max_message_bytes
            wanted[name] = msgspec.structs.replace(ordinary, max_message_bytes=size)
    wanted[names.full(DEADLETTERS)] = msgspec.structs.replace(
        ordinary,
        retention_ms=retention_ms * DEADLETTER_RETENTION_FACTOR,
        max_message_bytes=_largest_input(names, found) + DEADLETTER_ROOM_BYTES,
    )
    return wanted


def _largest_input(names: TopicNames, found: Mapping[str, TopicState]) -> int:
    sizes = [found[name].max_message_bytes for name in names.read if name in found]
    return max(sizes, default=DEFAULT_MESSAGE_BYTES)


def _new_topic(name: str, wanted: TopicState, replication: int) -> NewTopic:
    return NewTopic(
        name,
        wanted.partitions,
        replication,
        # The client wants an (empty) assignment with the broker's own factor, and none otherwise.
        replica_assignments={} if replication == -1 else None,
        topic_configs={
            "retention.ms": str(wanted.retention_ms),
            "max.message.bytes": str(wanted.max_message_bytes),
            "cleanup.policy": wanted.cleanup_policy,
        },
    )


def _outcome(answer: Any) -> tuple[list[str], list[str], list[str]]:
    """The topics that were made, that were there after all, and why others could not be made."""
    created: list[str] = []
    there: list[str] = []
    failed: list[str] = []
    for name, code, *message in answer.topic_errors:
        if code == _NO_ERROR:
            created.append(name)
        elif for_code(code).__name__ == "TopicAlreadyExistsError":
            there.append(name)  # somebody was quicker, or this broker had not heard of it yet
        else:
            why = message[0] if message and message[0] else for_code(code).__name__
            failed.append(f"topic {name} cannot be created: {why}")
    return created, there, failed


def _differences(name: str, found: TopicState, wanted: TopicState) -> list[str]:
    texts = []
    for field, label in (
        ("partitions", "partitions"),
        ("retention_ms", "retention.ms"),
        ("max_message_bytes", "max.message.bytes"),
        ("cleanup_policy", "cleanup.policy"),
    ):
        is_, would = getattr(found, field), getattr(wanted, field)
        if is_ != would:
            texts.append(f"topic {name}: {label} is {is_}, we would set {would}")
    return texts


async def _partitions(admin: AIOKafkaAdminClient, wanted: Sequence[str]) -> dict[str, int]:
    """Partition counts of those topics that exist."""
    existing = set(await admin.list_topics()) & set(wanted)
    if not existing:
        return {}
    described = await admin.describe_topics(sorted(existing))
    return {topic["topic"]: len(topic["partitions"]) for topic in described}


async def _states(admin: AIOKafkaAdminClient, wanted: Sequence[str]) -> dict[str, TopicState]:
    counts = await _partitions(admin, wanted)
    if not counts:
        return {}
    answers = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name) for name in counts]
    )
    states = {}
    for answer in answers:
        for _, _, _, name, entries in answer.resources:
            values = {entry[0]: entry[1] for entry in entries}
            states[name] = TopicState(
                partitions=counts[name],
                retention_ms=int(values["retention.ms"]),
                max_message_bytes=int(values["max.message.bytes"]),
                cleanup_policy=values["cleanup.policy"],
            )
    return states
