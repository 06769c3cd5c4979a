from typing import Any

import pytest

from connectors.dkplus.connector import DkPlus
from connectors.port import (
    Applied,
    Dropped,
    Hold,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Retry,
    Unsure,
)
from schemas.events import Address, Customer, CustomerStatus
from schemas.failures import Failure, FailureCode
from tests.connectors.dkplus.driver import (
    CUSTOMER,
    DASHED,
    INTEGRATION,
    KENNITALA,
    Dk,
    changed,
    codes,
    deliver,
    job,
    reference,
    reply,
)

FULL = {
    "Name": "Ærslabelgur ehf.",
    "Blocked": False,
    "SSNumber": KENNITALA,
    "Phone": "5550000",
    "Address1": "Þórsgata 1",
    "Address3": "Reykjavík",
    "ZipCode": "101",
    "City": "Reykjavík",
    "CountryCode": "IS",
}


def content(customer: Customer) -> bytes:
    return DkPlus().content(customer, INTEGRATION)


def empty_dk() -> Dk:
    dk = Dk()
    dk.customers.clear()
    return dk


def test_a_known_customer_takes_one_put_of_what_moment_owns() -> None:
    dk = Dk()
    verdict = deliver(job(CUSTOMER, itself=reference(KENNITALA), applied=content(CUSTOMER)), dk)
    assert verdict == Applied(reference=reference(KENNITALA))
    assert dk.requests[0].body is not None
    assert dk.sent("PUT") == [(f"/customer/{KENNITALA}", FULL)]
    assert dk.calls == [f"PUT /customer/{KENNITALA}"]
    assert dk.intents[0].repeatable
    assert not dk.intents[0].booking


def test_a_new_customer_is_looked_for_before_it_is_posted() -> None:
    dk = empty_dk()
    verdict = deliver(job(CUSTOMER), dk)
    assert verdict == Applied(reference=reference(KENNITALA))
    assert dk.sent("POST") == [("/customer", {"Number": KENNITALA, **FULL})]
    assert dk.calls == [
        f"GET /customer/{KENNITALA}",
        f"GET /customer/{DASHED}",
        f"GET /customer/search/{KENNITALA}/10",
        "POST /customer",
    ]
    assert not dk.intents[0].repeatable


def test_a_customer_that_the_ledger_does_not_know_but_the_books_have_is_updated() -> None:
    dk = Dk()
    assert isinstance(deliver(job(CUSTOMER), dk), Applied)
    assert dk.calls == [f"GET /customer/{KENNITALA}", f"PUT /customer/{KENNITALA}"]


def test_a_known_customer_that_is_gone_is_looked_for_and_created_again() -> None:
    dk = empty_dk()
    verdict = deliver(job(CUSTOMER, itself=reference(KENNITALA)), dk)
    assert isinstance(verdict, Applied)
    assert dk.calls[0] == f"PUT /customer/{KENNITALA}"
    assert dk.calls[-1] == "POST /customer"


def test_what_was_written_before_and_is_empty_now_is_cleared_and_nothing_else() -> None:
    dk = Dk()
    before = changed(CUSTOMER, address=Address(line1="Þórsgata 1", city="Vík"))
    after = changed(CUSTOMER, phone=None, address=None, organisation_number=None)
    deliver(job(after, itself=reference(KENNITALA), applied=content(before)), dk)
    body = dk.sent("PUT")[0][1]
    assert body == {
        "Name": CUSTOMER.name,
        "Blocked": False,
        "SSNumber": "",
        "Phone": "",
        "Address1": "",
        "Address3": "",
        "City": "",
        "CountryCode": "IS",
    }


@pytest.mark.parametrize("applied", [None, b"not json", b'{"mapping":1}'])
def test_nothing_is_cleared_where_nothing_is_known_to_have_been_written(
    applied: bytes | None,
) -> None:
    dk = Dk()
    bare = changed(CUSTOMER, phone=None, address=None)
    deliver(job(bare, itself=reference(KENNITALA), applied=applied), dk)
    assert "" not in dk.sent("PUT")[0][1].values()
    assert None not in dk.sent("PUT")[0][1].values()


@pytest.mark.parametrize(
    ("status", "blocked"),
    [
        (CustomerStatus.ACTIVE, False),
        (CustomerStatus.POTENTIAL, False),
        (CustomerStatus.INACTIVE, False),
        (CustomerStatus.BLOCKED, True),
    ],
)
def test_only_a_blocked_customer_is_blocked(status: CustomerStatus, blocked: bool) -> None:
    dk = Dk()
    deliver(job(changed(CUSTOMER, status=status), itself=reference(KENNITALA)), dk)
    assert dk.sent("PUT")[0][1]["Blocked"] is blocked


def test_the_country_of_the_address_wins() -> None:
    dk = Dk()
    abroad = changed(CUSTOMER, address=Address(country_code="no"), country_code="IS")
    deliver(job(abroad, itself=reference(KENNITALA)), dk)
    assert dk.sent("PUT")[0][1]["CountryCode"] == "NO"


@pytest.mark.parametrize(
    ("number", "country", "written", "warned"),
    [
        ("7112992030", "IS", "7112992030", []),
        ("711299-2030", None, "7112992030", []),
        ("3112992050", "IS", "3112992050", ["kennitala-check-digit"]),
        ("3112992050", None, "3112992050", ["kennitala-check-digit"]),
        ("3112992050", "SE", "3112992050", []),
        ("912345678", "NO", None, []),
        ("71129920", "IS", None, []),
        (None, "IS", None, []),
    ],
)
def test_a_kennitala_never_stops_a_customer(
    number: str | None, country: str | None, written: str | None, warned: list[str]
) -> None:
    dk = Dk()
    customer = changed(CUSTOMER, organisation_number=number, country_code=country)
    verdict = deliver(job(customer, itself=reference(KENNITALA)), dk)
    assert isinstance(verdict, Applied)
    assert dk.sent("PUT")[0][1].get("SSNumber") == written
    assert codes(verdict.warnings) == warned


@pytest.mark.parametrize(("ours", "theirs"), [(KENNITALA, DASHED), (DASHED, KENNITALA)])
def test_the_same_ten_digits_written_otherwise_are_used_and_told(ours: str, theirs: str) -> None:
    dk = empty_dk()
    dk.customers[theirs] = {"Number": theirs}
    verdict = deliver(job(changed(CUSTOMER, number=ours)), dk)
    assert verdict.reference == reference(theirs)
    assert codes(verdict.warnings) == ["customer-twin"]
    assert dk.sent("POST") == []
    assert dk.sent("PUT")[0][0] == f"/customer/{theirs}"


def test_a_twin_that_only_a_search_finds_is_used_too() -> None:
    dk = empty_dk()
    dk.customers["711299 2030"] = {"Number": "711299 2030", "SSNumber": KENNITALA}
    verdict = deliver(job(CUSTOMER), dk)
    assert verdict.reference == reference("711299 2030")
    assert dk.sent("POST") == []


@pytest.mark.parametrize(
    "other",
    [
        {"Number": "100", "SSNumber": KENNITALA},
        {"Number": "100", "SSNumber": "711299-2030", "Alias": KENNITALA},
        {"Number": KENNITALA},
        {"Number": DASHED},
    ],
)
def test_another_number_with_the_same_kennitala_is_told_and_the_customer_created(
    other: dict[str, Any],
) -> None:
    dk = empty_dk()
    dk.customers[other["Number"]] = other
    verdict = deliver(job(changed(CUSTOMER, number="4711")), dk)
    assert isinstance(verdict, Applied)
    assert verdict.reference == reference("4711")
    assert codes(verdict.warnings) == ["customer-twin"]
    assert verdict.warnings[0].parameters == {"number": "4711", "twin": other["Number"]}


def test_a_customer_who_only_mentions_the_kennitala_is_no_twin() -> None:
    dk = empty_dk()
    dk.customers["100"] = {"Number": "100", "SSNumber": "3112992040", "Alias": KENNITALA}
    verdict = deliver(job(changed(CUSTOMER, number="4711")), dk)
    assert verdict == Applied(reference=reference("4711"))


@pytest.mark.parametrize("answer", [reply(400), reply(404), reply(405), reply(200, b"<html>")])
def test_a_search_that_dk_does_not_offer_stops_nothing(answer: Any) -> None:
    dk = empty_dk()
    dk.script["GET", f"/customer/search/{KENNITALA}/10"] = [answer]
    assert isinstance(deliver(job(CUSTOMER), dk), Applied)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_after_a_refused_create_the_books_are_asked_and_never_the_text(status: int) -> None:
    """Somebody else may have been quicker; the code for that is not documented."""
    dk = empty_dk()
    dk.script["GET", f"/customer/{KENNITALA}"] = [reply(404)]
    dk.script["POST", "/customer"] = [reply(status, {"Message": "eitthvað"})]
    dk.customers[KENNITALA] = {"Number": KENNITALA}
    assert isinstance(deliver(job(changed(CUSTOMER, organisation_number=None)), dk), Applied)
    assert dk.calls[-2:] == [f"GET /customer/{KENNITALA}", f"PUT /customer/{KENNITALA}"]


@pytest.mark.parametrize("status", [400, 405, 500])
def test_a_refused_create_that_cannot_be_looked_up_is_tried_again(status: int) -> None:
    """It looks again before it creates again."""
    dk = empty_dk()
    dk.script["GET", f"/customer/{KENNITALA}"] = [reply(404), reply(status)]
    dk.script["POST", "/customer"] = [reply(409)]
    event = changed(CUSTOMER, organisation_number=None)
    assert isinstance(deliver(job(event), dk), Retry)


def test_a_create_that_is_refused_for_good_quotes_the_answer_without_secrets() -> None:
    dk = empty_dk()
    token = "3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11"
    message = f"Bearer abc.def {token} " + "x" * 600
    dk.script["POST", "/customer"] = [reply(400, {"Message": message})]
    verdict = deliver(job(CUSTOMER), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code is FailureCode.REFUSED_BY_SYSTEM
    assert set(verdict.failure.parameters) == {"status", "answer"}
    assert token not in str(verdict.failure)
    assert "abc.def" not in str(verdict.failure)
    assert len(verdict.failure.parameters["answer"]) == 500
    assert len(verdict.failure.answer or "") <= 500


UNSENT = NoAnswer(kind=NoAnswerKind.REFUSED, sent=False, reason="refused")
BROKEN = NoAnswer(kind=NoAnswerKind.BROKEN, sent=True)
GIVEN_UP = NoAnswer(kind=NoAnswerKind.DROPPED, sent=False)
NO_TOKEN = NoAnswer(
    kind=NoAnswerKind.TOKEN,
    sent=False,
    verdict=Hold(failure=Failure(code=FailureCode.CREDENTIALS_REFUSED)),
)


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        (reply(401), Hold, "credentials-refused"),
        (reply(403), Hold, "right-missing"),
        (reply(429), Retry, "too-many-requests"),
        (reply(404, b"<html>"), Retry, "system-unavailable"),
        (reply(408), Unsure, "write-uncertain"),
        (reply(302), Unsure, "write-uncertain"),
        (reply(500), Unsure, "write-uncertain"),
        (reply(503, b"<html>"), Unsure, "write-uncertain"),
        (reply(200, b"<html>"), Unsure, "write-uncertain"),
        (reply(200, b'{"Number": "7'), Unsure, "write-uncertain"),
        (BROKEN, Unsure, "write-uncertain"),
        (NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True), Unsure, "write-uncertain"),
        (NoAnswer(kind=NoAnswerKind.TOO_LARGE, sent=True), Unsure, "write-uncertain"),
        (UNSENT, Retry, "connection-failed"),
        (NO_TOKEN, Hold, "credentials-refused"),
        (GIVEN_UP, Dropped, ""),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_what_an_answer_to_a_write_means(
    method: str, answer: Any, verdict: type, code: str
) -> None:
    """Only a 4xx proves that nothing was done (contract dkplus A11.1)."""
    dk = Dk() if method == "PUT" else empty_dk()
    path = f"/customer/{KENNITALA}" if method == "PUT" else "/customer"
    dk.script[method, path] = [answer]
    came = deliver(job(CUSTOMER, itself=reference(KENNITALA) if method == "PUT" else None), dk)
    assert isinstance(came, verdict)
    assert getattr(getattr(came, "failure", None), "code", "") == code
    if isinstance(came, Unsure):
        assert came.intent.repeatable is (method == "PUT")
        assert came.intent == dk.intents[-1]


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        (reply(401), Hold, "credentials-refused"),
        (reply(403), Hold, "right-missing"),
        (reply(429), Retry, "too-many-requests"),
        (reply(404, b"<html>gateway</html>"), Retry, "system-unavailable"),
        (reply(502, b"<html>"), Retry, "system-unavailable"),
        (reply(301), Retry, "system-unavailable"),
        (reply(400, {"Message": "nei"}), Refused, "refused-by-system"),
        (reply(200, b""), Retry, "answer-not-understood"),
        (reply(200, b'{"Number": "71'), Retry, "answer-not-understood"),
        (reply(200, {"Number": "9999999999"}), Retry, "answer-not-understood"),
        (BROKEN, Retry, "connection-failed"),
        (UNSENT, Retry, "connection-failed"),
        (NO_TOKEN, Hold, "credentials-refused"),
        (GIVEN_UP, Dropped, ""),
    ],
)
def test_a_read_that_fails_says_nothing_of_the_books(answer: Any, verdict: type, code: str) -> None:
    dk = empty_dk()
    dk.script["GET", f"/customer/{KENNITALA}"] = [answer]
    came = deliver(job(CUSTOMER), dk)
    assert isinstance(came, verdict)
    assert getattr(getattr(came, "failure", None), "code", "") == code
    assert dk.intents == []


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "99999999"}, 86400.0),
        ({"retry-after": "Tue, 31 Mar 2026 14:02:00 GMT"}, 120.0),
        ({"retry-after": "Tue, 31 Mar 2026 13:00:00 GMT"}, 0.0),
        (
            {
                "retry-after": "Tue, 31 Mar 2026 15:00:30 GMT",
                "date": "Tue, 31 Mar 2026 15:00:00 GMT",
            },
            30.0,
        ),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_seconds_or_a_date(
    status: int, headers: dict[str, str], seconds: float | None
) -> None:
    dk = Dk()
    dk.script["GET", f"/customer/{KENNITALA}"] = [reply(status, None, **headers)]
    verdict = deliver(job(CUSTOMER), dk)
    assert isinstance(verdict, Retry)
    assert verdict.retry_after == seconds


def test_a_record_that_is_read_and_then_gone_is_tried_again_later() -> None:
    dk = empty_dk()
    dk.script["GET", f"/customer/{KENNITALA}"] = [reply(200, {"Number": KENNITALA})]
    assert isinstance(deliver(job(CUSTOMER), dk), Retry)


def test_a_number_travels_as_one_encoded_segment() -> None:
    dk = Dk()
    deliver(job(changed(CUSTOMER, number="a/b ð?"), itself=reference("a/b ð?")), dk)
    assert dk.requests[0].path == "/customer/a%2Fb%20%C3%B0%3F"
    dots = Dk()
    deliver(job(CUSTOMER, itself=reference("..")), dots)
    assert dots.requests[0].path == "/customer/%2E%2E"


def test_what_dk_does_not_carry_of_a_customer_changes_no_content() -> None:
    same = changed(CUSTOMER, email=None, website="x", fax="1", currency_code="EUR")
    assert content(same) == content(CUSTOMER)
    assert content(changed(CUSTOMER, phone="1")) != content(CUSTOMER)
    assert b'"mapping":1' in content(CUSTOMER)
