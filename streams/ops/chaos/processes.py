"""Everything that a run starts: Kafka, PostgreSQL, two accounting systems, workers. Synchronous."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.local.guarded import GuardedProcess, free_port
from streams.local.kafka_node import KafkaNode
from streams.local.postgresql_node import PostgresNode
from streams.ops.chaos.odd_worker import CLOCK_FILE, KNOWN_BOOKS
from streams.ops.demo.companies import COMPANIES, Books, Kind
from streams.ops.demo.processes import PROJECT
from streams.ops.demo.work_files import WorkFiles
from streams.settings import PREFIX

GROUP: Final = "chaos"
START_S: Final = 60.0  # of a simulator: far above what a busy machine takes
DRAIN_S: Final = 40.0  # of a worker: its own drain, and what Faust needs to leave
SIMULATOR_STOP_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.05
LOG_TAIL: Final = 2_000  # characters of a log that stand in an error
SESSION_S: Final = 3  # a killed worker's lanes are free again after it
HALF_A_SEGMENT: Final = 8 * 1024 * 1024  # of PostgreSQL's write-ahead log
TABLE: Final = "[[integrations]]"
WITH_PROJECTS: Final = '["customers", "projects", "invoices"]'
WITHOUT_PROJECTS: Final = '["customers", "invoices"]'

# Short, so that in a minute everything happens that otherwise takes a day. The faults of the
# simulators stay below deadline and settle time, as the contracts promise of the real ones.
WORKER_SETTINGS: Final[Mapping[str, str]] = {
    "TOPIC_PARTITIONS": "6",
    "PARENT_WAIT": "5s",
    "RETRY_BASE": "200ms",
    "RETRY_MAX": "2s",
    "HOLD_PROBE": "1s",
    "HOLD_PROBE_MAX": "3s",
    "BREAKER_OPEN": "1s",
    "SPAREBANK1_TIMEOUT": "2s",
    "DKPLUS_TIMEOUT": "2s",
    "SPAREBANK1_SETTLE": "4s",
    "DKPLUS_SETTLE": "4s",
    "DRAIN": "5s",
    "LOG": "json",
    # Faust's own, read by Faust.
    "FAUST_BROKER_SESSION_TIMEOUT": str(SESSION_S),
    "FAUST_BROKER_HEARTBEAT_INTERVAL": "1",
    "FAUST_BROKER_REBALANCE_TIMEOUT": "15",
}


class ChaosError(Exception):
    """Something that a run needs does not work; the text says what, and where its log is."""


class SimulatorProcess:
    """One accounting system on a fixed port, its books on disk. It can be killed and come back."""

    def __init__(self, kind: Kind, directory: Path, environment: Mapping[str, str]) -> None:
        self.kind = kind
        self.port = free_port()
        self.log = directory / f"{kind.value}-simulator.log"
        self.config = directory / f"{kind.value}-simulator.json"
        self.state = directory / f"{kind.value}-books.jsonl"
        self._environment = environment
        self._process: GuardedProcess | None = None

    @property
    def root(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What the integrations file names."""
        return self.root if self.kind is Kind.SPAREBANK1 else f"{self.root}/api/v1"

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Put these members over those in its configuration, its state file among them."""
        config = json.loads(self.config.read_bytes())
        self.config.write_bytes(
            msgspec.json.encode({**config, **changes, "state_path": str(self.state)})
        )

    def start(self) -> None:
        """Start and wait until it listens."""
        words = ("simulate", self.kind.value, "--port", str(self.port), "--config")
        self._process = GuardedProcess(
            command_line(*words, str(self.config), "--json"),
            log=self.log,
            environment=self._environment,
        )
        deadline = time.monotonic() + START_S
        while not _listens(self.port):
            if time.monotonic() > deadline or self._process.exit_code is not None:
                raise ChaosError(
                    f"the simulator of {self.kind.value} is not there:\n{_tail(self.log)}"
                )
            time.sleep(LOOK_AGAIN_S)

    def signal(self, number: int) -> None:
        """Send a signal to it, where it runs."""
        if self._process is not None and self._process.exit_code is None:
            os.kill(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL; what it had answered for is on disk."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def stop(self) -> None:
        """End it in good order."""
        if self._process is not None:
            self._process.stop(SIMULATOR_STOP_S)
            self._process = None

    def written(self) -> int:
        """How many bytes its log of operations has now."""
        return self.state.stat().st_size if self.state.exists() else 0


class WorkerProcess:
    """One worker, with a log and a port of its own; started again as often as is wished."""

    def __init__(self, name: str, directory: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.starts = 0
        web = f"127.0.0.1:{free_port()}"
        self.ready_url = f"http://{web}/readyz"
        self._environment = {**environment, f"{PREFIX}WEB": web}
        self._process: GuardedProcess | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there; it may be stopped or still starting."""
        return self._process is not None and self._process.exit_code is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs, or before it was started."""
        return None if self._process is None else self._process.exit_code

    def start(self) -> None:
        """Start it; it is not ready when this returns."""
        self.starts += 1
        if self._process is not None:
            self._process.kill()  # dismisses the guard of the one before
        command = [sys.executable, "-m", "streams.ops.chaos.odd_worker", "worker"]
        self._process = GuardedProcess(command, log=self.log, environment=self._environment)

    def signal(self, number: int) -> bool:
        """Send a signal to it; False where it does not run."""
        process = self._process
        if process is None or process.exit_code is not None:
            return False
        os.kill(process.pid, number)
        return True

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self.running and self._process is not None else None

    def stop(self) -> None:
        """Let it drain and end; it must not be stopped by SIGSTOP."""
        if self._process is not None:
            self._process.stop(DRAIN_S)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()


class Machine:
    """All processes of a run. `stop` ends whatever was started, at any time."""

    def __init__(
        self,
        directory: Path,
        ledger: str,
        workers: int,
        environ: Mapping[str, str],
        *,
        known_books: bool,
    ) -> None:
        self.directory = directory
        self.clock = directory / "clock"
        self._known_books = known_books
        self.files = WorkFiles(directory)
        # Most of a run would otherwise be waiting for the sessions of killed workers to end.
        shortest = {"group.min.session.timeout.ms": "1000"}
        self.kafka = KafkaNode(directory / "kafka", properties=shortest)
        self.postgresql: PostgresNode | None = None
        self._postgresql_directory: Path | None = None
        if ledger == "postgresql":
            # Apart: a server of root's runs as somebody else, who must be let in.
            self._postgresql_directory = Path(tempfile.mkdtemp(prefix="chaos-postgresql-"))
            self.postgresql = PostgresNode(self._postgresql_directory)
        self._environ = environ
        self.settings: dict[str, str] = {}
        self.simulators: dict[Kind, SimulatorProcess] = {}
        self.workers: list[WorkerProcess] = []
        self._count = workers

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a command of ours that works with this run."""
        others = {n: v for n, v in self._environ.items() if not n.startswith(PREFIX)}
        path = os.pathsep.join(filter(None, (str(PROJECT), self._environ.get("PYTHONPATH"))))
        return {**others, **self.settings, "PYTHONPATH": path}

    def start_servers(self) -> None:
        """Start Kafka and, where it is the ledger, PostgreSQL; make the settings."""
        self.kafka.start()
        url = f"sqlite:///{self.files.ledger}"
        if self.postgresql is not None:
            self.postgresql.start()
            url = self.postgresql.create_database("chaos")
        values = {
            "KAFKA": self.kafka.bootstrap,
            "LEDGER": url,
            "INTEGRATIONS": str(self.files.integrations),
            "GROUP": GROUP,
            **WORKER_SETTINGS,
        }
        self.settings = {PREFIX + name: value for name, value in values.items()}

    def start_simulators(self, changes: Mapping[Kind, Mapping[str, Any]]) -> None:
        """Start both accounting systems, and write down how to integrate with them."""
        self.files.write_simulators()
        for kind in Kind:
            one = SimulatorProcess(kind, self.directory, self.environment)
            one.configure(changes[kind])
            one.start()
            self.simulators[kind] = one
        self.files.write_integrations({kind: one.base_url for kind, one in self.simulators.items()})

    def start_workers(self) -> None:
        """Start them all; they are not ready when this returns."""
        environment = {**self.environment, CLOCK_FILE: str(self.clock)}
        if self._known_books:
            environment[KNOWN_BOOKS] = "yes"
        self.workers = [
            WorkerProcess(f"worker-{number}", self.directory, environment)
            for number in range(1, self._count + 1)
        ]
        for worker in self.workers:
            worker.start()

    def set_clock(self, seconds_ahead: float) -> None:
        """Set the wall clock of all workers forward, or back where it is negative."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{seconds_ahead}", encoding="ascii")
        fresh.replace(self.clock)

    def fill_disk(self) -> None:
        """Let no file of whoever writes the ledger grow, as on a full disk.

        SQLite: beyond the largest that there is now. PostgreSQL: beyond half a log segment, so
        that its own log cannot be written on, as on a full disk. Raises OSError where the system
        does not offer that.
        """
        if self.postgresql is None:
            size = max((path.stat().st_size for path in self.ledger_files()), default=0)
        else:
            size = HALF_A_SEGMENT
        for pid in self._ledger_writers():
            limit_files(pid, size)

    def free_disk(self) -> None:
        """Files may grow again; a server that had to end is started."""
        for _ in range(2):  # again for what was forked in between
            for pid in self._ledger_writers():
                limit_files(pid, None)
        if self.postgresql is not None and not self.postgresql.running:
            self.postgresql.kill()
            self.postgresql.start()

    def _ledger_writers(self) -> list[int]:
        if self.postgresql is None:
            return [worker.pid for worker in self.workers if worker.pid is not None]
        return list(_processes_in(self.postgresql.directory / "data"))

    def ledger_files(self) -> list[Path]:
        """SQLite's files."""
        return sorted(self.directory.glob(f"{self.files.ledger.name}*"))

    def switch(self, integration: str, *, projects: bool) -> None:
        """Switch projects of an integration on or off in the file, and tell the workers."""
        text = self.files.integrations.read_text(encoding="utf-8")
        head, *blocks = text.split(TABLE)
        kinds = WITH_PROJECTS if projects else WITHOUT_PROJECTS
        mine = f'id = "{integration}"\n'
        changed = [
            re.sub(r"data = \[.*\]", f"data = {kinds}", block) if mine in block else block
            for block in blocks
        ]
        fresh = self.files.integrations.with_suffix(".new")
        fresh.write_text(TABLE.join((head, *changed)), encoding="utf-8")
        fresh.replace(self.files.integrations)
        for worker in self.workers:
            worker.signal(signal.SIGHUP)

    def stop(self) -> None:
        """End everything that was started. Safe to call again."""
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
            worker.kill()
        for simulator in self.simulators.values():
            simulator.kill()
        if self.postgresql is not None:
            self.postgresql.stop()
        self.kafka.stop()

    def remove_server_data(self) -> None:
        """Take away what PostgreSQL kept outside the directory of the run."""
        if self._postgresql_directory is not None:
            shutil.rmtree(self._postgresql_directory, ignore_errors=True)


def every_books() -> tuple[Books, ...]:
    """All integrations of a run."""
    return tuple(books for company in COMPANIES for books in company.books)


def command_line(*words: str) -> list[str]:
    """A command of ours, by the Python that runs us."""
    return [sys.executable, "-m", "streams.ops.cli", *words]


def limit_files(pid: int, size: int | None) -> None:
    """Let no file of a process grow beyond `size` bytes; None: as large as may be.

    Done as the process's own user, who alone may: a server of root's runs as somebody else.
    Raises OSError where the system does not offer that.
    """
    soft = "unlimited" if size is None else str(size)
    try:
        owner = Path(f"/proc/{pid}").stat().st_uid
    except FileNotFoundError:
        return  # it has ended
    subprocess.run(  # noqa: S603 - our own words
        ["/usr/bin/prlimit", "--pid", str(pid), f"--fsize={soft}:unlimited"],
        check=False,
        capture_output=True,
        user=owner if owner != os.getuid() else None,
    )


def _processes_in(directory: Path) -> Iterator[int]:
    """The processes whose working directory this is: a server's, and all that it has forked."""
    for place in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if place.name.isdigit() and (place / "cwd").readlink() == directory:
                yield int(place.name)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _tail(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return f"{text[-LOG_TAIL:]}\n({log})"
