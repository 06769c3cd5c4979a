"""A server process that cannot outlive us, not even when we are killed."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# The guard reads a pipe that only we hold open; its end means that we are gone. A parent-death
# signal would not do: it fires when the *thread* that started the child ends.
_GUARD = 'read _; kill -9 "-$1" 2>/dev/null'


class GuardedProcess:
    """A child in a process group of its own, and beside it a guard that kills the group after us.

    Starting does not wait for the server to be usable.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        """Start `command`, its output appended to `log`. Raises OSError when it cannot be."""
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  (our own command, no shell)
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                user=user,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id, which is the group's too."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """SIGKILL to the whole group, as a power cut would. Returns when it is gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._dismiss()

    def stop(self, seconds: float, gently: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, and kill it when it has not within `seconds`."""
        if self._process.poll() is None:
            self._process.send_signal(gently)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def _dismiss(self) -> None:
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
