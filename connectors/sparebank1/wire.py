"""JSON as the platform speaks it: rows of unknown completeness, read member by member.

A row is kept as it came, every member of it, since what is read is sent back whole
(contract sparebank1-regnskap 12.4). Numbers with a point are exact decimals both ways.
"""

from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec

Row = dict[str, Any]

INT32_MAX: Final = 2_147_483_647
"""The platform's ids and numbers are int32 (contract sparebank1-regnskap 2.2, 4.4)."""

_ISO_DAY_CHARACTERS: Final = 10


class Unreadable(msgspec.Struct, frozen=True):
    """A body that is not JSON."""


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:
        return Decimal("NaN")


_DECODER: Final = msgspec.json.Decoder(float_hook=_exact)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_CANONICAL: Final = msgspec.json.Encoder(order="sorted")


def decode(body: bytes) -> Any | Unreadable:
    """The JSON value of a body; `Unreadable` for anything else. Never raises."""
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return Unreadable()


def encode(value: Any) -> bytes:
    """JSON for the wire: decimals are numbers with exactly the digits they have."""
    return _ENCODER.encode(value)


def encode_canonical(value: Any) -> bytes:
    """JSON to be compared byte for byte: members in order of name, decimals as text."""
    return _CANONICAL.encode(value)


def row_of(value: Any) -> Row | None:
    """The value if it is an object."""
    return value if isinstance(value, dict) else None


def rows_of(value: Any) -> list[Row] | None:
    """The value if it is an array of nothing but objects."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    return value


def integer(row: Row, name: str) -> int | None:
    """A whole number, also where it came as text: the 2019 description calls some a string."""
    value = row.get(name)
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value) if len(value) <= len(str(INT32_MAX)) else None
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value) if abs(value) <= INT32_MAX else None
    return None


def amount(row: Row, name: str) -> Decimal | None:
    """A finite decimal, from a number or from text."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        exact = Decimal(value)
    except ArithmeticError:
        return None
    return exact if exact.is_finite() else None


def text(row: Row, name: str) -> str:
    """A text; empty where there is none. A whole number is taken as its digits."""
    value = row.get(name)
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def day(row: Row, name: str) -> date | None:
    """A date, also where it came with a time."""
    try:
        return date.fromisoformat(text(row, name)[:_ISO_DAY_CHARACTERS])
    except ValueError:
        return None


def child(row: Row, name: str) -> Row | None:
    """An expanded related object that is there and not deleted."""
    value = row.get(name)
    return value if isinstance(value, dict) and value.get("Deleted") is not True else None


def children(row: Row, name: str) -> list[Row]:
    """An expanded list of related objects, without what is deleted or no object."""
    value = row.get(name)
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, dict) and item.get("Deleted") is not True]
