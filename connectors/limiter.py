"""How many calls of one integration may be in flight. Pure, adaptive (design section 8).

The bound doubles every round of quick answers until the system first pushes back, then halves,
and from there on grows by one a round (additive increase, multiplicative decrease). Quick is
judged against the integration's own median for that kind of call, since a booking that takes
two minutes may be as good as a look-up that takes fifty milliseconds. Slow answers stop the
growth and shrink nothing; only 429, refused connections and timeouts do.
"""

from enum import StrEnum
from math import inf
from typing import Final

import msgspec

from connectors.port import NoAnswerKind

TOO_MANY_REQUESTS: Final = 429
_MEDIAN_STEP: Final = 0.05
"""How far the running median moves towards a sample: follows a change in some dozens of calls."""

_KINDS_MAX: Final = 64
"""Kinds of call that are told apart; there are about twenty, and a bug must not grow the state."""


class Signal(StrEnum):
    """What the end of a call says about load."""

    ANSWERED = "answered"
    PUSHED_BACK = "pushed-back"  # 429, connection refused, timeout
    NOTHING = "nothing"  # given up by ourselves, or broken off: says nothing about load


class LimiterPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds in calls in flight. `window_s`: at most one halving within it."""

    start: int = 4
    floor: int = 2
    ceiling: int = 64
    window_s: float = 1.0
    quick: float = 2.0  # an answer is quick up to this many medians


class LimiterState(msgspec.Struct, frozen=True, kw_only=True):
    """One integration's bound. Times are `Clock.elapsed` of one boot.

    `threshold`: below it the bound grows by one an answer, above it by one a round.
    `medians`: running median of seconds per kind of call.
    """

    bound: float
    in_flight: int = 0
    threshold: float = inf
    shrunk_at: float = -inf
    medians: dict[str, float] = {}


def begin(policy: LimiterPolicy) -> LimiterState:
    """A bound for an integration that nothing is known of."""
    return LimiterState(bound=float(min(policy.start, policy.ceiling)))


def restart(state: LimiterState) -> LimiterState:
    """The bound after a hold: from one, and quickly up to where it was."""
    return msgspec.structs.replace(state, bound=1.0, threshold=max(state.bound, 1.0))


def allows(state: LimiterState) -> bool:
    """Whether one more call may start."""
    return state.in_flight < int(state.bound)


def on_start(state: LimiterState) -> LimiterState:
    """The state after a call has started."""
    return msgspec.structs.replace(state, in_flight=state.in_flight + 1)


def on_end(
    state: LimiterState,
    policy: LimiterPolicy,
    *,
    kind: str,
    seconds: float,
    signal: Signal,
    now: float,
) -> LimiterState:
    """The state after a call of `kind` has ended at `now`, having taken `seconds`."""
    # Only a bound that was used up is known to be bearable; half-used it says nothing.
    full = state.in_flight >= int(state.bound)
    in_flight = max(state.in_flight - 1, 0)
    if signal is Signal.NOTHING:
        return msgspec.structs.replace(state, in_flight=in_flight)
    if signal is Signal.PUSHED_BACK:
        return _shrunk(state, policy, in_flight, seconds, now)
    median = state.medians.get(kind)
    bound = state.bound
    if full and (median is None or seconds <= median * policy.quick):
        bound += 1.0 if bound < state.threshold else 1.0 / bound
    return LimiterState(
        bound=min(bound, float(policy.ceiling)),
        in_flight=in_flight,
        threshold=state.threshold,
        shrunk_at=state.shrunk_at,
        medians=_learnt(state.medians, kind, seconds),
    )


def signal_of(status: int | None, no_answer: NoAnswerKind | None) -> Signal:
    """What an exchange says about load: its status, or why it has none."""
    if status == TOO_MANY_REQUESTS:
        return Signal.PUSHED_BACK
    if status is not None:
        return Signal.ANSWERED
    if no_answer in (NoAnswerKind.REFUSED, NoAnswerKind.TIMEOUT):
        return Signal.PUSHED_BACK
    return Signal.NOTHING


def _shrunk(
    state: LimiterState, policy: LimiterPolicy, in_flight: int, seconds: float, now: float
) -> LimiterState:
    # Calls that had started before the last halving speak of the load from before it.
    already = now - seconds < state.shrunk_at or now - state.shrunk_at < policy.window_s
    if already:
        return msgspec.structs.replace(state, in_flight=in_flight)
    half = max(state.bound / 2, min(float(policy.floor), state.bound))
    return LimiterState(
        bound=half, in_flight=in_flight, threshold=half, shrunk_at=now, medians=state.medians
    )


def _learnt(medians: dict[str, float], kind: str, seconds: float) -> dict[str, float]:
    median = medians.get(kind)
    if median is None:
        return medians if len(medians) >= _KINDS_MAX else {**medians, kind: seconds}
    moved = median * (1 + _MEDIAN_STEP) if seconds > median else median * (1 - _MEDIAN_STEP)
    # Never past the sample: a steady latency has itself as median.
    moved = min(moved, seconds) if seconds > median else max(moved, seconds)
    return {**medians, kind: moved}
