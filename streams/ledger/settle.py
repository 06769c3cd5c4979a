"""Writing down what an attempt or a look-up came to, with its outcome, in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select

from schemas.events import EntityType
from schemas.failures import Notable
from schemas.outcomes import OutcomeKind
from streams.core.conclude import Conclusion, Policy, Result, Standing, What, conclude
from streams.core.model import EntityRow, Sibling
from streams.core.states import State
from streams.ledger.access import epochs_now, load_entities, load_siblings
from streams.ledger.changes import Changes, as_blob
from streams.ledger.engine import Operation
from streams.ledger.holds import clear_hold, put_hold, put_pause
from streams.ledger.inserting import insert_new
from streams.ledger.release import Released, ask, parked_keys, release
from streams.ledger.rows import STATES, StoredDelivery
from streams.ledger.rules import Moment, Rules
from streams.ledger.statements import Among, Statement
from streams.ledger.tables import attempts, bookings, deliveries

_OUTCOME = {
    State.APPLIED: OutcomeKind.APPLIED,
    State.UNCHANGED: OutcomeKind.UNCHANGED,
    State.MANUAL: OutcomeKind.MANUAL,
    State.DEAD: OutcomeKind.DEAD,
}


NO_CALLS = b"[]"  # the exchanges of an attempt that was decided without a call
# A parent that a connector misses is asked for after this. Right after it was made one read may
# say no while another says yes; asked at once they would contradict each other many times a second.
PARENT_ASKED_AFTER_S = 2.0
# What a probe may come to that shows that the refusal is over. A refusal of the event is one too:
# the accounting system dealt with it.
_PROVES_MENDED = frozenset(
    {What.APPLIED, What.UNCHANGED, What.MANUAL, What.REFUSED, What.UNSURE, What.GATE_CLOSED}
)
_PRESENT = Statement(
    select(
        deliveries.c.ordinal, deliveries.c.state, deliveries.c.outcomes, deliveries.c.told
    ).where(Among(deliveries.c.ordinal, "ordinals"))
)
_ATTEMPT = Statement(
    attempts.insert().values(
        {name: bindparam(name) for name in ("ordinal", "kind", "ended_at", "verdict", "exchanges")}
    )
)


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt or look-up that has ended.

    `state` is what the delivery was in (sending or uncertain); `content` what was to be written;
    `intent` the JSON of the write in doubt; `answer` the last answer, cleared of secrets.
    """

    delivery: StoredDelivery
    state: State
    result: Result
    policy: Policy
    random: float
    epochs: Mapping[int, int]
    now: Moment
    kind: str
    content: bytes | None = None
    intent: bytes | None = None
    warnings: tuple[Notable, ...] = ()
    answer: str | None = None
    exchanges: bytes = NO_CALLS
    books: str = ""
    customer_known: bool = True
    probe: bool = False
    hold_probe_s: float = 30.0
    hold_probe_max_s: float = 900.0


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `lost`: the lane is not ours any more, nothing was written."""

    state: State | None
    lost: bool = False
    integrations: frozenset[str] = frozenset()
    more: bool = False  # more children wait to be looked at: a tick does it
    act_in: float | None = None


def settle_operation(rules: Rules) -> Operation[Settlement, Settled]:
    """The operation that settles attempts and look-ups, many in one transaction."""

    def handler(connection: Connection, items: Sequence[Settlement]) -> list[Settled]:
        return _Settling(connection, rules, items).run()

    return Operation("settle", 20, handler)


class _Settling:
    """One batch of settlements in one transaction."""

    def __init__(self, connection: Connection, rules: Rules, items: Sequence[Settlement]) -> None:
        self.connection = connection
        self.rules = rules
        self.items = items
        self.now = items[0].now
        self.epochs = epochs_now(connection, {lane for item in items for lane in item.epochs})
        self.own = frozenset(
            lane for item in items for lane in item.epochs if self._owned(item, lane)
        )
        self.changes = Changes(rules, self.now)
        self.rows: dict[str, EntityRow] = {}
        self.siblings: dict[str, list[Sibling]] = {}
        self.history: list[dict[str, Any]] = []
        self.booked: list[dict[str, Any]] = []

    def _owned(self, item: Settlement, lane: int) -> bool:
        return self.epochs.get(lane, -1) == item.epochs.get(lane)

    def run(self) -> list[Settled]:
        present = self._present()
        live = [
            (place, item)
            for place, item in enumerate(self.items)
            if self._owned(item, item.delivery.lane)
            and present.get(item.delivery.ordinal, (None,))[0] is item.state
        ]
        lane_of = {item.delivery.entity_key: item.delivery.lane for _, item in live}
        if lane_of:
            self.rows = load_entities(self.connection, lane_of)
            self.siblings = load_siblings(self.connection, lane_of)
        done: dict[int, Conclusion] = {}  # by the item's place in the batch
        for place, item in live:
            _, outcomes, told = present[item.delivery.ordinal]
            fresh = msgspec.structs.replace(
                item.delivery, state=item.state, outcomes=outcomes, told=told
            )
            done[place] = self._settle(item, fresh)
        self._write()
        released, more = self._release([item for _, item in live])
        return [self._answer(done.get(n), released, more) for n in range(len(self.items))]

    def _present(self) -> dict[int, tuple[State, int, str]]:
        ordinals = [item.delivery.ordinal for item in self.items]
        return {
            ordinal: (STATES[state], outcomes, told)
            for ordinal, state, outcomes, told in _PRESENT.rows(
                self.connection, {"ordinals": ordinals}
            )
        }

    def _settle(self, item: Settlement, delivery: StoredDelivery) -> Conclusion:
        standing = Standing(
            state=item.state,
            attempts=delivery.attempts,
            retried_s=delivery.retried_s,
            posts=delivery.posts,
            absences=delivery.absences,
            age_s=max(0.0, item.now.wall - delivery.received_at),
            told_retrying="retrying" in delivery.told.split(";"),
            customer_known=item.customer_known,
            failure=delivery.failure,
        )
        conclusion = conclude(standing, item.result, item.policy, item.random)
        self._record_attempt(item, delivery)
        self._row(item, delivery, conclusion)
        self._entity(item, delivery, conclusion)
        self._tell(item, delivery, conclusion)
        self._integration(item, conclusion)
        return conclusion

    def _record_attempt(self, item: Settlement, delivery: StoredDelivery) -> None:
        failure = item.result.failure
        self.history.append(
            {
                "ordinal": delivery.ordinal,
                "kind": item.kind,
                "ended_at": item.now.wall,
                "verdict": f"{item.result.what.value}{f' {failure.code}' if failure else ''}",
                "exchanges": item.exchanges,
            }
        )

    def _row(self, item: Settlement, delivery: StoredDelivery, done: Conclusion) -> None:
        columns: dict[str, Any] = {
            "attempts": done.attempts,
            "retried_s": done.retried_s,
            "posts": done.posts,
            "absences": done.absences,
        }
        if done.act_in is not None:
            columns["act_at"] = item.now.elapsed + done.act_in
        if done.state is State.UNCERTAIN:
            if item.intent is not None:
                columns["intent"] = item.intent
        else:
            columns["intent"] = None
            columns["send_by"] = None
        if done.failure is not None:
            columns["failure"] = as_blob(done.failure)
            columns["first_failed_at"] = delivery.first_failed_at or item.now.wall
            columns["last_failed_at"] = item.now.wall
        if done.state is State.WAITING and item.result.parent_key is not None:
            columns["waits_key"] = item.result.parent_key
            columns["act_at"] = item.now.elapsed + item.policy.parent_wait
        if done.state is item.state:
            self.changes.delivery(delivery.ordinal, act_boot=item.now.boot, **columns)
        else:
            self.changes.move(delivery, done.state, **columns)

    def _entity(self, item: Settlement, delivery: StoredDelivery, done: Conclusion) -> None:
        if done.state is State.UNCERTAIN:
            return
        columns: dict[str, Any] = {"claimed_by": None}
        reference = item.result.reference
        # What a look-up settles for an invoice is another record that it needs: a product.
        another = item.result.what is What.SETTLED and delivery.entity_type is EntityType.INVOICE
        if done.in_books and reference is not None and not another:
            columns["in_books"] = True
            columns["reference"] = as_blob(reference)
        row = self.rows[delivery.entity_key]
        if done.state in {State.APPLIED, State.UNCHANGED, State.MANUAL}:
            columns["dirty"] = False
            columns["content"] = item.content if done.clean else row.content
            if done.state is State.MANUAL:
                columns["content"] = None
            if row.applied is None or delivery.version.newer_than(row.applied):
                columns["applied_ordinal"] = delivery.ordinal
                columns["applied_sequence"] = delivery.sequence
        self.changes.entity(delivery.entity_key, delivery.lane, **columns)
        if done.state is State.WAITING and item.result.parent_key is not None:
            self.changes.entity(
                item.result.parent_key,
                delivery.lane,
                in_books=False,
                reference=None,
                content=None,
            )
            ask(self.changes, item.result.parent_key, delivery.lane, after_s=PARENT_ASKED_AFTER_S)
        if (
            done.state is State.APPLIED
            and delivery.entity_type is EntityType.INVOICE
            and reference is not None
        ):
            self.booked.append(
                {
                    "books": item.books,
                    "number": delivery.number,
                    "delivery_id": delivery.delivery_id,
                    "reference": as_blob(reference),
                    "content": item.content,
                    "booked_at": item.now.wall,
                }
            )

    def _tell(self, item: Settlement, delivery: StoredDelivery, done: Conclusion) -> None:
        attempts_made = done.attempts
        kind = _OUTCOME.get(done.state)
        if kind is not None:
            self.changes.tell(
                delivery,
                kind,
                attempts=attempts_made,
                failure=done.failure if done.state is State.DEAD else None,
                reference=item.result.reference,
                warnings=(*item.result.warnings, *item.warnings),
                changes=item.result.changes,
                withdraws=self._withdraws(delivery, done),
                answer=item.answer,
                first_failed_at=delivery.first_failed_at or item.now.wall,
            )
            return
        if done.tell_retrying:
            self.changes.tell_once(
                delivery, OutcomeKind.RETRYING, "retrying", failure=done.failure, answer=item.answer
            )
        if done.hold is not None:
            self.changes.tell_once(
                delivery, OutcomeKind.HELD, f"held:{done.hold.code}", failure=done.hold
            )

    def _withdraws(self, delivery: StoredDelivery, done: Conclusion) -> tuple[str, ...]:
        if done.state is State.DEAD:
            return ()
        return self.changes.withdraw(delivery, self.siblings.get(delivery.entity_key, ()))

    def _integration(self, item: Settlement, done: Conclusion) -> None:
        integration = item.delivery.integration
        if done.hold is not None:
            put_hold(
                self.connection,
                integration,
                done.hold,
                item.now,
                item.hold_probe_s,
                item.hold_probe_max_s,
                kind=item.delivery.entity_type.value,
                probe=item.probe,
            )
        elif item.probe and item.result.what in _PROVES_MENDED and item.exchanges != NO_CALLS:
            clear_hold(self.connection, integration)
        if done.pause_s:
            put_pause(self.connection, integration, item.now, done.pause_s)

    def _write(self) -> None:
        self.changes.flush(self.connection)
        _ATTEMPT.each(self.connection, self.history)
        if self.booked:
            self.connection.execute(insert_new(self.connection, bookings), self.booked)

    def _release(self, live: Sequence[Settlement]) -> tuple[set[str], bool]:
        """Look at the children of everything that moved; what does not fit is left to be called."""
        keys = [item.delivery.entity_key for item in live]
        woken: set[str] = set()
        more = False
        for key in parked_keys(self.connection, keys):
            released: Released = release(self.connection, self.rules, self.now, key, self.own)
            woken |= released.integrations
            more = more or released.more
        return woken, more

    @staticmethod
    def _answer(done: Conclusion | None, woken: set[str], more: bool) -> Settled:
        if done is None:
            return Settled(state=None, lost=True)
        return Settled(
            state=done.state,
            integrations=frozenset(woken),
            more=more,
            act_in=done.act_in,
        )
