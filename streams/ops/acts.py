"""`moment-sync resume` and `moment-sync resync`: what a person does about an integration."""

import asyncio
import getpass
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

import click
import msgspec

from schemas.commands import CommandData, CommandKind
from streams.clock import new_id
from streams.ledger.queries import command_progress, open_command, said_of_integration
from streams.ops import console_output as out
from streams.ops.command_base import (
    CommandEnds,
    Exit,
    example,
    integration_named,
    integrations_in_force,
    json_option,
    settings_in_force,
)
from streams.ops.ledger_view import LedgerView
from streams.ops.orders import SOURCE, Order, Post, refuse_bad, until_done
from streams.ops.reach import kafka_within_reach
from streams.settings import Settings
from streams.topics import TopicNames

Function = TypeVar("Function", bound=Callable[..., Any])

NOT_DONE: Final = (
    "no worker has carried it out within 30 seconds; it will be once one runs, there is no need "
    "to ask again"
)


def _signed(function: Function) -> Function:
    by = click.option("--by", help="Who asks for it; kept in the audit. Default: your login name.")
    reason = click.option("--reason", help="Why; kept in the audit.")
    return by(reason(function))


@click.command(epilog=example("moment-sync resume fjord-sb1 --by kari --reason 'key renewed'"))
@click.argument("integration")
@_signed
@json_option
def resume(integration: str, by: str | None, reason: str | None, as_json: bool) -> None:
    """End the hold of an integration now, without waiting for its next probe.

    Parents that deliveries wait for are asked for again. Where the books' identity has changed,
    this accepts the one in force: everything is looked up in these books before it is written.
    """
    settings = _checked(integration)
    data = CommandData(by=by or login(), reason=reason, integration=integration)
    detail = asyncio.run(_carry_out(settings, CommandKind.RESUME, integration, data))
    was = (detail.get("failure") or {}).get("code")
    if as_json:
        out.document({"resumed": [integration], "was": was})
    elif was is None:
        out.text(f"{integration} was not held")
    else:
        out.text(f"{integration} is held no more; it was for {was}")


@click.command(epilog=example("moment-sync resync fjord-sb1 --invoices-from 2026-01-01 --by kari"))
@click.argument("integration")
@click.option(
    "--invoices-from",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Also invoices dated so or later; without it none are brought over.",
)
@_signed
@json_option
def resync(
    integration: str,
    invoices_from: datetime | None,
    by: str | None,
    reason: str | None,
    as_json: bool,
) -> None:
    """Bring over the last known state of customers and projects, and of invoices where asked for.

    Customers go first. Returns when all deliveries are opened; `moment-sync status` shows how
    they fare. What is booked already is found and not booked again.
    """
    settings = _checked(integration)
    since = None if invoices_from is None else invoices_from.date()
    data = CommandData(
        by=by or login(), reason=reason, integration=integration, invoices_from=since
    )
    asyncio.run(_carry_out(settings, CommandKind.RESYNC, integration, data))
    if as_json:
        out.document({"resynced": [integration], "invoicesFrom": since})
    else:
        out.text(f"the deliveries of {integration} are opened")


def _checked(integration: str) -> Settings:
    settings = settings_in_force()
    integration_named(integrations_in_force(settings), integration)
    return settings


def login() -> str:
    """The name of whoever runs the command, as far as the system knows it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user often has no name
        return "unknown"


async def _carry_out(
    settings: Settings, kind: CommandKind, integration: str, data: CommandData
) -> dict[str, Any]:
    """Send the command, or join one that is under way, and wait; what the audit says of it."""
    refuse_bad(kind, data)
    view = LedgerView(settings)
    under_way = view.ask(lambda connection: open_command(connection, kind, integration))
    joined = under_way is not None and under_way.source == SOURCE and _same(under_way.data, data)
    name = under_way.id if under_way is not None and joined else new_id()
    if joined:
        out.say("the same was asked before and is under way: waiting for it")
    else:
        order = Order(id=name, key=integration.encode(), kind=kind, data=data)
        connection = await kafka_within_reach(settings)
        async with Post(connection, TopicNames(settings.topic_prefix)) as post:
            await post.send([order])
    left = await until_done(
        view, [name], lambda: view.ask(lambda c: command_progress(c, SOURCE, name))
    )
    if left:
        raise CommandEnds(Exit.AWAY, NOT_DONE)
    said = view.ask(lambda c: said_of_integration(c, integration, name))
    for one in said:
        if one.what == "refused":
            text = one.detail.get("refusal", {}).get("text", "")
            raise CommandEnds(Exit.WRONG, f"the worker refused it: {text}")
        if one.what == "failed":
            raise CommandEnds(Exit.FOUND, f"a defect stopped it: {one.detail.get('error')}")
    return said[0].detail if said else {}


def _same(one: CommandData, other: CommandData) -> bool:
    """Whether two ask for the same, whoever asks and why."""
    plain = msgspec.structs.replace(other, by=one.by, reason=one.reason)
    return one == plain
