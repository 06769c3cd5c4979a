"""All workers work with the same integrations: a change that one has read, the others read too.

A worker that starts, or is told to reload, says in the ledger which set it has. One with another
set reads its own file again, and takes what it finds if that is the newest set. If it is not, its
host has an older file than others: it goes on with what it has, and says so.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from streams.integrations_file import Integrations, what_opens
from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.integration_set import newest_set, say_set

log = logging.getLogger(__name__)

# What one worker takes meanwhile by an older set is as if it had come before the change.
LOOK_S: Final = 2.0


class IntegrationsWatch:
    """One worker's watch. `read_again` reads the file: None where it is wrong, which is told."""

    def __init__(
        self,
        ledger: Ledger,
        in_force: Callable[[], Integrations],
        read_again: Callable[[], Integrations | None],
        take_over: Callable[[Integrations], None],
    ) -> None:
        self._ledger = ledger
        self._in_force = in_force
        self._read_again = read_again
        self._take_over = take_over
        self._to_say = True
        self._told = 0  # the version that this host has not been found to have
        self._changed = asyncio.Event()

    def announce(self) -> None:
        """The file was read because somebody said so: its set is the newest now."""
        self._to_say = True
        self._changed.set()

    async def run(self) -> None:
        """Watch until the task is cancelled or the ledger is closed."""
        while True:
            try:
                await self._look()
            except LedgerClosedError:
                return
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), LOOK_S)
            except TimeoutError:
                continue

    async def _look(self) -> None:
        if self._to_say:
            self._to_say = False
            await self._ledger.submit(say_set, what_opens(self._in_force()))
            return
        newest = await self._ledger.read(newest_set)
        if newest.digest == what_opens(self._in_force()) or newest.version == 0:
            self._told = 0
            return
        fresh = await asyncio.to_thread(self._read_again)
        if fresh is not None and what_opens(fresh) == newest.digest:
            self._take_over(fresh)
        elif newest.version != self._told:
            self._told = newest.version
            log.warning(
                "another worker has other integrations than the file of this host: events that "
                "this worker takes go by its own; put the same file on every host",
                extra={"action": "integrations_differ", "version": newest.version},
            )
