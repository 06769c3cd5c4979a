from hypothesis import given
from hypothesis import strategies as st

from connectors.breaker import (
    CLOSED,
    BreakerPolicy,
    BreakerState,
    Phase,
    allows,
    on_failure,
    on_start,
    on_success,
)

POLICY = BreakerPolicy(failures=3, open_s=30)


def opened(now: float = 100.0) -> BreakerState:
    state = CLOSED
    for _ in range(3):
        state = on_failure(state, POLICY, now)
    return state


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    state = on_failure(on_failure(CLOSED, POLICY, 1), POLICY, 2)
    assert state.phase is Phase.CLOSED
    assert on_failure(state, POLICY, 3).phase is Phase.OPEN


def test_an_answer_between_failures_starts_the_count_anew() -> None:
    state = on_success(on_failure(on_failure(CLOSED, POLICY, 1), POLICY, 2))
    state = on_failure(on_failure(state, POLICY, 3), POLICY, 4)
    assert state.phase is Phase.CLOSED


def test_an_open_breaker_lets_one_trial_through_when_its_pause_is_over() -> None:
    state = opened(100)
    assert not allows(state, 129.9)
    assert allows(state, 130)
    trying = on_start(state, POLICY, 130)
    assert trying.phase is Phase.HALF_OPEN
    assert not allows(trying, 130)


def test_a_trial_that_fails_opens_it_for_another_pause() -> None:
    state = on_failure(on_start(opened(100), POLICY, 130), POLICY, 140)
    assert (state.phase, state.next_probe_at) == (Phase.OPEN, 170)


def test_a_trial_that_is_answered_closes_it() -> None:
    assert on_success(on_start(opened(100), POLICY, 130)) == CLOSED


def test_a_trial_that_never_comes_back_does_not_hold_its_place_for_ever() -> None:
    trying = on_start(opened(100), POLICY, 130)
    assert allows(trying, 160)


def test_stragglers_do_not_draw_the_pause_out() -> None:
    state = opened(100)
    assert on_failure(state, POLICY, 120) == state


def test_starting_a_call_leaves_a_closed_breaker_as_it_is() -> None:
    assert on_start(CLOSED, POLICY, 5) == CLOSED


@given(st.lists(st.tuples(st.sampled_from("sfa"), st.floats(0, 20)), max_size=80))
def test_in_any_history_at_most_one_call_starts_within_a_pause_of_a_breaker_not_closed(
    history: list[tuple[str, float]],
) -> None:
    state, now, last_trial = CLOSED, 0.0, None
    for what, passed in history:
        now += passed
        if what == "s":
            state = on_success(state)
            last_trial = None
        elif what == "f":
            state = on_failure(state, POLICY, now)
        elif allows(state, now):
            if state.phase is not Phase.CLOSED:
                assert last_trial is None or now - last_trial >= POLICY.open_s
                last_trial = now
            state = on_start(state, POLICY, now)
        assert (state.phase is Phase.CLOSED) == (state.failures < POLICY.failures)
