"""`moment-sync simulation`: random histories, one after the other (interface section 8)."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from streams.clock import SystemClock
from streams.ledger.memory import MemoryLedger
from streams.ops.command_base import CommandEnds, Exit, example, json_option
from streams.simulation.history import History, draw, dump, load
from streams.simulation.run import Report, play
from streams.simulation.shrink import shrink

DEFAULT_HISTORIES: Final = 500  # some minutes on one core
VIOLATIONS_SHOWN: Final = 20  # a broken rule is broken in most histories
SHRUNK: Final = 3


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A history in which something did not hold."""

    seed: int
    rule: str
    detail: str
    history: History


@click.command(
    epilog=example(
        "moment-sync simulation                                  some hundred histories",
        "moment-sync simulation --histories 2000 --seed 7 --json",
        "moment-sync simulation --seed 41 --histories 1 --history 41.json    keep it, cut down",
        "moment-sync simulation --history 41.json                run it again",
    )
)
@click.option("--histories", type=click.IntRange(1), default=DEFAULT_HISTORIES, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first.")
@click.option(
    "--history",
    "kept",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Run this one again; where there is no such file, a failing one is put there.",
)
@json_option
def simulation(histories: int, seed: int, kept: Path | None, as_json: bool) -> None:
    """Random histories of events, faults, crashes and takeovers against what must always hold.

    The ledger's operations, the core, ingest and dispatch are the real ones; clock, Kafka,
    network and books are simulated, in one process, and the same seed does the same again. Exit 1
    when something did not hold; then the history is cut down to what it takes.
    """
    ledger = MemoryLedger()
    clock = SystemClock()
    begun = clock.elapsed()
    steps = 0
    found: list[Found] = []
    try:
        for one in _shown(_histories(histories, seed, kept), as_json):
            report = play(one, ledger)
            steps += report.steps
            found += _found(one, report)
        seconds = clock.elapsed() - begun
        cut = [_cut(one, ledger) for one in found[:SHRUNK]]
    finally:
        ledger.close()
    many = 1 if kept is not None and kept.exists() else histories
    if cut and kept is not None and not kept.exists():
        kept.write_bytes(dump(cut[0].history))
    _tell(many, steps, seconds, seed, [*cut, *found[len(cut) :]], as_json)
    if found:
        raise SystemExit(int(Exit.FOUND))


def _histories(many: int, seed: int, kept: Path | None) -> Iterable[History]:
    if kept is None or not kept.exists():
        return (draw(each) for each in range(seed, seed + many))
    try:
        return (load(kept.read_bytes()),)
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandEnds(Exit.WRONG, f"{kept} holds no history: {error}") from None


def _shown(histories: Iterable[History], as_json: bool) -> Iterator[History]:
    if as_json or not click.get_text_stream("stderr").isatty():
        yield from histories
        return
    for number, one in enumerate(histories, 1):
        click.echo(f"\r{number} histories", nl=False, err=True)
        yield one
    click.echo("\r", nl=False, err=True)


def _found(history: History, report: Report) -> list[Found]:
    return [
        Found(seed=history.seed, rule=one.rule, detail=one.detail, history=history)
        for one in report.violations[:1]
    ]


def _cut(found: Found, ledger: MemoryLedger) -> Found:
    smaller = shrink(found.history, found.rule, lambda one: play(one, ledger))
    detail = next(
        (one.detail for one in play(smaller, ledger).violations if one.rule == found.rule),
        found.detail,
    )
    return msgspec.structs.replace(found, history=smaller, detail=detail)


def _tell(
    histories: int, steps: int, seconds: float, seed: int, found: list[Found], as_json: bool
) -> None:
    if as_json:
        violations: list[dict[str, Any]] = [
            {
                "seed": one.seed,
                "rule": one.rule,
                "detail": one.detail,
                "history": json.loads(dump(one.history)),
            }
            for one in found[:VIOLATIONS_SHOWN]
        ]
        click.echo(
            json.dumps(
                {
                    "histories": histories,
                    "steps": steps,
                    "seconds": round(seconds, 3),
                    "violations": violations,
                    "seed": seed,
                }
            )
        )
        return
    for one in found[:VIOLATIONS_SHOWN]:
        click.echo(f"seed {one.seed}: {one.rule}: {one.detail}")
    for one in found[:1]:
        click.echo(dump(one.history).decode())
    click.echo(
        f"{histories} histories from seed {seed}, {steps} steps in {seconds:.1f} s: "
        + (f"{len(found)} broke a rule" if found else "every rule held")
    )
