"""Copies of the ledger, made while everything is at work and put back later. Synchronous."""

import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from streams.local.postgresql_node import PostgresNode
from streams.ops.chaos.processes import ChaosError, Machine, command_line

STANDS_S: Final = 0.5  # what a process that was killed needs until nothing of it is under way
COMMAND_S: Final = 60.0  # far above what a command takes on a busy machine


class LedgerCopies:
    """Copies one run's ledger, and puts the last copy back, as an operator would."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._count = 0
        self._copy: Path | None = None

    @property
    def any(self) -> bool:
        """Whether there is a copy to put back."""
        return self._copy is not None

    def make(self) -> None:
        """SQLite: a snapshot of the disk. PostgreSQL: the files of the server, shut down for it."""
        self._count += 1
        node = self._machine.postgresql
        if node is None:
            to = self._machine.directory / f"ledger-copy-{self._count}"
            self._copy_files(to)
        else:
            to = node.directory / f"copy-{self._count}"
            node.stop()
            _copy_tree(node.directory / "data", to)
            node.start()
        if self._copy is not None:
            shutil.rmtree(self._copy)
        self._copy = to

    def put_back(self) -> None:
        """Kill every worker, put the copy in the ledger's place, and say that it was restored."""
        if self._copy is None:
            return
        for worker in self._machine.workers:
            worker.kill()
        time.sleep(STANDS_S)
        node = self._machine.postgresql
        if node is None:
            for path in self._machine.ledger_files():
                path.unlink()
            for path in self._copy.iterdir():
                shutil.copy2(path, self._machine.directory / path.name)
        else:
            self._put_back_cluster(node, self._copy)
        self._say_restored()

    def _copy_files(self, to: Path) -> None:
        running = [one for one in self._machine.workers if one.signal(signal.SIGSTOP)]
        try:
            to.mkdir()
            for path in self._machine.ledger_files():
                if not path.name.endswith("-shm"):  # shared memory, made anew from the log
                    shutil.copy2(path, to / path.name)
        finally:
            for worker in running:
                worker.signal(signal.SIGCONT)

    @staticmethod
    def _put_back_cluster(node: PostgresNode, copy: Path) -> None:
        node.kill()
        shutil.rmtree(node.directory / "data")
        _copy_tree(copy, node.directory / "data")
        node.start()

    def _say_restored(self) -> None:
        done = subprocess.run(  # noqa: S603 - our own command
            command_line("ledger", "restored"),
            env=self._machine.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )
        if done.returncode != 0:
            raise ChaosError(f"`ledger restored` ended with {done.returncode}:\n{done.stderr}")


def _copy_tree(one: Path, to: Path) -> None:
    """With owners and rights: a server of root's runs as somebody else, and looks at both."""
    done = subprocess.run(  # noqa: S603 - paths of our own
        ["/bin/cp", "-a", str(one), str(to)], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise ChaosError(f"{one} cannot be copied: {done.stderr}")
