"""`moment-sync deadletters replay` and `discard`: checked here first, then sent as commands."""

import asyncio
import hashlib
from collections import Counter
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
from streams.ledger.replays import UNKNOWN, Asked, Judged, judge
from streams.ops import console_output as out
from streams.ops.canary import is_through, settled
from streams.ops.command_base import (
    CommandEnds,
    Exit,
    example,
    json_option,
    settings_in_force,
)
from streams.ops.dead_filters import Wanted, filter_options
from streams.ops.dead_hints import unknown
from streams.ops.edit_options import read_edits, refuse_bad_paths
from streams.ops.ledger_view import LedgerView
from streams.ops.mend_course import Course, Part
from streams.ops.mend_told import VERBS, Done, tell, together
from streams.ops.orders import Came, Post, refuse_bad
from streams.ops.reach import kafka_within_reach
from streams.topics import TopicNames

Function = TypeVar("Function", bound=Callable[..., Any])

BROKEN_OFF: Final = 130  # as shells have it of what SIGINT ended


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
@click.option(
    "--canary", is_flag=True, help="The oldest alone first; the others if it gets into the books."
)
@click.option("--force", is_flag=True, help="Also what was replayed in vain five times.")
def replay(
    delivery_ids: Sequence[str],
    everything: bool,
    edits: Sequence[str],
    **options: Any,
) -> None:
    """Replay dead deliveries, by id or by filter: the event, or its edited whole, goes again.

    Everything is checked before anything is sent. What is not dead, is booked, or has a newer
    state is refused, and the exit code is then 1; so it is where a canary does not get through,
    and then nothing more is sent. Live events go on beside: of one integration no more than some
    dozens wait to be sent at a time. Broken off and run again, nothing goes twice.
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
    chosen = tuple(dict.fromkeys(name.strip() for name in ids)) or _chosen(view, wanted)
    judged = _judged(view, mend, chosen)
    _refuse_bad_edits(mend, judged)
    _refuse_unknown(view, mend, judged)
    go = [one for one in judged if one.refusal is None or (one.still and not mend.dry_run)]
    going = {one.delivery_id for one in go}
    refused = tuple(_refused(one) for one in judged if one.delivery_id not in going)
    if mend.dry_run:
        came = Came(done=tuple(one.delivery_id for one in go))
        _finish(mend, Done(came=came, groups=_groups(go)), refused)
        return
    sending = Sending(view, mend)
    try:
        done = asyncio.run(sending.run(go)) if go else Done()
    except KeyboardInterrupt:
        _tell_broken_off(mend, sending)
        raise click.exceptions.Exit(BROKEN_OFF) from None
    _finish(mend, done, refused)


def _refuse_unknown(view: LedgerView, mend: Mend, judged: Iterable[Judged]) -> None:
    """One id that nobody knows stops all of it, before anything is sent."""
    found = tuple(
        unknown(view, one.delivery_id) for one in judged if one.refusal is not None and _nobody(one)
    )
    if found:
        tell(mend.kind, Done(came=Came(refused=found)), dry_run=mend.dry_run, as_json=mend.as_json)
        raise CommandEnds(Exit.WRONG, "nothing was done: the ledger does not know every id")


def _nobody(one: Judged) -> bool:
    return one.delivery is None and one.letter is None


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
    return [msgspec.structs.replace(one, refusal=_not_discarded(one), still=None) for one in judged]


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


class Sending:
    """One replay or discard on its way: the canary first, where one is asked for."""

    def __init__(self, view: LedgerView, mend: Mend) -> None:
        self._view = view
        self._mend = mend
        self.done = 0

    async def run(self, go: Sequence[Judged]) -> Done:
        """Send them and see what becomes of each. Ends the command (3) where that is not to be."""
        settings = self._view.settings
        connection = await kafka_within_reach(settings)
        async with Post(connection, TopicNames(settings.topic_prefix)) as post:
            if not self._mend.canary:
                return Done(came=await self._send(post, go))
            first = await self._send(post, go[:1])
            found = await settled(self._view, first) if first.done else []
            if not is_through(found):
                left = tuple(one.delivery_id for one in go[1:])
                return Done(came=first, canary=found, not_sent=left)
            if len(go) > 1:
                out.say(f"the canary is {found[0].state}: now the other {len(go) - 1}")
            rest = await self._send(post, go[1:]) if go[1:] else Came()
        return Done(came=together(first, rest), canary=found)

    async def _send(self, post: Post, go: Sequence[Judged]) -> Came:
        course = Course(self._view, post, self._mend.kind, self._mend.base, self._mend.rate)
        with out.progress(f"{self._mend.kind.value}ing", len(go)) as advance:

            def further(many: int) -> None:
                self.done += many
                advance(many)

            return await course.run([_part(one) for one in go], further)


def _part(one: Judged) -> Part:
    return Part(
        key=_key(one),
        delivery_id=one.delivery_id,
        replays=one.replays,
        integration=one.delivery.integration if one.delivery is not None else None,
    )


def _tell_broken_off(mend: Mend, sending: Sending) -> None:
    verb = VERBS[mend.kind]
    out.say(
        f"broken off: {sending.done} were {verb}, and what is on its way will be; running the same "
        "again does nothing twice"
    )


# --- telling ---------------------------------------------------------------------------------


def _groups(go: Iterable[Judged]) -> list[dict[str, Any]]:
    """What would go, counted by cause."""
    counts: Counter[tuple[str, str, str | None]] = Counter()
    for one in go:
        known = one.delivery or one.letter
        if known is not None and known.failure is not None:
            failure = known.failure
            where = one.delivery.integration if one.delivery is not None else None
            counts[failure.code.value, failure.failure_class.value, where] += 1
    return [
        {"code": code, "class": klass, "integration": integration, "count": many}
        for (code, klass, integration), many in counts.most_common()
    ]


def _finish(mend: Mend, done: Done, refused: tuple[dict[str, Any], ...]) -> None:
    came = msgspec.structs.replace(done.came, refused=(*refused, *done.came.refused))
    whole = msgspec.structs.replace(done, came=came)
    tell(mend.kind, whole, dry_run=mend.dry_run, as_json=mend.as_json)
    if came.pending:
        raise CommandEnds(
            Exit.AWAY,
            f"{came.why} ({len(came.pending)} of them); running the same again does nothing twice",
        )
    stopped = mend.canary and not mend.dry_run and came.done and not is_through(whole.canary)
    if came.refused or stopped or whole.not_sent:
        raise click.exceptions.Exit(Exit.FOUND)
