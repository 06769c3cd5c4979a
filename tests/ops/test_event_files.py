import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import decode
from schemas.failures import Failure
from schemas.wire import Record
from streams.ops.event_files import check, outgoing, split
from tests.ops.running import event, lines
from tests.schemas.samples import CUSTOMER, INVOICE, PROJECT

GOOD = [
    event(CUSTOMER, "team.moment.customer.created", id="a"),
    event(PROJECT, "team.moment.project.updated", id="b"),
    event(INVOICE, "team.moment.invoice.finalized", id="c"),
]


def as_array(events: list[Any]) -> str:
    return json.dumps(events, indent=2)


@pytest.mark.parametrize("written", [as_array, lines])
def test_every_event_gets_its_topic_and_key(written: Any) -> None:
    checked = check([("f", written(GOOD).encode())])
    assert checked.refused == ()
    assert [(one.index, one.record.topic, one.record.key) for one in checked.records] == [
        (0, "moment.customers", b"c-1001/100042"),
        (1, "moment.projects", b"c-1001/100042"),
        (2, "moment.invoices", b"c-1001/100042"),
    ]


@given(st.lists(st.sampled_from(GOOD)), st.sampled_from([None, 2]), st.sampled_from([b"", b"\n "]))
def test_the_three_forms_of_a_file_hold_the_same_events(
    events: list[Any], indent: int | None, around: bytes
) -> None:
    array = split(around + json.dumps(events, indent=indent).encode() + around)
    by_line = split(around + lines(events).encode() + around)
    alone = [value for one in events for value in split(json.dumps(one, indent=indent).encode())]
    assert [json.loads(value) for value in array] == events
    assert [json.loads(value) for value in by_line] == events
    assert [json.loads(value) for value in alone] == events


def test_a_decimal_keeps_every_digit_that_was_written() -> None:
    text = json.dumps([GOOD[2]]).replace('"1000"', "1000.000000")
    (value,) = split(text.encode())
    assert value.count(b"1000.000000") == 2
    record = outgoing(value)
    assert not isinstance(record, Failure)
    assert record.value == value


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda tree: json.dumps(tree).encode())
)
def test_no_content_of_a_file_raises_and_none_is_sent_that_cannot_be_read(content: bytes) -> None:
    checked = check([("f", content)])
    assert checked.events == len(split(content))
    assert checked.records == ()


def wrong(value: Any) -> tuple[str, str]:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    (refused,) = check([("dir/f.json", content)]).refused
    assert (refused.file, refused.index) == ("dir/f.json", 0)
    assert refused.text
    assert refused.action
    return refused.code, refused.path


def test_a_refusal_names_the_path_of_what_is_wrong() -> None:
    kind = "team.moment.invoice.finalized"
    assert wrong(event({**INVOICE, "number": None}, kind)) == ("event-invalid", "$.number")
    assert wrong(event(INVOICE, kind, id=None)) == ("event-unreadable", "$.id")
    assert wrong(event(INVOICE, kind, specversion="0.3")) == ("event-unreadable", "$.specversion")
    assert wrong(event(INVOICE, kind, sequence="x")) == ("event-invalid", "$.sequence")
    assert wrong(event(INVOICE, "team.moment.invoice.draft")) == ("event-type-unknown", "$.type")
    assert wrong(b'{"specversion": "1.0",\n "id": nope}') == ("event-unreadable", "$")
    assert wrong(b"[{}, ") == ("event-unreadable", "$")
    line = {**INVOICE["lines"][0], "quantity": "two"}
    data = {**INVOICE, "lines": [INVOICE["lines"][0], line]}
    assert wrong(event(data, kind)) == ("event-invalid", "$.lines[1].quantity")


def test_a_refusal_counts_the_events_of_its_file_from_nought() -> None:
    bad = event(CUSTOMER, "nope")
    checked = check([("one", lines([GOOD[0], bad]).encode()), ("two", json.dumps(bad).encode())])
    assert [(one.file, one.index) for one in checked.refused] == [("one", 1), ("two", 0)]


def test_a_broken_line_does_not_hide_the_others() -> None:
    checked = check([("f", lines(GOOD).replace("{", "", 1).encode())])
    assert [one.index for one in checked.refused] == [0]
    assert len(checked.records) == 2


def test_what_is_produced_is_what_a_worker_reads() -> None:
    for value in GOOD:
        made = outgoing(json.dumps(value).encode())
        assert not isinstance(made, Failure)
        record = Record(
            topic=made.topic,
            partition=0,
            offset=0,
            timestamp_ms=0,
            key=made.key,
            value=made.value,
            headers=made.headers,
        )
        found = decode(record)
        assert (found.key, found.id) == (made.key, value["id"])  # type: ignore[union-attr]  # a letter has neither
