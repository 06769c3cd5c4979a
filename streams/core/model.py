"""What the core decides over: plain frozen values, as the ledger has them at one moment."""

import msgspec

from schemas.events import EntityType
from schemas.failures import Failure, Reference
from streams.core.states import State


def entity_key(integration: str, entity_type: EntityType | str, number: str) -> str:
    """One entity in one accounting system, as the key of its row.

    The parts are joined by the unit separator, which no number or integration id may hold.
    """
    return f"{integration}\x1f{entity_type}\x1f{number}"


class Version(msgspec.Struct, frozen=True):
    """Where a state stands in the order of its entity (design section 5.1)."""

    ordinal: int  # order of receipt in the ledger
    sequence: int | None = None  # the producer's own, where it has one

    def newer_than(self, other: "Version") -> bool:
        """By `sequence` where both have one and they differ, else by order of receipt."""
        if (
            self.sequence is not None
            and other.sequence is not None
            and self.sequence != other.sequence
        ):
            return self.sequence > other.sequence
        return self.ordinal > other.ordinal


class Sibling(msgspec.Struct, frozen=True, kw_only=True):
    """Another delivery, as far as an order or a gate needs to know it."""

    ordinal: int
    delivery_id: str
    state: State
    sequence: int | None = None
    failure: Failure | None = None

    @property
    def version(self) -> Version:
        """Its place in the order of its entity."""
        return Version(self.ordinal, self.sequence)


class EntityRow(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger knows of one entity in one accounting system."""

    key: str
    in_books: bool = False
    reference: Reference | None = None
    content: bytes | None = None  # mapped content that was applied last; None: never, or unknown
    dirty: bool = False  # a write was sent since, and its effect was never confirmed
    applied: Version | None = None
    claimed_by: int | None = None  # ordinal of the delivery in doubt
    asked_no_at: float | None = None  # wall clock of the last "no", which any host may have got


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A parent, seen by a child: the row of its entity, and its deliveries that matter.

    `siblings`: the parent's open and dead deliveries. `carried`: whether its data type is
    switched on for the integration. `optional`: the parent only counts where the ledger knows it
    (the invoice that a credit note credits); nobody is asked for it.
    """

    entity_type: EntityType
    number: str
    row: EntityRow
    siblings: tuple[Sibling, ...] = ()
    carried: bool = True
    optional: bool = False


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery whose turn may have come."""

    ordinal: int
    delivery_id: str
    entity_type: EntityType
    number: str
    state: State
    sequence: int | None = None
    rewrite: bool = False  # replay or resync: never `unchanged`
    content: bytes = b""

    @property
    def version(self) -> Version:
        """Its place in the order of its entity."""
        return Version(self.ordinal, self.sequence)
