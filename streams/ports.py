"""The seams between Kafka's side (ingest, publish) and the ledger's side (lanes, outbox)."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from schemas.wire import Outgoing, Record


class Intake(Protocol):
    """Where ingest writes what it has fetched."""

    async def take(self, records: Sequence[Record]) -> None:
        """Write down a whole fetch of one partition, in offset order.

        Returns when it is durable (the ledger's commit), and only then may it be acked. Whatever
        the records hold, nothing raises because of their content. Raises only when the ledger
        cannot be written; then nothing of the fetch is acked and the worker stops.
        """

    async def resume_at(
        self, committed: Mapping[tuple[str, int], int]
    ) -> Mapping[tuple[str, int], int]:
        """Say where to read on: (topic without prefix, partition) → next offset.

        `committed` is what Kafka has; a partition that nothing was committed of has -1. The answer
        names only partitions whose position must differ: where Kafka's commit is ahead of the
        ledger, the ledger's offset counts, and the ledger is marked as restored.
        """


class Lanes(Protocol):
    """Who is told of ownership. A lane is one partition number in all input topics."""

    async def assigned(self, partitions: frozenset[int]) -> None:
        """These partitions, and no others, are this worker's from now on. Bounded, never raises."""

    async def revoked(self, partitions: frozenset[int]) -> None:
        """These are about to go: start nothing more. Waits a bounded time for calls in flight."""


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """One unpublished record of the outbox; `position` orders the rows of a lane."""

    position: int
    record: Outgoing


class Outbox(Protocol):
    """What the publisher drains."""

    async def wait(self) -> None:
        """Return when there may be something to publish: at once, or after at most a second."""

    async def unpublished(self, limit: int) -> Sequence[OutboxRow]:
        """The oldest unpublished rows of the lanes owned, in order of position."""

    async def published(self, positions: Sequence[int]) -> None:
        """Mark rows as published: the broker has acknowledged every one of them."""
