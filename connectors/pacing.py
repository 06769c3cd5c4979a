"""How many deliveries a second an integration bears: learnt where it says 429. Pure.

A bound on calls in flight cannot hold a rate: two calls of 50 ms are forty a second. So a 429 sets
a pace: what was let in a second since the last one, pauses included. From a little below it the
pace creeps back up to what was borne, stays about there, and then rises faster and faster (the law
of TCP's CUBIC): a limit is found again at the cost of one refusal in many, and one that was lifted
is soon forgotten (design section 8). Where too few were let in to say anything, the pace doubles
every few seconds until the next 429 (its slow start).
"""

from math import inf
from typing import Final

import msgspec

BACK_OFF: Final = 0.9
"""Of what was borne, where the pace starts after a 429."""

PLATEAU_S: Final = 10.0
"""How long it takes back to what was borne, and again until it has risen by as little above."""

PLATEAU_CALLS: Final = 50.0
"""A limit that was met twice is tried again after as many calls at the earliest: one refused among
them is two in a hundred, however slow the limit is."""

PLATEAU_MOST_S: Final = 300.0
"""But it is tried again after this: a limit that was lifted is found out within minutes."""

SURE_AFTER: Final = 20
"""Fewer let in before the first 429 say nothing of the limit."""

DOUBLING_S: Final = 2.0
"""In which an unsure pace doubles: a limit of twenty a second is found within ten seconds."""

DOUBLINGS: Final = 10.0
"""Of an unsure pace; from then on it is forgotten."""

FORGOTTEN: Final = 4.0
"""A pace that has risen to so many times what was borne says nothing of the limit any more."""

FIRST_A_SECOND: Final = 1.0
"""The least that is learnt from a first 429: there may have been little to do before it."""

LEAST_A_SECOND: Final = 0.1
"""The least that is learnt from many: one in ten seconds is always tried."""

BURST_S: Final = 0.05
"""What may start at once: as much as the pace allows in this time, at least one."""

IDLE_S: Final = 5.0
"""Nothing in flight for so long without a 429: there was nothing to do, which says nothing of what
would be borne."""

_ROUNDING: Final = 1e-6
"""So much less than a whole one is a whole one: times are sums of floats."""


class PaceState(msgspec.Struct, frozen=True, kw_only=True):
    """One integration's pace. Times are `Clock.elapsed` of one boot.

    `borne`: deliveries a second that were let in when it last said 429, `inf` before the first.
    `sure`: that was measured. `again`: it said so while a pace was kept. `let_in` since `since`
    are counted for the next time. `saved` deliveries could start at `at`.
    """

    borne: float = inf
    sure: bool = True
    again: bool = False
    refused_at: float = -inf
    since: float = 0.0
    let_in: int = 0
    ended_at: float = -inf
    told_to_wait: bool = False
    saved: float = 0.0
    at: float = 0.0


UNPACED: Final = PaceState()


def pace(state: PaceState, now: float) -> float:
    """Deliveries a second that may start at `now`; `inf` where no limit is known."""
    if state.borne == inf:
        return inf
    if not state.sure:
        doublings = (now - state.refused_at) / DOUBLING_S
        return state.borne * float(2.0 ** min(doublings, DOUBLINGS))
    plateau = _plateau(state)
    bend = (now - state.refused_at - plateau) / plateau
    return state.borne * (1.0 + (1.0 - BACK_OFF) * bend**3)


def allowed(state: PaceState, now: float) -> float:
    """How many may start at `now`, in whole numbers; `inf` where no limit is known."""
    return inf if state.borne == inf else float(int(_saved(state, now) + _ROUNDING))


def next_at(state: PaceState, now: float) -> float:
    """When the next one may start: `now`, or later."""
    if state.borne == inf:
        return now
    return now + max(0.0, 1.0 - _saved(state, now)) / pace(state, now)


def on_start(state: PaceState, now: float, *, in_flight: int) -> PaceState:
    """The state after one has started beside `in_flight` others."""
    if in_flight == 0 and not state.told_to_wait and now - state.ended_at > IDLE_S:
        state = msgspec.structs.replace(state, since=now, let_in=0)
    if state.borne == inf:
        return state
    return msgspec.structs.replace(state, saved=_saved(state, now) - 1.0, at=now)


def on_end(state: PaceState, *, refused: bool, seconds: float, now: float) -> PaceState:
    """The state after one that took `seconds` has ended at `now`; `refused`: with a 429."""
    if not refused:
        return msgspec.structs.replace(
            state, let_in=state.let_in + 1, ended_at=now, told_to_wait=False
        )
    if now - seconds < state.refused_at:  # it had started before, and speaks of the pace of then
        return msgspec.structs.replace(state, ended_at=now, told_to_wait=True)
    kept = pace(state, now)
    met = kept < state.borne * (FORGOTTEN if state.sure else 2.0**DOUBLINGS)
    return PaceState(
        borne=_borne(state, kept if met else inf, now),
        sure=met or state.let_in >= SURE_AFTER,
        again=met,
        refused_at=now,
        since=now,
        ended_at=now,
        told_to_wait=True,
        at=now,
    )


def _borne(state: PaceState, kept: float, now: float) -> float:
    """What was let in a second. A 429 never raises the pace that was kept, nor halves it twice."""
    measured = state.let_in / max(now - state.since, BURST_S)
    if kept == inf:
        return max(measured, FIRST_A_SECOND)
    return max(min(max(measured, kept / 2), kept), LEAST_A_SECOND)


def _plateau(state: PaceState) -> float:
    calls = PLATEAU_CALLS / state.borne if state.again else 0.0
    return min(max(PLATEAU_S, calls), PLATEAU_MOST_S)


def _saved(state: PaceState, now: float) -> float:
    a_second = pace(state, now)
    most = max(1.0, a_second * BURST_S)
    return min(most, state.saved + max(0.0, now - state.at) * a_second)
