"""Dispatch: takes what may be sent, as much as there is room for, and sees it to its verdict.

The loop only counts and asks; every decision is the core's, made in the ledger's transaction.
Two tasks run beside the calls: the *loop* claims ready deliveries, the *ticker* moves what has
become due and starts look-ups and questions. Nothing here holds more in memory than what is in
flight.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from connectors import port
from connectors.integrations import Integration
from connectors.port import Clock
from schemas.events import EntityType
from schemas.failures import Failure, FailureClass, FailureCode
from schemas.lane import partition_of
from streams.attempts import Outcome, Performer
from streams.core.conclude import Result, What
from streams.core.states import State
from streams.ledger.claim import Claim, Claimed, Want, claim_operation
from streams.ledger.context import load_context
from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.holds import HoldChange, change_hold, load_holds
from streams.ledger.intake import Taken
from streams.ledger.known_books import Identified, identify_books
from streams.ledger.lanes import Take, Wait, take_lanes
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Moment, Rules
from streams.ledger.settle import Settled, settle_operation
from streams.ledger.timers import (
    ASK_AGAIN_S,
    Answered,
    Tick,
    Ticked,
    answer_operation,
    tick_operation,
)
from streams.settings import Settings
from streams.tenants import ASK_IDENTITY_AGAIN_S, Tenant, Tenants

log = logging.getLogger(__name__)

TICK_S = 1.0  # other workers' releases, holds and commands are seen within this (design 5.5, 8)
SWEEP_EVERY_S = 10.0  # a bounded stretch of parked deliveries is looked at for missed releases
REVOKE_WAIT_S = 10.0  # calls in flight of a lane that goes get this long to end
LOOK_UPS_MOST = 32  # at once, beside the deliveries in flight
QUESTIONS_MOST = 16
IDENTIFY_RETRY_S = 5.0
ASK_RETRY_S = 15.0  # a question that failed is put again


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
        performer: Callable[[Mapping[int, int]], Performer],
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._settings = settings
        self._clock = clock
        self._owner = owner
        self._partitions = partitions
        self.tenants = Tenants(settings)
        self.active: dict[int, int] = {}  # lanes that new work is taken from, with their epochs
        self._epochs: dict[int, int] = {}  # every lane we were ever given, with its last epoch
        self._performer = performer(self._epochs)
        self._claim = claim_operation(rules)
        self._settle = settle_operation(rules)
        self._tick = tick_operation(rules)
        self._answer = answer_operation(rules)
        self._work = asyncio.Event()
        self._clock_work = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes_busy: dict[int, int] = {}
        self._lane_ended = asyncio.Event()
        self._looking_up: set[int] = set()
        self._asking: set[str] = set()
        self._sweep_after: int | None = None
        self._swept_at = 0.0
        self._stopping = False
        self.assigned_once = asyncio.Event()
        self.in_flight = 0
        self.applied = 0

    # -- ownership (the `Lanes` port) -----------------------------------------------------------

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Own these lanes and no others from now on."""
        owned = await self._ledger.submit(
            take_lanes,
            Take(
                lanes=partitions,
                owner=self._owner,
                now=self._now(),
                waits=self._waits(),
                longest=self._longest(),
                parent_wait=self._settings.parent_wait_s,
            ),
        )
        self._epochs.update(owned.epochs)
        self.active.clear()
        self.active.update(owned.epochs)
        if owned.in_doubt:
            log.info(
                "%d writes of a former owner are in doubt and will be looked up",
                owned.in_doubt,
                extra={"action": "lanes_taken"},
            )
        self.assigned_once.set()
        self.wake_all()

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Start nothing more in these lanes; wait a bounded time for what is in flight."""
        for lane in partitions:
            self.active.pop(lane, None)
        until = self._clock.elapsed() + REVOKE_WAIT_S
        while any(self._lanes_busy.get(lane) for lane in partitions):
            left = until - self._clock.elapsed()
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
        self.tenants.set_up(integrations)
        self.wake_all()

    def woken(self, taken: Taken) -> None:
        """Ingest has written something down."""
        self.tenants.wake(taken.integrations)
        self._work.set()
        if taken.commands:
            self._clock_work.set()

    def wake_all(self) -> None:
        """Look at everything once."""
        self.tenants.wake(frozenset(self.tenants.by_id))
        self._work.set()
        self._clock_work.set()

    async def run(self) -> None:
        """Work until `stop`. Raises only for a bug, which ends the worker."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop())
            group.create_task(self._ticker())

    async def stop(self, drain_s: float) -> None:
        """Start nothing more, let calls in flight end for `drain_s`, then break them off.

        What is broken off costs no attempt: where no write had left it is ready again, otherwise
        it is uncertain for whoever owns the lane next.
        """
        self._stopping = True
        self._work.set()
        self._clock_work.set()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=drain_s)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    # -- the loop -------------------------------------------------------------------------------

    async def _loop(self) -> None:
        while not self._stopping:
            await self._work.wait()
            self._work.clear()
            while not self._stopping:
                wants = self._wants()
                if not wants or not await self._claim_once(wants):
                    break

    def _wants(self) -> tuple[Want, ...]:
        if not self.active:
            return ()
        slots = self._settings.in_flight - self.in_flight
        elapsed, boot = self._clock.elapsed(), self._clock.boot_id
        turn = self.tenants.in_turn()
        wants = []
        for tenant in turn:
            want = self._want(tenant, slots, len(turn) > 1, elapsed, boot)
            if want is not None:
                wants.append(want)
        return tuple(wants)

    def _want(
        self, tenant: Tenant, slots: int, others: bool, elapsed: float, boot: str
    ) -> Want | None:
        if not self._identified(tenant, elapsed) and tenant.held() is None:
            return None
        held = tenant.held()
        if held is not None:
            probe = self._may_probe(tenant, elapsed, boot) and tenant.books is not None
            tenant.probing = tenant.probing or probe
            return Want(
                integration=tenant.integration,
                sends=1 if probe else 0,
                bookings=1 if probe else 0,
                books=tenant.books or "",
                look_up_until=tenant.look_up_until,
                held=held,
                probe=probe,
            )
        if slots <= 0 or tenant.paused(elapsed, boot):
            return None
        room = min(slots, tenant.room(self._settings.in_flight, others))
        if room <= 0:
            return None
        return Want(
            integration=tenant.integration,
            sends=room,
            bookings=self._performer.timing(tenant.integration).bookings,
            books=tenant.books or "",
            look_up_until=tenant.look_up_until,
        )

    async def _claim_once(self, wants: tuple[Want, ...]) -> bool:
        """Claim and start. True when it is worth while to ask again at once."""
        slots = self._settings.in_flight - self.in_flight
        for want in wants:
            self.tenants.by_id[want.integration.id].hungry = False
        try:
            result = await self._ledger.submit(
                self._claim,
                Claim(
                    wants=wants,
                    epochs=dict(self.active),
                    most=max(slots, 1),
                    now=self._now(),
                    parent_wait=self._settings.parent_wait_s,
                ),
            )
        except LedgerClosedError:
            return False
        self.tenants.wake(result.more)
        for claimed in result.claimed:
            self._start(claimed)
        self._end_empty_probes(wants, {c.integration.id for c in result.claimed})
        if result.moved:
            self._clock_work.set()
        return bool(result.claimed) or bool(result.moved and result.more)

    def _start(self, claimed: Claimed) -> None:
        tenant = self.tenants.by_id[claimed.integration.id]
        tenant.started(self._clock.elapsed())
        self.in_flight += 1
        lane = claimed.delivery.lane
        self._lanes_busy[lane] = self._lanes_busy.get(lane, 0) + 1
        self._spawn(self._deliver(claimed, tenant))

    async def _deliver(self, claimed: Claimed, tenant: Tenant) -> None:
        began = self._clock.elapsed()
        outcome: Outcome | None = None
        try:
            outcome = await self._performer.deliver(claimed, tenant.books or "")
        finally:
            elapsed = self._clock.elapsed()
            tenant.ended(
                claimed.delivery.entity_type.value,
                outcome.exchanges if outcome is not None else (),
                outcome.result if outcome is not None else None,
                elapsed - began,
                elapsed,
            )
            tenant.probing = tenant.probing and not claimed.probe
            self.in_flight -= 1
            self._work.set()
        try:
            await self._write_down(outcome, tenant)
        finally:
            lane = claimed.delivery.lane
            self._lanes_busy[lane] -= 1
            self._lane_ended.set()

    async def _write_down(self, outcome: Outcome, tenant: Tenant) -> None:
        settled: Settled = await self._ledger.submit(self._settle, outcome.settlement)
        self.applied += settled.state is State.APPLIED
        what = outcome.result.what
        if what is What.HOLD or outcome.settlement.probe:
            if what not in {What.HOLD, What.RETRY, What.DROPPED}:
                tenant.ramp()
            await self._see_holds()
        self.tenants.wake(settled.integrations | {tenant.integration.id})
        self._work.set()
        if settled.more or settled.act_in is not None:
            self._clock_work.set()

    # -- whose books ----------------------------------------------------------------------------

    def _identified(self, tenant: Tenant, elapsed: float) -> bool:
        if elapsed >= tenant.identify_at and not tenant.identifying:
            tenant.identifying = True
            self._spawn(self._identify(tenant))
        return tenant.books is not None

    async def _identify(self, tenant: Tenant) -> None:
        try:
            verdict = await self._performer.identify(tenant.integration)
            match verdict:
                case port.Identity(books=books):
                    await self._know(tenant, books)
                    tenant.identify_at = self._clock.elapsed() + ASK_IDENTITY_AGAIN_S
                case port.Hold(failure=failure):
                    await self._change_hold(tenant, failure)
                    tenant.identify_at = self._clock.elapsed() + self._settings.hold_probe_s
                case port.Retry(retry_after=retry_after):
                    pause = max(IDENTIFY_RETRY_S, retry_after or 0.0)
                    tenant.identify_at = self._clock.elapsed() + pause
        finally:
            tenant.identifying = False
            tenant.hungry = True
            self._work.set()

    async def _know(self, tenant: Tenant, identity: str) -> None:
        name = tenant.integration.id
        first = tenant.books is None
        known = await self._ledger.submit(
            identify_books,
            Identified(
                integration=name,
                identity=identity,
                others=frozenset(self.tenants.by_id) - {name},
                now=self._now(),
                hold_probe_s=self._settings.hold_probe_s,
                hold_probe_max_s=self._settings.hold_probe_max_s,
            ),
        )
        if known.accepted:
            tenant.books = identity
            tenant.look_up_until = known.look_up_until
            held = tenant.held()
            if first and held is not None and _is_of_identity(held):
                await self._change_hold(tenant, None)
        else:
            tenant.books = None
            await self._see_holds()

    async def _change_hold(self, tenant: Tenant, failure: Any) -> None:
        await self._ledger.submit(
            change_hold,
            HoldChange(
                integration=tenant.integration.id,
                failure=failure,
                now=self._now(),
                hold_probe_s=self._settings.hold_probe_s,
                hold_probe_max_s=self._settings.hold_probe_max_s,
            ),
        )
        if failure is None:
            tenant.ramp()
        await self._see_holds()

    async def _see_holds(self) -> None:
        found = await self._ledger.read(load_holds)
        for name, tenant in self.tenants.by_id.items():
            was, now = tenant.held(), found.get(name)
            tenant.hold = now
            if was is not None and tenant.held() is None:
                tenant.hungry = True
                self._work.set()

    def _may_probe(self, tenant: Tenant, elapsed: float, boot: str) -> bool:
        """Probes belong to the owner of the lane of the integration's id (design section 8)."""
        lane = partition_of(tenant.integration.id.encode(), self._partitions)
        return lane in self.active and tenant.probe_due(elapsed, boot)

    def _end_empty_probes(self, wants: tuple[Want, ...], claimed: set[str]) -> None:
        """A held integration with nothing to send is probed by asking whose books it has."""
        for want in wants:
            if want.probe and want.integration.id not in claimed:
                tenant = self.tenants.by_id[want.integration.id]
                tenant.probing = False
                tenant.books = None
                tenant.identify_at = 0.0

    # -- the ticker -----------------------------------------------------------------------------

    async def _ticker(self) -> None:
        while not self._stopping:
            wait = TICK_S
            if self.active:
                wait = await self._tick_once()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._clock_work.wait(), wait)
            self._clock_work.clear()

    async def _tick_once(self) -> float:
        now = self._now()
        sweep = None
        if now.elapsed - self._swept_at >= SWEEP_EVERY_S:
            self._swept_at = now.elapsed
            sweep = self._sweep_after or 0
        try:
            ticked: Ticked = await self._ledger.submit(
                self._tick,
                Tick(
                    epochs=dict(self.active),
                    now=now,
                    busy=frozenset(self._looking_up),
                    asking=frozenset(self._asking),
                    sweep_after=sweep,
                ),
            )
        except LedgerClosedError:
            return TICK_S
        if sweep is not None:
            self._sweep_after = ticked.sweep_after
        await self._see_holds()
        self.tenants.wake(ticked.integrations)
        self._wake_probes(now)
        self._work.set()
        self._start_look_ups(ticked)
        self._start_questions(ticked)
        if ticked.more:
            return 0.0
        if ticked.next_act_at is None:
            return TICK_S
        return min(TICK_S, max(0.02, ticked.next_act_at - self._clock.elapsed()))

    def _wake_probes(self, now: Moment) -> None:
        for tenant in self.tenants.by_id.values():
            due = self._may_probe(tenant, now.elapsed, now.boot)
            again = now.elapsed >= tenant.identify_at
            if due or again:
                tenant.hungry = True
            if due and tenant.books is None:
                tenant.identify_at = min(tenant.identify_at, now.elapsed)

    def _start_look_ups(self, ticked: Ticked) -> None:
        for delivery in ticked.look_ups:
            tenant = self.tenants.by_id.get(delivery.integration)
            if tenant is None or len(self._looking_up) >= LOOK_UPS_MOST:
                continue
            if tenant.books is None or tenant.paused(self._clock.elapsed(), self._clock.boot_id):
                continue
            self._looking_up.add(delivery.ordinal)
            self._spawn(self._look_up(delivery, tenant))

    async def _look_up(self, delivery: StoredDelivery, tenant: Tenant) -> None:
        try:
            integration = tenant.integration
            boot = self._clock.boot_id
            context = await self._ledger.read(
                lambda connection: load_context(
                    connection, self._rules, delivery, integration, boot
                )
            )
            outcome = await self._performer.look_up(
                delivery, integration, context, tenant.books or ""
            )
            await self._write_down(outcome, tenant)
        finally:
            self._looking_up.discard(delivery.ordinal)

    def _start_questions(self, ticked: Ticked) -> None:
        for key in ticked.questions:
            name, entity_type, number = key.split("\x1f", 2)
            tenant = self.tenants.by_id.get(name)
            if tenant is None or tenant.held() is not None or tenant.books is None:
                continue
            if len(self._asking) >= QUESTIONS_MOST:
                return
            if tenant.paused(self._clock.elapsed(), self._clock.boot_id):
                continue
            self._asking.add(key)
            self._spawn(self._ask(key, EntityType(entity_type), number, tenant))

    async def _ask(self, key: str, entity_type: EntityType, number: str, tenant: Tenant) -> None:
        try:
            result, reference = await self._performer.find(entity_type, number, tenant.integration)
            await self._write_answer(key, tenant, result, reference)
        finally:
            self._asking.discard(key)
            self._clock_work.set()

    async def _write_answer(self, key: str, tenant: Tenant, result: Result, reference: Any) -> None:
        if result.what is What.HOLD:
            await self._change_hold(tenant, result.failure)
        known = result.what in {What.SETTLED, What.ABSENT}
        again = self._settings.parent_wait_s if known else ASK_RETRY_S
        if not self.active:
            return  # the next owner of the lane asks anew
        woken = await self._ledger.submit(
            self._answer,
            Answered(
                key=key,
                lane=min(self.active),
                epochs=dict(self.active),
                now=self._now(),
                known=known,
                reference=reference,
                again_in=min(again, ASK_AGAIN_S),
            ),
        )
        self.tenants.wake(woken)
        self._work.set()

    # -- small things ---------------------------------------------------------------------------

    def _now(self) -> Moment:
        return self._performer.now()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, LedgerClosedError):
            log.error(
                "an attempt failed in our own code",
                exc_info=error,
                extra={"action": "attempt_failed"},
            )

    def _waits(self) -> dict[str, Wait]:
        waits = {}
        for name, tenant in self.tenants.by_id.items():
            policy = self._performer.timing(tenant.integration).policy
            waits[name] = Wait(deadline=policy.deadline, settle=policy.settle)
        return waits

    def _longest(self) -> Wait:
        settings = self._settings
        return Wait(
            deadline=max(settings.sparebank1_timeout_s, settings.dkplus_timeout_s),
            settle=max(settings.sparebank1_settle_s, settings.dkplus_settle_s),
        )


def _is_of_identity(failure: Failure) -> bool:
    """Whether asking whose books these are proves that the hold's cause is mended."""
    return (
        failure.failure_class is FailureClass.ACCESS
        or failure.code is FailureCode.BOOKS_IDENTITY_CHANGED
    )
