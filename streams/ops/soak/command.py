"""`moment-sync soak`: steady load and faults for an hour, and whether anything grows."""

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
from streams.ops.chaos.processes import ChaosError
from streams.ops.command_base import CommandEnds, Exit, example, json_option
from streams.ops.demo.processes import Interrupted, end_on_signals
from streams.ops.soak.harness import Report, Soak, Wish

MINUTE_S: Final = 60.0
SEED_MAX: Final = 1_000_000
SIGNALLED: Final = 128  # exit code of a command that a signal ended: this and its number


@click.command(
    epilog=example(
        "moment-sync soak",
        "moment-sync soak --minutes 5 --rate 10 --ledger postgresql --json",
    )
)
@click.option("--minutes", type=click.FloatRange(0.1, 10_080), default=60.0, show_default=True)
@click.option(
    "--rate",
    type=click.FloatRange(0.1, 1000),
    default=5.0,
    show_default=True,
    help="Events a second.",
)
@click.option(
    "--ledger",
    type=click.Choice(["sqlite", "postgresql"]),
    default="sqlite",
    show_default=True,
)
@click.option("--seed", type=int, default=None, help="The same load again.  [default: random]")
@click.option("--keep", is_flag=True, help="Keep the files also where everything is flat.")
@json_option
@click.pass_context
def soak(
    ctx: click.Context,
    minutes: float,
    rate: float,
    ledger: str,
    seed: int | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Run two workers under steady load, between accounting systems that fail, and measure them.

    After a warm-up, memory, file descriptors, threads and tasks of each worker must not grow, nor
    what the ledger needs for a delivery, and everything must be settled at the end. Exit 1 where
    something grows; the bounds are in the table.
    """
    for name in ("aiokafka", "kafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    wish = Wish(
        seconds=minutes * MINUTE_S,
        rate=rate,
        ledger=ledger,
        seed=secrets.randbelow(SEED_MAX) if seed is None else seed,
    )
    directory = Path(tempfile.mkdtemp(prefix="moment-sync-soak-"))
    end_on_signals()
    run = Soak(wish, directory, os.environ, out.say)
    kept = True
    try:
        report = run.execute()
        kept = keep or not report.flat
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
    _show(report, directory if kept else None, as_json=as_json)
    ctx.exit(int(Exit.DONE if report.flat else Exit.FOUND))


def _show(report: Report, directory: Path | None, *, as_json: bool) -> None:
    if as_json:
        out.document(report)
        return
    out.table(
        ("what", "unit", "at first", "at last", "growth", "allowed", "flat"),
        [
            (
                one.what,
                one.unit,
                one.first,
                one.last,
                one.growth,
                one.allowed,
                "yes" if one.flat else "NO",
            )
            for one in report.judged
        ],
    )
    out.text(
        f"{report.events} events, {report.deliveries} deliveries, {report.faults} faults met; "
        f"{report.judged_seconds:g} s judged after {report.warm_up_seconds:g} s of warm-up; "
        f"ledger {report.ledger_mib:g} MiB"
    )
    for violation in report.violations:
        out.text(f"not flat: {violation}")
    if directory is not None:
        out.text(f"files and logs are in {directory}")
