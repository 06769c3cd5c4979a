"""What operators' commands need to know of the set-up that is in force."""

from typing import Protocol

from connectors.integrations import Integration
from schemas.events import EntityType
from schemas.failures import Failure
from schemas.wire import Record
from streams.ledger.arrivals import NewEvent


class Directory(Protocol):
    """Which integrations there are, what they carry, and how a record is read today."""

    def integrations(self, *, integration: str | None, company: str | None) -> list[Integration]:
        """Return the integration of this id, or all of this company; none where none is set up."""

    def carries(self, integration: Integration, entity_type: EntityType) -> bool:
        """Whether an integration has the data type of these entities switched on."""

    def lane(self, company: str, customer_number: str) -> int:
        """Compute the lane of a customer's entities."""

    def read_again(self, record: Record, received_at: float) -> NewEvent | Failure:
        """Read a record that became no delivery as if it came now; why it still becomes none."""

    def same_content(self, record: Record, digest: bytes) -> bool:
        """Whether a stored event says what an event with this digest says."""
