from typing import Any

import pytest

from connectors.dkplus.connector import DkPlus
from connectors.port import Absent, Applied, GateClosed, Intent, Manual, Refused, Retry, Unsure
from schemas.events import EntityType, ProjectState
from schemas.failures import Change, FailureCode
from tests.connectors.dkplus.driver import (
    CUSTOMER,
    DASHED,
    INTEGRATION,
    KENNITALA,
    PROJECT,
    Dk,
    changed,
    deliver,
    drive,
    job,
    reference,
    reply,
)

RECORD = {"Number": "2026-014", "Name": "Brúarhönnun", "CustomerToBill": KENNITALA}
GET = "GET /project/2026-014"


def dk_with(record: dict[str, Any] | None) -> Dk:
    dk = Dk()
    dk.projects = {} if record is None else {"2026-014": record}
    return dk


def test_a_project_is_looked_for_and_then_created() -> None:
    dk = dk_with(None)
    assert deliver(job(PROJECT), dk) == Applied(reference=reference("2026-014"))
    assert dk.calls == [GET, "POST /project"]
    assert dk.sent("POST") == [("/project", RECORD)]


def test_it_is_billed_to_the_customer_as_the_books_number_it() -> None:
    dk = dk_with(None)
    deliver(job(PROJECT, customer=reference(DASHED)), dk)
    assert dk.sent("POST")[0][1]["CustomerToBill"] == DASHED


@pytest.mark.parametrize(
    "record",
    [RECORD, {"Number": "2026-014"}, {**RECORD, "CustomerToBill": DASHED}],
)
def test_a_project_that_is_there_as_asked_needs_nothing(record: dict[str, Any]) -> None:
    dk = dk_with(record)
    assert deliver(job(PROJECT), dk) == Applied(reference=reference("2026-014"))
    assert dk.calls == [GET]


def test_what_differs_is_told_in_moments_names_for_a_person_to_change() -> None:
    dk = dk_with({"Number": "2026-014", "Name": "Brú", "CustomerToBill": None})
    verdict = deliver(job(PROJECT, itself=reference("2026-014")), dk)
    assert verdict == Manual(
        changes=(
            Change(field="name", from_="Brú", to="Brúarhönnun"),
            Change(field="customerNumber", from_="", to=KENNITALA),
        ),
        reference=reference("2026-014"),
    )
    assert dk.calls == [GET]


@pytest.mark.parametrize("status", [400, 409])
def test_a_refused_create_asks_the_books_again(status: int) -> None:
    dk = dk_with(RECORD)
    dk.script["GET", "/project/2026-014"] = [reply(404)]
    dk.script["POST", "/project"] = [reply(status, {"Message": "til"})]
    assert isinstance(deliver(job(PROJECT), dk), Applied)


@pytest.mark.parametrize("status", [400, 405, 500])
def test_a_refused_create_that_cannot_be_looked_up_is_tried_again(status: int) -> None:
    dk = dk_with(None)
    dk.script["GET", "/project/2026-014"] = [reply(404), reply(status)]
    dk.script["POST", "/project"] = [reply(409)]
    assert isinstance(deliver(job(PROJECT), dk), Retry)


def test_a_refused_create_without_a_customer_closes_the_gate() -> None:
    dk = dk_with(None)
    dk.customers.clear()
    dk.script["POST", "/project"] = [reply(400)]
    assert deliver(job(PROJECT), dk) == GateClosed(
        parent_type=EntityType.CUSTOMER, parent_number=KENNITALA
    )


def test_a_refused_create_that_nothing_explains_is_refused() -> None:
    dk = dk_with(None)
    dk.script["POST", "/project"] = [reply(400, {"Message": "nei"})]
    verdict = deliver(job(PROJECT), dk)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code is FailureCode.REFUSED_BY_SYSTEM


@pytest.mark.parametrize(
    "answer", [reply(500), reply(200), reply(200, {"Number": "other"}), reply(200, b"{")]
)
def test_an_answer_that_does_not_show_the_project_leaves_it_uncertain(answer: Any) -> None:
    dk = dk_with(None)
    dk.script["POST", "/project"] = [answer]
    assert isinstance(deliver(job(PROJECT), dk), Unsure)


@pytest.mark.parametrize(
    ("record", "verdict"),
    [(RECORD, Applied), ({**RECORD, "Name": "x"}, Manual), (None, Absent)],
)
def test_an_uncertain_create_is_resolved_by_its_number(
    record: dict[str, Any] | None, verdict: type
) -> None:
    intent = Intent(kind="project.create", key="2026-014")
    assert isinstance(drive(DkPlus().resolve(job(PROJECT), intent), dk_with(record)), verdict)


def test_a_look_up_that_fails_proves_nothing() -> None:
    dk = dk_with(None)
    dk.script["GET", "/project/2026-014"] = [reply(404, b"<html>")]
    intent = Intent(kind="project.create", key="2026-014")
    assert isinstance(drive(DkPlus().resolve(job(PROJECT), intent), dk), Retry)


def test_what_dk_does_not_carry_of_a_project_changes_no_content() -> None:
    content = DkPlus().content
    closed = changed(PROJECT, state=ProjectState.COMPLETED)
    assert content(closed, INTEGRATION) == content(PROJECT, INTEGRATION)
    assert content(changed(PROJECT, name="x"), INTEGRATION) != content(PROJECT, INTEGRATION)
    assert content(CUSTOMER, INTEGRATION) != content(PROJECT, INTEGRATION)
