"""What every contender is: a process of its own that reads one topic and writes another."""

import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from streams.local.guarded import GuardedProcess
from streams.settings import PREFIX
from streams.topics import RESULTS

PROJECT: Final = Path(__file__).parents[1]
START_S: Final = 90.0  # a JVM or a Faust app on a busy machine
STOP_S: Final = 15.0
LOOK_AGAIN_S: Final = 0.05
LOG_TAIL: Final = 2_000
_TICKS: Final = os.sysconf("SC_CLK_TCK")
KIBIBYTES_A_MEGABYTE: Final = 1_000_000 / 1024


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a contender is given. `directory` is its own; `stub` is `host:port`."""

    bootstrap: str
    prefix: str
    partitions: int
    stub: str
    companies: int
    in_flight: int
    directory: Path
    environment: dict[str, str]
    customers_topic: str = "moment.customers"

    @property
    def input(self) -> str:
        """The topic that is read."""
        return self.prefix + self.customers_topic

    @property
    def results(self) -> str:
        """The topic that outcomes are written to."""
        return self.prefix + RESULTS

    @property
    def base_url(self) -> str:
        """Where DK+ is."""
        return f"http://{self.stub}/api/v1"


class Contender(Protocol):
    """One way to do the mission. `guarantees`: what it promises, in some words."""

    name: str
    guarantees: str

    def refusal(self) -> str | None:
        """Why it cannot run on this machine; None where it can."""

    def start(self, plan: Plan) -> "Running":
        """Start it and wait until it is ready for records. Raises ContenderError."""


class ContenderError(Exception):
    """A contender does not run; the text says why, with the end of its log."""


class Running:
    """The processes of one contender."""

    def __init__(self, processes: Sequence[GuardedProcess], log: Path) -> None:
        self._processes = list(processes)
        self.log = log

    @property
    def pids(self) -> list[int]:
        """The process ids."""
        return [process.pid for process in self._processes]

    def wait(self, ready: Callable[[], bool], seconds: float = START_S) -> "Running":
        """Wait until it is ready; ends it and raises ContenderError where it is not in time."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline or not self.alive:
                self.kill()
                raise ContenderError(f"it does not start:\n{self.log_tail()}")
            time.sleep(LOOK_AGAIN_S)
        return self

    @property
    def alive(self) -> bool:
        """Whether every process still runs."""
        return all(process.exit_code is None for process in self._processes)

    def log_tail(self) -> str:
        """The end of its log, and where the log is."""
        said = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return f"{said[-LOG_TAIL:]}\n({self.log})"

    def pause(self) -> None:
        """SIGSTOP, while its topic is filled."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            if process.exit_code is None:
                os.killpg(process.pid, number)

    def cpu_seconds(self) -> float:
        """Processor time of all processes so far, user and system, their threads included."""
        return sum(_cpu_seconds(pid) for pid in self.pids)

    def peak_megabytes(self) -> float:
        """The most memory that the largest of them has held."""
        return max(_status(pid, "VmHWM") for pid in self.pids)

    def stop(self) -> None:
        """End it in good order; kill what does not end in time."""
        for process in self._processes:
            process.stop(STOP_S)

    def kill(self) -> None:
        """SIGKILL to all of them."""
        for process in self._processes:
            process.kill()


def environment_of(environ: Mapping[str, str], **settings: str) -> dict[str, str]:
    """The environment of a process of ours: none of the caller's settings, only these."""
    kept = {name: value for name, value in environ.items() if not name.startswith(PREFIX)}
    path = os.pathsep.join(filter(None, (str(PROJECT), environ.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": path, **{PREFIX + name: v for name, v in settings.items()}}


def _cpu_seconds(pid: int) -> float:
    # The name of the process may hold blanks and brackets: what counts stands after the last one.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _status(pid: int, name: str) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    for line in text.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / KIBIBYTES_A_MEGABYTE
    return 0.0
