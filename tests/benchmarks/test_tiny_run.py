"""The whole harness once, small: real Kafka, real worker, real reference. Nothing is timed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.contender import environment_of
from benchmarks.stub import Orders, Rule
from benchmarks.stub_process import StubProcess
from connectors.dkplus import wire
from streams.kafka_client import KafkaConnection

ROOT = Path(__file__).parents[2]
DEADLINE_S = 240.0  # some fifteen seconds on an idle machine of two cores


@pytest.mark.kafka
def test_a_tiny_run_has_figures_and_nothing_wrong(kafka: KafkaConnection) -> None:
    environment = environment_of({"PATH": "/usr/bin:/bin"}, KAFKA=kafka.bootstrap)
    words = ["benchmark", "end-to-end", "--contenders", "us,reference"]
    words += ["--events", "200", "--runs", "1", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "streams.ops.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (case,) = json.loads(done.stdout)["cases"]
    found = {row["contender"]: row for row in case["rows"]}
    assert set(found) == {"moment-sync", "reference"}
    for row in found.values():
        assert not any(row["faults"].values())
        assert row["figures"]["writes/event"] == [1.0]
        assert row["figures"]["events/s"][0] > 0
        assert row["figures"]["CPU us/event"][0] > 0


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[StubProcess]:
    process = StubProcess(tmp_path, environment_of({"PATH": "/usr/bin:/bin"}))
    yield process
    process.stop()


def ask(stub: StubProcess, method: str, path: str, body: str = "", company: str = "a") -> int:
    return answer_to(stub, method, path, body, company)[0]


def answer_to(
    stub: StubProcess, method: str, path: str, body: str = "", company: str = "a"
) -> tuple[int, bytes]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=10)
    try:
        headers = {"Authorization": f"Bearer {company}"}
        connection.request(method, f"/api/v1{path}", body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_stub_sees_order_doubles_and_reads(stub: StubProcess) -> None:
    for name in ("A #2", "A #1", "A #2"):
        assert ask(stub, "PUT", "/customer/7", json.dumps({"Name": name})) == 200
    assert ask(stub, "GET", "/customer/7") == 200
    report = stub.seen().report
    assert (report.writes, report.reads) == (3, 1)
    assert (report.order_breaks, report.doubles) == (1, 1)


def test_the_stub_knows_what_was_created_and_what_is_absent(stub: StubProcess) -> None:
    stub.order(Orders(absent="8"))
    assert ask(stub, "GET", "/customer/81") == 404
    assert ask(stub, "GET", "/customer/71") == 200
    assert ask(stub, "GET", "/project/P1") == 404
    assert ask(stub, "POST", "/customer", json.dumps({"Number": "81"})) == 200
    assert ask(stub, "GET", "/customer/81") == 200


def test_a_created_project_is_answered_with_its_record(stub: StubProcess) -> None:
    """The connector takes nothing else for a yes: the project would be looked up again."""
    status, body = answer_to(stub, "POST", "/project", json.dumps({"Number": "P1"}))
    record = wire.decoded(body, wire.PROJECT)
    assert (status, record and record.number) == (200, "P1")


def test_reads_are_kept_beside_writes(stub: StubProcess) -> None:
    stub.order(Orders(reset=True, keep_arrivals=True))
    ask(stub, "GET", "/project/P1")
    ask(stub, "POST", "/project", json.dumps({"Number": "P1"}))
    found = [(one.key, one.write) for one in stub.seen().arrivals]
    assert found == [("/api/v1/project/P1", False), ("/api/v1/project/P1", True)]


def test_a_delay_that_is_changed_holds_for_the_next_call(stub: StubProcess) -> None:
    """A queue of answers in order of time would otherwise wait for the longest of them."""
    import socket

    stub.order(Orders(delay_ms=3_600_000))
    with socket.create_connection(("127.0.0.1", stub.port), timeout=10) as stuck:
        stuck.sendall(b"GET /api/v1/customer/1 HTTP/1.1\r\n\r\n")
        while not stub.seen().report.reads:
            pass
        stub.order(Orders(delay_ms=1))
        assert ask(stub, "GET", "/customer/7") == 200


def test_companies_are_treated_by_their_rules(stub: StubProcess) -> None:
    rules = {
        "refused": Rule(refuses=True),
        "broken": Rule(broken=True),
        "busy": Rule(per_second=0.0),
    }
    stub.order(Orders(rules=rules))
    found = [ask(stub, "PUT", "/customer/7", "{}", company) for company in (*rules, "other")]
    assert found == [400, 503, 429, 200]
