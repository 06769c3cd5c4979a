"""Invoices and credit notes: refused, looked up, booked. Flows without I/O of their own."""

from collections.abc import Generator
from typing import Any

import msgspec

from connectors.integrations import VoucherNumber
from connectors.port import (
    Answer,
    Applied,
    Forget,
    Job,
    Refused,
    Step,
    Unchanged,
    Verdict,
)
from connectors.sparebank1 import requests
from connectors.sparebank1.bookkeeping import period_refusal, plan_of
from connectors.sparebank1.exchange import Books, write
from connectors.sparebank1.guids import Guids
from connectors.sparebank1.lookups import Sought, look_up
from connectors.sparebank1.mapping import InvoiceContent, invoice_content, invoice_refusal
from connectors.sparebank1.responses import (
    ForeignKeyFault,
    Refusal,
    Stop,
    not_understood,
    uncertain,
    unexplained,
    written,
)
from connectors.sparebank1.vouchers import Voucher, external_reference, payment_warnings, voucher
from connectors.sparebank1.wire import Row, integer, rows_of, text
from schemas.arithmetic import refuse_invoice
from schemas.events import Invoice
from schemas.failures import Notable, Reference, WarningCode, differs_from_booked


def deliver_invoice(job: Job, invoice: Invoice) -> Generator[Step, Any, Verdict]:
    """Book an invoice or a credit note as one voucher, once.

    What the ledger knows as booked is not posted again: the accountant may have credited it. Where
    it knows only of a booking under that number, it is taken for this one if it is alike.
    """
    content = invoice_content(invoice)
    if job.itself is not None and job.applied is not None:
        return Applied(reference=job.itself, warnings=payment_warnings(content))
    refusal = refuse_invoice(invoice) or invoice_refusal(content)
    if refusal is not None:
        return Refused(failure=refusal)
    if not any(line.total_excl_vat for line in invoice.lines):
        return _nothing()
    return (yield from _Booking(job, invoice, content).run())


def _nothing(warnings: tuple[Notable, ...] = ()) -> Unchanged:
    return Unchanged(warnings=(Notable(code=WarningCode.NOTHING_TO_BOOK), *warnings))


class _Booking:
    """One delivery of one invoice: what its steps have in common."""

    def __init__(self, job: Job, invoice: Invoice, content: InvoiceContent) -> None:
        self.job = job
        self.invoice = invoice
        self.content = content
        self.books = Books(integration=job.integration, now=job.now)
        self.guids = Guids(delivery_id=job.delivery_id, replay=job.replay)

    def run(self) -> Generator[Step, Any, Verdict]:
        if self.job.post:
            # What was posted in vain may have been so because of an id that is no more.
            yield Forget("")
        plan = yield from plan_of(self.books, self.job, self.invoice, self.content)
        if isinstance(plan, Stop):
            return plan
        propose = self.job.integration.voucher_number is VoucherNumber.PAYMENT_ID
        asked = voucher(self.content, plan, self.guids, propose=propose)
        if asked.entry is None:
            return _nothing(asked.warnings)
        known = self.job.itself
        if self.job.look_up_first or known is not None:
            sought = Sought.of(asked.intent, any_type=True)
            booked = yield from look_up(self.books, sought)
            if isinstance(booked, Stop):
                return booked
            if booked is not None:
                return applied(booked, asked.warnings, asked.proposed)
        if known is not None:
            return Refused(failure=differs_from_booked(self.content.number, known))
        locked = yield from period_refusal(self.books, self.content)
        return locked if locked is not None else (yield from self._post(asked, asked.proposed))

    def _post(self, asked: Voucher, proposed: str | None) -> Generator[Step, Any, Verdict]:
        request = requests.booked(asked.entry or {})
        answer = yield from write(self.books, request, asked.intent)
        if isinstance(answer, Answer):
            reference = _booked(answer, self.content)
            if reference is None:
                return uncertain(asked.intent, answer)
            return applied(reference, asked.warnings, proposed)
        if isinstance(answer, ForeignKeyFault):
            return (yield from self._fault(answer, asked, proposed))
        if isinstance(answer, Refusal):
            return (yield from self._refused(answer, asked, proposed))
        return answer

    def _fault(
        self, fault: ForeignKeyFault, asked: Voucher, proposed: str | None
    ) -> Generator[Step, Any, Verdict]:
        """The ids were fresh where it was posted before: then it is our defect (contract 12.9)."""
        if not self.job.post:
            return fault.unsure
        found = yield from look_up(self.books, Sought.of(asked.intent))
        if isinstance(found, Reference):
            return applied(found, asked.warnings, proposed)
        if found is None:
            return not_understood(fault.answer)
        return found if isinstance(found, Refused) else fault.unsure

    def _refused(
        self, refusal: Refusal, asked: Voucher, proposed: str | None
    ) -> Generator[Step, Any, Verdict]:
        """A refusal may be that of a repeat whose first answer was lost: look before it counts."""
        found = yield from look_up(self.books, Sought.of(asked.intent))
        if isinstance(found, Reference):
            return applied(found, asked.warnings, proposed)
        if found is not None or refusal.names_guid:
            twice = isinstance(found, Refused)
            return found if twice and found else unexplained(asked.intent, refusal, found)
        named = yield from self._named()
        if named is not None:
            return named
        if asked.entry is not None and "JournalEntryNumber" in asked.entry:
            return (yield from self._post(asked.unproposed(), proposed))
        return refusal.verdict

    def _named(self) -> Generator[Step, Any, Refused | None]:
        """The refusal under a name of ours, where the books have changed since they were read."""
        for prefix in ("settings", "account:", "vat-types"):
            yield Forget(prefix)
        plan = yield from plan_of(self.books, self.job, self.invoice, self.content)
        if isinstance(plan, Refused):
            return plan
        locked = yield from period_refusal(self.books, self.content)
        return locked if isinstance(locked, Refused) else None


def applied(reference: Reference, warnings: tuple[Notable, ...], proposed: str | None) -> Applied:
    """It is in the books; where a number was proposed and not given, that is told (12.3)."""
    if proposed and reference.number != proposed:
        parameters = {"proposed": proposed, "given": reference.number}
        code = WarningCode.VOUCHER_NUMBER_NOT_TAKEN
        warnings = (*warnings, Notable(code=code, parameters=parameters))
    return Applied(reference=reference, warnings=warnings)


def kept_warnings(kept: str) -> tuple[Notable, ...]:
    """The warnings that an intent of a booking carries."""
    try:
        return msgspec.json.decode(kept, type=tuple[Notable, ...])
    except msgspec.DecodeError:
        return ()


def _booked(answer: Answer, content: InvoiceContent) -> Reference | None:
    """The voucher that a booking was answered with; None where it cannot be made out."""
    value = written(answer)
    entries = [value] if isinstance(value, dict) else rows_of(value)
    ours = external_reference(content.kind, content.number)
    if entries is not None and len(entries) > 1:
        entries = [entry for entry in entries if text(entry, "ExternalReference") == ours]
    if not entries or len(entries) > 1:
        return None
    return _reference(entries[0])


def _reference(entry: Row) -> Reference | None:
    row_id, number = integer(entry, "ID"), text(entry, "JournalEntryNumber")
    return Reference(id=str(row_id), number=number) if row_id and number else None
