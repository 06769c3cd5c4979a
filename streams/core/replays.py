"""Whether a dead delivery may be replayed, and why not (interface section 3, design section 7)."""

from enum import StrEnum

import msgspec

from schemas.events import EntityType
from schemas.failures import Reference
from streams.core.model import Candidate, EntityRow, Sibling
from streams.core.order import overtaken
from streams.core.states import IN_DOUBT, OPEN, State

MOST_REPLAYS = 5  # in vain: the sixth would fail as well, and a person should look first


class Reason(StrEnum):
    """Why an operator's command does not do what it asks for one delivery."""

    UNKNOWN = "unknown"
    BOOKED = "booked"
    STALE = "stale"
    NOT_DEAD = "not-dead"
    IN_FLIGHT = "in-flight"
    IN_VAIN = "replayed-in-vain"
    REPLAYED_SINCE = "replayed-since"
    EDIT_REFUSED = "edit-refused"
    SWITCHED_OFF = "switched-off"


class Refusal(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Why not. `reason` is a `Reason`, or for what never became a delivery the failure's code."""

    reason: str
    text: str
    reference: Reference | None = None


def replay_refusal(
    candidate: Candidate,
    row: EntityRow,
    siblings: list[Sibling],
    *,
    booked: Reference | None,
    replays: int,
    force: bool,
) -> Refusal | None:
    """Why a delivery is not replayed, or None. `siblings`: other deliveries of its entity.

    `booked`: what the books call the invoice of this number, where one is booked.
    """
    if candidate.entity_type is EntityType.INVOICE and booked is not None:
        return Refusal(
            reason=Reason.BOOKED, text=f"it is booked as {booked.number}", reference=booked
        )
    ahead = overtaken(candidate, row, [s for s in siblings if s.state in OPEN])
    if ahead is not None:
        how = "on its way" if ahead.by is not None else "in the books"
        return Refusal(reason=Reason.STALE, text=f"a newer state is {how}")
    if candidate.state is not State.DEAD:
        return Refusal(reason=Reason.NOT_DEAD, text=f"it is {candidate.state}, not dead")
    return vain_refusal(replays, force=force)


def since_refusal(replays: int, known: int | None) -> Refusal | None:
    """Why what was asked for is not done again; `known`: its replays when it was asked for.

    A command may reach a ledger twice, under another id and with other deliveries: whoever breaks
    a replay off and runs it again, with a canary this time, must not send anything twice.
    """
    if known is None or replays == known:
        return None
    return Refusal(reason=Reason.REPLAYED_SINCE, text="it was replayed since this was asked for")


def vain_refusal(replays: int, *, force: bool) -> Refusal | None:
    """Why what was replayed so often is not replayed once more, or None."""
    if replays < MOST_REPLAYS or force:
        return None
    return Refusal(
        reason=Reason.IN_VAIN,
        text=f"it was replayed {replays} times in vain: look at its story first, then --force",
    )


def discard_refusal(state: State) -> Refusal | None:
    """Why a delivery is not discarded, or None: dead ones are, and open ones not in flight."""
    if state in IN_DOUBT:
        return Refusal(reason=Reason.IN_FLIGHT, text=f"it is {state}: it may be in the books soon")
    if state is State.DEAD or state in OPEN:
        return None
    return Refusal(reason=Reason.NOT_DEAD, text=f"it is {state} already")
