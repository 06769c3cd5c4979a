"""The steps in which rows go out: an entity's order holds over the topics."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from schemas.wire import Outgoing
from streams.ports import OutboxRow
from streams.publish_order import steps
from streams.topics import DEADLETTERS, FAILURES, RESULTS


def row(position: int, topic: str, key: bytes, subject: bytes | None) -> OutboxRow:
    headers = () if subject is None else (("ce_type", b"t"), ("ce_subject", subject))
    return OutboxRow(
        position=position,
        record=Outgoing(topic=topic, key=key, value=b"", headers=headers),
    )


def places(found: list[list[OutboxRow]]) -> list[list[int]]:
    return [[one.position for one in step] for step in found]


def test_what_is_of_one_topic_goes_in_one_step() -> None:
    rows = [row(n, RESULTS, b"c/%d" % (n % 3), b"invoice/%d" % n) for n in range(9)]
    assert places(steps(rows)) == [list(range(9))]


def test_held_is_acknowledged_before_applied_is_sent() -> None:
    rows = [
        row(1, FAILURES, b"c/1", b"invoice/7"),
        row(2, RESULTS, b"c/1", b"customer/1"),
        row(3, RESULTS, b"c/1", b"invoice/7"),
        row(4, RESULTS, b"c/2", b"invoice/7"),
    ]
    assert places(steps(rows)) == [[1, 2, 4], [3]]


def test_what_comes_after_it_under_its_key_waits_too() -> None:
    rows = [
        row(1, FAILURES, b"c/1", b"invoice/7"),
        row(2, RESULTS, b"c/1", b"invoice/7"),
        row(3, RESULTS, b"c/1", b"invoice/8"),
        row(4, FAILURES, b"c/1", b"invoice/8"),
    ]
    assert places(steps(rows)) == [[1], [2, 3], [4]]


_rows = st.lists(
    st.tuples(
        st.sampled_from((RESULTS, FAILURES, DEADLETTERS)),
        st.sampled_from((b"c/1", b"c/2")),
        st.sampled_from((None, b"customer/1", b"invoice/7", b"invoice/8")),
    ),
    max_size=30,
)


@given(_rows)
def test_nothing_is_lost_and_both_orders_hold(drawn: list[tuple[str, bytes, bytes | None]]) -> None:
    rows = [row(n, *one) for n, one in enumerate(drawn)]
    found = steps(rows)
    step_of = {one.position: n for n, step in enumerate(found) for one in step}
    assert sorted(step_of) == list(range(len(rows)))
    for step in places(found):
        assert step == sorted(step)
    for n, one in enumerate(drawn):
        for m, other in enumerate(drawn[:n]):
            if one[:2] == other[:2]:
                assert step_of[m] <= step_of[n]
            elif one[1:] == other[1:] and one[2] is not None:
                between = [step_of[k] for k in range(m, n + 1) if drawn[k][1:] == one[1:]]
                assert all(a <= b for a, b in pairwise(between))
                assert step_of[m] < step_of[n]
