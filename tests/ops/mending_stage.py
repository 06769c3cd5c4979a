"""A ledger with dead deliveries in it, the command line beside it, and, where Kafka is, a worker.

The worker here is the ledger's own operations and nothing else: it reads the commands topic,
writes down what came, and carries it out.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner, Result

from schemas.failures import Failure
from schemas.wire import Record
from streams.core import conclude
from streams.core.conclude import What
from streams.directory import LiveDirectory
from streams.kafka_client import KafkaConnection
from streams.ledger.commands import RunCommands, commands_operation
from streams.ops.cli import cli
from streams.topics import COMMANDS, TopicNames
from tests.ledger.conftest import play
from tests.ledger.samples import PARTITIONS, REFUSAL, applied, customer, invoice
from tests.ledger.stage import Stage
from tests.ops.running import run

NOWHERE = "127.0.0.1:1"
INTEGRATIONS = """
[[integrations]]
id = "fjord-sb1"
company = "c-1001"
system = "sparebank1"
bank = "sb1ostlandet"
company_key = "3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11"
data = ["customers", "projects", "invoices"]
notify = "regnskap@fjord.example"
language = "nb"

[[integrations]]
id = "fjord-dk"
company = "c-1001"
system = "dkplus"
token_env = "VIK_TOKEN"
sales_person = "web"
data = ["customers", "projects", "invoices"]
notify = "bokhald@vik.example"
language = "is"

[clients.sparebank1]
client_id = "moment"
key_env = "SB1_KEY"
"""
SECRETS = {"VIK_TOKEN": "token-of-vik", "SB1_KEY": "-----BEGIN PRIVATE KEY-----"}


class Place:
    """A directory with a ledger and an integrations file, as the command line finds them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.url = f"sqlite:///{directory / 'ledger.db'}"
        (directory / "integrations.toml").write_text(INTEGRATIONS)

    def settings(self, **more: str) -> dict[str, str]:
        path = str(self.directory / "integrations.toml")
        return {"LEDGER": self.url, "INTEGRATIONS": path, "KAFKA": NOWHERE, **more}

    def play(self, story: Callable[[Stage], Awaitable[None]]) -> None:
        play(self.url, story)

    def ask(self, *arguments: str, code: int = 0) -> Any:
        """The document that a command prints with `--json`; it must end with this code."""
        found = self.invoke(*arguments, "--json")
        assert found.exit_code == code, found.output
        return json.loads(found.stdout)

    def invoke(self, *arguments: str) -> Result:
        settings = {f"MOMENT_SYNC_{name}": value for name, value in self.settings().items()}
        return CliRunner().invoke(cli, arguments, env={**settings, **SECRETS})

    async def run(self, kafka: KafkaConnection, prefix: str, *arguments: str) -> Any:
        """`moment-sync … --json` in a process of its own: exit code and document."""
        settings = self.settings(KAFKA=kafka.bootstrap, TOPIC_PREFIX=prefix)
        with _environment(SECRETS):
            done = await asyncio.to_thread(run, self.directory, *arguments, "--json", **settings)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr


@contextlib.contextmanager
def _environment(given: Mapping[str, str]) -> Any:
    before = dict(os.environ)
    os.environ.update(given)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


async def three_dead(stage: Stage) -> None:
    """Customer 100042 is in the books; invoices 1001 and 1002 of it are dead, and so is 100043."""
    await stage.take(c=customer(), d=customer("100043"), i=invoice(), j=invoice("1002"))
    claimed = await stage.worker.claim()
    await stage.worker.settle(claimed["d"], refused(REFUSAL))
    await stage.worker.settle(claimed["c"], applied("100042"))
    await kill(stage, "i", "j")


async def kill(stage: Stage, *ids: str, failure: Failure = REFUSAL) -> None:
    """Have these refused, whatever else is ready."""
    left = set(ids)
    for _ in range(10):
        for name, claimed in (await stage.worker.claim()).items():
            await stage.worker.settle(claimed, refused(failure))
            left.discard(name)
        if not left:
            return
    raise AssertionError(f"never sent: {left}, {stage.states()}")


def refused(failure: Failure) -> conclude.Result:
    return conclude.Result(what=What.REFUSED, failure=failure)


@contextlib.asynccontextmanager
async def working(
    stage: Stage,
    kafka: KafkaConnection,
    names: TopicNames,
    settle: conclude.Result | None = None,
) -> AsyncIterator[list[Record]]:
    """A worker beside the block: yields the commands that it has read, as they come."""
    read: list[Record] = []
    task = asyncio.create_task(_work(stage, kafka, names, read, settle))
    try:
        yield read
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _work(
    stage: Stage,
    kafka: KafkaConnection,
    names: TopicNames,
    read: list[Record],
    settle: conclude.Result | None,
) -> None:
    directory = LiveDirectory(lambda: stage.integrations, PARTITIONS)
    operation = commands_operation(stage.rules, directory)
    consumer = AIOKafkaConsumer(
        names.full(COMMANDS),
        **kafka.client_options(),
        auto_offset_reset="earliest",
        group_id=f"{names.prefix}worker",
    )
    await consumer.start()
    try:
        while True:
            for some in (await consumer.getmany(timeout_ms=50)).values():
                records = [_record(one) for one in some]
                read += records
                await stage.intake.take(records)
            item = RunCommands(epochs=dict(stage.worker.epochs), now=stage.now)
            while (await stage.ledger.submit(operation, item)).more:
                pass
            if settle is not None:
                for claimed in (await stage.worker.claim()).values():
                    await stage.worker.settle(claimed, settle)
    finally:
        await consumer.stop()


def _record(one: Any) -> Record:
    return Record(
        topic=COMMANDS,
        partition=one.partition,
        offset=one.offset,
        timestamp_ms=one.timestamp,
        key=one.key,
        value=one.value,
        headers=tuple((name, value) for name, value in one.headers),
    )
