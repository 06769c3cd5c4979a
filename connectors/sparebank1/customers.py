"""Customers: found before created, read before changed. Flows without I/O of their own."""

from collections.abc import Generator
from functools import partial
from typing import Any, Final

from connectors.port import Answer, Applied, Forget, Intent, Job, Refused, Request, Step, Verdict
from connectors.sparebank1 import reference_data, requests
from connectors.sparebank1.customer_record import changed_customer, new_customer
from connectors.sparebank1.exchange import Books, listing, read_row, write
from connectors.sparebank1.guids import Guids
from connectors.sparebank1.mapping import (
    CustomerContent,
    customer_content,
    customer_refusal,
    customer_warnings,
)
from connectors.sparebank1.reference_data import NumberRange
from connectors.sparebank1.responses import (
    ForeignKeyFault,
    Refusal,
    Stop,
    not_understood,
    uncertain,
    unexplained,
    written,
)
from connectors.sparebank1.wire import INT32_MAX, Row, child, integer, text
from schemas.events import Customer
from schemas.failures import Failure, FailureCode, Reference

CREATE: Final = "customer.create"
UPDATE: Final = "customer.update"

DELETED: Final = 90001
"""Status of what is gone from the lists of the product (contract sparebank1-regnskap 2.2)."""

Found = Row | Stop | None


def deliver_customer(job: Job, customer: Customer) -> Generator[Step, Any, Verdict]:
    """Bring a customer into the books as Moment has it."""
    content = customer_content(customer)
    refusal = customer_refusal(content)
    if refusal is not None:
        return Refused(failure=refusal)
    return (yield from _Delivery(job, customer, content).run())


class _Delivery:
    """One delivery of one customer: what its steps have in common."""

    def __init__(self, job: Job, customer: Customer, content: CustomerContent) -> None:
        self.job = job
        self.content = content
        self.applied = CustomerContent.read(job.applied)
        self.books = Books(integration=job.integration, now=job.now)
        self.guids = Guids(delivery_id=job.delivery_id, replay=job.replay)
        self.warnings = customer_warnings(customer)

    def run(self) -> Generator[Step, Any, Verdict]:
        if self.job.post:
            # What was sent in vain may have been so because of an id that is no more.
            yield Forget("")
        refused = yield from number_refusal(self.books, self.content.number)
        if refused is not None:
            return refused
        currency_id = yield from self._currency()
        if isinstance(currency_id, Stop):
            return currency_id
        read = yield from find_customer(self.books, self.content.number, self.job.itself)
        if isinstance(read, Stop):
            return read
        if read is None:
            return (yield from self._create(currency_id))
        return (yield from self._change(read, currency_id))

    def _currency(self) -> Generator[Step, Any, int | Stop | None]:
        code = self.content.currency
        if not code:
            return None
        found: int | Stop | None = yield reference_data.currency(self.books, code)
        if found is not None:
            return found
        return Refused(
            failure=Failure(
                code=FailureCode.CURRENCY_UNKNOWN,
                parameters={"currency": code},
                field="$.currencyCode",
            )
        )

    def _create(self, currency_id: int | None) -> Generator[Step, Any, Verdict]:
        intent = Intent(kind=CREATE, key=self.content.number)
        body = new_customer(self.content, currency_id, self.guids)
        answer = yield from write(self.books, requests.created(requests.CUSTOMERS, body), intent)
        if isinstance(answer, Answer):
            return self._created(answer, intent)
        if isinstance(answer, ForeignKeyFault):
            return (yield from self._fault(answer, intent))
        if not isinstance(answer, Refusal):
            return answer
        read = yield from find_customer(self.books, self.content.number)
        if isinstance(read, dict):
            return (yield from self._change(read, currency_id))
        if read is None and not answer.names_guid:
            if self.job.itself is not None and not self.job.post:
                # The ledger knows it: it may be this that is refused, and reads may show it later.
                return uncertain(intent, answer.answer)
            return answer.verdict
        return unexplained(intent, answer, read)

    def _created(self, answer: Answer, intent: Intent) -> Verdict:
        row = written(answer)
        if not isinstance(row, dict) or not integer(row, "ID"):
            return uncertain(intent, answer)
        if text(row, "CustomerNumber") not in ("", self.content.number):
            # Moment's number is the customer's name everywhere: another one must not pass.
            return not_understood(answer)
        return self._applied(row)

    def _fault(self, fault: ForeignKeyFault, intent: Intent) -> Generator[Step, Any, Verdict]:
        if not self.job.post:
            return fault.unsure
        read = yield from find_customer(self.books, self.content.number)
        return not_understood(fault.answer) if read is None else uncertain(intent, fault.answer)

    def _change(self, read: Row, currency_id: int | None) -> Generator[Step, Any, Verdict]:
        if child(read, "Info") is None:
            return Refused(failure=_without_info(read))
        body = changed_customer(read, self.content, self.applied, currency_id, self.guids)
        if body == read:
            return self._applied(read)
        row_id = integer(read, "ID") or 0
        intent = Intent(
            kind=UPDATE, key=self.content.number, repeatable=True, detail={"id": str(row_id)}
        )
        request = requests.changed(requests.CUSTOMERS, row_id, body)
        answer = yield from write(self.books, request, intent)
        if isinstance(answer, Answer):
            return uncertain(intent, answer) if written(answer) is None else self._applied(read)
        if isinstance(answer, ForeignKeyFault):
            return not_understood(answer.answer) if self.job.post else answer.unsure
        if not isinstance(answer, Refusal):
            return answer
        if not answer.names_guid:
            return answer.verdict
        # The first time an earlier try may have made it; then the next read shows it by its id.
        return unexplained(intent, answer) if self.job.post else uncertain(intent, answer.answer)

    def _applied(self, row: Row) -> Applied:
        reference = Reference(id=str(integer(row, "ID")), number=self.content.number)
        return Applied(reference=reference, warnings=self.warnings)


def _without_info(read: Row) -> Failure:
    said = f"customer {integer(read, 'ID')} came without Info, which was asked for"
    parameters = {"status": "200", "answer": said}
    return Failure(code=FailureCode.ANSWER_NOT_UNDERSTOOD, parameters=parameters)


def number_refusal(books: Books, number: str) -> Generator[Step, Any, Stop | None]:
    """Refuse a customer number outside the number series (contract sparebank1-regnskap 2.4)."""
    wanted = int(number) if len(number) <= len(str(INT32_MAX)) else INT32_MAX + 1

    def suits(ranges: Any) -> bool:
        return any(series.first <= wanted <= series.last for series in ranges)

    ranges: tuple[NumberRange, ...] | Stop
    ranges = yield reference_data.customer_ranges(books, suits)
    if isinstance(ranges, Stop):
        return ranges
    if suits(ranges):
        return None
    return Refused(
        failure=Failure(
            code=FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE,
            parameters={
                "number": number,
                "from": str(min(series.first for series in ranges)),
                "to": str(max(series.last for series in ranges)),
            },
            field="$.number",
        )
    )


def find_customer(
    books: Books,
    number: str,
    known: Reference | None = None,
    expand: str = requests.CUSTOMER_EXPAND,
) -> Generator[Step, Any, Found]:
    """The customer of that number as the books have it, None where they have not.

    Asked by its id where that is known; an id that is gone, or is another customer's by now, is
    forgotten. Blocked and deleted ones count (contract sparebank1-regnskap 12.7).
    """
    if known is not None and known.id.isascii() and known.id.isdigit():
        request = requests.one(requests.CUSTOMERS, int(known.id), expand)
        row = yield from read_row(books, request)
        if isinstance(row, Stop) or (row is not None and text(row, "CustomerNumber") == number):
            return row
    found = yield from listing(
        books,
        partial(_page, number, expand),
        lambda row: text(row, "CustomerNumber") == number,
    )
    return found if isinstance(found, Stop) else the_one(number, found.rows)


def _page(number: str, expand: str, skip: int) -> Request:
    where = f"CustomerNumber eq {number}"
    return requests.listed(requests.CUSTOMERS, where=where, expand=expand, skip=skip)


def the_one(number: str, rows: tuple[Row, ...]) -> Row | Refused | None:
    """The record of a number. Of several the one that is not deleted; two of these: a person."""
    living = [row for row in rows if not _is_deleted(row)]
    meant = living or list(rows)
    if len(living) > 1:
        return found_twice(number, tuple(str(integer(row, "ID")) for row in living))
    return meant[0] if meant else None


def _is_deleted(row: Row) -> bool:
    return row.get("Deleted") is True or integer(row, "StatusCode") == DELETED


def found_twice(number: str, hits: tuple[str, ...]) -> Refused:
    """Two records of one number: a person decides which counts."""
    parameters = {"number": number, "hits": ", ".join(hits)}
    return Refused(failure=Failure(code=FailureCode.FOUND_TWICE, parameters=parameters))
