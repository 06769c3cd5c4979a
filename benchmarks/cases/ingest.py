"""Kafka to ledger, without calls: new events and duplicates, beside a bare loop into SQLite."""

import asyncio
import time
from typing import Final

from benchmarks.cases.end_to_end import row, set_up, warm_up
from benchmarks.cluster import Cluster
from benchmarks.contender import Contender
from benchmarks.contenders.bare_ingest import BareIngest
from benchmarks.contenders.us import Us
from benchmarks.events import Event, new_customers
from benchmarks.figures import CaseResult, Goal
from benchmarks.offsets import ingested
from benchmarks.parked import ledger_of
from benchmarks.rounds import Stand
from benchmarks.stage import COMPANIES, Options, Stage, taken_down
from benchmarks.stub import Orders

TITLE: Final = "Ingest: events into the ledger, beside a bare aiokafka loop with executemany"
TIMES: Final = 10  # as many events as other cases have: ingest is that much quicker
IN_FLIGHT: Final = 8  # calls that begin and do not end, so that none is counted in
STUCK_MS: Final = 3_600_000.0
TAKEN_S: Final = 300.0
LOOK_AGAIN_S: Final = 0.005
BARE: Final = "bare loop"


async def ingest(stage: Stage, options: Options) -> CaseResult:
    """Records a second from SIGCONT to the last offset on disk."""
    result = CaseResult(case="ingest", title=TITLE)
    result.goals = [
        Goal(
            text=f"{what} >= 0.6 x the bare loop",
            contender="moment-sync",
            figure=f"{what}/s",
            limit=0.6,
            at_least=True,
            against=BARE,
        )
        for what in ("new", "duplicate")
    ]
    count = options.events * TIMES
    result.setting |= {"events": count}
    some: list[Contender] = [Us(), BareIngest(BARE)]
    async with stage.cluster() as cluster:
        stands = await set_up(stage, cluster, some, IN_FLIGHT, result)
        with taken_down(stands):
            await warm_up(stage, cluster, stands[:1], customers=COMPANIES)
            for stand in stands:
                stand.stub.order(Orders(delay_ms=STUCK_MS, reset=True))
            for number in range(options.runs):
                events = new_customers(COMPANIES + number * count, count, COMPANIES)
                for stand in stands:
                    figures: dict[str, float] = {}
                    for what in ("new", "duplicate"):
                        figures |= await _taken(cluster, stand, events, what)
                    row(result, stand).add(figures, {})
                    stage.say(f"round {number + 1} {stand.name}: {figures}")
    return result


async def _taken(
    cluster: Cluster, stand: Stand, events: list[Event], what: str
) -> dict[str, float]:
    url, running = ledger_of(stand), stand.running
    running.pause()
    try:
        await cluster.fill(stand.plan.prefix, events)
        wanted = ingested(url) + len(events)
        spent = running.cpu_seconds()
    finally:
        running.go_on()
    begun = time.monotonic()
    while ingested(url) < wanted:
        if time.monotonic() - begun > TAKEN_S:
            raise TimeoutError(f"{stand.name} does not take its events in")
        await asyncio.sleep(LOOK_AGAIN_S)
    seconds = time.monotonic() - begun
    spent = running.cpu_seconds() - spent
    return {
        f"{what}/s": len(events) / seconds,
        f"{what} CPU us": spent / len(events) * 1e6,
    }
