import json
from pathlib import Path

import pytest

from streams.kafka_client import KafkaConnection
from streams.ops.command_base import Exit
from tests.kafka.conftest import stage as stage  # noqa: PLC0414 - a fixture
from tests.kafka.stage import Stage, read_all
from tests.ops.running import event, lines, run
from tests.schemas.samples import CUSTOMER, INVOICE

NOWHERE = "127.0.0.1:1"


def customer(number: int, name: str) -> dict[str, object]:
    data = {**CUSTOMER, "number": f"10000{number}", "name": name}
    return event(data, "team.moment.customer.updated", id=f"{number}-{name}")


def test_nothing_is_sent_where_one_event_is_wrong(tmp_path: Path) -> None:
    """Kafka is not even looked for: it is away here, and the answer is that of the check."""
    (tmp_path / "good.json").write_text(json.dumps(customer(1, "a")))
    (tmp_path / "bad.jsonl").write_text(lines([customer(2, "b"), customer(3, "")]))
    found = run(tmp_path, "emit", "good.json", "bad.jsonl", KAFKA=NOWHERE)
    assert found.returncode == Exit.FOUND
    assert found.stdout == ""
    assert "bad.jsonl[1] $.name: event-invalid:" in found.stderr
    assert "nothing was sent: 1 of 3 events are wrong" in found.stderr


def test_refusals_are_one_document_too(tmp_path: Path) -> None:
    found = run(tmp_path, "emit", "-", "--json", stdin='{"id": 7}', KAFKA=NOWHERE)
    assert found.returncode == Exit.FOUND
    told = json.loads(found.stdout)
    assert (told["events"], told["sent"]) == (1, {})
    assert [(one["file"], one["index"]) for one in told["refused"]] == [("-", 0)]


def test_a_file_of_no_events_sends_none(tmp_path: Path) -> None:
    found = run(tmp_path, "emit", "-", "--json", stdin="[]", KAFKA=NOWHERE)
    assert (found.returncode, json.loads(found.stdout)["events"]) == (Exit.DONE, 0)


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    assert run(tmp_path, "emit", "nope.json", KAFKA=NOWHERE).returncode == Exit.WRONG


@pytest.mark.kafka
def test_events_arrive_as_written_under_the_right_key_in_order(
    stage: Stage, tmp_path: Path
) -> None:
    events = [customer(number, f"name {turn}") for turn in range(40) for number in range(7)]
    (tmp_path / "many.jsonl").write_text(lines(events))
    invoice = event(INVOICE, "team.moment.invoice.finalized")
    found = run(
        tmp_path,
        *("emit", "many.jsonl", "-", "--json"),
        stdin=json.dumps(invoice),
        KAFKA=stage.connection.bootstrap,
        TOPIC_PREFIX=stage.names.prefix,
    )
    assert found.returncode == Exit.DONE, found.stderr
    customers, invoices = (stage.names.full(f"moment.{name}") for name in ("customers", "invoices"))
    assert json.loads(found.stdout)["sent"] == {customers: len(events), invoices: 1}
    by_key: dict[bytes, list[str]] = {}
    for record in read_all(stage.connection, customers, len(events)):
        by_key.setdefault(record.key, []).append(json.loads(record.value)["data"]["name"])
    wanted = [f"name {turn}" for turn in range(40)]
    assert by_key == {b"c-1001/10000%d" % number: wanted for number in range(7)}
    (record,) = read_all(stage.connection, invoices, 1)
    assert (record.key, json.loads(record.value)) == (b"c-1001/100042", invoice)
    assert dict(record.headers)["content-type"].startswith(b"application/cloudevents+json")


@pytest.mark.kafka
def test_an_event_too_large_for_its_topic_is_refused_before_any_is_sent(
    stage: Stage, tmp_path: Path
) -> None:
    events = [customer(1, "a"), {**customer(2, "b"), "data": {**CUSTOMER, "more": "x" * 1_100_000}}]
    found = run(
        tmp_path,
        *("emit", "-"),
        stdin=lines(events),
        KAFKA=stage.connection.bootstrap,
        TOPIC_PREFIX=stage.names.prefix,
    )
    assert found.returncode == Exit.FOUND
    assert "-[1] $: event-unreadable: larger than its topic takes" in found.stderr
    assert read_all(stage.connection, stage.names.full("moment.customers"), 0) == []


@pytest.mark.kafka
def test_a_missing_topic_is_named(
    kafka: KafkaConnection, topic_prefix: str, tmp_path: Path
) -> None:
    found = run(
        tmp_path,
        *("emit", "-"),
        stdin=json.dumps(customer(1, "a")),
        KAFKA=kafka.bootstrap,
        TOPIC_PREFIX=topic_prefix,
    )
    assert found.returncode == Exit.WRONG
    assert f"topic {topic_prefix}moment.customers is missing" in found.stderr
    assert "moment-sync topics create" in found.stderr
