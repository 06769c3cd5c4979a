"""An invoice as a voucher of the journal: amounts, signs, texts. Pure.

Debit is positive, credit negative, and the lines sum to zero to the øre. Income lines carry
gross amounts, from which booking takes the VAT (contract sparebank1-regnskap 4.3). Each income
line is rounded by itself, in its currency and in the base currency; the customer line is their
sum with the other sign, and so takes every remainder of rounding.
"""

from datetime import date
from decimal import Context, Decimal, localcontext
from typing import Final

import msgspec

from connectors.port import Intent
from connectors.sparebank1.guids import Guids
from connectors.sparebank1.mapping import InvoiceContent, fits_int32
from connectors.sparebank1.voucher_texts import Texts, voucher_texts
from connectors.sparebank1.wire import Row
from schemas.arithmetic import gross, minor_units_of, round_money
from schemas.events import InvoiceKind
from schemas.failures import Notable, WarningCode, plain
from schemas.identifiers import is_kid

BOOK: Final = "voucher.book"

EXTERNAL_SOURCE: Final = "moment-sync"

INVOICE_TYPE: Final = 8
CREDIT_NOTE_TYPE: Final = 11
# JournalEntryTypeID (contract sparebank1-regnskap 4.3).

SUB_ACCOUNT: Final = "SubAccountID"
ACCOUNT: Final = "AccountID"

_EXACT: Final = Context(prec=100)
"""Eighteen digits times eighteen, summed over a full message of lines, stay exact."""


class LinePlan(msgspec.Struct, frozen=True, kw_only=True):
    """Internal ids and the rate of one invoice line. `percent` is 0 where VAT is not split."""

    account_id: int
    vat_type_id: int
    percent: Decimal


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All ids that a voucher refers to. `foreign`: the currency is not the company's own."""

    customer_id: int
    sub_account_id: int
    currency_id: int
    foreign: bool
    lines: tuple[LinePlan, ...]
    project_id: int | None = None
    rounding_account_id: int | None = None


class Voucher(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be booked: the entry, the facts a look-up needs, and what to warn of.

    `entry` is None where there is nothing to book. `proposed` is the voucher number asked for.
    """

    entry: Row | None
    intent: Intent
    warnings: tuple[Notable, ...]
    proposed: str | None = None

    def unproposed(self) -> "Voucher":
        """The same voucher with its number left to the server (contract 12.3)."""
        entry = dict(self.entry or {})
        entry.pop("JournalEntryNumber", None)
        return msgspec.structs.replace(self, entry=entry)


class _Amount(msgspec.Struct, frozen=True, kw_only=True):
    """One posting before it has a sign-bearing row: what the customer owes for it."""

    index: int
    currency: Decimal
    base: Decimal


def external_reference(kind: InvoiceKind, number: str) -> str:
    """Our name for a voucher in the books; credit notes have their own (contract 12.3)."""
    return f"moment:{kind.value}:{number}"


def payment_id_of(content: InvoiceContent) -> str:
    """The KID, or else the invoice number (contract moment)."""
    return content.payment_id or content.number


def payment_warnings(content: InvoiceContent) -> tuple[Notable, ...]:
    """A payment id that is no KID; an invoice number in its place need not be one (contract 7)."""
    payment_id = content.payment_id
    if not payment_id or payment_id == content.number or is_kid(payment_id):
        return ()
    parameters = {"paymentId": payment_id}
    return (Notable(code=WarningCode.KID_CHECK_DIGIT, parameters=parameters),)


def proposed_number(content: InvoiceContent) -> str | None:
    """`<n>-<year>` of the KID if it fits int32, else of the invoice number (contract 12.3)."""
    for candidate in (content.payment_id, content.number):
        if candidate and fits_int32(candidate) and int(candidate):
            return f"{int(candidate)}-{content.invoice_date.year}"
    return None


def voucher(content: InvoiceContent, plan: Plan, guids: Guids, *, propose: bool) -> Voucher:
    """The voucher of an invoice or credit note. `plan` has a line for each line of `content`."""
    amounts = _amounts(content, plan)
    texts = voucher_texts(content, tuple(amount.index for amount in amounts))
    rounding = _rounding(content, amounts, plan)
    with localcontext(_EXACT):
        owed = _Amount(
            index=-1,
            currency=sum((a.currency for a in amounts), rounding.currency),
            base=sum((a.base for a in amounts), rounding.base),
        )
    rows = _Rows(content, plan, guids, texts)
    lines = [rows.income(amount) for amount in amounts]
    if rounding.currency and rounding.base and plan.rounding_account_id is not None:
        lines.append(rows.rounding(rounding, plan.rounding_account_id))
    if owed.base:
        lines.insert(0, rows.customer(owed))
    proposed = proposed_number(content) if propose else None
    warnings = (
        *payment_warnings(content),
        *_amount_warnings(content, amounts),
        *texts.warnings,
    )
    return Voucher(
        entry=_entry(content, texts, lines, proposed) if amounts else None,
        intent=_intent(content, plan, lines, owed.base, warnings, proposed),
        warnings=warnings,
        proposed=proposed,
    )


def _amounts(content: InvoiceContent, plan: Plan) -> list[_Amount]:
    """Gross per line, those that come to nothing left out: zero lines are refused (4.3)."""
    units = minor_units_of(content.currency)
    found = []
    for index, (line, ids) in enumerate(zip(content.lines, plan.lines, strict=True)):
        in_currency = gross(Decimal(line.total), ids.percent, units)
        base = _in_base(in_currency, content, plan)
        if in_currency and base:
            found.append(_Amount(index=index, currency=in_currency, base=base))
    return found


def _in_base(value: Decimal, content: InvoiceContent, plan: Plan) -> Decimal:
    if not plan.foreign:
        return round_money(value)
    return round_money(_EXACT.multiply(value, Decimal(content.rate)))


def _difference(content: InvoiceContent, amounts: list[_Amount]) -> Decimal:
    """What Moment's total has beyond the sum of the gross lines."""
    if not content.total_incl_vat:
        return Decimal(0)
    with localcontext(_EXACT):
        return Decimal(content.total_incl_vat) - sum(a.currency for a in amounts)


def _rounding(content: InvoiceContent, amounts: list[_Amount], plan: Plan) -> _Amount:
    """The difference where it is to be posted: at most 0.01 a line (contract 12.6)."""
    difference = round_money(_difference(content, amounts), minor_units_of(content.currency))
    unit = Decimal(1).scaleb(-minor_units_of(content.currency))
    base = _in_base(difference, content, plan)
    small = abs(difference) <= unit * len(content.lines)
    if plan.rounding_account_id is None or not small or not base:
        return _Amount(index=-1, currency=Decimal(0), base=Decimal(0))
    return _Amount(index=-1, currency=difference, base=base)


def _amount_warnings(content: InvoiceContent, amounts: list[_Amount]) -> tuple[Notable, ...]:
    if not _difference(content, amounts):
        return ()
    with localcontext(_EXACT):
        booked = sum((a.currency for a in amounts), Decimal(0))
    parameters = {"moment": content.total_incl_vat, "books": plain(booked)}
    return (Notable(code=WarningCode.AMOUNT_DIFFERS, parameters=parameters),)


class _Rows:
    """Draft lines of one voucher: what they have in common, and each kind of them."""

    def __init__(self, content: InvoiceContent, plan: Plan, guids: Guids, texts: Texts) -> None:
        self.content = content
        self.plan = plan
        self.guids = guids
        self.texts = texts

    def customer(self, owed: _Amount) -> Row:
        """The customer's sub-account: PaymentID and DueDate here only (contract 12.3)."""
        row = self._row("customer", self.plan.sub_account_id, owed.currency, owed.base)
        row["PaymentID"] = payment_id_of(self.content)
        if self.content.due_date is not None:
            row["DueDate"] = self.content.due_date.isoformat()
        row["Description"] = self.texts.customer
        return row

    def income(self, amount: _Amount) -> Row:
        """One line of the invoice; its VAT type is named also at 0 % (contract 12.6)."""
        ids = self.plan.lines[amount.index]
        path = f"lines/{amount.index}"
        row = self._row(path, ids.account_id, *_credited(amount))
        row["VatTypeID"] = ids.vat_type_id
        row["Description"] = self.texts.lines[amount.index]
        if self.plan.project_id is not None:
            guid = self.guids.at(f"{path}/Dimensions")
            row["Dimensions"] = {"ProjectID": self.plan.project_id, "_createguid": guid}
        return row

    def rounding(self, rest: _Amount, account_id: int) -> Row:
        """The difference of øre between Moment's total and the sum of the gross lines."""
        row = self._row("rounding", account_id, *_credited(rest))
        row["Description"] = self.texts.customer
        return row

    def _row(self, path: str, account_id: int, currency: Decimal, base: Decimal) -> Row:
        row: Row = {
            "_createguid": self.guids.at(path),
            "AccountID": account_id,
            "Amount": base,
            "AmountCurrency": round_money(currency),
            "CurrencyCodeID": self.plan.currency_id,
            "FinancialDate": _iso(self.content.invoice_date),
            "VatDate": _iso(self.content.invoice_date),
            "InvoiceNumber": self.content.number,
            "JournalEntryTypeID": _type_of(self.content),
        }
        if self.plan.foreign:
            row["CurrencyExchangeRate"] = Decimal(self.content.rate)
        return row


def _credited(amount: _Amount) -> tuple[Decimal, Decimal]:
    # Not by a minus sign, which rounds to the precision of whatever context there is.
    return amount.currency.copy_negate(), amount.base.copy_negate()


def _entry(content: InvoiceContent, texts: Texts, lines: list[Row], proposed: str | None) -> Row:
    entry: Row = {
        "Description": texts.entry,
        "ExternalReference": external_reference(content.kind, content.number),
        "ExternalSource": EXTERNAL_SOURCE,
        "DraftLines": lines,
    }
    if proposed is not None:
        entry["JournalEntryNumber"] = proposed
    return entry


def _intent(
    content: InvoiceContent,
    plan: Plan,
    lines: list[Row],
    owed: Decimal,
    warnings: tuple[Notable, ...],
    proposed: str | None,
) -> Intent:
    """What a look-up needs. Where the customer owes nothing an income line bears witness.

    An income line's amount in the books is net, so none is named then.
    """
    detail = {
        "externalReference": external_reference(content.kind, content.number),
        "type": str(_type_of(content)),
        "customerId": str(plan.customer_id),
        "column": SUB_ACCOUNT if owed else ACCOUNT,
        "accountId": str(lines[0]["AccountID"] if lines else plan.sub_account_id),
        "amount": plain(owed) if owed else "",
        "warnings": msgspec.json.encode(warnings).decode(),
        "proposed": proposed or "",
    }
    return Intent(kind=BOOK, key=content.number, booking=True, detail=detail)


def _type_of(content: InvoiceContent) -> int:
    return CREDIT_NOTE_TYPE if content.kind is InvoiceKind.CREDIT_NOTE else INVOICE_TYPE


def _iso(day_booked: date) -> str:
    return day_booked.isoformat()
