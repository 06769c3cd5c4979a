"""The short form of the soak: five minutes of what `make soak` does for an hour."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ops.running import started

pytestmark = pytest.mark.kafka

DEADLINE_S = 720.0  # a busy machine takes three times as long to start and to come to rest
SHORT = ("--minutes", "5", "--rate", "5", "--seed", "4")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory: Path = tmp_path_factory.mktemp("soak")
    with started(directory, "soak", *SHORT, "--json") as process:
        try:
            out, err = process.communicate(timeout=DEADLINE_S)
        except BaseException:
            process.kill()
            raise
    assert out, err
    return {**json.loads(out), "exit": process.returncode}


def test_nothing_grows_and_everything_is_settled(report: Any) -> None:
    assert (report["violations"], report["flat"], report["exit"]) == ([], True, 0)


def test_it_has_measured_both_workers_under_load_and_faults(report: Any) -> None:
    whats = {one["what"] for one in report["judged"]}
    assert whats == {"ledger a delivery"} | {
        f"worker-{n} {what}"
        for n in (1, 2)
        for what in ("memory", "file descriptors", "threads", "tasks")
    }
    assert report["events"] > 1_000
    assert report["faults"] > 100
    assert report["samples"] >= 30
    memory = next(one for one in report["judged"] if one["what"] == "worker-1 memory")
    assert memory["first"] > 20, "MiB of a process that runs Python"
