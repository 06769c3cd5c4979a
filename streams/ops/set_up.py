"""The commands that set up and run: worker, topics, ledger, config, schemas.

What is heavy to load (Kafka, Faust, the ledger) is loaded by the command that needs it.
"""

# ruff: noqa: PLC0415 - see above
import asyncio
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from streams import log_output
from streams.clock import SystemClock
from streams.ops import console_output as out
from streams.ops import early_end
from streams.ops.command_base import (
    CommandEnds,
    Exit,
    example,
    integrations_in_force,
    json_option,
    settings_in_force,
)
from streams.settings import Settings, describe

if TYPE_CHECKING:
    from streams.ledger.restored import Restored
    from streams.topics import TopicsReport

log = logging.getLogger(__name__)


# --- worker ----------------------------------------------------------------------------------


@click.command(
    epilog=example("moment-sync worker", "kill -HUP <pid>    read the integrations anew")
)
@click.pass_context
def worker(ctx: click.Context) -> None:
    """Run a worker until SIGTERM or SIGINT; what is in flight is drained within DRAIN.

    It refuses to start (2) where settings, integrations, topics or ledger are not as they must
    be, and ends with 3 where Kafka or the ledger cannot be reached within 30 seconds.
    """
    early_end.listen()
    settings = settings_in_force()
    log_output.set_up(settings.log)
    integrations = integrations_in_force(settings)
    from streams.ops.reach import kafka_connection, ledger_within_reach
    from streams.worker import run

    kafka_connection(settings)
    ledger_within_reach(settings.ledger, _tell)
    ctx.exit(run(settings, integrations, os.environ, _tell))


def _tell(words: str) -> None:
    """Among the lines of the log, so that whoever collects them sees it."""
    log.warning("%s", words, extra={"action": "worker_start"})


# --- topics ----------------------------------------------------------------------------------


@click.group()
def topics() -> None:
    """The topics on the cluster."""


@topics.command("create", epilog=example("moment-sync topics create --json"))
@json_option
def topics_create(as_json: bool) -> None:
    """Make the topics that are missing; say what differs from ours in those that are there.

    Changes no topic that is there. TOPIC_PREFIX, TOPIC_PARTITIONS, TOPIC_REPLICATION and
    TOPIC_RETENTION say how they are made.
    """
    report = asyncio.run(_create_topics(settings_in_force()))
    if as_json:
        out.document(report)
    else:
        for word, names in (("created", report.created), ("existing", report.existing)):
            for name in names:
                out.text(f"{word:<9} {name}")
        for sentence in report.differing:
            out.text(f"differing {sentence}")
    if report.failed:
        raise CommandEnds(Exit.WRONG, "\n".join(report.failed))


async def _create_topics(settings: Settings) -> "TopicsReport":
    from aiokafka.errors import KafkaError

    from streams.ops.reach import kafka_within_reach
    from streams.topics import TopicNames, create

    connection = await kafka_within_reach(settings)
    try:
        return await create(
            connection,
            TopicNames(settings.topic_prefix),
            partitions=settings.topic_partitions,
            replication=settings.topic_replication,
            retention_s=settings.topic_retention_s,
        )
    except (KafkaError, OSError) as error:
        raise CommandEnds(
            Exit.AWAY, f"Kafka at {connection.bootstrap} went away: {error!r}"
        ) from None


# --- ledger ----------------------------------------------------------------------------------


@click.group()
def ledger() -> None:
    """The ledger's schema."""


@ledger.command("migrate", epilog=example("moment-sync ledger migrate"))
@json_option
def ledger_migrate(as_json: bool) -> None:
    """Bring the ledger to this version's schema. Safe to repeat, and to run beside workers."""
    settings = settings_in_force()
    from streams.ledger.schema import SchemaError, migrate
    from streams.ops.reach import ledger_within_reach

    ledger_within_reach(settings.ledger)
    try:
        applied = migrate(settings.ledger)
    except SchemaError as error:
        raise CommandEnds(Exit.WRONG, str(error)) from None
    if as_json:
        out.document({"applied": applied})
    elif applied:
        out.text(f"the ledger was brought to {applied[-1]} ({len(applied)} steps)")
    else:
        out.text("the ledger is up to date")


@ledger.command("restored", epilog=example("moment-sync ledger restored"))
@json_option
def ledger_restored(as_json: bool) -> None:
    """Say that a copy was put in the ledger's place: the books know more than it does.

    Nothing is sent until the books have settled, and for 90 days every booking and creation is
    looked up first. A worker finds out by itself only where events were read since the copy was
    made; so say it after every restore, before the workers start. Safe to repeat.
    """
    settings = settings_in_force()
    names = frozenset(one.id for one in integrations_in_force(settings).integrations)
    from streams.ledger.restored import LOOK_UP_AFTER_RESTORE_S, Restored
    from streams.ledger.rules import Moment
    from streams.ledger.schema import problems
    from streams.ops.reach import ledger_within_reach

    ledger_within_reach(settings.ledger)
    wrong = problems(settings.ledger)
    if wrong is not None:
        raise CommandEnds(Exit.WRONG, wrong)
    clock = SystemClock()
    settle_s = max(settings.sparebank1_settle_s, settings.dkplus_settle_s)

    def now() -> Moment:
        return Moment(wall=clock.now().timestamp(), elapsed=clock.elapsed(), boot=clock.boot_id)

    restored = Restored(clock=now, settle_s=settle_s, integrations=names)
    asyncio.run(_say_restored(settings.ledger, restored))
    if as_json:
        until = clock.now() + timedelta(seconds=LOOK_UP_AFTER_RESTORE_S)
        out.document({"lookUpUntil": until, "quietSeconds": settle_s})
    else:
        out.text(
            f"nothing is sent for {settle_s:g} s; then bookings and creations are looked up first"
        )


async def _say_restored(url: str, restored: "Restored") -> None:
    from streams.ledger.engine import Ledger
    from streams.ledger.restored import mark_restored

    ledger = Ledger(url)
    ledger.start()
    try:
        await ledger.submit(mark_restored, restored)
    finally:
        await ledger.stop()


# --- config ----------------------------------------------------------------------------------


@click.command(epilog=example("moment-sync config", "MOMENT_SYNC_DRAIN=30s moment-sync config"))
@json_option
def config(as_json: bool) -> None:
    """Show every setting in force, its default and where it comes from; secrets are masked."""
    rows = describe(settings_in_force())
    if as_json:
        out.document({"settings": rows})
        return
    out.table(
        ("name", "value", "default", "from"),
        [(row.name, row.value, row.default, row.source) for row in rows],
    )


# --- schemas ---------------------------------------------------------------------------------


@click.group()
def schemas() -> None:
    """JSON Schema and AsyncAPI of everything on the topics."""


@schemas.command("export", epilog=example("moment-sync schemas export ./schemas"))
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@json_option
def schemas_export(directory: Path, as_json: bool) -> None:
    """Write every schema into DIRECTORY, which is made if need be."""
    from schemas.export import export

    try:
        paths = [str(path) for path in export(directory)]
    except OSError as error:
        why = error.strerror or "unknown error"
        raise CommandEnds(Exit.WRONG, f"{error.filename} cannot be written: {why}") from None
    if as_json:
        out.document({"files": paths})
        return
    for path in paths:
        out.text(path)
