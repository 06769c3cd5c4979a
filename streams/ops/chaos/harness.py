"""A run: start everything, send, do mischief, let it come to rest, read everything, judge."""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from streams import topics
from streams.kafka_client import KafkaConnection
from streams.ledger.schema import migrate
from streams.ops.chaos import faults
from streams.ops.chaos.acts import KILLS, plan
from streams.ops.chaos.allowances import Allowances
from streams.ops.chaos.books_log import read_operations
from streams.ops.chaos.checker import check
from streams.ops.chaos.commanding import Operator
from streams.ops.chaos.load import write_load
from streams.ops.chaos.mischief import Mischiefs
from streams.ops.chaos.observing import Listener, Simulators, listening
from streams.ops.chaos.processes import (
    WORKER_SETTINGS,
    ChaosError,
    Machine,
    every_books,
)
from streams.ops.chaos.record import (
    Emitted,
    EventKey,
    History,
    Summary,
    Verdict,
    as_lines,
)
from streams.ops.chaos.sending import Sender
from streams.ops.chaos.watching import Watcher
from streams.ops.demo.companies import Kind
from streams.ops.demo.observing import wait_until_ready
from streams.settings import PREFIX

RETENTION_S: Final = 30 * 24 * 3600.0
EMIT_SHARE: Final = 0.8  # of the time: the rest is mischief over what is still open
WORKERS: Final = (2, 4)
# Every so manieth seed has books that are new to the workers, who then look up every booking.
KNOWN_BOOKS_EVERY: Final = 3
# When nothing more has been settled for so long it is given up on. What lost its worker between
# a commit and its answer is looked up after 330 s (`streams/ledger/orphans.py`), the longest wait.
STALLED_S: Final = 450.0
TELL_EVERY_S: Final = 15.0
LOOK_S: Final = 3.0
MANY_EVENTS: Final = 10_000  # from there on faults are rarer, and still hundreds of each kind
SHARE_OF_MANY: Final = 0.4
READY_S: Final = 90.0  # of a worker, when all start at once: far above what a busy machine takes
# Nothing new for so long after the last outcome that was expected: longer than deadline and
# settle time together, so that what came twice is seen to.
SILENCE_S: Final = 6.0


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is asked for."""

    seconds: float
    kills: int
    events: int
    ledger: str
    seed: int


class Run:
    """One run on one machine. `directory` holds all its files; `say` is told how it goes."""

    def __init__(
        self, wish: Wish, directory: Path, environ: Mapping[str, str], say: Callable[[str], None]
    ) -> None:
        self.wish = wish
        chance = random.Random(f"workers/{wish.seed}")  # noqa: S311 - the same for the same seed
        self.machine = Machine(
            directory,
            wish.ledger,
            chance.randint(*WORKERS),
            environ,
            known_books=wish.seed % KNOWN_BOOKS_EVERY != 0,
        )
        self._directory = directory
        self._say = say
        self._began = time.monotonic()
        self._quiet_s = 0.0

    def execute(self) -> Summary:
        """Everything from start to verdict.

        Raises KafkaUnavailableError, PostgresUnavailableError, ChaosError, KafkaError, OSError.
        """
        wish, machine = self.wish, self.machine
        self._say(f"seed {wish.seed}, {wish.ledger}; files and logs are in {self._directory}")
        machine.start_servers()
        asyncio.run(_create_topics(self._connection))
        migrate(machine.settings[PREFIX + "LEDGER"])
        share = SHARE_OF_MANY if wish.events > MANY_EVENTS else 1.0
        machine.start_simulators(
            {kind: faults.configuration_of(kind, wish.seed, share) for kind in Kind}
        )
        machine.start_workers()
        self._say(f"{len(machine.workers)} workers and both accounting systems are started")
        return asyncio.run(self._course())

    @property
    def _connection(self) -> KafkaConnection:
        return KafkaConnection(bootstrap=self.machine.kafka.bootstrap)

    async def _course(self) -> Summary:
        wish, machine = self.wish, self.machine
        sqlite = machine.postgresql is None
        workers = len(machine.workers)
        for worker in machine.workers:
            if not await wait_until_ready(worker.ready_url, READY_S, lambda: None):
                raise ChaosError(f"{worker.name} is not ready; its log is {worker.log}")
        acts = plan(wish.kills, wish.seconds, wish.seed, workers=workers, sqlite=sqlite)
        restores = any(act.kind == "restore" for act in acts)
        planned = write_load(
            wish.events, wish.seconds * EMIT_SHARE, wish.seed, clearing=not restores
        )
        names = [books.id for books in every_books()]
        switched = names[wish.seed % len(names)]
        watcher = Watcher(self._connection)
        operator = Operator(self._connection, watcher, names, wish.seed)
        mischiefs = Mischiefs(machine, operator, switched, wish.seed, self._say)
        simulators = Simulators(machine.simulators, every_books())
        stopping = asyncio.Event()
        watching = asyncio.create_task(mischiefs.watch(stopping=stopping))
        sender = Sender(self._connection, planned)
        sending = asyncio.create_task(sender.send())
        beside = [
            asyncio.create_task(watcher.run()),
            asyncio.create_task(self._tell(sender, watcher, mischiefs, simulators)),
        ]
        await mischiefs.run(acts)
        emitted = await sending
        for task in beside:
            task.cancel()
        await asyncio.wait(beside)
        await simulators.see_faults()
        await simulators.no_more_faults()
        if any(act.kind == "switch-on" for act in acts):
            await mischiefs.resync()
        self._say(f"{len(emitted)} events are sent; waiting until it is quiet")
        ended = time.monotonic()
        allowed = Allowances(mischiefs.done)
        optional = {
            (one.event, name)
            for one in emitted
            for name in one.fates
            if allowed.may_have_none(one, name)
        }
        async with listening(self._connection) as listener:
            quiet = await self._quiet(listener, emitted, optional)
            self._quiet_s = time.monotonic() - ended
            stopping.set()
            await watching
            for worker in machine.workers:
                await asyncio.to_thread(worker.stop)
            await listener.to_the_end()
        history = History(
            integrations=every_books(),
            emitted=emitted,
            told=listener.told,
            books=await simulators.books(),
            operations=read_operations(
                {kind: one.state for kind, one in machine.simulators.items()}, every_books()
            ),
            noted=await simulators.noted(),
            mischief=mischiefs.done,
            quiet=quiet,
        )
        self._write_down(history)
        verdict = check(history)
        return self._summary(history, listener, verdict, dict(simulators.met))

    async def _tell(
        self, sender: Sender, watcher: Watcher, mischiefs: Mischiefs, simulators: Simulators
    ) -> None:
        """Say now and then how far it is; what was met by a simulator dies with it."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            with contextlib.suppress(ChaosError):
                await simulators.see_faults()
            kills = sum(one.kind in KILLS for one in mischiefs.done)
            self._say(
                f"{time.monotonic() - self._began:6.1f} s  {sender.sent} of {sender.all} sent, "
                f"{watcher.settled} deliveries settled, {kills} of {self.wish.kills} kills, "
                f"{sum(simulators.met.values())} faults met"
            )

    async def _quiet(
        self, listener: Listener, emitted: list[Emitted], optional: set[tuple[EventKey, str]]
    ) -> bool:
        """Wait for every outcome that must come, and then for silence.

        One that need not come must all the same where a first word of it has been told.
        """
        wanted = {(one.event, name) for one in emitted for name in one.fates}
        told = moved = time.monotonic()
        before = len(wanted)
        while time.monotonic() - moved < STALLED_S:
            await listener.poll()
            if time.monotonic() - told < LOOK_S:
                continue
            told = time.monotonic()
            wanted -= listener.settled
            if len(wanted) != before:
                before, moved = len(wanted), told
            silent = told - listener.newest > SILENCE_S
            left = len(wanted) - len((wanted & optional) - listener.told_of)
            if silent and not left:
                return True
            self._say(f"{left} deliveries are not settled yet")
        return False

    def _write_down(self, history: History) -> None:
        """The whole history, for whoever has to find out what went wrong."""
        for name in ("emitted", "told", "operations", "noted", "mischief"):
            path = self._directory / f"history-{name}.jsonl"
            path.write_bytes(as_lines(getattr(history, name)))
        books = msgspec.json.encode(history.books)
        (self._directory / "history-books.json").write_bytes(books)

    def _summary(
        self, history: History, listener: Listener, verdict: Verdict, met: dict[str, int]
    ) -> Summary:
        mischief = Counter(one.kind for one in history.mischief)
        kills = {kind: count for kind, count in sorted(mischief.items()) if kind in KILLS}
        outcomes = listener.outcomes()
        return Summary(
            events=len(history.emitted),
            kills=sum(kills.values()),
            kills_by_kind=kills,
            deliveries=len(listener.settled),
            written=len(history.operations),
            workers=len(self.machine.workers),
            quiet_seconds=round(self._quiet_s, 1),
            **msgspec.structs.asdict(verdict),
            ledger=self.wish.ledger,
            seed=self.wish.seed,
            seconds=round(time.monotonic() - self._began, 1),
            mischief=dict(sorted(mischief.items())),
            faults=dict(sorted(met.items())),
            outcomes=dict(sorted(outcomes.items())),
            deadletters=sum(told.topic == topics.DEADLETTERS for told in history.told),
            directory=str(self._directory) if verdict.violations else None,
        )


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
