"""What took place in the simulated books, in order, from the files that they are kept in.

Each simulator appends every change to one file before it answers, across its own restarts: that
is a log of operations that nobody else writes. A line's place is its offset in the file.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.ops.chaos.record import Operation
from streams.ops.demo.companies import Books, Kind

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
# How the events of a run number the states of an entity, at the end of its name.
_VERSION: Final = re.compile(r" v(\d+)$")


def read_operations(paths: Mapping[Kind, Path], books: Sequence[Books]) -> list[Operation]:
    """Every operation on customers, projects and invoices, system by system, oldest first."""
    return [
        operation
        for kind, path in paths.items()
        for operation in _read(kind, path, [one for one in books if one.kind is kind])
    ]


def _read(kind: Kind, path: Path, books: Sequence[Books]) -> Iterator[Operation]:
    """Line by line: the log of a long run is hundreds of megabytes."""
    with path.open("rb") as log:
        yield from operations_of(kind, log, books)


def operations_of(kind: Kind, log: Iterable[bytes], books: Sequence[Books]) -> Iterator[Operation]:
    """The operations of one system's log, line by line. A line that was cut off is none."""
    ids = {one.key.lower(): one.id for one in books}
    read = _Sparebank1() if kind is Kind.SPAREBANK1 else _DkPlus()
    place = 0
    for raw in log:
        place += len(raw)
        try:
            line = _DECODER.decode(raw)
        except msgspec.DecodeError:
            continue
        integration = ids.get(str(line.get("company", "")).lower())
        found = read.entity(line) if integration is not None else None
        if found is not None and integration is not None:
            entity, version = found
            yield Operation(place=place, integration=integration, entity=entity, version=version)


class _DkPlus:
    """Whole records under their kind; an invoice under the reference that it was sent with."""

    def __init__(self) -> None:
        self._booked: set[tuple[str, int]] = set()

    def entity(self, line: Mapping[str, Any]) -> tuple[str, int | None] | None:
        kind, value = line.get("kind"), line.get("value")
        if kind in ("customer", "project") and isinstance(value, list):
            return f"{kind}/{value[0]}", _version(value[1].get("Name"))
        if kind == "invoice" and isinstance(value, dict) and value["number"] is not None:
            mark = (str(line["company"]), int(value["recordId"]))
            if mark not in self._booked:  # it is written again when something touches it
                self._booked.add(mark)
                return f"invoice/{value['reference']}", None
        return None


class _Sparebank1:
    """Rows of tables. A customer is its sub-account, which follows number and name."""

    def __init__(self) -> None:
        self._booked: set[tuple[str, int]] = set()

    def entity(self, line: Mapping[str, Any]) -> tuple[str, int | None] | None:
        table, row = line.get("entity"), line.get("row")
        if not isinstance(row, dict):
            return None
        if table == "Account" and row.get("CustomerID") is not None:
            return f"customer/{row['AccountNumber']}", _version(row.get("AccountName"))
        if table == "Project" and row.get("ProjectNumber"):
            return f"project/{row['ProjectNumber']}", _version(row.get("Name"))
        if table == "JournalEntryLine" and row.get("InvoiceNumber"):
            mark = (str(line["company"]), int(row["JournalEntryID"]))
            if mark not in self._booked:  # a voucher has many lines
                self._booked.add(mark)
                return f"invoice/{row['InvoiceNumber']}", None
        return None


def _version(name: object) -> int | None:
    found = _VERSION.search(str(name or ""))
    return None if found is None else int(found[1])
