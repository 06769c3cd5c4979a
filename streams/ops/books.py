"""`moment-sync check` and `moment-sync verify`: the books before the first invoice, and after."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import click
import msgspec

from connectors.inspection import Needs
from connectors.integrations import Integration, System
from connectors.port import Clock
from schemas.catalogue.catalogue import render
from streams.clock import SystemClock
from streams.connecting import Connections
from streams.ledger.recorded import books_of, how_many
from streams.limits import limits_of
from streams.ops import checking
from streams.ops import console_output as out
from streams.ops.asking import Asker, BooksAwayError
from streams.ops.command_base import (
    WAIT_S,
    CommandEnds,
    Exit,
    example,
    integration_named,
    integrations_in_force,
    json_option,
    settings_in_force,
)
from streams.ops.ledger_view import LedgerView
from streams.ops.verify_sides import Span
from streams.ops.verifying import Verification
from streams.settings import Settings

AT_ONCE: Final = 4  # integrations asked side by side: a handful of banks, and no burst on one
DEFAULT_RATE: Final = 5.0  # calls a second and integration: unnoticed beside a bank's own users

Finding = dict[str, Any]
One = Callable[[Asker], Awaitable[list[Finding]]]

_integration = click.option("--integration", "name", help="Only this one, by its id.")
_wait = click.option(
    "--wait",
    type=click.FloatRange(0, WAIT_S),
    default=WAIT_S,
    show_default=True,
    help="Seconds to wait for an accounting system that does not answer.",
)
_day = click.DateTime(formats=["%Y-%m-%d"])


def _split(_ctx: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (value or "").split(",") if part.strip())


@click.command(
    epilog=example(
        "moment-sync check",
        "moment-sync check --integration fjord-sb1 --accounts 3000,3010 --vat-codes 3,33",
    )
)
@_integration
@click.option("--accounts", callback=_split, metavar="3000,3010", help="Ledger accounts.")
@click.option("--vat-codes", callback=_split, metavar="3,33", help="Accounting VAT codes.")
@click.option("--item-codes", callback=_split, metavar="A,B", help="Products of DK+.")
@_wait
@json_option
@click.pass_context
def check(
    ctx: click.Context,
    name: str | None,
    accounts: tuple[str, ...],
    vat_codes: tuple[str, ...],
    item_codes: tuple[str, ...],
    wait: float,
    as_json: bool,
) -> None:
    """Ask the accounting systems for all that the first invoice will need. Writes nothing.

    Which accounts, VAT codes and products these are is read from the events in the ledger, or,
    where any are named here, exactly those. Exit 1 when something is wrong.
    """
    settings = settings_in_force()
    chosen = _chosen(settings, name)
    needs: dict[str, Needs] = {}
    if accounts or vat_codes or item_codes:
        named = Needs(accounts=accounts, vat_codes=vat_codes, item_codes=item_codes)
        needs = dict.fromkeys((one.id for one in chosen), named)
    else:
        view = _ledger_if_any(settings)
        if view is not None:
            needs = {one.id: checking.needs_in_events(view, one) for one in chosen}
    clock = SystemClock()

    async def inspected(asker: Asker) -> list[Finding]:
        wanted = needs.get(asker.integration.id, Needs())
        return await checking.findings_of(asker, wanted, clock.now())

    ctx.exit(_end(asyncio.run(_all(chosen, settings, clock, wait, None, inspected)), as_json))


@click.command(
    epilog=example(
        "moment-sync verify",
        "moment-sync verify --integration fjord-sb1 --from 2026-01-01 --to 2026-03-31 --json",
    )
)
@_integration
@click.option("--from", "first", type=_day, help="Invoices dated on this day or later.")
@click.option("--to", "last", type=_day, help="Invoices dated on this day or before.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=DEFAULT_RATE,
    show_default=True,
    help="Calls a second to each integration's books, on average.",
)
@_wait
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    name: str | None,
    first: datetime | None,
    last: datetime | None,
    rate: float,
    wait: float,
    as_json: bool,
) -> None:
    """Hold the books against the ledger: what is missing, doubled, different, unknown.

    Reads all customers and projects, and the invoices of the days that are named. Writes nothing.
    Exit 1 when something is found.
    """
    settings = settings_in_force()
    chosen = _chosen(settings, name)
    view = LedgerView(settings)
    clock = SystemClock()
    span = Span(first=first.date() if first else None, last=last.date() if last else None)
    total = 0
    for each in chosen:
        total += view.ask(partial(_how_many, integration=each.id))
    with out.progress("compared", total) as advance:

        async def compared(asker: Asker) -> list[Finding]:
            settle = timedelta(seconds=_settle_s(settings, asker.integration.system))
            whole = Verification(
                asker,
                view.ask,
                span=span,
                settled_before=clock.now() - settle,
                advance=advance,
            )
            await whole.run()
            for note in whole.notes:
                out.say(note)
            return whole.findings

        found = asyncio.run(_all(chosen, settings, clock, wait, rate, compared))
    ctx.exit(_end(found, as_json))


def _how_many(connection: Any, *, integration: str) -> int:
    return how_many(connection, integration, books_of(connection, integration))


def _chosen(settings: Settings, name: str | None) -> Sequence[Integration]:
    integrations = integrations_in_force(settings)
    return integrations.integrations if name is None else [integration_named(integrations, name)]


def _settle_s(settings: Settings, system: System) -> float:
    """How long a booking may take to be seen in the books (design section 6)."""
    return limits_of(system, settings).settle_s


def _ledger_if_any(settings: Settings) -> LedgerView | None:
    """The ledger; None where there is none yet, which is told."""
    try:
        return LedgerView(settings)
    except CommandEnds as end:
        if end.exit_code != Exit.WRONG:
            raise
        out.say(f"no events are looked at, only the set-up itself: {end.message}")
        return None


class _Found(msgspec.Struct, kw_only=True):
    """What all integrations came to: findings in the order of the file, and who was away."""

    findings: list[Finding] = []
    away: list[str] = []


async def _all(
    chosen: Sequence[Integration],
    settings: Settings,
    clock: Clock,
    wait_s: float,
    rate: float | None,
    act: One,
) -> _Found:
    """Ask each integration's books, some side by side; one that is away stops no other."""
    bounded = msgspec.structs.replace(
        settings,
        sparebank1_timeout_s=min(settings.sparebank1_timeout_s, WAIT_S),
        dkplus_timeout_s=min(settings.dkplus_timeout_s, WAIT_S),
    )
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(integration: Integration, connections: Connections) -> list[Finding] | str:
        runner = connections.runners[integration.system]
        asker = Asker(integration, runner, clock, wait_s=wait_s, calls_per_s=rate)
        async with turns:
            try:
                return await act(asker)
            except BooksAwayError as away:
                return _away(integration, away)

    async with Connections(chosen, bounded, os.environ, clock) as connections:
        results = await asyncio.gather(*(one(each, connections) for each in chosen))
    return _Found(
        findings=[finding for found in results if isinstance(found, list) for finding in found],
        away=[found for found in results if isinstance(found, str)],
    )


def _away(integration: Integration, away: BooksAwayError) -> str:
    words = render(
        away.failure,
        language="en",
        system=integration.system.value,
        entity_type="",
        number="",
    )
    return f"{integration.id}: {words.text}"


def _end(found: _Found, as_json: bool) -> Exit:
    """Show what was found, and say which exit code it comes to."""
    if as_json:
        out.document({"findings": found.findings})
    else:
        for finding in found.findings:
            _show(finding)
        if not found.findings and not found.away:
            out.text("nothing is wrong")
    for line in found.away:
        out.say(out.harmless(line))
    if found.away:
        return Exit.AWAY
    return Exit.FOUND if found.findings else Exit.DONE


def _show(finding: Finding) -> None:
    place = f"{finding['integration']}  {finding['kind']}"
    out.text(out.harmless(f"{place}  {finding['text']}"))
    if finding["action"]:
        out.text(out.harmless(f"    {finding['action']}"))
