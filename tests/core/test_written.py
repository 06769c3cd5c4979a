"""What a later state has to clear, when nobody knows which of the earlier ones was written."""

import json

import pytest

from streams.core.written import maybe_written


def content(**members: object) -> bytes:
    return json.dumps({"version": 1, "customer": members}).encode()


def read(merged: bytes) -> object:
    return json.loads(merged)["customer"]


def test_what_was_sent_first_is_all_that_may_be_there() -> None:
    sent = content(name="A", phone="1")
    assert maybe_written(None, sent) == sent
    assert maybe_written(sent, sent) == sent


def test_a_value_of_either_state_may_be_there() -> None:
    before = content(name="A", phone="1", email="", fax="2")
    sent = content(name="B", phone="", email="b@b.example")
    assert read(maybe_written(before, sent)) == {
        "name": "B",
        "phone": "1",
        "email": "b@b.example",
        "fax": "2",
    }


@pytest.mark.parametrize("odd", [b"", b"no json", b"[1]"])
def test_what_cannot_be_read_adds_nothing(odd: bytes) -> None:
    """Content of a mapping that is long gone must not stop a customer."""
    sent = content(name="A")
    assert maybe_written(odd, sent) == sent
    assert maybe_written(sent, odd) == odd
