"""Commands about many deliveries, sent at a pace, and what became of each of them."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from schemas.commands import CommandData, CommandKind
from streams.core.replays import Reason
from streams.ledger.mend_queries import Look, look
from streams.ops import console_output as out
from streams.ops.command_base import WAIT_S
from streams.ops.ledger_view import LedgerView
from streams.ops.mend_pace import Pace, fits, most_a_command
from streams.ops.orders import LOOK_S, SOURCE, Came, Order, Post, plan, word_of

OPEN_MOST: Final = 256  # commands sent and not carried out: more would only wait in the ledger
LOOKED_PAST: Final = 64  # commands of busy lanes that are passed over to find one of a free lane
SLOW_S: Final = 1.0  # without room for so long, a person is told why nothing goes on

# An attempt, the wait after an unanswered write and both look-ups of it, with room to spare.
BOOKS_WAIT_S: Final = 1_800.0

NOBODY: Final = (
    "no worker has carried it out within 30 seconds; what was sent will be once one runs"
)
_SINCE: Final = Reason.REPLAYED_SINCE.value


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that something is asked about: under which key, and what is known of it."""

    key: bytes
    delivery_id: str
    replays: int = 0
    integration: str | None = None  # whose books it goes into; None: a letter's


class Course:
    """Sends commands about deliveries and sees each to its word in the audit.

    Of one lane a command goes when the one before it was carried out, so their order is kept.
    Replays keep to what the books take (`READY_MOST`): one integration's hold up no other's.
    """

    def __init__(
        self, view: LedgerView, post: Post, kind: CommandKind, base: CommandData, rate: float | None
    ) -> None:
        self._view = view
        self._post = post
        self._kind = kind
        self._base = base
        self._rate = rate
        self._books: dict[str, str] = {}  # integrations, by delivery id
        self._waiting: list[deque[Order]] = []  # by where they go
        self._open: dict[str, Order] = {}
        self._on_way: Counter[str] = Counter()
        self._seen = Look(ended=(), said={}, ready={}, held={})
        self._came = Came()
        self._said_slow = False

    async def run(self, parts: Sequence[Part], advance: Callable[[int], None]) -> Came:
        """Send all of them. Ends early, and says `why`, where nothing moves on for too long.

        Ends the command (3) where Kafka or the ledger goes away.
        """
        self._books = {p.delivery_id: p.integration for p in parts if p.integration is not None}
        self._waiting = await asyncio.to_thread(self._planned, parts)
        loop = asyncio.get_running_loop()
        moved_at = loop.time()
        pace = Pace(self._rate, moved_at)
        why = None
        while why is None and (self._open or any(self._waiting)):
            batch = self._take(pace, loop.time())
            if batch:
                await self._post.send(batch)
            done = await self._look()
            advance(done)
            now = loop.time()
            moved_at = now if batch or done else moved_at
            why = self._stuck(now - moved_at)
            wait = pace.wait(now)
            await asyncio.sleep(min(LOOK_S, wait) if wait > 0 else LOOK_S)
        return self._ended(why)

    def _planned(self, parts: Sequence[Part]) -> list[deque[Order]]:
        most = most_a_command(self._rate, into_books=self._kind is CommandKind.REPLAY)
        pairs = [(part.key, part.delivery_id) for part in parts]
        replays: dict[str, int] = {}
        if self._kind is CommandKind.REPLAY:
            replays = {part.delivery_id: part.replays for part in parts}
        queues: dict[frozenset[str], deque[Order]] = {}
        for wave in plan(self._view, self._kind, pairs, self._base, most, replays):
            for order in wave:
                queues.setdefault(frozenset(self._wanted(order)), deque()).append(order)
        return list(queues.values())

    # -- sending --------------------------------------------------------------------------------

    def _take(self, pace: Pace, now: float) -> list[Order]:
        """What may go now; a lane that is busy, or books without room, let others by."""
        batch: list[Order] = []
        busy = {order.key for order in self._open.values()}
        queues = deque(queue for queue in self._waiting if queue)
        while queues and pace.wait(now) <= 0 and len(self._open) < OPEN_MOST:
            queue = queues.popleft()
            order = self._next(queue, busy)
            if order is None:
                continue
            queues.append(queue)
            busy.add(order.key)
            self._open[order.id] = order
            self._on_way += self._wanted(order)
            pace.sent(len(order.data.deliveries), now)
            batch.append(order)
        self._waiting = [queue for queue in self._waiting if queue]
        return batch

    def _next(self, queue: deque[Order], busy: set[bytes]) -> Order | None:
        for index in range(min(LOOKED_PAST, len(queue))):
            order = queue[index]
            if order.key in busy:
                continue
            if not self._has_room(order):
                return None  # the others of this queue go to the same books
            del queue[index]
            return order
        return None

    def _has_room(self, order: Order) -> bool:
        replaying = self._kind is CommandKind.REPLAY
        return not replaying or fits(self._wanted(order), self._seen.ready, self._on_way)

    def _wanted(self, order: Order) -> Counter[str]:
        names = (self._books.get(name) for name in order.data.deliveries)
        return Counter(name for name in names if name is not None)

    # -- looking --------------------------------------------------------------------------------

    async def _look(self) -> int:
        """See what was carried out; returns how many deliveries that settles."""
        commands = sorted(self._open)
        ids = [name for order in self._open.values() for name in order.data.deliveries]
        books = sorted(set(self._books.values())) if self._kind is CommandKind.REPLAY else []
        self._seen = await asyncio.to_thread(
            self._view.ask, lambda connection: look(connection, SOURCE, commands, ids, books)
        )
        done = 0
        for name in self._seen.ended:
            order = self._open.pop(name)
            self._on_way -= self._wanted(order)
            done += len(order.data.deliveries)
            self._keep(self._seen.said.get(name, ()))
        return done

    def _keep(self, said: Iterable[Any]) -> None:
        came = word_of(said)
        # Asked for before by a run that was broken off: what was asked for is done.
        again = tuple(one["deliveryId"] for one in came.refused if one["reason"] == _SINCE)
        refused = tuple(one for one in came.refused if one["reason"] != _SINCE)
        self._came = Came(
            done=(*self._came.done, *came.done, *again),
            refused=(*self._came.refused, *refused),
            opened=(*self._came.opened, *came.opened),
        )

    def _stuck(self, still_s: float) -> str | None:
        """Why nothing will move on, None while it may."""
        if self._open:
            return NOBODY if still_s > WAIT_S else None
        if still_s <= SLOW_S or not self._waiting:
            return None
        full = sorted(self._seen.ready.keys() & set(self._books.values()))
        names = ", ".join(full) or "nobody"
        for name in full:
            code = self._seen.held.get(name)
            if code is not None:
                return f"{name} is held ({code}): what was replayed waits, the rest was not sent"
        if not self._said_slow:
            self._said_slow = True
            out.say(f"{names} takes no more at once; going on as there is room")
        if still_s > BOOKS_WAIT_S:
            return f"{names} has taken nothing for half an hour; the rest was not sent"
        return None

    def _ended(self, why: str | None) -> Came:
        left = [*self._open.values(), *(order for queue in self._waiting for order in queue)]
        pending = tuple(name for order in left for name in order.data.deliveries)
        return msgspec.structs.replace(self._came, pending=pending, why=why)
