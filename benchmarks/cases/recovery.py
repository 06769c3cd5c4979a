"""SIGKILL with 100,000 open deliveries: how long until the next booking."""

import asyncio
import time
from typing import Final

from benchmarks.cases.end_to_end import row, set_up, warm_up
from benchmarks.cluster import Cluster
from benchmarks.contenders.us import Us
from benchmarks.events import new_customers
from benchmarks.figures import CaseResult, Goal
from benchmarks.offsets import ingested
from benchmarks.parked import ledger_of
from benchmarks.rounds import Stand
from benchmarks.stage import COMPANIES, Options, Stage, taken_down
from benchmarks.stub import Orders

TITLE: Final = "SIGKILL with 100,000 open deliveries, then a new worker: first booking"
OPEN: Final = 100_000
IN_FLIGHT: Final = 300
DELAY_MS: Final = 50.0
STUCK_MS: Final = 600_000.0  # calls that do not end before the kill: everything else stays open
TAKEN_S: Final = 600.0  # at most, until all are in the ledger
BOOKED_S: Final = 120.0
LOOK_AGAIN_S: Final = 0.02


async def recovery(stage: Stage, options: Options) -> CaseResult:
    """Kill, start again at once, and wait for the first write at the accounting system."""
    result = CaseResult(case="recovery", title=TITLE)
    count = max(IN_FLIGHT * 2, int(OPEN * options.scale))
    result.setting |= {"open": count, "in flight": IN_FLIGHT, "delay ms": DELAY_MS}
    result.goals = [
        Goal(
            text="first booking within 10 s",
            contender="moment-sync",
            figure="first booking s",
            limit=10,
            at_least=False,
        )
    ]
    async with stage.cluster() as cluster:
        stands = await set_up(stage, cluster, [Us()], IN_FLIGHT, result)
        with taken_down(stands):
            stand = stands[0]
            await warm_up(stage, cluster, stands, customers=COMPANIES)
            await _open(stage, cluster, stand, count)
            for number in range(1, options.runs + 1):
                figures = await _killed(stand)
                row(result, stand).add(figures, {})
                stage.say(f"round {number}: {figures}")
            row(result, stand).add({"peak MB": stand.running.peak_megabytes()}, {})
    return result


async def _open(stage: Stage, cluster: Cluster, stand: Stand, count: int) -> None:
    """Bring events into the ledger while no call ends."""
    stand.stub.order(Orders(delay_ms=STUCK_MS, reset=True))
    url = ledger_of(stand)
    wanted = ingested(url) + count
    begun = time.monotonic()
    await cluster.fill(stand.plan.prefix, new_customers(COMPANIES, count, COMPANIES))
    while ingested(url) < wanted:
        if time.monotonic() - begun > TAKEN_S:
            raise TimeoutError("the events were not taken into the ledger")
        await asyncio.sleep(LOOK_AGAIN_S)
    stage.say(f"{count:,} open after {time.monotonic() - begun:.1f} s")


async def _killed(stand: Stand) -> dict[str, float]:
    stand.running.kill()
    killed = time.time()
    stand.stub.order(Orders(delay_ms=DELAY_MS, reset=True))
    stand.running = stand.contender.start(stand.plan)
    ready = time.time()
    while not stand.stub.seen().report.writes:
        if time.time() - ready > BOOKED_S:
            raise TimeoutError("no booking came after the kill")
        await asyncio.sleep(LOOK_AGAIN_S)
    first = stand.stub.seen().report.first_write_at + DELAY_MS / 1000
    return {"ready s": ready - killed, "first booking s": first - killed}
