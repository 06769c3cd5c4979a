"""The `Outbox` port over a ledger: only the lanes that this worker owns."""

import asyncio
import contextlib
from collections.abc import Sequence

from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.outbox import mark_published, unpublished
from streams.ports import OutboxRow

LOOK_EVERY_S = 1.0  # rows that another worker left behind are found within this


class LedgerOutbox:
    """What a publisher drains. Wakes when the ledger has committed something."""

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._commits = -1

    async def wait(self) -> None:
        """Return when there may be something to publish: at once, or after at most a second."""
        if self._ledger.commits != self._commits:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ledger.committed(), LOOK_EVERY_S)

    async def unpublished(self, limit: int) -> Sequence[OutboxRow]:
        """The oldest unpublished rows of the lanes owned, in order of position."""
        self._commits = self._ledger.commits
        owner = self._owner
        return await self._ledger.read(lambda connection: unpublished(connection, owner, limit))

    async def published(self, positions: Sequence[int]) -> None:
        """Mark rows as published: the broker has acknowledged every one of them."""
        with contextlib.suppress(LedgerClosedError):
            await self._ledger.submit(mark_published, positions)
