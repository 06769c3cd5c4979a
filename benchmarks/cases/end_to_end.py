"""End to end: a backlog of customer changes drained, one PUT each, by every contender in turn.

Every customer changes once in a round, so that no two of its states wait at the same time and
are folded into one; how folding pays is a case of its own.
"""

from collections.abc import Sequence
from typing import Final

from benchmarks.cluster import Cluster
from benchmarks.contender import Contender, ContenderError
from benchmarks.contenders.us import Us
from benchmarks.events import Event, states
from benchmarks.figures import CaseResult, Goal, Row
from benchmarks.roster import PEERS, PYTHON_PEERS, contenders
from benchmarks.rounds import Stand, drain
from benchmarks.stage import COMPANIES, SEED, Options, Stage, taken_down

TITLE: Final = "End to end: customer changes through one worker, calls of 50 ms, 300 in flight"
TITLE_1000: Final = "The same with 1,000 in flight"
TITLE_10: Final = "The same with calls of 10 ms, 300 in flight"
TITLE_100: Final = "The same with calls of 100 ms, 300 in flight"
TITLE_FOLDED: Final = "A backlog of 10 states a customer: only the newest is sent"
STATES: Final = 10  # of a customer, in the case of folding
FOLDED: Final = frozenset({"applied", "unchanged", "superseded", "stale"})
DONE: Final = frozenset({"applied", "unchanged"})


async def run_drain(
    stage: Stage,
    options: Options,
    taking_part: Sequence[Contender],
    result: CaseResult,
    *,
    in_flight: int,
    delay_ms: float,
) -> CaseResult:
    """Run `options.runs` rounds, contenders interleaved, after a first one that is not measured."""
    result.setting |= {"in flight": in_flight, "delay ms": delay_ms, "events": options.events}
    async with stage.cluster() as cluster:
        stands = await set_up(stage, cluster, taking_part, in_flight, result)
        with taken_down(stands):
            await warm_up(stage, cluster, stands, customers=options.events)
            for number in range(1, options.runs + 1):
                events = round_of(options.events, number)
                for stand in stands:
                    await _one(stage, cluster, stand, events, result, delay_ms, number)
            for stand in stands:
                row(result, stand).add({"peak MB": stand.running.peak_megabytes()}, {})
    return result


def round_of(customers: int, number: int) -> list[Event]:
    """The events of a round: each customer's state of this number."""
    return states(customers, [number], COMPANIES, SEED + number)


async def set_up(
    stage: Stage,
    cluster: Cluster,
    taking_part: Sequence[Contender],
    in_flight: int,
    result: CaseResult,
) -> list[Stand]:
    """Start every contender that runs here; the others get a row that says why not.

    Raises ContenderError where moment-sync itself does not run.
    """
    stands: list[Stand] = []
    for contender in taking_part:
        refusal = contender.refusal()
        try:
            if refusal is None:
                stage.say(f"starting {contender.name}")
                stands.append(await stage.stand(cluster, contender, in_flight))
        except ContenderError as error:
            if isinstance(contender, Us):
                raise
            refusal = str(error)
        if refusal is not None:
            stage.say(f"{contender.name} is skipped: {refusal}")
        result.rows.append(
            Row(contender=contender.name, guarantees=contender.guarantees, skipped=refusal)
        )
    return stands


async def warm_up(stage: Stage, cluster: Cluster, stands: Sequence[Stand], customers: int) -> None:
    """Bring every customer over once, so that it is known and connections are there."""
    events = round_of(customers, 0)
    for stand in stands:
        done = await drain(cluster, stand, events, delay_ms=0)
        stage.say(f"{stand.name}: warm, {done.seen.report.calls} calls")


async def _one(
    stage: Stage,
    cluster: Cluster,
    stand: Stand,
    events: list[Event],
    result: CaseResult,
    delay_ms: float,
    number: int,
) -> None:
    done = await drain(cluster, stand, events, delay_ms=delay_ms)
    figures, faults = done.figures(), done.faults(events, done=FOLDED)
    row(result, stand).add(figures, faults)
    wrong = {name: count for name, count in faults.items() if count}
    stage.say(
        f"round {number} {stand.name}: {figures['events/s']:,.0f} events/s, "
        f"{figures['CPU us/event']:.0f} us CPU an event{f', {wrong}' if wrong else ''}"
    )


def row(result: CaseResult, stand: Stand) -> Row:
    """The row of a contender."""
    return next(one for one in result.rows if one.contender == stand.name)


def ratio(text: str, against: str, limit: float, figure: str = "events/s") -> Goal:
    """A goal of moment-sync's throughput against another contender's in the same round."""
    return Goal(
        text=text,
        contender="moment-sync",
        figure=figure,
        limit=limit,
        at_least=True,
        against=against,
    )


def ahead_of(*names: str) -> list[Goal]:
    """Goals of more throughput than each of these; one that does not run here is not judged."""
    return [ratio(f"throughput > 1 x {name}", name, 1.0) for name in names]


async def three_hundred(stage: Stage, options: Options) -> CaseResult:
    """300 calls in flight, 50 ms each: throughput and CPU."""
    result = CaseResult(case="end-to-end", title=TITLE)
    result.goals = [
        ratio("throughput >= 0.95 x reference", "reference", 0.95),
        Goal(
            text="CPU <= 1.44 x reference's (180 us where that takes 125)",
            contender="moment-sync",
            figure="CPU us/event",
            limit=180 / 125,
            at_least=False,
            against="reference",
        ),
        *ahead_of(*PEERS),
    ]
    some = contenders(options, peers=True)
    return await run_drain(stage, options, some, result, in_flight=300, delay_ms=50)


async def one_thousand(stage: Stage, options: Options) -> CaseResult:
    """1,000 calls in flight, 50 ms each."""
    result = CaseResult(case="end-to-end-1000", title=TITLE_1000)
    result.goals = [ratio("throughput >= 0.85 x reference", "reference", 0.85)]
    result.goals += ahead_of("parallel-consumer")
    some = contenders(options, peers=True)
    return await run_drain(stage, options, some, result, in_flight=1000, delay_ms=50)


async def ten_milliseconds(stage: Stage, options: Options) -> CaseResult:
    """Calls of 10 ms."""
    result = CaseResult(case="end-to-end-10ms", title=TITLE_10, goals=ahead_of(*PYTHON_PEERS))
    some = contenders(options, peers=True)
    return await run_drain(stage, options, some, result, in_flight=300, delay_ms=10)


async def hundred_milliseconds(stage: Stage, options: Options) -> CaseResult:
    """Calls of 100 ms."""
    result = CaseResult(case="end-to-end-100ms", title=TITLE_100, goals=ahead_of(*PYTHON_PEERS))
    some = contenders(options, peers=True)
    return await run_drain(stage, options, some, result, in_flight=300, delay_ms=100)


async def folded(stage: Stage, options: Options) -> CaseResult:
    """Ten states of each customer wait at once; the reference sends them all, in order."""
    customers = max(1, options.events // STATES)
    result = CaseResult(case="folded", title=TITLE_FOLDED)
    result.setting |= {"customers": customers, "states each": STATES, "delay ms": 50}
    result.goals = [
        Goal(
            text="writes an event <= 0.15",
            contender="moment-sync",
            figure="writes/event",
            limit=0.15,
            at_least=False,
        )
    ]
    async with stage.cluster() as cluster:
        some = contenders(options, peers=False)
        stands = await set_up(stage, cluster, some, 300, result)
        with taken_down(stands):
            await warm_up(stage, cluster, stands, customers=customers)
            for number in range(options.runs):
                first = 1 + number * STATES
                events = states(customers, range(first, first + STATES), COMPANIES, SEED + number)
                for stand in stands:
                    await _one(stage, cluster, stand, events, result, 50, number + 1)
    return result
