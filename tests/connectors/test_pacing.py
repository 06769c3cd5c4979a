"""The law of the pace: what a 429 teaches, and how it is found out that it was lifted."""

import heapq
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import pacing
from connectors.pacing import PaceState

STEP_S = 0.002
RETRY_AFTER_S = 1.0


class Limited:
    """An accounting system that lets in so many a second and saves up a second's worth."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.left = 1.0
        self.at = 0.0

    def lets_in(self, now: float) -> bool:
        most = max(1.0, self.per_second)
        self.left = min(most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


def calls(
    system: Limited, *, seconds: float, takes: float, bound: int = 8, state: PaceState | None = None
) -> list[tuple[float, bool]]:
    """When each call ended and whether it was refused, with always more to send."""
    state = state or pacing.UNPACED
    under_way: list[tuple[float, float, bool]] = []
    ended: list[tuple[float, bool]] = []
    pause_until = now = 0.0
    while now < seconds:
        while under_way and under_way[0][0] <= now:
            at, began, refused = heapq.heappop(under_way)
            state = pacing.on_end(state, refused=refused, seconds=at - began, now=at)
            ended.append((at, refused))
            if refused:
                pause_until = at + RETRY_AFTER_S
        while now >= pause_until and len(under_way) < bound and pacing.allowed(state, now) >= 1:
            state = pacing.on_start(state, now, in_flight=len(under_way))
            heapq.heappush(under_way, (now + takes, now, not system.lets_in(now)))
        now += STEP_S
    return ended


def refused_once(at: float = 10.0, let_in: int = 200) -> PaceState:
    """Twenty a second were let in for ten seconds, and then one was refused."""
    state = pacing.on_start(pacing.UNPACED, 0.0, in_flight=0)
    for n in range(let_in):
        state = pacing.on_end(state, refused=False, seconds=0.05, now=at * (n + 1) / let_in)
    return pacing.on_end(state, refused=True, seconds=0.05, now=at)


def test_who_was_never_refused_has_no_pace() -> None:
    state = pacing.UNPACED
    for n in range(1000):
        state = pacing.on_start(state, n / 100, in_flight=0)
        state = pacing.on_end(state, refused=False, seconds=0.005, now=n / 100 + 0.005)
    assert pacing.pace(state, 10.0) == inf
    assert pacing.allowed(state, 10.0) == inf
    assert pacing.next_at(state, 10.0) == 10.0


def test_a_refusal_sets_the_pace_a_little_below_what_was_let_in() -> None:
    state = refused_once()
    assert state.borne == pytest.approx(20.0)
    assert pacing.pace(state, 10.0) == pytest.approx(18.0)


def test_the_pace_comes_back_stays_and_then_rises_ever_faster() -> None:
    state = refused_once()
    found = [pacing.pace(state, 10.0 + after) for after in (0, 10, 20, 30, 60)]
    assert found == pytest.approx([18.0, 20.0, 22.0, 36.0, 270.0])


def test_refusals_of_calls_that_were_under_way_together_count_once() -> None:
    state = refused_once()
    again = pacing.on_end(state, refused=True, seconds=0.05, now=10.02)
    assert (again.borne, again.refused_at) == (state.borne, state.refused_at)


def test_after_an_idle_hour_only_what_was_done_since_is_measured() -> None:
    """Two calls in an hour say nothing of what would be borne."""
    state = pacing.on_start(pacing.UNPACED, 0.0, in_flight=0)
    state = pacing.on_end(state, refused=False, seconds=0.05, now=0.05)
    state = pacing.on_start(state, 3600.0, in_flight=0)
    for n in range(30):
        state = pacing.on_end(state, refused=False, seconds=0.05, now=3600.0 + (n + 1) / 30)
    assert pacing.on_end(state, refused=True, seconds=0.05, now=3601.0).borne == pytest.approx(30.0)


def test_a_limit_that_was_forgotten_is_learnt_anew() -> None:
    state = refused_once()
    late = 10.0 + 60.0  # the pace has risen to many times what was borne
    assert pacing.pace(state, late) > pacing.FORGOTTEN * state.borne
    state = pacing.on_start(state, late, in_flight=0)
    for n in range(100):
        state = pacing.on_end(state, refused=False, seconds=0.05, now=late + (n + 1) / 100)
    assert pacing.on_end(state, refused=True, seconds=0.05, now=late + 1).borne < 101.0


@pytest.mark.parametrize("per_second", [1.0, 5.0, 20.0, 100.0])
@pytest.mark.parametrize("takes", [0.01, 0.05, 0.3])
def test_a_limit_is_kept_with_few_refusals_and_mostly_used(per_second: float, takes: float) -> None:
    bound = 64
    reachable = min(per_second, bound / takes)
    ended = calls(Limited(per_second), seconds=600, takes=takes, bound=bound)
    late = [refused for at, refused in ended if at >= 120]
    assert sum(late) <= 0.02 * len(late), f"{sum(late)} of {len(late)} were refused"
    assert len(late) - sum(late) >= 0.7 * reachable * 480


def test_a_limit_that_the_first_calls_meet_is_found_within_seconds() -> None:
    """Of the first sixteen at once one is let in: that says nothing of twenty a second."""
    ended = calls(Limited(20.0), seconds=25, takes=0.5, bound=16)
    assert sum(refused for _, refused in ended[:16]) == 15
    soon = [refused for at, refused in ended if at > 15]
    assert len(soon) - sum(soon) >= 0.7 * 20 * 10
    assert sum(soon) <= 0.02 * len(soon)


def test_a_limit_that_is_lifted_is_soon_forgotten() -> None:
    """A thousand calls that met one bad moment are not sent at its pace for ever."""
    ended = calls(Limited(1e9), seconds=120, takes=0.05, bound=8, state=refused_once(at=0.5))
    assert sum(1 for at, _ in ended if at > 90) == pytest.approx(30 * 8 / 0.05, rel=0.1)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, float, bool]]:
    """Pauses before an end, how long the call took, and whether it was refused."""
    step = st.tuples(st.floats(0.001, 30.0), st.floats(0.001, 10.0), st.booleans())
    return draw(st.lists(step, max_size=40))


@given(histories(), st.floats(0.0, 1000.0))
def test_something_may_always_go_within_ten_seconds_and_a_burst_is_bounded(
    history: list[tuple[float, float, bool]], later: float
) -> None:
    state, now = pacing.UNPACED, 0.0
    for pause, seconds, refused in history:
        now += pause
        state = pacing.on_start(state, now, in_flight=0)
        state = pacing.on_end(state, refused=refused, seconds=seconds, now=now)
    now += later
    at = pacing.next_at(state, now)
    assert now <= at <= now + 1 / (pacing.LEAST_A_SECOND * pacing.BACK_OFF) + 30.0
    assert pacing.allowed(state, at) >= 1
    assert pacing.allowed(state, at) <= max(1.0, pacing.pace(state, at) * pacing.BURST_S) + 1


@given(histories())
def test_a_refusal_never_raises_the_pace_that_was_kept(
    history: list[tuple[float, float, bool]],
) -> None:
    state, now = pacing.UNPACED, 0.0
    for pause, seconds, refused in history:
        now += pause
        state = pacing.on_start(state, now, in_flight=0)
        kept = pacing.pace(state, now)
        forgotten = pacing.FORGOTTEN if state.sure else 2.0**pacing.DOUBLINGS
        met = kept < state.borne * forgotten
        state = pacing.on_end(state, refused=refused, seconds=seconds, now=now)
        if met:
            assert pacing.pace(state, now) <= max(kept, pacing.LEAST_A_SECOND)
