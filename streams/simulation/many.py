"""Many histories, on some cores: in stretches of seeds, and told of in the order of the seeds."""

import gc
import multiprocessing
import resource
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from streams.ledger.memory import MemoryLedger
from streams.simulation.drawing import draw, size_of
from streams.simulation.history import History
from streams.simulation.run import play
from streams.simulation.tally import Tally

STRETCH: Final = 100  # histories in one piece: some seconds, so that progress is seen
STRETCHES_A_PROCESS: Final = 1_000  # then a new one takes its place, whatever had gathered in it
COLLECT_AT: Final = 50_000  # objects: histories are all garbage at their end, and none before


class Stretch(msgspec.Struct, frozen=True):
    """Histories of consecutive seeds."""

    first: int
    histories: int


def stretches(first: int, histories: int) -> Iterator[Stretch]:
    """Cut so many histories into stretches."""
    for start in range(first, first + histories, STRETCH):
        yield Stretch(start, min(STRETCH, first + histories - start))


def run_all(some: Iterable[Stretch], jobs: int) -> Iterator[tuple[Stretch, Tally]]:
    """Run stretches on so many processes; they come back in their order.

    With one job they run in this process. Whoever stops asking ends the others.
    """
    if jobs == 1:
        with _little_collecting():
            yield from map(_run, some)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, _begin, maxtasksperchild=STRETCHES_A_PROCESS) as pool:
        yield from pool.imap(_run, some)


def run_these(histories: Iterable[History]) -> Tally:
    """Run histories as they are, here."""
    tally = Tally()
    ledger = _ledger()
    for one in histories:
        tally.count(one, "given", play(one, ledger))
    return tally


def _run(stretch: Stretch) -> tuple[Stretch, Tally]:
    tally = Tally()
    ledger = _ledger()
    before = _cpu_s()
    for seed in range(stretch.first, stretch.first + stretch.histories):
        size = size_of(seed)
        history = draw(seed, size)
        tally.count(history, size.name, play(history, ledger))
    tally.cpu_s = _cpu_s() - before
    return stretch, tally


_KEPT: list[MemoryLedger] = []


def _ledger() -> MemoryLedger:
    """The ledger of this process: its tables are made once."""
    if not _KEPT:
        _KEPT.append(MemoryLedger())
    return _KEPT[0]


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _begin() -> None:
    gc.freeze()
    gc.set_threshold(COLLECT_AT)


@contextmanager
def _little_collecting() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(COLLECT_AT)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def memory_mb() -> float:
    """The most memory that this process, or one that it had, has used."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(kind).ru_maxrss for kind in kinds) / 1024
