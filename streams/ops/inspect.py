"""`moment-sync status` and `moment-sync show`: how it stands, and how it came to."""

import asyncio
from typing import Any, Final

import click
from aiokafka.errors import KafkaError

from schemas.events import EntityType
from streams.clock import SystemClock
from streams.ledger.queries import Standing, standings
from streams.ledger.story import story_of_entity
from streams.ops import console_output as out
from streams.ops.command_base import (
    WAIT_S,
    CommandEnds,
    Exit,
    example,
    json_option,
    settings_in_force,
)
from streams.ops.ledger_view import LedgerView, at
from streams.ops.reach import kafka_within_reach
from streams.ops.stories import lines, tell_lines
from streams.settings import Settings
from streams.topics import TopicNames, lag

NOT_SET_UP: Final = "not set up"


@click.command(epilog=example("moment-sync status", "moment-sync status --json"))
@json_option
def status(as_json: bool) -> None:
    """Show deliveries by state for each integration, the oldest open one, holds and lag.

    Lag is what Kafka has and the group has not taken yet. Where Kafka is away the rest is shown
    all the same, and the exit code is 3.
    """
    view = LedgerView(settings_in_force())
    found = view.ask(standings)
    known = {one.integration: one for one in found.integrations}
    names = sorted({*known, *view.integrations})
    now = SystemClock().now().timestamp()
    shown = [_standing(view, known.get(name, Standing(integration=name)), now) for name in names]
    away: CommandEnds | None = None
    behind: int | None = None
    try:
        behind = asyncio.run(_lag(view.settings))
    except CommandEnds as error:
        away = error
    document = {
        "integrations": shown,
        "lag": behind,
        "letters": found.letters,
        "openCommands": found.open_commands,
    }
    if as_json:
        out.document(document)
    else:
        _tell(document)
    if away is not None:
        raise away


async def _lag(settings: Settings) -> int:
    connection = await kafka_within_reach(settings)
    try:
        async with asyncio.timeout(WAIT_S):
            return await lag(connection, settings.group, TopicNames(settings.topic_prefix))
    except (KafkaError, OSError, TimeoutError) as error:
        raise CommandEnds(
            Exit.AWAY, f"Kafka at {connection.bootstrap} went away ({type(error).__name__})"
        ) from None


def _standing(view: LedgerView, standing: Standing, now: float) -> dict[str, Any]:
    one = view.integrations.get(standing.integration)
    oldest = standing.oldest_open_at
    shown: dict[str, Any] = {
        "id": standing.integration,
        "company": one.company if one is not None else standing.company,
        "system": one.system.value if one is not None else standing.system,
        "held": standing.held is not None,
        "states": standing.states,
        "oldestAgeSeconds": 0.0 if oldest is None else round(max(0.0, now - oldest), 3),
    }
    if one is None:
        shown["setUp"] = False
    if standing.held is not None:
        told = view.words(standing.held, standing.integration, None)
        shown |= {
            "heldReason": standing.held.code.value,
            "heldText": told.text,
            "heldAction": told.action,
        }
        if standing.held_since is not None:
            shown["heldSince"] = at(standing.held_since)
    return shown


def _tell(document: dict[str, Any]) -> None:
    rows = []
    for one in document["integrations"]:
        states = ", ".join(f"{name} {count}" for name, count in sorted(one["states"].items()))
        age = one["oldestAgeSeconds"]
        held = f"{one['heldReason']}: {one['heldText']}" if one["held"] else ""
        if "setUp" in one:
            held = f"{NOT_SET_UP} {held}".rstrip()
        rows.append((one["id"], one["company"], one["system"], states, f"{age:.0f} s", held))
    out.table(("integration", "company", "system", "deliveries", "oldest", "held"), rows)
    behind = "?" if document["lag"] is None else document["lag"]
    out.text(
        f"lag {behind}, {document['letters']} letters without a delivery, "
        f"{document['openCommands']} commands to be carried out"
    )


@click.command(epilog=example("moment-sync show c-1001 invoice 1001 --json"))
@click.argument("company")
@click.argument(
    "entity_type", metavar="TYPE", type=click.Choice([kind.value for kind in EntityType])
)
@click.argument("number")
@json_option
def show(company: str, entity_type: str, number: str, as_json: bool) -> None:
    """Show the whole story of an entity in order of time.

    Its events, the deliveries that they became and what these wait for, every attempt with its
    calls, every outcome, and what people did. TYPE is customer, project or invoice.
    """
    view = LedgerView(settings_in_force())
    found = view.ask(lambda connection: story_of_entity(connection, company, entity_type, number))
    entity: dict[str, Any] = {"company": company, "type": entity_type, "number": number}
    if found is None:
        out.say(f"the ledger knows no {entity_type} {number} of company {company}")
        if as_json:
            out.document({"entity": entity, "story": []})
        return
    entity |= {"customerNumber": found.customer_number, "integrations": found.known}
    if as_json:
        out.document({"entity": entity, "story": lines(found), "whole": found.whole})
        return
    for known in found.known:
        number_there = known.reference["number"] if known.reference else "?"
        where = f"in the books as {number_there}" if known.in_books else "not in the books"
        out.text(out.harmless(f"{known.integration}: {where}"))
    tell_lines(lines(found))
    if not found.whole:
        out.say("there is more; only the newest is shown")
