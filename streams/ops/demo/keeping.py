"""`--keep`: the demo goes on in a process of its own, which stops everything when it is told to.

The guards that end what was started when its owner ends stay in force: the owner is this process.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

PID_FILE: Final = "demo.pid"
LOG_FILE: Final = "demo.log"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Tell = Callable[[int], None]


def run_apart(directory: Path, work: Callable[[Tell], int]) -> int:
    """Run `work` in a process that outlives this one; returns the code that it tells, or ends with.

    `work` calls its argument with the exit code when there is nothing more to be shown, and
    returns its code when the process shall end. Call before any thread or event loop is started.
    Signals that come while it is waited for are passed on.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _be_apart(directory, writer, work)
    os.close(writer)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(pid, number)

    for number in _SIGNALS:
        signal.signal(number, pass_on)
    told = os.read(reader, 1)
    if told:
        return told[0]
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def wait_for_end() -> None:
    """Return only by what a signal's handler raises."""
    while True:
        signal.pause()


def keeper_of(directory: Path) -> int | None:
    """The process that still keeps a demo in a directory, None where there is none."""
    try:
        pid = int((directory / PID_FILE).read_text(encoding="ascii"))
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def _be_apart(directory: Path, writer: int, work: Callable[[Tell], int]) -> None:
    """The new process; does not return."""
    code = 1
    try:
        os.setsid()
        _divert_output(directory)
        pid_file = directory / PID_FILE
        pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")

        def tell(number: int) -> None:
            # Whoever waits for our output to end must not wait for ours: close it for good.
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
                stream.close()
            sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
            os.write(writer, bytes([number]))
            os.close(writer)

        code = work(tell)
    finally:
        (directory / PID_FILE).unlink(missing_ok=True)
        os._exit(code)


def _divert_output(directory: Path) -> None:
    """What is started here inherits a file as output; only our own words go on to the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8")
    log = os.open(directory / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(nothing)
