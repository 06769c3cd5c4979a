"""One simulated worker process: the real dispatch, ingest and outbox, on simulated surroundings.

What it does runs through `gate`, step by step: before each one the process may end or sleep.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Protocol, cast

from connectors.http import HttpSender
from connectors.integrations import Integration, System
from connectors.port import Clock
from connectors.reference_cache import ReferenceCache
from connectors.runner import Runner
from streams.attempts import Performer
from streams.dispatch import Dispatcher
from streams.intake import LedgerIntake
from streams.ledger.engine import Ledger
from streams.ledger.memory import MemoryLedger
from streams.ledger_outbox import LedgerOutbox
from streams.settings import Settings
from streams.simulation.connector import SimulatedConnector
from streams.simulation.kafka import PARTITIONS, Kafka
from streams.simulation.loop import Timeline, Todo, VirtualLoop
from streams.simulation.rules import SimulatedRules
from streams.simulation.wire import Around, SimulatedCredentials, SimulatedHttp
from streams.simulation.worker_ledger import WorkerLedger

EPOCH = datetime(2026, 11, 2, tzinfo=UTC)
FETCH_MOST = 6  # records of one fetch
PUBLISH_MOST = 10


class Host:
    """A machine: its boot and its two clocks."""

    def __init__(self, timeline: Timeline, number: int) -> None:
        self._timeline = timeline
        self.number = number
        self.boots = 1
        self.started_at = -1000.0 * (number + 1)
        self.wall_offset = 0.1 * number

    def reboot(self) -> None:
        """The clock since boot begins anew."""
        self.boots += 1
        self.started_at = self._timeline.now - 5.0

    # -- the `Clock` port -----------------------------------------------------------------------

    def now(self) -> datetime:
        """The wall clock."""
        return EPOCH + timedelta(seconds=self._timeline.now + self.wall_offset)

    def elapsed(self) -> float:
        """Seconds since boot."""
        return self._timeline.now - self.started_at

    @property
    def boot_id(self) -> str:
        """Names the boot."""
        return f"host{self.number}/{self.boots}"


class Surroundings(Around, Protocol):
    """What a worker needs of the world."""

    timeline: Timeline
    ledger: MemoryLedger
    kafka: Kafka
    settings: Settings
    integrations: Mapping[str, Integration]
    companies: Sequence[str]
    prunes: bool

    def system_of(self, integration: str) -> System:
        """Which accounting system it is of, set up or not."""

    def note(self, what: str) -> None:
        """Count something that happened."""

    def strikes(self, worker: "Worker", step: str) -> bool:
        """Whether the worker's next step finds it alive and awake."""

    def wrote(self) -> None:
        """A transaction is on disk."""

    def broke(self, what: str) -> None:
        """Something raised that must not."""

    def joined(self, worker: "Worker") -> None:
        """A worker has given up its lanes and waits for others."""


class Worker:
    """One process, from its start to its end."""

    def __init__(self, world: Surroundings, index: int, life: int, host: Host) -> None:
        self.world = world
        self.index = index
        self.host = host
        self.owner = f"worker{index}.{life}"
        self.random = world.luck(self.owner)
        self.steps = 0
        self.dead = False
        self.asleep = False
        self._backlog: list[Todo] = []
        self.loop = VirtualLoop(  # type: ignore[abstract]  # what is not there is not asked for
            world.timeline, lambda todo: self.gate("", todo)
        )
        self.http = SimulatedHttp(world, self.gate, self._settle_of)
        self.outbox: LedgerOutbox
        self.dispatcher: Dispatcher
        self.intake: LedgerIntake
        self._tasks: list[asyncio.Task[Any]] = []
        self._generation = 0
        self._lanes: frozenset[int] = frozenset()
        self._assignment: tuple[int, frozenset[int]] | None = None
        self._positions: dict[tuple[str, int], int] = {}
        self._told: asyncio.Event
        self._records: asyncio.Event
        self._rows: asyncio.Event
        self.run_inside(self._begin)

    # -- steps ----------------------------------------------------------------------------------

    def gate(self, step: str, todo: Todo) -> None:
        """Do something of this worker's, if it is alive; when it sleeps, later."""
        if self.dead:
            return
        if self.asleep:
            self._backlog.append(lambda: self.gate(step, todo))
            return
        if step:
            self.steps += 1
            if self.world.strikes(self, step):
                if self.asleep:
                    self._backlog.append(lambda: self.gate("", todo))
                return
        todo()
        self.loop.run()

    def run_inside(self, todo: Todo) -> None:
        """Run something that asks for the running loop."""
        self.loop.call_soon(todo)
        self.loop.run()

    def sleep(self) -> None:
        """Stop, as by SIGSTOP."""
        self.asleep = True

    def wake(self) -> None:
        """Go on where it stopped."""
        self.asleep = False
        backlog, self._backlog = self._backlog, []
        for todo in backlog:
            todo()

    def kill(self) -> None:
        """End at once."""
        self.dead = True
        self.http.broken_off()
        self.loop.kill()

    # -- the process ----------------------------------------------------------------------------

    def _begin(self) -> None:
        world = self.world
        ledger = cast("Ledger", WorkerLedger(self, world))
        settings = world.settings
        connector = SimulatedConnector()
        clock: Clock = self.host
        deadlines = {
            System.SPAREBANK1: settings.sparebank1_timeout_s,
            System.DKPLUS: settings.dkplus_timeout_s,
        }
        runners = {
            system: Runner(
                connector,
                cast("HttpSender", self.http),
                SimulatedCredentials(),
                ReferenceCache(clock),
                clock,
                deadline,
            )
            for system, deadline in deadlines.items()
        }
        self._known = world.integrations
        rules = SimulatedRules(lambda: self._known, connector)
        self.dispatcher = Dispatcher(
            ledger=ledger,
            rules=rules,
            settings=settings,
            clock=clock,
            owner=self.owner,
            partitions=PARTITIONS,
            performer=Performer(
                ledger=ledger,
                runners=runners,
                settings=settings,
                clock=clock,
                random=cast("Random", self.random),
            ),
        )
        self.intake = LedgerIntake(
            ledger=ledger,
            integrations=self._by_company,
            partitions=PARTITIONS,
            now=clock.now,
            version="0",
            topic_prefix="",
            woken=self.dispatcher.woken,
            restored=self.dispatcher.restored,
            sought=self.dispatcher.sought,
        )
        self.outbox = LedgerOutbox(ledger, self.owner)
        self._told, self._records, self._rows = (asyncio.Event() for _ in range(3))
        self.dispatcher.set_up(self._known)
        if not world.prunes:
            never = self.host.elapsed()  # an hour before which nothing is pruned
            self.dispatcher._chores._pruner._looked_at = never  # noqa: SLF001 - it has no switch
        for work in (self.dispatcher.run(), self._join(), self._ingest(), self._publish()):
            task = self.loop.create_task(work)
            task.add_done_callback(self._ended)
            self._tasks.append(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        if self.dead or task.cancelled():
            return
        self.world.broke(f"{self.owner} ended: {task.exception()!r}")

    def _by_company(self) -> Mapping[str, Sequence[Integration]]:
        companies: dict[str, list[Integration]] = {one: [] for one in self.world.companies}
        for one in self._known.values():
            companies[one.company].append(one)
        return companies

    def set_up(self) -> None:
        """The file of integrations was read again."""
        self._known = self.world.integrations
        self.dispatcher.set_up(self._known)

    def _settle_of(self, integration: str) -> float:
        settings = self.world.settings
        if self.world.system_of(integration) is System.SPAREBANK1:
            return settings.sparebank1_settle_s
        return settings.dkplus_settle_s

    # -- the group ------------------------------------------------------------------------------

    def rejoin(self) -> None:
        """The group is rebalanced."""
        self._assignment = None
        self._told.set()

    def assign(self, generation: int, lanes: frozenset[int]) -> None:
        """The group tells what is this worker's from now on."""
        self._assignment = (generation, lanes)
        self._told.set()

    def records(self) -> None:
        """There are new records."""
        self._records.set()

    async def _join(self) -> None:
        """As Faust's consumer does it: revoke, join, assign, then seek."""
        while True:
            await self._told.wait()
            self._told.clear()
            if self._assignment is None:
                self._generation = 0
                await self.dispatcher.revoked(self._lanes)
                self.world.joined(self)
                continue
            generation, lanes = self._assignment
            await self.dispatcher.assigned(lanes)
            self._lanes = lanes
            await self._seek(generation, lanes)

    async def _seek(self, generation: int, lanes: frozenset[int]) -> None:
        await asyncio.sleep(self.random.random() * 0.2)
        committed = self.world.kafka.committed_of(lanes)
        behind = await self.intake.resume_at(committed)
        self._positions = {
            place: behind.get(place, max(offset, 0)) for place, offset in committed.items()
        }
        self._generation = generation
        self._records.set()

    async def _ingest(self) -> None:
        while True:
            await self._records.wait()
            self._records.clear()
            fetched = True
            while fetched and self._generation:
                fetched = False
                for place in sorted(self._positions):
                    generation = self._generation
                    fetched = await self._take(place, generation) or fetched
                    if self._generation != generation:
                        break

    async def _take(self, place: tuple[str, int], generation: int) -> bool:
        kafka = self.world.kafka
        position = self._positions[place]
        records = kafka.fetch(place, position, self.random.randint(1, FETCH_MOST))
        if not records:
            return False
        await self.intake.take(records)
        if self._generation == generation:
            following = records[-1].offset + 1
            self._positions[place] = following
            await asyncio.sleep(self.random.random() * 0.1)
            kafka.commit(place, following, generation)
        return True

    # -- the publisher --------------------------------------------------------------------------

    def rows(self) -> None:
        """There may be something to publish."""
        self._rows.set()

    async def _publish(self) -> None:
        while True:
            rows = await self.outbox.unpublished(PUBLISH_MOST)
            if not rows:
                self._rows.clear()
                await self._rows.wait()
                continue
            await asyncio.sleep(self.random.random() * 0.05)
            self.world.kafka.publish(rows)
            await self.outbox.published([row.position for row in rows])
