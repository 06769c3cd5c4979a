"""How fast what is mended goes: the rate of the whole is kept, and the books are not flooded."""

from hypothesis import given
from hypothesis import strategies as st

from streams.ops.mend_pace import READY_MOST, Pace, fits, most_a_command


@given(
    rate=st.floats(0.5, 500),
    parts=st.lists(st.integers(1, 32), min_size=1, max_size=200),
    late=st.lists(st.floats(0, 0.3), min_size=200, max_size=200),
)
def test_the_rate_of_the_whole_is_kept_whatever_the_parts_and_however_late_each_goes(
    rate: float, parts: list[int], late: list[float]
) -> None:
    pace = Pace(rate, 100.0)
    now = 100.0
    for part, delay in zip(parts, late, strict=False):
        now += max(0.0, pace.wait(now)) + delay
        assert pace.wait(now) <= 1e-6
        pace.sent(part, now)
    done_at = now + max(0.0, pace.wait(now))
    exact = sum(parts) / rate
    assert exact - 1e-6 <= done_at - 100.0
    assert done_at - 100.0 <= exact + sum(late[: len(parts)]) + 1e-6


def test_what_was_missed_for_long_is_not_caught_up_with_a_burst() -> None:
    pace = Pace(10.0, 0.0)
    sent = 0
    while pace.wait(3600.0) <= 0:
        pace.sent(1, 3600.0)
        sent += 1
    assert sent <= 301


def test_without_a_rate_nothing_is_waited_for() -> None:
    pace = Pace(None, 0.0)
    pace.sent(10_000, 0.0)
    assert pace.wait(0.0) == 0.0


def test_a_command_is_at_most_a_quarter_second_of_the_rate_and_never_more_than_the_books_take() -> (
    None
):
    assert most_a_command(2.0, into_books=True) == 1
    assert most_a_command(40.0, into_books=True) == 10
    assert most_a_command(10_000.0, into_books=True) == READY_MOST
    assert most_a_command(None, into_books=False) == 500


def test_one_books_without_room_are_no_others() -> None:
    full = {"a": READY_MOST}
    assert not fits({"a": 1}, full, {})
    assert not fits({"a": 1}, {}, full)
    assert not fits({"a": 1, "b": 1}, full, {})
    assert fits({"b": READY_MOST}, full, {})
    assert fits({}, full, full)
