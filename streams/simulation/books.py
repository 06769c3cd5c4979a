"""The simulated books: what they hold, and what a request does to them when it arrives.

They accept whatever comes, as real ones do: a booking is recorded each time, a create makes a
twin, a child needs no parent. What should not have happened is told to the watcher.
"""

from typing import Protocol

import msgspec

MAKES = frozenset({"create", "book"})  # not to be repeated


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a write. `content` is the mapped content as text, `delivery` whose it is."""

    action: str  # create | update | book
    kind: str
    number: str
    delivery: str
    content: str
    id: str | None = None
    customer: str | None = None
    project: str | None = None

    @property
    def entity(self) -> str:
        """As in lists: `invoice/101`."""
        return f"{self.kind}/{self.number}"


class Entry(msgspec.Struct, kw_only=True):
    """One record. `visible_at`: until then a look-up by number does not show it."""

    id: str
    kind: str
    number: str
    content: str
    delivery: str
    visible_at: float


class Watcher(Protocol):
    """Who is told what happens to the books."""

    def written(self, integration: str, order: Order, before: Entry | None) -> None:
        """A write takes effect; `before` is the record that it changes, or the twin that it gets.

        Called before the books change.
        """


class Books:
    """The books of one integration."""

    def __init__(self, integration: str, system: str, watcher: Watcher) -> None:
        self.integration = integration
        self.system = system
        self.entries: list[Entry] = []
        self.asked = 0
        self._watcher = watcher
        self._ids = 0

    def put(self, kind: str, number: str, content: str, delivery: str, at: float) -> Entry:
        """Make a record."""
        self._ids += 1
        entry = Entry(
            id=f"{kind[0]}{self._ids}",
            kind=kind,
            number=number,
            content=content,
            delivery=delivery,
            visible_at=at,
        )
        self.entries.append(entry)
        return entry

    def all_of(self, kind: str, number: str) -> list[Entry]:
        """Every record of this number, visible or not."""
        return [one for one in self.entries if one.kind == kind and one.number == number]

    def has(self, kind: str, number: str) -> bool:
        """Whether there is a record of this number."""
        return bool(self.all_of(kind, number))

    def look(self, kind: str, number: str, now: float) -> list[Entry]:
        """What a look-up by number shows."""
        return [one for one in self.all_of(kind, number) if one.visible_at <= now]

    def by_id(self, entry_id: str) -> Entry | None:
        """A record by its id: always visible."""
        return next((one for one in self.entries if one.id == entry_id), None)

    def remove(self, kind: str, number: str) -> bool:
        """A person takes a record out. False where there is none."""
        gone = self.all_of(kind, number)
        self.entries = [one for one in self.entries if one not in gone]
        return bool(gone)

    def write(self, order: Order, visible_at: float) -> Entry | None:
        """Let a write take effect. None: there is no record of that id."""
        if order.action == "update":
            entry = self.by_id(order.id or "")
            if entry is None:
                return None
            self._watcher.written(self.integration, order, entry)
            entry.content, entry.delivery = order.content, order.delivery
            return entry
        twins = self.all_of(order.kind, order.number)
        self._watcher.written(self.integration, order, twins[0] if twins else None)
        return self.put(order.kind, order.number, order.content, order.delivery, visible_at)
