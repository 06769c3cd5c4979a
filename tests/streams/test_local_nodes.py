"""Servers on this machine: they outlive being killed, and never us."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from streams.local import kafka_node
from streams.local.guarded import GuardedProcess
from streams.local.kafka_node import KafkaNode, KafkaUnavailableError
from streams.local.postgresql_node import PostgresNode

ROOT = Path(__file__).parents[2]
DEADLINE_S = 20.0
PARENT = """
import sys, time
from pathlib import Path
from streams.local.guarded import GuardedProcess
child = GuardedProcess(["sleep", "600"], log=Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(600)
"""


def gone(pid: int) -> bool:
    """No such process, or a dead one that nobody has asked about yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_guarded_process_ends_with_us_however_we_end(tmp_path: Path, how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.send_signal(how)
    deadline = time.monotonic() + DEADLINE_S
    while not gone(child):
        assert time.monotonic() < deadline, "the child is still there"
        time.sleep(0.01)


def test_a_guarded_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"]
    log = tmp_path / "log"
    process = GuardedProcess(command, log=log)
    deadline = time.monotonic() + DEADLINE_S
    while log.read_bytes() != b"up\n":
        assert time.monotonic() < deadline, "it did not start"
        time.sleep(0.01)
    process.stop(0.1)
    assert process.exit_code == -signal.SIGKILL


def test_without_jgo_the_three_ways_out_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jgo", None)
    with pytest.raises(KafkaUnavailableError) as raised:
        kafka_node.class_path()
    for way in ("MOMENT_SYNC_KAFKA", "docker compose up", "Maven repository"):
        assert way in str(raised.value)


def test_a_kafka_that_cannot_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's end stands in the error, and nothing is left running."""
    monkeypatch.setattr(kafka_node, "java_command", lambda: ["/bin/sh", "-c", "echo no; exit 7"])
    monkeypatch.setattr(kafka_node, "class_path", lambda _: "none")
    node = KafkaNode(tmp_path)
    with pytest.raises(KafkaUnavailableError, match="no"):
        node.start(seconds=5)
    assert not node.running


@pytest.mark.postgresql
def test_postgresql_keeps_what_was_committed_when_it_is_killed(
    postgresql_node: PostgresNode, postgresql_url: str
) -> None:
    with psycopg.connect(postgresql_url) as connection:
        connection.execute("create table kept as select 7 as n")
    postgresql_node.restart(kill=True)
    with psycopg.connect(postgresql_url) as connection:
        assert connection.execute("select n from kept").fetchone() == (7,)


@pytest.mark.postgresql
def test_a_test_has_an_empty_database_of_its_own(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        counted = connection.execute("select count(*) from pg_tables where schemaname = 'public'")
        assert counted.fetchone() == (0,)
