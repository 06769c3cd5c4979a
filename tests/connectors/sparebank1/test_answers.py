"""What each answer to a read means, and which hold a refused access is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.port import Answer, Dropped, Hold, NoAnswer, NoAnswerKind, Refused, Retry
from connectors.sparebank1.responses import messages
from connectors.sparebank1.wire import (
    Unreadable,
    amount,
    day,
    decode,
    encode,
    integer,
    row_of,
    text,
)
from schemas.failures import Failure, FailureCode, Reference
from tests.connectors.sparebank1.fake_books import FakeBooks, answer
from tests.connectors.sparebank1.moment_events import customer

KNOWN = Reference(id="812", number="100042")
READ = "GET customers"


def read_with(*replies: Answer | NoAnswer) -> Any:
    """The verdict of a customer whose first read is answered by this."""
    books = FakeBooks()
    books.script(READ, *replies)
    return books.deliver(customer(), itself=KNOWN)


@pytest.mark.parametrize(
    ("reply", "expected", "code"),
    [
        (answer({}, 500), Retry, "system-unavailable"),
        (answer({}, 503), Retry, "system-unavailable"),
        (answer({}, 504), Retry, "system-unavailable"),
        (answer({}, 408), Retry, "system-unavailable"),
        (answer({}, 302), Retry, "system-unavailable"),
        (answer({}, 429), Retry, "too-many-requests"),
        (answer({"Message": "bad"}, 400), Refused, "refused-by-system"),
        (answer({"Message": "gone"}, 410), Refused, "refused-by-system"),
        (Answer(status=200, body=b"<html>maintenance"), Retry, "answer-not-understood"),
        (Answer(status=200), Retry, "answer-not-understood"),
        (answer([]), Refused, "answer-not-understood"),
        (answer({"Name": "x"}), Refused, "answer-not-understood"),
        (NoAnswer(kind=NoAnswerKind.REFUSED, sent=False), Retry, "connection-failed"),
        (NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True), Retry, "connection-failed"),
        (NoAnswer(kind=NoAnswerKind.BROKEN, sent=True), Retry, "connection-failed"),
        (NoAnswer(kind=NoAnswerKind.TOO_LARGE, sent=True), Refused, "answer-not-understood"),
        (NoAnswer(kind=NoAnswerKind.TOKEN, sent=False), Retry, "connection-failed"),
    ],
)
def test_each_answer_to_a_read_has_its_verdict(
    reply: Answer | NoAnswer, expected: type, code: str
) -> None:
    verdict = read_with(reply)
    assert (type(verdict), verdict.failure.code) == (expected, code)


def test_a_read_that_was_given_up_costs_no_attempt() -> None:
    assert read_with(NoAnswer(kind=NoAnswerKind.DROPPED, sent=False)) == Dropped()


def test_a_token_that_could_not_be_had_says_itself_what_it_means() -> None:
    hold = Hold(failure=Failure(code=FailureCode.NOT_ACTIVATED))
    assert read_with(NoAnswer(kind=NoAnswerKind.TOKEN, sent=False, verdict=hold)) == hold


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("17", 17), ("Tue, 10 Mar 2026 12:02:00 GMT", 120), ("soon", None), ("", None)],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert read_with(answer({}, 503, **{"retry-after": header})).retry_after == seconds


# --- access ------------------------------------------------------------------------------------

OTHER = [{"ID": 1, "Key": "00000000-0000-0000-0000-000000000000"}]


@pytest.mark.parametrize(
    ("status", "companies", "code"),
    [
        (401, None, "right-missing"),
        (403, None, "right-missing"),
        (401, answer(OTHER), "not-activated"),
        (403, answer([]), "not-activated"),
        (401, answer({}, 401), "credentials-refused"),
        (403, answer({}, 403), "right-missing"),
        (401, answer({}, 500), "credentials-refused"),
        (401, answer({"not": "a list"}), "credentials-refused"),
        (401, NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True), "credentials-refused"),
    ],
)
def test_a_refused_access_is_a_hold_and_the_list_of_companies_says_which(
    status: int, companies: Answer | NoAnswer | None, code: str
) -> None:
    books = FakeBooks()
    books.script(READ, answer({"Message": "Authorization has been denied"}, status))
    if companies is not None:
        books.script("GET init", companies)
    verdict = books.deliver(customer(), itself=KNOWN)
    assert isinstance(verdict, Hold)
    assert verdict.failure.code == code
    assert verdict.failure.failure_class == "access"
    (asked,) = books.asked("GET init")
    assert not asked.company_scoped


# --- quotations --------------------------------------------------------------------------------


def test_messages_are_found_at_any_depth_each_once_and_in_order() -> None:
    body = encode(
        {
            "Messages": [{"Message": "A"}, {"Message": "B"}],
            "Info": {"_validationResults": {"Name": [{"Message": "C"}, {"Message": "A"}]}},
        }
    )
    assert messages(body) == ["A", "B", "C"]


def test_a_quotation_is_cut_and_holds_no_token() -> None:
    said = "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln " + "x" * 2000
    verdict = read_with(answer({"Message": said}, 400))
    for quote in (verdict.failure.parameters["answer"], verdict.failure.answer):
        assert "eyJ" not in quote
        assert len(quote) <= 520


def test_a_body_without_messages_is_quoted_itself() -> None:
    assert read_with(Answer(status=400, body=b"<h1>Bad</h1>")).failure.parameters == {
        "status": "400",
        "answer": "<h1>Bad</h1>",
    }


# --- JSON --------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_any_body_is_read_or_unreadable_and_never_raises(body: bytes) -> None:
    decode(body)
    messages(body)


def test_hostile_bodies_do_not_raise() -> None:
    assert decode(b"[" * 100_000) == Unreadable()
    assert decode(b"\xff\xfe") == Unreadable()
    assert decode(b"") == Unreadable()
    assert amount({"x": decode(b"1e999999999999999999999")}, "x") is None
    assert read_with(Answer(status=500, body=b"[" * 100_000)) is not None


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**16), max_value=10**16))
def test_decimals_go_there_and_back_digit_for_digit(value: Any) -> None:
    back = row_of(decode(encode({"x": value})))
    assert back is not None
    assert amount(back, "x") == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        ("150103", 150103),
        (True, None),
        ("x", None),
        (None, None),
        (1.5, None),
        ("9" * 30, None),
    ],
)
def test_a_whole_number_may_come_as_text(value: Any, expected: int | None) -> None:
    row = row_of(decode(encode({"x": value})))
    assert row is not None
    assert integer(row, "x") == expected


def test_a_date_may_come_with_a_time() -> None:
    assert str(day({"x": "2026-03-10T00:00:00Z"}, "x")) == "2026-03-10"
    assert day({"x": "soon"}, "x") is None
    assert day({}, "x") is None
    assert text({"x": 100042}, "x") == "100042"
