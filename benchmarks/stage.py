"""Where a run takes place: one Kafka, a directory, and stands that are set up and taken down."""

import contextlib
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from benchmarks.cluster import Cluster
from benchmarks.contender import Contender, Plan, environment_of
from benchmarks.rounds import Stand
from benchmarks.stub_process import Counterpart, StubProcess
from streams.local.kafka_node import KafkaNode
from streams.local.postgresql_node import PostgresNode
from streams.settings import PREFIX

PARTITIONS: Final = 8
COMPANIES: Final = 100
SEED: Final = 7

Say = Callable[[str], None]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller chose. `contenders` empty: all that a case knows."""

    events: int
    runs: int
    contenders: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    profile: Path | None = None
    scale: float = 1.0  # of the large fills: parked, dead, open


class Stage:
    """One Kafka for a whole run. Use as a context manager; everything ends with it."""

    def __init__(self, environ: Mapping[str, str], say: Say, *, keep: bool = False) -> None:
        self.environ = dict(environ)
        self.say = say
        self.directory = Path(tempfile.mkdtemp(prefix="moment-sync-benchmark-"))
        self._keep = keep
        self._node: KafkaNode | None = None
        self._run = secrets.token_hex(3)
        self._stands = 0
        self.bootstrap = ""

    def __enter__(self) -> Self:
        """Start Kafka, unless MOMENT_SYNC_KAFKA names a cluster."""
        given = self.environ.get(f"{PREFIX}KAFKA")
        if given:
            self.bootstrap = given
            return self
        node = KafkaNode(self.directory / "kafka", say=self.say)
        node.start()
        self._node, self.bootstrap = node, node.bootstrap
        return self

    def __exit__(self, *_: object) -> None:
        if self._node is not None:
            self._node.stop()
        if self._keep:
            self.say(f"logs and ledgers are in {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def cluster(self) -> Cluster:
        """A client of the cluster, for one case."""
        return Cluster(self.bootstrap, PARTITIONS)

    def plan(
        self,
        name: str,
        stub: Counterpart,
        directory: Path,
        in_flight: int,
        companies: int = COMPANIES,
    ) -> Plan:
        """What a contender is told. Its topics have a prefix that no other has."""
        return Plan(
            bootstrap=self.bootstrap,
            prefix=f"bench-{self._run}-{self._stands}-{name}.",
            partitions=PARTITIONS,
            stub=stub.host,
            companies=companies,
            in_flight=in_flight,
            directory=directory,
            environment=self.environ,
        )

    def new_directory(self, name: str) -> Path:
        """A directory of its own for one stand."""
        self._stands += 1
        directory = self.directory / f"{self._stands}-{name}"
        directory.mkdir()
        return directory

    async def stand(self, cluster: Cluster, contender: Contender, in_flight: int) -> Stand:
        """Start a contender with a stub and topics of its own. Raises ContenderError."""
        name = re.sub(r"[^a-z0-9]+", "-", contender.name)  # of a topic and a directory
        directory = self.new_directory(name)
        stub = StubProcess(directory / "stub", environment_of(self.environ))
        try:
            plan = self.plan(name, stub, directory / "worker", in_flight)
            await cluster.make_topics(plan.prefix)
            return Stand(contender, plan, stub, contender.start(plan))
        except BaseException:
            stub.stop()
            raise


@contextlib.contextmanager
def taken_down(stands: Sequence[Stand]) -> Iterator[None]:
    """Stop all of them at the end, however it ends."""
    try:
        yield
    finally:
        for stand in stands:
            stand.stop()


@contextlib.contextmanager
def own_postgresql() -> Iterator[PostgresNode]:
    """A PostgreSQL for one case."""
    # Apart from the stage: a server of root's runs as somebody else, who must be let in.
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-postgresql-") as directory,
        PostgresNode(Path(directory)) as node,
    ):
        yield node
