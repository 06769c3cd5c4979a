"""Peers in Python: Faust, FastStream, Pyrallel Consumer, each in its own environment."""

import sys
from collections.abc import Callable
from typing import Final

from benchmarks.contender import ContenderError, Plan, Running
from benchmarks.contenders.reference import start_python_worker
from benchmarks.environments import UnavailableError, environment, python_at_least
from streams.ops import console_output as out

FAUST: Final = ("faust-streaming==0.15.3",)
FASTSTREAM: Final = ("faststream[kafka]==0.7.8",)
PYRALLEL: Final = ("pyrallel-consumer==1.0.0", "aiokafka>=0.14,<0.15")


class PythonPeer:
    """A peer whose worker is a module of ours that runs in the peer's own environment."""

    def __init__(
        self,
        name: str,
        guarantees: str,
        module: str,
        packages: tuple[str, ...],
        python: Callable[[], str] = lambda: sys.executable,
    ) -> None:
        self.name = name
        self.guarantees = guarantees
        self._module = module
        self._packages = packages
        self._python = python

    def refusal(self) -> str | None:
        """Why it cannot be had here; makes its environment where there is none."""
        try:
            environment(self.name, self._python(), self._packages, out.say)
        except UnavailableError as error:
            return str(error)
        return None

    def start(self, plan: Plan) -> Running:
        """Start it and wait until it has its partitions."""
        try:
            python = environment(self.name, self._python(), self._packages, out.say)
        except UnavailableError as error:
            raise ContenderError(str(error)) from None
        return start_python_worker(plan, python, self._module)


def faust() -> PythonPeer:
    """Stock Faust: an agent with as much concurrency as calls may be in flight."""
    return PythonPeer(
        "faust",
        "at least once until the first out-of-order ack; order of keys broken by concurrency",
        "benchmarks.contenders.faust_worker",
        FAUST,
    )


def faststream() -> PythonPeer:
    """FastStream: a subscriber with that many workers, acknowledged before the handler runs."""
    return PythonPeer(
        "faststream",
        "at most once (acknowledged first); no order",
        "benchmarks.contenders.faststream_worker",
        FASTSTREAM,
    )


def pyrallel() -> PythonPeer:
    """Pyrallel Consumer: parallel by the hash of the key."""
    return PythonPeer(
        "pyrallel",
        "order of each key, at least once",
        "benchmarks.contenders.pyrallel_worker",
        PYRALLEL,
        lambda: python_at_least((3, 12)),
    )
