"""What a delivery whose turn may have come does next (design sections 4 and 5)."""

import msgspec

from schemas.events import EntityType
from schemas.failures import Failure, Reference, differs_from_booked
from streams.core.gates import GateState, GateView, closed, missing_failure
from streams.core.model import Candidate, EntityRow, Sibling
from streams.core.states import MOVABLE


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Record the intent and send it."""

    parent_stale: tuple[GateView, ...] = ()


class Later(msgspec.Struct, frozen=True):
    """Another state of the entity is in doubt: nothing of it is sent now."""


class Overtaken(msgspec.Struct, frozen=True):
    """A newer state makes this one needless. `stale` where it came after the newer one."""

    by: Sibling | None  # None: by what is applied
    stale: bool


class NothingNew(msgspec.Struct, frozen=True):
    """The books already have exactly this."""

    reference: Reference | None


class Park(msgspec.Struct, frozen=True):
    """Wait for a parent (`view`), or, with None, for an older delivery of the same invoice."""

    view: GateView | None


class Refuse(msgspec.Struct, frozen=True):
    """Dead before anything was sent."""

    failure: Failure
    view: GateView | None = None


Decision = Send | Later | Overtaken | NothingNew | Park | Refuse


def overtaken(candidate: Candidate, row: EntityRow, siblings: list[Sibling]) -> Overtaken | None:
    """Whether a newer state of a customer or project is applied or open.

    Received after the newer one: stale. Received before it: superseded. A dead or discarded
    version makes no other one stale, so `siblings` holds open deliveries only.
    """
    if row.applied is not None and row.applied.newer_than(candidate.version):
        return Overtaken(None, stale=True)
    # What is stale itself overtakes nobody.
    fresh = [s for s in siblings if row.applied is None or not row.applied.newer_than(s.version)]
    newest = newest_of([candidate, *fresh])
    if not isinstance(newest, Sibling):
        return None
    return Overtaken(newest, stale=newest.ordinal < candidate.ordinal)


def newest_of(states: list[Candidate | Sibling]) -> Candidate | Sibling:
    """The one that stands when all are taken in the order of their receipt.

    Where some have a sequence and some have none, one can be newer than a second, that than a
    third and that than the first; taken one after the other, exactly one is left all the same.
    """
    in_order = sorted(states, key=lambda state: state.ordinal)
    newest = in_order[0]
    for state in in_order[1:]:
        if state.version.newer_than(newest.version):
            newest = state
    return newest


def decide(
    candidate: Candidate, row: EntityRow, siblings: list[Sibling], views: list[GateView]
) -> Decision:
    """Decide for a ready delivery. `siblings`: other open deliveries of the same entity.

    `views`: its gates, parents first. Changes nothing; the caller applies the decision in the
    transaction that read these values.
    """
    if candidate.entity_type is EntityType.INVOICE:
        ahead = _invoice_order(candidate, row, siblings)
    else:
        ahead = overtaken(candidate, row, siblings)
    if ahead is not None:
        return ahead
    if row.claimed_by is not None:
        return Later()
    if _is_unchanged(candidate, row):
        return NothingNew(row.reference)
    shut = closed(views)
    if shut is not None:
        if shut.state is GateState.NEVER:
            return Refuse(missing_failure(shut), shut)
        return Park(shut)
    return Send(parent_stale=tuple(view for view in views if view.parent_stale))


def _is_unchanged(candidate: Candidate, row: EntityRow) -> bool:
    return (
        not candidate.rewrite
        and row.in_books
        and not row.dirty
        and row.content is not None
        and row.content == candidate.content
    )


def _invoice_order(
    candidate: Candidate, row: EntityRow, siblings: list[Sibling]
) -> Decision | None:
    """At most one booking per books and number (design section 5.8)."""
    if row.in_books and row.content is not None and row.claimed_by is None:
        if row.content == candidate.content:
            return NothingNew(row.reference) if not candidate.rewrite else None
        return Refuse(differs_from_booked(candidate.number, row.reference))
    older = [s for s in siblings if s.ordinal < candidate.ordinal]
    if any(s.state in MOVABLE for s in older):
        return Park(None)
    return None


def to_supersede(keeper: Candidate, siblings: list[Sibling]) -> list[Sibling]:
    """The older open states of a customer or project that the newest one makes needless."""
    if keeper.entity_type is EntityType.INVOICE:
        return []
    return [s for s in siblings if s.state in MOVABLE and s.ordinal < keeper.ordinal]
