"""Sends the load at its pace, through every mischief, and records where each record lies."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from streams.kafka_client import KafkaConnection
from streams.ops.chaos.load import Planned
from streams.ops.chaos.record import Emitted

# A batch is tried for longer than any broker stays away: given up and sent again, it could take
# another place in the order of its entity.
TRY_S: Final = 300.0


class Sender:
    """Sends a load, and knows how far it is."""

    def __init__(self, connection: KafkaConnection, planned: Sequence[Planned]) -> None:
        self._connection = connection
        self._planned = planned
        self.sent = 0

    @property
    def all(self) -> int:
        """How many there are."""
        return len(self._planned)

    async def send(self) -> list[Emitted]:
        """Send everything, each at its time; returns when all is acknowledged.

        Raises KafkaError where a record could not be sent at all.
        """
        options = {**self._connection.client_options(), "request_timeout_ms": int(TRY_S * 1000)}
        producer = AIOKafkaProducer(**options, acks="all", enable_idempotence=True)
        await producer.start()
        pending: list[tuple[Planned, float, Any]] = []
        try:
            began = time.monotonic()
            for one in self._planned:
                await asyncio.sleep(max(0.0, began + one.after - time.monotonic()))
                record = one.record
                sending = await producer.send(
                    record.topic, key=record.key, value=record.value, headers=list(record.headers)
                )
                pending.append((one, time.time(), sending))
                self.sent += 1
            return [_emitted(one, at, await sending) for one, at, sending in pending]
        finally:
            await producer.stop()


def _emitted(one: Planned, at: float, place: Any) -> Emitted:
    return Emitted(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        key=one.record.key,
        value=one.record.value,
        source=one.source,
        id=one.id,
        at=at,
        company=one.company,
        entity=one.entity,
        version=one.version,
        parents=one.parents,
        fates=one.fates,
        letter=one.letter,
        duplicate=one.duplicate,
    )
