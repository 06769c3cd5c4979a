"""`moment-sync deadletters`: what is dead, why, and what to do about it."""

from typing import Any, Final

import click

from streams.ledger.dead import BadCursorError, Dead, dead_page
from streams.ledger.dead_counts import Group, dead_groups
from streams.ledger.letters import load_letters
from streams.ledger.mend_queries import all_said
from streams.ledger.rows import StoredDelivery
from streams.ledger.story import line_of, story_of_delivery
from streams.ops import console_output as out
from streams.ops.command_base import (
    CommandEnds,
    Exit,
    example,
    json_option,
    settings_in_force,
)
from streams.ops.dead_filters import Wanted, filter_options
from streams.ops.dead_hints import unknown
from streams.ops.dead_mending import discard, replay
from streams.ops.dead_tail import tail
from streams.ops.ledger_view import LedgerView, at
from streams.ops.stories import lines, shown_line, tell_lines

PAGE: Final = 1_000  # of the dead in one list, unless asked otherwise
MOST_A_PAGE: Final = 10_000


@click.group(
    epilog=example(
        "moment-sync deadletters histogram",
        "moment-sync deadletters list --code vat-code-unknown --company c-1001",
        "moment-sync deadletters replay --code vat-code-unknown --by kari --dry-run",
        "moment-sync deadletters tail --json",
    )
)
def deadletters() -> None:
    """List, follow, replay and discard what nothing more is done with until a person acts."""


deadletters.add_command(tail)
deadletters.add_command(replay)
deadletters.add_command(discard)


@deadletters.command(
    "list", epilog=example("moment-sync deadletters list --integration fjord-sb1 --since 24h")
)
@filter_options
@click.option("--limit", type=click.IntRange(1, MOST_A_PAGE), default=PAGE, show_default=True)
@click.option("--after", metavar="CURSOR", help="Go on where a list ended (its `next`).")
@json_option
def list_(limit: int, after: str | None, as_json: bool, **wanted: Any) -> None:
    """Show what is dead now, oldest first."""
    view = LedgerView(settings_in_force())
    wanted_filter = Wanted(**wanted).filter(view)
    try:
        page = view.ask(
            lambda connection: dead_page(connection, wanted_filter, after=after, limit=limit)
        )
    except BadCursorError:
        raise CommandEnds(Exit.WRONG, f"--after {after!r} is not what a list gave") from None
    shown = [view.shown(dead) for dead in page.dead]
    if as_json:
        found: dict[str, Any] = {"deadletters": shown}
        out.document(found if page.next is None else {**found, "next": page.next})
        return
    if not shown:
        out.text(Wanted(**wanted).nothing)
        return
    out.table(
        ("delivery", "since", "integration", "entity", "code", "text"),
        [
            (
                one["deliveryId"],
                one["lastFailedAt"][:19],
                one["integration"] or one["company"],
                one["entity"],
                one["code"],
                one["text"],
            )
            for one in shown
        ],
    )
    if page.next is not None:
        out.say(f"more: --after {page.next}")


@deadletters.command("histogram", epilog=example("moment-sync deadletters histogram --since 7d"))
@filter_options
@json_option
def histogram(as_json: bool, **wanted: Any) -> None:
    """Count what is dead by code, class and integration, the most first."""
    view = LedgerView(settings_in_force())
    found = Wanted(**wanted)
    groups = [
        _shown(view, group)
        for group in view.ask(lambda connection: dead_groups(connection, found.filter(view)))
    ]
    if as_json:
        out.document({"groups": groups})
        return
    if not groups:
        out.text(found.nothing)
        return
    out.table(
        ("count", "code", "class", "integration", "oldest", "newest", "text of the newest"),
        [
            (
                group["count"],
                group["code"],
                group["class"],
                group["integration"],
                group["oldest"][:19],
                group["newest"][:19],
                group["text"],
            )
            for group in groups
        ],
    )


def _shown(view: LedgerView, group: Group) -> dict[str, Any]:
    return {
        "code": group.code,
        "class": group.klass,
        "integration": group.integration,
        "count": group.count,
        "oldest": at(group.oldest_at),
        "newest": at(group.newest_at),
        "text": view.shown(group.newest)["text"],
    }


@deadletters.command("show", epilog=example("moment-sync deadletters show 7d1c…  --json"))
@click.argument("delivery_id", metavar="DELIVERY_ID")
@json_option
def show(delivery_id: str, as_json: bool) -> None:
    """Show one of the dead whole: what it says, what came, and all that was tried."""
    view = LedgerView(settings_in_force())
    found = view.ask(lambda connection: _one(view, connection, delivery_id))
    if found is None:
        raise CommandEnds(
            Exit.WRONG,
            f"{delivery_id}: {unknown(view, delivery_id)['text']}",
        )
    if as_json:
        out.document(found)
        return
    letter = found["deadletter"]
    for name in ("deliveryId", "state", "integration", "entity", "code", "text", "action"):
        out.text(f"{name:<12} {out.harmless(letter.get(name))}")
    out.text(f"{'value':<12} {out.harmless(letter['original']['value'])}")
    tell_lines(found["story"])


def _one(view: LedgerView, connection: Any, delivery_id: str) -> dict[str, Any] | None:
    story = story_of_delivery(connection, delivery_id)
    if story is not None:
        (delivery,) = story.deliveries
        return {"deadletter": _delivery(view, delivery), "story": lines(story)}
    letters = load_letters(connection, [delivery_id])
    if delivery_id not in letters:
        return None
    one = letters[delivery_id]
    shown = view.shown(
        Dead(
            delivery_id=delivery_id,
            failure=one.failure,
            company=one.company,
            replays=one.replays,
            last_failed_at=one.last_failed_at or one.received_at,
        )
    )
    return {
        "deadletter": {**shown, "state": one.state, "original": _original(one.record)},
        "story": [shown_line(line_of(said)) for said in all_said(connection, [delivery_id])],
    }


def _delivery(view: LedgerView, delivery: StoredDelivery) -> dict[str, Any]:
    """A delivery, dead or not, as lists show the dead; without words where it has no failure."""
    facts = {
        "deliveryId": delivery.delivery_id,
        "company": delivery.company,
        "integration": delivery.integration,
        "entity": f"{delivery.entity_type.value}/{delivery.number}",
        "attempts": delivery.attempts,
        "replays": delivery.replays,
    }
    if delivery.failure is not None:
        dead = Dead(
            delivery_id=delivery.delivery_id,
            failure=delivery.failure,
            company=delivery.company,
            integration=delivery.integration,
            entity=f"{delivery.entity_type.value}/{delivery.number}",
            attempts=delivery.attempts,
            replays=delivery.replays,
            last_failed_at=delivery.last_failed_at or delivery.received_at,
        )
        facts = view.shown(dead)
    return {**facts, "state": delivery.state.value, "original": _original(delivery.record)}


def _original(record: Any) -> dict[str, Any]:
    """What came, for people: bytes that are no text are shown as replacement characters."""
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": {name: _text(value) for name, value in record.headers},
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
