"""A soak: steady load and faults for a long time on a real Kafka, and what it does to the workers.

The parts are those of `moment-sync chaos`; nothing is killed here, since a process that was
started again has forgotten what it leaked.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from streams import topics
from streams.kafka_client import KafkaConnection
from streams.ledger.schema import migrate
from streams.local.guarded import GuardedProcess
from streams.ops.chaos import faults
from streams.ops.chaos.load import write_load
from streams.ops.chaos.observing import Simulators
from streams.ops.chaos.odd_worker import CLOCK_FILE, KNOWN_BOOKS
from streams.ops.chaos.processes import (
    WORKER_SETTINGS,
    ChaosError,
    Machine,
    WorkerProcess,
    every_books,
)
from streams.ops.chaos.sending import Sender
from streams.ops.demo.companies import Kind
from streams.ops.soak.judging import Bound, Judged, Point, judge, judge_cost
from streams.ops.soak.sampling import (
    MEBIBYTE,
    LedgerSample,
    WorkerSample,
    of_ledger,
    of_process,
    tasks_of,
)
from streams.settings import PREFIX

WORKERS: Final = 2
RETENTION_S: Final = 30 * 24 * 3600.0
SAMPLES: Final = 240  # over a run, however long; at least two seconds apart
SAMPLE_LEAST_S: Final = 2.0
# Caches fill, Python takes memory from the system, connections are opened. Shorter runs judge less.
WARM_UP_SHARE, WARM_UP_MOST_S = 0.35, 900.0
QUIET_S: Final = 120.0  # for what is open when the last event was sent: faults end then
LOOK_S: Final = 1.0

# Growth that counts as flat over what is judged. Memory: what the allocator keeps moves by some
# MiB; a leak of one kibibyte an event is 18 MiB in an hour at five a second.
MEMORY: Final = Bound(share=0.05, least=8.0)
# Until so many events a worker's caches fill, the largest with the events that it has read last.
# A run whose warm-up is shorter than that can only tell a leak of more than they hold.
CACHES_FULL_EVENTS: Final = 4_500
MEMORY_WHILE_FILLING: Final = Bound(share=0.05, least=24.0)
FILES: Final = Bound(share=0.05, least=16.0)  # connections to accounting systems come and go
THREADS: Final = Bound(share=0.0, least=2.0)
TASKS: Final = Bound(share=0.25, least=4.0)
# A delivery: indexes grow deeper, pages are half full, and a fault costs a row of its own.
LEDGER: Final = Bound(share=0.5, least=2048.0)


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked for."""

    seconds: float
    rate: float  # events a second
    ledger: str
    seed: int


class Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a run came to. `flat` is the verdict; `violations` says in words what was not."""

    flat: bool
    violations: list[str]
    judged: list[Judged]
    events: int
    deliveries: int
    faults: int
    samples: int
    warm_up_seconds: float
    judged_seconds: float
    seconds: float
    ledger: str
    ledger_mib: float
    seed: int


class MeasuredWorker(WorkerProcess):
    """A worker whose pages are read."""

    @property
    def web(self) -> str:
        """Where its pages are: host and port."""
        return self._environment[f"{PREFIX}WEB"]

    def start(self) -> None:
        """Start it; it is not ready when this returns."""
        self.starts += 1
        command = [sys.executable, "-m", "streams.ops.soak.measured_worker", "worker"]
        self._process = GuardedProcess(command, log=self.log, environment=self._environment)


class MeasuredMachine(Machine):
    """The machine of a chaos run, with workers that are measured."""

    measured: list[MeasuredWorker]

    def start_workers(self) -> None:
        """Start them all; they are not ready when this returns."""
        environment = {**self.environment, CLOCK_FILE: str(self.clock), KNOWN_BOOKS: "yes"}
        self.measured = [
            MeasuredWorker(f"worker-{number}", self.directory, environment)
            for number in range(1, WORKERS + 1)
        ]
        self.workers = [*self.measured]
        for worker in self.workers:
            worker.start()


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured at one time, in seconds since the load began."""

    at: float
    workers: dict[str, WorkerSample]
    ledger: LedgerSample


class Soak:
    """One run. `directory` holds all its files; `say` is told how it goes."""

    def __init__(
        self, wish: Wish, directory: Path, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.wish = wish
        self.machine = MeasuredMachine(directory, wish.ledger, WORKERS, environ, known_books=True)
        self._say = say
        self._moments: list[Moment] = []
        self._violations: list[str] = []

    def execute(self) -> Report:
        """Everything from start to verdict.

        Raises KafkaUnavailableError, PostgresUnavailableError, ChaosError, KafkaError, OSError.
        """
        machine, wish = self.machine, self.wish
        machine.start_servers()
        asyncio.run(_create_topics(self._connection))
        migrate(machine.settings[f"{PREFIX}LEDGER"])
        machine.start_simulators({kind: faults.configuration_of(kind, wish.seed) for kind in Kind})
        machine.start_workers()
        self._say(
            f"{WORKERS} workers, {wish.rate:g} events a second for {wish.seconds:g} s, "
            f"seed {wish.seed}, {wish.ledger}"
        )
        return asyncio.run(self._course())

    @property
    def _connection(self) -> KafkaConnection:
        return KafkaConnection(bootstrap=self.machine.kafka.bootstrap)

    async def _course(self) -> Report:
        wish, began = self.wish, time.monotonic()
        planned = write_load(int(wish.rate * wish.seconds), wish.seconds, wish.seed, clearing=True)
        sending = asyncio.create_task(Sender(self._connection, planned).send())
        pause = max(SAMPLE_LEAST_S, wish.seconds / SAMPLES)
        while not sending.done():
            await self._look(time.monotonic() - began)
            await asyncio.wait({sending}, timeout=pause)
        emitted = await sending
        simulators = Simulators(self.machine.simulators, every_books())
        await simulators.see_faults()
        await simulators.no_more_faults()
        left = await self._quiet()
        if left:
            self._violations.append(
                f"{left} deliveries are open {QUIET_S:g} s after the last event"
            )
        return self._report(len(emitted), sum(simulators.met.values()), time.monotonic() - began)

    async def _look(self, at: float) -> None:
        """Take one sample, and see that everybody is still there."""
        found: dict[str, WorkerSample] = {}
        for worker in self.machine.measured:
            pid = worker.pid
            sample = of_process(pid) if pid is not None else None
            if sample is None:
                raise ChaosError(f"{worker.name} has ended ({worker.exit_code}): {worker.log}")
            tasks = await tasks_of(worker.web)
            found[worker.name] = msgspec.structs.replace(sample, tasks=tasks)
        ledger = await asyncio.to_thread(of_ledger, self.machine.settings[f"{PREFIX}LEDGER"])
        self._moments.append(Moment(at=at, workers=found, ledger=ledger))

    async def _quiet(self) -> int:
        """Wait until nothing is open; how much still is."""
        url = self.machine.settings[f"{PREFIX}LEDGER"]
        deadline = time.monotonic() + QUIET_S
        while True:
            left = (await asyncio.to_thread(of_ledger, url)).open
            if not left or time.monotonic() > deadline:
                return left
            await asyncio.sleep(LOOK_S)

    # --- the verdict ---------------------------------------------------------------------------

    def _report(self, events: int, met: int, seconds: float) -> Report:
        warm = min(self.wish.seconds * WARM_UP_SHARE, WARM_UP_MOST_S)
        moments = [one for one in self._moments if one.at >= warm]
        filled = warm * self.wish.rate >= CACHES_FULL_EVENTS
        memory = MEMORY if filled else MEMORY_WHILE_FILLING
        judged = [one for one in _judged(moments, memory) if one is not None]
        violations = [
            *self._violations,
            *(f"{one.what} has grown by {one.growth} {one.unit}" for one in judged if not one.flat),
        ]
        if not judged:
            violations.append("too short to judge anything: give it more minutes")
        last = self._moments[-1].ledger
        return Report(
            flat=not violations,
            violations=violations,
            judged=judged,
            events=events,
            deliveries=last.deliveries,
            faults=met,
            samples=len(moments),
            warm_up_seconds=round(warm, 1),
            judged_seconds=round(moments[-1].at - moments[0].at, 1) if moments else 0.0,
            seconds=round(seconds, 1),
            ledger=self.wish.ledger,
            ledger_mib=round(last.size_bytes / MEBIBYTE, 1),
            seed=self.wish.seed,
        )


def _judged(moments: list[Moment], bound: Bound) -> list[Judged | None]:
    if not moments:
        return []
    found: list[Judged | None] = []
    for name in moments[0].workers:
        of = [(one.at, one.workers[name]) for one in moments]
        tasks: list[Point] = [(at, one.tasks) for at, one in of if one.tasks is not None]
        memory: list[Point] = [(at, one.resident_mib) for at, one in of]
        files: list[Point] = [(at, float(one.files)) for at, one in of]
        threads: list[Point] = [(at, float(one.threads)) for at, one in of]
        found += [
            judge(f"{name} memory", "MiB", memory, bound),
            judge(f"{name} file descriptors", "", files, FILES),
            judge(f"{name} threads", "", threads, THREADS),
            judge(f"{name} tasks", "", tasks, TASKS),
        ]
    taken: list[Point] = [(one.at, float(one.ledger.deliveries)) for one in moments]
    size: list[Point] = [(one.at, float(one.ledger.size_bytes)) for one in moments]
    found.append(judge_cost("ledger a delivery", "bytes", taken, size, LEDGER))
    return found


async def _create_topics(connection: KafkaConnection) -> None:
    report = await topics.create(
        connection,
        topics.TopicNames(),
        partitions=int(WORKER_SETTINGS["TOPIC_PARTITIONS"]),
        replication=1,
        retention_s=RETENTION_S,
    )
    if report.failed:
        raise ChaosError("\n".join(report.failed))
