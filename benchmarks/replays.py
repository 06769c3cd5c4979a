"""A replay of many keeps to its rate and starves nobody; `tail` shows a letter at once.

`python -m benchmarks.replays [DELIVERIES] [RATE]` prints one JSON document.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from sqlalchemy import func, select

from benchmarks.cluster import Cluster
from benchmarks.contender import environment_of
from benchmarks.contenders.us import Us
from benchmarks.events import Event, event_of, token_of
from benchmarks.figures import percentile
from benchmarks.rounds import Stand
from benchmarks.stage import COMPANIES, Stage, taken_down
from benchmarks.stub import Orders, Rule
from streams.ledger.engine import make_engine
from streams.ledger.tables import audit
from streams.topics import DEADLETTERS, FAILURES, RESULTS

DELIVERIES: Final = 10_000
RATE: Final = 200.0  # deliveries a second
LIVE_A_SECOND: Final = 10.0  # beside the replay, of the same companies
ALONE_S: Final = 10.0  # live events before the replay: what they take when nothing else is done
TAILED: Final = 20  # letters that are followed
IN_FLIGHT: Final = 64
LETTER_S: Final = 30.0
OFF_MOST: Final = 0.05  # of the rate
TAIL_MOST_S: Final = 1.0
CALL_MS: Final = 10.0  # of one call to the stub


def run(
    deliveries: int = DELIVERIES,
    rate: float = RATE,
    *,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Any]:
    """Measure all of it on one worker with SQLite; `ok` is whether everything was within bounds.

    Starts Kafka unless MOMENT_SYNC_KAFKA names a cluster, and ends all that it started.
    """
    with Stage(environ, lambda text: print(text, file=sys.stderr)) as stage:  # noqa: T201
        return asyncio.run(measured(stage, deliveries, rate))


async def measured(stage: Stage, deliveries: int, rate: float) -> dict[str, Any]:
    """As `run`, on a stage that is there already."""
    us = Us(settings={"DKPLUS_TIMEOUT": "10s"})
    async with stage.cluster() as cluster:
        stand = await stage.stand(cluster, us, IN_FLIGHT)
        with taken_down([stand]):
            settings = us.settings(stand.plan)
            environment = environment_of(stage.environ, **settings)
            _order(stand, refuses=False)
            await _live(cluster, stand, deliveries + 500_000, COMPANIES)  # whose books is known now
            _order(stand, refuses=True)
            dead = [event_of(number, 0, COMPANIES) for number in range(deliveries)]
            await _die(cluster, stand, dead)
            stage.say(f"{deliveries} are dead")
            tailed = await _tail(cluster, stand, environment, deliveries)
            _order(stand, refuses=False)
            first = deliveries + TAILED
            alone = await _live(cluster, stand, first, int(ALONE_S * LIVE_A_SECOND))
            stage.say(f"live alone: {alone}")
            replay = asyncio.create_task(_replay(environment, rate))
            beside = await _live(
                cluster, stand, first + 100_000, int(deliveries / rate * LIVE_A_SECOND)
            )
            found = await replay
            return _judged(settings["LEDGER"], found, rate, alone, beside, tailed)


def _order(stand: Stand, *, refuses: bool) -> None:
    rules = {token_of(number): Rule(refuses=refuses) for number in range(COMPANIES)}
    stand.stub.order(Orders(delay_ms=CALL_MS, reset=True, rules=rules))


async def _die(cluster: Cluster, stand: Stand, events: Sequence[Event]) -> None:
    topic = stand.plan.prefix + FAILURES
    since = await cluster.ends(topic)
    await cluster.fill(stand.plan.prefix, events)
    came = await cluster.wait_for(topic, since, len(events))
    if came < len(events):
        raise RuntimeError(f"{came} of {len(events)} died")


async def _live(cluster: Cluster, stand: Stand, first: int, count: int) -> dict[str, float]:
    """Live events at a steady rate: seconds from their topic to their outcome."""
    prefix = stand.plan.prefix
    events = [event_of(first + number, 0, COMPANIES) for number in range(count)]
    came, told = prefix + events[0].record.topic, prefix + RESULTS
    came_since, told_since = await cluster.ends(came), await cluster.ends(told)
    await cluster.pace(prefix, events, LIVE_A_SECOND)
    wanted = {event.id for event in events}
    appended = await cluster.appended(came, came_since)
    deadline = time.monotonic() + LETTER_S
    ended: dict[str, float] = {}
    while wanted - ended.keys() and time.monotonic() < deadline:
        outcomes = await cluster.outcomes(told, told_since)
        ended = {one.event: one.at_s for one in outcomes if one.event in wanted}
        await asyncio.sleep(0.1)
    took = [ended[name] - appended[name] for name in wanted & ended.keys()]
    return {
        "count": count,
        "lost": float(len(wanted - ended.keys())),
        "medianSeconds": round(median(took), 3),
        "p99Seconds": round(percentile(took, 0.99), 3),
        "mostSeconds": round(max(took), 3),
    }


async def _replay(environment: dict[str, str], rate: float) -> dict[str, Any]:
    words = ("deadletters", "replay", "--all", "--by", "benchmark", "--rate", f"{rate:g}")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.ops.cli", *words, "--json"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        limit=64 * 1024 * 1024,
    )
    out, _ = await process.communicate()
    found: dict[str, Any] = json.loads(out)
    return {"code": process.returncode, **{name: len(found[name]) for name in ("replayed",)}}


async def _tail(
    cluster: Cluster, stand: Stand, environment: dict[str, str], first: int
) -> dict[str, float]:
    """Seconds from a letter's time stamp to its line on the tail's output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.ops.cli", "deadletters", "tail", "--json"),
        *("--count", str(TAILED)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None  # noqa: S101 - asked for above
    assert process.stderr is not None  # noqa: S101
    await process.stderr.readline()  # it follows now
    topic = stand.plan.prefix + DEADLETTERS
    since = await cluster.ends(topic)
    shown: dict[str, float] = {}
    for number in range(TAILED):
        await cluster.put(stand.plan.prefix, event_of(first + number, 0, COMPANIES))
        line = await asyncio.wait_for(process.stdout.readline(), LETTER_S)
        shown[json.loads(line)["deliveryId"]] = time.time()
    await process.wait()
    published = {
        dict(record.headers)["moment-sync-letter-id"].decode(): record.timestamp / 1000
        for record in await cluster._records(topic, since)  # noqa: SLF001 - the one that reads any
    }
    took = [at - published[name] for name, at in shown.items()]
    return {"medianSeconds": round(median(took), 3), "mostSeconds": round(max(took), 3)}


def _judged(
    ledger: str,
    replay: dict[str, Any],
    rate: float,
    alone: dict[str, float],
    beside: dict[str, float],
    tailed: dict[str, float],
) -> dict[str, Any]:
    engine = make_engine(ledger)
    query = select(func.count(), func.min(audit.c.at), func.max(audit.c.at))
    with engine.connect() as connection:
        count, first, last = connection.execute(query.where(audit.c.what == "replayed")).one()
    engine.dispose()
    kept = (count - 1) / (last - first)
    off = abs(kept / rate - 1)
    return {
        "replay": {**replay, "rate": rate, "kept": round(kept, 2), "off": round(off, 4)},
        "liveAlone": alone,
        "liveBeside": beside,
        "tail": tailed,
        "ok": off <= OFF_MOST
        and tailed["mostSeconds"] <= TAIL_MOST_S
        and not (alone["lost"] or beside["lost"])
        and beside["mostSeconds"] <= LETTER_S,
    }


if __name__ == "__main__":
    given = sys.argv[1:]
    print(  # noqa: T201 - this is what it is for
        json.dumps(
            run(
                int(given[0]) if given else DELIVERIES,
                float(given[1]) if len(given) > 1 else RATE,
            )
        )
    )
