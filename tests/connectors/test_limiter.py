from hypothesis import given
from hypothesis import strategies as st

from connectors import limiter
from connectors.limiter import LimiterPolicy, LimiterState, Signal, signal_of
from connectors.port import NoAnswerKind

POLICY = LimiterPolicy(ceiling=64)


def fill(state: LimiterState) -> LimiterState:
    while limiter.allows(state):
        state = limiter.on_start(state)
    return state


def end(
    state: LimiterState,
    signal: Signal = Signal.ANSWERED,
    seconds: float = 0.05,
    now: float = 100.0,
    kind: str = "read",
) -> LimiterState:
    return limiter.on_end(state, POLICY, kind=kind, seconds=seconds, signal=signal, now=now)


def round_of(state: LimiterState, now: float = 100.0) -> LimiterState:
    """All places taken, and then all calls end, each replaced while the round lasts."""
    for _ in range(int(state.bound)):
        state = end(fill(state), now=now)
    return state


def test_it_starts_at_four_and_never_exceeds_what_fits() -> None:
    state = fill(limiter.begin(POLICY))
    assert state.in_flight == 4
    assert fill(limiter.begin(LimiterPolicy(ceiling=1))).in_flight == 1


def test_quick_answers_double_the_bound_every_round_up_to_the_ceiling() -> None:
    state = limiter.begin(POLICY)
    bounds = []
    for _ in range(6):
        state = round_of(state)
        bounds.append(int(state.bound))
    assert bounds == [8, 16, 32, 64, 64, 64]


def test_after_the_first_push_back_it_grows_by_about_one_a_round() -> None:
    state = round_of(round_of(limiter.begin(POLICY)))
    state = end(fill(state), Signal.PUSHED_BACK)
    assert int(state.bound) == 8
    state = round_of(state, now=200.0)
    assert 8.8 < state.bound < 9.1


def test_slow_answers_stop_the_growth_and_shrink_nothing() -> None:
    state = round_of(limiter.begin(POLICY))
    after = end(fill(state), seconds=0.5)
    assert after.bound == state.bound


def test_quick_is_judged_by_the_kinds_own_median() -> None:
    """A booking of two minutes may be as good as a read of fifty milliseconds."""
    state = round_of(limiter.begin(POLICY))
    state = end(fill(state), seconds=120.0, kind="book")
    before = state.bound
    assert end(fill(state), seconds=118.0, kind="book").bound > before
    assert end(fill(state), seconds=118.0, kind="read").bound == before


def test_a_bound_that_is_not_used_up_does_not_grow() -> None:
    state = limiter.on_start(limiter.begin(POLICY))
    assert end(state).bound == 4


def test_calls_that_fail_together_halve_it_once() -> None:
    state = round_of(round_of(limiter.begin(POLICY)))
    state = fill(state)
    for _ in range(16):
        state = end(state, Signal.PUSHED_BACK, seconds=60.0, now=100.0)
    assert state.bound == 8


def test_a_call_that_started_before_the_last_halving_does_not_halve_again() -> None:
    state = end(fill(round_of(limiter.begin(POLICY))), Signal.PUSHED_BACK, now=100.0)
    assert end(state, Signal.PUSHED_BACK, seconds=60.0, now=150.0).bound == state.bound
    assert end(state, Signal.PUSHED_BACK, seconds=10.0, now=150.0).bound == state.bound / 2


def test_within_a_window_it_halves_once_whenever_the_calls_began() -> None:
    state = end(fill(round_of(limiter.begin(POLICY))), Signal.PUSHED_BACK, now=100.0)
    assert end(state, Signal.PUSHED_BACK, seconds=0.1, now=100.9).bound == state.bound
    assert end(state, Signal.PUSHED_BACK, seconds=0.1, now=101.0).bound == state.bound / 2


def test_after_a_hold_it_ramps_from_one_to_where_it_was() -> None:
    state = round_of(round_of(limiter.begin(POLICY)))
    again = limiter.restart(state)
    assert int(again.bound) == 1
    bounds = []
    for _ in range(6):
        again = round_of(again)
        bounds.append(int(again.bound))
    assert bounds[:4] == [2, 4, 8, 16]
    assert bounds[4] == 16


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "end", "restart"]),
            st.sampled_from(list(Signal)),
            st.floats(0.001, 200),
            st.sampled_from(["read", "book"]),
        ),
        max_size=300,
    )
)
def test_in_any_history_the_bound_stays_within_floor_and_ceiling(
    history: list[tuple[str, Signal, float, str]],
) -> None:
    state, now, restarted = limiter.begin(POLICY), 0.0, False
    for what, signal, seconds, kind in history:
        now += seconds / 10
        if what == "start" and limiter.allows(state):
            state = limiter.on_start(state)
        elif what == "end" and state.in_flight:
            before = state.bound
            state = end(state, signal, seconds, now, kind)
            assert state.bound <= before + 1
            if signal is not Signal.PUSHED_BACK:
                assert state.bound >= before
        elif what == "restart":
            state, restarted = limiter.restart(state), True
        assert state.in_flight >= 0
        assert (1 if restarted else POLICY.floor) <= state.bound <= POLICY.ceiling
        # There is always a way on: a quiet integration may make a call.
        assert state.in_flight > 0 or limiter.allows(state)


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=60))
def test_the_median_stays_within_what_was_measured(samples: list[float]) -> None:
    state = limiter.begin(POLICY)
    for seconds in samples:
        state = end(limiter.on_start(state), seconds=seconds)
    assert min(samples) <= state.medians["read"] <= max(samples)


def test_a_steady_latency_is_its_own_median() -> None:
    state = limiter.begin(POLICY)
    for seconds in [5.0] + [0.05] * 200:
        state = end(limiter.on_start(state), seconds=seconds)
    assert state.medians["read"] == 0.05


def test_only_429_refusals_and_timeouts_push_back() -> None:
    assert signal_of(429, None) is Signal.PUSHED_BACK
    for status in (200, 400, 401, 404, 500, 503):
        assert signal_of(status, None) is Signal.ANSWERED
    pushed = {kind for kind in NoAnswerKind if signal_of(None, kind) is Signal.PUSHED_BACK}
    assert pushed == {NoAnswerKind.REFUSED, NoAnswerKind.TIMEOUT}
    assert signal_of(None, NoAnswerKind.DROPPED) is Signal.NOTHING
