"""A day of three companies in a ledger: what went well, what did not, and what waits.

The same world stands behind the tests of the pages and behind the pictures in docs/console.md.
"""

import asyncio
import itertools
import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from connectors.integrations import DataType, Integration, Language, System
from schemas.events import (
    Account,
    Customer,
    CustomerStatus,
    Entity,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
)
from schemas.failures import Failure, FailureCode, Reference
from schemas.wire import Record
from streams.core.conclude import Result, What
from streams.ledger.rules import Moment
from streams.ledger.work import Claimed
from tests.ledger.operating import Desk
from tests.ledger.stage import Stage

HOUR = 3_600.0
NOW = 1_795_354_200.0  # 2026-11-22 13:30 UTC: when the pictures are taken

FJORD = Integration(
    id="fjord-sb1",
    company="c-1001",
    system=System.SPAREBANK1,
    base_url="https://books.example",
    data=frozenset(DataType),
    notify="regnskap@fjord.example",
    language=Language.NB,
)
NORD = msgspec.structs.replace(FJORD, id="nord-sb1", company="c-1002")
VIK = msgspec.structs.replace(
    FJORD, id="vik-dk", company="c-2001", system=System.DKPLUS, language=Language.IS
)
ALL = (FJORD, NORD, VIK)

# A name as no producer should send it; it must come out as the text that it is.
NASTY = "<script>alert('x')</script><img src=x onerror=alert(1)>&amp; Co"

VAT_33 = Failure(
    code=FailureCode.VAT_CODE_UNKNOWN,
    parameters={"vatCode": "33"},
    field="$.lines[0].vatCode",
    answer='400 {"Messages":[{"Message":"VAT code 33 does not exist","Level":"error"}]}',
)
TOO_LOW = Failure(
    code=FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE,
    parameters={"number": "99", "from": "100000", "to": "199999"},
    field="$.number",
)
LOCKED = Failure(
    code=FailureCode.PERIOD_LOCKED,
    parameters={"lockDate": "2026-10-31", "date": "2026-10-30"},
    field="$.invoiceDate",
)
TWICE = Failure(code=FailureCode.FOUND_TWICE, parameters={"number": "3001", "hits": "2"})
REFUSED_KEY = Failure(code=FailureCode.CREDENTIALS_REFUSED, parameters={"answer": "401"})
DOWN = Failure(code=FailureCode.SYSTEM_UNAVAILABLE, parameters={"status": "503"})

PLAY = [
    {
        "kind": "read",
        "method": "GET",
        "target": "/api/biz/customers?filter=CustomerNumber eq 100100",
        "status": 200,
        "answer": '[{"ID":812,"CustomerNumber":100100}]',
        "seconds": 0.18,
    },
    {
        "kind": "voucher.book",
        "method": "POST",
        "target": "/api/biz/journalentries",
        "status": 400,
        "request": '{"JournalEntryNumber":null,"DraftLines":[{"Amount":1250.00,"VatCode":"33"}]}',
        "answer": '{"Messages":[{"Message":"VAT code 33 does not exist","Level":"error"}]}',
        "seconds": 0.42,
    },
]
WELL = [{**PLAY[1], "status": 201, "answer": '{"ID":90210,"JournalEntryNumber":"128-2026"}'}]


def customer(company: str, number: str, name: str) -> Customer:
    return Customer(
        company=company,
        number=number,
        name=name,
        status=CustomerStatus.ACTIVE,
        organisation_number="123456785",
    )


def invoice(company: str, number: str, of: str, vat: str = "3", amount: int = 1250) -> Invoice:
    line = InvoiceLine(
        product_type=ProductType.HOURS,
        product_name="Consulting",
        description="Design of the new façade",
        quantity=Decimal(1),
        unit="h",
        unit_price=Decimal(amount),
        total_excl_vat=Decimal(amount),
        vat_code=vat,
        account=Account(number="3000", name="Sales"),
    )
    return Invoice(
        company=company,
        number=number,
        kind=InvoiceKind.INVOICE,
        customer_number=of,
        invoice_date=date(2026, 11, 20),
        due_date=date(2026, 12, 4),
        currency_code="NOK",
        lines=(line,),
    )


class World:
    """A stage with three integrations, and the day that goes over it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        stage.integrations = {one.id: one for one in ALL}
        self._ids = itertools.count(1)

    async def day(self, hours: int = 24) -> None:
        """Everything, from a day ago until now."""
        s = self.stage
        s.now = Moment(wall=NOW - hours * HOUR, elapsed=1_000.0, boot=s.now.boot)
        await self._customers()
        for hour in range(hours):
            await self._quiet_hour(hour, hours)
            s.go_on(HOUR)
        s.go_on(-HOUR / 2)
        await self.troubles()
        s.go_on(HOUR / 2)

    async def _customers(self) -> None:
        names = [f"{100_100 + n}" for n in range(12)]
        await self.take(*(customer("c-1001", n, f"Nordlys {n[-2:]} AS") for n in names))
        await self.take(customer("c-1002", "100200", NASTY))
        await self.settle_all(FJORD, _well())
        await self.settle_all(NORD, _well())

    async def _quiet_hour(self, hour: int, hours: int) -> None:
        busy = 2 + (9 if 8 <= (hour - hours + 37) % 24 <= 16 else 0) + hour % 3
        found = [
            invoice("c-1001", f"{5_000 + hour * 20 + n}", f"{100_100 + n % 12}")
            for n in range(busy)
        ]
        more = [invoice("c-1002", f"{7_000 + hour * 20 + n}", "100200") for n in range(busy // 3)]
        await self.take(*found, *more)
        await self.settle_all(FJORD, _well())
        await self.settle_all(NORD, _well())

    async def refuse_vat(self) -> None:
        """Have whatever goes to the first company refused for its VAT code."""
        await self.settle_all(FJORD, _bad(VAT_33), exchanges=PLAY)

    async def hold(self) -> None:
        """Have the third company's accounting system refuse its token."""
        await self.take(customer("c-2001", "300", "Vík ehf"), customer("c-2001", "301", "Dalur"))
        await self.settle_all(VIK, Result(what=What.HOLD, failure=REFUSED_KEY), most=1)

    async def troubles(self) -> None:
        """What a person is needed for."""
        bad = [
            invoice("c-1001", f"{1_001 + n}", f"{100_100 + n % 12}", vat="33") for n in range(40)
        ]
        await self.take(*bad)
        await self.refuse_vat()
        await self.take(invoice("c-1001", "3001", "100100"))
        await self.settle_all(FJORD, _bad(TWICE), exchanges=WELL)
        await self.take(*(invoice("c-1002", str(2_000 + n), "100200") for n in range(3)))
        await self.settle_all(NORD, _bad(LOCKED))
        await self.take(customer("c-1001", "99", NASTY))
        await self.settle_all(FJORD, _bad(TOO_LOW))
        await self.take(invoice("c-1001", "1101", "100999"), invoice("c-1001", "1102", "100999"))
        await self.settle_all(FJORD, _bad(VAT_33))
        await self.take(invoice("c-1002", "2101", "100200"))
        await self.settle_all(NORD, Result(what=What.RETRY, failure=DOWN))
        await self.hold()
        await self.unreadable(b'{"company": "c-1001", "number": ', b"<xml/>")

    async def acted(self) -> None:
        """Two more that a person has dealt with: one went again, one was discarded."""
        desk = Desk(self.stage)
        await self.take(*(invoice("c-1002", str(n), "100200") for n in (2_201, 2_202)))
        dead = await self.settle_all(NORD, _bad(LOCKED))
        again, away = (one.delivery.delivery_id for one in dead)
        self.stage.go_on(240)
        reason = "the lock date was moved to 2026-09-30"
        await desk.send("replay", deliveries=(again,), by="kari", reason=reason)
        await desk.run()
        await self.settle_all(NORD, _well())
        reason = "booked by hand as 412-2026"
        await desk.send("discard", deliveries=(away,), by="ola", reason=reason)
        await desk.run()

    async def take(self, *entities: Entity) -> None:
        """One fetch of events."""
        await self.stage.take(**{f"evt-{next(self._ids):05d}": entity for entity in entities})

    async def unreadable(self, *values: bytes) -> None:
        """Records that are no events."""
        records = [
            msgspec.structs.replace(self._record(), value=value, headers=()) for value in values
        ]
        await self.stage.take_records(*records)

    def _record(self) -> Record:
        return self.stage.record(f"evt-{next(self._ids):05d}", customer("c-1001", "1", "x"))

    async def settle_all(
        self,
        integration: Integration,
        result: Result,
        *,
        exchanges: Sequence[Any] = (),
        most: int | None = None,
    ) -> list[Claimed]:
        """Send whatever may go, and have each answered so."""
        worker = self.stage.worker
        done: list[Claimed] = []
        for _ in range(40):
            want = worker.want(integration)
            found = await worker.claim_result(want)
            if not found.claimed and not found.moved:
                break
            kept = json.dumps(list(exchanges or WELL)).encode()
            await asyncio.gather(
                *(
                    worker.settle(claimed, _numbered(result, claimed), exchanges=kept)
                    for claimed in found.claimed
                )
            )
            done += found.claimed
            if most is not None and len(done) >= most:
                break
        return done


def _numbered(result: Result, claimed: Claimed) -> Result:
    if result.what is not What.APPLIED:
        return result
    ordinal = claimed.delivery.ordinal
    reference = Reference(id=str(90_000 + ordinal), number=f"{ordinal}-2026")
    return msgspec.structs.replace(result, reference=reference)


def _well() -> Result:
    return Result(what=What.APPLIED)


def _bad(failure: Failure) -> Result:
    return Result(what=What.REFUSED, failure=failure)
