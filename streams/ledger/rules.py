"""What the ledger's operations need from outside, and the small values that go with it.

The operations know rows and the core; how an event is read, mapped and told is passed in, so
that they run against any connector and in a simulation.
"""

from typing import Protocol

import msgspec

from connectors.integrations import Integration
from schemas.events import Entity, EntityType
from schemas.failures import Change, Failure, Notable, Reference
from schemas.outcomes import OutcomeKind
from schemas.wire import Outgoing, Record
from streams.core.model import Sibling
from streams.ledger.rows import StoredDelivery


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """When something is done: wall clock for people, elapsed seconds of one boot for waits."""

    wall: float
    elapsed: float
    boot: str


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """An entity that must be in the books first.

    `carried`: its data type is switched on. `optional`: it only counts where the ledger knows it
    (the invoice that a credit note credits).
    """

    entity_type: EntityType
    number: str
    carried: bool = True
    optional: bool = False


class BlockedBy(msgspec.Struct, frozen=True, kw_only=True):
    """Who stands in the way of a blocked delivery."""

    entity_type: EntityType
    number: str
    behind: Sibling | None


class Tell(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome to be told of a delivery. `nth` counts the outcomes of the delivery from 1."""

    delivery: StoredDelivery
    kind: OutcomeKind
    nth: int
    at: float
    attempts: int
    failure: Failure | None = None
    warnings: tuple[Notable, ...] = ()
    reference: Reference | None = None
    changes: tuple[Change, ...] = ()
    superseded_by: tuple[str, str] | None = None  # id, source
    withdraws: tuple[str, ...] = ()
    blocked_by: BlockedBy | None = None
    answer: str | None = None
    first_failed_at: float | None = None


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The records that tell it: the outcome, and for a dead delivery its letter."""

    outcome_id: str
    records: tuple[Outgoing, ...]


class UnreadableEventError(Exception):
    """A stored event cannot be read any more: the ledger is older than what the code takes."""


class Rules(Protocol):
    """How events are read, mapped and told. Pure: the same input gives the same answer."""

    def event(self, delivery: StoredDelivery) -> Entity:
        """Read the event of a delivery, or its edited whole.

        Raises `UnreadableEventError` where this version of the code refuses what an older one took.
        """

    def read(self, record: Record) -> Entity:
        """Read the event of a stored record that was readable when it came."""

    def integration(self, integration: str) -> Integration | None:
        """Look up an integration as it is set up now; None when it was removed."""

    def content(self, event: Entity, integration: Integration) -> bytes:
        """Map an event to what would be written (`Connector.content`)."""

    def parents(self, event: Entity, integration: Integration) -> tuple[Parent, ...]:
        """Name what must be in the books before the event may go, the customer first."""

    def tell(self, tell: Tell) -> Told:
        """Put an outcome into records."""
