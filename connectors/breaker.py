"""When to stop calling an accounting system that is down, and when to try it again. Pure.

    closed ──failures in a row──▶ open ──open_s──▶ half-open ──trial answered──▶ closed
                                   ▲                   │
                                   └───trial failed────┘

A failure is one that would have met any call: no connection, a timeout, a 5xx, 429. What the
system says about one delivery (a 4xx) is an answer, and an answer is a success here.
"""

from enum import StrEnum
from typing import Final

import msgspec

FAILURES_TO_OPEN: Final = 5
"""Fewer would open on one bad second of a system that serves hundreds of calls at once."""


class Phase(StrEnum):
    """Where a breaker is."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """`open_s` is the setting `BREAKER_OPEN` (interface section 6)."""

    failures: int = FAILURES_TO_OPEN
    open_s: float = 30.0


class BreakerState(msgspec.Struct, frozen=True, kw_only=True):
    """One integration's breaker. Times are `Clock.elapsed` of one boot.

    `next_probe_at` is when the one trial call may go: of an open breaker, the end of its pause;
    of a half-open one, when the trial that is out counts as lost and another may go.
    """

    phase: Phase = Phase.CLOSED
    failures: int = 0
    next_probe_at: float = 0.0


CLOSED: Final = BreakerState()


def allows(state: BreakerState, now: float) -> bool:
    """Whether a call may start now. An open or half-open breaker lets one through when due."""
    return state.phase is Phase.CLOSED or now >= state.next_probe_at


def on_start(state: BreakerState, policy: BreakerPolicy, now: float) -> BreakerState:
    """The breaker after a call that `allows` let through has started.

    A trial that never comes back (its worker died) holds its place for `open_s` only.
    """
    if state.phase is Phase.CLOSED:
        return state
    return BreakerState(
        phase=Phase.HALF_OPEN, failures=state.failures, next_probe_at=now + policy.open_s
    )


def on_success(state: BreakerState) -> BreakerState:
    """The breaker after any answer. A late answer closes an open one: the system is there."""
    return state if state is CLOSED else CLOSED


def on_failure(state: BreakerState, policy: BreakerPolicy, now: float) -> BreakerState:
    """The breaker after a transient failure.

    While it is open, failures of calls that had started before change nothing: the pause is not
    drawn out by stragglers.
    """
    if state.phase is Phase.OPEN:
        return state
    failures = state.failures + 1
    if state.phase is Phase.CLOSED and failures < policy.failures:
        return BreakerState(failures=failures)
    return BreakerState(phase=Phase.OPEN, failures=failures, next_probe_at=now + policy.open_s)
