"""What DK+ answers to an invoice, and how a refusal is explained by reading."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.dkplus.wire import ProjectRecord
from connectors.port import (
    Applied,
    GateClosed,
    Hold,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Retry,
    Unsure,
)
from schemas.events import EntityType
from schemas.failures import Reference
from tests.connectors.dkplus.driver import (
    INVOICE,
    KENNITALA,
    Dk,
    changed,
    codes,
    deliver,
    invoice_job,
    reply,
)
from tests.connectors.dkplus.invoices import WITHOUT_CUSTOMERS

# --- the answer ------------------------------------------------------------------------------


def test_what_a_person_should_know_of_a_booked_invoice_is_told() -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [
        reply(
            200,
            {"Number": "20311", "RecordID": 7, "TotalAmountWithTax": 246762.0, "Project": None},
        )
    ]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Applied)
    assert codes(verdict.warnings) == [
        "invoice-number-differs",
        "amount-differs",
        "project-not-kept",
    ]
    assert verdict.warnings[0].parameters == {"moment": "10457", "books": "20311"}
    assert verdict.warnings[1].parameters == {"moment": "246760", "books": "246762"}


@pytest.mark.parametrize(
    ("currency", "rate", "books", "warned"),
    [
        ("ISK", None, "246761.0", []),
        ("ISK", None, "246759", []),
        ("ISK", None, "246761.01", ["amount-differs"]),
        ("EUR", "150", "246760.01", []),
        ("EUR", "150", "246760.02", ["amount-differs"]),
        ("EUR", "150", "37014000", []),
    ],
)
def test_a_total_that_is_not_moments_is_told(
    currency: str, rate: str | None, books: str, warned: list[str]
) -> None:
    dk = Dk()
    head = f'{{"Number":"10457","TotalAmountWithTax":{books},"Project":"2026-014"}}'
    dk.script["POST", "/sales/invoice"] = [reply(200, head.encode())]
    invoice = changed(
        INVOICE, currency_code=currency, currency_rate=Decimal(rate) if rate else None
    )
    assert codes(deliver(invoice_job(invoice), dk).warnings) == warned


@pytest.mark.parametrize(
    "answer",
    [
        reply(200),
        reply(200, b"<html>"),
        reply(200, b'{"Number": "203'),
        reply(200, {"RecordID": 7, "Number": ""}),
        reply(200, {"RecordID": 7, "Number": None}),
        reply(200, []),
        reply(302),
        reply(408),
        reply(500, {"Message": "dk"}),
        reply(503),
        NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True),
        NoAnswer(kind=NoAnswerKind.BROKEN, sent=True),
    ],
)
def test_an_answer_that_does_not_prove_anything_leaves_the_booking_uncertain(answer: Any) -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [answer]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Unsure)
    assert verdict.intent == dk.intents[-1]
    assert dk.calls.count("POST /sales/invoice") == 1


@pytest.mark.parametrize(
    ("answer", "verdict", "code"),
    [
        (reply(401), Hold, "credentials-refused"),
        (reply(403), Hold, "right-missing"),
        (reply(429, None, **{"retry-after": "7"}), Retry, "too-many-requests"),
        (reply(404, b"<html>"), Retry, "system-unavailable"),
        (NoAnswer(kind=NoAnswerKind.REFUSED, sent=False), Retry, "connection-failed"),
    ],
)
def test_an_answer_that_proves_that_nothing_was_booked(
    answer: Any, verdict: Any, code: str
) -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [answer]
    came: Any = deliver(invoice_job(), dk)
    assert isinstance(came, verdict)
    assert came.failure.code == code


# --- refused by DK+: explained by reading ----------------------------------------------------

MESSAGES = ["Sölumaður er ekki til", "Value cannot be null. Parameter name: user", "nei"]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_refusal_for_a_sales_person_who_is_gone_holds(message: str) -> None:
    dk = Dk()
    cache = {"sales-person:web": "web"}
    dk.persons = []
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": message})]
    verdict = deliver(invoice_job(), dk, cache)
    assert isinstance(verdict, Hold)
    assert verdict.failure.code == "sales-person-unknown"
    assert cache.get("sales-person:web") is None


@pytest.mark.parametrize("message", MESSAGES)
def test_a_refusal_for_a_customer_who_is_gone_closes_the_gate(message: str) -> None:
    dk = Dk()
    dk.customers.clear()
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": message})]
    assert deliver(invoice_job(), dk) == GateClosed(
        parent_type=EntityType.CUSTOMER, parent_number=KENNITALA
    )


def test_a_refusal_for_a_project_that_is_gone_closes_its_gate() -> None:
    dk = Dk()
    dk.projects.clear()
    dk.script["POST", "/sales/invoice"] = [reply(400)]
    assert deliver(invoice_job(), dk) == GateClosed(
        parent_type=EntityType.PROJECT, parent_number="2026-014"
    )


def test_a_refusal_for_a_project_that_is_gone_leaves_it_out_where_projects_are_off() -> None:
    dk = Dk()
    dk.projects.clear()
    dk.script["POST", "/sales/invoice"] = [reply(400)]
    cache: dict[str, Any] = {"project:2026-014": ProjectRecord()}
    verdict = deliver(invoice_job(integration=WITHOUT_CUSTOMERS, project=None), dk, cache)
    assert isinstance(verdict, Applied)
    assert "Project" not in dk.sent("POST")[-1][1]


def test_a_refusal_for_a_product_that_is_gone_creates_it_and_posts_once_more() -> None:
    dk = Dk()
    cache: dict[str, Any] = {}
    deliver(invoice_job(), dk, cache)
    gone = Dk()
    gone.products.clear()
    gone.script["POST", "/sales/invoice"] = [
        reply(400, {"Message": "Product ItemCode not defined"})
    ]
    verdict = deliver(invoice_job(), gone, cache)
    assert isinstance(verdict, Applied)
    assert [path for path, _ in gone.sent("POST")] == [
        "/sales/invoice",
        "/product",
        "/sales/invoice",
    ]


def test_a_refusal_on_a_blocked_customer_is_that() -> None:
    dk = Dk()
    dk.customers[KENNITALA]["Blocked"] = True
    assert isinstance(deliver(invoice_job(), dk), Applied)
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": "lokað"})]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "customer-blocked"
    assert verdict.failure.failure_class == "set-up"


def test_a_refusal_that_no_read_explains_is_quoted() -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": "Tímabil er lokað"})]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "refused-by-system"
    assert verdict.failure.parameters == {"status": "400", "answer": "Tímabil er lokað"}
    assert dk.calls.count("POST /sales/invoice") == 1


def test_a_refusal_whose_reading_fails_is_tried_again() -> None:
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [reply(400)]
    dk.script["GET", f"/customer/{KENNITALA}"] = [reply(500)]
    assert isinstance(deliver(invoice_job(), dk), Retry)


# --- a refused repeat: the earlier post may be why ------------------------------------------------

REPEATS = [{"post": 1}, {"look_up_first": True}]
LOOK_UP = ("GET", "/sales/invoice/reference/10457")
BOOKED = {
    "Number": "20311",
    "RecordID": 7,
    "Reference": "10457",
    "CNumber": KENNITALA,
    "TotalAmountWithTax": 246760.0,
    "Project": "2026-014",
}


def refusing(known: dict[str, Any], *look_ups: Any) -> Dk:
    """A DK+ that refuses one post; a job that looks up first is told once that there is none."""
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [reply(400, {"Message": "nei"})]
    first = [reply(200, [])] if known.get("look_up_first") else []
    dk.script[LOOK_UP] = [*first, *look_ups]
    return dk


@pytest.mark.parametrize("known", REPEATS)
def test_a_refused_repeat_of_what_is_booked_is_applied(known: dict[str, Any]) -> None:
    dk = refusing(known, reply(200, [BOOKED]))
    dk.customers[KENNITALA]["Blocked"] = True
    verdict = deliver(invoice_job(**known), dk)
    assert isinstance(verdict, Applied)
    assert verdict.reference == Reference(id="7", number="20311")
    assert codes(verdict.warnings) == ["invoice-number-differs"]


@pytest.mark.parametrize("known", REPEATS)
@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (reply(500), None),
        (reply(400), None),
        (reply(401), None),
        (reply(200, b"<html>"), None),
        (reply(503, None, **{"retry-after": "7"}), 7.0),
        (NoAnswer(kind=NoAnswerKind.DROPPED, sent=False), None),
    ],
)
def test_a_refused_repeat_that_cannot_be_looked_up_stays_uncertain(
    known: dict[str, Any], answer: Any, wait: float | None
) -> None:
    dk = refusing(known, answer)
    verdict = deliver(invoice_job(**known), dk)
    assert isinstance(verdict, Unsure)
    assert verdict.intent == dk.intents[-1]
    assert verdict.retry_after == wait
    assert dk.calls.count("POST /sales/invoice") == 1


@pytest.mark.parametrize("known", REPEATS)
def test_a_refused_repeat_that_is_there_twice_is_for_a_person(known: dict[str, Any]) -> None:
    dk = refusing(known, reply(200, [BOOKED, {**BOOKED, "Number": "20312"}]))
    assert deliver(invoice_job(**known), dk).failure.code == "found-twice"


@pytest.mark.parametrize("known", REPEATS)
def test_a_refused_repeat_that_is_not_there_is_explained(known: dict[str, Any]) -> None:
    dk = refusing(known, reply(200, []))
    dk.customers[KENNITALA]["Blocked"] = True
    assert deliver(invoice_job(**known), dk).failure.code == "customer-blocked"


def test_a_first_refusal_is_explained_without_a_look_up() -> None:
    """Only a 4xx to a first attempt proves that nothing was done (contract dkplus A11.1)."""
    dk = refusing({})
    assert isinstance(deliver(invoice_job(), dk), Refused)
    assert "GET /sales/invoice/reference/10457" not in dk.calls


# --- Retry-After of a write that may have happened ----------------------------------------------


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120.0), ("Tue, 31 Mar 2026 14:02:00 GMT", 120.0), ("99999999", 86400.0)],
)
def test_retry_after_of_an_uncertain_write_is_handed_on(
    status: int, said: str, seconds: float
) -> None:
    """It holds for the whole integration (contract dkplus A11.11)."""
    dk = Dk()
    dk.script["POST", "/sales/invoice"] = [reply(status, None, **{"retry-after": said})]
    verdict = deliver(invoice_job(), dk)
    assert isinstance(verdict, Unsure)
    assert verdict.retry_after == seconds


# --- a booking of which a question has found no more than its number ------------------------------

KNOWN = Reference(id="7", number="20311")


def test_a_booking_that_a_question_found_is_adopted_where_it_is_alike() -> None:
    dk = Dk()
    dk.script[LOOK_UP] = [reply(200, [BOOKED])]
    verdict = deliver(invoice_job(itself=KNOWN, look_up_first=True), dk)
    assert isinstance(verdict, Applied)
    assert verdict.reference == KNOWN
    assert dk.intents == []


def test_a_booking_that_a_question_found_and_that_is_not_alike_is_told_and_never_repeated() -> None:
    dk = Dk()
    dk.script[LOOK_UP] = [reply(200, [{**BOOKED, "TotalAmountWithTax": 17.0}])]
    verdict = deliver(invoice_job(itself=KNOWN, look_up_first=True), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "invoice-differs-from-booked"
    assert verdict.failure.parameters == {"number": "10457", "booked": "20311"}
    assert dk.intents == []
