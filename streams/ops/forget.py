"""`moment-sync forget`: what the ledger holds of a customer, or of a whole company, is erased."""

import asyncio
import time
from typing import Any, Final

import click

from schemas.commands import CommandData, CommandKind
from streams.clock import SystemClock
from streams.core.states import State
from streams.ledger.erasing import Eraser
from streams.ledger.forgetting import Erased, Living, Scope, Survey
from streams.ops import console_output as out
from streams.ops.acts import login
from streams.ops.command_base import (
    WAIT_S,
    CommandEnds,
    Exit,
    example,
    json_option,
    settings_in_force,
)
from streams.ops.ledger_view import LedgerView
from streams.ops.orders import Post, plan, results
from streams.ops.reach import UNREACHABLE, kafka_within_reach
from streams.setting_values import without_password
from streams.settings import Settings
from streams.topics import DEADLETTER_RETENTION_FACTOR, TopicNames

LOOK_S: Final = 0.2  # between two looks whether the last outcomes are published
DAY_S: Final = 86_400.0
SHOWN_MOST: Final = 20  # deliveries that are listed for people; --json has all
_UNDER_WAY: Final = frozenset({State.SENDING.value, State.UNCERTAIN.value})


@click.command(
    epilog=example(
        "moment-sync forget c-1001 100042 --dry-run",
        "moment-sync forget c-1001 100042 --by kari --reason 'asked for on 2 November'",
        "moment-sync forget c-1001 --by kari --reason 'contract ended'",
    )
)
@click.argument("company")
@click.argument("customer", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be erased, and change nothing.")
@click.option(
    "--discard-open",
    is_flag=True,
    help="Also discard what waits to be sent: it never gets into the books.",
)
@click.option(
    "--rewrite",
    is_flag=True,
    help="PostgreSQL: write the tables anew. Workers wait meanwhile. SQLite always does.",
)
@click.option("--by", help="Who asks for it; kept in the audit. Default: your login name.")
@click.option("--reason", default="", help="Why; kept in the audit.")
@json_option
@click.pass_context
def forget(
    ctx: click.Context,
    company: str,
    customer: str | None,
    dry_run: bool,
    discard_open: bool,
    rewrite: bool,
    by: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Erase from the ledger what it holds of a COMPANY, or of one CUSTOMER (number) of it.

    Names, addresses, e-mails, events, answers and notices go; numbers, digests and the numbers
    of booked invoices stay, since order and "once" need them. Dead letters are discarded first.
    A customer of whom something is still to be sent is left alone, and told (exit 1). Safe beside
    workers, and to repeat. It says what it cannot reach: Kafka, the books, backups.
    """
    settings = settings_in_force()
    view = LedgerView(settings)
    scope = Scope(company=company, customer=customer)
    who = by or login()
    try:
        with Eraser(settings.ledger, scope) as eraser:
            found = _surveyed(eraser, scope)
            erased, left = Erased(), None
            if not dry_run:
                base = CommandData(by=who, reason=reason or None)
                if _discard(view, found.living, base, discard_open=discard_open):
                    found = eraser.survey()
                _wait_for_publishing(eraser)
                erased = _erased(eraser, found, who, reason)
                left = eraser.let_go(rewrite=rewrite)
            kept = list(eraser.survey().living)
            waiting = eraser.unpublished()
    except Exception as error:
        if type(error).__name__ not in UNREACHABLE:
            raise
        place = without_password(settings.ledger)
        raise CommandEnds(Exit.AWAY, f"the ledger {place} went away; run this again") from None
    remains = _remains(settings, left, waiting)
    if as_json:
        out.document(_document(scope, found, erased, kept, remains, dry_run=dry_run))
    else:
        _tell(scope, found, erased, kept, remains, dry_run=dry_run)
    ctx.exit(int(Exit.FOUND if (kept or waiting or left) and not dry_run else Exit.DONE))


def _surveyed(eraser: Eraser, scope: Scope) -> Survey:
    found = eraser.survey()
    if not found.known:
        whose = f"customer {scope.customer} of {scope.company}" if scope.customer else scope.company
        raise CommandEnds(Exit.WRONG, f"the ledger knows nothing of {out.harmless(whose)}")
    return found


def _discard(
    view: LedgerView, living: tuple[Living, ...], base: CommandData, *, discard_open: bool
) -> bool:
    """Have workers discard what is dead, and what is open where that is wanted; whether any was."""
    wanted = {State.DEAD.value}
    if discard_open:
        wanted |= {one.state for one in living} - _UNDER_WAY
    pairs = [(one.key, one.delivery_id) for one in living if one.state in wanted]
    if pairs:
        asyncio.run(_send(view, pairs, base))
    return bool(pairs)


async def _send(view: LedgerView, pairs: list[tuple[bytes, str]], base: CommandData) -> None:
    connection = await kafka_within_reach(view.settings)
    async with Post(connection, TopicNames(view.settings.topic_prefix)) as post:
        for wave in plan(view, CommandKind.DISCARD, pairs, base):
            await post.send(wave)
            if (await results(view, wave)).pending:
                out.say("no worker has discarded what is dead within 30 seconds")
                return


def _wait_for_publishing(eraser: Eraser) -> None:
    """An outcome is erased when it is published; a worker does that within a second."""
    elapsed = SystemClock().elapsed
    deadline = elapsed() + WAIT_S
    while eraser.unpublished() and elapsed() < deadline:
        time.sleep(LOOK_S)


def _erased(eraser: Eraser, found: Survey, who: str, why: str) -> Erased:
    at = SystemClock().now().timestamp()
    with out.progress("erasing", len(found.events)) as advance:
        return eraser.erase(found, advance, at=at, who=who, why=why)


# --- telling -------------------------------------------------------------------------------------


def _remains(settings: Settings, left: str | None, waiting: int) -> list[dict[str, str]]:
    """What is not erased by this, and until when it is there."""
    days = settings.topic_retention_s / DAY_S
    kept, letters = f"{days:g} days", f"{days * DEADLETTER_RETENTION_FACTOR:g} days"
    found = [
        ("kafka", f"the input topics keep events for {kept} (as `topics create` makes them)"),
        ("kafka", f"the dead letters keep whole events for {letters}"),
        ("kafka", f"results and failures keep outcomes, with numbers only, for {kept}"),
        ("books", "what is in the accounting system is the bookkeeper's, and kept by law"),
        ("backups", "backups of the ledger have it: after a restore, forget again"),
        ("mail", "notices that were sent, and logs and copies that others have made"),
        ("moment", "the next event of this customer brings its data again"),
    ]
    if settings.ledger.startswith("postgresql"):
        words = "PostgreSQL's write-ahead log and replicas have it until they are recycled"
        found.append(("ledger", words))
    if left is not None:
        found.append(("ledger", left))
    if waiting:
        words = f"{waiting} outcomes are not published yet and are whole: is a worker running?"
        found.append(("ledger", words))
    return [{"where": where, "text": text} for where, text in found]


def _document(
    scope: Scope,
    found: Survey,
    erased: Erased,
    kept: list[Living],
    remains: list[dict[str, str]],
    *,
    dry_run: bool,
) -> dict[str, Any]:
    return {
        "company": scope.company,
        "customer": scope.customer,
        "dryRun": dry_run,
        "found": {"events": len(found.events), "letters": len(found.letters)},
        "erased": erased,
        "kept": [{"deliveryId": one.delivery_id, "state": one.state} for one in kept],
        "remains": remains,
    }


def _tell(
    scope: Scope,
    found: Survey,
    erased: Erased,
    kept: list[Living],
    remains: list[dict[str, str]],
    *,
    dry_run: bool,
) -> None:
    whose = f"customer {scope.customer} of {scope.company}" if scope.customer else scope.company
    if dry_run:
        out.text(f"{out.harmless(whose)}: {len(found.events)} events would be erased")
    else:
        numbers = ", ".join(f"{getattr(erased, n)} {n}" for n in erased.__struct_fields__)
        out.text(f"{out.harmless(whose)} is forgotten: {numbers}")
    if kept:
        out.text("not erased, with all of their customers, since they have not ended:")
        for one in kept[:SHOWN_MOST]:
            out.text(f"  {one.delivery_id}  {one.state}")
        if len(kept) > SHOWN_MOST:
            out.text(f"  and {len(kept) - SHOWN_MOST} more")
        out.text("wait until they have, or use --discard-open, and run this again")
    out.text("this cannot reach:")
    for rest in remains:
        out.text(f"  {rest['where']:<8} {rest['text']}")
