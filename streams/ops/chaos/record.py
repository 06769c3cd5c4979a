"""The history of a run: what was sent and meant, what was told, what the books did. Data only."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from streams.ops.demo.books_read import FoundBooks
from streams.ops.demo.companies import Books
from streams.ops.demo.expectations import Booking, Fields

EventKey = tuple[str, str]  # source and id


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """What may become of an event in one integration, by the rules of the interface alone.

    `outcomes` are the final ones allowed; `code` where it fails. `fields`: what the books hold of
    the entity when this state is its newest. `booking`: the invoice as it must stand there.
    """

    outcomes: frozenset[str]
    code: str | None = None
    fields: Fields | None = None
    booking: Booking | None = None


class Emitted(msgspec.Struct, frozen=True, kw_only=True):
    """One record that was sent, where it lies, and what was meant by it.

    `entity` is `customer/100042`, empty where the record is no event. `version` grows with each
    state of an entity and is told apart from `sequence`, which a producer may not have. `parents`
    must be in the books before it. `letter`: the code of a record that becomes a letter alone.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    source: str
    id: str
    at: float = 0.0  # wall clock, seconds
    company: str = ""
    entity: str = ""
    version: int = 0
    parents: tuple[str, ...] = ()
    fates: Mapping[str, Fate] = {}  # by integration
    letter: str | None = None
    duplicate: bool = False

    @property
    def event(self) -> EventKey:
        """The identity of the event."""
        return (self.source, self.id)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One record of an outcome topic, byte for byte. `topic` is without a prefix."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to the system. Times are wall clock, seconds.

    A restore names what it forgot: from `forgets_from` on, and how far the books' logs were at
    that moment and at `at`, in bytes by accounting system.
    """

    at: float
    kind: str
    target: str = ""
    seconds: float = 0.0
    forgets_from: float | None = None
    logs_then: Mapping[str, int] = {}
    logs_now: Mapping[str, int] = {}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that took place in the books. `place` only grows within one accounting system."""

    place: int
    integration: str
    entity: str
    version: int | None = None  # of a customer or project, as its name tells


class SimulatorViolation(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulator's judge wrote down. `at` is wall clock, seconds."""

    at: float
    integration: str
    kind: str
    text: str


class History(msgspec.Struct, frozen=True, kw_only=True):
    """All that the checker may look at."""

    integrations: Sequence[Books]
    emitted: Sequence[Emitted]
    told: Sequence[Told]
    books: Mapping[str, FoundBooks]
    operations: Sequence[Operation]
    noted: Sequence[SimulatorViolation] = ()
    mischief: Sequence[Mischief] = ()
    quiet: bool = True  # nothing more was to be expected when it was read


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that must never be. `text` names integration, entity and event."""

    kind: str
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The checker's counts, and every violation behind them."""

    lost: int
    doubled: int
    out_of_order: int
    without_final_outcome: int
    double_final_outcome: int
    violations: tuple[Violation, ...]


class Summary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The document of `chaos --json` (interface section 8)."""

    events: int
    kills: int
    lost: int
    doubled: int
    out_of_order: int
    without_final_outcome: int
    double_final_outcome: int
    violations: tuple[Violation, ...]
    ledger: str
    seed: int
    seconds: float
    mischief: dict[str, int]
    faults: dict[str, int]
    outcomes: dict[str, int]
    deadletters: int
    kills_by_kind: dict[str, int]
    deliveries: int  # that have had a final outcome
    written: int  # operations in the books: what calls came to there
    workers: int
    quiet_seconds: float  # from the end of events and mischief until all was settled
    directory: str | None = None  # kept where something is wrong


def as_lines(items: Sequence[Any]) -> bytes:
    """One JSON object a line, for the file that a person will search."""
    return b"".join(msgspec.json.encode(item) + b"\n" for item in items)
