"""A run: start everything, send, do mischief, let it come to rest, read everything, judge."""

import asyncio
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
from streams.ops.chaos.books_log import read_operations
from streams.ops.chaos.checker import check
from streams.ops.chaos.load import write_load
from streams.ops.chaos.mischief import KILLS, Mischiefs, plan
from streams.ops.chaos.observing import Listener, Simulators, listening
from streams.ops.chaos.processes import (
    WORKER_SETTINGS,
    ChaosError,
    Machine,
    every_books,
)
from streams.ops.chaos.record import Emitted, History, Summary, Verdict, as_lines
from streams.ops.chaos.sending import send
from streams.ops.demo.companies import Kind
from streams.settings import PREFIX

RETENTION_S: Final = 30 * 24 * 3600.0
EMIT_SHARE: Final = 0.8  # of the time: the rest is mischief over what is still open
WORKERS: Final = (2, 4)
# Every so manieth seed has books that are new to the workers, who then look up every booking.
KNOWN_BOOKS_EVERY: Final = 3
# Far above what a busy machine takes for its last retries, and below what a person waits for.
QUIET_MAX_S: Final = 300.0
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

    def execute(self) -> Summary:
        """Everything from start to verdict.

        Raises KafkaUnavailableError, PostgresUnavailableError, ChaosError, KafkaError, OSError.
        """
        wish, machine = self.wish, self.machine
        self._say(f"seed {wish.seed}, {wish.ledger}; files and logs are in {self._directory}")
        machine.start_servers()
        asyncio.run(_create_topics(self._connection))
        migrate(machine.settings[PREFIX + "LEDGER"])
        machine.start_simulators({kind: faults.configuration_of(kind, wish.seed) for kind in Kind})
        machine.start_workers()
        self._say(f"{len(machine.workers)} workers and both accounting systems are started")
        return asyncio.run(self._course())

    @property
    def _connection(self) -> KafkaConnection:
        return KafkaConnection(bootstrap=self.machine.kafka.bootstrap)

    async def _course(self) -> Summary:
        wish, machine = self.wish, self.machine
        sqlite = machine.postgresql is None
        acts = plan(wish.kills, wish.seconds, wish.seed, sqlite=sqlite)
        restores = any(act.kind == "restore" for act in acts)
        planned = write_load(
            wish.events, wish.seconds * EMIT_SHARE, wish.seed, clearing=not restores
        )
        mischiefs = Mischiefs(machine, wish.seed, self._say)
        stopping = asyncio.Event()
        watching = asyncio.create_task(mischiefs.watch(stopping=stopping))
        sending = asyncio.create_task(send(self._connection, planned))
        await mischiefs.run(acts)
        emitted = await sending
        simulators = Simulators(machine.simulators, every_books())
        met = await simulators.faults_met()
        await simulators.no_more_faults()
        self._say(f"{len(emitted)} events are sent; waiting until it is quiet")
        async with listening(self._connection) as listener:
            quiet = await self._quiet(listener, emitted)
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
        return self._summary(history, listener, verdict, dict(met))

    async def _quiet(self, listener: Listener, emitted: list[Emitted]) -> bool:
        """Wait for every outcome and letter that must come, and then for silence."""
        wanted = {(one.event, name) for one in emitted for name in one.fates}
        deadline = time.monotonic() + QUIET_MAX_S
        told = time.monotonic()
        while time.monotonic() < deadline:
            await listener.poll()
            left = len(wanted - listener.settled)
            if not left and time.monotonic() - listener.newest > SILENCE_S:
                return True
            if time.monotonic() - told > SILENCE_S:
                told = time.monotonic()
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
        outcomes = Counter(outcome.outcome.value for outcome in listener.outcomes())
        return Summary(
            events=len(history.emitted),
            kills=sum(count for kind, count in mischief.items() if kind in KILLS),
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
