"""What becomes of a delivery after an attempt or a look-up, as a table (design 4, 6 and 7)."""

import itertools
from statistics import mean
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.failures import Change, Failure, FailureClass, FailureCode, Reference
from streams.core.conclude import (
    ABSENCE_GAP,
    KENNITALA_WAIT_S,
    MOST_POSTS,
    RETRYING_TOLD_AFTER_S,
    Conclusion,
    Policy,
    Result,
    Standing,
    What,
    conclude,
    pause,
)
from streams.core.states import TRANSITIONS, State

POLICY = Policy(
    retry_base=1.0,
    retry_max=300.0,
    retry_for=259_200.0,
    settle=30.0,
    deadline=60.0,
    parent_wait=900.0,
)
THERE = Reference(id="812", number="100042")
DOWN = Failure(code=FailureCode.SYSTEM_UNAVAILABLE, parameters={"status": "503"}, answer="503 x")
REFUSED = Failure(code=FailureCode.ACCOUNT_UNKNOWN, parameters={"account": "3000"})
ACCESS = Failure(code=FailureCode.CREDENTIALS_REFUSED, parameters={"answer": "401"})
DOUBT = Failure(code=FailureCode.WRITE_UNCERTAIN, parameters={"number": "1001"})
RESULTS = {
    What.APPLIED: Result(what=What.APPLIED, reference=THERE),
    What.UNCHANGED: Result(what=What.UNCHANGED, reference=THERE),
    What.MANUAL: Result(what=What.MANUAL, reference=THERE, changes=(Change(field="name"),)),
    What.REFUSED: Result(what=What.REFUSED, failure=REFUSED),
    What.HOLD: Result(what=What.HOLD, failure=ACCESS),
    What.RETRY: Result(what=What.RETRY, failure=DOWN),
    What.UNSURE: Result(what=What.UNSURE, failure=DOUBT),
    What.GATE_CLOSED: Result(what=What.GATE_CLOSED, parent_key="k"),
    What.DROPPED: Result(what=What.DROPPED),
    What.ABSENT: Result(what=What.ABSENT),
    What.SETTLED: Result(what=What.SETTLED, reference=THERE),
}
STANDING = {"attempts": 2, "retried_s": 10.0, "posts": 1, "age_s": 60.0}


def after(what: What, state: State = State.SENDING, **changes: Any) -> Conclusion:
    standing = Standing(state=state, **{**STANDING, **changes})
    return conclude(standing, RESULTS[what], POLICY, 0.0)


# what, then: state, attempts, seconds until it is looked at again
SENDING = [
    (What.APPLIED, State.APPLIED, 3, None),
    (What.UNCHANGED, State.UNCHANGED, 3, None),
    (What.MANUAL, State.MANUAL, 3, None),
    (What.REFUSED, State.DEAD, 3, None),
    (What.HOLD, State.READY, 2, None),
    (What.RETRY, State.DUE, 3, 2.0),
    (What.UNSURE, State.UNCERTAIN, 3, 30.0),
    (What.GATE_CLOSED, State.WAITING, 2, None),
    (What.DROPPED, State.DUE, 2, 1.0),
]
UNCERTAIN = [
    (What.APPLIED, State.APPLIED, None),
    (What.MANUAL, State.MANUAL, None),
    (What.SETTLED, State.READY, None),
    (What.REFUSED, State.DEAD, None),
    (What.HOLD, State.UNCERTAIN, 300.0),
    (What.RETRY, State.UNCERTAIN, 7.5),
    (What.ABSENT, State.UNCERTAIN, 7.5),
    (What.DROPPED, State.UNCERTAIN, 7.5),
]


@pytest.mark.parametrize(("what", "state", "attempts", "act_in"), SENDING)
def test_after_an_attempt(what: What, state: State, attempts: int, act_in: float | None) -> None:
    done = after(what)
    assert (done.state, done.attempts, done.act_in) == (state, attempts, act_in)
    assert done.posts == 1


@pytest.mark.parametrize(("what", "state", "act_in"), UNCERTAIN)
def test_after_a_look_up(what: What, state: State, act_in: float | None) -> None:
    done = after(what, State.UNCERTAIN)
    assert (done.state, done.act_in) == (state, act_in)
    assert done.attempts == 2, "a look-up is no attempt"


@pytest.mark.parametrize("what", list(What))
@pytest.mark.parametrize("state", [State.SENDING, State.UNCERTAIN])
def test_whatever_comes_the_state_after_is_one_that_the_table_has(what: What, state: State) -> None:
    new = after(what, state).state
    assert new is state or new in TRANSITIONS[state]


@pytest.mark.parametrize(
    ("what", "in_books", "clean"),
    [
        (What.APPLIED, True, True),
        (What.UNCHANGED, True, True),
        (What.MANUAL, True, False),
        (What.REFUSED, None, False),
        (What.RETRY, None, False),
        (What.UNSURE, None, False),
        (What.HOLD, None, False),
    ],
)
def test_what_is_known_of_the_books(what: What, in_books: bool | None, clean: bool) -> None:
    done = after(what)
    assert (done.in_books, done.clean) == (in_books, clean)


def test_without_a_reference_nothing_is_known_to_be_there() -> None:
    result = Result(what=What.UNCHANGED)
    done = conclude(Standing(state=State.SENDING), result, POLICY, 0.0)
    assert done.in_books is None
    done = conclude(Standing(state=State.UNCERTAIN), Result(what=What.SETTLED), POLICY, 0.0)
    assert done.in_books is None
    assert after(What.SETTLED, State.UNCERTAIN).in_books is True


def test_a_hold_is_told_upwards_and_stays_the_integrations() -> None:
    assert after(What.HOLD).hold is ACCESS
    assert after(What.HOLD).failure is None
    assert after(What.HOLD, State.UNCERTAIN).hold is ACCESS
    assert after(What.RETRY).hold is None


# --- limits ------------------------------------------------------------------------------------


def test_retry_after_is_obeyed_and_pauses_the_integration() -> None:
    result = msgspec.structs.replace(RESULTS[What.RETRY], retry_after=120.0)
    done = conclude(Standing(state=State.SENDING), result, POLICY, 0.5)
    assert (done.act_in, done.pause_s) == (120.0, 120.0)
    done = conclude(Standing(state=State.UNCERTAIN), result, POLICY, 0.5)
    assert (done.act_in, done.pause_s) == (120.0, 120.0)


def test_a_short_retry_after_does_not_shorten_the_pause() -> None:
    result = msgspec.structs.replace(RESULTS[What.RETRY], retry_after=0.1)
    assert conclude(Standing(state=State.SENDING, attempts=9), result, POLICY, 0.0).act_in == 150.0


@pytest.mark.parametrize("state", [State.SENDING, State.UNCERTAIN])
@pytest.mark.parametrize("left", [0.0, 1_000.0])
def test_retries_end_when_their_time_is_used_up(state: State, left: float) -> None:
    spent = POLICY.retry_for - left
    done = after(What.RETRY, state, retried_s=spent)
    assert (done.state is State.DEAD) is (left == 0.0)
    if done.state is State.DEAD:
        failure = done.failure
        assert failure is not None
        assert failure.code is FailureCode.RETRIES_EXHAUSTED
        assert failure.parameters["lastCode"] == "system-unavailable"
        assert failure.parameters["answer"] == failure.answer == "503 x"
        expected = FailureClass.TRANSIENT if state is State.SENDING else FailureClass.UNCERTAIN
        assert failure.failure_class is expected
    else:
        assert done.retried_s > spent


@pytest.mark.parametrize("what", [What.HOLD, What.DROPPED, What.GATE_CLOSED])
def test_holds_and_interruptions_use_up_nothing(what: What) -> None:
    spent = POLICY.retry_for
    done = after(what, retried_s=spent, attempts=99)
    assert (done.retried_s, done.attempts) == (spent, 99)
    assert done.state is not State.DEAD


def test_retrying_is_told_once_after_a_quarter_of_an_hour() -> None:
    assert not after(What.RETRY, retried_s=RETRYING_TOLD_AFTER_S - 100).tell_retrying
    assert after(What.RETRY, retried_s=RETRYING_TOLD_AFTER_S).tell_retrying
    assert not after(What.RETRY, retried_s=RETRYING_TOLD_AFTER_S, told_retrying=True).tell_retrying


def test_absence_is_believed_the_second_time() -> None:
    first = after(What.ABSENT, State.UNCERTAIN)
    assert (first.state, first.absences, first.posts) == (State.UNCERTAIN, 1, 1)
    assert first.act_in == POLICY.settle * ABSENCE_GAP
    second = after(What.ABSENT, State.UNCERTAIN, absences=1)
    assert (second.state, second.absences, second.posts) == (State.READY, 0, 2)


@pytest.mark.parametrize("what", [What.RETRY, What.HOLD, What.DROPPED])
def test_a_look_up_that_fails_says_nothing(what: What) -> None:
    done = after(what, State.UNCERTAIN, absences=1)
    assert (done.absences, done.posts) == (1, 1)


@pytest.mark.parametrize("posts", range(MOST_POSTS))
def test_the_fifth_post_that_is_absent_is_the_last(posts: int) -> None:
    done = after(What.ABSENT, State.UNCERTAIN, absences=1, posts=posts, failure=DOUBT)
    assert done.posts == posts + 1
    assert done.state is (State.DEAD if posts == MOST_POSTS - 1 else State.READY)
    if done.state is State.DEAD:
        assert done.failure is not None
        assert done.failure.parameters["lastCode"] == "write-uncertain"
        assert done.failure.failure_class is FailureClass.UNCERTAIN


def test_a_new_doubt_begins_its_look_ups_anew() -> None:
    assert after(What.UNSURE, absences=1).absences == 0


# --- the kennitala -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "known", "state", "act_in"),
    [
        (0.0, False, State.DUE, KENNITALA_WAIT_S),
        (4.0, False, State.DUE, 1.0),
        (5.0, False, State.DEAD, None),
        (60.0, False, State.DEAD, None),
        (0.0, True, State.DEAD, None),
    ],
)
def test_an_invoice_waits_for_its_customers_kennitala(
    age: float, known: bool, state: State, act_in: float | None
) -> None:
    missing = Failure(code=FailureCode.KENNITALA_MISSING, parameters={"number": "1"})
    standing = Standing(state=State.SENDING, age_s=age, customer_known=known)
    done = conclude(standing, Result(what=What.REFUSED, failure=missing), POLICY, 0.5)
    assert (done.state, done.act_in) == (state, act_in)
    assert done.attempts == (0 if state is State.DUE else 1)


def test_no_other_refusal_waits() -> None:
    standing = Standing(state=State.SENDING, customer_known=False)
    assert conclude(standing, RESULTS[What.REFUSED], POLICY, 0.5).state is State.DEAD


# --- properties --------------------------------------------------------------------------------

attempts = st.integers(0, 10_000)
fractions = st.floats(0.0, 1.0, exclude_max=True)


@given(attempts, fractions)
def test_a_pause_is_bounded(attempt: int, random: float) -> None:
    assert 0.5 * POLICY.retry_base <= pause(attempt, POLICY, random) <= POLICY.retry_max


@given(st.integers(1, 10_000), fractions)
def test_a_pause_never_shrinks_from_one_attempt_to_the_next(attempt: int, random: float) -> None:
    assert pause(attempt + 1, POLICY, random) >= pause(attempt, POLICY, random)


def test_the_expected_pause_doubles_until_the_longest() -> None:
    draws = [n / 100 for n in range(100)]
    means = [mean(pause(attempt, POLICY, draw) for draw in draws) for attempt in range(1, 20)]
    for before, now in itertools.pairwise(means):
        assert now == pytest.approx(min(2 * before, max(means)))


@given(
    st.sampled_from(list(What)),
    st.sampled_from([State.SENDING, State.UNCERTAIN]),
    st.integers(0, 50),
    st.floats(0, 300_000),
    st.integers(0, MOST_POSTS - 1),
    st.integers(0, 1),
    fractions,
)
def test_counters_never_go_back(
    what: What,
    state: State,
    tried: int,
    retried_s: float,
    posts: int,
    absences: int,
    random: float,
) -> None:
    standing = Standing(
        state=state, attempts=tried, retried_s=retried_s, posts=posts, absences=absences
    )
    done = conclude(standing, RESULTS[what], POLICY, random)
    assert tried <= done.attempts <= tried + 1
    assert done.retried_s >= retried_s
    assert posts <= done.posts <= posts + 1
    assert (done.act_in is None) or done.act_in > 0.0
    waits = done.state in {State.DUE, State.UNCERTAIN}
    assert waits is (done.act_in is not None), "what waits for a time has one"


@given(st.lists(st.sampled_from([What.RETRY, What.HOLD, What.DROPPED]), max_size=200), fractions)
def test_attempts_are_those_that_failed_and_nothing_else(said: list[What], random: float) -> None:
    standing = Standing(state=State.SENDING)
    for what in said:
        done = conclude(standing, RESULTS[what], POLICY, random)
        standing = Standing(state=State.SENDING, attempts=done.attempts, retried_s=done.retried_s)
    assert standing.attempts == said.count(What.RETRY)
