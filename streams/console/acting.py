"""What people do: judged first, then sent as commands, the same as the command line sends.

An act goes on when its page is left. Of what it came to, the ledger's audit is the record; what
is held here is how far it is, for whoever watches.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from schemas.commands import MAX_DELIVERIES, CommandData, CommandKind
from schemas.edits import EditValue
from schemas.lane import lane_key
from streams.clock import new_id
from streams.console.view import ConsoleView
from streams.core.replays import Reason, Refusal, discard_refusal
from streams.core.states import State
from streams.ledger.console_reader import LedgerAwayError
from streams.ledger.queries import command_progress, said_of_integration
from streams.ledger.replays import UNKNOWN, Asked, Judged, judge
from streams.ops.canary import is_through, settled
from streams.ops.command_base import CommandEnds
from streams.ops.mend_course import Course, Part
from streams.ops.orders import SOURCE, Came, Order, Post, until_done
from streams.ops.reach import kafka_connection
from streams.topics import TopicNames

log = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 2_000  # of one act from a page; the command line takes as many as there are
KEPT: Final = 200  # acts whose course is remembered, the newest


class Stage(StrEnum):
    """How far an act is."""

    SENDING = "sending"
    CANARY = "canary"  # carried out; the canary has not settled
    DONE = "done"
    PENDING = "pending"  # sent, and no worker has carried it out
    FAILED = "failed"  # it could not be sent


class How(StrEnum):
    """Which of them go, and when."""

    ALL = "all"
    CANARY = "canary"  # the oldest, and the others once it is in the books
    ALONE = "alone"  # the oldest and no other


class Deed(msgspec.Struct, kw_only=True):
    """One act and how far it is. Texts are for people."""

    id: str
    kind: CommandKind
    by: str
    reason: str
    at: float
    back: str  # the page that it was asked on
    companies: frozenset[str]
    again: str = ""  # the dry run of what a canary leaves
    names: tuple[str, ...] = ()  # deliveries or letters
    integration: str | None = None
    how: How = How.ALL
    left: int = 0  # that fit and were not sent: behind a canary
    canary_well: bool = False
    why: str = ""  # nothing moves on
    stage: Stage = Stage.SENDING
    done: int = 0
    opened: tuple[str, ...] = ()
    refused: list[dict[str, Any]] = []
    pending: int = 0
    trouble: str = ""
    canary_states: tuple[tuple[str, str, str], ...] = ()  # id, state, code
    was: str = ""  # what a resumed integration was held for

    @property
    def over(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.stage in {Stage.DONE, Stage.PENDING, Stage.FAILED}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants done to deliveries."""

    kind: CommandKind
    by: str
    reason: str = ""
    edit: Mapping[str, EditValue] = {}
    force: bool = False
    how: How = How.ALL
    rate: float | None = None

    @property
    def base(self) -> CommandData:
        """The data of its commands, but for the deliveries."""
        return CommandData(
            by=self.by, reason=self.reason or None, edit=dict(self.edit), force=self.force
        )


def judged_now(
    connection: Any, view: ConsoleView, wish: Wish, names: Sequence[str]
) -> list[Judged]:
    """What would become of each, in order; nothing is changed."""
    found: list[Judged] = []
    for first in range(0, len(names), MAX_DELIVERIES):
        part = tuple(names[first : first + MAX_DELIVERIES])
        asked = Asked(ids=part, edit=wish.edit, force=wish.force)
        found += judge(connection, view.rules, view.directory, asked)
    if wish.kind is CommandKind.REPLAY:
        return found
    return [msgspec.structs.replace(one, refusal=_not_discarded(one), still=None) for one in found]


def _not_discarded(one: Judged) -> Refusal | None:
    if one.delivery is not None:
        return discard_refusal(one.delivery.state)
    if one.letter is None:
        return UNKNOWN
    if one.letter.state == State.DEAD.value:
        return None
    return Refusal(reason=Reason.NOT_DEAD, text=f"it is {one.letter.state} already")


def company_of(one: Judged) -> str | None:
    """Whose it is; None where that is not known."""
    if one.delivery is not None:
        return one.delivery.company
    return one.letter.company if one.letter is not None else None


def _key(one: Judged) -> bytes:
    """The right key of the lane; letters of one key stay in order under one of their own."""
    if one.delivery is not None:
        return lane_key(one.delivery.company, one.delivery.customer_number)
    key = one.letter.record.key if one.letter is not None else None
    return f"letters/{hashlib.blake2b(key or b'', digest_size=8).hexdigest()}".encode()


def _part(one: Judged) -> Part:
    return Part(
        key=_key(one),
        delivery_id=one.delivery_id,
        replays=one.replays,
        integration=one.delivery.integration if one.delivery is not None else None,
    )


class Acts:
    """The acts of this process, under way and over."""

    def __init__(self, view: ConsoleView) -> None:
        self._view = view
        self._deeds: dict[str, Deed] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def deed(self, name: str) -> Deed | None:
        """An act by its id; None where it is not remembered."""
        return self._deeds.get(name)

    def start(self, wish: Wish, judged: Sequence[Judged], back: str, *, again: str) -> Deed:
        """Send those that are not refused; with `canary` the first alone. Returns at once."""
        go = [one for one in judged if one.refusal is None]
        sent = go if wish.how is How.ALL else go[:1]
        deed = self._new(wish.kind, wish.by, wish.reason, back, judged)
        deed.names = tuple(one.delivery_id for one in sent)
        deed.how, deed.again = wish.how, again
        deed.left = len(go) - len(sent)
        deed.refused = [
            {"deliveryId": one.delivery_id, "reason": one.refusal.reason, "text": one.refusal.text}
            for one in judged
            if one.refusal is not None
        ]
        self._run(deed, self._mend(deed, wish, sent))
        return deed

    def resume(self, integration: str, company: str, by: str, reason: str, back: str) -> Deed:
        """End a hold. Returns at once."""
        deed = self._new(CommandKind.RESUME, by, reason, back, ())
        deed.integration, deed.companies = integration, frozenset({company})
        self._run(deed, self._resume(deed))
        return deed

    def _new(
        self, kind: CommandKind, by: str, reason: str, back: str, judged: Sequence[Judged]
    ) -> Deed:
        companies = frozenset(found for one in judged if (found := company_of(one)))
        deed = Deed(
            id=new_id(),
            kind=kind,
            by=by,
            reason=reason,
            at=self._view.now(),
            back=back,
            companies=companies,
        )
        self._deeds[deed.id] = deed
        while len(self._deeds) > KEPT:
            del self._deeds[next(iter(self._deeds))]
        return deed

    def _run(self, deed: Deed, work: Any) -> None:
        task = asyncio.create_task(self._guarded(deed, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Leave what is under way: what was sent is carried out by workers all the same."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guarded(self, deed: Deed, work: Any) -> None:
        try:
            await work
        except CommandEnds as ends:
            deed.stage, deed.trouble = Stage.FAILED, ends.message
        except LedgerAwayError as error:
            deed.stage = Stage.FAILED
            deed.trouble = f"the ledger went away ({error.away.reason})"
        except Exception:
            log.exception("an act failed", extra={"action": "console_act_failed"})
            deed.stage, deed.trouble = Stage.FAILED, "a defect; the log has it"

    # --- deliveries --------------------------------------------------------------------------

    async def _mend(self, deed: Deed, wish: Wish, go: Sequence[Judged]) -> None:
        if not go:
            deed.stage = Stage.DONE
            return
        async with self._post() as post:
            if wish.how is How.ALL:
                await self._send(post, deed, wish, go)
                return
            first = await self._send(post, deed, wish, go[:1])
            if not await self._settle(deed, first) or wish.how is How.ALONE or not go[1:]:
                return
            deed.left, deed.stage = 0, Stage.SENDING
            deed.names = tuple(one.delivery_id for one in go)
            await self._send(post, deed, wish, go[1:])

    async def _send(self, post: Post, deed: Deed, wish: Wish, go: Sequence[Judged]) -> Came:
        before = deed.done

        def further(many: int) -> None:
            deed.done += many

        course = Course(self._view, post, wish.kind, wish.base, wish.rate)
        came = await course.run([_part(one) for one in go], further)
        deed.done = before + len(came.done)
        deed.refused += came.refused
        deed.pending += len(came.pending)
        deed.why = came.why or ""
        deed.stage = Stage.PENDING if came.pending else Stage.DONE
        return came

    async def _settle(self, deed: Deed, first: Came) -> bool:
        """Wait until the canary, or what its letter opened, has settled; whether it is well."""
        if not first.done:
            return False
        deed.stage = Stage.CANARY
        found = await settled(self._view, first)
        deed.canary_states = tuple(
            (one.delivery_id, one.state.value, one.failure_code or "") for one in found
        )
        deed.canary_well = is_through(found)
        deed.stage = Stage.DONE
        return deed.canary_well

    # --- integrations ------------------------------------------------------------------------

    async def _resume(self, deed: Deed) -> None:
        name = deed.integration or ""
        data = CommandData(by=deed.by, reason=deed.reason or None, integration=name)
        order = Order(id=deed.id, key=name.encode(), kind=deed.kind, data=data)
        view = self._view
        async with self._post() as post:
            await post.send([order])
        left = await until_done(
            view, [order.id], lambda: view.ask(lambda c: command_progress(c, SOURCE, order.id))
        )
        if left:
            deed.pending, deed.stage = 1, Stage.PENDING
            return
        said = await view.reader.ask(lambda c: said_of_integration(c, name, order.id))
        for one in said:
            if one.what == "refused":
                deed.refused.append({"deliveryId": name, **one.detail.get("refusal", {})})
        deed.was = str(((said[0].detail if said else {}).get("failure") or {}).get("code", ""))
        deed.done = 0 if deed.refused else 1
        deed.stage = Stage.DONE

    def _post(self) -> Post:
        settings = self._view.settings
        return Post(kafka_connection(settings), TopicNames(settings.topic_prefix))
