"""Has this voucher been booked already? Three look-ups, each row judged in code.

A filter may be ignored wholly or in part, a comparison may not see letter case, and payments
carry the same invoice number and sub-account (contract sparebank1-regnskap 4.5, 12.1, 12.2).
"""

from collections.abc import Generator
from decimal import Decimal
from functools import partial
from typing import Any, Final, Self

import msgspec

from connectors.port import Intent, Request, Retry, Step
from connectors.sparebank1 import requests
from connectors.sparebank1.customers import found_twice
from connectors.sparebank1.exchange import Books, Listing, listing
from connectors.sparebank1.responses import Stop, unlearnt
from connectors.sparebank1.vouchers import (
    CREDIT_NOTE_TYPE,
    INVOICE_TYPE,
    SUB_ACCOUNT,
    external_reference,
)
from connectors.sparebank1.wire import Row, amount, children, integer, text
from schemas.events import InvoiceKind
from schemas.failures import Failure, FailureClass, FailureCode, Reference

CREDITED_LINE: Final = 31004
CREDITED_DRAFT: Final = 34002
# Contract sparebank1-regnskap 4.7.

_PAYMENT_TYPES: Final = (1, 2)
"""JournalEntryTypeID of payments (contract sparebank1-regnskap 4.3)."""


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """The voucher that is looked for, as the intent of its booking describes it.

    `column` and `account_id` name the line that bears witness, and `amount` what it holds, None
    where that is not known. `any_type`: it may have been made before us, under another type.
    """

    number: str
    external_reference: str
    type_id: int
    customer_id: int
    column: str
    account_id: int
    amount: Decimal | None
    any_type: bool = False

    @classmethod
    def of(cls, intent: Intent, *, any_type: bool = False) -> Self:
        """Read from the intent that `vouchers.voucher` made."""
        detail = intent.detail
        return cls(
            number=intent.key,
            external_reference=detail.get("externalReference", ""),
            type_id=int(detail.get("type") or INVOICE_TYPE),
            customer_id=int(detail.get("customerId") or 0),
            column=detail.get("column", SUB_ACCOUNT),
            account_id=int(detail.get("accountId") or 0),
            amount=Decimal(detail["amount"]) if detail.get("amount") else None,
            any_type=any_type,
        )


def look_up(books: Books, sought: Sought) -> Generator[Step, Any, Reference | Stop | None]:
    """The voucher where it is in the books, None where it is proved absent, else a verdict.

    Absence needs all three look-ups to have been answered, and one that goes by invoice number
    to have been whole. Two vouchers are `found-twice`: a person decides.
    """
    by_reference = yield from _listed_by_reference(books, sought.external_reference)
    by_lines = yield from _by_lines(books, sought, requests.JOURNAL_ENTRY_LINES)
    by_statistics = yield from _by_lines(books, sought, requests.STATISTICS)
    answers = (by_reference, by_lines, by_statistics)
    hits: dict[int, Reference] = {}
    for answer in answers:
        if isinstance(answer, Listing):
            for row in answer.rows:
                _note(hits, row)
    if len(hits) > 1:
        return found_twice(sought.number, tuple(hit.number or hit.id for hit in hits.values()))
    if hits:
        return next(iter(hits.values()))
    for answer in answers:
        if isinstance(answer, Stop):
            return unlearnt(answer)
    return None if _proved(by_lines, by_statistics) else _unproved()


def find_booked(books: Books, number: str) -> Generator[Step, Any, Reference | Stop | None]:
    """An invoice or credit note of that number, whoever booked it; for gates and checks."""
    hits: dict[int, Reference] = {}
    for kind in InvoiceKind:
        reference = external_reference(kind, number)
        found = yield from _listed_by_reference(books, reference)
        if not isinstance(found, Listing):
            return found
        for row in found.rows:
            _note(hits, row)
    where = f"InvoiceNumber eq {requests.quoted(number)}"
    lines = yield from listing(
        books, partial(_page, requests.JOURNAL_ENTRY_LINES, where), partial(_owed, number)
    )
    if not isinstance(lines, Listing):
        return lines
    for row in lines.rows:
        _note(hits, row)
    if len(hits) > 1:
        return found_twice(number, tuple(hit.number or hit.id for hit in hits.values()))
    if hits:
        return next(iter(hits.values()))
    return None if lines.whole else _unproved()


def _owed(number: str, row: Row) -> bool:
    """Whether a line is what a customer owes by an invoice of that number."""
    return (
        text(row, "InvoiceNumber") == number
        and integer(row, "JournalEntryTypeID") in (INVOICE_TYPE, CREDIT_NOTE_TYPE)
        and bool(integer(row, "SubAccountID"))
        and integer(row, "StatusCode") != CREDITED_LINE
    )


def _listed_by_reference(books: Books, reference: str) -> Generator[Step, Any, Listing | Stop]:
    where = f"ExternalReference eq {requests.quoted(reference)}"

    def page(skip: int) -> Request:
        return requests.listed(
            requests.JOURNAL_ENTRIES, where=where, expand="Lines,DraftLines", skip=skip
        )

    ours = partial(_is_ours, reference)
    return (yield from listing(books, page, ours, judged_by="ExternalReference"))


def _is_ours(reference: str, entry: Row) -> bool:
    return text(entry, "ExternalReference") == reference and not _is_credited(entry)


def _is_credited(entry: Row) -> bool:
    lines = children(entry, "Lines")
    drafts = children(entry, "DraftLines")
    return (
        integer(entry, "StatusCode") in (CREDITED_LINE, CREDITED_DRAFT)
        or any(integer(line, "StatusCode") == CREDITED_LINE for line in lines)
        or any(integer(line, "StatusCode") == CREDITED_DRAFT for line in drafts)
    )


def _by_lines(books: Books, sought: Sought, path: str) -> Generator[Step, Any, Listing | Stop]:
    owner = f"{sought.column} eq {sought.account_id}"
    if path == requests.STATISTICS and sought.column == SUB_ACCOUNT:
        owner = f"SubAccount.CustomerID eq {sought.customer_id}"
    where = f"InvoiceNumber eq {requests.quoted(sought.number)} and {owner}"
    # What is seen to answer the filter shows that it was obeyed; only some of that is the voucher.
    found = yield from listing(books, partial(_page, path, where), partial(_is_asked, sought))
    if not isinstance(found, Listing):
        return found
    return Listing(tuple(row for row in found.rows if _is_voucher(sought, row)), found.whole)


def _page(path: str, where: str, skip: int) -> Request:
    if path == requests.STATISTICS:
        return requests.line_statistics(where, skip=skip)
    return requests.listed(path, where=where, skip=skip)


def _is_asked(sought: Sought, row: Row) -> bool:
    return (
        text(row, "InvoiceNumber") == sought.number
        and integer(row, sought.column) == sought.account_id
    )


def _is_voucher(sought: Sought, row: Row) -> bool:
    """Whether a line of that number and account is the voucher's (contract 12.2)."""
    status = integer(row, "StatusCode")
    type_id = integer(row, "JournalEntryTypeID")
    if status == CREDITED_LINE or type_id in _PAYMENT_TYPES:
        return False
    # A server that keeps no type answers none: that must not make the voucher invisible.
    if not sought.any_type and type_id and type_id != sought.type_id:
        return False
    return sought.amount is None or amount(row, "Amount") == sought.amount


def _note(hits: dict[int, Reference], row: Row) -> None:
    """A voucher that several look-ups see is one; an entry is its own, a line its entry's."""
    is_line = "JournalEntryID" in row
    entry_id = integer(row, "JournalEntryID") if is_line else integer(row, "ID")
    number = text(row, "JournalEntryNumber")
    if entry_id is None:
        return
    known = hits.get(entry_id)
    if known is None or not known.number:
        hits[entry_id] = Reference(id=str(entry_id), number=number)


def _proved(*by_number: Listing | Stop) -> bool:
    return any(isinstance(found, Listing) and found.whole for found in by_number)


def _unproved() -> Retry:
    said = "no look-up by invoice number was filtered, or could be read to its end"
    failure = Failure(
        code=FailureCode.ANSWER_NOT_UNDERSTOOD,
        parameters={"status": "200", "answer": said},
        klass=FailureClass.TRANSIENT,
    )
    return Retry(failure=failure)
