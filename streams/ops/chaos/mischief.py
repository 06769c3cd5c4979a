"""What is done to the system while it works: planned by seed, done at its time, written down."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from streams.ops.chaos.processes import Machine, WorkerProcess
from streams.ops.chaos.record import Mischief
from streams.ops.demo.companies import Kind

KILLS: Final = frozenset(
    {"worker-kill", "worker-term", "broker-kill", "database-kill", "simulator-kill"}
)
# Weights: workers most of all.
_KILLS: Final[Mapping[str, int]] = {
    "worker-kill": 6,
    "worker-term": 2,
    "broker-kill": 2,
    "database-kill": 3,
    "simulator-kill": 2,
}
# A worker that stands still: shortly, beyond send-by, beyond the group's session.
_STANDSTILLS_S: Final = (1.0, 6.0, 9.0, 14.0)
# An accounting system that stands still, and is slow besides, must be done within deadline and
# settle time: that is what the settings promise of it. For longer, one is killed.
_LENGTHS_S: Final[Mapping[str, tuple[float, float]]] = {
    "simulator-stop": (0.4, 1.2),
    "disk-full": (1.0, 4.0),
    "clock-jump": (1.0, 5.0),
}
_JUMPS_S: Final = (-90_000.0, -3_600.0, 7_200.0, 90_000.0)  # how far a wall clock is set wrong
_AWAY_S: Final = (0.0, 2.0)  # how long a killed server stays away
_FIRST: Final = 0.06  # of the time: when everything is at work
_LAST: Final = 0.95
_COPY_AT: Final = 0.3  # of the time: when the ledger is copied, and when the copy is put back
_RESTORE_AT: Final = 0.65
LOOK_AGAIN_S: Final = 0.2
STANDS_S: Final = 0.5  # what a process that was killed needs until nothing of it is under way


class Act(msgspec.Struct, frozen=True):
    """Something to be done `at` seconds after the start."""

    at: float
    kind: str
    seconds: float = 0.0


def plan(kills: int, seconds: float, seed: int, *, sqlite: bool) -> list[Act]:
    """`kills` kills, about half as much of everything else, and for SQLite one restore."""
    chance = random.Random(f"mischief/{seed}")  # noqa: S311 - the same for the same seed
    kinds = [kind for kind in _KILLS if kind != "database-kill" or not sqlite]
    weights = [_KILLS[kind] for kind in kinds]
    acts = [
        Act(_at(chance, seconds), kind, chance.uniform(*_AWAY_S))
        for kind in chance.choices(kinds, weights, k=kills)
    ]
    others = ["worker-stop", *(["disk-full"] if sqlite else []), "simulator-stop", "clock-jump"]
    for number in range(max(1, kills // 2) if kills else 0):
        kind = others[number % len(others)]
        acts.append(Act(_at(chance, seconds), kind, _length(kind, chance)))
    if sqlite and kills > 1:
        acts += [Act(_COPY_AT * seconds, "copy"), Act(_RESTORE_AT * seconds, "restore")]
    return sorted(acts, key=lambda act: act.at)


def _at(chance: random.Random, seconds: float) -> float:
    return chance.uniform(_FIRST, _LAST) * seconds


def _length(kind: str, chance: random.Random) -> float:
    if kind == "worker-stop":
        return chance.choice(_STANDSTILLS_S)
    return chance.uniform(*_LENGTHS_S[kind])


class Mischiefs:
    """Does the acts of a plan, side by side but for a restore, and keeps the workers running."""

    def __init__(self, machine: Machine, seed: int, say: Callable[[str], None]) -> None:
        self._machine = machine
        self._chance = random.Random(f"targets/{seed}")  # noqa: S311
        self._say = say
        self._began = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()  # while a ledger is put back nobody starts a worker
        self._servers = {name: asyncio.Lock() for name in ("kafka", "postgresql", *Kind)}
        self._copy: tuple[Path, float, Mapping[str, int]] | None = None
        self.done: list[Mischief] = []
        self.trouble: BaseException | None = None

    async def run(self, acts: Sequence[Act]) -> None:
        """Do them all, each at its time. Raises what an act raises."""
        self._began = time.monotonic()
        for act in acts:
            await asyncio.sleep(max(0.0, self._began + act.at - time.monotonic()))
            if act.kind in {"copy", "restore"}:
                await self.settle()
                await self._acts()[act.kind](act)
                continue
            task = asyncio.create_task(self._one(act))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await self.settle()

    async def settle(self) -> None:
        """Wait until no act is under way."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if self.trouble is not None:
            raise self.trouble

    async def watch(self, *, stopping: asyncio.Event) -> None:
        """Start a worker again whenever one has ended."""
        while not stopping.is_set():
            for worker in self._machine.workers:
                async with self._starting:
                    if not worker.running:
                        self._note("worker-ended", f"{worker.name} with {worker.exit_code}")
                        await asyncio.to_thread(worker.start)
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _one(self, act: Act) -> None:
        try:
            await self._acts()[act.kind](act)
        except Exception as error:  # told when everything has settled
            self.trouble = error

    def _acts(self) -> Mapping[str, Callable[[Act], Awaitable[None]]]:
        return {
            "worker-kill": self._kill_worker,
            "worker-term": self._term_worker,
            "worker-stop": self._stop_worker,
            "broker-kill": self._kill_broker,
            "database-kill": self._kill_database,
            "simulator-kill": self._kill_simulator,
            "simulator-stop": self._stop_simulator,
            "disk-full": self._fill_disk,
            "clock-jump": self._jump,
            "copy": self._copy_ledger,
            "restore": self._restore_ledger,
        }

    def _note(self, kind: str, target: str = "", seconds: float = 0.0) -> None:
        self.done.append(Mischief(at=time.time(), kind=kind, target=target, seconds=seconds))
        length = f" for {seconds:.1f} s" if seconds else ""
        self._say(f"{time.monotonic() - self._began:6.1f} s  {kind} {target}{length}")

    # --- workers ------------------------------------------------------------------------------

    async def _worker(self) -> WorkerProcess:
        """One that runs; after a moment there always is one."""
        while True:
            running = [worker for worker in self._machine.workers if worker.running]
            if running:
                return self._chance.choice(running)
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _kill_worker(self, act: Act) -> None:
        worker = await self._worker()
        self._note(act.kind, worker.name)
        worker.signal(signal.SIGKILL)

    async def _term_worker(self, act: Act) -> None:
        worker = await self._worker()
        self._note(act.kind, worker.name)
        worker.signal(signal.SIGTERM)

    async def _stop_worker(self, act: Act) -> None:
        worker = await self._worker()
        self._note(act.kind, worker.name, act.seconds)
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(act.seconds)
        worker.signal(signal.SIGCONT)

    async def _fill_disk(self, act: Act) -> None:
        """No file of any worker may grow beyond what SQLite's largest has now."""
        workers = [worker for worker in self._machine.workers if worker.running]
        self._note(act.kind, f"{len(workers)} workers", act.seconds)
        size = self._machine.ledger_bytes()
        for worker in workers:
            worker.limit_files(size)
        await asyncio.sleep(act.seconds)
        for worker in workers:
            worker.limit_files(None)

    async def _jump(self, act: Act) -> None:
        ahead = self._chance.choice(_JUMPS_S)
        self._note(act.kind, f"{ahead:+.0f} s", act.seconds)
        self._machine.set_clock(ahead)
        await asyncio.sleep(act.seconds)
        self._machine.set_clock(0.0)

    # --- servers ------------------------------------------------------------------------------

    async def _kill_broker(self, act: Act) -> None:
        async with self._servers["kafka"]:
            self._note(act.kind, "kafka", act.seconds)
            await asyncio.to_thread(self._machine.kafka.kill)
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(self._machine.kafka.start)

    async def _kill_database(self, act: Act) -> None:
        node = self._machine.postgresql
        if node is None:
            return
        async with self._servers["postgresql"]:
            self._note(act.kind, "postgresql", act.seconds)
            await asyncio.to_thread(node.kill)
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(node.start)

    async def _kill_simulator(self, act: Act) -> None:
        kind = self._chance.choice(tuple(Kind))
        async with self._servers[kind]:
            simulator = self._machine.simulators[kind]
            self._note(act.kind, kind.value, act.seconds)
            await asyncio.to_thread(simulator.kill)
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(simulator.start)

    async def _stop_simulator(self, act: Act) -> None:
        """The network to an accounting system is cut: it takes nothing and answers nothing."""
        kind = self._chance.choice(tuple(Kind))
        async with self._servers[kind]:
            simulator = self._machine.simulators[kind]
            self._note(act.kind, kind.value, act.seconds)
            simulator.signal(signal.SIGSTOP)
            await asyncio.sleep(act.seconds)
            simulator.signal(signal.SIGCONT)

    # --- the ledger ---------------------------------------------------------------------------

    async def _copy_ledger(self, act: Act) -> None:
        copy = self._machine.directory / "ledger-copy"
        logs = self._logs()
        at = time.time()
        await asyncio.to_thread(self._machine.copy_ledger, copy)
        self._copy = (copy, at, logs)
        self._note(act.kind, "ledger")

    async def _restore_ledger(self, act: Act) -> None:
        if self._copy is None:
            return
        copy, copied_at, logs_then = self._copy
        async with self._starting:
            for worker in self._machine.workers:
                await asyncio.to_thread(worker.kill)
            await asyncio.sleep(STANDS_S)
            await asyncio.to_thread(self._machine.put_back_ledger, copy)
        self.done.append(
            Mischief(
                at=time.time(),
                kind=act.kind,
                target="ledger",
                forgets_from=copied_at,
                logs_then=logs_then,
                logs_now=self._logs(),
            )
        )
        self._say(f"{time.monotonic() - self._began:6.1f} s  restore ledger")

    def _logs(self) -> dict[str, int]:
        return {kind.value: one.written() for kind, one in self._machine.simulators.items()}
