"""`moment-sync deadletters replay` and `discard`: checked here first, then sent as commands."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import click
import msgspec

from schemas.commands import MAX_DELIVERIES, CommandData, CommandKind
from schemas.edits import EditValue
from schemas.events import EntityType
from schemas.lane import lane_key
from streams.core.replays import Reason, Refusal, discard_refusal
from streams.core.states import State
from streams.ledger.dead import all_dead
from streams.ledger.queries import where_is
from streams.ledger.replays import UNKNOWN, Asked, Judged, judge
from streams.ops import console_output as out
from streams.ops.command_base import (
    CommandEnds,
    Exit,
    example,
    json_option,
    settings_in_force,
)
from streams.ops.dead_filters import Wanted, filter_options
from streams.ops.edit_options import read_edits, refuse_bad_paths
from streams.ops.ledger_view import LedgerView
from streams.ops.orders import LOOK_S, Came, Order, Post, plan, refuse_bad, results
from streams.ops.reach import kafka_within_reach
from streams.topics import TopicNames

Function = TypeVar("Function", bound=Callable[..., Any])

# An attempt, the wait after an unanswered write and both look-ups of it, with room to spare.
CANARY_WAIT_S: Final = 1_800.0


class Mend(msgspec.Struct, frozen=True, kw_only=True):
    """What the options ask for."""

    kind: CommandKind
    by: str
    reason: str | None
    edit: dict[str, EditValue] = {}
    force: bool = False
    dry_run: bool = False
    rate: float | None = None
    canary: bool = False
    as_json: bool = False

    @property
    def base(self) -> CommandData:
        """The data of its commands, but for the deliveries."""
        return CommandData(by=self.by, reason=self.reason, edit=dict(self.edit), force=self.force)


def _shared(function: Function) -> Function:
    options = (
        click.argument("delivery_ids", nargs=-1, metavar="[DELIVERY_ID]..."),
        filter_options,
        click.option("--all", "everything", is_flag=True, help="All that is dead."),
        click.option("--by", required=True, help="Who asks for it; kept in the audit."),
        click.option("--reason", help="Why; kept in the audit."),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing."),
        click.option(
            "--rate", type=click.FloatRange(0, min_open=True), help="Deliveries a second."
        ),
        json_option,
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command(
    epilog=example(
        "moment-sync deadletters replay 7d1c0c1e-… --edit lines[0].vatCode=3 --by kari",
        "moment-sync deadletters replay --code vat-code-unknown --by kari --canary",
        "moment-sync deadletters replay --code vat-code-unknown --by kari --rate 5",
    )
)
@_shared
@click.option("--edit", "edits", multiple=True, metavar="PATH=VALUE", help="Mend a member first.")
@click.option("--canary", is_flag=True, help="Replay the oldest alone, and wait until it settles.")
@click.option("--force", is_flag=True, help="Also what was replayed in vain five times.")
def replay(
    delivery_ids: Sequence[str],
    everything: bool,
    edits: Sequence[str],
    **options: Any,
) -> None:
    """Replay dead deliveries, by id or by filter: the event, or its edited whole, goes again.

    Everything is checked before anything is sent. What is not dead, is booked, or has a newer
    state is refused, and the exit code is then 1. Broken off and run again, nothing goes twice.
    """
    wanted, rest = _split(options)
    mend = Mend(kind=CommandKind.REPLAY, edit=read_edits(edits), **rest)
    _run(mend, delivery_ids, wanted, everything=everything)


@click.command(
    epilog=example(
        "moment-sync deadletters discard 7d1c0c1e-… --by kari --reason 'booked by hand'",
        "moment-sync deadletters discard --code event-unreadable --by kari --dry-run",
    )
)
@_shared
def discard(delivery_ids: Sequence[str], everything: bool, **options: Any) -> None:
    """Discard deliveries: nothing more will be done with them.

    By filter only what is dead; by id also what waits, is blocked, due or ready.
    """
    wanted, rest = _split(options)
    mend = Mend(kind=CommandKind.DISCARD, **rest)
    _run(mend, delivery_ids, wanted, everything=everything)


def _split(options: dict[str, Any]) -> tuple[Wanted, dict[str, Any]]:
    names = Wanted.__struct_fields__
    wanted = Wanted(**{name: options[name] for name in names})
    return wanted, {name: value for name, value in options.items() if name not in names}


def _run(mend: Mend, ids: Sequence[str], wanted: Wanted, *, everything: bool) -> None:
    if not ids and not wanted.anything and not everything:
        raise CommandEnds(Exit.WRONG, "name deliveries, a filter, or --all for all that is dead")
    if ids and (wanted.anything or everything):
        raise CommandEnds(Exit.WRONG, "name deliveries or a filter, not both")
    refuse_bad(mend.kind, msgspec.structs.replace(mend.base, deliveries=("any",)))
    view = LedgerView(settings_in_force())
    chosen = tuple(dict.fromkeys(ids)) or _chosen(view, wanted)
    judged = _judged(view, mend, chosen)
    _refuse_bad_edits(mend, judged)
    refused = [_refused(one) for one in judged if one.refusal is not None]
    if any(one.refusal is UNKNOWN for one in judged):
        _tell(mend, Came(refused=tuple(r for r in refused if r["reason"] == Reason.UNKNOWN)))
        raise CommandEnds(Exit.WRONG, "nothing was done: the ledger does not know every id")
    go = [one for one in judged if one.refusal is None]
    if mend.canary:
        left, go = len(go) - 1, go[:1]
        if left > 0:
            out.say(f"{left} more fit; run the same without --canary once it is well")
    if mend.dry_run:
        came = Came(done=tuple(one.delivery_id for one in go))
    else:
        came = asyncio.run(_send(view, mend, go)) if go else Came()
    _finish(view, mend, msgspec.structs.replace(came, refused=(*refused, *came.refused)))


def _chosen(view: LedgerView, wanted: Wanted) -> tuple[str, ...]:
    found = wanted.filter(view)
    return view.ask(lambda connection: tuple(d.delivery_id for d in all_dead(connection, found)))


def _judged(view: LedgerView, mend: Mend, ids: Sequence[str]) -> list[Judged]:
    def query(connection: Any) -> list[Judged]:
        judged: list[Judged] = []
        for first in range(0, len(ids), MAX_DELIVERIES):
            part = tuple(ids[first : first + MAX_DELIVERIES])
            asked = Asked(ids=part, edit=mend.edit, force=mend.force)
            judged += judge(connection, view.rules, view.directory, asked)
        return judged

    judged = view.ask(query)
    if mend.kind is CommandKind.REPLAY:
        return judged
    return [msgspec.structs.replace(one, refusal=_not_discarded(one)) for one in judged]


def _not_discarded(one: Judged) -> Refusal | None:
    if one.delivery is not None:
        return discard_refusal(one.delivery.state)
    if one.letter is None:
        return UNKNOWN
    if one.letter.state == State.DEAD.value:
        return None
    return Refusal(reason=Reason.NOT_DEAD, text=f"it is {one.letter.state} already")


def _refuse_bad_edits(mend: Mend, judged: Iterable[Judged]) -> None:
    kinds = {EntityType(one.delivery.entity_type) for one in judged if one.delivery is not None}
    refuse_bad_paths(mend.edit, sorted(kinds))


def _refused(one: Judged) -> dict[str, Any]:
    return {"deliveryId": one.delivery_id, **msgspec.to_builtins(one.refusal)}


def _key(one: Judged) -> bytes:
    """The right key of the lane; letters of one key stay in order under one of their own."""
    if one.delivery is not None:
        return lane_key(one.delivery.company, one.delivery.customer_number)
    key = one.letter.record.key if one.letter is not None else None
    return f"letters/{hashlib.blake2b(key or b'', digest_size=8).hexdigest()}".encode()


# --- sending ---------------------------------------------------------------------------------


async def _send(view: LedgerView, mend: Mend, go: Sequence[Judged]) -> Came:
    connection = await kafka_within_reach(view.settings)
    most = MAX_DELIVERIES
    if mend.rate is not None:
        most = max(1, min(MAX_DELIVERIES, int(mend.rate)))
    pairs = [(_key(one), one.delivery_id) for one in go]
    waves = plan(view, mend.kind, pairs, mend.base, most)
    if mend.rate is not None:
        waves = [[order] for wave in waves for order in wave]
    done: list[str] = []
    refused: list[dict[str, Any]] = []
    opened: list[str] = []
    pending: list[str] = []
    loop = asyncio.get_running_loop()
    due = loop.time()
    names = TopicNames(view.settings.topic_prefix)
    async with Post(connection, names) as post:
        with out.progress(f"{mend.kind.value}ing", len(pairs)) as advance:
            for wave in waves:
                await asyncio.sleep(max(0.0, due - loop.time()))
                await post.send(wave)
                came = await results(view, wave)
                done += came.done
                refused += came.refused
                opened += came.opened
                pending += came.pending
                size = _size(wave)
                advance(size)
                due = max(due, loop.time() - 1.0) + (size / mend.rate if mend.rate else 0.0)
                if came.pending:
                    break
    reached = {*done, *pending, *(one["deliveryId"] for one in refused)}
    pending += [name for _, name in pairs if name not in reached]
    return Came(
        done=tuple(done), refused=tuple(refused), opened=tuple(opened), pending=tuple(pending)
    )


def _size(wave: Iterable[Order]) -> int:
    return sum(len(order.data.deliveries) for order in wave)


# --- telling ---------------------------------------------------------------------------------

_VERBS: Final = {CommandKind.REPLAY: "replayed", CommandKind.DISCARD: "discarded"}


def _finish(view: LedgerView, mend: Mend, came: Came) -> None:
    canary = None
    if mend.canary and came.done and not mend.dry_run:
        canary = asyncio.run(_settled(view, came))
    _tell(mend, came, canary)
    if came.pending:
        raise CommandEnds(
            Exit.AWAY,
            f"no worker has carried out {len(came.pending)} of them within 30 seconds; what was "
            "sent will be once one runs, and running the same again does nothing twice",
        )
    failed = canary is not None and any(one["state"] == State.DEAD.value for one in canary)
    if came.refused or failed:
        raise click.exceptions.Exit(Exit.FOUND)


async def _settled(view: LedgerView, came: Came) -> list[dict[str, Any]]:
    """Wait until the canary, or what its letter opened, has settled."""
    ids = came.opened or came.done
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CANARY_WAIT_S
    told = ""
    while True:
        found = await asyncio.to_thread(view.ask, lambda connection: where_is(connection, ids))
        if all(one.settled for one in found):
            return [
                {"deliveryId": one.delivery_id, "state": one.state.value, "code": one.failure_code}
                for one in found
            ]
        now = ", ".join(sorted({one.state.value for one in found if not one.settled}))
        if now != told and now not in {"ready", "sending"}:
            out.say(f"the canary is {now}")
            told = now
        if loop.time() >= deadline:
            raise CommandEnds(Exit.AWAY, f"the canary is still {now} after half an hour")
        await asyncio.sleep(LOOK_S)


def _tell(mend: Mend, came: Came, canary: list[dict[str, Any]] | None = None) -> None:
    verb = _VERBS[mend.kind]
    if mend.as_json:
        found: dict[str, Any] = {
            verb: list(came.done),
            "refused": list(came.refused),
            "dryRun": mend.dry_run,
        }
        if came.pending:
            found["pending"] = list(came.pending)
        if canary is not None:
            found["canary"] = canary
        out.document(found)
        return
    would = "would be " if mend.dry_run else ""
    out.text(f"{len(came.done)} {would}{verb}, {len(came.refused)} refused")
    for one in came.refused:
        out.text(out.harmless(f"{one['deliveryId']}  {one['reason']}: {one['text']}"))
    for one in canary or ():
        out.text(out.harmless(f"canary {one['deliveryId']} is {one['state']} {one['code'] or ''}"))
