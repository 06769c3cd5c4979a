"""`moment-sync chaos`: kill what can be killed, then judge the whole history."""

import logging
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

import click
from aiokafka.errors import KafkaError

from streams.local.kafka_node import KafkaUnavailableError
from streams.local.postgresql_node import PostgresUnavailableError
from streams.ops import console_output as out
from streams.ops.chaos.harness import Run, Wish
from streams.ops.chaos.processes import ChaosError
from streams.ops.chaos.record import Summary
from streams.ops.command_base import CommandEnds, Exit, example, json_option
from streams.ops.demo.processes import Interrupted, end_on_signals

MINUTE_S: Final = 60.0
SEED_MAX: Final = 1_000_000
SIGNALLED: Final = 128  # exit code of a command that a signal ended: this and its number
VIOLATIONS_SHOWN: Final = 30


@click.command(
    epilog=example(
        "moment-sync chaos",
        "moment-sync chaos --minutes 20 --kills 60 --events 10000 --ledger postgresql",
        "moment-sync chaos --seed 4711 --json",
    )
)
@click.option("--minutes", type=click.FloatRange(0.1, 1440), default=2.0, show_default=True)
@click.option("--kills", type=click.IntRange(0, 10_000), default=8, show_default=True)
@click.option("--events", type=click.IntRange(1, 1_000_000), default=1200, show_default=True)
@click.option(
    "--ledger",
    type=click.Choice(["sqlite", "postgresql"]),
    default="sqlite",
    show_default=True,
)
@click.option(
    "--seed", type=int, default=None, help="The same mischief and events again.  [default: random]"
)
@click.option("--keep", is_flag=True, help="Keep the files also where nothing is wrong.")
@json_option
@click.pass_context
def chaos(
    ctx: click.Context,
    minutes: float,
    kills: int,
    events: int,
    ledger: str,
    seed: int | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Run workers on a real Kafka between hostile accounting systems, and kill what can be killed.

    Workers, broker, database and accounting systems are killed, stopped and started again while
    events flow for so many minutes; then faults end, and when all is quiet an offline checker
    judges everything that was sent, told and booked. Exit 1 on any violation.
    """
    for name in ("aiokafka", "kafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a dead broker is the point
    wish = Wish(
        seconds=minutes * MINUTE_S,
        kills=kills,
        events=events,
        ledger=ledger,
        seed=secrets.randbelow(SEED_MAX) if seed is None else seed,
    )
    directory = Path(tempfile.mkdtemp(prefix="moment-sync-chaos-"))
    end_on_signals()
    run = Run(wish, directory, os.environ, out.say)
    kept = True
    try:
        summary = run.execute()
        kept = keep or bool(summary.violations)
    except Interrupted as interrupted:
        out.say("stopping …")
        kept = False
        ctx.exit(SIGNALLED + interrupted.number)
    except (KafkaUnavailableError, PostgresUnavailableError) as error:
        raise CommandEnds(Exit.AWAY, str(error)) from None
    except (ChaosError, KafkaError, OSError, TimeoutError) as error:
        raise CommandEnds(Exit.FOUND, f"{error!s}\nfiles are in {directory}") from None
    finally:
        run.machine.stop()
        run.machine.remove_server_data()
        if not kept:
            shutil.rmtree(directory, ignore_errors=True)
    _show(summary, as_json=as_json)
    ctx.exit(int(Exit.FOUND if summary.violations else Exit.DONE))


def _show(summary: Summary, *, as_json: bool) -> None:
    if as_json:
        out.document(summary)
        return
    rows = [
        ("events", summary.events),
        ("deliveries settled", summary.deliveries),
        ("writes in the books", summary.written),
        ("workers", summary.workers),
        ("kills", summary.kills),
        *((f"  {kind}", count) for kind, count in summary.mischief.items()),
        ("faults met", sum(summary.faults.values())),
        *((kind, count) for kind, count in summary.outcomes.items()),
        ("dead letters", summary.deadletters),
        ("lost", summary.lost),
        ("doubled", summary.doubled),
        ("out of order", summary.out_of_order),
        ("without final outcome", summary.without_final_outcome),
        ("double final outcome", summary.double_final_outcome),
        ("violations", len(summary.violations)),
        ("seconds", summary.seconds),
        ("seconds until all was settled", summary.quiet_seconds),
        ("seed", summary.seed),
    ]
    out.table(("what", "count"), rows)
    for violation in summary.violations[:VIOLATIONS_SHOWN]:
        out.text(f"{violation.kind}: {out.harmless(violation.text)}")
    if summary.directory:
        out.text(f"the whole history is in {summary.directory}")
