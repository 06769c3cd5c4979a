"""One, two and four workers that share a ledger on PostgreSQL."""

import os
from typing import Final

from benchmarks.cases.end_to_end import run_drain
from benchmarks.contenders.us import Us
from benchmarks.figures import CaseResult, Goal
from benchmarks.stage import Options, Stage, own_postgresql
from streams.ledger.schema import migrate

TITLE: Final = "1, 2 and 4 workers on PostgreSQL, calls of 50 ms, 300 in flight each"
COUNTS: Final = (1, 2, 4)
IN_FLIGHT: Final = 300
DELAY_MS: Final = 50.0


async def workers(stage: Stage, options: Options) -> CaseResult:
    """Throughput of the same load by more processes: stated against the cores there are."""
    result = CaseResult(case="workers", title=TITLE)
    result.setting |= {"cores": os.cpu_count()}
    result.notes.append(
        "Kafka, PostgreSQL and the stub share the cores with the workers: more of them than cores "
        "show what sharing costs"
    )
    with own_postgresql() as node:
        some = []
        for count in COUNTS:
            url = node.create_database(f"workers_{count}")
            migrate(url)
            some.append(Us(_name(count), workers=count, ledger=url))
        result.goals = [_against_one(count) for count in COUNTS[1:]]
        return await run_drain(stage, options, some, result, in_flight=IN_FLIGHT, delay_ms=DELAY_MS)


def _name(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


def _against_one(count: int) -> Goal:
    return Goal(
        text=f"{count} workers x 1 worker (stated)",
        contender=_name(count),
        figure="events/s",
        limit=0.0,
        at_least=True,
        against=_name(1),
    )
