"""`moment-sync simulation`: random histories, one after the other (interface section 8)."""

import json
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from streams.clock import SystemClock
from streams.ledger.memory import MemoryLedger
from streams.ops.command_base import CommandEnds, Exit, example, json_option
from streams.simulation.drawing import SIZES
from streams.simulation.history import History, dump, load
from streams.simulation.many import memory_mb, run_all, run_these, stretches
from streams.simulation.run import play
from streams.simulation.shrink import shrink
from streams.simulation.tally import Found, Tally

DEFAULT_HISTORIES: Final = 2_000  # less than a minute on one core
VIOLATIONS_SHOWN: Final = 20  # a broken rule is broken in many histories
SHRUNK: Final = 3
PROGRESS_S: Final = 30.0  # between two lines on stderr


def _sizes() -> str:
    shares = ", ".join(
        f"{size.share:.0%} {size.name} ({size.events[0]} to {size.events[1]} events of a company, "
        f"{min(size.workers)} to {max(size.workers)} workers)"
        for size in SIZES
    )
    return f"Of the histories {shares}."


@click.command(
    help=f"""Random histories of events, faults and crashes against what must always hold.

    The ledger's operations, the core, ingest and dispatch are the real ones; clock, Kafka, network
    and books are simulated, in one process, and the same seed does the same again. {_sizes()}
    Each kind of trouble is in or out of a history by a draw of its own.

    What happened is counted, and which transitions of a delivery nothing took. The first history in
    which something did not hold ends the run with exit code 1, cut down to what it takes.
    """,
    epilog=example(
        "moment-sync simulation                                  some thousand histories",
        "moment-sync simulation --histories 1000000 --jobs 2     an hour or two",
        "moment-sync simulation --histories 1000000 --first-seed 400000    go on from there",
        "moment-sync simulation --first-seed 41 --histories 1 --history 41.json    keep what fails",
        "moment-sync simulation --history 41.json                run it again",
    ),
)
@click.option("--histories", type=click.IntRange(1), default=DEFAULT_HISTORIES, show_default=True)
@click.option(
    "--first-seed",
    "--seed",
    "seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Seeds count up from here.",
)
@click.option(
    "--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes that run them."
)
@click.option("--collect", is_flag=True, help="Go on after a history that breaks a rule.")
@click.option(
    "--history",
    "kept",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Run this one again; where there is no such file, a failing one is put there.",
)
@json_option
def simulation(
    histories: int, seed: int, jobs: int, collect: bool, kept: Path | None, as_json: bool
) -> None:
    """See the help."""
    begun = SystemClock().elapsed()
    if kept is not None and kept.exists():
        tally = run_these([_kept(kept)])
    else:
        tally = _many(histories, seed, jobs, collect=collect)
    seconds = SystemClock().elapsed() - begun
    cut = [_cut(one) for one in tally.found[:SHRUNK]]
    if cut and kept is not None and not kept.exists():
        kept.write_bytes(dump(cut[0].history))
    tally.found[: len(cut)] = cut
    click.echo(_document(tally, seconds, seed) if as_json else _words(tally, seconds, seed))
    if tally.found:
        raise SystemExit(int(Exit.FOUND))


def _kept(kept: Path) -> History:
    try:
        return load(kept.read_bytes())
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandEnds(Exit.WRONG, f"{kept} holds no history: {error}") from None


def _many(histories: int, seed: int, jobs: int, *, collect: bool) -> Tally:
    clock = SystemClock()
    begun = told = clock.elapsed()
    tally = Tally()
    with closing(_guarded(run_all(stretches(seed, histories), jobs))) as running:
        for stretch, some in running:
            tally.add(some)
            now = clock.elapsed()
            if now - told >= PROGRESS_S:
                told = now
                following = stretch.first + stretch.histories
                click.echo(_progress(tally, now - begun, following), err=True)
            if tally.found and not collect:
                break
    return tally


def _guarded(running: Iterator[Any]) -> Generator[Any, None, None]:
    """A generator of its own, so that leaving the loop ends what still runs."""
    yield from running


def _progress(tally: Tally, seconds: float, following: int) -> str:
    found = f", {len(tally.found)} broke a rule" if tally.found else ""
    return (
        f"{tally.histories} histories in {seconds:.0f} s, {tally.rate:.0f} a second of a core, "
        f"{memory_mb():.0f} MB{found}; go on later with --first-seed {following}"
    )


def _cut(found: Found) -> Found:
    ledger = MemoryLedger()
    try:
        smaller = shrink(found.history, found.rule, lambda one: play(one, ledger))
        detail = next(
            (one.detail for one in play(smaller, ledger).violations if one.rule == found.rule),
            found.detail,
        )
    finally:
        ledger.close()
    return msgspec.structs.replace(found, history=smaller, detail=detail)


def _document(tally: Tally, seconds: float, seed: int) -> str:
    violations = [
        {
            "seed": one.seed,
            "rule": one.rule,
            "detail": one.detail,
            "history": json.loads(dump(one.history)),
        }
        for one in tally.found[:VIOLATIONS_SHOWN]
    ]
    return json.dumps(
        {
            "histories": tally.histories,
            "steps": tally.steps,
            "seconds": round(seconds, 3),
            "violations": violations,
            "seed": seed,
            "cpu_seconds": round(tally.cpu_s, 3),
            "sizes": tally.sizes,
            "seen": {
                name: {"histories": histories, "times": times}
                for name, (histories, times) in sorted(tally.seen.items())
            },
            "never_taken": [f"{old} → {new}" for old, new in tally.never],
        }
    )


def _words(tally: Tally, seconds: float, seed: int) -> str:
    lines = [f"seed {one.seed}: {one.rule}: {one.detail}" for one in tally.found[:VIOLATIONS_SHOWN]]
    lines += [dump(one.history).decode() for one in tally.found[:1]]
    lines += [f"  {'what happened':<48}{'in histories':>14}{'times':>12}"]
    lines += [
        f"  {name:<48}{histories / tally.histories:>13.1%}{times:>13,}"
        for name, (histories, times) in sorted(tally.seen.items())
    ]
    sizes = ", ".join(f"{many} {name}" for name, many in tally.sizes.items())
    never = ", ".join(f"{old} → {new}" for old, new in tally.never)
    lines += [
        f"transitions that nothing took: {never or 'none'}",
        f"{tally.histories} histories ({sizes}) from seed {seed}, {tally.steps} steps "
        f"in {seconds:.1f} s, {tally.rate:.0f} histories a second of a core: "
        + (f"{len(tally.found)} broke a rule" if tally.found else "every rule held"),
    ]
    return "\n".join(lines)
