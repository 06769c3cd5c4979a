"""What goes wrong in the stories of notices, and what a person does about it."""

from schemas.failures import Failure, FailureCode
from streams.core.conclude import Result, What
from streams.ledger.holds import HoldChange
from tests.ledger.operating import Desk
from tests.ledger.samples import SB1, customer, invoice
from tests.ledger.stage import Stage

NO_VAT_CODE = Result(
    what=What.REFUSED,
    failure=Failure(code=FailureCode.VAT_CODE_UNKNOWN, parameters={"vatCode": "33"}),
)
NO_OTHER_CODE = Result(
    what=What.REFUSED,
    failure=Failure(code=FailureCode.VAT_CODE_UNKNOWN, parameters={"vatCode": "6"}),
)
DAY_S = 86_400.0


async def fail(s: Stage, numbers: list[str], result: Result = NO_VAT_CODE) -> None:
    """Invoices of a customer that is in the books, all of which end so."""
    if not s.rows("SELECT * FROM entities WHERE in_books"):
        await s.take(c=customer())
        await s.worker.deliver("c")
    await s.take(**{f"i{number}": invoice(number) for number in numbers})
    await s.worker.deliver(*(f"i{number}" for number in numbers), result=result)


async def order(s: Stage, kind: str, *events: str) -> None:
    """What a person orders about the deliveries of these events."""
    await Desk(s).do(kind, deliveries=tuple(s.delivery(ce_id).delivery_id for ce_id in events))


def hold_change(s: Stage, failure: Failure | None) -> HoldChange:
    return HoldChange(
        integration=SB1.id, failure=failure, now=s.now, hold_probe_s=30.0, hold_probe_max_s=900.0
    )
