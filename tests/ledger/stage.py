"""A ledger with workers on it: events go in, and what came of them is read."""

import itertools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import text

from connectors.integrations import Integration, System
from connectors.port import Flow, Intent, Job
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.content import encode_data
from schemas.events import (
    Entity,
    EntityType,
)
from schemas.wire import Record
from streams.book_rules import BookRules
from streams.intake import LedgerIntake
from streams.ledger.arrivals import Taken
from streams.ledger.engine import Ledger
from streams.ledger.rules import Moment
from streams.ledger.schema import migrate
from tests.ledger.samples import LETTERS, PARTITIONS, SB1, TYPES, Given, key_of
from tests.ledger.workers import Worker


class _Books:
    """A connector that is only asked how an event is mapped."""

    def content(self, event: Entity, integration: Integration) -> bytes:  # noqa: ARG002
        return encode_data(event)

    def deliver(self, job: Job) -> Flow:
        raise NotImplementedError

    def resolve(self, job: Job, intent: Intent) -> Flow:
        raise NotImplementedError

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:
        raise NotImplementedError

    def identify(self, integration: Integration) -> Flow:
        raise NotImplementedError


class Stage:
    """One ledger, its clock, and what is set up."""

    def __init__(self, url: str) -> None:
        migrate(url)
        self.url = url
        self.ledger = Ledger(url)
        self.integrations: dict[str, Integration] = {SB1.id: SB1}
        self.now = Moment(wall=1_790_000_000.0, elapsed=1_000.0, boot="host/1")
        self.rules = BookRules(
            integrations=lambda: self.integrations,
            connectors={System.SPAREBANK1: _Books(), System.DKPLUS: _Books()},
            group="moment-sync",
            version="0",
            topic_prefix="",
        )
        self.woken: list[Taken] = []
        self._offsets = itertools.count()
        self.intake = LedgerIntake(
            ledger=self.ledger,
            integrations=self._companies,
            partitions=PARTITIONS,
            now=lambda: datetime.fromtimestamp(self.now.wall, UTC),
            version="0",
            topic_prefix="",
            woken=self.woken.append,
        )
        self.worker = Worker(self, "w1")

    def _companies(self) -> Mapping[str, Sequence[Integration]]:
        found: dict[str, list[Integration]] = {}
        for one in self.integrations.values():
            found.setdefault(one.company, []).append(one)
        return found

    async def begin(self) -> None:
        self.ledger.start()
        await self.worker.own()

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now = msgspec.structs.replace(
            self.now, wall=self.now.wall + seconds, elapsed=self.now.elapsed + seconds
        )

    # -- in -------------------------------------------------------------------------------------

    def record(self, ce_id: str, given: Given, *, source: str = "/moment/crm") -> Record:
        """The record of an event, at the next offset of its topic's only partition."""
        entity, sequence = given if isinstance(given, tuple) else (given, None)
        out = encode_event(
            Attributes(id=ce_id, source=source, type=TYPES[type(entity)], sequence=sequence),
            entity,
        )
        return Record(
            topic=out.topic,
            partition=0,
            offset=next(self._offsets),
            timestamp_ms=1_790_000_000_000,
            key=out.key,
            value=out.value,
            headers=out.headers,
        )

    async def take(self, **events: Given) -> Taken:
        """One fetch with these events, by id, in order."""
        return await self.take_records(*(self.record(i, e) for i, e in events.items()))

    async def take_records(self, *records: Record) -> Taken:
        await self.intake.take(records)
        return self.woken[-1]

    # -- what there is --------------------------------------------------------------------------

    def rows(self, query: str, **parameters: Any) -> list[Any]:
        """Rows of a query of our own."""
        return self.ledger.read_now(lambda c: list(c.execute(text(query), parameters)))

    def states(self, integration: str = SB1.id) -> dict[str, str]:
        """The state of each delivery of an integration, by the id of its event."""
        query = (
            "SELECT ce_id, state FROM deliveries d JOIN inbox i ON i.event_pk = d.event_pk "
            "WHERE d.integration = :integration ORDER BY d.ordinal"
        )
        return {row.ce_id: row.state for row in self.rows(query, integration=integration)}

    def delivery(self, ce_id: str) -> Any:
        query = (
            "SELECT d.* FROM deliveries d JOIN inbox i ON i.event_pk = d.event_pk "
            "WHERE ce_id = :ce_id"
        )
        return self.rows(query, ce_id=ce_id)[0]

    def entity(self, entity_type: str, number: str) -> Any:
        query = "SELECT * FROM entities WHERE entity_key = :key"
        return self.rows(query, key=key_of(entity_type, number))[0]

    def outcomes(self, ce_id: str | None = None) -> list[dict[str, Any]]:
        """Every outcome in the outbox, oldest first, with the id it has on the wire."""
        found = []
        for row in self.rows("SELECT * FROM outbox WHERE topic <> :t ORDER BY position", t=LETTERS):
            told = json.loads(row.value)
            headers = dict(msgspec.msgpack.decode(row.headers))
            told["id"] = headers["ce_id"].decode()
            if ce_id is None or told["event"]["id"] == ce_id:
                found.append(told)
        return found

    def kinds(self, ce_id: str) -> list[str]:
        return [told["outcome"] for told in self.outcomes(ce_id)]

    def letters(self) -> list[dict[str, str]]:
        """The headers of the dead letters in the outbox."""
        rows = self.rows("SELECT * FROM outbox WHERE topic = :t ORDER BY position", t=LETTERS)
        return [
            {name: value.decode() for name, value in msgspec.msgpack.decode(row.headers)}
            for row in rows
        ]

    def held(self, integration: str = SB1.id) -> Any:
        rows = self.rows("SELECT * FROM holds WHERE integration = :i", i=integration)
        return rows[0] if rows else None
