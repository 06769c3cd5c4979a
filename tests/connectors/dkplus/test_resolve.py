from decimal import Decimal
from typing import Any

import pytest

from connectors.dkplus.connector import DkPlus
from connectors.port import (
    Absent,
    Applied,
    Found,
    Hold,
    Identity,
    Intent,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Retry,
    Settled,
)
from schemas.events import EntityType
from schemas.failures import Reference
from tests.connectors.dkplus.driver import (
    CUSTOMER,
    DASHED,
    HOURS,
    INTEGRATION,
    INVOICE,
    KENNITALA,
    PROJECT,
    Dk,
    changed,
    codes,
    deliver,
    drive,
    invoice_job,
    job,
    reference,
    reply,
)

HIT = {
    "Number": "10457",
    "RecordID": 90211,
    "Reference": "10457",
    "CNumber": KENNITALA,
    "TotalAmount": 199000.0,
    "TotalAmountWithTax": 246760.0,
    "Project": "2026-014",
    "SalesType": 0,
    "Lines": None,
}
LOOK_UP = "GET /sales/invoice/reference/10457"
INTENT = Intent(
    kind="invoice.book",
    key="10457",
    booking=True,
    detail={
        "customer": KENNITALA,
        "net": "199000",
        "total": "246760",
        "lines": "1",
        "project": "2026-014",
    },
)


def resolved(*records: dict[str, Any], intent: Intent = INTENT) -> Any:
    dk = Dk()
    dk.booked = list(records)
    return drive(DkPlus().resolve(invoice_job(), intent), dk)


def test_a_booking_that_is_there_is_adopted() -> None:
    verdict = resolved(HIT)
    assert isinstance(verdict, Applied)
    assert (verdict.reference.id, verdict.reference.number) == ("90211", "10457")
    assert verdict.warnings == ()


@pytest.mark.parametrize(
    "other",
    [
        {"CNumber": DASHED},
        {"TotalAmountWithTax": 246761.0},
        {"TotalAmountWithTax": 246759.0, "TotalAmount": None},
        {"SalesType": 3},
        {"Project": "2026-014", "Created": "1899-12-30T00:00:00Z"},
    ],
)
def test_what_may_differ_in_a_hit(other: dict[str, Any]) -> None:
    assert isinstance(resolved({**HIT, **other}), Applied)


@pytest.mark.parametrize(
    "other",
    [
        {"Number": ""},
        {"Number": None},
        {"CNumber": "9999999999"},
        {"CNumber": None},
        {"TotalAmountWithTax": -246760.0, "TotalAmount": -199000.0},
        {"TotalAmountWithTax": 246762.0, "TotalAmount": 199002.0},
        {"TotalAmountWithTax": 1.0, "TotalAmount": 1.0},
    ],
)
def test_what_is_not_a_hit(other: dict[str, Any]) -> None:
    assert isinstance(resolved({**HIT, **other}), Absent)


def test_a_reference_counts_to_the_letter() -> None:
    dk = Dk()
    dk.script["GET", "/sales/invoice/reference/10457"] = [
        reply(200, [{**HIT, "Reference": "010457"}])
    ]
    assert isinstance(drive(DkPlus().resolve(invoice_job(), INTENT), dk), Absent)


def test_a_reversal_that_copied_the_reference_is_not_the_invoice() -> None:
    reversal = {**HIT, "Number": "10460", "TotalAmountWithTax": -246760.0, "TotalAmount": -199000.0}
    verdict = resolved(reversal, HIT)
    assert verdict.reference.number == "10457"


def test_a_small_credit_within_the_tolerance_is_not_the_invoice() -> None:
    small = changed(
        INVOICE,
        currency_code="EUR",
        currency_rate=Decimal(1),
        lines=(changed(HOURS, unit_price=Decimal("0.04"), total_excl_vat=Decimal("0.4")),),
    )
    dk = Dk()
    intent = Intent(kind="invoice.book", key="10457", booking=True)
    dk.booked = [{**HIT, "TotalAmountWithTax": -0.45, "TotalAmount": -0.4}]
    assert drive(DkPlus().resolve(invoice_job(small), intent), dk) == Absent()
    dk.booked = [{**HIT, "TotalAmountWithTax": 0.5, "TotalAmount": 0.4}]
    assert isinstance(drive(DkPlus().resolve(invoice_job(small), intent), dk), Applied)


def test_two_hits_are_for_a_person() -> None:
    verdict = resolved(HIT, {**HIT, "Number": "10460"})
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "found-twice"
    assert verdict.failure.parameters == {"number": "10457", "hits": "10457, 10460"}


def test_the_same_invoice_listed_twice_is_one() -> None:
    assert isinstance(resolved(HIT, HIT), Applied)


def test_an_adopted_booking_tells_what_is_odd_of_it() -> None:
    verdict = resolved({**HIT, "Number": "20311", "TotalAmountWithTax": 199000.0, "Project": ""})
    assert codes(verdict.warnings) == [
        "invoice-number-differs",
        "amount-differs",
        "project-not-kept",
    ]


def test_a_hit_whose_total_is_not_told_decides_nothing() -> None:
    """Calling it absent would book the invoice twice."""
    assert isinstance(resolved({**HIT, "TotalAmountWithTax": None, "TotalAmount": None}), Retry)


def test_an_intent_without_details_is_judged_by_the_event() -> None:
    bare = Intent(kind="invoice.book", key="10457", booking=True)
    assert isinstance(resolved(HIT, intent=bare), Applied)
    assert isinstance(resolved({**HIT, "CNumber": "1"}, intent=bare), Absent)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (reply(200, []), Absent),
        (reply(404), Absent),
        (reply(404, {"Message": "none"}), Absent),
        (reply(404, b"<html>gateway</html>"), Retry),
        (reply(200, b""), Retry),
        (reply(200, b"[{"), Retry),
        (reply(200, {"Number": "1"}), Retry),
        (reply(400, {"Message": "nei"}), Retry),
        (reply(405), Retry),
        (reply(410), Retry),
        (reply(422), Retry),
        (reply(500), Retry),
        (reply(503), Retry),
        (reply(401), Hold),
        (NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True), Retry),
        (NoAnswer(kind=NoAnswerKind.DROPPED, sent=False), Retry),
    ],
)
def test_only_a_whole_answer_says_none(answer: Any, verdict: type) -> None:
    dk = Dk()
    dk.script["GET", "/sales/invoice/reference/10457"] = [answer]
    assert isinstance(drive(DkPlus().resolve(invoice_job(), INTENT), dk), verdict)


def test_where_the_ledger_is_broken_the_booking_is_looked_for_first() -> None:
    dk = Dk()
    dk.booked = [HIT]
    verdict = deliver(invoice_job(look_up_first=True), dk)
    assert isinstance(verdict, Applied)
    assert dk.calls == [LOOK_UP]
    fresh = Dk()
    assert isinstance(deliver(invoice_job(look_up_first=True), fresh), Applied)
    assert fresh.calls[0] == LOOK_UP
    assert fresh.calls[-1] == "POST /sales/invoice"
    doubled = Dk()
    doubled.booked = [HIT, {**HIT, "Number": "10460"}]
    assert isinstance(deliver(invoice_job(look_up_first=True), doubled), Refused)


@pytest.mark.parametrize("status", [400, 405, 422])
@pytest.mark.parametrize(
    ("kind", "key", "path"),
    [
        ("invoice.book", "10457", "/sales/invoice/reference/10457"),
        ("customer.create", KENNITALA, f"/customer/{KENNITALA}"),
        ("project.create", "2026-014", "/project/2026-014"),
        ("product.create", "ráðgjöf", "/product/ráðgjöf"),
    ],
)
def test_a_look_up_that_dk_refuses_ends_no_uncertain_write(
    kind: str, key: str, path: str, status: int
) -> None:
    """A person would be told that it is not in the books, and it may be."""
    dk = Dk()
    dk.script["GET", path] = [reply(status, {"Message": "nei"})]
    asked = job(PROJECT) if kind == "project.create" else invoice_job()
    verdict = drive(DkPlus().resolve(asked, Intent(kind=kind, key=key)), dk)
    assert isinstance(verdict, Retry)
    assert verdict.failure.code == "refused-by-system"


@pytest.mark.parametrize("status", [400, 405, 500])
def test_a_look_up_before_posting_that_fails_posts_nothing(status: int) -> None:
    dk = Dk()
    dk.script["GET", "/sales/invoice/reference/10457"] = [reply(status)]
    assert isinstance(deliver(invoice_job(look_up_first=True), dk), Retry)
    assert dk.intents == []


KNOWN = Reference(id="90211", number="20311")


@pytest.mark.parametrize(
    "other",
    [
        {"RecordID": 90211, "Number": "10457"},
        {"RecordID": None, "Number": "20311"},
        {"RecordID": 7, "Number": "20311"},
    ],
)
def test_what_the_ledger_knows_as_booked_is_a_hit_whatever_its_total(other: dict[str, Any]) -> None:
    """It was booked with the warning that its amount differs (contract dkplus A11.6)."""
    dk = Dk()
    dk.booked = [{**HIT, "TotalAmountWithTax": 300000.0, "TotalAmount": 250000.0, **other}]
    verdict = drive(DkPlus().resolve(invoice_job(itself=KNOWN), INTENT), dk)
    assert isinstance(verdict, Applied)
    assert "amount-differs" in codes(verdict.warnings)
    assert drive(DkPlus().resolve(invoice_job(), INTENT), dk) == Absent()


def test_what_the_ledger_knows_as_booked_is_read_and_never_posted() -> None:
    dk = Dk()
    dk.booked = [
        HIT,
        {**HIT, "Number": "20311", "RecordID": 90300, "TotalAmountWithTax": 300000.0},
    ]
    known = Reference(id="90300", number="20311")
    verdict = deliver(invoice_job(itself=known, applied=b"{}", look_up_first=True), dk)
    assert isinstance(verdict, Applied)
    assert verdict.reference == known
    assert codes(verdict.warnings) == ["invoice-number-differs", "amount-differs"]
    assert dk.calls == [LOOK_UP]


@pytest.mark.parametrize("look_up_first", [True, False])
def test_a_booking_that_is_gone_is_not_booked_again(look_up_first: bool) -> None:
    """`verify` tells that it is missing; the accountant may have taken it out."""
    dk = Dk()
    dk.booked = [{**HIT, "Number": "20400", "RecordID": 90400}]
    verdict = deliver(invoice_job(itself=KNOWN, applied=b"{}", look_up_first=look_up_first), dk)
    assert verdict == Applied(reference=KNOWN)
    assert dk.intents == []


@pytest.mark.parametrize(
    ("answer", "verdict"), [(reply(400), Retry), (reply(500), Retry), (reply(401), Hold)]
)
def test_a_known_booking_that_cannot_be_read_is_asked_for_again(answer: Any, verdict: type) -> None:
    dk = Dk()
    dk.script["GET", "/sales/invoice/reference/10457"] = [answer]
    assert isinstance(deliver(invoice_job(itself=KNOWN, applied=b"{}"), dk), verdict)
    assert dk.intents == []


@pytest.mark.parametrize("number", [KENNITALA, DASHED])
def test_an_uncertain_customer_is_settled_under_the_number_it_has(number: str) -> None:
    dk = Dk()
    dk.customers = {number: {"Number": number}}
    intent = Intent(kind="customer.create", key=KENNITALA)
    verdict = drive(DkPlus().resolve(job(CUSTOMER), intent), dk)
    assert verdict == Settled(reference=reference(number))
    dk.customers.clear()
    assert drive(DkPlus().resolve(job(CUSTOMER), intent), dk) == Absent()


def test_an_uncertain_update_is_simply_sent_again() -> None:
    intent = Intent(kind="customer.update", key=KENNITALA, repeatable=True)
    assert drive(DkPlus().resolve(job(CUSTOMER), intent), Dk()) == Absent()


# --- find, identify --------------------------------------------------------------------------


def found(entity_type: EntityType, number: str, dk: Dk) -> Any:
    return drive(DkPlus().find(entity_type, number, INTEGRATION), dk)


def test_parents_are_found_by_their_number() -> None:
    dk = Dk()
    dk.booked = [HIT]
    assert found(EntityType.CUSTOMER, KENNITALA, dk) == Found(reference=reference(KENNITALA))
    assert found(EntityType.PROJECT, "2026-014", dk) == Found(reference=reference("2026-014"))
    assert found(EntityType.INVOICE, "10457", dk).reference.number == "10457"
    for entity_type in EntityType:
        assert found(entity_type, "4711", dk) == Absent()


def test_a_twin_is_found_and_told() -> None:
    dk = Dk()
    twin = found(EntityType.CUSTOMER, DASHED, dk)
    assert twin.reference == reference(KENNITALA)
    assert codes(twin.warnings) == ["customer-twin"]


@pytest.mark.parametrize(
    ("entity_type", "path"),
    [
        (EntityType.CUSTOMER, f"/customer/{KENNITALA}"),
        (EntityType.PROJECT, f"/project/{KENNITALA}"),
        (EntityType.INVOICE, f"/sales/invoice/reference/{KENNITALA}"),
    ],
)
@pytest.mark.parametrize(
    "answer", [reply(400), reply(405), reply(500), reply(404, b"<html>"), reply(200, b"<html>")]
)
def test_a_question_that_fails_finds_nothing_out(
    entity_type: EntityType, path: str, answer: Any
) -> None:
    dk = Dk()
    dk.script["GET", path] = [answer]
    assert isinstance(found(entity_type, KENNITALA, dk), Retry)


def identity(company: dict[str, Any], **integration: str) -> Any:
    dk = Dk()
    dk.company = company
    return drive(DkPlus().identify(changed(INTEGRATION, **integration)), dk)


def test_books_are_known_by_installation_number_and_kennitala_and_not_by_name() -> None:
    company = {"Owner": "Vik", "Company": {"Number": "DEV", "SSNumber": KENNITALA, "Name": "A"}}
    ours = identity({"Information": company})
    renamed = {**company, "Company": {**company["Company"], "Name": "B"}}  # type: ignore[dict-item]  # the answer is JSON
    assert isinstance(ours, Identity)
    assert identity({"Information": renamed, "Project": {"Enabled": False}}) == ours
    assert identity({"Information": {**company, "Owner": "Other"}}) != ours
    assert identity({"Information": {**company, "Company": {"Number": "DEV2"}}}) != ours
    assert identity({"Information": company}, base_url="https://other.example/api/v1") != ours


def test_books_that_say_nothing_of_themselves_stand_for_their_integration() -> None:
    assert identity({}, id="a") == identity({}, id="a")
    assert identity({}, id="a") != identity({}, id="b")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(reply(401), Hold), (reply(500), Retry), (reply(404), Retry), (reply(400), Retry)],
)
def test_whose_books_they_are_is_asked_again(answer: Any, verdict: type) -> None:
    dk = Dk()
    dk.script["GET", "/company"] = [answer]
    assert isinstance(drive(DkPlus().identify(INTEGRATION), dk), verdict)


def test_the_content_of_an_invoice_holds_no_secret_and_no_set_up() -> None:
    content = DkPlus().content(INVOICE, INTEGRATION)
    assert b"web" not in content
