"""What is done to the system while it works: done at its time, by plan, and written down."""

import asyncio
import random
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError

from schemas.commands import CommandKind
from streams.ops.chaos.acts import POWER_CUT, Act
from streams.ops.chaos.commanding import Operator, Wanted
from streams.ops.chaos.ledger_copies import LedgerCopies
from streams.ops.chaos.processes import Machine, WorkerProcess
from streams.ops.chaos.record import Mischief
from streams.ops.demo.companies import Kind

_JUMPS_S: Final = (-90_000.0, -3_600.0, 7_200.0, 90_000.0)  # how far a wall clock is set wrong
LOOK_AGAIN_S: Final = 0.2
# Acts that nothing else is done beside.
_ALONE: Final = frozenset({"copy", "restore"})


class Mischiefs:
    """Does the acts of a plan, side by side but for a restore, and keeps the workers running.

    `switched`: the integration whose projects are switched off and on.
    """

    def __init__(
        self,
        machine: Machine,
        operator: Operator,
        switched: str,
        seed: int,
        say: Callable[[str], None],
    ) -> None:
        self._machine = machine
        self._operator = operator
        self._switched = switched
        self._chance = random.Random(f"targets/{seed}")  # noqa: S311
        self._say = say
        self._began = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = asyncio.Lock()  # while a ledger is put back nobody starts a worker
        self._servers = {name: asyncio.Lock() for name in ("kafka", "postgresql", *Kind)}
        self._copies = LedgerCopies(machine)
        self._copied: tuple[float, Mapping[str, int]] = (0.0, {})
        self._killed: dict[str, int] = {}  # the life of each worker that was ended by SIGKILL
        self.done: list[Mischief] = []
        self.trouble: BaseException | None = None

    async def run(self, acts: Sequence[Act]) -> None:
        """Do them all, each at its time. Raises what an act raises."""
        self._began = time.monotonic()
        for act in acts:
            await asyncio.sleep(max(0.0, self._began + act.at - time.monotonic()))
            if act.kind in _ALONE:
                await self.settle()
                await self._acts()[act.kind](act)
                # What comes after it keeps its distance, however long this took.
                self._began += max(0.0, time.monotonic() - self._began - act.at)
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

    async def resync(self) -> None:
        """Bring over what came while a data type was switched off. Raises KafkaError."""
        await self._send(self._operator.about(CommandKind.RESYNC, self._switched))

    async def _one(self, act: Act) -> None:
        try:
            await self._acts()[act.kind](act)
        except Exception as error:  # told when everything has settled
            self.trouble = error

    def _acts(self) -> Mapping[str, Callable[[Act], Awaitable[None]]]:
        return {
            "worker-kill": self._kill_worker,
            "worker-term": self._term_worker,
            POWER_CUT: self._cut_power,
            "worker-stop": self._stop_worker,
            "broker-kill": self._kill_broker,
            "database-kill": self._kill_database,
            "simulator-kill": self._kill_simulator,
            "simulator-stop": self._stop_simulator,
            "disk-full": self._fill_disk,
            "clock-jump": self._jump,
            "command": self._command,
            "switch-off": self._switch,
            "switch-on": self._switch,
            "copy": self._copy_ledger,
            "restore": self._restore_ledger,
        }

    def _note(self, kind: str, target: str = "", seconds: float = 0.0) -> None:
        self.done.append(Mischief(at=time.time(), kind=kind, target=target, seconds=seconds))
        length = f" for {seconds:.1f} s" if seconds else ""
        self._say(f"{time.monotonic() - self._began:6.1f} s  {kind} {target}{length}")

    # --- workers ------------------------------------------------------------------------------

    async def _running(self, least: int) -> list[WorkerProcess]:
        """Those that run and were not killed a moment ago, once they are so many."""
        while True:
            running = [
                worker
                for worker in self._machine.workers
                if worker.running and self._killed.get(worker.name) != worker.starts
            ]
            if len(running) >= least:
                return running
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _kill_worker(self, _act: Act) -> None:
        self._kill(self._chance.choice(await self._running(1)))

    def _kill(self, worker: WorkerProcess) -> None:
        self._note("worker-kill", worker.name)
        self._killed[worker.name] = worker.starts
        worker.signal(signal.SIGKILL)

    async def _term_worker(self, act: Act) -> None:
        worker = self._chance.choice(await self._running(1))
        self._note(act.kind, worker.name)
        worker.signal(signal.SIGTERM)

    async def _cut_power(self, _act: Act) -> None:
        for worker in await self._running(len(self._machine.workers)):
            self._kill(worker)

    async def _stop_worker(self, act: Act) -> None:
        worker = self._chance.choice(await self._running(1))
        self._note(act.kind, worker.name, act.seconds)
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(act.seconds)
        worker.signal(signal.SIGCONT)

    async def _jump(self, act: Act) -> None:
        ahead = self._chance.choice(_JUMPS_S)
        self._note(act.kind, f"{ahead:+.0f} s", act.seconds)
        self._machine.set_clock(ahead)
        await asyncio.sleep(act.seconds)
        self._machine.set_clock(0.0)

    # --- operators ----------------------------------------------------------------------------

    async def _command(self, _act: Act) -> None:
        await self._send(self._operator.choose())

    async def _send(self, wanted: Wanted) -> None:
        """Send it; where no word comes back it may have been taken, and is noted as unsure."""
        kind = f"command-{wanted.kind.value}"
        try:
            await self._operator.send(wanted)
        except (KafkaError, OSError):
            kind += "-unsure"
        self._note(kind, wanted.target)

    async def _switch(self, act: Act) -> None:
        self._note(act.kind, self._switched)
        await asyncio.to_thread(
            self._machine.switch, self._switched, projects=act.kind == "switch-on"
        )

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

    async def _fill_disk(self, act: Act) -> None:
        async with self._servers["postgresql"]:
            self._note(act.kind, "of the ledger", act.seconds)
            await asyncio.to_thread(self._machine.fill_disk)
            await asyncio.sleep(act.seconds)
            await asyncio.to_thread(self._machine.free_disk)

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
        self._copied = (time.time(), self._logs())
        await asyncio.to_thread(self._copies.make)
        self._note(act.kind, "ledger")

    async def _restore_ledger(self, act: Act) -> None:
        if not self._copies.any:
            return
        copied_at, logs_then = self._copied
        async with self._starting:
            await asyncio.to_thread(self._copies.put_back)
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
