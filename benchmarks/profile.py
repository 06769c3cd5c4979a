"""`make profile`: where a worker's time goes in the steady state of the end-to-end case."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Final

import click
import msgspec

from benchmarks import flames
from benchmarks.cases.end_to_end import DONE, round_of, set_up, warm_up
from benchmarks.figures import CaseResult
from benchmarks.roster import us
from benchmarks.rounds import drain
from benchmarks.stage import Options, Stage, taken_down
from streams.ops import console_output as out
from streams.ops.demo.processes import end_on_signals

IN_FLIGHT: Final = 300
DELAY_MS: Final = 50.0
LARGEST: Final = 3
WRITTEN_S: Final = 10.0
LOOK_AGAIN_S: Final = 0.05


@click.command()
@click.option("--events", type=click.IntRange(1, 1_000_000), default=10_000, show_default=True)
@click.option("--runs", type=click.IntRange(1, 100), default=3, show_default=True)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".moment-sync/profile"),
    show_default=True,
)
def profile(events: int, runs: int, into: Path) -> None:
    """Write stacks.folded, flame.svg and speedscope.json, and print the largest costs.

    A thread of the worker looks at all stacks every 2 ms, and weighs each by the processor time
    that its thread has used since.
    """
    end_on_signals()
    into.mkdir(parents=True, exist_ok=True)
    folded = (into / "stacks.folded").absolute()
    folded.unlink(missing_ok=True)
    stacks = flames.read(asyncio.run(_run(events, runs, folded)))
    folded.write_text(written(stacks), encoding="utf-8")  # the worker wrote once more at its end
    title = f"moment-sync worker, {runs} x {events:,} customer changes, {IN_FLIGHT} in flight"
    (into / "flame.svg").write_text(flames.svg(stacks, title), encoding="utf-8")
    document = msgspec.json.encode(flames.speedscope(stacks, title))
    (into / "speedscope.json").write_bytes(document)
    found = flames.costs(stacks)
    out.table(["largest costs", "share"], [[n, f"{s:.1%}"] for n, s in found[:LARGEST]])
    out.text(f"all of it: {into}/flame.svg, {into}/speedscope.json, {into}/stacks.folded")


def written(stacks: flames.Stacks) -> str:
    """Stacks as they are read, most first."""
    ordered = sorted(stacks.items(), key=lambda one: -one[1])
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in ordered)


async def _run(events: int, runs: int, folded: Path) -> str:
    """The folded stacks of the measured rounds alone."""
    options = Options(events=events, runs=runs, profile=folded)
    result = CaseResult(case="profile", title="")
    with Stage(os.environ, out.say) as stage:
        async with stage.cluster() as cluster:
            stands = await set_up(stage, cluster, [us(options)], IN_FLIGHT, result)
            with taken_down(stands):
                stand = stands[0]
                await warm_up(stage, cluster, stands, customers=events)
                _asked(stand.running.pids[0], folded)  # what came before is not the steady state
                for number in range(1, runs + 1):
                    some = round_of(events, number)
                    done = await drain(cluster, stand, some, delay_ms=DELAY_MS)
                    faults = done.faults(some, done=DONE)
                    if any(faults.values()):
                        out.say(f"round {number} went wrong: {faults}")
                    out.say(f"round {number}: {done.figures()['events/s']:,.0f} events/s")
                return _asked(stand.running.pids[0], folded)


def _asked(pid: int, folded: Path) -> str:
    """Let the worker write what it has counted and begin anew; returns what it wrote."""
    folded.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR2)
    deadline = time.monotonic() + WRITTEN_S
    while not folded.exists():
        if time.monotonic() > deadline:
            raise TimeoutError("the worker does not write its stacks")
        time.sleep(LOOK_AGAIN_S)
    return folded.read_text(encoding="utf-8")


if __name__ == "__main__":
    profile()
