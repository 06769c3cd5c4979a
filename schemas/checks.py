"""What the types of event data do not say: blanks, decimals, lengths, at least one line.

Which members are texts, numbers or decimals is read from the structs, so that a new member is
checked without a word here.
"""

import re
from decimal import Decimal
from typing import TypeVar

import msgspec

from schemas.events import Account, Address, Customer, Entity, Invoice, InvoiceLine, Project
from schemas.failures import Failure, plain
from schemas.refusals import invalid

MAX_DIGITS = 18  # of a decimal, before and after the point together (interface section 2)
MAX_DECIMALS = 6  # digits after the point (interface section 2)
# Beyond this scale a decimal is refused unlooked at: some languages write a fixed scale of up to
# 20 with trailing zeros; more is no amount, and would cost memory to print.
MAX_SCALE = 24
# Longest company id or entity number, in characters: they are keys of the ledger, and PostgreSQL
# indexes at most 2,704 bytes.
MAX_NUMBER_CHARACTERS = 100

_NUMBERS = {"company", "number", "customerNumber", "projectNumber", "creditedInvoiceNumber"}
# Structs whose numbers name entities: `1001` and `1001 ` would be two for the ledger, and are one
# for an accounting system. A financial account is none, and its number may stand between blanks.
ENTITIES = (Customer, Project, Invoice)
# Characters without a picture at either end, those that break no line and have no width included;
# and control characters anywhere, one of which separates the parts of the ledger's keys.
_BLANK = r"\s\u200b\u2060\ufeff"
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
# The rule as JSON Schema has it; where the member may be absent, blank counts as absent.
NUMBER_PATTERN = rf"^(?![\s\S]*[{_CONTROL}])(?![{_BLANK}])[\s\S]*[^{_BLANK}]$"
OPTIONAL_NUMBER_PATTERN = rf"^\s*$|{NUMBER_PATTERN}"

_ends_blank = re.compile(rf"[{_BLANK}]|[\s\S]*[{_BLANK}]\Z").match
_has_control = re.compile(rf"[{_CONTROL}]").search

_S = TypeVar("_S", bound=msgspec.Struct)


class _Shape:
    """Members of a struct by kind: name in Python, and on the wire."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        fields = msgspec.structs.fields(struct)
        self.required = tuple((f.name, f.encode_name) for f in fields if f.type is str)
        self.optional = tuple(f.name for f in fields if f.type == str | None)
        self.decimals = tuple(
            (f.name, f.encode_name) for f in fields if f.type in {Decimal, Decimal | None}
        )
        texts = {str, str | None}
        self.numbers = tuple(
            (f.name, f.encode_name) for f in fields if f.type in texts and f.encode_name in _NUMBERS
        )
        self.names_entities = struct in ENTITIES


_SHAPES: dict[type, _Shape] = {
    struct: _Shape(struct) for struct in (Customer, Project, Invoice, InvoiceLine, Account, Address)
}


def check_entity(entity: Entity) -> Entity | Failure:
    """The entity with blank optional texts made None, or `event-invalid` with its path."""
    refusal = _refusal(entity, "$")
    if refusal is not None:
        return refusal
    if isinstance(entity, Customer) and entity.address is not None:
        address = _without_blanks(entity.address)
        if address is not entity.address:
            entity = msgspec.structs.replace(entity, address=address)
    elif isinstance(entity, Invoice):
        lines = _checked_lines(entity.lines)
        if isinstance(lines, Failure):
            return lines
        if lines is not entity.lines:
            entity = msgspec.structs.replace(entity, lines=lines)
    return _without_blanks(entity)


def decimal_refusal(value: Decimal) -> str | None:
    """Why a decimal is refused, or None. By value: trailing zeros do not count.

    Cheap for any exponent; what passes can be printed without exponent in under 50 characters.
    """
    whole, _, decimals = str(value).partition(".")
    short = len(decimals) <= MAX_DECIMALS and len(whole) + len(decimals) <= MAX_DIGITS
    if short and whole.removeprefix("-").isdigit() and (decimals or "0").isdigit():
        return None  # nearly every amount; exponents and what is no number go on below
    if not value.is_finite():
        return "not a finite number"
    scale = -int(value.as_tuple().exponent)
    integer_digits = max(value.adjusted() + 1, 1)
    if integer_digits > MAX_DIGITS or scale > MAX_SCALE:
        return f"more than {MAX_DIGITS} digits or {MAX_DECIMALS} decimals"
    if scale > MAX_DECIMALS or integer_digits + scale > MAX_DIGITS:
        scale = len(plain(value).partition(".")[2])
    if scale > MAX_DECIMALS:
        return f"more than {MAX_DECIMALS} decimals"
    return f"more than {MAX_DIGITS} digits" if integer_digits + scale > MAX_DIGITS else None


def number_refusal(number: str) -> str | None:
    """Why a company or the number of an entity is refused, or None."""
    if len(number) > MAX_NUMBER_CHARACTERS:
        return f"longer than {MAX_NUMBER_CHARACTERS} characters"
    if number.isalnum():
        return None  # nearly every number
    if _has_control(number):
        return "holds a control character"
    return "begins or ends with a blank" if _ends_blank(number) else None


def _refusal(struct: msgspec.Struct, path: str) -> Failure | None:
    shape = _SHAPES[type(struct)]
    for name, member in shape.required:
        if not getattr(struct, name).strip():
            return invalid(f"{path}.{member}", "empty")
    for name, member in shape.numbers:
        number = getattr(struct, name)
        if number is None or not number.strip():
            continue  # an optional one that is blank comes out as None
        if shape.names_entities:
            why_not = number_refusal(number)
            if why_not is not None:
                return invalid(f"{path}.{member}", why_not)
        elif len(number) > MAX_NUMBER_CHARACTERS:
            return invalid(f"{path}.{member}", f"longer than {MAX_NUMBER_CHARACTERS} characters")
    for name, member in shape.decimals:
        value = getattr(struct, name)
        if value is not None and (why := decimal_refusal(value)) is not None:
            return invalid(f"{path}.{member}", why)
    return None


def _checked_lines(lines: tuple[InvoiceLine, ...]) -> tuple[InvoiceLine, ...] | Failure:
    if not lines:
        return invalid("$.lines", "an invoice has at least one line")
    clean = []
    for index, line in enumerate(lines):
        path = f"$.lines[{index}]"
        refusal = _refusal(line, path) or _refusal(line.account, f"{path}.account")
        if refusal is not None:
            return refusal
        account = _without_blanks(line.account)
        if account is not line.account:
            line = msgspec.structs.replace(line, account=account)  # noqa: PLW2901 - the same line
        clean.append(_without_blanks(line))
    changed = any(old is not new for old, new in zip(lines, clean, strict=True))
    return tuple(clean) if changed else lines


def _without_blanks(struct: _S) -> _S:
    """The same struct where no optional text is blank, which is nearly always."""
    blank: dict[str, None] = {}
    for name in _SHAPES[type(struct)].optional:
        text = getattr(struct, name)
        if text is not None and not text.strip():
            blank[name] = None
    return msgspec.structs.replace(struct, **blank) if blank else struct
