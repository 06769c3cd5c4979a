"""Sales invoices that are in DK+ already: what was asked, what counts as a hit (contract A11.3).

Pure but for the look-up itself.
"""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from http import HTTPStatus

import msgspec

from connectors.dkplus import kennitala, requests, responses, wire
from connectors.dkplus.amounts import (
    converted,
    gross_total,
    hit_tolerance,
    near,
    shown,
    sign_of,
    warning_tolerance,
)
from connectors.port import Answer, Applied, Flow, Intent, Refused
from schemas.arithmetic import sum_of_lines
from schemas.events import Invoice
from schemas.failures import Failure, FailureCode, Notable, Reference, WarningCode, plain

BOOK = "invoice.book"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a booking asks for, as far as it can be told again from the answer.

    `customer` is the number in the books. `gross` is None where Moment gives neither a total nor
    every rate. `rate` turns amounts into the company's own currency.
    """

    reference: str
    customer: str
    net: Decimal
    gross: Decimal | None
    lines: int
    currency: str
    rate: Decimal | None = None
    project: str = ""

    def intent(self) -> Intent:
        """The intent of the booking, holding all that a look-up needs."""
        detail = {
            "customer": self.customer,
            "net": plain(self.net),
            "total": "" if self.gross is None else plain(self.gross),
            "lines": str(self.lines),
            "currency": self.currency,
            "rate": "" if self.rate is None else plain(self.rate),
            "project": self.project,
        }
        return Intent(kind=BOOK, key=self.reference, booking=True, detail=detail)


def asked_of(
    invoice: Invoice, customer: str, *, rate: Decimal | None = None, project: str = ""
) -> Asked:
    """What an invoice asks for, booked on a customer's number in the books."""
    return Asked(
        reference=invoice.number,
        customer=customer,
        net=sum_of_lines(invoice),
        gross=gross_total(invoice),
        lines=len(invoice.lines),
        currency=invoice.currency_code.upper(),
        rate=rate if rate is not None else invoice.currency_rate,
        project=project,
    )


def asked_by(intent: Intent, invoice: Invoice) -> Asked:
    """What an intent asked for; what it does not say is taken from the invoice."""
    detail = intent.detail
    asked = asked_of(
        invoice,
        detail.get("customer") or invoice.customer_number,
        project=detail.get("project", ""),
    )
    net, gross = _amount(detail.get("net")), _amount(detail.get("total"))
    return msgspec.structs.replace(
        asked,
        reference=intent.key,
        net=asked.net if net is None else net,
        gross=asked.gross if gross is None else gross,
        rate=_amount(detail.get("rate")) or asked.rate,
    )


def look_up(asked: Asked, now: datetime | None, known: Reference | None = None) -> Flow:
    """Look for the booking by its reference. Returns the one hit's record, None, or a verdict.

    The verdict is `found-twice`, or one to ask again. `known`: what the ledger has it booked as.
    """
    found = yield from read_reference(asked.reference, now)
    if not isinstance(found, list):
        return responses.unlearnt(found)
    booked = known_among(found, known) if known is not None else None
    return judge(found, asked) if booked is None else booked


def known_among(records: list[wire.InvoiceRecord], known: Reference) -> wire.InvoiceRecord | None:
    """The record that the ledger knows by its id, else by its number, whatever its total.

    DK+ rounds, and takes the VAT of its products: a booking may differ from what was asked.
    """
    by_number = None
    for record in records:
        if known.id and wire.text_of(record.record_id) == known.id:
            return record
        if known.number and wire.text_of(record.number) == known.number:
            by_number = record
    return by_number


def read_reference(reference: str, now: datetime | None) -> Flow:
    """Booked invoices with exactly this reference, each once, or a `ReadFailure`.

    Drafts are no bookings; an empty list and a 404 are both "none" (contract dkplus A4.2).
    """
    request = requests.get_invoices_by_reference(reference)
    records = yield from responses.read(request, wire.INVOICES, now)
    if records is None:
        return []
    if not isinstance(records, list):
        return records
    booked = {
        wire.text_of(record.number): record
        for record in records
        if wire.text_of(record.number) and str(record.reference) == reference
    }
    return list(booked.values())


def judge(
    records: list[wire.InvoiceRecord], asked: Asked
) -> wire.InvoiceRecord | responses.ReadFailure | None:
    """The one record that is what was asked, None, or a verdict where two are, or none can be told.

    Same customer, same sign, same total (contract dkplus A11.3). No time is compared.
    """
    ours = [
        record
        for record in records
        if kennitala.same_number(wire.text_of(record.c_number), asked.customer)
    ]
    if any(_total_of(record) is None for record in ours):
        return responses.not_understood(
            Answer(status=HTTPStatus.OK, body=b"an invoice without a total")
        )
    hits = [record for record in ours if _same_sign(record, asked) and _same_total(record, asked)]
    if len(hits) > 1:
        numbers = ", ".join(sorted(wire.text_of(record.number) for record in hits))
        parameters = {"number": asked.reference, "hits": numbers}
        return Refused(failure=Failure(code=FailureCode.FOUND_TWICE, parameters=parameters))
    return hits[0] if hits else None


def applied(
    record: wire.InvoiceRecord, asked: Asked, warnings: tuple[Notable, ...] = ()
) -> Applied:
    """The verdict of a booked invoice, with what a person should know of it."""
    return Applied(
        reference=reference_of(record),
        warnings=warnings + _number_differs(record, asked) + _differs(record, asked),
    )


def reference_of(record: wire.InvoiceRecord) -> Reference:
    """What DK+ calls an invoice: its record id, and the number that it set itself."""
    number = wire.text_of(record.number)
    return Reference(id=wire.text_of(record.record_id) or number, number=number)


def _amount(text: str | None) -> Decimal | None:
    try:
        return Decimal(text) if text else None
    except InvalidOperation:
        return None


def _total_of(record: wire.InvoiceRecord) -> Decimal | None:
    total = record.total_amount_with_tax
    return record.total_amount if total is None else total


def _same_sign(record: wire.InvoiceRecord, asked: Asked) -> bool:
    total = _total_of(record)
    expected = asked.net if asked.gross is None else asked.gross
    return total is not None and sign_of(total) == sign_of(expected)


def _pairs(record: wire.InvoiceRecord, asked: Asked) -> list[tuple[Decimal, Decimal]]:
    """Totals to compare: with VAT and without, in the invoice's currency."""
    pairs = [(asked.gross, record.total_amount_with_tax), (asked.net, record.total_amount)]
    return [(ours, theirs) for ours, theirs in pairs if ours is not None and theirs is not None]


def _same_total(record: wire.InvoiceRecord, asked: Asked) -> bool:
    """Whether a total is ours, with VAT or without: VAT is the product's and may differ.

    It is not known whether DK+ tells totals in the invoice's currency or in the company's own:
    either is taken, since a booking that is overlooked is booked twice.
    """
    tolerance = hit_tolerance(asked.lines)
    for ours, theirs in _pairs(record, asked):
        if near(ours, theirs, tolerance):
            return True
        if asked.rate is not None and near(converted(ours, asked.rate), theirs, tolerance):
            return True
    return False


def _number_differs(record: wire.InvoiceRecord, asked: Asked) -> tuple[Notable, ...]:
    number = wire.text_of(record.number)
    if number == asked.reference:
        return ()
    parameters = {"moment": asked.reference, "books": number}
    return (Notable(code=WarningCode.INVOICE_NUMBER_DIFFERS, parameters=parameters),)


def _differs(record: wire.InvoiceRecord, asked: Asked) -> tuple[Notable, ...]:
    """Warnings of a total that is not Moment's, and of a project that DK+ dropped (A11.6, 9)."""
    warnings: list[Notable] = []
    for ours, theirs in _pairs(record, asked):
        near_enough = near(ours, theirs, warning_tolerance(asked.lines, asked.currency))
        in_own = asked.rate is not None and near(
            converted(ours, asked.rate), theirs, hit_tolerance(asked.lines)
        )
        if not near_enough and not in_own:
            parameters = {"moment": plain(ours), "books": shown(theirs)}
            warnings.append(Notable(code=WarningCode.AMOUNT_DIFFERS, parameters=parameters))
            break
    if asked.project and wire.text_of(record.project).casefold() != asked.project.casefold():
        parameters = {"project": asked.project}
        warnings.append(Notable(code=WarningCode.PROJECT_NOT_KEPT, parameters=parameters))
    return tuple(warnings)
