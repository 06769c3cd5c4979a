"""The rules of a simulated worker: the real ones, but for words that nobody reads here."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import msgspec

from connectors.integrations import Integration, System
from connectors.port import Connector
from schemas.events import Entity
from schemas.lane import lane_key
from schemas.outcomes import FINAL, TOPIC_OF, outcome_id
from schemas.wire import Outgoing, Record
from streams.book_rules import BookRules
from streams.ledger.rules import Tell, Told


class SimulatedOutcome(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What is kept of an outcome."""

    id: str
    delivery: str
    kind: str
    final: bool
    nth: int
    replays: int
    reference: str | None = None
    withdraws: tuple[str, ...] = ()


_json = msgspec.json.Encoder()


class SimulatedRules(BookRules):
    """Reads each record once, and tells in few bytes."""

    def __init__(
        self, integrations: Callable[[], Mapping[str, Integration]], connector: Connector
    ) -> None:
        super().__init__(
            integrations=integrations,
            connectors={System.SPAREBANK1: connector, System.DKPLUS: connector},
            group="simulation",
            version="0",
            topic_prefix="",
        )
        self._connector = connector
        self.read = lru_cache(maxsize=None)(self._read)  # type: ignore[method-assign]  # one history's records

    def _read(self, record: Record) -> Entity:
        return super().read(record)

    def tell(self, tell: Tell) -> Told:
        """The outcome's facts, under the id that it would have."""
        delivery = tell.delivery
        told = SimulatedOutcome(
            id=outcome_id(delivery.delivery_id, tell.kind, tell.nth),
            delivery=delivery.delivery_id,
            kind=tell.kind.value,
            final=tell.kind in FINAL,
            nth=tell.nth,
            replays=delivery.replays,
            reference=tell.reference.id if tell.reference else None,
            withdraws=tell.withdraws,
        )
        record = Outgoing(
            topic=TOPIC_OF[tell.kind],
            key=lane_key(delivery.company, delivery.customer_number),
            value=_json.encode(told),
            headers=(),
        )
        return Told(outcome_id=told.id, records=(record,))
