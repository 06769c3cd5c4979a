"""What must hold after every step, and when all has come to rest (design sections 4 to 6)."""

from collections.abc import Callable

import msgspec

from streams.core.conclude import ABSENCE_GAP, ABSENCES_NEEDED
from streams.core.model import Version
from streams.core.states import IN_DOUBT, TRANSITIONS, State
from streams.ledger.memory import MemoryLedger
from streams.simulation.books import MAKES, Entry, Order
from streams.simulation.rules import SimulatedOutcome
from streams.simulation.wire import Call

EPSILON_S = 0.001


def newer(one: Version, other: Version) -> bool:
    """Which of two states counts: by `sequence` where both have one, else by receipt.

    Said here once more, since what is tested must not be its own judge.
    """
    if one.sequence is not None and other.sequence is not None and one.sequence != other.sequence:
        return one.sequence > other.sequence
    return one.ordinal > other.ordinal


class Violation(msgspec.Struct, frozen=True):
    """What did not hold: a name that stays, and the circumstances."""

    rule: str
    detail: str


class Doubt(msgspec.Struct, kw_only=True):
    """A write that must not be repeated, until its effect is known to the ledger."""

    call: Call
    ordinal: int
    since: float | None = None  # when its worker gave up; None: it never did
    definite: bool = False
    absences: list[float] = []


_json = msgspec.json.Decoder(SimulatedOutcome)

_TWO_OPEN = (
    "SELECT entity_key, count(*) FROM deliveries WHERE state IN ('sending','uncertain') "
    "GROUP BY entity_key HAVING count(*) > 1"
)
_UNCLAIMED = (
    "SELECT d.delivery_id, d.state, e.claimed_by FROM deliveries d "
    "JOIN entities e ON e.entity_key = d.entity_key "
    "WHERE d.state IN ('sending','uncertain') AND coalesce(e.claimed_by, 0) <> d.ordinal"
)


class Invariants:
    """Watches one history. `found` holds what did not hold, in order."""

    def __init__(self, ledger: MemoryLedger, note: Callable[[str], None]) -> None:
        self._note = note
        self.found: list[Violation] = []
        self._ledger = ledger
        self._position = 0
        self._outcomes: dict[str, SimulatedOutcome] = {}
        self._final: dict[str, SimulatedOutcome] = {}
        self._published: dict[str, int] = {}
        self._doubts: dict[tuple[str, str], Doubt] = {}
        self._flights: dict[tuple[str, str], Call] = {}
        self._newest: dict[tuple[str, str], Version] = {}
        self._order: dict[str, tuple[int, Version]] = {}
        self._ids: dict[int, str] = {}
        self.moves: set[tuple[State, State]] = set()

    def tell(self, rule: str, detail: str) -> None:
        """Note a violation."""
        self.found.append(Violation(rule, detail))

    # -- after each transaction -----------------------------------------------------------------

    def committed(self) -> None:
        """A transaction is on disk."""
        moves = self._ledger.moves()
        for move in moves:
            old, new = State(move.old), State(move.new)
            parked = (old, new) == (State.READY, State.BLOCKED)  # it waited, in between
            if parked:
                self.moves |= {(old, State.WAITING), (State.WAITING, new)}
            else:
                self.moves.add((old, new))
            if new not in TRANSITIONS[old] and not parked:
                self.tell("transition", f"{move.ordinal}: {old} → {new}")
            if old in IN_DOUBT and new is not State.UNCERTAIN:
                self._settled(move.ordinal, old, new)
        if moves:
            for row in self._ledger.rows(_TWO_OPEN):
                self.tell("one-write-an-entity", f"{row[0]!r} has {row[1]} deliveries in doubt")
            for row in self._ledger.rows(_UNCLAIMED):
                self.tell("claimed", f"{row[0]} is {row[1]}, its entity is claimed by {row[2]}")
        self._read_outbox()

    def _settled(self, ordinal: int, old: State, new: State) -> None:
        """The ledger has made up its mind about a write."""
        for key, doubt in list(self._doubts.items()):
            if doubt.ordinal != ordinal:
                continue
            known = doubt.definite or (old is State.UNCERTAIN and new is not State.READY)
            if known or (new is State.READY and doubt.call.entry is not None):
                del self._doubts[key]

    def _read_outbox(self) -> None:
        rows = self._ledger.rows(
            "SELECT position, value, topic FROM outbox WHERE position > ? ORDER BY position",
            self._position,
        )
        for position, value, topic in rows:
            self._position = position
            if topic.endswith("deadletters"):
                continue
            told = _json.decode(value)
            self._one_outcome(told)

    def _one_outcome(self, told: SimulatedOutcome) -> None:
        if told.id in self._outcomes:
            self.tell("outcome-id", f"{told.id} is told of two facts")
        self._outcomes[told.id] = told
        self._note(f"outcomes: {told.kind}")
        before = self._final.get(told.delivery)
        again = before is not None and before.replays == told.replays
        if before is not None and again and (told.kind, before.kind) != ("discarded", "dead"):
            self.tell("one-final-outcome", f"{told.delivery}: {told.kind} after {before.kind}")
        if told.final:
            self._final[told.delivery] = told

    # -- what is published ----------------------------------------------------------------------

    def published(self, position: int, value: bytes | None, topic: str) -> None:
        """A row of the outbox is on its topic."""
        if topic.endswith("deadletters") or value is None:
            return
        if not self._ledger.rows("SELECT 1 FROM outbox WHERE position = ?", position):
            self.tell("published-before-disk", f"row {position} is not in the ledger")
            return
        told = _json.decode(value)
        if told.id in self._published:
            return
        self._published[told.id] = position
        entity = self._entity_of(told.delivery)
        earlier = self._ledger.rows(
            "SELECT o.value FROM outbox o JOIN deliveries d ON d.ordinal = o.delivery_ordinal "
            "WHERE d.entity_key = ? AND o.position < ? AND NOT o.published "
            "AND o.topic NOT LIKE '%deadletters' "
            "AND o.lane = (SELECT lane FROM outbox WHERE position = ?)",
            entity,
            position,
            position,
        )
        for (older,) in earlier:
            if (late := _json.decode(older)).id not in self._published:
                self.tell("published-in-order", f"{told.id} is out before {late.id}")

    def _entity_of(self, delivery: str) -> str:
        rows = self._ledger.rows(
            "SELECT entity_key FROM deliveries WHERE delivery_id = ?", delivery
        )
        return str(rows[0][0]) if rows else ""

    # -- writes ---------------------------------------------------------------------------------

    def leaves(self, call: Call, now: float) -> None:
        """A write's bytes leave."""
        order = call.order
        if order is None:
            return
        ordinal, version = self._place(order)
        key = (call.integration, order.entity)
        other = self._flights.get(key)
        if other is not None:
            self.tell("two-in-flight", f"{call.name} leaves while {other.name} is on its way")
        self._flights[key] = call
        if order.action not in MAKES:
            return
        doubt = self._doubts.get(key)
        if doubt is not None:
            self._check_absences(doubt, call, now)
        self._doubts[key] = Doubt(call=call, ordinal=ordinal, absences=[])
        del version

    def _check_absences(self, doubt: Doubt, call: Call, now: float) -> None:
        before = doubt.call
        if doubt.definite:
            return
        if doubt.since is not None:
            first = doubt.since + before.settle_s
        else:
            first = before.gone_at + before.deadline_s + before.settle_s
        good = sorted(at for at in doubt.absences if at >= first - EPSILON_S)
        gap = before.settle_s * ABSENCE_GAP - EPSILON_S
        if len(good) < ABSENCES_NEEDED or good[-1] - good[0] < gap:
            self.tell(
                "sent-in-doubt",
                f"{call.name} leaves at {now:.3f}; {before.name} left at {before.gone_at:.3f}, "
                f"look-ups count from {first:.3f}, absent at {good}",
            )

    def lands(self, call: Call) -> None:
        """A write is done, or never will be."""
        order = call.order
        if order is not None and self._flights.get((call.integration, order.entity)) is call:
            del self._flights[call.integration, order.entity]

    def answered(self, call: Call) -> None:
        """A worker has an answer, or gave up."""
        order = call.order
        if order is None:
            return
        doubt = self._doubts.get((call.integration, order.entity))
        if doubt is None or doubt.call is not call:
            return
        status = getattr(call.answer, "status", None)
        doubt.definite = not call.effect_at and not getattr(call.answer, "sent", True)
        if status is not None:
            doubt.definite = status < 500  # noqa: PLR2004 - what a 5xx has done is not known
        doubt.since = call.ends_at  # who slept hears of it later

    def absent(self, integration: str, entity: str, asked_at: float) -> None:
        """A look-up by number said that there is none."""
        doubt = self._doubts.get((integration, entity))
        if doubt is not None:
            doubt.absences.append(asked_at)

    def written(self, integration: str, order: Order, before: Entry | None) -> Version | None:
        """A write takes effect."""
        _, version = self._place(order)
        key = (integration, order.entity)
        if order.action in MAKES and before is not None and not self._by_code(order, before):
            rule = "booked-once" if order.action == "book" else "made-once"
            self.tell(rule, f"{key}: {order.delivery} again, {before.delivery} was first")
        newest = self._newest.get(key)
        if newest is not None and version is not None and newer(newest, version):
            self.tell("older-over-newer", f"{key}: {version} over {newest}")
        if version is not None:
            self._newest[key] = version
        return version

    def _by_code(self, order: Order, before: Entry) -> bool:
        """Whether this is a product made once more by its delivery, before the first one showed.

        Its code is its key in the books: it gets no twin there, and nothing is booked by it. What
        is repeated in doubt is told all the same.
        """
        return order.kind == "product" and order.delivery == before.delivery

    def _place(self, order: Order) -> tuple[int, Version | None]:
        rows = self._ledger.rows(
            "SELECT ordinal, sequence FROM deliveries WHERE delivery_id = ?", order.delivery
        )
        if not rows or order.kind == "product":
            return (rows[0][0] if rows else 0), None
        return rows[0][0], Version(rows[0][0], rows[0][1])

    # -- a ledger that goes back ----------------------------------------------------------------

    def restored(self) -> None:
        """The ledger is as it was: what it has forgotten cannot be held against it."""
        self._doubts.clear()
        self._newest.clear()
        self._outcomes.clear()
        self._final.clear()
        self._published.clear()
        self._position = 0
        self._ledger.moves()
        self._read_outbox()
        for _, value, topic in self._ledger.rows(
            "SELECT position, value, topic FROM outbox WHERE published"
        ):
            if not topic.endswith("deadletters"):
                self._published[_json.decode(value).id] = 0
