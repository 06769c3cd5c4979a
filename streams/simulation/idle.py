"""Looks that cannot find anything: they are half of all transactions, and are not run.

Before a look at the clock, or for what was switched off, it is asked more widely than the look
itself asks whether any row could concern it, of whatever lane and boot. Where none could, its
answer is known. A test runs histories with and without this.
"""

from collections.abc import Sequence
from typing import Any

from streams.ledger.commands import Ran, RunCommands
from streams.ledger.engine import Operation
from streams.ledger.memory import MemoryLedger
from streams.ledger.switched_off import SwitchedOff
from streams.ledger.timers import Tick, Ticked

Batch = Sequence[tuple[Operation[Any, Any], Any]]

_ANY_DUE = (
    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE act_at <= ?1) "
    "OR EXISTS (SELECT 1 FROM signals) "
    "OR EXISTS (SELECT 1 FROM commands WHERE state = 'open') "
    "OR EXISTS (SELECT 1 FROM entities WHERE ask_at <= ?1 OR ask_boot <> ?2)"
)
_ANY_TO_SWEEP = (
    "SELECT EXISTS (SELECT 1 FROM deliveries WHERE waits_key IS NOT NULL OR state = 'sending')"
)
_FOLLOWING = "SELECT lane, act_at FROM deliveries WHERE act_at > ? AND act_boot = ?"
_EPOCHS = "SELECT lane, epoch FROM lanes"
_ANY_READY = "SELECT 1 FROM deliveries WHERE state = 'ready' LIMIT 1"


class Idle:
    """A worker's way to write, which knows when there is nothing to find."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def write(self, batch: Batch) -> list[Any]:
        """As `MemoryLedger.write`."""
        if len(batch) == 1 and isinstance(batch[0][1], SwitchedOff):
            found = self._ledger.rows(_ANY_READY)
            return self._ledger.write(batch) if found else [0]
        looks = [place for place, (_, item) in enumerate(batch) if isinstance(item, _LOOKS)]
        ticks = [batch[place] for place in looks if isinstance(batch[place][1], Tick)]
        if len(looks) != 2 or len(ticks) != 1:  # noqa: PLR2004 - a tick, and the commands
            return self._ledger.write(batch)
        operation, tick = ticks[0]
        others = [each for place, each in enumerate(batch) if place not in looks]
        first = any(other.rank <= operation.rank for other, _ in others)
        ticked = None if first else self._at_the_clock(tick)
        if ticked is None:
            return self._ledger.write(batch)
        results = iter(self._ledger.write(others) if others else ())
        return [
            ticked
            if isinstance(item, Tick)
            else (Ran() if isinstance(item, RunCommands) else next(results))
            for _, item in batch
        ]

    def _at_the_clock(self, tick: Tick) -> Ticked | None:
        now = tick.now
        rows = self._ledger.rows
        if rows(_ANY_DUE, now.elapsed, now.boot)[0][0]:
            return None
        if tick.sweep_after is not None and rows(_ANY_TO_SWEEP)[0][0]:
            return None
        epochs = dict(rows(_EPOCHS))
        ours = {lane for lane, epoch in tick.epochs.items() if epochs.get(lane) == epoch}
        if not ours:
            return Ticked()
        following = [at for lane, at in rows(_FOLLOWING, now.elapsed, now.boot) if lane in ours]
        return Ticked(next_act_at=min(following, default=None))


_LOOKS = (Tick, RunCommands)
