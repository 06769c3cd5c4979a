"""The day itself: it must be a day as producers send it, and hold what the demo claims."""

from collections import Counter

from schemas.cloudevents import STRUCTURED_CONTENT_TYPE
from schemas.codec import Event, decode
from schemas.failures import FailureCode
from schemas.lane import lane_key
from schemas.outcomes import OutcomeKind
from schemas.wire import Record
from streams.ops.demo.companies import COMPANIES
from streams.ops.demo.day import write_day
from streams.ops.demo.expectations import EventKey, expect
from tests.demo.perfect_world import EMISSIONS, EXPECTED, START

FROM_LETTERS = {
    FailureCode.EVENT_UNREADABLE,
    FailureCode.EVENT_INVALID,
    FailureCode.EVENT_TYPE_UNKNOWN,
    FailureCode.EVENT_ID_REUSED,
    FailureCode.COMPANY_UNKNOWN,
}


def records() -> list[Record]:
    return [
        Record(
            topic=emission.record.topic,
            partition=0,
            offset=place,
            timestamp_ms=0,
            key=emission.record.key,
            value=emission.record.value,
            headers=emission.record.headers,
        )
        for place, emission in enumerate(EMISSIONS)
    ]


def test_every_event_can_be_read_but_those_that_must_not() -> None:
    read = [decode(record) for record in records()]
    for event, emission in zip(read, EMISSIONS, strict=True):
        assert isinstance(event, Event) == (emission.entity is not None)
        if isinstance(event, Event):
            assert event.data == emission.entity
            assert (event.source, event.id) == (emission.source, emission.id)


def test_the_day_is_the_same_every_time() -> None:
    """Else a violation could not be looked into again."""
    again = write_day(120, "test", START).emissions
    assert [emission.record for emission in again] == [e.record for e in EMISSIONS]


def test_as_many_events_as_asked_for_where_the_stories_fit_in() -> None:
    assert len(write_day(400, "test", START).emissions) == 400
    stories = len(write_day(0, "test", START).emissions)
    assert stories < 100


def test_every_way_to_fail_that_is_claimed_is_in_the_day() -> None:
    codes = {wanted.code for wanted in EXPECTED.deliveries.values()} - {None}
    assert codes == {
        FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE,
        FailureCode.PROJECT_NUMBER_NOT_NUMERIC,
        FailureCode.VAT_CODE_UNKNOWN,
        FailureCode.KENNITALA_MISSING,
        FailureCode.KENNITALA_INVALID,
        FailureCode.INVOICE_DIFFERS_FROM_BOOKED,
        FailureCode.PARENT_DEAD,
        FailureCode.PARENT_ABSENT,
    }
    assert set(EXPECTED.letters.values()) == FROM_LETTERS
    kinds = {kind for wanted in EXPECTED.deliveries.values() for kind in wanted.outcomes}
    assert {OutcomeKind.MANUAL, OutcomeKind.STALE, OutcomeKind.UNCHANGED} <= kinds


def test_a_company_with_both_systems_has_a_delivery_to_each() -> None:
    by_event: dict[EventKey, set[str]] = {}
    for event, integration in EXPECTED.deliveries:
        by_event.setdefault(event, set()).add(integration)
    of_hav = [names for names in by_event.values() if "hav-dk" in names]
    assert of_hav != []
    assert all(names == {"hav-sb1", "hav-dk"} for names in of_hav)


def test_children_come_before_their_parents() -> None:
    numbers = [
        (e.entity.company, type(e.entity).__name__, e.entity.number) for e in EMISSIONS if e.entity
    ]
    for company in COMPANIES:
        own = [(kind, number) for name, kind, number in numbers if name == company.id]
        customer = next(
            number for kind, number in own if number.endswith("10") and kind == "Customer"
        )
        assert own.index(("Invoice", "1010")) < own.index(("Customer", customer))
        assert own.index(("Project", "1010")) < own.index(("Customer", customer))


def test_an_event_that_comes_twice_is_one_delivery() -> None:
    """What says the same under a new id is another event."""
    ids = Counter((e.source, e.id) for e in EMISSIONS if e.entity)
    twice = [event for event, count in ids.items() if count > 1]
    assert len(twice) >= 8
    structured = {
        dict(e.record.headers)["content-type"].startswith(STRUCTURED_CONTENT_TYPE.encode())
        for e in EMISSIONS
        if (e.source, e.id) in twice
    }
    assert structured == {True, False}


def test_keys_are_right_but_one_that_is_missing() -> None:
    wrong = [
        e
        for e in EMISSIONS
        if e.entity is not None
        and e.record.key != lane_key(e.entity.company, _customer_number(e.entity))
    ]
    assert [e.record.key for e in wrong] == [None]


def _customer_number(entity: object) -> str:
    return str(getattr(entity, "customer_number", None) or getattr(entity, "number", ""))


def test_the_model_knows_no_company_but_those_it_is_given() -> None:
    """Of a company that is not set up nothing may come but letters."""
    nobody = expect(EMISSIONS, ())
    assert nobody.deliveries == {}
    assert len(nobody.letters) == len(EMISSIONS)
