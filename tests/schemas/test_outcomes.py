"""What consumers of outcomes read."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from schemas.events import EntityType
from schemas.failures import Change, FailureClass, FailureCode, Reference, WarningCode
from schemas.outcomes import (
    FINAL,
    TOPIC_OF,
    BlockedBy,
    EntityRef,
    EventRef,
    FailureView,
    ManualView,
    Outcome,
    OutcomeKind,
    SupersededBy,
    WarningView,
    Words,
    decode_outcome,
    encode_outcome,
    outcome_id,
    outcome_source,
)
from schemas.wire import Outgoing

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
BARE = Outcome(
    delivery_id="d-1",
    outcome=OutcomeKind.APPLIED,
    final=True,
    company="c-1001",
    integration="fjord-sb1",
    system="sparebank1",
    entity=EntityRef(type=EntityType.INVOICE, number="1001", customer_number="100042"),
    event=EventRef(
        id="e-1",
        source="/moment/invoicing",
        type="team.moment.invoice.finalized",
        time=NOON,
        topic="moment.invoices",
        partition=3,
        offset=41,
    ),
    attempts=1,
    received_at=NOON,
    settled_at=NOON,
)
WORDS = Words(text="t", action="a")
FULL = msgspec.structs.replace(
    BARE,
    outcome=OutcomeKind.DEAD,
    event=msgspec.structs.replace(BARE.event, sequence="17"),
    reference=Reference(id="9", number="128-2026", url="https://books.example/9"),
    warnings=(WarningView(code=WarningCode.KID_CHECK_DIGIT, text="w"),),
    superseded_by=SupersededBy(id="e-2", source="/moment/invoicing"),
    manual=ManualView(text="m", changes=(Change(field="name", from_="A", to="B"),)),
    failure=FailureView(
        code=FailureCode.PARENT_DEAD,
        klass=FailureClass.DATA,
        text="t",
        action="a",
        field="$.customerNumber",
        parameters={"parentNumber": "100042"},
        blocked_by=BlockedBy(
            type=EntityType.CUSTOMER,
            number="100042",
            delivery_id="d-0",
            code=FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE,
        ),
        languages={"en": WORDS, "nb": WORDS, "is": WORDS},
    ),
    replay_of="d-1.dead.1",
    withdraws=("d-0",),
)


def encoded(outcome: Outcome) -> Outgoing:
    return encode_outcome(
        outcome,
        outcome_id=outcome_id(outcome.delivery_id, outcome.outcome, 2),
        source=outcome_source("moment-sync"),
        time=NOON,
        key=b"c-1001/100042",
        traceparent="00-a-b-01",
        correlation_id="corr",
    )


def test_an_outcome_has_the_shape_of_the_interface() -> None:
    value = json.loads(encoded(FULL).value or b"")
    assert set(value) == {
        *("deliveryId", "outcome", "final", "company", "integration", "system", "entity", "event"),
        *("reference", "attempts", "receivedAt", "settledAt", "warnings", "supersededBy", "manual"),
        *("failure", "replayOf", "withdraws"),
    }
    assert value["entity"] == {"type": "invoice", "number": "1001", "customerNumber": "100042"}
    assert value["event"]["sequence"] == "17"
    assert value["receivedAt"] == "2026-11-02T12:00:00Z"
    assert value["manual"]["changes"] == [{"field": "name", "from": "A", "to": "B"}]
    assert set(value["failure"]) == {
        *("code", "class", "text", "action", "field", "parameters", "blockedBy", "languages")
    }
    assert value["failure"]["blockedBy"]["deliveryId"] == "d-0"
    assert value["failure"]["languages"]["is"] == {"text": "t", "action": "a"}


def test_what_is_empty_is_absent() -> None:
    value = json.loads(encoded(BARE).value or b"")
    assert not {"failure", "manual", "warnings", "supersededBy", "replayOf"} & set(value)
    assert value["final"] is True


def test_an_outcome_is_a_cloudevent_in_binary_mode() -> None:
    assert dict(encoded(BARE).headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"d-1.applied.2",
        "ce_source": b"/moment-sync/moment-sync",
        "ce_type": b"moment-sync.delivery.applied",
        "ce_subject": b"invoice/1001",
        "ce_time": b"2026-11-02T12:00:00Z",
        "ce_traceparent": b"00-a-b-01",
        "ce_correlationid": b"corr",
        "ce_partitionkey": b"c-1001/100042",
        "content-type": b"application/json",
    }


@pytest.mark.parametrize("kind", OutcomeKind)
def test_only_the_three_that_go_on_are_not_final(kind: OutcomeKind) -> None:
    goes_on = kind.value in {"blocked", "held", "retrying"}
    assert (kind in FINAL) is not goes_on
    failure = goes_on or kind is OutcomeKind.DEAD
    assert TOPIC_OF[kind] == ("moment-sync.failures" if failure else "moment-sync.results")
    outcome = msgspec.structs.replace(BARE, outcome=kind, final=not goes_on)
    assert encoded(outcome).topic == TOPIC_OF[kind]
    with pytest.raises(ValueError, match="contradicts"):
        encoded(msgspec.structs.replace(outcome, final=goes_on))


@pytest.mark.parametrize("outcome", [BARE, FULL])
def test_an_outcome_reads_back(outcome: Any) -> None:
    assert decode_outcome(encoded(outcome).value or b"") == outcome


def test_an_id_is_the_same_on_every_repeat_and_another_for_every_new_fact() -> None:
    made = {outcome_id("d", kind, n) for kind in OutcomeKind for n in range(3)}
    assert len(made) == len(OutcomeKind) * 3
