"""A ledger with workers on it: events go in, attempts are settled, and what came of it is read."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import text

from connectors.integrations import DataType, Integration, System
from connectors.port import Flow, Intent, Job
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.content import encode_data
from schemas.events import (
    Account,
    Customer,
    CustomerStatus,
    Entity,
    EntityType,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
    customer_number_of,
)
from schemas.failures import Failure, FailureCode, Reference
from schemas.lane import lane_key, partition_of
from schemas.wire import Record
from streams.book_rules import BookRules
from streams.core.conclude import Policy, Result, What
from streams.core.model import entity_key
from streams.core.states import State
from streams.intake import LedgerIntake
from streams.ledger.claim import claim_operation
from streams.ledger.engine import Ledger
from streams.ledger.intake import Taken
from streams.ledger.intents import Intend, record_intent
from streams.ledger.known_books import Identified, Known, identify_books
from streams.ledger.lanes import Owned, Take, Wait, take_lanes
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import Moment
from streams.ledger.schema import migrate
from streams.ledger.settle import Settled, Settlement, settle_operation
from streams.ledger.timers import Answered, Tick, Ticked, answer_operation, tick_operation
from streams.ledger.work import Claim, Claimed, ClaimResult, Want

PARTITIONS = 12
LANES = frozenset(range(PARTITIONS))
COMPANY = "c-1001"
SB1 = Integration(
    id="fjord-sb1",
    company=COMPANY,
    system=System.SPAREBANK1,
    base_url="https://books.example",
    data=frozenset(DataType),
    notify="regnskap@fjord.example",
)
DK = msgspec.structs.replace(SB1, id="fjord-dk", system=System.DKPLUS)
POLICY = Policy(
    retry_base=1.0,
    retry_max=300.0,
    retry_for=259_200.0,
    settle=30.0,
    deadline=60.0,
    parent_wait=900.0,
)
TYPES = {
    Customer: "team.moment.customer.updated",
    Project: "team.moment.project.updated",
    Invoice: "team.moment.invoice.finalized",
}
DOWN = Failure(code=FailureCode.SYSTEM_UNAVAILABLE, parameters={"status": "503"})
REFUSAL = Failure(code=FailureCode.ACCOUNT_UNKNOWN, parameters={"account": "3000"})
ACCESS = Failure(code=FailureCode.CREDENTIALS_REFUSED, parameters={"answer": "401"})
IN_DOUBT = Failure(code=FailureCode.WRITE_UNCERTAIN, parameters={"number": "1001"})
CREATE = Intent(kind="customer.create", key="100042")
UPDATE = Intent(kind="customer.update", key="100042", repeatable=True)
BOOK = Intent(kind="voucher.book", key="1001", booking=True)
RETRY = Result(what=What.RETRY, failure=DOWN)
REFUSED = Result(what=What.REFUSED, failure=REFUSAL)
HOLD = Result(what=What.HOLD, failure=ACCESS)
UNSURE = Result(what=What.UNSURE, failure=IN_DOUBT)
ABSENT = Result(what=What.ABSENT)
DROPPED = Result(what=What.DROPPED)

Given = Entity | tuple[Entity, int]


def applied(number: str = "1") -> Result:
    """It is in the books, under this number."""
    return Result(what=What.APPLIED, reference=Reference(id=f"id-{number}", number=number))


def customer(number: str = "100042", name: str = "Fjord AS") -> Customer:
    return Customer(company=COMPANY, number=number, name=name, status=CustomerStatus.ACTIVE)


def project(number: str = "7", customer_number: str = "100042", name: str = "Bro") -> Project:
    return Project(
        company=COMPANY,
        number=number,
        name=name,
        customer_number=customer_number,
        state=ProjectState.IN_PROGRESS,
    )


def invoice(
    number: str = "1001",
    customer_number: str = "100042",
    *,
    project_number: str | None = None,
    credits: str | None = None,  # noqa: A002 - the word for it
    amount: int = 1000,
) -> Invoice:
    """An invoice of one line; with `credits` a credit note."""
    signed = Decimal(-amount if credits else amount)
    line = InvoiceLine(
        product_type=ProductType.HOURS,
        quantity=Decimal(-1 if credits else 1),
        unit_price=Decimal(amount),
        total_excl_vat=signed,
        account=Account(number="3000"),
    )
    return Invoice(
        company=COMPANY,
        number=number,
        kind=InvoiceKind.CREDIT_NOTE if credits else InvoiceKind.INVOICE,
        customer_number=customer_number,
        project_number=project_number,
        credited_invoice_number=credits,
        invoice_date=date(2026, 11, 2),
        currency_code="NOK",
        lines=(line,),
    )


def key_of(entity_type: str, number: str, integration: str = SB1.id) -> str:
    return entity_key(integration, EntityType(entity_type), number)


def lane_of(entity: Entity) -> int:
    return partition_of(lane_key(entity.company, customer_number_of(entity)), PARTITIONS)


class _Books:
    """A connector that is only asked how an event is mapped."""

    def content(self, event: Entity, integration: Integration) -> bytes:  # noqa: ARG002
        return encode_data(event)

    def deliver(self, job: Job) -> Flow:
        raise NotImplementedError

    def resolve(self, job: Job, intent: Intent) -> Flow:
        raise NotImplementedError

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:
        raise NotImplementedError

    def identify(self, integration: Integration) -> Flow:
        raise NotImplementedError


class Stage:
    """One ledger, its clock, and what is set up."""

    def __init__(self, url: str) -> None:
        migrate(url)
        self.url = url
        self.ledger = Ledger(url)
        self.integrations: dict[str, Integration] = {SB1.id: SB1}
        self.now = Moment(wall=1_790_000_000.0, elapsed=1_000.0, boot="host/1")
        self.rules = BookRules(
            integrations=lambda: self.integrations,
            connectors={System.SPAREBANK1: _Books(), System.DKPLUS: _Books()},
            group="moment-sync",
            version="0",
            topic_prefix="",
        )
        self.woken: list[Taken] = []
        self._offsets = itertools.count()
        self.intake = LedgerIntake(
            ledger=self.ledger,
            integrations=self._companies,
            partitions=PARTITIONS,
            now=lambda: datetime.fromtimestamp(self.now.wall, UTC),
            version="0",
            topic_prefix="",
            woken=self.woken.append,
        )
        self.worker = Worker(self, "w1")

    def _companies(self) -> Mapping[str, Sequence[Integration]]:
        found: dict[str, list[Integration]] = {}
        for one in self.integrations.values():
            found.setdefault(one.company, []).append(one)
        return found

    async def begin(self) -> None:
        self.ledger.start()
        await self.worker.own()

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now = msgspec.structs.replace(
            self.now, wall=self.now.wall + seconds, elapsed=self.now.elapsed + seconds
        )

    # -- in -------------------------------------------------------------------------------------

    def record(self, ce_id: str, given: Given, *, source: str = "/moment/crm") -> Record:
        """The record of an event, at the next offset of its topic's only partition."""
        entity, sequence = given if isinstance(given, tuple) else (given, None)
        out = encode_event(
            Attributes(id=ce_id, source=source, type=TYPES[type(entity)], sequence=sequence),
            entity,
        )
        return Record(
            topic=out.topic,
            partition=0,
            offset=next(self._offsets),
            timestamp_ms=1_790_000_000_000,
            key=out.key,
            value=out.value,
            headers=out.headers,
        )

    async def take(self, **events: Given) -> Taken:
        """One fetch with these events, by id, in order."""
        return await self.take_records(*(self.record(i, e) for i, e in events.items()))

    async def take_records(self, *records: Record) -> Taken:
        await self.intake.take(records)
        return self.woken[-1]

    # -- what there is --------------------------------------------------------------------------

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Rows of a query of our own."""
        return self.ledger.read_now(lambda c: list(c.execute(text(query), parameters)))

    def states(self, integration: str = SB1.id) -> dict[str, str]:
        """The state of each delivery of an integration, by the id of its event."""
        query = (
            "SELECT ce_id, state FROM deliveries d JOIN inbox i ON i.event_pk = d.event_pk "
            "WHERE d.integration = :integration ORDER BY d.ordinal"
        )
        return {row.ce_id: row.state for row in self.rows(query, integration=integration)}

    def delivery(self, ce_id: str) -> Any:
        query = (
            "SELECT d.* FROM deliveries d JOIN inbox i ON i.event_pk = d.event_pk "
            "WHERE ce_id = :ce_id"
        )
        return self.rows(query, ce_id=ce_id)[0]

    def entity(self, entity_type: str, number: str) -> Any:
        query = "SELECT * FROM entities WHERE entity_key = :key"
        return self.rows(query, key=key_of(entity_type, number))[0]

    def outcomes(self, ce_id: str | None = None) -> list[dict[str, Any]]:
        """Every outcome in the outbox, oldest first, with the id it has on the wire."""
        found = []
        for row in self.rows("SELECT * FROM outbox WHERE topic <> :t ORDER BY position", t=LETTERS):
            told = json.loads(row.value)
            headers = dict(msgspec.msgpack.decode(row.headers))
            told["id"] = headers["ce_id"].decode()
            if ce_id is None or told["event"]["id"] == ce_id:
                found.append(told)
        return found

    def kinds(self, ce_id: str) -> list[str]:
        return [told["outcome"] for told in self.outcomes(ce_id)]

    def letters(self) -> list[dict[str, str]]:
        """The headers of the dead letters in the outbox."""
        rows = self.rows("SELECT * FROM outbox WHERE topic = :t ORDER BY position", t=LETTERS)
        return [
            {name: value.decode() for name, value in msgspec.msgpack.decode(row.headers)}
            for row in rows
        ]

    def held(self, integration: str = SB1.id) -> Any:
        rows = self.rows("SELECT * FROM holds WHERE integration = :i", i=integration)
        return rows[0] if rows else None


LETTERS = "moment-sync.deadletters"


class Worker:
    """One worker on a stage's ledger, or, with `ledger`, on a connection of its own."""

    def __init__(self, stage: Stage, name: str, ledger: Ledger | None = None) -> None:
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
                now=self.stage.now,
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
