"""Projects: numbers as text, the customer by its id, the state by PUT and then by actions."""

from typing import Any

import pytest

from connectors.port import (
    Answer,
    Applied,
    GateClosed,
    Manual,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Request,
    Unsure,
)
from connectors.sparebank1.project_record import STATUS, way
from schemas.events import EntityType, ProjectState
from schemas.failures import Reference
from tests.connectors.sparebank1.fake_books import (
    CONNECTOR,
    INTEGRATION,
    FakeBooks,
    answer,
    body_of,
    name_of,
)
from tests.connectors.sparebank1.moment_events import project

KNOWN = Reference(id="5501", number="10023")
CUSTOMER = Reference(id="812", number="100042")


def existing(state: ProjectState = ProjectState.IN_PROGRESS) -> FakeBooks:
    """Books that hold project 10023 with everything, and a field that is not Moment's."""
    books = FakeBooks()
    books.tables["projects"][0] |= {
        "Name": "Sentrumskvartalet",
        "ProjectNumberNumeric": 10023,
        "ProjectCustomerID": 812,
        "StatusCode": STATUS[state],
        "StartDate": "2026-01-05T00:00:00Z",
        "EndDate": "2026-12-18",
        "ProjectLeadName": "Kari",
    }
    return books


def deaf_to_status(books: FakeBooks) -> None:
    """PUT and POST keep the state that the project has."""

    def decide(request: Request) -> Answer | None:
        if name_of(request) != "PUT projects":
            return None
        row = books.tables["projects"][0]
        row.update({**body_of(request), "StatusCode": row["StatusCode"]})
        return answer(row)

    books.rule(decide)


@pytest.mark.parametrize("number", ["P-10", "10 023", "", "10.5", "१२"])
def test_a_number_with_any_other_character_is_refused_without_a_call(number: str) -> None:
    books = FakeBooks()
    verdict = books.deliver(project(number=number))
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "project-number-not-numeric"
    assert verdict.failure.field == "$.number"
    assert books.sent == []


@pytest.mark.parametrize(
    ("change", "field"), [({"name": "x" * 256}, "$.name"), ({"number": "1" * 256}, "$.number")]
)
def test_what_is_too_long_is_refused_with_its_field(change: dict[str, Any], field: str) -> None:
    verdict = FakeBooks().deliver(project(**change))
    assert isinstance(verdict, Refused)
    assert (verdict.failure.code, verdict.failure.field) == ("too-long", field)


def test_a_project_is_created_with_the_customers_id_and_not_its_number() -> None:
    books = FakeBooks()
    verdict = books.deliver(project(), customer=CUSTOMER)
    assert isinstance(verdict, Applied)
    body = body_of(books.asked("POST projects")[0])
    assert body.pop("_createguid")
    assert body == {
        "Name": "Sentrumskvartalet",
        "ProjectNumber": "10024",
        "ProjectNumberNumeric": 10024,
        "ProjectCustomerID": 812,
        "StatusCode": 42203,
        "StartDate": "2026-01-05",
        "EndDate": "2026-12-18",
    }


def test_a_number_beyond_int32_stays_text_alone() -> None:
    books = FakeBooks()
    books.deliver(project(number="2147483648"), customer=CUSTOMER)
    body = body_of(books.asked("POST projects")[0])
    assert body["ProjectNumber"] == "2147483648"
    assert "ProjectNumberNumeric" not in body


def test_the_customer_is_looked_up_where_the_ledger_does_not_know_it() -> None:
    books = FakeBooks()
    assert isinstance(books.deliver(project()), Applied)
    assert body_of(books.asked("POST projects")[0])["ProjectCustomerID"] == 812


def test_without_its_customer_the_gate_is_closed() -> None:
    books = FakeBooks()
    verdict = books.deliver(project(customer_number="100099"))
    assert verdict == GateClosed(parent_type=EntityType.CUSTOMER, parent_number="100099")
    assert books.writes == []


def test_the_text_of_the_number_is_what_is_compared() -> None:
    """A comparison that ignores zeros or case must not make 010024 the project 10024."""
    books = FakeBooks()
    books.unknown_fields = {"ProjectNumber"}
    books.tables["projects"].append({"ID": 5600, "ProjectNumber": "010024"})
    assert isinstance(books.deliver(project(), customer=CUSTOMER), Applied)
    assert books.writes == ["POST projects"]


def test_a_project_that_is_as_asked_costs_one_read() -> None:
    books = existing()
    verdict = books.deliver(project(number="10023"), itself=KNOWN, customer=CUSTOMER)
    assert isinstance(verdict, Applied)
    assert [name_of(r) for r in books.sent] == ["GET projects"]


def test_all_that_was_read_is_sent_back() -> None:
    books = existing()
    before = set(books.tables["projects"][0])
    books.deliver(project(number="10023", name="Nytt navn"), itself=KNOWN, customer=CUSTOMER)
    body = body_of(books.asked("PUT projects")[0])
    assert set(body) == before
    assert body["ProjectLeadName"] == "Kari"
    assert body["StartDate"] == "2026-01-05T00:00:00Z"


def test_a_date_that_became_empty_is_cleared_only_where_it_had_a_value() -> None:
    applied = CONNECTOR.content(project(number="10023"), INTEGRATION)
    books = existing()
    event = project(number="10023", end_date=None)
    books.deliver(event, itself=KNOWN, customer=CUSTOMER, applied=applied)
    assert body_of(books.asked("PUT projects")[0])["EndDate"] is None
    books = existing()
    books.deliver(event, itself=KNOWN, customer=CUSTOMER)
    assert books.writes == []


def test_a_state_that_a_put_does_not_take_is_reached_by_actions() -> None:
    books = existing(ProjectState.COMPLETED)
    deaf_to_status(books)
    event = project(number="10023", state=ProjectState.DISCARDED)
    assert isinstance(books.deliver(event, itself=KNOWN, customer=CUSTOMER), Applied)
    assert books.writes == [
        "PUT projects",
        "POST projects?ReactivateProject",
        "POST projects?DiscardProject",
    ]
    assert all(request.body is None for request in books.sent if dict(request.query).get("action"))


def test_an_answer_without_a_state_is_read_again_before_anything_is_moved() -> None:
    books = existing(ProjectState.REGISTERED)
    books.script("PUT projects", Answer(status=204))
    event = project(number="10023", name="Nytt navn", state=ProjectState.IN_PROGRESS)
    assert isinstance(books.deliver(event, itself=KNOWN, customer=CUSTOMER), Applied)
    assert books.writes == ["PUT projects", "POST projects?StartProject"]


def test_a_state_that_cannot_be_reached_is_for_a_person() -> None:
    books = existing(ProjectState.IN_PROGRESS)
    deaf_to_status(books)
    event = project(number="10023", state=ProjectState.OFFER)
    verdict = books.deliver(event, itself=KNOWN, customer=CUSTOMER)
    assert isinstance(verdict, Manual)
    (change,) = verdict.changes
    assert (change.field, change.from_, change.to) == ("state", "inProgress", "offer")


@pytest.mark.parametrize("status", [400, 404, 409])
def test_an_action_that_is_refused_is_for_a_person(status: int) -> None:
    books = existing(ProjectState.IN_PROGRESS)
    deaf_to_status(books)
    books.script("POST projects?CompleteProject", answer({"Message": "illegal"}, status))
    event = project(number="10023", state=ProjectState.COMPLETED)
    assert isinstance(books.deliver(event, itself=KNOWN, customer=CUSTOMER), Manual)


def test_an_action_of_unknown_end_may_be_repeated() -> None:
    books = existing(ProjectState.IN_PROGRESS)
    deaf_to_status(books)
    books.script("POST projects?CompleteProject", NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True))
    event = project(number="10023", state=ProjectState.COMPLETED)
    verdict = books.deliver(event, itself=KNOWN, customer=CUSTOMER)
    assert isinstance(verdict, Unsure)
    assert verdict.intent.repeatable


@pytest.mark.parametrize(
    ("start", "goal", "actions"),
    [
        ("registered", "offer", ("InitiateProject",)),
        ("registered", "inProgress", ("StartProject",)),
        ("registered", "completed", ("StartProject", "CompleteProject")),
        ("offer", "discarded", ("DiscardProject",)),
        ("completed", "inProgress", ("ReactivateProject",)),
        ("discarded", "completed", ("ReactivateProject", "CompleteProject")),
        ("inProgress", "registered", None),
        ("completed", "offer", None),
        ("offer", "offer", ()),
    ],
)
def test_the_way_between_two_states_is_the_shortest(
    start: str, goal: str, actions: tuple[str, ...] | None
) -> None:
    assert way(ProjectState(start), ProjectState(goal)) == actions


def test_a_create_of_unknown_end_is_unsure_and_a_refused_one_is_looked_up() -> None:
    books = FakeBooks()
    books.script("POST projects", answer({}, 503), answer({"Message": "i bruk"}, 400))
    unsure = books.deliver(project(), customer=CUSTOMER)
    assert isinstance(unsure, Unsure)
    assert (unsure.intent.kind, unsure.intent.repeatable) == ("project.create", False)
    refused = books.deliver(project(), customer=CUSTOMER)
    assert isinstance(refused, Refused)
    assert refused.failure.parameters["answer"] == "i bruk"


def test_a_foreign_key_fault_of_a_customer_that_is_gone_closes_the_gate() -> None:
    books = FakeBooks()
    books.script("POST projects", answer({"Message": "FOREIGN KEY"}, 500))
    verdict = books.deliver(project(), customer=Reference(id="999", number="100042"))
    assert verdict == GateClosed(parent_type=EntityType.CUSTOMER, parent_number="100042")


def test_after_a_post_in_vain_the_customer_is_looked_up_anew() -> None:
    books = FakeBooks()
    gone = Reference(id="999", number="100042")
    assert isinstance(books.deliver(project(), customer=gone, post=1), Applied)
    assert body_of(books.asked("POST projects")[0])["ProjectCustomerID"] == 812


FAULT = answer({"Message": "conflicted with the FOREIGN KEY constraint"}, 500)


def test_a_foreign_key_fault_of_an_update_is_tried_once_more_and_then_a_defect() -> None:
    books = existing()
    books.script("PUT projects", FAULT, FAULT, FAULT)
    event = project(number="10023", name="Nytt navn")
    first = books.deliver(event, itself=KNOWN, customer=CUSTOMER)
    assert isinstance(first, Unsure)
    assert first.intent.repeatable
    books.script("GET customers", answer([{"ID": 812, "CustomerNumber": 100042}]), answer({}, 500))
    unlearnt = books.deliver(event, itself=KNOWN, customer=CUSTOMER, post=1)
    assert isinstance(unlearnt, Unsure)
    verdict = books.deliver(event, itself=KNOWN, customer=CUSTOMER, post=1)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "answer-not-understood"


def test_a_foreign_key_fault_of_an_action_is_tried_once_more_and_then_a_defect() -> None:
    books = existing(ProjectState.IN_PROGRESS)
    deaf_to_status(books)
    books.script("POST projects?CompleteProject", FAULT, FAULT)
    event = project(number="10023", state=ProjectState.COMPLETED)
    assert isinstance(books.deliver(event, itself=KNOWN, customer=CUSTOMER), Unsure)
    verdict = books.deliver(event, itself=KNOWN, customer=CUSTOMER, post=1)
    assert isinstance(verdict, Refused)


def test_a_foreign_key_fault_of_a_create_is_looked_up_before_it_is_a_defect() -> None:
    books = FakeBooks()
    books.script("POST projects", FAULT, FAULT)
    row = {"ID": 5600, "ProjectNumber": "10024"}
    books.script("GET projects", answer([]), answer([row]))
    assert isinstance(books.deliver(project(), customer=CUSTOMER, post=1), Unsure)
    assert isinstance(books.deliver(project(), customer=CUSTOMER, post=1), Refused)
