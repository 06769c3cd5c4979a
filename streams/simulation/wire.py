"""The simulated network between a worker and the books, with all that may go wrong on it.

A request that has left reaches the books whether its worker lives or not; its effect comes at
the latest a settle time after the worker has given up, which is what the design counts on.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from connectors.integrations import Integration
from connectors.port import Answer, NoAnswer, NoAnswerKind
from streams.simulation.books import Books, Entry, Order
from streams.simulation.luck import Luck

READ_FAULTS = ("refused", "failed", "lost", "busy")
WRITE_FAULTS = (
    "refused",
    "failed-before",
    "failed-after",
    "lost-after",
    "broken-after",
    "vanished",
    "late",
    "lag",
    "busy",
)
_SILENT = frozenset({"lost-after", "vanished", "late", "lost"})  # the deadline ends the call
BUSY_S = 4  # seconds that a 429 asks for
SURELY = 0.95  # of the settle time: what is promised to be over by its end is over a little before

_order = msgspec.json.Decoder(Order)
_json = msgspec.json.Encoder()


class Call(msgspec.Struct, kw_only=True, eq=False):
    """One request on its way. `gone_at`: when it left; `effect_at`: when it is done, if ever."""

    integration: str
    name: str
    fault: str
    order: Order | None
    settle_s: float
    deadline_s: float
    gone_at: float = 0.0
    ends_at: float = 0.0  # when the worker has its answer, or gives up
    effect_at: float | None = None
    effected: bool = False
    entry: Entry | None = None
    answer: Answer | NoAnswer | None = None


class Around(Protocol):
    """The world, as far as a request needs it."""

    @property
    def now(self) -> float:
        """The time."""

    def fault_of(self, integration: str, name: str, write: bool) -> str:
        """What goes wrong with this call; empty: nothing."""

    def nth(self, what: str) -> int:
        """How often this was asked before."""

    def luck(self, name: str) -> Luck:
        """Chance that belongs to a name."""

    def books_of(self, integration: str) -> Books:
        """The books behind an integration."""

    def away(self, integration: str) -> str:
        """`down`, `refused` where our credentials are, or empty."""

    def is_bad(self, order: Order) -> bool:
        """Whether the books refuse this record for what is in it."""

    def later(self, when: float, todo: Callable[[], None]) -> None:
        """Do something at a time, whatever becomes of the worker."""

    def leaves(self, call: Call) -> None:
        """A write's bytes leave."""

    def lands(self, call: Call) -> None:
        """A write has reached the books, or it is certain that it never will."""

    def answered(self, call: Call) -> None:
        """A living worker has the answer of a call, or has given up waiting for it."""


class SimulatedHttp:
    """An `HttpSender` of one worker. `gate` runs what the worker does, if it still can."""

    def __init__(
        self,
        world: Around,
        gate: Callable[[str, Callable[[], None]], None],
        settle: Callable[[str], float],
    ) -> None:
        self._world = world
        self._gate = gate
        self._settle = settle
        self._under_way: list[Call] = []

    async def send(
        self,
        url: str,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline_s: float,
        may_send: Callable[[], bool],
    ) -> Answer | NoAnswer:
        """Send one request; returns when it is answered, lost, or given up."""
        del headers
        integration, path = url.removeprefix("https://").split("/", 1)
        order = _order.decode(body) if body else None
        what = f"{method} {integration}/{path}"
        if order is not None:
            what = f"{order.action} {integration}/{order.entity}"
        name = f"{what} #{self._world.nth(what)}"
        call = Call(
            integration=integration,
            name=name,
            fault=self._world.fault_of(integration, name, order is not None),
            order=order,
            settle_s=self._settle(integration),
            deadline_s=deadline_s,
        )
        future: asyncio.Future[Answer | NoAnswer] = asyncio.get_running_loop().create_future()
        luck = self._world.luck(name)
        leave = functools.partial(self._leave, call, path, luck, may_send, future)
        self._world.later(
            self._world.now + luck.random() * 0.05,
            lambda: self._gate("write" if order is not None else "read", leave),
        )
        try:
            return await future
        finally:
            if call in self._under_way:
                self._under_way.remove(call)

    @property
    def writing(self) -> bool:
        """Whether a write of this worker is on its way."""
        return any(call.order is not None for call in self._under_way)

    def broken_off(self) -> None:
        """The worker has ended: what it sent may still do something for a settle time."""
        for call in self._under_way:
            call.ends_at = min(call.ends_at, self._world.now)
            limit = call.ends_at + call.settle_s * SURELY
            if call.entry is not None:
                call.entry.visible_at = min(call.entry.visible_at, limit)
            elif call.effect_at is not None and limit < call.effect_at:
                self._world.later(limit, functools.partial(self._take_effect, call))
        self._under_way.clear()

    # -- on the way -----------------------------------------------------------------------------

    def _leave(
        self,
        call: Call,
        path: str,
        luck: Luck,
        may_send: Callable[[], bool],
        future: "asyncio.Future[Answer | NoAnswer]",
    ) -> None:
        if future.done():
            return
        if not may_send():
            future.set_result(NoAnswer(kind=NoAnswerKind.DROPPED, sent=False))
            return
        now = self._world.now
        call.gone_at = now
        away = self._world.away(call.integration)
        if call.fault == "refused" or away == "down":
            call.answer = NoAnswer(kind=NoAnswerKind.REFUSED, sent=False)
            call.ends_at = now + 0.05
        elif call.order is None:
            self._read(call, path, luck, away)
        else:
            self._write(call, luck, away)
        self._under_way.append(call)
        self._world.later(
            call.ends_at,
            lambda: self._gate(
                "written" if call.order is not None else "answer",
                lambda: self._end(call, future),
            ),
        )

    def _end(self, call: Call, future: "asyncio.Future[Answer | NoAnswer]") -> None:
        if not future.done() and call.answer is not None:
            self._world.answered(call)
            future.set_result(call.answer)

    def _read(self, call: Call, path: str, luck: Luck, away: str) -> None:
        now = self._world.now
        call.ends_at = now + luck.uniform(0.01, 0.6)
        if call.fault == "lost":
            call.answer = NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True)
            call.ends_at = now + call.deadline_s
        elif away or call.fault:
            call.answer = _refusal(away or call.fault)
        else:
            # What is read is what is there when the request arrives, not when it is answered.
            call.answer = self._look(call.integration, path)

    def _look(self, integration: str, path: str) -> Answer:
        books = self._world.books_of(integration)
        if path == "identity":
            return Answer(status=200, body=f"books of {integration}".encode())
        kind, how, what = path.split("/")
        if how == "by-id":
            entry = books.by_id(what)
            return Answer(status=404) if entry is None else _found([entry])
        return _found(books.look(kind, what, self._world.now))

    def _write(self, call: Call, luck: Luck, away: str) -> None:
        now = self._world.now
        self._world.leaves(call)
        call.ends_at = now + luck.uniform(0.02, 1.5)
        arrives = now + (call.ends_at - now) * luck.random()
        if away == "refused" or call.fault in {"busy", "failed-before"}:
            call.answer = _refusal(away or call.fault)
            self._world.later(arrives, lambda: self._world.lands(call))
            return
        if call.fault in _SILENT:
            call.answer = NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True)
            call.ends_at = now + call.deadline_s
        if call.fault == "broken-after":
            call.answer = NoAnswer(kind=NoAnswerKind.BROKEN, sent=True)
        if call.fault == "vanished":
            self._world.later(arrives, lambda: self._world.lands(call))
            return
        if call.fault == "late":
            arrives = call.ends_at + luck.random() * call.settle_s * SURELY
        call.effect_at = arrives
        self._world.later(arrives, functools.partial(self._take_effect, call))

    def _take_effect(self, call: Call) -> None:
        order = call.order
        if order is None or call.effected:
            return
        call.effected = True
        now = self._world.now
        books = self._world.books_of(call.integration)
        if self._world.is_bad(order):
            call.answer = call.answer or Answer(status=422)
            self._world.lands(call)
            return
        visible = now
        if call.fault in {"lag", "late", "broken-after"}:
            # Never later than a settle time after the worker has given up.
            limit = max(now, call.ends_at + call.settle_s * SURELY)
            visible = now + (limit - now) * self._world.luck(call.name + " lag").random()
        call.entry = books.write(order, visible)
        self._world.lands(call)
        if call.answer is None:
            call.answer = _written(call.fault, call.entry)


def _written(fault: str, entry: Entry | None) -> Answer:
    if fault == "failed-after":
        return Answer(status=500)
    if entry is None:
        return Answer(status=404)
    return _found([entry])


def _found(entries: list[Entry]) -> Answer:
    rows = [[one.id, one.number, one.content] for one in entries]
    named = [dict(zip(("id", "number", "content"), row, strict=True)) for row in rows]
    return Answer(status=200, body=_json.encode(named))


def _refusal(why: str) -> Answer:
    if why == "busy":
        return Answer(status=429, headers={"retry-after": str(BUSY_S)})
    return Answer(status=401 if why.startswith("refused") else 503)


class SimulatedCredentials:
    """A token that never changes."""

    async def bearer(self, integration: Integration, refused: str | None = None) -> str:
        """The token, whatever was said of it."""
        del integration, refused
        return "token"

    def heard(self, integration: Integration, token: str, *, accepted: bool) -> None:
        """Nothing is learnt."""
