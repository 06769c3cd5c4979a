"""What the trouble of some companies does to the others, and how a limit is met."""

import asyncio
from collections.abc import Mapping
from typing import Final

from benchmarks.cases.end_to_end import DONE, round_of, row, set_up, warm_up
from benchmarks.contenders.us import Us
from benchmarks.events import Event, company_of, token_of
from benchmarks.figures import CaseResult, Goal, percentile
from benchmarks.rounds import Stand, drain, paced
from benchmarks.stage import COMPANIES, Options, Stage, taken_down
from benchmarks.stub import Orders, Rule

FAILING: Final = "20 % of the companies fail hard (never answered, or 429): p99 of the others"
STORM: Final = "A 429 storm: ten companies allow 20 calls a second each"
IN_FLIGHT: Final = 300
DELAY_MS: Final = 50.0
SHARE: Final = 0.5  # of its own throughput: healthy traffic has room when nothing is wrong
EVERY: Final = 5  # each fifth company fails
TIMEOUT: Final = "2s"  # of a call: short, so that a round sees many of them
ALLOWED_PER_SECOND: Final = 20.0
LIMITED: Final = 10  # companies with a limit
STORM_S: Final = 20.0  # of a round; the second half is looked at
UNDISTURBED: Final = "undisturbed"
DISTURBED: Final = "20 % failing"


def rules_of_failing() -> dict[str, Rule]:
    """Each fifth company fails: every other one of them never answers, the rest say 429."""
    failing = range(0, COMPANIES, EVERY)
    return {
        token_of(company): Rule(never=True) if index % 2 else Rule(per_second=0)
        for index, company in enumerate(failing)
    }


def is_healthy(event: Event) -> bool:
    """Whether an event's company is one of those that do not fail."""
    return company_of(event.customer, COMPANIES) % EVERY != 0


async def failing_tenants(stage: Stage, options: Options) -> CaseResult:
    """p99 of the healthy, with and without the trouble of the others."""
    result = CaseResult(case="failing-tenants", title=FAILING)
    result.goals = [
        Goal(
            text="p99 of the healthy <= 1.5 x undisturbed",
            contender=DISTURBED,
            figure="p99 ms",
            limit=1.5,
            at_least=False,
            against=UNDISTURBED,
        )
    ]
    result.notes = ["what fails stays open, so the undisturbed rounds come first"]
    for name, rules in ((UNDISTURBED, {}), (DISTURBED, rules_of_failing())):
        await _healthy_latency(stage, options, result, name, rules)
    return result


async def _healthy_latency(
    stage: Stage, options: Options, result: CaseResult, name: str, rules: Mapping[str, Rule]
) -> None:
    us = Us(name, settings={"DKPLUS_TIMEOUT": TIMEOUT})
    async with stage.cluster() as cluster:
        stands = await set_up(stage, cluster, [us], IN_FLIGHT, result)
        with taken_down(stands):
            stand = stands[0]
            await warm_up(stage, cluster, stands, customers=options.events)
            rate = result.setting.get("events/s offered")
            if rate is None:
                one = await drain(cluster, stand, round_of(options.events, 1), delay_ms=DELAY_MS)
                rate = result.setting["events/s offered"] = SHARE * one.figures()["events/s"]
            stand.stub.order(Orders(rules=dict(rules)))
            for number in range(2, options.runs + 2):
                events = round_of(options.events, number)
                healthy = [event for event in events if is_healthy(event)]
                done = await paced(
                    cluster,
                    stand,
                    events,
                    delay_ms=DELAY_MS,
                    per_second=rate,
                    awaited=len(healthy) if rules else None,
                )
                figures, lost = _of_healthy(done.to_outcome_ms_of(healthy), len(healthy))
                # What fails is superseded by the next round's state of it, as it should be.
                ids = {event.id for event in healthy}
                final = [o for o in done.outcomes if o.final and o.event in ids]
                wrong = sum(1 for outcome in final if outcome.outcome not in DONE)
                row(result, stand).add(figures, {"lost": lost, "not done": wrong})
                stage.say(f"round {number - 1} {name}: p99 {figures['p99 ms']:.0f} ms")


def _of_healthy(latencies: list[float], wanted: int) -> tuple[dict[str, float], int]:
    figures = {
        "p50 ms": percentile(latencies, 0.5),
        "p99 ms": percentile(latencies, 0.99),
    }
    return figures, wanted - len(latencies)


async def storm(stage: Stage, options: Options) -> CaseResult:
    """Far more events than ten companies let in: how near to the limit, how many calls wasted."""
    result = CaseResult(case="429-storm", title=STORM)
    allowed = ALLOWED_PER_SECOND * LIMITED
    result.setting |= {"allowed calls/s": allowed, "seconds": STORM_S}
    result.goals = [
        Goal(
            text="calls refused in the second half <= 2 %",
            contender="moment-sync",
            figure="refused, second half",
            limit=0.02,
            at_least=False,
        )
    ]
    limits = {token_of(n): Rule(per_second=ALLOWED_PER_SECOND) for n in range(LIMITED)}
    for number in range(options.runs):
        async with stage.cluster() as cluster:
            stands = await set_up(
                stage, cluster, [Us(settings={"DKPLUS_IN_FLIGHT": "8"})], IN_FLIGHT, result
            )
            del result.rows[1:]  # one row for all rounds
            with taken_down(stands):
                stand = stands[0]
                customers = int(allowed * STORM_S * 2) * COMPANIES // LIMITED
                mine = [
                    event
                    for event in round_of(customers, 0)
                    if company_of(event.customer, COMPANIES) < LIMITED
                ]
                await cluster.fill(stand.plan.prefix, mine)
                stand.stub.order(Orders(delay_ms=DELAY_MS, reset=True, rules=limits))
                await asyncio.sleep(STORM_S / 2)
                first = _rates(stand, STORM_S / 2)
                stand.stub.order(Orders(reset=True))
                await asyncio.sleep(STORM_S / 2)
                second = _rates(stand, STORM_S / 2)
            figures = {
                "of the allowed rate": second[0] / allowed,
                "refused, first half": first[1],
                "refused, second half": second[1],
            }
            row(result, stand).add(figures, {})
            stage.say(f"round {number + 1}: {figures}")
    return result


def _rates(stand: Stand, seconds: float) -> tuple[float, float]:
    """Calls let in a second, and the share that was refused."""
    report = stand.stub.seen().report
    taken = report.calls - report.refused
    return taken / seconds, report.refused / max(report.calls, 1)
