"""Once an hour: delete what nobody needs, and say what stays open for longer than is kept."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Mapping
from typing import Any, Final

from streams.desk import Desk
from streams.ledger.engine import LedgerClosedError
from streams.ledger.pruning import Part, Prune, alarm_age_s, lasting, prunable, prune
from streams.ledger.pruning_clock import Look, look_at_clocks
from streams.ledger.rules import Moment

log = logging.getLogger(__name__)

PRUNE_EVERY_S: Final = 3600.0
BREATH_S: Final = 0.05  # between two transactions: ten thousand rows a second, and others between
LANE: Final = 0  # its owner deletes; every installation has it


class Pruner:
    """The pruning of one worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._looked_at: float | None = None

    def look(self, now: Moment) -> None:
        """Begin where an hour is over and the lane is ours; the work is done beside."""
        due = self._looked_at is None or now.elapsed - self._looked_at >= PRUNE_EVERY_S
        if due and LANE in self._desk.active:
            self._looked_at = now.elapsed
            self._desk.spawn(self._round())

    async def _round(self) -> None:
        with contextlib.suppress(LedgerClosedError):
            await self.run()

    async def run(self) -> int:
        """One round; returns how many rows went."""
        epochs = self._epochs()
        trust = await self._desk.ledger.submit(
            look_at_clocks, Look(epochs=epochs, now=self._desk.now())
        )
        if trust is None:
            return 0
        if trust.daily:
            await self._alarm()
        self._desk.pruning_stopped = trust.jumped_by is not None
        if trust.jumped_by is not None:
            if trust.daily:
                log.error(
                    "the wall clock has jumped by %.0f hours: nothing is pruned until it is back, "
                    "or has run evenly for a week",
                    trust.jumped_by / 3600,
                    extra={"action": "pruning_stopped"},
                )
            return 0
        now = self._desk.now().wall
        gone = 0
        for part in Part:
            before = now if part is Part.CAUSES else now - self._desk.settings.retention_s
            gone += await self._prune(part, before, epochs)
        if gone:
            log.info("%d rows were pruned", gone, extra={"action": "pruned"})
        return gone

    async def _prune(self, part: Part, before: float, epochs: Mapping[int, int]) -> int:
        after: Any = None
        gone = 0
        while not self._desk.stopping and self._epochs() == epochs:
            some = functools.partial(prunable, part=part, before=before, after=after)
            found = await self._desk.ledger.read(some)
            if found.keys:
                item = Prune(part=part, keys=found.keys, before=before, epochs=epochs)
                gone += await self._desk.ledger.submit(prune, item)
            after = found.after
            if found.last:
                break
            await asyncio.sleep(BREATH_S)
        return gone

    def _epochs(self) -> dict[int, int]:
        epoch = self._desk.active.get(LANE)
        return {} if epoch is None else {LANE: epoch}

    async def _alarm(self) -> None:
        """Tell what the input topics will not have any more: a lost ledger would stay lost."""
        kept = self._desk.settings.topic_retention_s
        now = self._desk.now().wall
        found = await self._desk.ledger.read(lambda c: lasting(c, now - alarm_age_s(kept)))
        self._desk.lasting = sum(found.states.values())
        if found.oldest_at is None:
            return
        days = (now - found.oldest_at) / 86_400
        log.warning(
            "%d deliveries will be open for longer than the topics keep their events; the oldest "
            "is %.0f days old",
            self._desk.lasting,
            days,
            extra={
                "action": "retention_alarm",
                "states": ", ".join(f"{state} {n}" for state, n in sorted(found.states.items())),
                "oldest_days": round(days, 1),
            },
        )
