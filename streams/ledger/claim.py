"""Taking what may be sent now: decided, and with its intent on disk, in one transaction."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from connectors.integrations import Integration
from connectors.systems import SYSTEMS
from schemas.events import Customer, Entity, EntityType
from schemas.failures import Failure, FailureCode, Notable, Reference, WarningCode
from schemas.outcomes import OutcomeKind
from streams.core import order
from streams.core.gates import GateState, GateView, look
from streams.core.model import Candidate, EntityRow, Sibling, entity_key
from streams.core.states import OPEN, State
from streams.core.written import maybe_written
from streams.ledger.access import load_deliveries, load_entities, load_siblings, owned
from streams.ledger.candidates import (
    bookings_left,
    candidates,
    held_cause,
    look_ups_until,
    merge_bookings,
)
from streams.ledger.changes import Changes, as_blob
from streams.ledger.engine import Operation
from streams.ledger.last_states import last_event
from streams.ledger.release import ask, block, make_gate, park, parked_keys, release
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Parent, Rules, UnreadableEventError
from streams.ledger.work import BOOKED_SHOWS_S, SEND_WITHIN_S, Claim, Claimed, ClaimResult, Want


def claim_operation(rules: Rules) -> Operation[Claim, ClaimResult]:
    """The operation that decides ready deliveries and claims those that may go."""

    def handler(connection: Connection, claims: Sequence[Claim]) -> list[ClaimResult]:
        return [_Claiming(connection, rules, claim).run() for claim in claims]

    return Operation("claim", 40, handler)


class _Claiming:
    """One claim in one transaction."""

    def __init__(self, connection: Connection, rules: Rules, claim: Claim) -> None:
        self.connection = connection
        self.rules = rules
        self.claim = claim
        self.own = owned(connection, claim.epochs)
        self.changes = Changes(rules, claim.now)
        self.claimed: list[Claimed] = []
        self.rows: dict[str, EntityRow] = {}
        self.siblings: dict[str, list[Sibling]] = {}
        self.events: dict[int, Entity] = {}
        self.parents: dict[int, tuple[Parent, ...]] = {}
        self.moved: dict[str, int] = {}
        self.moved_keys: set[str] = set()
        self.ready: set[int] = set()
        self.crowded: set[str] = set()
        self.look_ups_until: dict[str, float] = {}
        self.booked_at: dict[str, float] = {}
        self.left: dict[str, int] = {}  # free slots for bookings, by integration

    def run(self) -> ClaimResult:
        if not self.own:
            return ClaimResult()
        self.left = bookings_left(self.connection, self.claim.wants)
        read = candidates(self.connection, self.claim.wants, self.own, self.claim.now, self.left)
        found = [(want, *read[want.integration.id]) for want in self.claim.wants]
        self._load([(want, d) for want, ds, _ in found for d in ds])
        more: set[str] = set()
        for want, batch, full in found:
            left = self._decide_all(want, batch)
            if left or full:
                more.add(want.integration.id)
        self.changes.flush(self.connection)
        more |= self._release()
        return ClaimResult(
            claimed=tuple(self.claimed),
            more=frozenset(more),
            moved=self.moved,
            crowded=frozenset(self.crowded),
        )

    def _release(self) -> set[str]:
        """What waited for a delivery that needs no attempt goes on at once."""
        woken: set[str] = set()
        now = self.claim.now
        for key in parked_keys(self.connection, sorted(self.moved_keys)):
            woken |= release(self.connection, self.rules, now, key, self.own).integrations
        return woken

    # -- reading ------------------------------------------------------------------------------

    def _load(self, wanted: list[tuple[Want, StoredDelivery]]) -> None:
        lane_of: dict[str, int] = {}
        for want, delivery in wanted:
            try:
                event = self.rules.event(delivery)
            except UnreadableEventError:
                self._refuse(delivery, _UNREADABLE)
                continue
            parents = self.rules.parents(event, want.integration)
            self.events[delivery.ordinal] = event
            self.parents[delivery.ordinal] = parents
            lane_of[delivery.entity_key] = delivery.lane
            for parent in parents:
                key = entity_key(delivery.integration, parent.entity_type, parent.number)
                lane_of.setdefault(key, delivery.lane)
        if lane_of:
            self.rows = load_entities(self.connection, lane_of)
            self.siblings = load_siblings(self.connection, lane_of)
            # Read under the lock of the entity: another worker may have superseded a candidate.
            self.ready = {
                s.ordinal for some in self.siblings.values() for s in some if s.state is State.READY
            }
            self._load_bookings(wanted)

    def _load_bookings(self, wanted: list[tuple[Want, StoredDelivery]]) -> None:
        by_books: dict[str, dict[str, str]] = {}
        for want, delivery in wanted:
            if delivery.entity_type is EntityType.INVOICE:
                by_books.setdefault(want.books, {})[delivery.number] = delivery.entity_key
        for books, keys in by_books.items():
            self.booked_at |= merge_bookings(self.connection, books, keys, self.rows)
        if wanted:
            names = {want.integration.id for want, _ in wanted}
            self.look_ups_until = look_ups_until(self.connection, names)

    # -- deciding -----------------------------------------------------------------------------

    def _decide_all(self, want: Want, batch: list[StoredDelivery]) -> bool:
        """Decide the candidates of one integration. True when some were left for want of room."""
        sends, bookings = want.sends, want.bookings
        if bookings:
            bookings = self.left.get(want.integration.id, 0)
            if not bookings:
                self.crowded.add(want.integration.id)
        telling = want.held is not None and not want.probe
        for delivery in batch:
            if (
                delivery.ordinal not in self.ready
                or self.changes.state_of(delivery) is not State.READY
            ):
                continue  # superseded, by a candidate before it or by another worker
            invoice = delivery.entity_type is EntityType.INVOICE
            if not telling and (
                len(self.claimed) >= self.claim.most or sends <= 0 or (invoice and bookings <= 0)
            ):
                if sends <= 0 or len(self.claimed) >= self.claim.most:
                    return True
                continue
            if self._decide(want, delivery):
                sends -= 1
                bookings -= 1 if invoice else 0
        return False

    def _decide(self, want: Want, delivery: StoredDelivery) -> bool:
        """Decide and apply one candidate. True when it was claimed."""
        row = self.rows[delivery.entity_key]
        event = self.events[delivery.ordinal]
        content = self.rules.content(event, want.integration)
        candidate = Candidate(
            ordinal=delivery.ordinal,
            delivery_id=delivery.delivery_id,
            entity_type=delivery.entity_type,
            number=delivery.number,
            state=delivery.state,
            sequence=delivery.sequence,
            rewrite=delivery.rewrite and not self._booked_since(delivery),
            content=content,
        )
        open_siblings = [
            s
            for s in self.siblings.get(delivery.entity_key, ())
            if s.ordinal != delivery.ordinal and s.state in OPEN
        ]
        views = self._views(delivery)
        decision = order.decide(candidate, row, open_siblings, views)
        self._supersede(candidate, decision, open_siblings, delivery)
        if not isinstance(decision, order.Send):
            name = want.integration.id
            self.moved[name] = self.moved.get(name, 0) + 1
            self.moved_keys.add(delivery.entity_key)
            self._apply(delivery, decision)
            return False
        if want.held is not None and not want.probe:
            self.changes.tell_once(
                delivery, OutcomeKind.HELD, held_cause(want.held), failure=want.held
            )
            return False
        self._send(want, delivery, event, content, row, decision)
        return True

    def _booked_since(self, delivery: StoredDelivery) -> bool:
        """Whether its number was booked after it was asked for, or too shortly before.

        A look-up may not show yet what was booked just now, so a rewrite would book it twice.
        """
        booked_at = self.booked_at.get(delivery.entity_key)
        return booked_at is not None and delivery.received_at < booked_at + BOOKED_SHOWS_S

    def _views(self, delivery: StoredDelivery) -> list[GateView]:
        gates = (
            make_gate(parent, delivery.integration, self.rows, self.siblings)
            for parent in self.parents[delivery.ordinal]
        )
        return [
            look(gate, child_ordinal=delivery.ordinal, wall=self.claim.now.wall) for gate in gates
        ]

    def _supersede(
        self,
        candidate: Candidate,
        decision: order.Decision,
        siblings: list[Sibling],
        by: StoredDelivery,
    ) -> None:
        if isinstance(decision, order.Overtaken):
            return
        older = order.to_supersede(candidate, siblings)
        if not older:
            return
        stored_older = load_deliveries(self.connection, [s.ordinal for s in older])
        for delivery in stored_older.values():
            if self.changes.state_of(delivery) in OPEN:
                self._overtake(delivery, State.SUPERSEDED, by)

    def _overtake(self, delivery: StoredDelivery, state: State, by: StoredDelivery | None) -> None:
        kind = OutcomeKind.STALE if state is State.STALE else OutcomeKind.SUPERSEDED
        self.changes.move(delivery, state)
        named = (by.ce_id, by.source) if by is not None else None
        self.changes.tell(
            delivery, kind, superseded_by=named if state is State.SUPERSEDED else None
        )

    def _apply(self, delivery: StoredDelivery, decision: order.Decision) -> None:
        match decision:
            case order.Overtaken(by, stale):
                stored_by = load_deliveries(self.connection, [by.ordinal]) if by else {}
                state = State.STALE if stale else State.SUPERSEDED
                self._overtake(delivery, state, stored_by.get(by.ordinal) if by else None)
            case order.NothingNew(reference):
                self._unchanged(delivery, reference)
            case order.Later():
                self._park(delivery, delivery.entity_key)
            case order.Park(None):
                self._park(delivery, delivery.entity_key)
            case order.Park(view) if view is not None:
                self._park_at(delivery, view)
            case order.Refuse(failure, _):
                self._refuse(delivery, failure)

    def _unchanged(self, delivery: StoredDelivery, reference: Reference | None) -> None:
        self.changes.move(delivery, State.UNCHANGED)
        row = self.rows[delivery.entity_key]
        if row.applied is None or delivery.version.newer_than(row.applied):
            self.changes.entity(
                delivery.entity_key,
                delivery.lane,
                applied_ordinal=delivery.ordinal,
                applied_sequence=delivery.sequence,
            )
        dead = self.siblings.get(delivery.entity_key, ())
        invoice = (
            delivery.entity_type is EntityType.INVOICE
        )  # another invoice is not its older state
        withdraws = () if invoice else self.changes.withdraw(delivery, dead)
        self.changes.tell(delivery, OutcomeKind.UNCHANGED, reference=reference, withdraws=withdraws)

    def _park(self, delivery: StoredDelivery, key: str) -> None:
        park(self.changes, delivery, key, self.claim.parent_wait)

    def _park_at(self, delivery: StoredDelivery, view: GateView) -> None:
        self._park(delivery, view.gate.row.key)
        if view.state is GateState.ASK:
            ask(self.changes, view.gate.row.key, delivery.lane)
        elif view.state is GateState.FAILED:
            block(self.changes, delivery, view)

    def _refuse(self, delivery: StoredDelivery, failure: Failure) -> None:
        wall = self.claim.now.wall
        self.changes.move(
            delivery,
            State.DEAD,
            failure=as_blob(failure),
            first_failed_at=delivery.first_failed_at or wall,
            last_failed_at=wall,
        )
        self.changes.tell(delivery, OutcomeKind.DEAD, failure=failure)

    def _send(
        self,
        want: Want,
        delivery: StoredDelivery,
        event: Entity,
        content: bytes,
        row: EntityRow,
        decision: order.Send,
    ) -> None:
        invoice = delivery.entity_type is EntityType.INVOICE
        now = self.claim.now
        send_by = now.elapsed + SEND_WITHIN_S if row.in_books and not invoice else None
        self.changes.move(
            delivery,
            State.SENDING,
            intent=_UPDATE_JSON if send_by is not None else None,
            send_by=send_by,
            act_boot=now.boot,
        )
        self.changes.entity(
            delivery.entity_key, delivery.lane, claimed_by=delivery.ordinal, dirty=True
        )
        if not invoice:
            self.changes.entity(
                delivery.entity_key,
                delivery.lane,
                content=maybe_written(row.content, content),
            )
        self.rows[delivery.entity_key] = msgspec.structs.replace(row, claimed_by=delivery.ordinal)
        unknown = invoice and row.in_books and row.content is None
        self.claimed.append(
            Claimed(
                delivery=delivery,
                epoch=self.claim.epochs[delivery.lane],
                books=want.books,
                integration=want.integration,
                event=event,
                content=content,
                row=row,
                parents=self._references(delivery),
                customer_event=self._customer_event(want.integration, delivery),
                warnings=tuple(_parent_stale(view) for view in decision.parent_stale),
                look_up_first=(
                    delivery.rewrite
                    or delivery.replays > 0
                    or unknown
                    or (invoice and row.dirty)  # a forerunner's write may have happened
                    or now.wall < want.look_up_until
                    or now.wall < self.look_ups_until.get(want.integration.id, 0.0)
                ),
                probe=want.probe,
                send_by=send_by,
            )
        )

    def _references(self, delivery: StoredDelivery) -> dict[EntityType, Reference | None]:
        found: dict[EntityType, Reference | None] = {}
        for parent in self.parents[delivery.ordinal]:
            key = entity_key(delivery.integration, parent.entity_type, parent.number)
            found[parent.entity_type] = self.rows[key].reference
        return found

    def _customer_event(
        self, integration: Integration, delivery: StoredDelivery
    ) -> Customer | None:
        """The customer's last event: DK+ needs its kennitala on the invoice."""
        if (
            not SYSTEMS[integration.system].customer_with_invoice
            or delivery.entity_type is not EntityType.INVOICE
        ):
            return None
        customer_number = getattr(self.events[delivery.ordinal], "customer_number", "")
        record = last_event(self.connection, delivery.company, EntityType.CUSTOMER, customer_number)
        entity = self.rules.read(record) if record is not None else None
        return entity if isinstance(entity, Customer) else None


_UNREADABLE = Failure(
    code=FailureCode.ANSWER_NOT_UNDERSTOOD,
    parameters={"status": "-", "answer": "the stored event cannot be read by this version"},
)


def _parent_stale(view: GateView) -> Notable:
    return Notable(
        code=WarningCode.PARENT_STALE,
        parameters={
            "parentType": view.gate.entity_type.value,
            "parentNumber": view.gate.number,
        },
    )


_UPDATE_JSON = b'{"kind":"update","key":"","repeatable":true}'
