"""A great many parked: how soon the first child goes, what they cost, and what they weigh."""

import asyncio
from typing import Final

from benchmarks.cases.end_to_end import DONE, round_of, row, warm_up
from benchmarks.contenders.us import GUARANTEES
from benchmarks.figures import CaseResult, Goal, Row, percentile
from benchmarks.parked import CHILDREN, parent_event, parked_stand
from benchmarks.rounds import drain
from benchmarks.stage import Options, Stage, taken_down
from benchmarks.stub import Orders
from benchmarks.stub_record import Arrival

RELEASE: Final = "Parent applied to first child in flight, with 100,000 parked"
GROWTH: Final = "1,000,000 parked: memory of a worker, and cost of an event as they grow"
PARKED: Final = 100_000
STEPS: Final = (10_000, 100_000, 1_000_000)
SAMPLES: Final = 100  # parents a round
PER_SECOND: Final = 5.0  # parents: their children are sent before the next one comes
DELAY_MS: Final = 50.0
AFTER_S: Final = 2.0  # for the last children


async def release(stage: Stage, options: Options) -> CaseResult:
    """The answer to the parent's creation leaves; how much later comes a child's."""
    result = CaseResult(case="release", title=RELEASE)
    result.goals = [
        Goal(
            text="p99 <= 100 ms",
            contender="moment-sync",
            figure="p99 ms",
            limit=100,
            at_least=False,
        )
    ]
    count = max(int(PARKED * options.scale), SAMPLES * options.runs * CHILDREN * 2)
    result.setting |= {"parked": count, "children of a parent": CHILDREN}
    async with stage.cluster() as cluster:
        stand, seconds = await parked_stand(stage, cluster, count)
        result.notes.append(f"filled in {seconds:.1f} s")
        result.rows.append(Row(contender=stand.name, guarantees=GUARANTEES))
        with taken_down([stand]):
            for number in range(options.runs):
                first = 1 + number * SAMPLES
                events = [parent_event(index) for index in range(first, first + SAMPLES)]
                stand.stub.order(Orders(delay_ms=DELAY_MS, reset=True, keep_arrivals=True))
                await cluster.pace(stand.plan.prefix, events, PER_SECOND)
                await asyncio.sleep(AFTER_S)
                waits, missing = _waits(stand.stub.seen().arrivals, SAMPLES)
                figures = {
                    "p50 ms": percentile(waits or [0.0], 0.5),
                    "p99 ms": percentile(waits or [0.0], 0.99),
                }
                row(result, stand).add(figures, {"parents without a child": missing})
                stage.say(f"round {number + 1}: {figures}")
    return result


def _waits(arrivals: list[Arrival], wanted: int) -> tuple[list[float], int]:
    """Milliseconds from each parent's answer to the first call of a child; how many have none."""
    answered: dict[int, float] = {}
    first: dict[int, float] = {}
    for arrival in arrivals:
        kind, number = arrival.key.rsplit("/", 2)[1:]
        if kind == "customer" and arrival.write:
            answered[int(number) % 100_000_000] = arrival.at + DELAY_MS / 1000
        elif kind == "project":
            first.setdefault(int(number[2:]) // CHILDREN, arrival.at)
    waits = [(first[parent] - at) * 1000 for parent, at in answered.items() if parent in first]
    return waits, wanted - len(waits)


async def growth(stage: Stage, options: Options) -> CaseResult:
    """Healthy traffic beside 10,000, 100,000 and 1,000,000 parked."""
    result = CaseResult(case="parked", title=GROWTH)
    names = {max(CHILDREN * 2, int(step * options.scale)): f"{step:,} parked" for step in STEPS}
    least, *_, most = names.values()
    result.goals = [
        Goal(
            text="CPU an event, 1,000,000 parked <= 1.3 x that with 10,000",
            contender=most,
            figure="CPU us/event",
            limit=1.3,
            at_least=False,
            against=least,
        ),
        Goal(
            text="memory of the worker <= 300 MB",
            contender=most,
            figure="peak MB",
            limit=300,
            at_least=False,
        ),
    ]
    async with stage.cluster() as cluster:
        stands = []
        for count, name in names.items():
            stand, seconds = await parked_stand(stage, cluster, count, name)
            stands.append(stand)
            result.rows.append(Row(contender=name, guarantees=GUARANTEES))
            result.notes.append(f"{name}: filled in {seconds:.1f} s")
        with taken_down(stands):
            await warm_up(stage, cluster, stands, customers=options.events)
            for number in range(1, options.runs + 1):
                events = round_of(options.events, number)
                for stand in stands:
                    done = await drain(cluster, stand, events, delay_ms=DELAY_MS)
                    row(result, stand).add(done.figures(), done.faults(events, done=DONE))
                    stage.say(f"round {number} {stand.name}: {done.figures()}")
            for stand in stands:
                row(result, stand).add({"peak MB": stand.running.peak_megabytes()}, {})
    return result
