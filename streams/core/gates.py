"""Whether a parent lets its child go (design section 5.4).

A gate is open when the parent is in the books and no earlier-received state of it is on its way.
Only a yes is remembered: a no counts for `FRESH_NO_S` and is then asked for again.
"""

from enum import StrEnum

import msgspec

from schemas.events import EntityType
from schemas.failures import Failure, FailureCode
from streams.core.model import Gate, Sibling
from streams.core.states import GATE_CLOSING, OPEN, State

FRESH_NO_S = 10.0  # seconds; design section 7: what says "missing" is read again first


class GateState(StrEnum):
    """What a child may do about one parent."""

    OPEN = "open"
    ON_ITS_WAY = "on-its-way"  # a state of the parent is open: wait for it
    ASK = "ask"  # nobody has announced it: ask the accounting system
    ABSENT = "absent"  # asked just now: not there, and not announced
    FAILED = "failed"  # its newest state is dead, or itself blocked, and it is not in the books
    NEVER = "never"  # its data type is switched off and the books do not have it


class GateView(msgspec.Struct, frozen=True):
    """The state of one gate, with who is behind it where it failed."""

    gate: Gate
    state: GateState
    behind: Sibling | None = None
    parent_stale: bool = False  # open, but the parent's newest state is dead


def look(gate: Gate, *, child_ordinal: int, wall: float) -> GateView:
    """Decide one gate for a child received as `child_ordinal`, at `wall` seconds since 1970."""
    newest = max(gate.siblings, key=lambda s: s.ordinal, default=None)
    dead = newest if newest is not None and newest.state is State.DEAD else None
    if gate.row.in_books:
        earlier = any(s.state in GATE_CLOSING and s.ordinal < child_ordinal for s in gate.siblings)
        state = GateState.ON_ITS_WAY if earlier else GateState.OPEN
        return GateView(gate, state, parent_stale=dead is not None)
    on_its_way = [s for s in gate.siblings if s.state in OPEN]
    # Of invoices of one number the oldest goes first: what waits behind a blocked one is no way.
    moving = on_its_way[:1] if gate.optional else on_its_way
    if any(s.state is not State.BLOCKED for s in moving):
        return GateView(gate, GateState.ON_ITS_WAY)
    asked = gate.row.asked_no_at
    if gate.optional:
        behind = on_its_way[0] if on_its_way else dead
        return GateView(gate, GateState.FAILED if behind else GateState.OPEN, behind=behind)
    if asked is None or abs(wall - asked) > FRESH_NO_S:
        return GateView(gate, GateState.ASK)
    behind = on_its_way[-1] if on_its_way else dead
    if behind is not None:
        return GateView(gate, GateState.FAILED, behind=behind)
    return GateView(gate, GateState.ABSENT if gate.carried else GateState.NEVER)


_URGENCY = (
    GateState.NEVER,
    GateState.FAILED,
    GateState.ON_ITS_WAY,
    GateState.ASK,
    GateState.ABSENT,
)


def closed(views: list[GateView]) -> GateView | None:
    """The closed gate that a child waits for: the one that says most, the customer first."""
    shut = [view for view in views if view.state is not GateState.OPEN]
    return min(shut, key=lambda view: _URGENCY.index(view.state), default=None)


def blocked_failure(view: GateView) -> Failure:
    """What a child says that is blocked by this gate."""
    parent = {"parentType": view.gate.entity_type.value, "parentNumber": view.gate.number}
    behind = view.behind
    if behind is None:
        return Failure(code=FailureCode.PARENT_ABSENT, parameters=parent, field=_field(view))
    code = behind.failure.code if behind.failure else FailureCode.PARENT_DEAD
    if code is FailureCode.PARENT_ABSENT:
        return Failure(code=code, parameters=parent, field=_field(view))
    return Failure(
        code=FailureCode.PARENT_DEAD,
        parameters={**parent, "parentCode": code.value},
        klass=behind.failure.failure_class if behind.failure else None,
        field=_field(view),
    )


def missing_failure(view: GateView) -> Failure:
    """What a child says whose parent can never come, because its type is switched off."""
    customer = view.gate.entity_type is EntityType.CUSTOMER
    return Failure(
        code=FailureCode.CUSTOMER_MISSING if customer else FailureCode.PROJECT_MISSING,
        parameters={"number": view.gate.number},
        field=_field(view),
    )


def _field(view: GateView) -> str:
    return {
        EntityType.CUSTOMER: "$.customerNumber",
        EntityType.PROJECT: "$.projectNumber",
        EntityType.INVOICE: "$.creditedInvoiceNumber",
    }[view.gate.entity_type]
