"""One attempt, one look-up, one question: a runner's call with the ledger on both sides of it."""

from collections.abc import Callable, Mapping
from random import Random

import msgspec

from connectors import port
from connectors.attempts import Attempt, Exchange, SendPermit
from connectors.integrations import Integration, System
from connectors.port import Clock, Intent, Job
from connectors.runner import Runner
from schemas.events import EntityType
from schemas.failures import Reference
from streams.core.conclude import Result, What
from streams.core.model import EntityRow
from streams.core.states import State
from streams.ledger.context import Context
from streams.ledger.engine import Ledger
from streams.ledger.intents import Intend, record_intent
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Moment
from streams.ledger.settle import Settlement
from streams.ledger.work import Claimed
from streams.settings import Settings
from streams.tenants import Timing, timing_of
from streams.verdicts import result_of

_json = msgspec.json.Encoder()
_intent = msgspec.json.Decoder(Intent)
# A repeatable write is sent under its claim only while this much of the claim's time is left.
CLAIM_MARGIN_S = 0.5


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What calls came to: the result, what was said, and what is to be written down."""

    result: Result
    exchanges: tuple[Exchange, ...]
    settlement: Settlement


class Performer:
    """Runs deliveries through their connector's runner. Never raises for a remote failure."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        runners: Mapping[System, Runner],
        settings: Settings,
        clock: Clock,
        random: Random,
        attempted: Callable[[Settlement], None] = lambda _: None,
    ) -> None:
        """`attempted` is told of every attempt and look-up that has ended."""
        self._attempted = attempted
        self._ledger = ledger
        self._runners = runners
        self._settings = settings
        self._clock = clock
        self._random = random

    def now(self) -> Moment:
        """Both clocks, read now."""
        return Moment(
            wall=self._clock.now().timestamp(),
            elapsed=self._clock.elapsed(),
            boot=self._clock.boot_id,
        )

    async def deliver(self, claimed: Claimed) -> Outcome:
        """Send a claimed delivery."""
        integration = claimed.integration
        runner = self._runners[integration.system]

        async def intend(intent: Intent) -> SendPermit | None:
            until = claimed.send_by
            left = 0.0 if until is None else until - self._clock.elapsed()
            if until is not None and intent.repeatable and left > CLAIM_MARGIN_S:
                return SendPermit(until)
            send_by = await self._intend(claimed, intent)
            if send_by is None:
                return None
            return SendPermit(send_by)

        attempt = await runner.deliver(self._job(claimed), intend)
        result = result_of(attempt.verdict, integration.id)
        settlement = self._settlement(
            claimed.delivery,
            integration,
            State.SENDING,
            result,
            attempt,
            kind="send",
            content=claimed.content,
            epoch=claimed.epoch,
            warnings=claimed.warnings,
            books=claimed.books,
            customer_known=claimed.customer_event is not None,
            probe=claimed.probe,
        )
        return Outcome(result=result, exchanges=attempt.exchanges, settlement=settlement)

    async def look_up(
        self,
        delivery: StoredDelivery,
        integration: Integration,
        context: Context,
        *,
        books: str,
        epoch: int,
    ) -> Outcome:
        """Look for the write that a delivery is uncertain about; `epoch` is its lane's."""
        intent = _intent.decode(delivery.intent) if delivery.intent else None
        job = Job(
            delivery_id=delivery.delivery_id,
            integration=integration,
            event=context.event,
            now=self._clock.now(),
            itself=context.row.reference,
            customer=context.parents.get(EntityType.CUSTOMER),
            project=context.parents.get(EntityType.PROJECT),
            credited=context.parents.get(EntityType.INVOICE),
            applied=context.row.content,
            customer_event=context.customer_event,
            replay=delivery.replays,
            post=delivery.posts,
        )
        if intent is None:
            attempt: Attempt[port.Resolution] = Attempt(verdict=port.Absent())
        else:
            attempt = await self._runners[integration.system].resolve(job, intent)
        result = result_of(attempt.verdict, integration.id)
        settlement = self._settlement(
            delivery,
            integration,
            State.UNCERTAIN,
            result,
            attempt,
            kind="look-up",
            epoch=epoch,
            content=context.content,
            books=books,
        )
        return Outcome(result=result, exchanges=attempt.exchanges, settlement=settlement)

    async def find(
        self, entity_type: EntityType, number: str, integration: Integration
    ) -> tuple[Result, Reference | None]:
        """Ask whether a parent is in the books."""
        attempt = await self._runners[integration.system].find(entity_type, number, integration)
        result = result_of(attempt.verdict, integration.id)
        return result, result.reference if result.what is What.SETTLED else None

    async def identify(self, integration: Integration) -> port.Identification:
        """Ask whose books these are."""
        attempt = await self._runners[integration.system].identify(integration)
        return attempt.verdict

    def timing(self, integration: Integration) -> Timing:
        """The limits in force for an integration."""
        return timing_of(integration.system, self._settings)

    async def _intend(self, claimed: Claimed, intent: Intent) -> float | None:
        delivery = claimed.delivery
        return await self._ledger.submit(
            record_intent,
            Intend(
                ordinal=delivery.ordinal,
                lane=delivery.lane,
                intent=_json.encode(intent),
                epochs={delivery.lane: claimed.epoch},
                now=self.now(),
            ),
        )

    def _job(self, claimed: Claimed) -> Job:
        delivery, row = claimed.delivery, claimed.row
        # A replay follows a mending: what was read before it says nothing.
        asked_at = delivery.last_failed_at if delivery.replays else delivery.received_at
        waited_s = self.now().wall - (asked_at or delivery.received_at)
        return Job(
            delivery_id=delivery.delivery_id,
            integration=claimed.integration,
            event=claimed.event,
            now=self._clock.now(),
            itself=_known(row),
            customer=claimed.parents.get(EntityType.CUSTOMER),
            project=claimed.parents.get(EntityType.PROJECT),
            credited=claimed.parents.get(EntityType.INVOICE),
            applied=row.content,
            customer_event=claimed.customer_event,
            look_up_first=claimed.look_up_first,
            replay=delivery.replays,
            post=delivery.posts,
            waited_s=max(0.0, waited_s),
        )

    def _settlement(
        self,
        delivery: StoredDelivery,
        integration: Integration,
        state: State,
        result: Result,
        attempt: Attempt[port.Verdict] | Attempt[port.Resolution],
        *,
        epoch: int,
        **facts: object,
    ) -> Settlement:
        verdict = attempt.verdict
        intent = _json.encode(verdict.intent) if isinstance(verdict, port.Unsure) else None
        values: dict[str, object] = {
            "delivery": delivery,
            "state": state,
            "result": result,
            "policy": self.timing(integration).policy,
            "random": self._random.random(),
            "epochs": {delivery.lane: epoch},
            "now": self.now(),
            "intent": intent,
            "answer": attempt.last_answer or None,
            "exchanges": _json.encode(attempt.exchanges),
            "hold_probe_s": self._settings.hold_probe_s,
            "hold_probe_max_s": self._settings.hold_probe_max_s,
            **facts,
        }
        settlement = Settlement(**values)  # type: ignore[arg-type]  # checked by use
        self._attempted(settlement)
        return settlement


def _known(row: EntityRow) -> Reference | None:
    return row.reference if row.in_books else None
