"""The life of a delivery, as one table.

Rules of this file: every state and every transition stands here; nothing here knows of rows,
clocks or accounting systems. An illegal transition raises and changes nothing. The diagram in
docs/architecture.md is made from `TRANSITIONS`.
"""

from enum import StrEnum


class State(StrEnum):
    """Where a delivery is (design section 4)."""

    READY = "ready"
    WAITING = "waiting"
    BLOCKED = "blocked"
    DUE = "due"
    SENDING = "sending"
    UNCERTAIN = "uncertain"
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    STALE = "stale"
    MANUAL = "manual"
    DISCARDED = "discarded"
    WITHDRAWN = "withdrawn"
    DEAD = "dead"


class IllegalTransitionError(Exception):
    """A transition that the table does not have: a bug of ours, never a failure of theirs."""


_S = State
_OVERTAKEN = frozenset({_S.SUPERSEDED, _S.STALE, _S.DISCARDED})

TRANSITIONS: dict[State, frozenset[State]] = {
    _S.READY: frozenset({_S.SENDING, _S.WAITING, _S.DEAD, _S.UNCHANGED}) | _OVERTAKEN,
    _S.WAITING: frozenset({_S.READY, _S.BLOCKED, _S.DEAD}) | _OVERTAKEN,
    _S.BLOCKED: frozenset({_S.READY, _S.DEAD}) | _OVERTAKEN,
    _S.DUE: frozenset({_S.READY, _S.DEAD}) | _OVERTAKEN,
    _S.SENDING: frozenset(
        {
            _S.APPLIED,
            _S.UNCHANGED,
            _S.MANUAL,
            _S.DEAD,
            _S.DUE,
            _S.UNCERTAIN,
            _S.WAITING,
            _S.READY,  # interrupted before the bytes left, or the integration is held
        }
    ),
    _S.UNCERTAIN: frozenset({_S.APPLIED, _S.MANUAL, _S.READY, _S.DEAD}),
    _S.DEAD: frozenset({_S.READY, _S.DISCARDED, _S.WITHDRAWN}),
    _S.APPLIED: frozenset(),
    _S.UNCHANGED: frozenset(),
    _S.SUPERSEDED: frozenset(),
    _S.STALE: frozenset(),
    _S.MANUAL: frozenset(),
    _S.DISCARDED: frozenset(),
    _S.WITHDRAWN: frozenset(),
}

OPEN = frozenset({_S.READY, _S.WAITING, _S.BLOCKED, _S.DUE, _S.SENDING, _S.UNCERTAIN})
IN_DOUBT = frozenset({_S.SENDING, _S.UNCERTAIN})  # nothing else of the entity may be sent
MOVABLE = OPEN - IN_DOUBT  # may be overtaken by a newer state
GATE_CLOSING = frozenset({_S.READY, _S.DUE, _S.SENDING, _S.UNCERTAIN})  # design section 5.4
SETTLED = frozenset(state for state, nexts in TRANSITIONS.items() if not nexts)


def move(old: State, new: State) -> State:
    """Return `new` when the table has the transition. Raises `IllegalTransitionError` if not."""
    if new not in TRANSITIONS[old]:
        raise IllegalTransitionError(f"{old} → {new}")
    return new


def diagram() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", "    [*] --> ready"]
    for old, nexts in TRANSITIONS.items():
        lines.extend(f"    {old} --> {new}" for new in sorted(nexts))
        if not nexts:
            lines.append(f"    {old} --> [*]")
    return "\n".join(lines) + "\n"
