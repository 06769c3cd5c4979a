"""How long an event takes: at half of what the reference can do, and when nothing else happens."""

from typing import Final

from benchmarks.cases.end_to_end import DONE, round_of, row, set_up, warm_up
from benchmarks.cluster import Cluster
from benchmarks.figures import CaseResult, Goal, percentile
from benchmarks.roster import contenders
from benchmarks.rounds import Paced, Stand, drain, paced, wrong_in
from benchmarks.stage import Options, Stage, taken_down

LOAD: Final = "Offered load: half of the reference's throughput, calls of 50 ms, 300 in flight"
IDLE: Final = "Idle: one event at a time, Kafka to the request at the accounting system"
IN_FLIGHT: Final = 300
DELAY_MS: Final = 50.0
SHARE: Final = 0.5
IDLE_EVENTS: Final = 100  # a round: enough for a 99th percentile that is not the worst
IDLE_PER_SECOND: Final = 10.0


async def offered_load(stage: Stage, options: Options) -> CaseResult:
    """Kafka to outcome at a fixed rate; each contender gets the same."""
    result = CaseResult(case="offered-load", title=LOAD)
    result.goals = [
        _above("p50 ms", "p50 within 15 ms of the reference's", 15),
        _above("p99 ms", "p99 within 50 ms of the reference's", 50),
        Goal(
            text="writes an event in steady state <= 1.05",
            contender="moment-sync",
            figure="writes/event",
            limit=1.05,
            at_least=False,
        ),
    ]
    async with stage.cluster() as cluster:
        stands = await set_up(stage, cluster, contenders(options, peers=False), IN_FLIGHT, result)
        with taken_down(stands):
            await warm_up(stage, cluster, stands, customers=options.events)
            rate = SHARE * await _throughput(cluster, stands, options.events)
            result.setting |= {"events/s offered": round(rate), "delay ms": DELAY_MS}
            stage.say(f"offered: {rate:,.0f} events/s")
            for number in range(2, options.runs + 2):
                events = round_of(options.events, number)
                for stand in stands:
                    done = await paced(cluster, stand, events, delay_ms=DELAY_MS, per_second=rate)
                    faults = wrong_in(events, done.outcomes, done.seen, DONE)
                    figures = _figures(done)
                    row(result, stand).add(figures, faults)
                    stage.say(f"round {number - 1} {stand.name}: {_told(figures)}")
    return result


async def _throughput(cluster: Cluster, stands: list[Stand], customers: int) -> float:
    """What the reference drains a second; where it does not take part, the first one."""
    stand = next((one for one in stands if one.name == "reference"), stands[0])
    done = await drain(cluster, stand, round_of(customers, 1), delay_ms=DELAY_MS)
    return done.figures()["events/s"]


def _above(figure: str, text: str, limit: float) -> Goal:
    return Goal(
        text=text,
        contender="moment-sync",
        figure=figure,
        limit=limit,
        at_least=False,
        against="reference",
        difference=True,
    )


def _figures(done: Paced) -> dict[str, float]:
    latencies = done.to_outcome_ms() or [0.0]
    return {
        "p50 ms": percentile(latencies, 0.5),
        "p99 ms": percentile(latencies, 0.99),
        "writes/event": done.seen.report.writes / done.events,
        "CPU us/event": done.cpu_seconds / done.events * 1e6,
    }


def _told(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in figures.items())


async def idle(stage: Stage, options: Options) -> CaseResult:
    """Kafka to the request, one event at a time."""
    result = CaseResult(case="idle", title=IDLE)
    result.setting |= {"events a round": IDLE_EVENTS, "events/s": IDLE_PER_SECOND}
    for figure, limit in (("p50 ms", 10.0), ("p99 ms", 25.0)):
        result.goals.append(
            Goal(
                text=f"{figure.split()[0]} <= {limit:.0f} ms",
                contender="moment-sync",
                figure=figure,
                limit=limit,
                at_least=False,
            )
        )
    async with stage.cluster() as cluster:
        stands = await set_up(stage, cluster, contenders(options, peers=False), IN_FLIGHT, result)
        with taken_down(stands):
            await warm_up(stage, cluster, stands, customers=IDLE_EVENTS)
            for number in range(1, options.runs + 1):
                events = round_of(IDLE_EVENTS, number)
                for stand in stands:
                    done = await paced(
                        cluster, stand, events, delay_ms=DELAY_MS, per_second=IDLE_PER_SECOND
                    )
                    latencies = done.to_request_ms()
                    figures = {
                        "p50 ms": percentile(latencies, 0.5),
                        "p99 ms": percentile(latencies, 0.99),
                    }
                    row(result, stand).add(
                        figures, wrong_in(events, done.outcomes, done.seen, DONE)
                    )
                    stage.say(f"round {number} {stand.name}: {_told(figures)}")
    return result
