"""Starts what the demo needs on this machine, and stops whatever it has started."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from streams.local.guarded import GuardedProcess, free_port
from streams.local.kafka_node import KafkaNode
from streams.ops.demo.companies import Kind
from streams.ops.demo.work_files import WorkFiles
from streams.settings import PREFIX

PROGRAM: Final = "moment-sync"
KAFKA: Final = PREFIX + "KAFKA"
PROJECT: Final = Path(__file__).parents[3]  # where `streams` is found, installed or not
START_S: Final = 60.0  # of a simulator or a worker: far above what a busy machine takes
DRAIN_S: Final = 30.0
SIMULATOR_STOP_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.05
LOG_TAIL: Final = 2_000  # characters of a log that stand in an error
KIBIBYTES_A_MEGABYTE: Final = 1_000_000 / 1024

# Short, so that the day ends within the minute; what they mean stands in `moment-sync config`.
WORKER_SETTINGS: Final[Mapping[str, str]] = {
    "TOPIC_PARTITIONS": "6",
    "PARENT_WAIT": "3s",
    "RETRY_BASE": "200ms",
    "RETRY_MAX": "2s",
    "HOLD_PROBE": "1s",
    "HOLD_PROBE_MAX": "5s",
    "BREAKER_OPEN": "2s",
    "SPAREBANK1_TIMEOUT": "10s",
    "DKPLUS_TIMEOUT": "10s",
    "SPAREBANK1_SETTLE": "2s",
    "DKPLUS_SETTLE": "2s",
    "DRAIN": "5s",
}


class DemoError(Exception):
    """Something that the demo needs does not work; the text says what, and where its log is."""


class Machine:
    """Everything that the demo starts. `stop` ends it all, in the opposite order, at any time.

    A cluster that MOMENT_SYNC_KAFKA names is used as it is; topics then have a prefix of this
    run. Synchronous throughout, so that a signal ends whatever is being waited for.
    """

    def __init__(self, directory: Path, run: str, environ: Mapping[str, str]) -> None:
        self.directory = directory
        self.files = WorkFiles(directory)
        self.own_kafka = not environ.get(KAFKA, "").strip()
        self.base_urls: dict[Kind, str] = {}
        self.worker_peak: float | None = None
        self._run = run
        self._environ = environ
        self._node: KafkaNode | None = None
        self._simulators: list[GuardedProcess] = []
        self._worker: GuardedProcess | None = None
        self.settings = self._settings()

    def _settings(self) -> dict[str, str]:
        """The settings of everything that runs here, by the names of their variables."""
        values = {
            "LEDGER": f"sqlite:///{self.files.ledger}",
            "INTEGRATIONS": str(self.files.integrations),
            "GROUP": f"moment-sync-{self._run}",
            "WEB": f"127.0.0.1:{free_port()}",
            **WORKER_SETTINGS,
        }
        found = {PREFIX + name: value for name, value in values.items()}
        if self.own_kafka:
            return found
        found[f"{PREFIX}TOPIC_PREFIX"] = f"{self._run}."
        reach = {name: value for name, value in self._environ.items() if name.startswith(KAFKA)}
        return {**reach, **found}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command of ours that works with this demo."""
        others = {n: v for n, v in self._environ.items() if not n.startswith(PREFIX)}
        path = os.pathsep.join(filter(None, (str(PROJECT), self._environ.get("PYTHONPATH"))))
        return {**others, **self.settings, "PYTHONPATH": path}

    def start_kafka(self, say: Callable[[str], None]) -> None:
        """Start Apache Kafka unless one is given. Raises KafkaUnavailableError."""
        if self.own_kafka:
            self._node = KafkaNode(self.directory / "kafka", say=say)
            self._node.start()
            self.settings[KAFKA] = self._node.bootstrap

    def start_simulators(self) -> None:
        """Start both accounting systems and write down how to integrate with them."""
        self.files.write_simulators()
        logs = {kind: self._start_simulator(kind) for kind in Kind}
        for kind, process in zip(Kind, self._simulators, strict=True):
            self.base_urls[kind] = _told_base_url(process, logs[kind], kind)
        self.files.write_integrations(self.base_urls)

    def _start_simulator(self, kind: Kind) -> Path:
        log = self.directory / f"{kind.value}-simulator.log"
        config = str(self.files.simulator_config(kind))
        words = ("simulate", kind.value, "--port", "0", "--config", config, "--json")
        process = GuardedProcess(_command(*words), log=log, environment=self.environment)
        self._simulators.append(process)
        return log

    @property
    def worker_log(self) -> Path:
        """Where the worker writes."""
        return self.directory / "worker.log"

    def start_worker(self) -> None:
        """Start a worker; it is not ready when this returns."""
        self._worker = GuardedProcess(
            _command("worker"), log=self.worker_log, environment=self.environment
        )

    def check_alive(self) -> None:
        """Raise DemoError where the worker or a simulator has ended by itself."""
        parts = [(self._worker, self.worker_log)]
        logs = (self.directory / f"{kind.value}-simulator.log" for kind in Kind)
        parts += list(zip(self._simulators, logs, strict=False))
        for process, log in parts:
            if process is not None and process.exit_code is not None:
                raise DemoError(f"{log.stem} ended with {process.exit_code}:\n{_tail(log)}")

    def measure_worker(self) -> None:
        """Look at the worker's peak memory, which is gone with the process."""
        if self._worker is not None and self._worker.exit_code is None:
            self.worker_peak = peak_megabytes(self._worker.pid) or self.worker_peak

    def stop_worker(self) -> int | None:
        """Let the worker drain and end; returns its exit code, None where none runs."""
        worker, self._worker = self._worker, None
        if worker is None:
            return None
        worker.stop(DRAIN_S)
        return worker.exit_code

    def stop(self) -> None:
        """End everything that was started. Safe to call again."""
        self.stop_worker()
        while self._simulators:
            self._simulators.pop().stop(SIMULATOR_STOP_S)
        node, self._node = self._node, None
        if node is not None:
            node.stop()


def program_name() -> str:
    """How a person calls our command here: it may lie in an environment that is not active."""
    beside = Path(sys.executable).with_name(PROGRAM)
    if shutil.which(PROGRAM) is not None or not beside.exists():
        return PROGRAM
    near = Path.cwd() in beside.parents
    return str(beside.relative_to(Path.cwd()) if near else beside)


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "streams.ops.cli", *words]


def _told_base_url(process: GuardedProcess, log: Path, kind: Kind) -> str:
    """The address in the one line that a simulator prints when it listens."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        for line in log.read_bytes().splitlines():
            with contextlib.suppress(msgspec.DecodeError, KeyError, TypeError):
                return str(msgspec.json.decode(line)["baseUrl"])
        if process.exit_code is not None:
            break
        time.sleep(LOOK_AGAIN_S)
    raise DemoError(f"the simulator of {kind.value} does not start:\n{_tail(log)}")


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return f"{text[-LOG_TAIL:]}\n({log})"


def peak_megabytes(pid: int) -> float | None:
    """The most memory that a process has held, in megabytes; None where it cannot be known."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / KIBIBYTES_A_MEGABYTE
        return None
    # Elsewhere only what is held now is shown, so the peak is that of the moments looked at.
    with contextlib.suppress(OSError, ValueError):
        shown = subprocess.run(  # noqa: S603
            ["/bin/ps", "-o", "rss=", "-p", str(pid)], check=False, capture_output=True
        )
        return int(shown.stdout) / KIBIBYTES_A_MEGABYTE
    return None


class Interrupted(KeyboardInterrupt):
    """SIGINT, SIGTERM or SIGHUP came; `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end_on_signals() -> None:
    """From now on the main thread raises `Interrupted` when it is told to stop."""

    def told(number: int, _frame: object) -> None:
        for again in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(again, signal.SIG_IGN)  # what was started is being stopped already
        raise Interrupted(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, told)
