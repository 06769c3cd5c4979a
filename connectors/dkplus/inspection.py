"""What stands in the way of the first invoice in DK+, found by reading alone."""

from collections.abc import Generator
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from connectors.dkplus import responses, wire
from connectors.dkplus.amounts import has_amount
from connectors.dkplus.books_reading import page_request
from connectors.dkplus.drafting import item_code
from connectors.dkplus.products import (
    MAX_ITEM_CODE,
    PRODUCT_KEY,
    RATE_TOLERANCE,
    read_product,
)
from connectors.dkplus.reference_data import base_currency, is_exempt, sales_person
from connectors.inspection import Flaw, FlawKind, Inspected, LineNeed, Needs, flaw_of
from connectors.integrations import DATA_TYPE, DataType, Integration
from connectors.port import Flow, Hold, Look, Retry, Step
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode, plain

Part = Generator[Step, Any, responses.ReadFailure | None]


def inspect(integration: Integration, needs: Needs, now: datetime) -> Flow:
    """Ask the books for all that is needed. Returns `Inspected`.

    A missing product is no flaw: it is created with the rate of the line (contract dkplus A11.8).
    """
    return (yield from _Inspection(integration, needs, now).run())


class _Inspection:
    """One inspection: what is asked for, and what was found so far."""

    def __init__(self, integration: Integration, needs: Needs, now: datetime) -> None:
        self.integration = integration
        self.needs = needs
        self.now = now
        self.flaws: list[Flaw] = []

    def run(self) -> Generator[Step, Any, Inspected]:
        parts = [(FlawKind.COMPANY, self._company()), (FlawKind.COMPANY, self._rights())]
        if self.integration.carries(DataType.INVOICES):
            parts.append((FlawKind.SALES_PERSON, self._sales_person()))
            parts.append((FlawKind.ITEM_CODE, self._item_codes()))
        for kind, part in parts:
            verdict = yield from responses.question(part)
            if verdict is None:
                continue
            if isinstance(verdict, Retry):
                return verdict
            self.flaws.append(flaw_of(verdict, kind))
            if isinstance(verdict, Hold):
                break  # what concerns the whole integration would be said of every part
        return tuple(self.flaws)

    def _tell(
        self, kind: FlawKind, code: FailureCode, parameters: dict[str, str], entity: str = ""
    ) -> None:
        failure = Failure(code=code, parameters=parameters)
        self.flaws.append(Flaw(kind=kind, failure=failure, entity=entity))

    def _company(self) -> Part:
        """Token, company, and invoices in another currency than the company's without a rate."""
        base = yield from base_currency(self.now)
        if not isinstance(base, str):
            return base  # type: ignore[no-any-return]  # a verdict
        for need in self.needs.currencies:
            if not need.rated and need.code != base:
                parameters = {"currency": need.code, "baseCurrency": base}
                code = FailureCode.CURRENCY_RATE_MISSING
                self._tell(FlawKind.CURRENCY, code, parameters, need.entity)
        return None

    def _rights(self) -> Part:
        """Whether each kind of record may be read at all; to write cannot be tried."""
        for entity_type in EntityType:
            if self.integration.carries(DATA_TYPE[entity_type]):
                request = page_request(entity_type, 1, None, count=1)
                rows = yield from responses.read(request, wire.ANYTHING, self.now)
                if isinstance(rows, responses.ReadFailure):
                    return rows
        return None

    def _sales_person(self) -> Part:
        number = self.integration.sales_person
        found = yield from sales_person(number, self.now)
        if found is None:
            code = FailureCode.SALES_PERSON_UNKNOWN
            self._tell(FlawKind.SALES_PERSON, code, {"salesPerson": number})
            return None
        return None if isinstance(found, str) else found

    def _item_codes(self) -> Part:
        groups: dict[str, list[LineNeed]] = {code.strip().lower(): [] for code in self._named()}
        for need in self.needs.lines:
            code = self._code_of(need)
            if code is not None:
                groups.setdefault(code.lower(), []).append(need)
        for product, group in groups.items():
            fetch = partial(_fetch, product, self.now)
            record = yield Look(f"{PRODUCT_KEY}{product}", fetch)
            if record is None:
                self._missing(product, group)
            elif not isinstance(record, wire.ProductRecord):
                return record  # type: ignore[no-any-return]  # a verdict
            else:
                failure = yield from self._rates(product, group, record)
                if failure is not None:
                    return failure
        return None

    def _named(self) -> list[str]:
        """The codes that a person named, but for those that no product can have."""
        for code in self.needs.item_codes:
            if len(code) > MAX_ITEM_CODE:
                self._too_long(code, "")
        return [code for code in self.needs.item_codes if len(code) <= MAX_ITEM_CODE]

    def _code_of(self, need: LineNeed) -> str | None:
        sources = self.integration.item_code_sources
        found = item_code(need.line, sources)
        if found is None:
            if has_amount(need.line):
                listed = ", ".join(source.value for source in sources)
                parameters = {"line": str(need.index + 1), "sources": listed}
                code = FailureCode.ITEM_CODE_MISSING
                self._tell(FlawKind.ITEM_CODE, code, parameters, need.entity)
            return None
        if len(found[0]) > MAX_ITEM_CODE:
            self._too_long(found[0], need.entity)
            return None
        return found[0]

    def _too_long(self, code: str, entity: str) -> None:
        parameters = {"itemCode": code, "limit": str(MAX_ITEM_CODE)}
        self._tell(FlawKind.ITEM_CODE, FailureCode.ITEM_CODE_TOO_LONG, parameters, entity)

    def _missing(self, product: str, group: list[LineNeed]) -> None:
        """A product that is not there and cannot be created with one rate."""
        unsaid = [need for need in group if need.line.vat_percent is None]
        if unsaid or not group:
            entity = unsaid[0].entity if unsaid else ""
            parameters = {"itemCode": product}
            self._tell(FlawKind.ITEM_CODE, FailureCode.VAT_PERCENT_MISSING, parameters, entity)
            return
        # At 0 % the customer may be without VAT, which says nothing of the product.
        taxed = [need for need in group if need.line.vat_percent]
        for need in taxed[1:]:
            if need.line.vat_percent != taxed[0].line.vat_percent:
                rate, other = (one.line.vat_percent or Decimal(0) for one in (need, taxed[0]))
                self._differs(product, plain(rate), plain(other), need.entity)
                return

    def _rates(self, product: str, group: list[LineNeed], record: wire.ProductRecord) -> Part:
        books = record.tax_percent
        for need in group:
            rate = need.line.vat_percent
            if rate is None or books is None or abs(rate - books) < RATE_TOLERANCE:
                continue
            if not rate:
                exempt = yield from is_exempt(need.customer_number, self.now)
                if exempt is True:
                    continue
                if exempt is not None:
                    return exempt  # type: ignore[no-any-return]  # a verdict
            self._differs(product, plain(rate), plain(books), need.entity)
        return None

    def _differs(self, product: str, rate: str, books: str, entity: str) -> None:
        parameters = {"itemCode": product, "vatPercent": rate, "booksPercent": books}
        self._tell(FlawKind.ITEM_CODE, FailureCode.PRODUCT_VAT_DIFFERS, parameters, entity)


def _fetch(product: str, now: datetime) -> Flow:
    return (yield from responses.question(read_product(product, now)))
