"""An invoice of Moment as lines of DK+, before anything is asked of DK+ (contract A4.1, A11).

Pure: what an event alone says of an invoice, its item codes, its texts, or why it is refused.
"""

import re
from decimal import Decimal

import msgspec

from connectors.dkplus.amounts import has_amount, quantity_and_price
from connectors.dkplus.mapping import canonical
from connectors.dkplus.products import MAX_ITEM_CODE, CodedLine
from connectors.integrations import Integration, ItemCodeSource, Language
from schemas.arithmetic import refuse_invoice
from schemas.events import Invoice, InvoiceKind, InvoiceLine
from schemas.failures import Failure, FailureCode, Notable, WarningCode, plain

MAX_REFERENCE = 20  # characters (contract dkplus A11.4)
MAX_TEXT2 = 2000  # characters (contract dkplus A4.1)

_REFERENCE = re.compile(rf"[A-Za-z0-9._~-]{{1,{MAX_REFERENCE}}}")
# They fit the rule of contract A11.4, but as a path segment they name another path.
_UNREACHABLE = frozenset({".", ".."})

_CREDITS = {
    Language.EN: "Credit note for invoice {number}",
    Language.NB: "Kreditnota for faktura {number}",
    Language.IS: "Kreditreikningur vegna reiknings {number}",
}


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """The lines that become lines of DK+, in order, and the texts of those that cannot.

    `lines` is empty where no line has an amount: then there is nothing to book.
    """

    lines: tuple[CodedLine, ...] = ()
    texts: tuple[str, ...] = ()


def draft(invoice: Invoice, sources: tuple[ItemCodeSource, ...]) -> Draft | Failure:
    """What of an invoice goes to DK+, or why the invoice is dead as it stands.

    A line without amount and without item code is only text; every other line needs a code.
    """
    failure = refuse_invoice(invoice) or _refuse_reference(invoice)
    if failure is not None:
        return failure
    if not any(has_amount(line) for line in invoice.lines):
        return Draft()
    lines: list[CodedLine] = []
    texts: list[str] = []
    for index, line in enumerate(invoice.lines):
        found = item_code(line, sources)
        if found is None:
            if has_amount(line):
                return _code_missing(index, sources)
            texts.append(line.book_text)
        elif len(found[0]) > MAX_ITEM_CODE:
            return _code_too_long(index, line, *found)
        else:
            lines.append(CodedLine(index=index, code=found[0], line=line))
    return Draft(lines=tuple(lines), texts=tuple(text for text in texts if text))


def item_code(
    line: InvoiceLine, sources: tuple[ItemCodeSource, ...]
) -> tuple[str, ItemCodeSource] | None:
    """The first code that the line has, in the order of the integration's sources, and which."""
    codes = {
        ItemCodeSource.PRODUCT_NUMBER: line.product_number,
        ItemCodeSource.EXTERNAL_REVENUE_CLASS: line.account.external_revenue_class,
        ItemCodeSource.VAT_CODE: line.effective_vat_code,
    }
    for source in sources:
        code = (codes[source] or "").strip()
        if code:
            return code, source
    return None


def head_text(invoice: Invoice, language: Language) -> str:
    """`Text1`: the description. A credit note begins with what it credits, which no cut reaches."""
    description = (invoice.description or "").strip()
    credited = invoice.credited_invoice_number
    if invoice.kind is not InvoiceKind.CREDIT_NOTE or not credited:
        return description
    credits_ = _CREDITS[language].format(number=credited)
    return f"{credits_}. {description}" if description else credits_


def side_text(texts: tuple[str, ...]) -> tuple[str, tuple[Notable, ...]]:
    """`Text2`: the lines that are only text, and a warning where they did not all fit."""
    text = "\n".join(texts)
    if len(text) <= MAX_TEXT2:
        return text, ()
    parameters = {"field": "Text2", "limit": str(MAX_TEXT2)}
    warning = Notable(code=WarningCode.TEXT_SHORTENED, parameters=parameters)
    return text[:MAX_TEXT2], (warning,)


def invoice_content(invoice: Invoice, integration: Integration) -> bytes:
    """Canonical JSON of what DK+ gets of an invoice.

    Without the words and codes that are the set-up's own (sales person, language): the same
    invoice stays the same when those change.
    """
    members = {
        "Reference": invoice.number,
        "Kind": invoice.kind.value,
        "Credits": invoice.credited_invoice_number or "",
        "Customer": invoice.customer_number,
        "Project": invoice.project_number or "",
        "Text": (invoice.description or "").strip(),
        "Date": invoice.invoice_date.isoformat(),
        "DueDate": (invoice.due_date or invoice.invoice_date).isoformat(),
        "Currency": invoice.currency_code.upper(),
        "Exchange": _text(invoice.currency_rate),
        "Lines": [_line_content(invoice, line, integration) for line in invoice.lines],
    }
    return canonical("invoice", members)


def _line_content(
    invoice: Invoice, line: InvoiceLine, integration: Integration
) -> dict[str, str | None]:
    quantity, price = quantity_and_price(invoice.kind, line)
    found = item_code(line, integration.item_code_sources)
    return {
        "ItemCode": found[0] if found else None,
        "Text": line.book_text,
        "Quantity": _text(quantity),
        "Price": _text(price),
        "Discount": _text(line.discount_percent),
        "Vat": None if line.vat_percent is None else _text(line.vat_percent),
    }


def _text(value: Decimal | None) -> str:
    return plain(value) if value else "0"


def _refuse_reference(invoice: Invoice) -> Failure | None:
    if _REFERENCE.fullmatch(invoice.number) and invoice.number not in _UNREACHABLE:
        return None
    return Failure(
        code=FailureCode.REFERENCE_INVALID,
        parameters={"number": invoice.number, "limit": str(MAX_REFERENCE)},
        field="$.number",
    )


def _code_missing(index: int, sources: tuple[ItemCodeSource, ...]) -> Failure:
    return Failure(
        code=FailureCode.ITEM_CODE_MISSING,
        parameters={
            "line": str(index + 1),
            "sources": ", ".join(source.value for source in sources),
        },
        field=f"$.lines[{index}].productNumber",
    )


def _code_too_long(index: int, line: InvoiceLine, code: str, source: ItemCodeSource) -> Failure:
    member = {
        ItemCodeSource.PRODUCT_NUMBER: "productNumber",
        ItemCodeSource.EXTERNAL_REVENUE_CLASS: "account.externalRevenueClass",
        ItemCodeSource.VAT_CODE: "vatCode" if line.vat_code else "account.vatCode",
    }[source]
    return Failure(
        code=FailureCode.ITEM_CODE_TOO_LONG,
        parameters={"itemCode": code, "limit": str(MAX_ITEM_CODE)},
        field=f"$.lines[{index}].{member}",
    )
