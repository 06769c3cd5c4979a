"""Dispatch: takes what may be sent, as much as there is room for, and sees it to its verdict.

The loop only counts and asks; every decision is the core's, made in the ledger's transaction.
Two tasks run beside the calls: the *loop* claims ready deliveries, the *ticker* moves what has
become due and starts look-ups and questions. Nothing here holds more in memory than what is in
flight.
"""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Mapping

from connectors.integrations import Integration
from connectors.port import Clock
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode
from streams.attempts import Outcome, Performer
from streams.chores import Chores
from streams.core.conclude import What
from streams.core.states import OPEN, State
from streams.desk import Desk
from streams.holding import Holding
from streams.ledger.arrivals import Taken
from streams.ledger.claim import claim_operation
from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.lanes import Take, Wait, take_lanes
from streams.ledger.restored import Restored
from streams.ledger.rules import Moment, Rules
from streams.ledger.settle import Settled, settle_operation
from streams.ledger.work import Claim, Claimed, Want
from streams.limits import longest
from streams.settings import Settings
from streams.tenants import Tenant

log = logging.getLogger(__name__)

REVOKE_WAIT_S = 10.0  # calls in flight of a lane that goes get this long to end


class Dispatcher:
    """One worker's dispatch. It is the `Lanes` port: ownership begins and ends here."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        rules: Rules,
        settings: Settings,
        clock: Clock,
        owner: str,
        partitions: int,
        performer: Performer,
    ) -> None:
        self._owner = owner
        self._desk = Desk(
            ledger=ledger,
            rules=rules,
            settings=settings,
            clock=clock,
            performer=performer,
            partitions=partitions,
        )
        self._holding = Holding(self._desk)
        self._chores = Chores(self._desk, self._holding, self._write_down)
        self._claim = claim_operation(rules)
        self._settle = settle_operation(rules)
        self._lanes_busy: dict[int, int] = {}
        self._lane_ended = asyncio.Event()
        self._quiet_until = 0.0
        self._paced_until = math.inf  # the first of those that only their pace keeps from starting
        self._alarm: asyncio.TimerHandle | None = None
        self.assigned_once = asyncio.Event()
        self.in_flight = 0
        self.applied = 0

    @property
    def desk(self) -> Desk:
        """What is under way, for those who look on."""
        return self._desk

    @property
    def lanes(self) -> int:
        """How many lanes this worker owns."""
        return len(self._desk.active)

    # -- ownership (the `Lanes` port) -----------------------------------------------------------

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Own these lanes and no others from now on."""
        owned = await self._desk.ledger.submit(
            take_lanes,
            Take(
                lanes=partitions,
                owner=self._owner,
                clock=self._desk.now,
                waits=self._waits(),
                longest=self._longest(),
                parent_wait=self._desk.settings.parent_wait_s,
                partitions=self._desk.partitions,
            ),
        )
        self._desk.active.clear()
        self._desk.active.update(owned.epochs)
        self._desk.tenants.own(len(owned.epochs), self._desk.partitions)
        if owned.in_doubt:
            log.info(
                "%d writes of a former owner are in doubt and will be looked up",
                owned.in_doubt,
                extra={"action": "lanes_taken"},
            )
        self.assigned_once.set()
        self._desk.wake_all()

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Start nothing more in these lanes; wait a bounded time for what is in flight."""
        for lane in partitions:
            self._desk.active.pop(lane, None)
        until = self._desk.clock.elapsed() + REVOKE_WAIT_S
        while any(self._lanes_busy.get(lane) for lane in partitions):
            left = until - self._desk.clock.elapsed()
            if left <= 0:
                return
            self._lane_ended.clear()
            try:
                await asyncio.wait_for(self._lane_ended.wait(), left)
            except TimeoutError:
                return

    # -- life -----------------------------------------------------------------------------------

    def set_up(self, integrations: Mapping[str, Integration]) -> None:
        """Work for these integrations from now on."""
        self._desk.tenants.set_up(integrations)
        self._desk.wake_all()

    def sought(self) -> None:
        """Kafka's commits were held against the ledger: from now on things are decided and sent."""
        if not self._desk.sought:
            self._desk.sought = True
            self._desk.wake_all()

    def restored(self) -> Restored:
        """The ledger is behind the books: what was just booked may not be seen yet, so wait.

        Returns what is to be written of it, for all workers.
        """
        settle = self._longest().settle
        self._quiet_until = self._desk.clock.elapsed() + settle
        return Restored(
            clock=self._desk.now,
            settle_s=settle,
            integrations=frozenset(self._desk.tenants.by_id),
        )

    def woken(self, taken: Taken) -> None:
        """Ingest has written something down."""
        self._desk.tenants.wake(taken.integrations)
        self._desk.work.set()
        if taken.commands:
            self._desk.clock_work.set()

    async def run(self) -> None:
        """Work until `stop`. Raises only for a bug, which ends the worker."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop())
            group.create_task(self._chores.run())

    async def stop(self, drain_s: float) -> None:
        """Start nothing more, let calls in flight end for `drain_s`, then break them off.

        What is broken off costs no attempt: where no write had left it is ready again, otherwise
        it is uncertain for whoever owns the lane next.
        """
        self._desk.stopping = True
        self._desk.work.set()
        self._desk.clock_work.set()
        if self._desk.tasks:
            _, left = await asyncio.wait(self._desk.tasks, timeout=drain_s)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    # -- the loop -------------------------------------------------------------------------------

    async def _loop(self) -> None:
        while not self._desk.stopping:
            await self._desk.work.wait()
            self._desk.work.clear()
            while not self._desk.stopping:
                wants, more = self._wants()
                if not wants or not (await self._claim_once(wants) or more):
                    break
            self._set_alarm()

    def _set_alarm(self) -> None:
        """Look again when the pace of an integration lets its next delivery start."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._paced_until < math.inf:
            wait = max(0.0, self._paced_until - self._desk.clock.elapsed())
            self._alarm = asyncio.get_running_loop().call_later(wait, self._desk.work.set)

    def _wants(self) -> tuple[tuple[Want, ...], bool]:
        """Who may take how much now, and whether some were not asked for want of slots.

        No more is asked for than can start: what is read and not started is read again.
        """
        self._paced_until = math.inf
        if not self._desk.active:
            return (), False
        slots = self._desk.settings.in_flight - self.in_flight
        now = self._desk.now()
        turn = self._desk.tenants.in_turn()
        share = max(1, slots // len(turn)) if turn else 0
        full, left = slots <= 0, False
        wants = []
        for tenant in turn:
            if slots <= 0 and tenant.hold is None:
                left = not full
                continue
            if slots > 0:
                self._desk.tenants.asked(tenant)
            want = self._want(tenant, min(slots, share), len(turn) > 1, now)
            if want is not None:
                wants.append(want)
                slots -= want.sends
        return tuple(wants), left

    def _want(self, tenant: Tenant, slots: int, others: bool, now: Moment) -> Want | None:
        known = self._holding.identified(tenant, now.elapsed)
        held = tenant.held()
        if held is not None:
            return self._want_held(tenant, held, now)
        if not known:
            return None
        if tenant.paused(now):
            return self._broken(tenant, now.elapsed)
        if slots <= 0 or self._quiet(now.elapsed):
            return None
        room = min(slots, tenant.room(self._desk.settings.in_flight, others, now.elapsed))
        if room <= 0:
            self._note_pace(tenant, now.elapsed)
            return None
        return Want(
            integration=tenant.integration,
            sends=room,
            bookings=self._desk.performer.timing(tenant.integration).bookings,
            books=tenant.books or "",
            look_up_until=tenant.look_up_until,
            spare=tenant.spare,
        )

    def _note_pace(self, tenant: Tenant, elapsed: float) -> None:
        until = tenant.paced_until(elapsed)
        if until > elapsed:  # otherwise it is full, and looked at when one of its calls ends
            self._paced_until = min(self._paced_until, until)

    def _want_held(self, tenant: Tenant, held: Failure, now: Moment) -> Want:
        """Of a held integration nothing goes but its probe, and that only into known books."""
        settings = self._desk.settings
        due = tenant.books is not None and tenant.probe_due(now)
        probe = due and not self._quiet(now.elapsed)
        tenant.probing = tenant.probing or probe
        return Want(
            integration=tenant.integration,
            sends=1 if probe else 0,
            bookings=1 if probe else 0,
            books=tenant.books or "",
            look_up_until=tenant.look_up_until,
            held=held,
            probe=probe,
            hold_probe_s=settings.hold_probe_s,
            hold_probe_max_s=settings.hold_probe_max_s,
        )

    def _broken(self, tenant: Tenant, elapsed: float) -> Want | None:
        """A breaker that has been open for `PARENT_WAIT` is told, like a hold."""
        if tenant.broken_for(elapsed) < self._desk.settings.parent_wait_s:
            return None
        broken = Failure(code=FailureCode.BREAKER_OPEN)
        return Want(integration=tenant.integration, sends=0, bookings=0, held=broken)

    def _quiet(self, elapsed: float) -> bool:
        """Whether nothing is sent: while a restored ledger lets the books settle.

        Nor before it is known whether the ledger was restored.
        """
        return not self._desk.sought or elapsed < self._quiet_until

    async def _claim_once(self, wants: tuple[Want, ...]) -> bool:
        """Claim and start. True when it is worth while to ask again at once."""
        slots = self._desk.settings.in_flight - self.in_flight
        for want in wants:
            self._desk.tenants.by_id[want.integration.id].hungry = False
        try:
            result = await self._desk.ledger.submit(
                self._claim,
                Claim(
                    wants=wants,
                    epochs=dict(self._desk.active),
                    most=max(slots, 1),
                    now=self._desk.now(),
                    parent_wait=self._desk.settings.parent_wait_s,
                ),
            )
        except LedgerClosedError:
            return False
        self._desk.tenants.wake(result.more)
        self._desk.tenants.crowd(result.crowded)
        given = Counter(claimed.integration.id for claimed in result.claimed)
        for want in wants:
            name = want.integration.id
            self._desk.tenants.by_id[name].was_given(given[name], result.moved.get(name, 0))
        if self._desk.stopping:
            return False  # they are taken back by the next owner: nothing of them has left
        for claimed in result.claimed:
            self._start(claimed)
        self._holding.end_empty_probes(wants, set(given))
        if result.moved:
            self._desk.clock_work.set()
        return bool(result.claimed) or bool(result.moved and result.more)

    def _start(self, claimed: Claimed) -> None:
        tenant = self._desk.tenants.by_id[claimed.integration.id]
        tenant.started(self._desk.clock.elapsed())
        self.in_flight += 1
        self._desk.sending.add(claimed.delivery.ordinal)
        lane = claimed.delivery.lane
        self._lanes_busy[lane] = self._lanes_busy.get(lane, 0) + 1
        self._desk.spawn(self._deliver(claimed, tenant))

    async def _deliver(self, claimed: Claimed, tenant: Tenant) -> None:
        try:
            outcome = await self._attempt(claimed, tenant)
            await self._write_down(outcome, tenant)
        finally:
            lane = claimed.delivery.lane
            self._desk.sending.discard(claimed.delivery.ordinal)
            self._lanes_busy[lane] -= 1
            self._lane_ended.set()

    async def _attempt(self, claimed: Claimed, tenant: Tenant) -> Outcome:
        began = self._desk.clock.elapsed()
        outcome: Outcome | None = None
        try:
            outcome = await self._desk.performer.deliver(claimed)
            return outcome
        finally:
            elapsed = self._desk.clock.elapsed()
            tenant.ended(
                claimed.delivery.entity_type.value,
                outcome.exchanges if outcome is not None else (),
                outcome.result if outcome is not None else None,
                elapsed - began,
                elapsed,
            )
            tenant.probing = tenant.probing and not claimed.probe
            self.in_flight -= 1
            self._desk.work.set()

    async def _write_down(self, outcome: Outcome, tenant: Tenant) -> None:
        settled: Settled = await self._desk.ledger.submit(self._settle, outcome.settlement)
        self.applied += settled.state is State.APPLIED
        what = outcome.result.what
        if what is What.HOLD or outcome.settlement.probe or outcome.result.retry_after:
            if what not in {What.HOLD, What.RETRY, What.DROPPED}:
                tenant.ramp()
            await self._holding.see_holds()
        self._desk.tenants.wake(settled.integrations)
        if outcome.settlement.delivery.entity_type is EntityType.INVOICE or settled.state in OPEN:
            tenant.hungry = True  # a booking's slot is free, or it is to be sent again
        self._desk.work.set()
        if settled.more or settled.act_in is not None:
            self._desk.clock_work.set()

    # -- small things ---------------------------------------------------------------------------

    def _waits(self) -> dict[str, Wait]:
        waits = {}
        for name, tenant in self._desk.tenants.by_id.items():
            policy = self._desk.performer.timing(tenant.integration).policy
            waits[name] = Wait(deadline=policy.deadline, settle=policy.settle)
        return waits

    def _longest(self) -> Wait:
        limits = longest(self._desk.settings)
        return Wait(deadline=limits.timeout_s, settle=limits.settle_s)
