"""The texts of a voucher, in the language of the books. Pure.

Texts are shortened on purpose, with a warning; numbers never are.
"""

from typing import Final

import msgspec

from connectors.sparebank1.mapping import InvoiceContent, LineContent
from schemas.events import InvoiceKind
from schemas.failures import Notable, WarningCode

ENTRY_MAX: Final = 200
LINE_MAX: Final = 500
# Characters of a Description (contract sparebank1-regnskap 4.3).

_CUT: Final = "…"


class Texts(msgspec.Struct, frozen=True, kw_only=True):
    """Descriptions of the entry, of its customer line, and of the booked lines by their index."""

    entry: str
    customer: str
    lines: dict[int, str]
    warnings: tuple[Notable, ...]


def voucher_texts(content: InvoiceContent, booked: tuple[int, ...]) -> Texts:
    """All texts. Lines without an amount lend theirs to the booked line before them, or after."""
    head = heading(content)
    whole = f"{head}: {content.description}" if content.description else head
    entry, customer = _cut(whole, ENTRY_MAX), _cut(whole, LINE_MAX)
    warnings = [] if entry == whole else [_shortened("$.description", ENTRY_MAX)]
    lines: dict[int, str] = {}
    for index in booked:
        line = content.lines[index]
        lines[index] = line_text(line)
        if len(lines[index]) < len(_line_in_full(line)):
            warnings.append(_shortened(f"$.lines[{index}].description", LINE_MAX))
    for index, line in enumerate(content.lines):
        if index in lines or not line.text or not booked:
            continue
        host = max((at for at in booked if at < index), default=booked[0])
        with_text = f"{lines[host]}; {line.text}" if host < index else f"{line.text}; {lines[host]}"
        if len(with_text) <= LINE_MAX:
            lines[host] = with_text
        else:
            warnings.append(_shortened(f"$.lines[{index}].description", LINE_MAX))
    return Texts(entry=entry, customer=customer, lines=lines, warnings=tuple(warnings))


def heading(content: InvoiceContent) -> str:
    """Kind and number, what a credit note credits, and the KID (contract 4.6, 12.3)."""
    if content.kind is InvoiceKind.CREDIT_NOTE:
        text = f"Kreditnota {content.number}"
        if content.credited:
            text += f" til faktura {content.credited}"
    else:
        text = f"Faktura {content.number}"
    if content.payment_id and content.payment_id != content.number:
        text += f", KID {content.payment_id}"
    return text


def line_text(line: LineContent) -> str:
    """The line's text with quantity and unit, which a journal has no field for (interface 2)."""
    quantity = _quantity(line)
    if not line.text:
        return _cut(quantity, LINE_MAX)
    return f"{_cut(line.text, max(LINE_MAX - len(quantity) - 2, 0))}, {quantity}"[:LINE_MAX]


def _line_in_full(line: LineContent) -> str:
    return f"{line.text}, {_quantity(line)}" if line.text else _quantity(line)


def _quantity(line: LineContent) -> str:
    return f"{line.quantity} {line.unit}".rstrip()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - len(_CUT), 0)] + _CUT


def _shortened(field: str, limit: int) -> Notable:
    return Notable(
        code=WarningCode.TEXT_SHORTENED, parameters={"field": field, "limit": str(limit)}
    )
