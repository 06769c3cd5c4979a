"""The ledger's `Directory`, over the integrations that are in force."""

from collections.abc import Callable, Mapping

from connectors.integrations import DATA_TYPE, Integration
from schemas.events import EntityType
from schemas.failures import Failure
from schemas.lane import lane_key, partition_of
from schemas.wire import Record
from streams.book_rules import same_content
from streams.intake import read_event
from streams.ledger.arrivals import NewEvent


class LiveDirectory:
    """Answers from what `integrations` (by id) says at the time of the question."""

    def __init__(
        self, integrations: Callable[[], Mapping[str, Integration]], partitions: int
    ) -> None:
        self._integrations = integrations
        self._partitions = partitions

    def integrations(self, *, integration: str | None, company: str | None) -> list[Integration]:
        """Return the integration of this id, or all of this company; none where none is set up."""
        return [
            one
            for one in self._integrations().values()
            if (one.id == integration if integration is not None else one.company == company)
        ]

    def carries(self, integration: Integration, entity_type: EntityType) -> bool:
        """Whether an integration has the data type of these entities switched on."""
        return integration.carries(DATA_TYPE[entity_type])

    def lane(self, company: str, customer_number: str) -> int:
        """Compute the lane of a customer's entities."""
        return partition_of(lane_key(company, customer_number), self._partitions)

    def read_again(self, record: Record, received_at: float) -> NewEvent | Failure:
        """Read a record that became no delivery as if it came now; why it still becomes none."""
        by_company: dict[str, list[Integration]] = {}
        for one in self._integrations().values():
            by_company.setdefault(one.company, []).append(one)
        found = read_event(record, by_company, self._partitions, received_at)
        return found if isinstance(found, NewEvent) else found.failure

    def same_content(self, record: Record, digest: bytes) -> bool:
        """Whether a stored event says what an event with this digest says."""
        return same_content(record, digest)
