"""The data of an event: from JSON to a checked entity or a refusal that names its path.

The fast way is one typed decode and a pass over texts and decimals. Only where that fails is the
JSON read again without types: to tell what is no JSON at all from what is wrong data, and to take
enums in any letter case (interface section 2).

msgspec reads: it puts decimals into Decimal exactly, where orjson knows floats only. orjson
writes: it hands every Decimal to a function of ours, so that the canonical form (no exponent, no
trailing zeros, members in order) costs one pass, where msgspec writes `1E+2` as it stands.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import orjson

from schemas.checks import check_entity
from schemas.events import (
    Customer,
    CustomerStatus,
    Entity,
    EntityType,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
)
from schemas.failures import Failure, plain
from schemas.refusals import invalid, invalid_by, unreadable

DATA_TYPES: dict[EntityType, type[Customer | Project | Invoice]] = {
    EntityType.CUSTOMER: Customer,
    EntityType.PROJECT: Project,
    EntityType.INVOICE: Invoice,
}
_decoders = {kind: msgspec.json.Decoder(data) for kind, data in DATA_TYPES.items()}


def exact(text: str) -> Decimal:
    """A JSON number; what no Decimal can hold becomes NaN, which is refused at its path."""
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("NaN")


_untyped = msgspec.json.Decoder(float_hook=exact)


def decode_data(kind: EntityType, data: bytes) -> Entity | Failure:
    """The entity that JSON bytes describe, checked as interface section 2 says. Never raises.

    `event-unreadable`: not UTF-8, not JSON, nested too deeply. `event-invalid`: with `field`, the
    path of the member that is missing or wrong. Optional texts that are blank come out as None.
    """
    try:
        text = data.decode()
        entity: Entity = _decoders[kind].decode(data)
    except UnicodeDecodeError:
        return unreadable("not UTF-8")
    except msgspec.ValidationError as refusal:
        return _second_reading(kind, data, refusal)
    except msgspec.DecodeError as error:
        return unreadable(f"not JSON: {error}")
    except RecursionError:
        return unreadable("nested too deeply")
    if "\\u" in text or "_" in text or not text.isascii():
        # Only such a text can hold what the types let through.
        odd = _odd_refusal(kind, entity, data, text)
        if odd is not None:
            return odd
    return check_entity(entity)


def convert_data(kind: EntityType, tree: object) -> Entity | Failure:
    """The same for data already read into dicts and lists, decimals as text or Decimal.

    May change `tree` in place (letter case of enums).
    """
    try:
        entity: Entity = msgspec.convert(_with_canonical_enums(kind, tree), DATA_TYPES[kind])
    except msgspec.ValidationError as error:
        return invalid_by(error)
    odd = _odd_decimal(kind, tree) or _nul_in(data_tree(entity), "$")
    return odd if odd is not None else check_entity(entity)


def encode_data(entity: Entity) -> bytes:
    """Canonical JSON: members in order of name, nothing that is empty, decimals as plain text."""
    return orjson.dumps(data_tree(entity), default=canonical, option=orjson.OPT_SORT_KEYS)


def data_tree(entity: Entity) -> dict[str, Any]:
    """The entity as dicts and lists under its names on the wire; decimals stay Decimal."""
    tree: dict[str, Any] = msgspec.to_builtins(entity, builtin_types=(Decimal,))
    return tree


def canonical(value: Decimal) -> str:
    """A decimal by its value alone: 1E+2, 100 and 100.00 are `100`; there is no minus zero."""
    return plain(value) if value else "0"


def company_in(data: bytes) -> str | None:
    """The company that data names, where anything can be made out. Never raises."""
    try:
        tree = _untyped.decode(data)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return None
    company = tree.get("company") if isinstance(tree, dict) else None
    return company if isinstance(company, str) else None


def _second_reading(
    kind: EntityType, data: bytes, refusal: msgspec.ValidationError
) -> Entity | Failure:
    """Read without types what the typed decoder refused."""
    try:
        tree = _untyped.decode(data)
    except msgspec.ValidationError:
        return invalid_by(refusal)  # JSON, with a whole number longer than Python reads
    except msgspec.DecodeError as error:
        return unreadable(f"not JSON: {error}")
    except RecursionError:
        return unreadable("nested too deeply")
    return convert_data(kind, tree)


# --- enums in any letter case ----------------------------------------------------------------


def _by_lower_case(enum: type[Enum]) -> dict[str, str]:
    return {str(member.value).lower(): str(member.value) for member in enum}


_STATUS = _by_lower_case(CustomerStatus)
_STATE = _by_lower_case(ProjectState)
_KIND = _by_lower_case(InvoiceKind)
_PRODUCT_TYPE = _by_lower_case(ProductType)


def _with_canonical_enums(kind: EntityType, tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    if kind is EntityType.CUSTOMER:
        _recase(tree, "status", _STATUS)
    elif kind is EntityType.PROJECT:
        _recase(tree, "state", _STATE)
    else:
        _recase(tree, "kind", _KIND)
        for _, line in _lines_in(tree):
            _recase(line, "productType", _PRODUCT_TYPE)
    return tree


def _recase(members: dict[str, Any], name: str, canonical_by_lower: dict[str, str]) -> None:
    found = members.get(name)
    if isinstance(found, str) and found.isascii():
        members[name] = canonical_by_lower.get(found.lower(), found)


def _lines_in(tree: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = tree.get("lines")
    for index, line in enumerate(lines if isinstance(lines, list | tuple) else ()):
        if isinstance(line, dict):
            yield f"$.lines[{index}]", line


# --- what the types let through --------------------------------------------------------------

_DECIMALS = {
    struct: tuple(
        field.encode_name
        for field in msgspec.structs.fields(struct)
        if field.type in {Decimal, Decimal | None}
    )
    for struct in (Invoice, InvoiceLine)
}
# Decimal also takes `1_000` and the digits of other scripts; no producer means them.
_DECIMAL_TEXT = re.compile(r"\s*[0-9eE+.\-]+\s*")
_ODD_DECIMAL = re.compile(
    r'"(?:' + "|".join(sorted({n for names in _DECIMALS.values() for n in names})) + r')"'
    r'\s*:\s*"[^"]*[^0-9eE+.\-\s"]'
)


def _odd_refusal(kind: EntityType, entity: Entity, data: bytes, text: str) -> Failure | None:
    if "\\u0000" in text and (found := _nul_in(data_tree(entity), "$")) is not None:
        return found
    if kind is not EntityType.INVOICE or not _ODD_DECIMAL.search(text):
        return None
    try:
        return _odd_decimal(kind, _untyped.decode(data))
    except msgspec.ValidationError:
        return invalid("$", "holds a whole number that is too long")
    except (msgspec.DecodeError, RecursionError) as error:
        return unreadable(f"not JSON: {error}")


def _odd_decimal(kind: EntityType, tree: Any) -> Failure | None:
    if kind is not EntityType.INVOICE or not isinstance(tree, dict):
        return None
    places = [("$", tree, _DECIMALS[Invoice])]
    places += [(path, line, _DECIMALS[InvoiceLine]) for path, line in _lines_in(tree)]
    for path, members, names in places:
        for name in names:
            found = members.get(name)
            if isinstance(found, str) and not _DECIMAL_TEXT.fullmatch(found):
                return invalid(f"{path}.{name}", "not a decimal")
    return None


def _nul_in(value: Any, path: str) -> Failure | None:
    """PostgreSQL keeps no U+0000, and no name or number of Moment holds one."""
    if isinstance(value, str):
        return invalid(path, "holds the character U+0000") if "\0" in value else None
    members: Iterable[tuple[str, Any]] = ()
    if isinstance(value, dict):
        members = ((f"{path}.{name}", member) for name, member in value.items())
    elif isinstance(value, list | tuple):
        members = ((f"{path}[{index}]", member) for index, member in enumerate(value))
    return next((found for at, member in members if (found := _nul_in(member, at))), None)
