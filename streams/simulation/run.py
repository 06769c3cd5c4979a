"""One history from its first event until all has come to rest, and what did not hold."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from streams.ledger.memory import MemoryLedger
from streams.simulation.history import PLANNED_S, History
from streams.simulation.invariants import Violation
from streams.simulation.loop import SpinError
from streams.simulation.rest import at_rest, mend
from streams.simulation.world import World

REST_S = 3_600.0  # an hour: what has not come to rest by then never does
LOOK_EVERY_S = 20.0
STEPS_MAX = 60_000


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a history came to. `faults`: those that came about."""

    steps: int
    violations: tuple[Violation, ...]
    faults: dict[str, str]
    seconds: float  # of simulated time


def play(history: History, ledger: MemoryLedger) -> Report:
    """Run a history on an emptied ledger. Never raises for what the history finds."""
    ledger.clear()
    ledger.moves()
    world = World(history, ledger)
    with _heard(world.broke):
        try:
            _play(world)
        except SpinError:
            world.broke("a worker spins")
        for worker in world.workers.values():
            worker.kill()
    return Report(
        steps=world.steps,
        violations=tuple(world.invariants.found),
        faults=world.used if history.faults is None else dict(history.faults),
        seconds=world.now,
    )


class _Ear(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """An exception that is logged is a bug; other errors are a person's matter."""
        if record.exc_info:
            self._tell(f"{record.getMessage()}: {record.exc_info[1]!r}")


@contextmanager
def _heard(tell: Callable[[str], None]) -> Iterator[None]:
    """Nothing is logged meanwhile; errors are told."""
    ear = _Ear(tell)
    loggers = [logging.getLogger(name) for name in ("streams", "connectors", "schemas")]
    for logger in loggers:
        logger.addHandler(ear)
        logger.propagate = False
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(ear)
            logger.propagate = True


def _play(world: World) -> None:
    found = world.invariants.found
    _until(world, PLANNED_S)
    if found:
        return
    world.calm_down()
    _rest(world)
    if world.history.mend and not found:
        mend(world)
        _rest(world)


def _rest(world: World) -> None:
    """Until nothing is left to do, at most for an hour."""
    end = world.now + REST_S
    left: list[Violation] = []
    while world.now < end:
        _until(world, world.now + LOOK_EVERY_S)
        if world.invariants.found:
            return
        left = at_rest(world)
        if not left:
            return
    world.invariants.found.extend(left)


def _until(world: World, when: float) -> None:
    while not world.invariants.found and world.timeline.step(when):
        if world.steps > STEPS_MAX:
            world.broke("more steps than a history can need")
            return
