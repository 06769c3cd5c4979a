"""One history from its first event until all has come to rest, and what did not hold."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from streams.core.states import State
from streams.ledger.memory import MemoryLedger
from streams.simulation.history import History
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
    seen: dict[str, int] = {}  # what happened, how often
    moves: frozenset[tuple[State, State]] = frozenset()  # the transitions that were taken


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
        seen=world.seen | _at_the_end(ledger),
        moves=frozenset(world.invariants.moves),
    )


_TOTALS = {
    "look-ups of uncertain writes": "SELECT count(*) FROM attempts WHERE kind = 'look-up'",
    "deliveries": "SELECT count(*) FROM deliveries",
    "deliveries replayed": "SELECT count(*) FROM deliveries WHERE replays > 0",
    "deliveries of a resync": "SELECT count(*) FROM deliveries WHERE rewrite",
    "letters": "SELECT count(*) FROM letters",
}


def _at_the_end(ledger: MemoryLedger) -> dict[str, int]:
    """What the ledger holds in the end, where it holds any."""
    found = {name: ledger.rows(query)[0][0] for name, query in _TOTALS.items()}
    return {name: many for name, many in found.items() if many}


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
    _until(world, world.history.seconds, quiet=True)
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
        _until(world, world.now + LOOK_EVERY_S, quiet=True)
        if world.invariants.found:
            return
        left = at_rest(world)
        if not left:
            return
    world.invariants.found.extend(left)


def _until(world: World, when: float, *, quiet: bool = False) -> None:
    """Until a time, or with `quiet` until nothing changes any more."""
    timeline = world.timeline
    while not world.invariants.found and timeline.step(when):
        if quiet and timeline.quiet and not (world.coming and not world.calm):
            return
        if world.steps > STEPS_MAX:
            world.broke("more steps than a history can need")
            return
