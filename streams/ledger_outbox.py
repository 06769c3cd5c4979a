"""The `Outbox` port over a ledger: only the lanes that this worker owns."""

import asyncio
import contextlib
from collections.abc import Sequence

from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.outbox import mark_published, unpublished
from streams.ports import OutboxRow

LOOK_EVERY_S = 1.0  # rows that another worker left behind are found within this
# Rows that are out and not marked so, at most: as many go out twice where a worker is killed while
# its ledger cannot be written. More wait for a commit.
UNMARKED_MOST = 1_000


class LedgerOutbox:
    """What a publisher drains. Wakes when the ledger has committed something to be published.

    That a row is published is written with the next commit of anything else, within a second: a
    worker that is killed before publishes it once more. Until then it is left out here.
    """

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner
        self._seen = -1  # up to which mark of the ledger everything was read
        self._left: set[int] = set()  # read, and not published yet
        self._marking: set[int] = set()  # published, and not yet written down as such
        self._failed: BaseException | None = None

    async def wait(self) -> None:
        """Return when there may be something to publish: at once, or after at most a second."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                while self._ledger.to_publish == self._seen:
                    await self._ledger.committed()
                return
        self._seen = -1
        if self._marking:
            with contextlib.suppress(LedgerClosedError):
                await self._ledger.submit(mark_published, ())  # takes the others along

    async def unpublished(self, limit: int) -> Sequence[OutboxRow]:
        """The oldest unpublished rows of the lanes owned, in order of position.

        Raises what went wrong when earlier ones were marked.
        """
        if self._failed is not None:
            raise self._failed
        grown = self._ledger.to_publish
        if grown == self._seen and not self._left:
            return ()
        owner, marking = self._owner, frozenset(self._marking)
        most = limit + len(marking)
        rows = await self._ledger.read(lambda connection: unpublished(connection, owner, most))
        if marking:
            rows = [row for row in rows if row.position not in marking]
        self._left = {row.position for row in rows}
        self._seen = grown if len(rows) < limit else -1
        return rows

    async def published(self, positions: Sequence[int]) -> None:
        """Mark rows as published: the broker has acknowledged every one of them."""
        self._marking.update(positions)
        self._left.difference_update(positions)
        with contextlib.suppress(LedgerClosedError):
            if len(self._marking) > UNMARKED_MOST:
                await self._ledger.submit(mark_published, positions)
                self._marking.difference_update(positions)
                return
            marked = self._ledger.submit_along(mark_published, positions)
            marked.add_done_callback(lambda done: self._marked(positions, done))

    def _marked(self, positions: Sequence[int], done: "asyncio.Future[None]") -> None:
        self._marking.difference_update(positions)
        if not done.cancelled() and not isinstance(done.exception(), LedgerClosedError):
            self._failed = self._failed or done.exception()
