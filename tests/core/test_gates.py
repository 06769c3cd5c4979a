"""Whether a parent lets its child go, as a table (design section 5.4)."""

import pytest

from schemas.events import EntityType
from schemas.failures import Failure, FailureClass, FailureCode
from streams.core.gates import (
    FRESH_NO_S,
    GateState,
    GateView,
    blocked_failure,
    closed,
    look,
    missing_failure,
)
from streams.core.model import EntityRow, Gate, Sibling
from streams.core.states import OPEN, State

NOW = 1_790_000_000.0
CHILD = 10
JUST_NOW = NOW - 1.0
LONG_AGO = NOW - FRESH_NO_S - 1.0
REFUSED = Failure(code=FailureCode.ACCOUNT_UNKNOWN, parameters={"account": "3000"})


def parent(*states: tuple[int, str], **row: object) -> tuple[Sibling, ...]:
    return tuple(
        Sibling(ordinal=ordinal, delivery_id=f"d{ordinal}", state=State(state), failure=REFUSED)
        for ordinal, state in states
    )


def view(
    *states: tuple[int, str],
    in_books: bool = False,
    no_at: float | None = None,
    carried: bool = True,
    optional: bool = False,
    entity_type: EntityType = EntityType.CUSTOMER,
) -> GateView:
    gate = Gate(
        entity_type=entity_type,
        number="100042",
        row=EntityRow(key="k", in_books=in_books, asked_no_at=no_at),
        siblings=parent(*states),
        carried=carried,
        optional=optional,
    )
    return look(gate, child_ordinal=CHILD, wall=NOW)


TABLE = [
    # in the books ----------------------------------------------------------------------------
    ("in the books", view(in_books=True), "open", None),
    *[
        (f"in the books, an earlier state is {s}", view((5, s), in_books=True), "on-its-way", None)
        for s in ("ready", "due", "sending", "uncertain")
    ],
    *[
        (f"in the books, an earlier state is {s}", view((5, s), in_books=True), "open", None)
        for s in ("waiting", "blocked")
    ],
    *[
        (f"in the books, a later state is {s}", view((15, s), in_books=True), "open", None)
        for s in ("ready", "due", "sending", "uncertain", "waiting", "blocked")
    ],
    ("in the books, an update is dead", view((5, "dead"), in_books=True), "open", None),
    (
        "in the books, one dead and one on its way",
        view((4, "dead"), (5, "ready"), in_books=True),
        "on-its-way",
        None,
    ),
    ("a remembered yes outlives a no", view(in_books=True, no_at=JUST_NOW), "open", None),
    # not in the books, announced --------------------------------------------------------------
    *[
        (f"announced before: {s}", view((5, s)), "on-its-way", None)
        for s in ("ready", "due", "sending", "uncertain", "waiting")
    ],
    *[
        (f"announced after: {s}", view((15, s)), "on-its-way", None)
        for s in ("ready", "due", "sending", "uncertain", "waiting")
    ],
    ("a new state after a dead one", view((4, "dead"), (5, "due")), "on-its-way", None),
    ("announced, and a no just now", view((5, "ready"), no_at=JUST_NOW), "on-its-way", None),
    # not in the books, failed -----------------------------------------------------------------
    ("dead, never asked", view((5, "dead")), "ask", None),
    ("dead, asked long ago", view((5, "dead"), no_at=LONG_AGO), "ask", None),
    ("dead, asked just now", view((5, "dead"), no_at=JUST_NOW), "failed", 5),
    ("dead twice: the newest is named", view((4, "dead"), (5, "dead"), no_at=NOW), "failed", 5),
    ("blocked, never asked", view((5, "blocked")), "ask", None),
    ("blocked, asked just now", view((5, "blocked"), no_at=JUST_NOW), "failed", 5),
    ("a blocked one after a dead one", view((4, "dead"), (5, "blocked"), no_at=NOW), "failed", 5),
    # not in the books, not announced ----------------------------------------------------------
    ("unknown, never asked", view(), "ask", None),
    ("unknown, asked long ago", view(no_at=LONG_AGO), "ask", None),
    ("unknown, asked just now", view(no_at=JUST_NOW), "absent", None),
    ("a clock that went back makes no answer fresh", view(no_at=NOW + 3600), "ask", None),
    ("switched off, never asked", view(carried=False), "ask", None),
    ("switched off, asked just now", view(carried=False, no_at=JUST_NOW), "never", None),
    # the invoice that a credit note credits -----------------------------------------------------
    ("credited: unknown", view(optional=True), "open", None),
    ("credited: booked", view(optional=True, in_books=True), "open", None),
    ("credited: on its way", view((5, "sending"), optional=True), "on-its-way", None),
    ("credited: dead", view((5, "dead"), optional=True), "failed", 5),
    ("credited: blocked", view((5, "blocked"), optional=True), "failed", 5),
]


@pytest.mark.parametrize(
    ("found", "state", "behind"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_gate_is(found: GateView, state: str, behind: int | None) -> None:
    assert found.state is GateState(state)
    assert (found.behind.ordinal if found.behind else None) == behind


def test_a_dead_update_is_told_as_stale_and_only_where_it_is_the_newest() -> None:
    assert view((5, "dead"), in_books=True).parent_stale
    assert not view((5, "dead"), (6, "waiting"), in_books=True).parent_stale
    assert not view(in_books=True).parent_stale


@pytest.mark.parametrize("state", sorted(OPEN - {State.BLOCKED}))
def test_an_open_state_of_the_parent_always_closes_the_gate_of_one_that_is_not_there(
    state: State,
) -> None:
    assert view((5, state.value), no_at=JUST_NOW).state is GateState.ON_ITS_WAY


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("", None),
        ("open open", None),
        ("open ask", 1),
        ("absent failed", 1),
        ("on-its-way never", 1),
        ("failed never", 1),
        ("on-its-way failed", 1),
        ("ask on-its-way", 1),
        ("absent ask", 1),
        ("ask ask", 0),
        ("failed failed", 0),
        ("open absent", 1),
    ],
)
def test_of_several_closed_gates_the_one_that_says_most_counts(
    states: str, expected: int | None
) -> None:
    gate = view().gate
    views = [GateView(gate, GateState(state)) for state in states.split()]
    found = closed(views)
    assert (None if found is None else [v is found for v in views].index(True)) == expected


# --- what a blocked child says ---------------------------------------------------------------


def test_a_child_of_a_dead_parent_takes_the_class_of_its_failure() -> None:
    failure = blocked_failure(view((5, "dead"), no_at=JUST_NOW))
    assert failure.code is FailureCode.PARENT_DEAD
    assert failure.failure_class is FailureClass.SET_UP
    assert failure.field == "$.customerNumber"
    assert failure.parameters == {
        "parentType": "customer",
        "parentNumber": "100042",
        "parentCode": "account-unknown",
    }


def test_a_child_of_an_absent_parent_says_so() -> None:
    failure = blocked_failure(view(no_at=JUST_NOW, entity_type=EntityType.PROJECT))
    assert failure.code is FailureCode.PARENT_ABSENT
    assert failure.field == "$.projectNumber"
    assert failure.parameters == {"parentType": "project", "parentNumber": "100042"}


def test_a_grandchild_of_an_absent_parent_says_absent_of_the_nearest() -> None:
    absent = Failure(code=FailureCode.PARENT_ABSENT, parameters={})
    behind = Sibling(ordinal=5, delivery_id="d5", state=State.BLOCKED, failure=absent)
    gate = view(entity_type=EntityType.PROJECT).gate
    failure = blocked_failure(GateView(gate, GateState.FAILED, behind=behind))
    assert failure.code is FailureCode.PARENT_ABSENT
    assert failure.parameters["parentType"] == "project"


@pytest.mark.parametrize(
    ("entity_type", "code", "field"),
    [
        (EntityType.CUSTOMER, FailureCode.CUSTOMER_MISSING, "$.customerNumber"),
        (EntityType.PROJECT, FailureCode.PROJECT_MISSING, "$.projectNumber"),
    ],
)
def test_what_can_never_come_is_missing(
    entity_type: EntityType, code: FailureCode, field: str
) -> None:
    failure = missing_failure(view(entity_type=entity_type))
    assert (failure.code, failure.field) == (code, field)
    assert failure.parameters == {"number": "100042"}
