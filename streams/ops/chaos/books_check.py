"""The books of a history: everything once, in order, and as it was meant. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from streams.ops.chaos.allowances import Allowances
from streams.ops.chaos.record import Emitted, Fate, History, Operation, Violation
from streams.ops.demo.books_read import FoundBooks
from streams.ops.demo.companies import Books, Kind
from streams.ops.demo.expectations import Booking, Fields

# A line's net amount is taken back out of its gross amount in a journal: a cent may move.
LINE_TOLERANCE: Final = Decimal("0.01")
# A restored ledger has forgotten that a post was in doubt: it looks once, as design section 6
# asks of every booking after a restore, and the simulator's judge can know nothing of that.
FORGIVEN_AFTER_RESTORE: Final = frozenset({"repost-after-one-look-up"})


def check_books(history: History) -> Iterator[Violation]:
    """Everything in the books that must not be so, and all that is missing in them."""
    for books in history.integrations:
        found = history.books.get(books.id)
        if found is None:
            yield Violation(kind="missing", text=f"{books.id}: the books could not be read")
            continue
        for kind, text in _Shelf(history, books, found).violations():
            yield Violation(kind=kind, text=f"{books.id}: {text}")
    yield from _noted(history)


class _Shelf:
    """One integration's books against the events that were meant for them."""

    def __init__(self, history: History, books: Books, found: FoundBooks) -> None:
        self.books = books
        self.found = found
        self.system = books.kind.value
        self.allowed = Allowances(history.mischief)
        self.restores = self.allowed.restores
        self.meant: dict[str, list[tuple[Emitted, Fate]]] = defaultdict(list)
        for one in history.emitted:
            fate = one.fates.get(books.id)
            if fate is not None and not one.duplicate:
                self.meant[one.entity].append((one, fate))
        self.operations: dict[str, list[Operation]] = defaultdict(list)
        for operation in history.operations:
            if operation.integration == books.id:
                self.operations[operation.entity].append(operation)

    def violations(self) -> Iterator[tuple[str, str]]:
        yield from self._shelves()
        yield from self._bookings()
        yield from self._parents()
        yield from self._versions()
        yield from (("odd", text) for text in self.found.odd)

    # --- customers and projects ---------------------------------------------------------------

    def _shelves(self) -> Iterator[tuple[str, str]]:
        for what, holds in (("customer", self.found.customers), ("project", self.found.projects)):
            wanted = dict(self._wanted(what))
            for number in sorted(wanted.keys() - holds.keys()):
                yield "missing", f"{what} {number} is missing"
            for number in sorted(holds.keys() - wanted.keys()):
                yield "unexpected", f"{what} {number} is there and should not be"
            for number in sorted(wanted.keys() & holds.keys()):
                yield from _content(f"{what} {number}", wanted[number], holds[number])

    def _wanted(self, what: str) -> Iterator[tuple[str, list[Fields]]]:
        """The contents that each entity may end with: its newest, or in DK+ a project's first."""
        for entity, states in self.meant.items():
            kind, _, number = entity.partition("/")
            alive = [(one, fate) for one, fate in states if fate.fields and fate.code is None]
            if kind != what or not alive:
                continue
            newest = max(one.version for one, _ in alive)
            by_hand = what == "project" and self.books.kind is Kind.DKPLUS
            yield (
                number,
                [
                    fate.fields
                    for one, fate in alive
                    if fate.fields
                    if by_hand or one.version == newest
                ],
            )

    # --- invoices -----------------------------------------------------------------------------

    def _bookings(self) -> Iterator[tuple[str, str]]:
        wanted = {
            fate.booking.number: fate.booking
            for states in self.meant.values()
            for _, fate in states
            if fate.booking is not None
        }
        times = Counter(booking.number for booking in self.found.bookings)
        for number in sorted(wanted.keys() - times.keys()):
            yield "not-booked", f"invoice {number} is not booked"
        for number, count in sorted(times.items()):
            if number not in wanted:
                yield "unexpected", f"invoice {number or '(none)'} is booked and should not be"
            elif count > 1:
                yield "booked-twice", f"invoice {number} is booked {count} times"
        for booking in self.found.bookings:
            if booking.number in wanted:
                meant = self._without_project(wanted[booking.number], booking)
                yield from _differences(meant, booking)
        for entity, operations in self.operations.items():
            if entity.startswith("invoice/") and len(operations) > 1 and times[entity[8:]] <= 1:
                yield "booked-twice", f"{entity} was booked {len(operations)} times"

    def _without_project(self, meant: Booking, holds: Booking) -> Booking:
        """Where projects may have been switched off it may name none."""
        sent = [one for one, _ in self.meant[f"invoice/{meant.number}"]]
        lacks = any(self.allowed.may_lack_project(one, self.books.id) for one in sent)
        return msgspec.structs.replace(meant, project="") if lacks and not holds.project else meant

    # --- order --------------------------------------------------------------------------------

    def _parents(self) -> Iterator[tuple[str, str]]:
        """No child stood in the books before its parents did."""
        for entity, states in self.meant.items():
            mine = self.operations.get(entity)
            if not mine:
                continue
            born = mine[0].place
            apart = any(self.allowed.may_lack_project(one, self.books.id) for one, _ in states)
            for parent in sorted({parent for one, _ in states for parent in one.parents}):
                if apart and parent.startswith("project/"):
                    continue
                first = self.operations.get(parent)
                if first is None or first[0].place > born:
                    yield "before-parent", f"{entity} was in the books before {parent}"

    def _versions(self) -> Iterator[tuple[str, str]]:
        """No older state went over a newer one, but for what a restore had forgotten."""
        for entity, operations in self.operations.items():
            newest, before = 0, 0
            for operation in operations:
                if operation.version is None:
                    continue
                newest = self._remembered(operations, before, operation.place, newest)
                before = operation.place
                if operation.version < newest:
                    yield "older-over-newer", f"{entity}: v{operation.version} after v{newest}"
                newest = max(newest, operation.version)

    def _remembered(
        self, operations: Sequence[Operation], before: int, place: int, newest: int
    ) -> int:
        """The newest state that the ledger knew at `place`: a restore in between set it back."""
        for restore in self.restores:
            now = restore.logs_now.get(self.system, 0)
            if before <= now < place:
                then = restore.logs_then.get(self.system, 0)
                kept = [one.version or 0 for one in operations if one.place <= then]
                newest = max(kept, default=0)
        return newest


def _content(name: str, wanted: Sequence[Fields], holds: Fields) -> Iterator[tuple[str, str]]:
    differing: list[list[str]] = [
        [
            f"{field} {holds.get(field)!r} instead of {value!r}"
            for field, value in fields.items()
            if holds.get(field) != value
        ]
        for fields in wanted
    ]
    if all(differing):
        nearest = min(differing, key=len)
        yield "final-content", f"{name} has {', '.join(nearest)}"


def _differences(wanted: Booking, holds: Booking) -> Iterator[tuple[str, str]]:
    for field in ("customer", "amount", "date", "due", "project", "payment_id"):
        meant, there = getattr(wanted, field), getattr(holds, field)
        if meant != there:
            yield "booked-wrong", f"invoice {wanted.number} has {field} {there} instead of {meant}"
    same = [account for account, _ in wanted.lines] == [account for account, _ in holds.lines]
    near = same and all(
        abs(one - other) <= LINE_TOLERANCE
        for (_, one), (_, other) in zip(wanted.lines, holds.lines, strict=True)
    )
    if not near:
        yield "booked-wrong", f"invoice {wanted.number} has other lines than were meant"


def _noted(history: History) -> Iterator[Violation]:
    """What the simulators' own judges saw."""
    restored = (one.at for one in history.mischief if one.forgets_from is not None)
    first = min(restored, default=None)
    for one in history.noted:
        late = first is not None and one.at >= first
        if late and one.kind in FORGIVEN_AFTER_RESTORE:
            continue
        yield Violation(kind=one.kind, text=f"{one.integration}: {one.text}")
