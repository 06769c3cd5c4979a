"""What the books hold that a write refers to: ids by number or code. Cached by the shell.

Every function returns a `Look`; what it is answered with is the value, None where the books do
not have it, or a verdict. Ids are internal ones, never the printed number (contract 4.3).
"""

from collections.abc import Callable, Generator
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Final, cast

import msgspec

from connectors.port import Answer, Call, Look, NoAnswer, Request, Step
from connectors.sparebank1 import requests
from connectors.sparebank1.exchange import Books, listing, read_page, read_row
from connectors.sparebank1.responses import (
    Stop,
    is_transient,
    not_understood,
    unanswered,
    unavailable,
    undropped,
)
from connectors.sparebank1.wire import (
    Row,
    amount,
    child,
    children,
    day,
    decode,
    integer,
    rows_of,
    text,
)

Suits = Callable[[Any], bool]
Fetched = Generator[Step, Any, Any]


class NumberRange(msgspec.Struct, frozen=True):
    """Numbers that a series gives, both ends included."""

    first: int
    last: int


DEFAULT_RANGE: Final = NumberRange(100_000, 199_999)
"""Customer numbers where the series cannot be read (contract sparebank1-regnskap 2.4, 12.7)."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of the company's settings."""

    organisation_number: str
    base_currency_id: int | None
    accounting_locked: date | None
    vat_locked: date | None

    def lock_on(self, day_booked: date) -> date | None:
        """The later of the lock dates that stand against a booking on a day (contract 4.9)."""
        locks = [lock for lock in (self.accounting_locked, self.vat_locked) if lock is not None]
        return max((lock for lock in locks if day_booked <= lock), default=None)


class Account(msgspec.Struct, frozen=True):
    """A ledger account."""

    id: int
    locked: bool


class VatRate(msgspec.Struct, frozen=True):
    """A rate and the days it holds on, both ends included; None is open."""

    percent: Decimal
    first: date | None = None
    last: date | None = None


class VatType(msgspec.Struct, frozen=True, kw_only=True):
    """A VAT code's type. `split`: whether booking takes the VAT out of a gross amount."""

    id: int
    code: str
    rates: tuple[VatRate, ...]
    usable: bool = True
    split: bool = True

    def percent_on(self, day_booked: date) -> Decimal | None:
        """The rate on a day, None where the code is not valid then."""
        valid = [
            rate
            for rate in self.rates
            if (rate.first is None or rate.first <= day_booked)
            and (rate.last is None or day_booked <= rate.last)
        ]
        # Where two meet on a day, the newer one counts.
        newest = max(valid, key=lambda rate: rate.first or date.min, default=None)
        return newest.percent if newest is not None and self.usable else None


def customer_ranges(books: Books, suits: Suits) -> Look:
    """Ranges of customer numbers; the default one where the series cannot be read."""
    return Look("number-series", partial(_ranges, books), suits)


def currency(books: Books, code: str) -> Look:
    """The id of a currency by its code."""
    return Look(f"currency:{code}", partial(_currency, books, code))


def settings(books: Books, suits: Suits = lambda _found: True) -> Look:
    """The company's `Settings`."""
    return Look("settings", partial(fetch_settings, books), suits)


def account(books: Books, number: str, suits: Suits = lambda _found: True) -> Look:
    """A ledger `Account` by its number; sub-accounts of customers are none."""
    return Look(f"account:{number}", partial(_account, books, number), suits)


def vat_types(books: Books, suits: Suits) -> Look:
    """All `VatType`s of the company."""
    return Look("vat-types", partial(_vat_types, books), suits)


def currency_code(books: Books, currency_id: int) -> Generator[Step, Any, str]:
    """A currency's code by its id, for a text only: empty where it cannot be learnt."""
    row = yield from read_row(books, requests.one(requests.CURRENCY_CODES, currency_id))
    return text(row, "Code") if isinstance(row, dict) else ""


def fetch_settings(books: Books) -> Generator[Step, Any, Settings | Stop]:
    """Read the company's settings now (contract sparebank1-regnskap 5)."""
    row = yield from read_row(books, requests.company_settings())
    if row is None:
        return not_understood(Answer(status=404))
    if not isinstance(row, dict):
        return undropped(row)
    return Settings(
        organisation_number=text(row, "OrganizationNumber").strip(),
        base_currency_id=integer(row, "BaseCurrencyCodeID"),
        accounting_locked=day(row, "AccountingLockedDate"),
        vat_locked=day(row, "VatLockedDate"),
    )


def _ranges(books: Books) -> Fetched:
    request = requests.listed(
        requests.NUMBER_SERIES,
        where="NumberSeriesType.EntityType eq 'Customer'",
        expand="NumberSeriesType,MainAccount",
    )
    answer: Answer | NoAnswer = yield Call(request)
    if isinstance(answer, NoAnswer):
        return undropped(unanswered(answer))
    if is_transient(answer.status):
        return unavailable(answer, books.now)
    rows = rows_of(decode(answer.body)) if answer.ok else None
    # A right that is missing for series alone must not stop customers: the default range counts.
    ranges = tuple(_range(row) for row in rows or () if _gives_customer_numbers(row))
    return ranges or (DEFAULT_RANGE,)


def _gives_customer_numbers(row: Row) -> bool:
    kind = child(row, "NumberSeriesType")
    return (
        kind is not None
        and text(kind, "EntityType") == "Customer"
        and row.get("Disabled") is not True
        and row.get("Deleted") is not True
        and integer(row, "FromNumber") is not None
        and integer(row, "ToNumber") is not None
    )


def _range(row: Row) -> NumberRange:
    return NumberRange(cast("int", row["FromNumber"]), cast("int", row["ToNumber"]))


def _first(found: Any) -> Any:
    """The row of a listing with the lowest id, or the verdict, or None."""
    if isinstance(found, Stop):
        return undropped(found)
    return min(found.rows, key=lambda row: integer(row, "ID") or 0, default=None)


def _currency(books: Books, code: str) -> Fetched:
    found = yield from listing(
        books,
        partial(_page, requests.CURRENCY_CODES, f"Code eq {requests.quoted(code)}"),
        lambda row: text(row, "Code").upper() == code and row.get("Deleted") is not True,
    )
    row = _first(found)
    return integer(row, "ID") if isinstance(row, dict) else row


def _page(path: str, where: str, skip: int) -> Request:
    return requests.listed(path, where=where, skip=skip)


def _account(books: Books, number: str) -> Fetched:
    found = yield from listing(
        books,
        partial(_page, requests.ACCOUNTS, f"AccountNumber eq {number}"),
        lambda row: integer(row, "AccountNumber") == int(number) and _is_ledger_account(row),
    )
    row = _first(found)
    if not isinstance(row, dict):
        return row
    locked = row.get("Locked") is True or row.get("LockManualPosts") is True
    return Account(cast("int", integer(row, "ID")), locked)


def _is_ledger_account(row: Row) -> bool:
    owners = ("CustomerID", "SupplierID", "EmployeeID")
    return not any(integer(row, owner) for owner in owners) and row.get("Deleted") is not True


def _vat_types(books: Books) -> Fetched:
    """Every page: which codes are asked for differs from invoice to invoice."""
    types: dict[int, VatType] = {}
    for skip in range(0, 100 * requests.PAGE_ROWS, requests.PAGE_ROWS):
        request = requests.listed(requests.VAT_TYPES, expand="VatTypePercentages", skip=skip)
        page = yield from read_page(books, request)
        if not isinstance(page, list):
            return undropped(page)
        known = len(types)
        for row in page:
            if row.get("Deleted") is not True:
                types.setdefault(cast("int", integer(row, "ID")), _vat_type(row))
        if len(page) < requests.PAGE_ROWS or len(types) == known:
            break
    return tuple(types.values())


def _vat_type(row: Row) -> VatType:
    return VatType(
        id=cast("int", integer(row, "ID")),
        code=text(row, "VatCode").strip(),
        rates=_rates(row),
        usable=row.get("Locked") is not True,
        split=row.get("DirectJournalEntryOnly") is not True,
    )


def _rates(row: Row) -> tuple[VatRate, ...]:
    """Rates by date where there are any, else the type's own (contract sparebank1-regnskap 5)."""
    dated = tuple(
        VatRate(percent, day(rate, "ValidFrom"), day(rate, "ValidTo"))
        for rate in children(row, "VatTypePercentages")
        if (percent := amount(rate, "VatPercent")) is not None
    )
    if dated:
        return dated
    percent = amount(row, "VatPercent")
    if percent is not None:
        return (VatRate(percent),)
    # A type with no rate at all, and rates were asked for, takes no VAT.
    return (VatRate(Decimal(0)),) if row.get("VatTypePercentages") == [] else ()
