"""The ledger's side of `verify`, and what it remembers of the books: bounded, a page at a time."""

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable
from datetime import date
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec

from schemas.events import EntityType
from streams.ledger import recorded
from streams.ledger.recorded import Recorded

RECORDS_A_QUERY: Final = 500

Ask = Callable[[Callable[[Any], Any]], Any]  # a query of the ledger, run


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which invoices count, by their date, both ends included; None is open."""

    first: date | None = None
    last: date | None = None

    def holds(self, day: date | None) -> bool:
        """Whether an invoice of that day counts; one of an unknown day does."""
        if day is None:
            return True
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


class Marks:
    """Numbers that were met, eight bytes each."""

    def __init__(self) -> None:
        self._marks = array("Q")

    def add(self, number: str) -> None:
        """Mark a number; any number of times."""
        self._marks.append(_mark(number))

    def seal(self) -> None:
        """Put them in order: from now on they can be looked for."""
        self._marks = array("Q", sorted(self._marks))

    def __contains__(self, number: str) -> bool:
        mark = _mark(number)
        place = bisect_left(self._marks, mark)
        return place < len(self._marks) and self._marks[place] == mark


def _mark(number: str) -> int:
    return int.from_bytes(blake2b(number.encode(), digest_size=8).digest())


class Series:
    """The invoice numbers that are ours, as ranges: one for each way that they are written."""

    def __init__(self) -> None:
        self._ranges: dict[str, tuple[str, str]] = {}

    def add(self, number: str) -> None:
        """Take in one of ours."""
        least, most = self._ranges.get(_shape(number), (number, number))
        self._ranges[_shape(number)] = (min(least, number), max(most, number))

    def holds(self, number: str) -> bool:
        """Whether a number is written like ours and lies between two of ours."""
        least, most = self._ranges.get(_shape(number), ("", ""))
        return bool(least) and least <= number <= most


def _shape(number: str) -> str:
    return re.sub(r"[0-9]", "0", number)


class Source(Protocol):
    """What the ledger has of one entity type."""

    def by_number(self, numbers: Iterable[str]) -> dict[str, Recorded]:
        """Those of these numbers that are in the books."""

    def after(self, number: str) -> list[Recorded]:
        """The next ones, in order; empty behind the last."""


class Entities:
    """Customers, or projects, of an integration. A `Source`."""

    def __init__(self, ask: Ask, integration: str, entity_type: EntityType) -> None:
        self._ask = ask
        self._of = (integration, entity_type)

    def by_number(self, numbers: Iterable[str]) -> dict[str, Recorded]:
        """Those of these numbers that are in the books."""
        wanted = list(numbers)
        found: dict[str, Recorded] = self._ask(
            lambda connection: recorded.entities_by_number(connection, *self._of, wanted)
        )
        return found

    def after(self, number: str) -> list[Recorded]:
        """The next ones, in order; empty behind the last."""
        found: list[Recorded] = self._ask(
            lambda connection: recorded.entities_after(
                connection, *self._of, number, RECORDS_A_QUERY
            )
        )
        return found


class Bookings:
    """Invoices booked in books of this identity. A `Source`."""

    def __init__(self, ask: Ask, identity: str) -> None:
        self._ask = ask
        self._identity = identity

    def by_number(self, numbers: Iterable[str]) -> dict[str, Recorded]:
        """Those of these numbers that are in the books."""
        wanted = list(numbers)
        found: dict[str, Recorded] = self._ask(
            lambda connection: recorded.bookings_by_number(connection, self._identity, wanted)
        )
        return found

    def after(self, number: str) -> list[Recorded]:
        """The next ones, in order; empty behind the last."""
        found: list[Recorded] = self._ask(
            lambda connection: recorded.bookings_after(
                connection, self._identity, number, RECORDS_A_QUERY
            )
        )
        return found
