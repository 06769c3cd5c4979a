"""What stands in the way of the first voucher, found by reading alone."""

from collections.abc import Generator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connectors.inspection import Flaw, FlawKind, Inspected, LineNeed, Needs, flaw_of
from connectors.integrations import DataType, Integration
from connectors.port import Flow, Hold, Refused, Retry, Step
from connectors.sparebank1 import reference_data, requests
from connectors.sparebank1.bookkeeping import NORWEGIAN_KRONE
from connectors.sparebank1.exchange import Books, read_page
from connectors.sparebank1.mapping import is_number
from connectors.sparebank1.reference_data import Account, NumberRange, Settings, VatType
from connectors.sparebank1.responses import Stop, undropped
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode, plain

Part = Generator[Step, Any, Stop | None]

_READ_FOR = {
    DataType.CUSTOMERS: requests.CUSTOMERS,
    DataType.PROJECTS: requests.PROJECTS,
    DataType.INVOICES: requests.JOURNAL_ENTRIES,
}


def inspect(integration: Integration, needs: Needs, now: datetime) -> Flow:
    """Ask the books for all that is needed. Returns `Inspected`."""
    return (yield from _Inspection(integration, needs, now).run())


def of_code(types: tuple[VatType, ...], code: str, day: date) -> VatType | None:
    """Of several types of one code the one that is valid on the day."""
    named = [vat_type for vat_type in types if vat_type.code == code]
    valid = [vat_type for vat_type in named if vat_type.percent_on(day) is not None]
    return next(iter(valid or named), None)


class _Inspection:
    """One inspection: what is asked for, and what was found so far."""

    def __init__(self, integration: Integration, needs: Needs, now: datetime) -> None:
        self.integration = integration
        self.needs = needs
        self.today = now.date()
        self.books = Books(integration=integration, now=now)
        self.settings: Settings | None = None
        self.flaws: list[Flaw] = []

    def run(self) -> Generator[Step, Any, Inspected]:
        for kind, part in self._parts():
            stopped = yield from part
            if stopped is None:
                continue
            verdict = undropped(stopped)
            if isinstance(verdict, Retry):
                return verdict
            if isinstance(verdict, Hold | Refused):
                self.flaws.append(flaw_of(verdict, kind))
            if isinstance(verdict, Hold):
                break  # what concerns the whole integration would be said of every part
        return tuple(self.flaws)

    def _parts(self) -> list[tuple[FlawKind, Part]]:
        parts = [(FlawKind.COMPANY, self._company()), (FlawKind.COMPANY, self._rights())]
        if self.integration.carries(DataType.CUSTOMERS):
            parts.append((FlawKind.NUMBER_SERIES, self._numbers()))
        if self.integration.carries(DataType.INVOICES):
            parts.append((FlawKind.ACCOUNT, self._accounts()))
            parts.append((FlawKind.VAT_CODE, self._vat_codes()))
        parts.append((FlawKind.CURRENCY, self._currencies()))
        return parts

    def _tell(
        self, kind: FlawKind, code: FailureCode, parameters: dict[str, str], entity: str = ""
    ) -> None:
        failure = Failure(code=code, parameters=parameters)
        self.flaws.append(Flaw(kind=kind, failure=failure, entity=entity))

    def _company(self) -> Part:
        """Token, company, and the lock dates (contract sparebank1-regnskap 5)."""
        settings = yield reference_data.settings(self.books)
        if not isinstance(settings, Settings):
            return settings  # type: ignore[no-any-return]  # a verdict
        self.settings = settings
        lock = settings.lock_on(self.today)
        if lock is not None and self.integration.carries(DataType.INVOICES):
            parameters = {"lockDate": lock.isoformat(), "date": self.today.isoformat()}
            self._tell(FlawKind.PERIOD, FailureCode.PERIOD_LOCKED, parameters)
        return None

    def _rights(self) -> Part:
        """Whether each kind of record may be read at all; to write cannot be tried."""
        for data_type, path in _READ_FOR.items():
            if self.integration.carries(data_type):
                page = yield from read_page(self.books, requests.listed(path))
                if isinstance(page, Stop):
                    return page
        return None

    def _numbers(self) -> Part:
        ranges: tuple[NumberRange, ...] | Stop
        ranges = yield reference_data.customer_ranges(self.books, lambda _found: True)
        if isinstance(ranges, Stop):
            return ranges
        for number in self.needs.customer_numbers:
            entity = f"{EntityType.CUSTOMER}/{number}"
            if not is_number(number):
                code = FailureCode.CUSTOMER_NUMBER_NOT_NUMERIC
                self._tell(FlawKind.NUMBER_SERIES, code, {"number": number}, entity)
            elif not any(series.first <= int(number) <= series.last for series in ranges):
                parameters = {
                    "number": number,
                    "from": str(min(series.first for series in ranges)),
                    "to": str(max(series.last for series in ranges)),
                }
                code = FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE
                self._tell(FlawKind.NUMBER_SERIES, code, parameters, entity)
        return None

    def _accounts(self) -> Part:
        wanted = {need.line.account.number.strip(): need.entity for need in self.needs.lines}
        rounding = self.integration.rounding_account
        named = (*self.needs.accounts, *([rounding] if rounding else ()))
        for number, entity in (wanted | {n.strip(): "" for n in named if n not in wanted}).items():
            account: Account | Stop | None = None
            if is_number(number):
                account = yield reference_data.account(self.books, number)
            if isinstance(account, Stop):
                return account
            if account is None:
                code = FailureCode.ACCOUNT_UNKNOWN
            elif account.locked:
                code = FailureCode.ACCOUNT_LOCKED
            else:
                continue
            self._tell(FlawKind.ACCOUNT, code, {"account": number}, entity)
        return None

    def _vat_codes(self) -> Part:
        wanted = _vat_needs(self.needs.lines)
        if not wanted and not self.needs.vat_codes:
            return None
        types: tuple[VatType, ...] | Stop
        types = yield reference_data.vat_types(self.books, lambda _found: True)
        if isinstance(types, Stop):
            return types
        for (code, percent), need in wanted.items():
            self._vat_code(types, code, percent, need.day, need.entity)
        for code in dict.fromkeys(self.needs.vat_codes):
            self._vat_code(types, code.strip(), None, self.today, "")
        return None

    def _vat_code(
        self,
        types: tuple[VatType, ...],
        code: str,
        percent: Decimal | None,
        day: date,
        entity: str,
    ) -> None:
        """Say what a delivery of that day would be refused for (contract 5)."""
        vat_type = of_code(types, code, day)
        booked = vat_type.percent_on(day) if vat_type is not None else None
        named = {"vatCode": code}
        if vat_type is None:
            self._tell(FlawKind.VAT_CODE, FailureCode.VAT_CODE_UNKNOWN, named, entity)
            return
        dated = named | {"date": day.isoformat()}
        if booked is None:
            self._tell(FlawKind.VAT_CODE, FailureCode.VAT_CODE_NOT_VALID, dated, entity)
        elif percent is not None and percent != booked:
            rates = {"vatPercent": plain(percent), "booksPercent": plain(booked)}
            self._tell(FlawKind.VAT_CODE, FailureCode.VAT_RATE_DIFFERS, dated | rates, entity)

    def _currencies(self) -> Part:
        base_id = self.settings.base_currency_id if self.settings else None
        for need in self.needs.currencies:
            found: int | Stop | None = yield reference_data.currency(self.books, need.code)
            if isinstance(found, Stop):
                return found
            named = {"currency": need.code}
            if found is None:
                self._tell(FlawKind.CURRENCY, FailureCode.CURRENCY_UNKNOWN, named, need.entity)
            elif not need.rated and (found != base_id if base_id else need.code != NORWEGIAN_KRONE):
                base = ""
                if base_id:
                    base = yield from reference_data.currency_code(self.books, base_id)
                parameters = named | {"baseCurrency": base or NORWEGIAN_KRONE}
                code = FailureCode.CURRENCY_RATE_MISSING
                self._tell(FlawKind.CURRENCY, code, parameters, need.entity)
        return None


def _vat_needs(lines: tuple[LineNeed, ...]) -> dict[tuple[str, Decimal | None], LineNeed]:
    """Each code and rate with the newest line that has them."""
    found: dict[tuple[str, Decimal | None], LineNeed] = {}
    for need in lines:
        key = ((need.line.effective_vat_code or "").strip(), need.line.vat_percent)
        known = found.get(key)
        if known is None or known.day < need.day:
            found[key] = need
    return found
