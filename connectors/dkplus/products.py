"""Products that invoice lines name: looked up, compared, created where missing (contract A11.8)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import msgspec

from connectors.dkplus import requests, responses, wire
from connectors.dkplus.amounts import shown
from connectors.dkplus.reference_data import is_exempt
from connectors.port import Answer, Flow, Forget, Intent, Look, Refused, Unsure, Write
from schemas.events import InvoiceLine
from schemas.failures import Failure, FailureCode, Notable, WarningCode, plain

CREATE = "product.create"
PRODUCT_KEY = "product:"

MAX_ITEM_CODE = 20  # characters; DK+ cuts a longer one without a word (contract dkplus A5)
MAX_DESCRIPTION = 40  # characters; the same
# Percentage points: DK+ sends doubles; two rates that are closer than this are one.
RATE_TOLERANCE = Decimal("0.005")


class CodedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line that goes to DK+ as a line: its place in the event, and its item code."""

    index: int
    code: str
    line: InvoiceLine

    @property
    def product(self) -> str:
        """The item code as codes are compared: in lower case (contract dkplus A11.8)."""
        return self.code.lower()

    @property
    def vat_path(self) -> str:
        """The path of the line's VAT rate in the event."""
        return f"$.lines[{self.index}].vatPercent"


class Products(msgspec.Struct, frozen=True, kw_only=True):
    """Every product of an invoice is in the books: compared code → code as DK+ writes it."""

    codes: dict[str, str]
    warnings: tuple[Notable, ...] = ()


class _Context(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the invoice is for, and when."""

    customer_number: str
    now: datetime


Groups = dict[str, list[CodedLine]]


def ensure_products(lines: Sequence[CodedLine], customer_number: str, now: datetime) -> Flow:
    """See that every product is in the books at the line's VAT rate; create what is missing.

    Returns `Products`, or a verdict. Everything is looked up and compared before anything is
    created: a refused invoice leaves no product behind.
    """
    context = _Context(customer_number=customer_number, now=now)
    groups: Groups = {}
    for line in lines:
        groups.setdefault(line.product, []).append(line)
    codes: dict[str, str] = {}
    for product, group in groups.items():
        record = yield from _compared(product, group, context)
        if isinstance(record, wire.ProductRecord):
            codes[product] = wire.text_of(record.item_code) or product
        elif record is not None:
            return record
    missing = {product: group for product, group in groups.items() if product not in codes}
    for group in missing.values():
        refusal = _cannot_be_created(group)
        if refusal is not None:
            return refusal
    warnings: tuple[Notable, ...] = ()
    for product, group in missing.items():
        record = yield from _create(product, group, context)
        if not isinstance(record, wire.ProductRecord):
            return record
        codes[product] = wire.text_of(record.item_code) or product
        warnings += _shortened(description_of(group[0]))
    return Products(codes=codes, warnings=warnings)


def missing_product(lines: Sequence[CodedLine], now: datetime) -> Flow:
    """Read every product past the cache: the first code that is not there, None, or a failure."""
    yield Forget(PRODUCT_KEY)
    for product in dict.fromkeys(line.product for line in lines):
        record = yield Look(_key(product), _fetch(product, now))
        if record is None:
            return product
        if not isinstance(record, wire.ProductRecord):
            return record
    return None


def description_of(line: CodedLine) -> str:
    """What a new product is called: the product's name in Moment, else the line's text."""
    return line.line.product_name or line.line.description or line.code


def read_product(product: str, now: datetime | None) -> Flow:
    """The product's record, None where there is none, or a `ReadFailure`.

    `product` is in lower case. Another product's record is no answer to the question.
    """
    record = yield from responses.read(requests.get_product(product), wire.PRODUCT, now)
    if isinstance(record, wire.ProductRecord):
        code = wire.text_of(record.item_code)
        if code.lower() != product:
            return responses.not_understood(Answer(status=HTTPStatus.OK, body=code.encode()))
    return record


def _key(product: str) -> str:
    return f"{PRODUCT_KEY}{product}"


def _fetch(product: str, now: datetime) -> Callable[[], Flow]:
    """What a `Look` fetches: the product's record, None, or a verdict."""
    return lambda: responses.question(read_product(product, now))


def _agrees(record: wire.ProductRecord, line: CodedLine) -> bool:
    """Whether the product's rate is the line's; what either leaves open cannot differ."""
    rate = line.line.vat_percent
    if rate is None or record.tax_percent is None:
        return True
    return abs(rate - record.tax_percent) < RATE_TOLERANCE


def _compared(product: str, group: list[CodedLine], context: _Context) -> Flow:
    """The product where its rate is that of every line, None where it is missing, or a verdict."""
    record = yield Look(_key(product), _fetch(product, context.now))
    if not isinstance(record, wire.ProductRecord) or all(_agrees(record, line) for line in group):
        return record
    return (yield from _at_fresh_rate(product, group, context))


def _at_fresh_rate(product: str, group: list[CodedLine], context: _Context) -> Flow:
    """The same where the rates differ: nothing is refused from a remembered rate."""
    taxed = [line for line in group if line.line.vat_percent != 0]
    exempt = None
    if len(taxed) < len(group):
        exempt = yield from is_exempt(context.customer_number, context.now)
        if exempt is not None and exempt is not True:
            return exempt
    judged = taxed if exempt else group
    record = yield Look(
        _key(product),
        _fetch(product, context.now),
        lambda cached: all(_agrees(cached, line) for line in judged),
    )
    if not isinstance(record, wire.ProductRecord):
        return record
    return _refusal_of_rate(record, judged) or record


def _refusal_of_rate(record: wire.ProductRecord, lines: Sequence[CodedLine]) -> Refused | None:
    for line in lines:
        if not _agrees(record, line):
            return _differs(line, record.tax_percent)
    return None


def _differs(line: CodedLine, books: Decimal | None) -> Refused:
    parameters = {
        "itemCode": line.code,
        "vatPercent": plain(line.line.vat_percent or Decimal(0)),
        "booksPercent": shown(books or Decimal(0)),
    }
    return Refused(
        failure=Failure(
            code=FailureCode.PRODUCT_VAT_DIFFERS, parameters=parameters, field=line.vat_path
        )
    )


def _cannot_be_created(group: list[CodedLine]) -> Refused | None:
    """Why a missing product has no one rate: a line without it, or lines that disagree."""
    first = group[0]
    for line in group:
        if line.line.vat_percent is None:
            failure = Failure(
                code=FailureCode.VAT_PERCENT_MISSING,
                parameters={"itemCode": line.code},
                field=line.vat_path,
            )
            return Refused(failure=failure)
        if line.line.vat_percent != first.line.vat_percent:
            return _differs(line, first.line.vat_percent)
    return None


def _members(line: CodedLine) -> dict[str, Any]:
    """The body that creates a product (contract dkplus A5, its example)."""
    return {
        "ItemCode": line.product,
        "Description": description_of(line)[:MAX_DESCRIPTION],
        "TaxPercent": requests.number(line.line.vat_percent or Decimal(0)),
        "AllowDiscount": True,
        "AllowNegativeInventiry": True,  # dk's spelling; hours and expenses are never in stock
        "ShowItemInWebShop": False,
        "Inactive": False,
    }


def _create(product: str, group: list[CodedLine], context: _Context) -> Flow:
    """Create a product. Returns its record or a verdict.

    After any 4xx, and after a 200 that names no product, the books are asked again: somebody may
    have been quicker (contract dkplus A5, A11.7).
    """
    intent = Intent(kind=CREATE, key=product)
    answer = yield Write(requests.create_product(_members(group[0])), intent)
    failure = responses.failed_write(answer, intent, context.now)
    if failure is not None:
        return failure
    yield Forget(_key(product))
    record = wire.decoded(answer.body, wire.PRODUCT) if answer.ok else None
    if answer.ok and record is None:
        return responses.uncertain(intent, answer)
    if record is None or wire.text_of(record.item_code).lower() != product:
        record = yield from responses.look_up(read_product(product, context.now))
        if record is None:
            return _not_created(intent, answer)
    if not isinstance(record, wire.ProductRecord):
        return record
    return _refusal_of_rate(record, group) or record


def _not_created(intent: Intent, answer: Answer) -> Refused | Unsure:
    if answer.ok:
        return responses.uncertain(intent, answer)
    return responses.refused_by_system(answer)


def _shortened(description: str) -> tuple[Notable, ...]:
    if len(description) <= MAX_DESCRIPTION:
        return ()
    parameters = {"field": "Description", "limit": str(MAX_DESCRIPTION)}
    return (Notable(code=WarningCode.TEXT_SHORTENED, parameters=parameters),)
