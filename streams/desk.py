"""What the parts of dispatch share: the ledger, the tenants, the lanes owned, the two alarms."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from connectors.port import Clock
from streams.attempts import Performer
from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.rules import Moment, Rules
from streams.settings import Settings
from streams.tenants import Tenants

log = logging.getLogger(__name__)


class Desk:
    """One worker's desk. `work`: something may be ready; `clock_work`: something may be due."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        rules: Rules,
        settings: Settings,
        clock: Clock,
        performer: Performer,
        partitions: int,
    ) -> None:
        self.ledger = ledger
        self.rules = rules
        self.settings = settings
        self.clock = clock
        self.performer = performer
        self.partitions = partitions
        self.tenants = Tenants(settings)
        self.active: dict[int, int] = {}  # lanes that new work is taken from, with their epochs
        self.work = asyncio.Event()
        self.clock_work = asyncio.Event()
        self.sending: set[int] = set()  # ordinals whose attempt is not written down yet
        self.lasting = 0  # deliveries open for longer than topics keep events, by the daily look
        self.pruning_stopped = False  # since the wall clock has jumped
        self.sought = False  # whether Kafka's commits were held against the ledger
        self.stopping = False
        self.tasks: set[asyncio.Task[None]] = set()

    def now(self) -> Moment:
        """Both clocks, read now."""
        return self.performer.now()

    def wake_all(self) -> None:
        """Look at everything once."""
        self.tenants.wake(frozenset(self.tenants.by_id))
        self.work.set()
        self.clock_work.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside; what it raises is a bug, which is logged."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, LedgerClosedError):
            log.error(
                "an attempt failed in our own code",
                exc_info=error,
                extra={"action": "attempt_failed"},
            )
