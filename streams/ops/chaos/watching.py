"""A look at the outcomes while a run goes on: how much is settled, and what is dead just now.

It may miss some while the broker is away; what is judged is read anew at the end.
"""

import asyncio
import contextlib
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from schemas.lane import lane_key
from schemas.outcomes import FINAL, Outcome, OutcomeKind, decode_outcome
from streams import topics
from streams.kafka_client import KafkaConnection

POLL_MS: Final = 500
AGAIN_S: Final = 2.0  # until a consumer that failed is made anew
DEAD_KEPT: Final = 200  # of the newest: a command takes one of them


class DeadOne(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that was told as dead, and the key of a command that names it."""

    delivery_id: str
    integration: str
    code: str
    key: bytes


class Watcher:
    """Follows results and failures until it is cancelled."""

    def __init__(self, connection: KafkaConnection) -> None:
        self._connection = connection
        self._settled: set[bytes] = set()
        self.dead: dict[str, DeadOne] = {}

    @property
    def settled(self) -> int:
        """How many deliveries have had a final outcome, as far as was seen."""
        return len(self._settled)

    async def run(self) -> None:
        """Follow, through every death of the broker."""
        while True:
            with contextlib.suppress(KafkaError, OSError):
                await self._follow()
            await asyncio.sleep(AGAIN_S)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            topics.RESULTS,
            topics.FAILURES,
            **self._connection.client_options(),
            group_id=None,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            while True:
                found = await consumer.getmany(timeout_ms=POLL_MS)
                for records in found.values():
                    for record in records:
                        self._take(record)
        finally:
            await consumer.stop()

    def _take(self, record: Any) -> None:
        outcome = decode_outcome(record.value or b"")
        if outcome.outcome not in FINAL:
            return
        self._settled.add(_short(outcome))
        if outcome.outcome is OutcomeKind.DEAD and outcome.failure is not None:
            self.dead[outcome.delivery_id] = DeadOne(
                delivery_id=outcome.delivery_id,
                integration=outcome.integration,
                code=outcome.failure.code.value,
                key=lane_key(outcome.company, outcome.entity.customer_number),
            )
            if len(self.dead) > DEAD_KEPT:
                del self.dead[next(iter(self.dead))]
        else:
            self.dead.pop(outcome.delivery_id, None)


def _short(outcome: Outcome) -> bytes:
    return outcome.delivery_id.encode()
