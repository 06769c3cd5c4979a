"""A short run of the real thing, once for each kind of ledger: about a minute each."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Most of it is waiting for what was stopped on purpose; a busy machine takes twice as long.
DEADLINE_S = 420.0


def run(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MOMENT_SYNC_")}
    return subprocess.run(
        [sys.executable, "-m", "streams.ops.cli", "chaos", *arguments],
        cwd=tmp_path,
        env={**inherited, "PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


@pytest.mark.kafka
@pytest.mark.parametrize("ledger", ["sqlite", "postgresql"])
def test_a_run_that_kills_all_there_is_loses_and_doubles_nothing(
    tmp_path: Path, ledger: str
) -> None:
    asked = ("--minutes", "0.4", "--kills", "5", "--events", "300", "--seed", "11")
    done = run(tmp_path, *asked, "--ledger", ledger, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["violations"] == []
    assert document["kills"] == sum(document["killsByKind"].values()) == 5
    assert document["events"] >= 300
    assert document["deliveries"] >= 200
    assert document["written"] >= 200
    assert {"copy", "restore", "switch-off", "switch-on", "command-resync"} <= {
        *document["mischief"]
    }
    counts = ("lost", "doubled", "outOfOrder", "withoutFinalOutcome", "doubleFinalOutcome")
    assert {name: document[name] for name in counts} == dict.fromkeys(counts, 0)


def test_a_wrong_ledger_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "--ledger", "paper")
    assert done.returncode == 2
    assert "'sqlite', 'postgresql'" in done.stderr
