"""The whole of it, as a newcomer runs it: from nothing to books that are right."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from streams.kafka_client import KafkaConnection

pytestmark = pytest.mark.kafka

ROOT = Path(__file__).parents[2]
DEADLINE_S = 240.0  # some twenty seconds on an idle machine of two cores
ENDED_S = 30.0
LOOK_AGAIN_S = 0.05
FIELDS = {
    "events",
    "deliveries",
    "outcomes",
    "deadletters",
    "calls",
    "seconds",
    "eventsPerSecond",
    "workerMaxRssMegabytes",
    "violations",
}


def run(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "streams.ops.cli", "demo", *words],
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Without the settings of whoever runs the tests, but for the cluster that they name."""
    found = {n: v for n, v in os.environ.items() if not n.startswith("MOMENT_SYNC_")}
    return {**found, **settings}


def processes_in(directory: Path) -> list[str]:
    """Command lines that name a directory, where the machine can tell."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=ENDED_S).close()
    except OSError:
        return False
    return True


def test_a_day_ends_in_books_that_are_right_and_nothing_is_left_running(tmp_path: Path) -> None:
    """With a Kafka of its own: what `make demo` does."""
    done = run("--json", "--events", "60", "--directory", str(tmp_path / "demo"))
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = done.stdout.splitlines()
    document: dict[str, Any] = json.loads(line)
    assert set(document) == FIELDS
    assert document["violations"] == []
    assert document["outcomes"]["dead"] == 7
    assert document["outcomes"]["manual"] == 2
    assert document["deadletters"] == 13
    assert document["deliveries"] > document["events"]
    assert document["calls"].keys() == {"sparebank1", "dkplus"}
    assert done.stderr == "", "progress is for terminals"
    assert processes_in(tmp_path) == []


def test_what_is_kept_goes_on_until_it_is_told_to_end(
    tmp_path: Path, kafka: KafkaConnection
) -> None:
    """On a cluster that is there: the demo must not wait for anything that it leaves running."""
    directory = tmp_path / "kept"
    words = ("--keep", "--json", "--events", "0", "--directory", str(directory))
    done = run(*words, MOMENT_SYNC_KAFKA=kafka.bootstrap)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads(done.stdout)["kept"]
    host, _, port = kept["settings"]["MOMENT_SYNC_WEB"].rpartition(":")
    try:
        assert kept["settings"]["MOMENT_SYNC_KAFKA"] == kafka.bootstrap
        assert listens(host, int(port)), "the worker is there"
        assert f"kill {kept['pid']}" in done.stderr
        again = run(*words, MOMENT_SYNC_KAFKA=kafka.bootstrap)
        assert again.returncode == 2
        assert f"kill {kept['pid']}" in again.stderr
    finally:
        os.kill(kept["pid"], signal.SIGTERM)
    deadline = time.monotonic() + ENDED_S
    while processes_in(directory) or listens(host, int(port)):
        assert time.monotonic() < deadline, processes_in(directory)
        time.sleep(LOOK_AGAIN_S)


def test_a_demo_that_is_told_to_end_leaves_nothing_behind(tmp_path: Path) -> None:
    """While Kafka starts, since that is the longest wait."""
    directory = tmp_path / "ended"
    process = subprocess.Popen(
        [sys.executable, "-m", "streams.ops.cli", "demo", "--directory", str(directory)],
        cwd=ROOT,
        env=environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + DEADLINE_S
    while not (directory / "kafka" / "kafka.log").exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(LOOK_AGAIN_S)
    process.terminate()
    process.communicate(timeout=ENDED_S)
    assert process.returncode == 128 + signal.SIGTERM
    assert processes_in(directory) == []


def test_a_directory_with_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run("--directory", str(tmp_path))
    assert done.returncode == 2
    assert "holds other files" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
