"""Operators at work while everything is killed: commands through Kafka (interface section 3)."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.cloudevents import Attributes
from schemas.commands import TYPE_PREFIX, CommandData, CommandKind, encode_command
from streams.kafka_client import KafkaConnection
from streams.ops.chaos.watching import Watcher

SOURCE: Final = "/chaos/operator"
TRY_S: Final = 120.0  # longer than any broker stays away
BY: Final = "chaos"
_KINDS: Final = (CommandKind.REPLAY, CommandKind.REPLAY, CommandKind.DISCARD, CommandKind.RESUME)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A command to be sent. `target`: the delivery or the integration that it names."""

    kind: CommandKind
    target: str
    data: CommandData
    key: bytes


class Operator:
    """Sends commands about what is dead and about integrations. An id is used once a run."""

    def __init__(
        self, connection: KafkaConnection, watcher: Watcher, integrations: Sequence[str], seed: int
    ) -> None:
        self._connection = connection
        self._watcher = watcher
        self._integrations = integrations
        self._chance = random.Random(f"operator/{seed}")  # noqa: S311
        self._named: set[str] = set()
        self._sent = 0

    def choose(self) -> Wanted:
        """A command of a kind of chance. A delivery is named once in a run."""
        kind = self._chance.choice(_KINDS)
        dead = [one for name, one in self._watcher.dead.items() if name not in self._named]
        if kind is CommandKind.RESUME or not dead:
            return self.about(CommandKind.RESUME, self._chance.choice(self._integrations))
        one = self._chance.choice(dead)
        self._named.add(one.delivery_id)
        data = CommandData(by=BY, reason="tried out", deliveries=(one.delivery_id,))
        return Wanted(kind=kind, target=one.delivery_id, data=data, key=one.key)

    @staticmethod
    def about(kind: CommandKind, integration: str) -> Wanted:
        """A command about an integration."""
        data = CommandData(by=BY, reason="tried out", integration=integration)
        return Wanted(kind=kind, target=integration, data=data, key=integration.encode())

    async def send(self, wanted: Wanted) -> None:
        """Send it; returns when it is acknowledged. Raises KafkaError."""
        kind, data, key = wanted.kind, wanted.data, wanted.key
        self._sent += 1
        attributes = Attributes(
            id=f"{BY}-{self._sent}",
            source=SOURCE,
            type=f"{TYPE_PREFIX}{kind.value}",
            time=datetime.now(UTC),
            partition_key=key.decode(),
        )
        record = encode_command(attributes, data, key=key)
        options = {
            **self._connection.client_options(),
            "request_timeout_ms": int(TRY_S * 1000),
        }
        producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True)
        await producer.start()
        try:
            await producer.send_and_wait(
                record.topic, key=record.key, value=record.value, headers=list(record.headers)
            )
        finally:
            await producer.stop()
