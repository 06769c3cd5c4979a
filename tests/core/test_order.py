"""What a delivery whose turn may have come does next: every rule of design section 5."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import EntityType
from schemas.failures import FailureCode, Reference
from streams.core.gates import GateState, GateView
from streams.core.model import Candidate, EntityRow, Gate, Sibling, Version, entity_key
from streams.core.order import (
    Decision,
    Later,
    NothingNew,
    Overtaken,
    Park,
    Refuse,
    Send,
    decide,
    to_supersede,
)
from streams.core.states import MOVABLE, OPEN, State

BOOKED = Reference(id="20311", number="128-2026")


def candidate(ordinal: int = 10, kind: str = "customer", **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "ordinal": ordinal,
        "delivery_id": f"d{ordinal}",
        "entity_type": EntityType(kind),
        "number": "1001",
        "state": State.READY,
        "content": b"A",
        **changes,
    }
    return Candidate(**values)


def row(**changes: Any) -> EntityRow:
    return EntityRow(key="k", **changes)


def sibling(ordinal: int, state: str = "ready", sequence: int | None = None) -> Sibling:
    return Sibling(
        ordinal=ordinal, delivery_id=f"d{ordinal}", state=State(state), sequence=sequence
    )


def gate(state: str, *, stale: bool = False) -> GateView:
    parent = Gate(entity_type=EntityType.CUSTOMER, number="100042", row=row())
    return GateView(parent, GateState(state), parent_stale=stale)


def said(decision: Decision) -> str:
    match decision:
        case Overtaken(by, stale):
            word = "stale" if stale else "superseded"
            return f"{word} by {by.ordinal if by else 'what is applied'}"
        case Park(view):
            return f"park at {view.state.value}" if view else "park at an older one"
        case Refuse(failure, _):
            return failure.code.value
        case _:
            return type(decision).__name__


HELD = {"in_books": True, "content": b"A", "reference": BOOKED}
CUSTOMERS = [
    ("alone", {}, row(), [], "Send"),
    ("a newer one is open", {}, row(), [sibling(11)], "superseded by 11"),
    *[
        (f"a newer one is {s}", {}, row(), [sibling(11, s)], "superseded by 11")
        for s in sorted(OPEN)
    ],
    ("the newest of several is named", {}, row(), [sibling(11), sibling(12)], "superseded by 12"),
    ("an older one is open", {}, row(), [sibling(9)], "Send"),
    ("it has the higher sequence", {"sequence": 7}, row(), [sibling(11, sequence=5)], "Send"),
    (
        "it came later with a lower sequence",
        {"sequence": 4},
        row(),
        [sibling(9, sequence=5)],
        "stale by 9",
    ),
    (
        "it came earlier with a lower sequence",
        {"sequence": 4},
        row(),
        [sibling(11, sequence=5)],
        "superseded by 11",
    ),
    (
        "equal sequences go by receipt",
        {"sequence": 4},
        row(),
        [sibling(11, sequence=4)],
        "superseded by 11",
    ),
    ("without a sequence on one side, by receipt", {"sequence": 9}, row(), [sibling(11)],
     "superseded by 11"),
    ("a newer one is applied", {}, row(applied=Version(11)), [], "stale by what is applied"),
    (
        "a newer sequence is applied",
        {"sequence": 4},
        row(applied=Version(2, 5)),
        [],
        "stale by what is applied",
    ),
    ("an older one is applied", {}, row(applied=Version(2)), [], "Send"),
    ("another is in doubt", {}, row(claimed_by=9), [sibling(9, "uncertain")], "Later"),
    ("in doubt, and equal to what was applied", {}, row(claimed_by=9, **HELD), [], "Later"),
    ("equal to what was applied", {}, row(**HELD), [], "NothingNew"),
    ("equal, but a write was sent since", {}, row(dirty=True, **HELD), [], "Send"),
    ("equal, but a replay or resync", {"rewrite": True}, row(**HELD), [], "Send"),
    ("equal, but not in the books", {}, row(content=b"A"), [], "Send"),
    ("not equal", {"content": b"B"}, row(**HELD), [], "Send"),
    ("in the books, nobody knows how", {}, row(in_books=True), [], "Send"),
]  # fmt: skip
INVOICES = [
    ("alone", {}, row(), [], "Send"),
    ("newer ones do not overtake it", {}, row(), [sibling(11), sibling(12, "due")], "Send"),
    *[
        (f"an older one is {s}", {}, row(), [sibling(9, s)], "park at an older one")
        for s in sorted(MOVABLE)
    ],
    ("an older one is uncertain", {}, row(claimed_by=9), [sibling(9, "uncertain")], "Later"),
    ("an older one is being sent", {}, row(claimed_by=9), [sibling(9, "sending")], "Later"),
    ("booked with the same content", {}, row(**HELD), [], "NothingNew"),
    (
        "booked with other content",
        {"content": b"B"},
        row(**HELD),
        [],
        "invoice-differs-from-booked",
    ),
    ("booked the same, replayed", {"rewrite": True}, row(**HELD), [], "Send"),
    (
        "booked otherwise, replayed",
        {"rewrite": True, "content": b"B"},
        row(**HELD),
        [],
        "invoice-differs-from-booked",
    ),
    ("booked, nobody knows how: looked up", {}, row(in_books=True), [], "Send"),
    ("a lower sequence has no meaning here", {"sequence": 1}, row(applied=Version(2, 5)), [],
     "Send"),
    ("booked, while another is in doubt", {"content": b"B"}, row(claimed_by=9, **HELD), [],
     "Later"),
]  # fmt: skip
Row = tuple[str, dict[str, Any], EntityRow, list[Sibling], str]


@pytest.mark.parametrize(
    ("changes", "entity", "siblings", "expected"),
    [case[1:] for case in CUSTOMERS],
    ids=[case[0] for case in CUSTOMERS],
)
@pytest.mark.parametrize("kind", ["customer", "project"])
def test_a_customer_or_project(
    kind: str, changes: dict[str, Any], entity: EntityRow, siblings: list[Sibling], expected: str
) -> None:
    assert said(decide(candidate(kind=kind, **changes), entity, siblings, [])) == expected


@pytest.mark.parametrize(
    ("changes", "entity", "siblings", "expected"),
    [case[1:] for case in INVOICES],
    ids=[case[0] for case in INVOICES],
)
def test_an_invoice(
    changes: dict[str, Any], entity: EntityRow, siblings: list[Sibling], expected: str
) -> None:
    assert said(decide(candidate(kind="invoice", **changes), entity, siblings, [])) == expected


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("open", "Send"),
        ("open open", "Send"),
        ("on-its-way", "park at on-its-way"),
        ("ask", "park at ask"),
        ("absent", "park at absent"),
        ("open failed", "park at failed"),
        ("never", "customer-missing"),
        ("on-its-way never", "customer-missing"),
    ],
)
def test_gates_are_asked_after_everything_else(states: str, expected: str) -> None:
    views = [gate(state) for state in states.split()]
    assert said(decide(candidate(), row(), [], views)) == expected
    assert said(decide(candidate(), row(**HELD), [], views)) == "NothingNew"
    assert said(decide(candidate(), row(claimed_by=1), [], views)) == "Later"
    assert said(decide(candidate(), row(), [sibling(11)], views)) == "superseded by 11"


def test_a_stale_parent_is_named_with_the_send() -> None:
    views = [gate("open"), gate("open", stale=True)]
    assert decide(candidate(), row(), [], views) == Send(parent_stale=(views[1],))


def test_what_differs_from_the_booked_names_the_voucher() -> None:
    decision = decide(candidate(kind="invoice", content=b"B"), row(**HELD), [], [])
    assert isinstance(decision, Refuse)
    assert decision.failure.code is FailureCode.INVOICE_DIFFERS_FROM_BOOKED
    assert decision.failure.parameters == {"number": "1001", "booked": "128-2026"}


def test_nothing_new_names_what_is_there() -> None:
    assert decide(candidate(), row(**HELD), [], []) == NothingNew(BOOKED)


def test_a_decision_changes_nothing() -> None:
    siblings = [sibling(9), sibling(11)]
    decide(candidate(), row(), siblings, [])
    assert siblings == [sibling(9), sibling(11)]
    assert isinstance(decide(candidate(), row(claimed_by=1), [], []), Later)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_only_what_is_not_in_flight_and_older_is_superseded(state: State) -> None:
    found = to_supersede(candidate(), [sibling(9, state.value), sibling(11, state.value)])
    assert [s.ordinal for s in found] == ([9] if state in MOVABLE else [])


def test_invoices_are_never_superseded() -> None:
    assert to_supersede(candidate(kind="invoice"), [sibling(9)]) == []


def test_an_entity_is_integration_type_and_number() -> None:
    keys = {
        entity_key(integration, entity_type, number)
        for integration in ("a", "a1")
        for entity_type in EntityType
        for number in ("1", "11")
    }
    assert len(keys) == 12


# --- properties --------------------------------------------------------------------------------

sequences = st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=1, max_size=8)


def folded(versions: list[Version]) -> Version:
    """The state that stands, when each is taken in the order of its receipt."""
    newest = versions[0]
    for version in versions[1:]:
        if version.newer_than(newest):
            newest = version
    return newest


def settle_all(states: dict[int, Sibling], turns: list[int]) -> list[int]:
    """Give each open state its turn, in this order; returns the ordinals that were sent."""
    sent = []
    for ordinal in turns:
        mine = states[ordinal]
        if mine.state is not State.READY:
            continue
        others = [s for s in states.values() if s.ordinal != ordinal and s.state in OPEN]
        one = candidate(ordinal, sequence=mine.sequence)
        decision = decide(one, row(), others, [])
        if isinstance(decision, Overtaken):
            state = State.STALE if decision.stale else State.SUPERSEDED
            states[ordinal] = msgspec.structs.replace(mine, state=state)
            continue
        assert isinstance(decision, Send)
        sent.append(ordinal)
        states[ordinal] = msgspec.structs.replace(mine, state=State.SENDING)
        for older in to_supersede(one, others):
            states[older.ordinal] = msgspec.structs.replace(older, state=State.SUPERSEDED)
    return sent


@given(sequences, st.randoms(use_true_random=False))
def test_of_any_waiting_states_exactly_one_is_sent_and_it_is_the_newest(
    given_sequences: list[int | None], random: Any
) -> None:
    states = {
        n: sibling(n, sequence=sequence) for n, sequence in enumerate(given_sequences, start=1)
    }
    turns = list(states)
    random.shuffle(turns)
    sent = settle_all(states, turns)
    assert len(sent) == 1
    assert all(s.state not in MOVABLE for s in states.values())
    if turns == sorted(turns) or None not in given_sequences or set(given_sequences) == {None}:
        assert sent == [folded([s.version for s in states.values()]).ordinal]
    if None not in given_sequences:
        highest = max(s.sequence or 0 for s in states.values())
        assert states[sent[0]].sequence == highest


@given(sequences, st.lists(st.booleans(), min_size=8, max_size=8))
def test_however_sends_and_arrivals_interleave_the_books_end_with_the_newest(
    given_sequences: list[int | None], pauses: list[bool]
) -> None:
    """After each arrival there may or may not be time for a send, which is applied at once."""
    states: dict[int, Sibling] = {}
    applied: Version | None = None
    for n, sequence in enumerate(given_sequences, start=1):
        states[n] = sibling(n, sequence=sequence)
        if not pauses[n - 1] and n < len(given_sequences):
            continue
        for ordinal in list(states):
            mine = states[ordinal]
            if mine.state is not State.READY:
                continue
            others = [s for s in states.values() if s.ordinal != ordinal and s.state in OPEN]
            one = candidate(ordinal, sequence=mine.sequence)
            decision = decide(one, row(applied=applied), others, [])
            if isinstance(decision, Overtaken):
                states[ordinal] = msgspec.structs.replace(mine, state=State.STALE)
                continue
            for older in to_supersede(one, others):
                states[older.ordinal] = msgspec.structs.replace(older, state=State.SUPERSEDED)
            states[ordinal] = msgspec.structs.replace(mine, state=State.APPLIED)
            assert applied is None or mine.version.newer_than(applied)
            applied = mine.version
    assert applied == folded([s.version for s in states.values()])


@given(st.lists(st.sampled_from(sorted(OPEN)), max_size=6), st.booleans())
def test_of_one_invoice_number_nothing_is_sent_while_another_is_under_way(
    others: list[State], claimed: bool
) -> None:
    siblings = [sibling(n, state.value) for n, state in enumerate(others, start=1)]
    in_doubt = [s for s in siblings if s.state not in MOVABLE]
    claimed_by = in_doubt[0].ordinal if in_doubt else None
    decision = decide(candidate(kind="invoice"), row(claimed_by=claimed_by), siblings, [])
    assert isinstance(decision, Send) is (siblings == [])
