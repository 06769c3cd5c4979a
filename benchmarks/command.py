"""`moment-sync benchmark`: each case beside its peers, in one run, with ratios."""

import asyncio
import logging
import os
import platform
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from benchmarks import show
from benchmarks.figures import CaseResult
from benchmarks.registry import CASES, Case
from benchmarks.roster import NAMES, PEERS
from benchmarks.stage import Options, Stage
from streams.local.kafka_node import KafkaUnavailableError
from streams.ops import console_output as out
from streams.ops.command_base import CommandEnds, Exit, example, json_option
from streams.ops.demo.processes import Interrupted, end_on_signals

SIGNALLED: Final = 128  # exit code of a command that a signal ended: this and its number


@click.command(
    epilog=example(
        "moment-sync benchmark",
        "moment-sync benchmark end-to-end idle --runs 5 --json",
        "moment-sync benchmark end-to-end --contenders us,reference --events 2000 --runs 1",
    )
)
@click.argument("cases", nargs=-1, metavar="[CASE]...")
@click.option("--case", "more_cases", multiple=True, help="A case, as an option; may be repeated.")
@click.option("--runs", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--events", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True)
@click.option("--contenders", default="", help=f"Only these, with commas: {', '.join(NAMES)}.")
@click.option("--peers", default="", help=f"Peers, with commas, or all: {', '.join(PEERS)}.")
@click.option(
    "--scale",
    type=click.FloatRange(0.0001, 1),
    default=1.0,
    show_default=True,
    help="Of the cases with a great many rows: this share of them.",
)
@click.option(
    "--profile",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Let moment-sync's worker write folded stacks to this file.",
)
@click.option("--keep", is_flag=True, help="Keep logs and ledgers.")
@click.option("--list", "only_list", is_flag=True, help="Say which cases there are.")
@json_option
@click.pass_context
def benchmark(ctx: click.Context, /, as_json: bool, only_list: bool, **given: Any) -> None:
    """Measure, each case beside its peers in one run.

    Goals are ratios within a run, as medians with ranges: absolute figures say more of the
    machine. Exits with 1 where a case failed, or where moment-sync or the reference lost, doubled
    or disordered anything.
    """
    if only_list:
        out.table(["case", "shows"], [[name, case.title] for name, case in CASES.items()])
        return
    for name in ("aiokafka", "kafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    chosen = _chosen((*given["cases"], *given["more_cases"]))
    options = Options(
        events=given["events"],
        runs=given["runs"],
        contenders=_names(given["contenders"], NAMES, "--contenders"),
        peers=_names(given["peers"], PEERS, "--peers"),
        profile=given["profile"],
        scale=given["scale"],
    )
    end_on_signals()
    try:
        results = asyncio.run(_run(chosen, options, keep=given["keep"], as_json=as_json))
    except Interrupted as interrupted:
        ctx.exit(SIGNALLED + interrupted.number)
    except KafkaUnavailableError as error:
        raise CommandEnds(Exit.AWAY, str(error)) from None
    if as_json:
        out.document({"machine": machine(), "options": options, "cases": results})
    ctx.exit(int(Exit.FOUND if broken(results) else Exit.DONE))


async def _run(
    chosen: list[str], options: Options, *, keep: bool, as_json: bool
) -> list[CaseResult]:
    with Stage(os.environ, out.say, keep=keep) as stage:
        cases = {name: CASES[name] for name in chosen}
        return await run_cases(cases, stage, options, shown=not as_json)


async def run_cases(
    cases: Mapping[str, Case], stage: Stage, options: Options, *, shown: bool
) -> list[CaseResult]:
    """Run cases one after the other; one that fails is a result that says so."""
    results = []
    for name, case in cases.items():
        out.say(f"== {name}: {case.title}")
        try:
            result = await case.run(stage, options)
        except Exception as error:  # the cases after it are worth an hour
            out.say(traceback.format_exc())
            why = f"{type(error).__name__}: {error}"
            result = CaseResult(case=name, title=case.title, failed=why)
        results.append(result)
        if shown:
            _show(result)
    return results


def _show(result: CaseResult) -> None:
    out.text(f"\n{result.title}")
    if result.failed is not None:
        out.text(f"failed: {result.failed}")
        return
    out.text(show.setting_line(result))
    out.table(show.header(result), show.lines(result))
    if result.goals:
        out.text("")
        out.table(show.GOAL_HEADER, [show.goal_line(goal, result.rows) for goal in result.goals])
    for note in result.notes:
        out.text(note)


def machine() -> dict[str, Any]:
    """What it was measured on, and when."""
    return {
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "processor": _processor(),
        "python": platform.python_version(),
        "load": list(os.getloadavg()),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _chosen(names: tuple[str, ...]) -> list[str]:
    for name in names:
        if name not in CASES:
            raise CommandEnds(
                Exit.WRONG, f"there is no case {name!r}; there are: {', '.join(CASES)}"
            )
    return [name for name in CASES if name in names] if names else list(CASES)


def _names(text: str, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == ("all",):
        return known
    for name in names:
        if name not in known:
            raise CommandEnds(Exit.WRONG, f"{option}: {name!r} is none of {', '.join(known)}")
    return names


def broken(results: list[CaseResult]) -> bool:
    """Whether a case failed, or one that is no peer did what it promises never to do."""
    return any(
        result.failed is not None
        or any(
            count
            for row in result.rows
            if row.contender not in PEERS
            for count in row.faults.values()
        )
        for result in results
    )
