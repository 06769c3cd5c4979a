"""Every case: its name, what it shows, and how it is run."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from benchmarks.cases import (
    books,
    dead,
    disturbed,
    end_to_end,
    ingest,
    latency,
    mending,
    recovery,
    waiting,
    workers,
)
from benchmarks.figures import CaseResult
from benchmarks.stage import Options, Stage

Run = Callable[[Stage, Options], Awaitable[CaseResult]]


class Case(msgspec.Struct, frozen=True):
    """One case. `run` raises ContenderError where moment-sync itself does not run."""

    title: str
    run: Run


CASES: Final[dict[str, Case]] = {
    "end-to-end": Case(end_to_end.TITLE, end_to_end.three_hundred),
    "end-to-end-1000": Case(end_to_end.TITLE_1000, end_to_end.one_thousand),
    "end-to-end-10ms": Case(end_to_end.TITLE_10, end_to_end.ten_milliseconds),
    "end-to-end-100ms": Case(end_to_end.TITLE_100, end_to_end.hundred_milliseconds),
    "folded": Case(end_to_end.TITLE_FOLDED, end_to_end.folded),
    "offered-load": Case(latency.LOAD, latency.offered_load),
    "idle": Case(latency.IDLE, latency.idle),
    "failing-tenants": Case(disturbed.FAILING, disturbed.failing_tenants),
    "429-storm": Case(disturbed.STORM, disturbed.storm),
    "release": Case(waiting.RELEASE, waiting.release),
    "parked": Case(waiting.GROWTH, waiting.growth),
    "ingest": Case(ingest.TITLE, ingest.ingest),
    "recovery": Case(recovery.TITLE, recovery.recovery),
    "workers": Case(workers.TITLE, workers.workers),
    "books": Case(books.TITLE, books.books),
    "dead-letters": Case(dead.TITLE, dead.dead_letters),
    "console-pages": Case(mending.PAGES, mending.pages),
    "replays": Case(mending.REPLAYS, mending.replay),
}
