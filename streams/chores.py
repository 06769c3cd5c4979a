"""What has to be done beside sending: the clock, look-ups of uncertain writes, questions."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from connectors.integrations import Integration
from schemas.events import EntityType
from schemas.failures import FailureCode, Reference
from streams.attempts import Outcome
from streams.core.conclude import Result, What
from streams.desk import Desk
from streams.directory import LiveDirectory
from streams.holding import Holding
from streams.ledger.commands import Ran, RunCommands, commands_operation
from streams.ledger.context import load_context
from streams.ledger.engine import LedgerClosedError
from streams.ledger.orphans import TakeBack, take_back
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Moment
from streams.ledger.switched_off import SwitchedOff, switched_off_operation
from streams.ledger.timers import (
    ASK_AGAIN_S,
    Answered,
    Tick,
    Ticked,
    answer_operation,
    tick_operation,
)
from streams.pruning import Pruner
from streams.tenants import Tenant

log = logging.getLogger(__name__)

TICK_S = 1.0  # other workers' releases, holds and commands are seen within this (design 5.5, 8)
SHORTEST_TICK_S = 0.02  # deliveries that are due one after the other are taken together
SWEEP_EVERY_S = 10.0  # a bounded stretch of parked deliveries is looked at for missed releases
LOOK_UPS_MOST = 32  # at once, beside the deliveries in flight
QUESTIONS_MOST = 16
ASK_RETRY_S = 15.0  # a question that failed is put again


class Chores:
    """The ticker of a worker, and the look-ups and questions that it starts."""

    def __init__(
        self,
        desk: Desk,
        holding: Holding,
        write_down: Callable[[Outcome, Tenant], Awaitable[None]],
    ) -> None:
        self._desk = desk
        self._holding = holding
        self._write_down = write_down
        self._tick = tick_operation(desk.rules)
        self._answer = answer_operation(desk.rules)
        self._commands = commands_operation(
            desk.rules, LiveDirectory(self._integrations, desk.partitions)
        )
        self._switched_off = switched_off_operation(desk.rules)
        self._pruner = Pruner(desk)
        self._looking_up: set[int] = set()
        self._lost: frozenset[int] = frozenset()
        self._asking: set[str] = set()
        self._sweep_after: int | None = None
        self._swept_at = 0.0

    async def run(self) -> None:
        """Look at the clock until the desk is closed.

        Not before it is known whether the ledger was restored: what it remembers of the books
        would be believed.
        """
        while not self._desk.stopping:
            wait = TICK_S
            if self._desk.active and self._desk.sought:
                wait = await self._tick_once()
            if wait > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._desk.clock_work.wait(), wait)
            self._desk.clock_work.clear()

    async def _tick_once(self) -> float:
        now = self._desk.now()
        self._pruner.look(now)
        sweep = None
        if now.elapsed - self._swept_at >= SWEEP_EVERY_S:
            self._swept_at = now.elapsed
            sweep = self._sweep_after or 0
        epochs = dict(self._desk.active)
        try:
            ticked, ran = await asyncio.gather(
                self._desk.ledger.submit(
                    self._tick,
                    Tick(
                        epochs=epochs,
                        now=now,
                        busy=frozenset(self._looking_up),
                        asking=frozenset(self._asking),
                        ask_most=QUESTIONS_MOST - len(self._asking),
                        ask_not=self._not_to_be_asked(now),
                        sweep_after=sweep,
                    ),
                ),
                self._desk.ledger.submit(self._commands, RunCommands(epochs=epochs, now=now)),
            )
        except LedgerClosedError:
            return TICK_S
        if sweep is not None:
            self._sweep_after = ticked.sweep_after
            self._desk.tenants.wake(frozenset(self._desk.tenants.by_id))
            await self._tell_switched_off()
            await self._find_orphans(ticked)
        await self._see_holds(ran)
        self._desk.tenants.wake(ticked.integrations | ran.integrations)
        self._holding.wake_probes(now)
        self._desk.tenants.wake_crowded()
        self._desk.work.set()
        self._start_look_ups(ticked, epochs)
        self._start_questions(ticked)
        if ticked.more or ran.more:
            return 0.0
        if ticked.next_act_at is None:
            return TICK_S
        return min(TICK_S, max(SHORTEST_TICK_S, ticked.next_act_at - self._desk.clock.elapsed()))

    def _not_to_be_asked(self, now: Moment) -> frozenset[str]:
        """Integrations that no question can be put to now: they must not stand before others."""
        return frozenset(
            name
            for name, tenant in self._desk.tenants.by_id.items()
            if tenant.removed
            or tenant.books is None
            or tenant.held() is not None
            or tenant.paused(now)
        )

    async def _find_orphans(self, ticked: Ticked) -> None:
        """Deliveries that are `sending` and that no attempt of ours is at work on.

        The answer to a commit can be lost after it was made. What is found so in two sweeps, ten
        seconds apart, has nobody: it is taken back as from a former owner.
        """
        lost = frozenset(ticked.sending) - self._desk.sending
        orphans = lost & self._lost
        self._lost = lost - orphans
        if orphans:
            await self._desk.ledger.submit(
                take_back,
                TakeBack(ordinals=orphans, epochs=dict(self._desk.active), now=self._desk.now()),
            )
            log.warning(
                "%d deliveries had lost their attempt and were taken back",
                len(orphans),
                extra={"action": "orphans_taken_back"},
            )

    async def _tell_switched_off(self) -> None:
        desk = self._desk
        integrations = desk.tenants.in_force()
        await desk.ledger.submit(
            self._switched_off,
            SwitchedOff(integrations=integrations, epochs=dict(desk.active), now=desk.now()),
        )

    def _integrations(self) -> dict[str, Integration]:
        """Those in force: a removed one stays among the tenants while calls of it are in flight."""
        names = list(self._desk.tenants.by_id)
        found = ((name, self._desk.rules.integration(name)) for name in names)
        return {name: one for name, one in found if one is not None}

    async def _see_holds(self, ran: Ran) -> None:
        """Whoever wrote them. Books whose change was accepted by a person are identified anew."""
        tenants = self._desk.tenants.by_id
        before = {name: tenant.held() for name, tenant in tenants.items()}
        await self._holding.see_holds()
        for name, tenant in tenants.items():
            was = before.get(name)
            if name in ran.resumed:
                tenant.ramp()
            changed = was is not None and was.code is FailureCode.BOOKS_IDENTITY_CHANGED
            if changed and tenant.held() is None and not tenant.identifying:
                tenant.books = None
                tenant.identify_at = 0.0

    def _start_look_ups(self, ticked: Ticked, epochs: Mapping[int, int]) -> None:
        for delivery in ticked.look_ups:
            tenant = self._desk.tenants.by_id.get(delivery.integration)
            if tenant is None or len(self._looking_up) >= LOOK_UPS_MOST:
                continue
            epoch = epochs.get(delivery.lane)
            if tenant.books is None or epoch is None or tenant.paused(self._desk.now()):
                continue
            self._looking_up.add(delivery.ordinal)
            self._desk.spawn(self._look_up(delivery, tenant, tenant.books, epoch))

    async def _look_up(
        self, delivery: StoredDelivery, tenant: Tenant, books: str, epoch: int
    ) -> None:
        try:
            integration = tenant.integration
            context = await self._desk.ledger.read(
                lambda connection: load_context(connection, self._desk.rules, delivery, integration)
            )
            outcome = await self._desk.performer.look_up(
                delivery, integration, context, books=books, epoch=epoch
            )
            await self._write_down(outcome, tenant)
        finally:
            self._looking_up.discard(delivery.ordinal)

    def _start_questions(self, ticked: Ticked) -> None:
        for key in ticked.questions:
            name, entity_type, number = key.split("\x1f", 2)
            tenant = self._desk.tenants.by_id.get(name)
            if tenant is None:
                continue
            self._asking.add(key)
            self._desk.spawn(self._ask(key, EntityType(entity_type), number, tenant))

    async def _ask(self, key: str, entity_type: EntityType, number: str, tenant: Tenant) -> None:
        try:
            result, reference = await self._desk.performer.find(
                entity_type, number, tenant.integration
            )
            await self._write_answer(key, tenant, result, reference)
        finally:
            self._asking.discard(key)
            self._desk.clock_work.set()

    async def _write_answer(
        self, key: str, tenant: Tenant, result: Result, reference: Reference | None
    ) -> None:
        if result.what is What.HOLD:
            await self._holding.change_hold(tenant, result.failure)
        known = result.what in {What.SETTLED, What.ABSENT}
        again = self._desk.settings.parent_wait_s if known else ASK_RETRY_S
        if not self._desk.active:
            return  # the next owner of the lane asks anew
        woken = await self._desk.ledger.submit(
            self._answer,
            Answered(
                key=key,
                lane=min(self._desk.active),
                epochs=dict(self._desk.active),
                now=self._desk.now(),
                known=known,
                reference=reference,
                again_in=min(again, ASK_AGAIN_S),
            ),
        )
        self._desk.tenants.wake(woken)
        self._desk.work.set()
