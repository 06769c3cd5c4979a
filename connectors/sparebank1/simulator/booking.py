"""Booking and crediting vouchers: what the platform checks, splits, numbers and keeps.

Contract sparebank1-regnskap 4, 10. `Amount` is debit positive; a line with a VAT type carries its
gross amount and is split here: net = gross / (1 + rate), to the øre, half away from zero.
"""

import re
from decimal import Decimal
from typing import Any

from connectors.sparebank1.simulator.answers import Refusal, no_such_key
from connectors.sparebank1.simulator.books import Books, Row, seen
from connectors.sparebank1.simulator.model import (
    DRAFT_CREDITED,
    DRAFT_JOURNALED,
    ENTITIES,
    INT32_MAX,
    LINE_CREDITED,
    LINE_OPEN,
)
from connectors.sparebank1.simulator.switches import ExternalReference, VoucherNumbering
from connectors.sparebank1.simulator.writing import Writer, round_ore

_HUNDRED = Decimal(100)
_NUMBER = re.compile(r"([1-9]\d*)-(\d{4})")
_ENTRY_FIELDS = ("Description", "ExternalReference", "ExternalSource")


def book(writer: Writer, body: Row, made_by: str = "api", *, regardless: bool = False) -> Row:
    """Book one JournalEntry of the posted array; returns its row, or raises Refusal.

    `regardless`: the caller asked that lock dates be passed over.
    """
    drafts = _draft_bodies(writer, body)
    entity = ENTITIES["JournalEntry"]
    values = writer.values(entity, {k: v for k, v in body.items() if k != "JournalEntryNumber"})
    lines = [_prepared(writer, draft) for draft in drafts]
    _check_entry(writer, lines, regardless=regardless)
    year = int(lines[0]["FinancialDate"][:4])
    kept = {field: values.get(field) for field in _ENTRY_FIELDS}
    kept |= _number(writer, body.get("JournalEntryNumber"), year)
    kept |= _reference(writer, values)
    kept |= {"FinancialYearID": _financial_year(writer, year)["ID"], "NumberSeriesTaskID": 1}
    entry = writer.create(
        entity, {k: body[k] for k in ("_createguid",) if k in body}, kept, nested=False
    )
    entry = writer.books.change("JournalEntry", entry, {"_made_by": made_by})
    for line in lines:
        _keep(writer, entry, line)
    return entry


def _draft_bodies(writer: Writer, body: Row) -> list[Row]:
    if body.get("Lines"):
        writer.note("lines-not-draft-lines", str(body.get("Description")))
        raise Refusal("Lines kan ikke føres direkte", "JournalEntry", "Lines")
    drafts = body.get("DraftLines")
    if not isinstance(drafts, list) or not drafts or not all(isinstance(d, dict) for d in drafts):
        raise Refusal("Bilaget har ingen linjer", "JournalEntry", "DraftLines")
    return drafts


# --- one draft line --------------------------------------------------------------------------


def _prepared(writer: Writer, draft: Row) -> Row:
    """The draft line with the platform's defaults; saved as a row without its entry yet."""
    entity, books = ENTITIES["JournalEntryLineDraft"], writer.books
    settings = books.row("CompanySettings", 1) or {}
    row = writer.create(entity, draft, {}, nested=True)
    base = settings["BaseCurrencyCodeID"]
    values: Row = {"StatusCode": DRAFT_JOURNALED}
    values["CurrencyCodeID"] = row["CurrencyCodeID"] or base
    foreign = values["CurrencyCodeID"] != base
    rate = row["CurrencyExchangeRate"] if foreign and row["CurrencyExchangeRate"] else Decimal(1)
    values["CurrencyExchangeRate"] = rate
    amount, in_currency = row["Amount"], row["AmountCurrency"]
    if amount is None and in_currency is not None:
        amount = round_ore(in_currency * rate)
    if in_currency is None and amount is not None:
        in_currency = round_ore(amount / rate)
    if amount is None or row["FinancialDate"] is None or row["AccountID"] is None:
        raise Refusal("Dato, beløp og konto må fylles ut", entity.name, "Amount")
    if amount == 0:
        raise Refusal("Beløp kan ikke være 0", entity.name, "Amount")
    if not foreign and amount != in_currency:
        writer.note("amount-differs-from-currency", f"{amount} and {in_currency}")
    values |= {"Amount": amount, "AmountCurrency": in_currency}
    values["VatDate"] = row["VatDate"] or row["FinancialDate"]
    row = books.change(entity.name, row, values)
    _check_account(writer, row)
    percent = _vat_percent(writer, row)
    return books.change(entity.name, row, {"VatPercent": percent})


def _check_account(writer: Writer, row: Row) -> None:
    account = writer.books.row("Account", row["AccountID"])
    if account is None or not seen(account, writer.now.timestamp()):
        raise no_such_key("JournalEntryLineDraft", "AccountID", row["AccountID"])
    locked, by_hand = account["Locked"], account["LockManualPosts"]
    if locked or by_hand or account["Active"] is False:
        raise Refusal(
            f"Kan ikke føre bilag på kontonr {account['AccountNumber']}, kontoen er sperret"
            + (" for manuelle føringer" if by_hand and not locked else ""),
            "JournalEntryLineDraft",
            "AccountID",
        )


def _vat_percent(writer: Writer, row: Row) -> Decimal | None:
    """The rate of the line's VAT type on its VatDate; None without a type."""
    vat = writer.books.row("VatType", row["VatTypeID"])
    if vat is None:
        return None
    if vat["Locked"]:
        raise Refusal(f"Mva-kode {vat['VatCode']} er sperret", "JournalEntryLineDraft", "VatTypeID")
    for period in writer.books.table("VatTypePercentage").where("VatTypeID", vat["ID"]):
        first, last = period["ValidFrom"] or "", period["ValidTo"] or "9999"
        if first <= row["VatDate"] <= last:
            return Decimal(period["VatPercent"])
    raise Refusal(
        f"Mva-kode {vat['VatCode']} er ikke gyldig {row['VatDate']}",
        "JournalEntryLineDraft",
        "VatTypeID",
    )


# --- the whole voucher -----------------------------------------------------------------------


def _check_entry(writer: Writer, lines: list[Row], *, regardless: bool) -> None:
    name = "JournalEntryLineDraft"
    total = sum((line["Amount"] for line in lines), Decimal(0))
    if total != 0:
        writer.note("unbalanced-voucher", f"sum {total}")
        raise Refusal(f"Bilag går ikke i balanse. Differanse {total}", name, "Amount")
    if len({line["FinancialDate"][:4] for line in lines}) > 1:
        raise Refusal(
            "Bilag er fordelt over flere regnskapsår - dette er ikke lov.", name, "FinancialDate"
        )
    if len({line["JournalEntryTypeID"] for line in lines}) > 1:
        raise Refusal("Bilag har flere bilagstyper", name, "JournalEntryTypeID")
    if not regardless:
        _check_locks(writer, lines)


def _check_locks(writer: Writer, lines: list[Row]) -> None:
    settings = writer.books.row("CompanySettings", 1) or {}
    locks = (
        ("FinancialDate", settings["AccountingLockedDate"], "Regnskapet"),
        ("VatDate", settings["VatLockedDate"], "MVA"),
    )
    for field, locked, what in locks:
        if locked and any(line[field] <= locked for line in lines):
            day = ".".join(reversed(locked.split("-")))
            raise Refusal(f"{what} er låst til {day}", "JournalEntryLineDraft", field)


def _reference(writer: Writer, values: Row) -> Row:
    if writer.switches.external_reference is ExternalReference.DROPPED:
        return {"ExternalReference": None, "ExternalSource": None}
    text = values.get("ExternalReference")
    if text and writer.switches.external_reference_unique:
        taken = writer.books.table("JournalEntry").where("ExternalReference", text)
        if any(row["ExternalReference"] == text for row in taken):
            raise Refusal(f"{text} er i bruk", "JournalEntry", "ExternalReference")
    return {}


def _number(writer: Writer, proposed: Any, year: int) -> Row:
    """The voucher's number: the proposed one where the switch honours it, else the next."""
    books = writer.books
    row = _year_series(writer, year)
    number = int(row["NextNumber"])
    if proposed and writer.switches.voucher_number is not VoucherNumbering.IGNORED:
        found = _NUMBER.fullmatch(str(proposed))
        fits = found is not None and int(found[1]) <= INT32_MAX and int(found[2]) == year
        taken = books.table("JournalEntry").where("JournalEntryNumber", str(proposed))
        refused = writer.switches.voucher_number is VoucherNumbering.REFUSED
        if found is None or not fits or taken or refused:
            raise Refusal(
                f"Bilagsnummer {proposed} kan ikke brukes", "JournalEntry", "JournalEntryNumber"
            )
        number = int(found[1])
    else:
        while books.table("JournalEntry").where("JournalEntryNumber", f"{number}-{year}"):
            number += 1
        books.change("NumberSeries", row, {"NextNumber": number + 1})
    return {
        "JournalEntryNumber": f"{number}-{year}",
        "JournalEntryNumberNumeric": number,
        "NumberSeriesID": row["ID"],
    }


def next_number(writer: Writer, year: int) -> str:
    """The number that the next voucher would get: a suggestion, nothing is reserved."""
    return f"{_year_series(writer, year)['NextNumber']}-{year}"


def _year_series(writer: Writer, year: int) -> Row:
    books = writer.books
    kinds = books.table("NumberSeriesType").where("EntityType", "JournalEntry")
    for row in books.table("NumberSeries").rows.values():
        if row["NumberSeriesTypeID"] == kinds[0]["ID"] and row["AccountYear"] == year:
            return row
    values = {
        "Name": "Generelle bilag",
        "AccountYear": year,
        "FromNumber": 1,
        "ToNumber": 59_999,
        "NextNumber": 1,
        "NumberSeriesTypeID": kinds[0]["ID"],
        "IsDefaultForTask": True,
    }
    return books.make("NumberSeries", values, writer.now)


def _financial_year(writer: Writer, year: int) -> Row:
    found = writer.books.table("FinancialYear").where("Year", year)
    values = {"Year": year, "ValidFrom": f"{year}-01-01", "ValidTo": f"{year}-12-31"}
    return found[0] if found else writer.books.make("FinancialYear", values, writer.now)


# --- what stands in the books ------------------------------------------------------------------

_COPIED = (
    "AccountID SubAccountID CurrencyCodeID CurrencyExchangeRate VatTypeID VatPercent "
    "JournalEntryTypeID DimensionsID Description InvoiceNumber PaymentID FinancialDate VatDate "
    "DueDate Amount AmountCurrency"
)


def _keep(writer: Writer, entry: Row, draft: Row) -> None:
    """Lines of one draft line: sub-account swapped, VAT split off."""
    books = writer.books
    numbers = {
        "JournalEntryID": entry["ID"],
        "JournalEntryNumber": entry["JournalEntryNumber"],
        "JournalEntryNumberNumeric": entry["JournalEntryNumberNumeric"],
        "PeriodID": int(draft["FinancialDate"][5:7]),
        "VatPeriodID": (int(draft["VatDate"][5:7]) + 1) // 2,
        "RegisteredDate": writer.now.date().isoformat(),
    }
    draft = books.change("JournalEntryLineDraft", draft, numbers)
    values = {field: draft[field] for field in _COPIED.split()} | numbers
    values["JournalEntryLineDraftID"] = draft["ID"]
    account = books.row("Account", draft["AccountID"]) or {}
    if account["CustomerID"]:
        values |= {"SubAccountID": account["ID"], "AccountID": account["AccountID"]}
    if account["UsePostPost"]:
        rest = {"RestAmount": draft["Amount"], "RestAmountCurrency": draft["AmountCurrency"]}
        values |= rest | {"StatusCode": LINE_OPEN if writer.switches.line_status else None}
    vat = books.row("VatType", draft["VatTypeID"])
    rate = draft["VatPercent"]
    split = vat is not None and rate and not vat["DirectJournalEntryOnly"]
    if not split or vat is None:
        books.make("JournalEntryLine", values, writer.now)
        return
    net, tax = _split(draft["Amount"], rate)
    net_currency, tax_currency = _split(draft["AmountCurrency"], rate)
    values |= {"Amount": net, "AmountCurrency": net_currency}
    line = books.make("JournalEntryLine", values, writer.now)
    tax_values = values | {
        "AccountID": vat["OutgoingAccountID"] if vat["OutputVat"] else vat["IncomingAccountID"],
        "Amount": tax,
        "AmountCurrency": tax_currency,
        "TaxBasisAmount": net,
        "TaxBasisAmountCurrency": net_currency,
        "VatJournalEntryPostID": line["ID"],
        "Description": f"Mva {vat['VatCode']} ({rate.normalize():f} %)",
        "DimensionsID": None,
    }
    books.make("JournalEntryLine", tax_values, writer.now)


def _split(gross: Decimal, rate: Decimal) -> tuple[Decimal, Decimal]:
    net = round_ore(gross / (1 + rate / _HUNDRED))
    return net, gross - net


# --- crediting ---------------------------------------------------------------------------------


def lines_of(books: Books, entry: Row) -> list[Row]:
    """The booked lines of a voucher."""
    return books.table("JournalEntryLine").where("JournalEntryID", entry["ID"])


def is_credited(books: Books, entry: Row) -> bool:
    """Whether the voucher was reversed, or is itself a reversal made by the platform."""
    return any(line["StatusCode"] == LINE_CREDITED for line in lines_of(books, entry))


def credit(writer: Writer, number: str, credit_date: str | None, made_by: str) -> Row:
    """Reverse the voucher `number` in full (section 4.6); both get status 31004."""
    books = writer.books
    found = books.table("JournalEntry").where("JournalEntryNumber", number)
    if not found:
        raise Refusal(f"Bilag {number} finnes ikke", "JournalEntry", "JournalEntryNumber")
    original = found[0]
    if is_credited(books, original):
        raise Refusal(f"Bilag {number} er kreditert", "JournalEntry", "JournalEntryNumber")
    before = lines_of(books, original)
    day = credit_date or before[0]["FinancialDate"]
    values = _number(writer, None, int(day[:4]))
    values |= {"Description": f"Kreditering av {number}", "_made_by": made_by}
    values["FinancialYearID"] = _financial_year(writer, int(day[:4]))["ID"]
    reversal = books.make("JournalEntry", values, writer.now)
    for line in before:
        turned = {f: -line[f] for f in ("Amount", "AmountCurrency") if line[f] is not None}
        numbers = {f: values[f] for f in ("JournalEntryNumber", "JournalEntryNumberNumeric")}
        copy = {f: line[f] for f in _COPIED.split()} | turned | numbers
        copy |= {"FinancialDate": day, "VatDate": day, "JournalEntryID": reversal["ID"]}
        copy |= {"StatusCode": LINE_CREDITED, "OriginalReferencePostID": line["ID"]}
        mirror = books.make("JournalEntryLine", copy, writer.now)
        marks = {"StatusCode": LINE_CREDITED, "ReferenceCreditPostID": mirror["ID"]}
        books.change("JournalEntryLine", line, marks, writer.now)
    for draft in books.table("JournalEntryLineDraft").where("JournalEntryID", original["ID"]):
        books.change("JournalEntryLineDraft", draft, {"StatusCode": DRAFT_CREDITED}, writer.now)
    return reversal
