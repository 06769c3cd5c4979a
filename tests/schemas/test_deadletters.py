"""A dead letter is the record as it came, and beside it why."""

from datetime import UTC, datetime

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.deadletters import (
    MAX_HEADERS_BYTES,
    Letter,
    encode_letter,
    headers_size,
    original_headers,
    read_letter,
)
from schemas.failures import FailureClass, FailureCode
from tests.schemas.samples import record

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
LETTER = Letter(
    letter_id="d-1",
    code=FailureCode.VAT_CODE_UNKNOWN,
    klass=FailureClass.SET_UP,
    text="Momskode 33 finnes ikke i regnskapet",
    action="Rett momskoden på kontoen",
    field="$.lines[2].vatCode",
    delivery_id="d-1",
    company="c-1001",
    integration="fjord-sb1",
    system="sparebank1",
    entity="invoice/1001",
    attempts=3,
    first_failed_at=NOON,
    last_failed_at=NOON,
    blocked_by="customer/100042",
    replay_count=1,
    response="400 Bad Request\n{}",
    trace="00-a-b-01",
    version="0.1.0",
)
CAME = record(b"\x00\xff whatever", (("h", b"1"), ("h", b"\xff"), ("h", b"1")), key=b"\xfe")


def test_value_key_and_headers_are_as_they_came() -> None:
    letter = encode_letter(LETTER, CAME)
    assert (letter.topic, letter.key, letter.value) == (
        "moment-sync.deadletters",
        CAME.key,
        CAME.value,
    )
    assert letter.headers[:3] == CAME.headers
    assert original_headers(letter.headers) == CAME.headers
    tombstone = msgspec.structs.replace(CAME, value=None, key=None, headers=())
    assert encode_letter(LETTER, tombstone).value is None


def test_a_letter_says_all_that_the_interface_names() -> None:
    assert read_letter(encode_letter(LETTER, CAME, topic_prefix="test-").headers) == {
        "letter-id": "d-1",
        "code": "vat-code-unknown",
        "class": "set-up",
        "text": "Momskode 33 finnes ikke i regnskapet",
        "action": "Rett momskoden på kontoen",
        "field": "$.lines[2].vatCode",
        "delivery-id": "d-1",
        "company": "c-1001",
        "integration": "fjord-sb1",
        "system": "sparebank1",
        "entity": "invoice/1001",
        "attempts": "3",
        "first-failed-at": "2026-11-02T12:00:00Z",
        "last-failed-at": "2026-11-02T12:00:00Z",
        "original-topic": "test-moment.customers",
        "original-partition": "3",
        "original-offset": "41",
        "original-timestamp": "1793000000000",
        "blocked-by": "customer/100042",
        "replay-count": "1",
        "response": "400 Bad Request\n{}",
        "trace": "00-a-b-01",
        "version": "0.1.0",
    }


def test_a_letter_of_a_letter_keeps_the_first_and_is_read_as_the_second() -> None:
    first = encode_letter(LETTER, CAME)
    again = msgspec.structs.replace(CAME, headers=first.headers)
    bare = Letter(
        letter_id="l-2",
        code=FailureCode.EVENT_UNREADABLE,
        klass=FailureClass.DATA,
        text="t",
        action="a",
        version="0.1.0",
    )
    second = encode_letter(bare, again)
    assert original_headers(second.headers) == first.headers
    found = read_letter(second.headers)
    assert (found["letter-id"], found["code"]) == ("l-2", "event-unreadable")
    assert not {"field", "company", "blocked-by", "response"} & set(found)


def test_other_headers_are_no_letter() -> None:
    assert read_letter(CAME.headers) == {}
    assert original_headers(CAME.headers) == CAME.headers


sizes = st.sampled_from([0, 10, 1_000, 20_000, 70_000, 300_000])
signs = st.sampled_from(["x", "ø", "€", "𝄞"])


@given(sizes, sizes, sizes, sizes, signs)
def test_our_headers_stay_within_64_kib(
    response: int, text: int, action: int, fact: int, sign: str
) -> None:
    letter = msgspec.structs.replace(
        LETTER,
        response=sign * response,
        text=sign * text,
        action=sign * action,
        field=sign * fact,
        entity=sign * fact,
        trace=sign * fact,
    )
    ours = encode_letter(letter, CAME).headers[3:]
    assert headers_size(ours) < MAX_HEADERS_BYTES
    for _, value in ours:
        value.decode()
    if text + action < 10_000:
        assert read_letter(ours)["text"] == sign * text


def test_the_response_is_cut_before_the_text() -> None:
    letter = msgspec.structs.replace(LETTER, response="r" * 60_000, text="t" * 60_000)
    found = read_letter(encode_letter(letter, CAME).headers)
    assert len(found["text"]) == 60_000
    assert 0 < len(found["response"]) < 5_000
