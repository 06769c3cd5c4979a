"""The books on disk: one JSON object a line, appended before the answer goes out.

A restart reads them all again; of a last line that was cut off nothing is believed. What had not
been committed when the process ended (commit later) is gone, as in a dk that was shut down.
"""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from connectors.dkplus.simulator.books import (
    Books,
    Invoice,
    Series,
    Standing,
    Violation,
)

_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_TENTH = Decimal("0.1")


class Keeper:
    """Appends to one file. Blocks for the length of a write; the page cache outlives us."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def restore(self, books: Books) -> bool:
        """Bring the books to where the file left them; False where it holds nothing of them."""
        lines = [line for line in self._lines() if line["company"] == books.name]
        for line in lines:
            _apply(books, line["kind"], line["value"])
        books.taken_changes()
        return bool(lines)

    def _lines(self) -> Iterator[dict[str, Any]]:
        if not self._path.exists():
            return
        for raw in self._path.read_bytes().split(b"\n"):
            try:
                yield _DECODER.decode(raw)
            except msgspec.DecodeError:
                continue  # the empty end, or a line that was cut off when the process died

    def keep(self, books: Books) -> None:
        """Write down what has changed in these books since the last time."""
        changes = books.taken_changes()
        if not changes:
            return
        with self._path.open("ab") as file:
            file.write(b"".join(_line(books.name, kind, value) for kind, value in changes))


def _line(company: str, kind: str, value: Any) -> bytes:
    plain = msgspec.to_builtins(value, builtin_types=(Decimal,))
    whole = {"company": company, "kind": kind, "value": _pointed(plain)}
    return _ENCODER.encode(whole) + b"\n"


def _pointed(value: Any) -> Any:
    """Whole decimals with a point, so that they are read again as decimals and not as ints."""
    if isinstance(value, Decimal):
        exponent = value.as_tuple().exponent
        return value.quantize(_TENTH) if isinstance(exponent, int) and exponent >= 0 else value
    if isinstance(value, dict):
        return {name: _pointed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_pointed(inner) for inner in value]
    return value


def _apply(books: Books, kind: str, value: Any) -> None:
    if kind in ("customer", "project", "product"):
        books.put(kind, value[0], value[1])
    elif kind == "gone":
        books.shelf(value[0]).pop(value[1], None)
    elif kind == "invoice":
        books.put_invoice(msgspec.convert(value, Invoice))
    elif kind == "violation":
        books.violations.append(msgspec.convert(value, Violation))
    elif kind == "forgiven":
        books.violations.clear()
    elif kind == "series":
        books.series = msgspec.convert(value, Series)
    elif kind == "standing":
        books.standing = msgspec.convert(value, Standing)
    elif kind == "asked":
        books.asked(value[0], asked=value[1])
    elif kind == "unproved":
        books.unproved(value[0], value[1])
