"""The command line as a person runs it: a process of its own, in a directory of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Far above what any command here takes, also on a busy machine.
DEADLINE_S = 90.0


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of the tests, with no setting but those given."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("MOMENT_SYNC_")}
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH", "")) if p)
    return {**inherited, "PYTHONPATH": path, **given}


def started(directory: Path, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
    """`moment-sync …`, started. Settings are given without their prefix."""
    return subprocess.Popen(
        [sys.executable, "-m", "streams.ops.cli", *arguments],
        cwd=directory,
        env=environment({f"MOMENT_SYNC_{name}": value for name, value in settings.items()}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    directory: Path, *arguments: str, stdin: str = "", **settings: str
) -> "subprocess.CompletedProcess[str]":
    """`moment-sync …`, to its end."""
    with started(directory, *arguments, **settings) as process:
        try:
            out, err = process.communicate(stdin, timeout=DEADLINE_S)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def end(process: "subprocess.Popen[str]", number: int) -> tuple[int, str]:
    """Send a signal and wait: exit code and what was on stderr."""
    process.send_signal(number)
    try:
        _, err = process.communicate(timeout=DEADLINE_S)
    except BaseException:
        process.kill()
        raise
    return process.returncode, err


def event(data: Mapping[str, Any], kind: str, **changes: Any) -> dict[str, Any]:
    """A structured CloudEvent; a change to None takes an attribute away."""
    whole = {"specversion": "1.0", "id": "e-1", "source": "/moment/crm", "type": kind, "data": data}
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def lines(events: Sequence[Any]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in events)
