"""What mischief makes right that would else be wrong: restores, commands, data types switched off.

Each allowance is as narrow as what was done: in its time, of its deliveries, of its integration.
Pure.
"""

from collections.abc import Sequence
from typing import Final

from streams.ops.chaos.record import Emitted, Fate, Mischief, Told

# A record's time is its publisher's, taken a moment before the broker has it.
SLACK_MS: Final = 2_000
# How long before a data type was switched off an event may have been sent and not yet been read
# (everything may be away just then), and how long workers that stand still read the old file.
SWITCHED_SLACK_S: Final = 120.0
# How long a command may be on its way: the broker and its worker may be away.
COMMAND_SLACK_S: Final = 120.0
# Codes of deliveries that nothing but a command ever moves again.
NEVER_MENDED: Final = frozenset({"customer-number-out-of-range", "project-number-not-numeric"})
REPLAY, DISCARD, RESYNC = "command-replay", "command-discard", "command-resync"
UNSURE: Final = "-unsure"  # at the end of a kind: no word came back, it may have been taken


class Allowances:
    """What was done in a run, asked by the checker."""

    def __init__(self, mischief: Sequence[Mischief]) -> None:
        self.restores = [one for one in mischief if one.forgets_from is not None]
        self._commands = [one for one in mischief if one.kind.startswith("command-")]
        self._replayed = self._named(REPLAY)
        self._discarded = self._named(DISCARD)
        self._resyncs = self._named(RESYNC)
        self._off = [one for one in mischief if one.kind == "switch-off"]
        self._on = [one for one in mischief if one.kind == "switch-on"]

    def _named(self, kind: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for one in self._commands:
            if one.kind.removesuffix(UNSURE) == kind:
                found[one.target] = found.get(one.target, 0) + 1
        return found

    # --- restores -----------------------------------------------------------------------------

    def forgotten(self, earlier: Told, later: Told) -> bool:
        """Whether a restore lies between, which forgot the earlier one."""
        return any(
            (one.forgets_from or 0) * 1000 - SLACK_MS <= earlier.timestamp_ms
            and earlier.timestamp_ms <= one.at * 1000 + SLACK_MS
            and later.timestamp_ms >= one.at * 1000 - SLACK_MS
            for one in self.restores
        )

    # --- commands -----------------------------------------------------------------------------

    def commanded(self, delivery_id: str) -> bool:
        """Whether a replay or discard named this delivery: it may end once more."""
        return delivery_id in self._replayed or delivery_id in self._discarded

    def discarded(self, delivery_id: str) -> bool:
        """Whether a discard named it."""
        return delivery_id in self._discarded

    def resyncs(self, integration: str) -> int:
        """How many more deliveries of an event there may be in an integration."""
        return self._resyncs.get(integration, 0)

    def must_act(self, delivery_id: str, fate: Fate) -> str | None:
        """The kind of command that surely changed this delivery, or None.

        It does where nothing else moves the delivery, the command was acknowledged, and no
        restore can have forgotten what it names.
        """
        if fate.code not in NEVER_MENDED:
            return None
        for one in self._commands:
            if one.target == delivery_id and one.kind in {REPLAY, DISCARD}:
                unsettled = any(
                    (restore.forgets_from or 0) - COMMAND_SLACK_S <= one.at <= restore.at
                    for restore in self.restores
                )
                return None if unsettled else one.kind
        return None

    # --- data types switched off --------------------------------------------------------------

    def may_have_none(self, emitted: Emitted, integration: str) -> bool:
        """Whether projects may have been switched off here when this one was read."""
        return emitted.entity.startswith("project/") and any(
            off - SWITCHED_SLACK_S <= emitted.at <= on + SWITCHED_SLACK_S
            for off, on in self._switched(integration)
        )

    def may_lack_project(self, emitted: Emitted, integration: str) -> bool:
        """Whether an invoice may have gone without its project: sent before it was on again."""
        return any(emitted.at <= on + SWITCHED_SLACK_S for _, on in self._switched(integration))

    def _switched(self, integration: str) -> list[tuple[float, float]]:
        offs = [one.at for one in self._off if one.target == integration]
        ons = [one.at for one in self._on if one.target == integration]
        return list(zip(offs, ons, strict=False))
