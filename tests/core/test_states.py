"""The life of a delivery is one table: what is in it happens, what is not changes nothing."""

import itertools

import pytest

from schemas.events import EntityType
from schemas.wire import Record
from streams.core.states import (
    GATE_CLOSING,
    IN_DOUBT,
    MOVABLE,
    OPEN,
    SETTLED,
    TRANSITIONS,
    IllegalTransitionError,
    State,
    diagram,
    move,
)
from streams.ledger.changes import Changes
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Moment

# Design section 4, written out once more: a line that changes there must be changed here too.
EXPECTED = {
    "ready": "sending waiting dead unchanged superseded stale discarded",
    "waiting": "ready blocked dead superseded stale discarded",
    "blocked": "ready dead superseded stale discarded",
    "due": "ready dead superseded stale discarded",
    "sending": "applied unchanged manual dead due uncertain waiting ready",
    "uncertain": "applied manual ready dead",
    "dead": "ready discarded withdrawn",
    "applied": "",
    "unchanged": "",
    "superseded": "",
    "stale": "",
    "manual": "",
    "discarded": "",
    "withdrawn": "",
}
PAIRS = list(itertools.product(State, State))


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=lambda state: state.value)
def test_a_transition_is_legal_exactly_when_the_table_has_it(old: State, new: State) -> None:
    if new.value in EXPECTED[old.value].split():
        assert move(old, new) is new
    else:
        with pytest.raises(IllegalTransitionError, match=f"{old.value} → {new.value}"):
            move(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [(old, new) for old, new in PAIRS if new not in TRANSITIONS[old]],
    ids=lambda state: state.value,
)
def test_an_illegal_transition_changes_nothing(old: State, new: State) -> None:
    changes = Changes(rules=None, now=Moment(wall=1.0, elapsed=1.0, boot="b"))  # type: ignore[arg-type]  # no rule is asked
    delivery = _delivery(old)
    with pytest.raises(IllegalTransitionError):
        changes.move(delivery, new, attempts=7)
    assert changes.state_of(delivery) is old
    assert changes._deliveries == {}


def test_every_state_stands_in_the_table() -> None:
    assert set(TRANSITIONS) == set(State) == {State(name) for name in EXPECTED}


def test_what_is_in_flight_is_never_overtaken_nor_discarded() -> None:
    for state in IN_DOUBT:
        assert not TRANSITIONS[state] & {State.SUPERSEDED, State.STALE, State.DISCARDED}


def test_every_open_state_can_be_left_and_every_settled_one_cannot() -> None:
    assert all(TRANSITIONS[state] for state in OPEN | {State.DEAD})
    assert set(State) - OPEN - {State.DEAD} == SETTLED
    assert MOVABLE | IN_DOUBT == OPEN
    assert OPEN >= GATE_CLOSING


def test_from_every_open_state_an_end_can_be_reached() -> None:
    for state in OPEN:
        seen, front = {state}, {state}
        while front:
            front = {new for old in front for new in TRANSITIONS[old]} - seen
            seen |= front
        assert State.APPLIED in seen
        assert State.DEAD in seen


def test_the_diagram_draws_every_transition_once() -> None:
    lines = diagram().splitlines()
    drawn = [line.strip() for line in lines if "-->" in line]
    arrows = {f"{old} --> {new}" for old, nexts in TRANSITIONS.items() for new in nexts}
    ends = {f"{state} --> [*]" for state in SETTLED} | {"[*] --> ready"}
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == arrows | ends


def _delivery(state: State) -> StoredDelivery:
    return StoredDelivery(
        ordinal=1,
        delivery_id="d",
        event_pk=1,
        integration="i",
        system="dkplus",
        company="c",
        entity_key="k",
        entity_type=EntityType.CUSTOMER,
        number="1",
        customer_number="1",
        lane=0,
        sequence=None,
        state=state,
        waits_key=None,
        act_at=None,
        act_boot=None,
        attempts=0,
        retried_s=0.0,
        posts=0,
        absences=0,
        intent=None,
        send_by=None,
        failure=None,
        told="",
        outcomes=0,
        final_id=None,
        replays=0,
        replay_of=None,
        rewrite=False,
        edited=None,
        received_at=0.0,
        first_failed_at=None,
        last_failed_at=None,
        source="s",
        ce_id="e",
        ce_type="t",
        record=Record(topic="t", partition=0, offset=0, timestamp_ms=0, key=None, value=None),
    )
