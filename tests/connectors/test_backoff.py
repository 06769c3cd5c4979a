from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.backoff import (
    RETRY_AFTER_MAX_S,
    RetryPolicy,
    exhausted,
    pause,
    retry_after_seconds,
)
from connectors.port import Answer

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
POLICY = RetryPolicy(base_s=1, max_s=300, for_s=3600)


@given(st.integers(-5, 10**9), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_within_bounds_whatever_the_attempt(attempt: int, random: float) -> None:
    assert POLICY.base_s / 2 <= pause(attempt, POLICY, random) <= POLICY.max_s


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_pauses_never_shrink_with_attempts(attempt: int, random: float) -> None:
    assert pause(attempt, POLICY, random) <= pause(attempt + 1, POLICY, random)


def test_pauses_double_and_are_half_jitter() -> None:
    assert [pause(n, POLICY, 0.0) for n in (1, 2, 3, 20)] == [0.5, 1.0, 2.0, 150.0]
    assert pause(3, POLICY, 0.5) == 3.0


def test_a_delivery_is_exhausted_by_the_time_spent_on_it() -> None:
    assert not exhausted(POLICY, 3599.9)
    assert exhausted(POLICY, 3600.0)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("99999999", RETRY_AFTER_MAX_S),
        ("9" * 400, RETRY_AFTER_MAX_S),
        ("Mon, 02 Mar 2026 09:02:00 GMT", 120.0),
        ("Mon, 02 Mar 2026 09:02:00 -0000", 120.0),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", RETRY_AFTER_MAX_S),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.2.3", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_seconds(Answer(status=429, headers={"retry-after": header}), NOW) == seconds


@given(st.text())
def test_no_retry_after_raises_or_exceeds_the_longest(header: str) -> None:
    answer = Answer(status=503, headers={"retry-after": header})
    seconds = retry_after_seconds(answer, NOW)
    assert seconds is None or 0 <= seconds <= RETRY_AFTER_MAX_S


@pytest.mark.parametrize(
    ("date", "now", "seconds"),
    [
        ("Mon, 02 Mar 2026 09:01:30 GMT", NOW, 30.0),
        ("Mon, 02 Mar 2026 09:01:30 GMT", None, 30.0),
        ("soon", NOW, 120.0),
        ("", None, None),
    ],
)
def test_a_date_counts_from_the_answers_own_clock(
    date: str, now: datetime | None, seconds: float | None
) -> None:
    headers = {"retry-after": "Mon, 02 Mar 2026 09:02:00 GMT", "date": date}
    assert retry_after_seconds(Answer(status=503, headers=headers), now) == seconds


def test_a_nights_maintenance_is_believed() -> None:
    assert retry_after_seconds(Answer(status=503, headers={"retry-after": "28800"}), None) == 28800


def test_an_answer_without_the_header_asks_for_nothing() -> None:
    assert retry_after_seconds(Answer(status=429), NOW) is None
