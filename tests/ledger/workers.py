"""One worker on a ledger: what dispatch does, one step at a time and by hand."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from connectors.integrations import Integration
from connectors.port import Intent
from schemas.failures import Reference
from streams.core.conclude import Result, What
from streams.core.states import State
from streams.ledger.claim import claim_operation
from streams.ledger.engine import Ledger
from streams.ledger.intents import Intend, record_intent
from streams.ledger.known_books import Identified, Known, identify_books
from streams.ledger.lanes import Owned, Take, Wait, take_lanes
from streams.ledger.rows import StoredDelivery
from streams.ledger.settle import Settled, Settlement, settle_operation
from streams.ledger.timers import Answered, Tick, Ticked, answer_operation, tick_operation
from streams.ledger.work import Claim, Claimed, ClaimResult, Want
from tests.ledger.samples import BOOK, CREATE, LANES, POLICY, SB1, applied

if TYPE_CHECKING:
    from tests.ledger.stage import Stage


class Worker:
    """One worker on a stage's ledger, or, with `ledger`, on a connection of its own."""

    def __init__(self, stage: "Stage", name: str, ledger: Ledger | None = None) -> None:
        self.stage = stage
        self.name = name
        self.ledger = ledger or stage.ledger
        self.epochs: dict[int, int] = {}
        rules = stage.rules
        self._claim = claim_operation(rules)
        self._settle = settle_operation(rules)
        self._tick = tick_operation(rules)
        self._answer = answer_operation(rules)

    async def own(
        self, lanes: frozenset[int] = LANES, *, waits: Mapping[str, Wait] | None = None
    ) -> Owned:
        """Own lanes, and no others, from now on."""
        owned = await self.ledger.submit(
            take_lanes,
            Take(
                lanes=lanes,
                owner=self.name,
                clock=lambda: self.stage.now,
                waits=waits or {SB1.id: Wait(deadline=60.0, settle=30.0)},
                longest=Wait(deadline=180.0, settle=150.0),
                parent_wait=POLICY.parent_wait,
            ),
        )
        self.epochs = owned.epochs
        return owned

    def want(self, integration: Integration = SB1, **changes: Any) -> Want:
        values = {"sends": 50, "bookings": 10, "books": f"books/{integration.id}", **changes}
        return Want(integration=integration, **values)

    def claim_item(self, *wants: Want, most: int = 100) -> Claim:
        return Claim(
            wants=wants or (self.want(),),
            epochs=dict(self.epochs),
            most=most,
            now=self.stage.now,
            parent_wait=POLICY.parent_wait,
        )

    async def claim_result(self, *wants: Want, most: int = 100) -> ClaimResult:
        return await self.ledger.submit(self._claim, self.claim_item(*wants, most=most))

    async def claim(self, *wants: Want, most: int = 100) -> dict[str, Claimed]:
        """What may be sent now, by the id of its event."""
        result = await self.claim_result(*wants, most=most)
        return {one.delivery.ce_id: one for one in result.claimed}

    async def claim_all(self) -> dict[str, Claimed]:
        """Claim until nothing moves any more."""
        found: dict[str, Claimed] = {}
        for _ in range(20):
            result = await self.claim_result()
            found.update({one.delivery.ce_id: one for one in result.claimed})
            if not result.claimed and not result.moved:
                return found
        raise AssertionError("claims do not come to rest")

    def settlement(self, claimed: Claimed, result: Result, **facts: Any) -> Settlement:
        delivery = claimed.delivery
        values: dict[str, Any] = {
            "delivery": delivery,
            "state": State.SENDING,
            "result": result,
            "policy": POLICY,
            "random": 0.5,
            "epochs": {delivery.lane: self.epochs[delivery.lane]},
            "now": self.stage.now,
            "kind": "send",
            "content": claimed.content,
            "warnings": claimed.warnings,
            "books": f"books/{delivery.integration}",
            "probe": claimed.probe,
            **facts,
        }
        if result.what is What.UNSURE:
            values.setdefault("intent", msgspec.json.encode(BOOK))
        values.setdefault("exchanges", b'[{"kind":"read"}]')
        return Settlement(**values)

    async def settle(self, claimed: Claimed, result: Result, **facts: Any) -> Settled:
        """Write down what an attempt came to."""
        return await self.ledger.submit(self._settle, self.settlement(claimed, result, **facts))

    async def settle_look_up(self, delivery: StoredDelivery, result: Result) -> Settled:
        """Write down what a look-up came to."""
        content = self.stage.rules.content(self.stage.rules.event(delivery), SB1)
        settlement = Settlement(
            delivery=delivery,
            state=State.UNCERTAIN,
            result=result,
            policy=POLICY,
            random=0.5,
            epochs={delivery.lane: self.epochs[delivery.lane]},
            now=self.stage.now,
            kind="look-up",
            content=content,
            books=f"books/{delivery.integration}",
        )
        return await self.ledger.submit(self._settle, settlement)

    async def intend(
        self, claimed: Claimed, intent: Intent = CREATE, epoch: int | None = None
    ) -> float | None:
        lane = claimed.delivery.lane
        item = Intend(
            ordinal=claimed.delivery.ordinal,
            lane=lane,
            intent=msgspec.json.encode(intent),
            epochs={lane: self.epochs.get(lane, 0) if epoch is None else epoch},
            now=self.stage.now,
        )
        return await self.ledger.submit(record_intent, item)

    async def identify(self, identity: str = "books/1", integration: Integration = SB1) -> Known:
        """Have it said whose books an integration writes to."""
        item = Identified(
            integration=integration.id,
            identity=identity,
            others=frozenset(self.stage.integrations) - {integration.id},
            now=self.stage.now,
            hold_probe_s=30.0,
            hold_probe_max_s=900.0,
        )
        return await self.ledger.submit(identify_books, item)

    async def tick(self, **changes: Any) -> Ticked:
        item = Tick(epochs=dict(self.epochs), now=self.stage.now, **changes)
        return await self.ledger.submit(self._tick, item)

    async def answer(self, key: str, reference: Reference | None, *, known: bool = True) -> None:
        item = Answered(
            key=key,
            lane=min(self.epochs),
            epochs=dict(self.epochs),
            now=self.stage.now,
            known=known,
            reference=reference,
            again_in=900.0,
        )
        await self.ledger.submit(self._answer, item)

    async def deliver(self, *ids: str, result: Result | None = None) -> None:
        """Claim until these are sent, and have each applied, or end as `result` says."""
        left = set(ids)
        for _ in range(10):
            for ce_id, claimed in (await self.claim()).items():
                assert ce_id in left, f"{ce_id} was not to be sent now"
                await self.settle(claimed, result or applied(claimed.delivery.number))
                left.discard(ce_id)
            if not left:
                return
        raise AssertionError(f"never sent: {left}, {self.stage.states()}")


async def both(*futures: "asyncio.Future[Any]") -> list[Any]:
    """Items that were submitted together, in one commit where the thread was idle."""
    return list(await asyncio.gather(*futures))
