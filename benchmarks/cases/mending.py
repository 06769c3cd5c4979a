"""What people wait for who mend: the console's pages, and a replay of many."""

import asyncio
from typing import Final

from benchmarks import console_pages, replays
from benchmarks.contenders.us import GUARANTEES
from benchmarks.figures import CaseResult, Goal, Row
from benchmarks.stage import Options, Stage

PAGES: Final = "1,000,000 dead letters: the first pages of the console, both ledgers"
REPLAYS: Final = "A replay of 10,000: its rate, live events beside it, letters as they come"
LEDGERS: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


async def pages(stage: Stage, options: Options) -> CaseResult:
    """Each page that a person opens first, in milliseconds; rounds are inside a page's median."""
    result = CaseResult(case="console-pages", title=PAGES)
    dead = max(1, int(console_pages.DEAD * options.scale))
    result.setting["dead"] = dead
    found = await asyncio.to_thread(console_pages.run, dead, say=stage.say)
    for ledger, name in LEDGERS.items():
        shown = {f"{page} ms": p["p50"] for page, p in found["ledgers"][ledger]["pages"].items()}
        row = Row(contender=name, guarantees=GUARANTEES)
        row.add(shown | {"slowest ms": max(shown.values())}, {})
        result.rows.append(row)
        result.goals.append(
            Goal(
                text=f"{name}: first page <= {found['budgetMs']:g} ms",
                contender=name,
                figure="slowest ms",
                limit=found["budgetMs"],
                at_least=False,
            )
        )
    return result


async def replay(stage: Stage, options: Options) -> CaseResult:
    """One worker on SQLite; the rate is kept within 5 %, and live events go on beside it."""
    result = CaseResult(case="replays", title=REPLAYS)
    deliveries = max(replays.TAILED, int(replays.DELIVERIES * options.scale))
    result.setting |= {"deliveries": deliveries, "rate": replays.RATE}
    found = await replays.measured(stage, deliveries, replays.RATE)
    row = Row(contender="moment-sync", guarantees=GUARANTEES)
    row.add(
        {
            "rate off": abs(found["replay"]["off"]),
            "live p50 s": found["liveBeside"]["medianSeconds"],
            "live alone p50 s": found["liveAlone"]["medianSeconds"],
            "tail most s": found["tail"]["mostSeconds"],
        },
        {"lost": int(found["liveBeside"]["lost"])},
    )
    result.rows.append(row)
    for text, figure, limit in (
        ("rate kept within 5 %", "rate off", replays.OFF_MOST),
        ("tail shows a letter within 1 s", "tail most s", replays.TAIL_MOST_S),
    ):
        result.goals.append(
            Goal(text=text, contender="moment-sync", figure=figure, limit=limit, at_least=False)
        )
    return result
