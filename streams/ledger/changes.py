"""Changes gathered while a batch is decided, written with few statements at its end."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Insert, bindparam, update
from sqlalchemy.dialects import postgresql, sqlite

from schemas.outcomes import FINAL, OutcomeKind
from streams.core.model import Sibling
from streams.core.states import State, move
from streams.ledger.engine import TO_PUBLISH
from streams.ledger.noted import Noted, died_of
from streams.ledger.rows import StoredDelivery, pack_headers, to_json
from streams.ledger.rules import Moment, Rules, Tell
from streams.ledger.statements import Statement
from streams.ledger.tables import deliveries, entities, outbox

FINAL_STATES = frozenset(
    {
        State.APPLIED,
        State.UNCHANGED,
        State.SUPERSEDED,
        State.STALE,
        State.MANUAL,
        State.DISCARDED,
        State.DEAD,
    }
)


class Changes:
    """What a batch writes. `flush` writes it all; until then nothing has changed."""

    def __init__(self, rules: Rules, now: Moment) -> None:
        self.rules = rules
        self.now = now
        self._deliveries: dict[int, dict[str, Any]] = {}
        self._entities: dict[str, dict[str, Any]] = {}
        self._outbox: list[dict[str, Any]] = []
        self._noted = Noted()

    def delivery(self, ordinal: int, **columns: Any) -> None:
        """Set columns of a delivery's row."""
        self._deliveries.setdefault(ordinal, {}).update(columns)

    def entity(self, key: str, lane: int, **columns: Any) -> None:
        """Set columns of an entity's row, which is made where there is none."""
        self._entities.setdefault(key, {"lane": lane}).update(columns)

    def state_of(self, delivery: StoredDelivery) -> State:
        """The delivery's state, as this batch has it by now."""
        changed = self._deliveries.get(delivery.ordinal, {}).get("state")
        return delivery.state if changed is None else State(changed)

    def move(self, delivery: StoredDelivery, new: State, **columns: Any) -> None:
        """Take a delivery through a transition of the table; illegal ones raise."""
        move(self.state_of(delivery), new)
        keep_wait = new in {State.WAITING, State.BLOCKED}
        if not keep_wait:
            columns.setdefault("waits_key", None)
        columns.setdefault("act_at", None)
        columns.setdefault("act_boot", None if columns["act_at"] is None else self.now.boot)
        if new in FINAL_STATES:
            columns.setdefault("settled_at", self.now.wall)
        self.delivery(delivery.ordinal, state=new.value, **columns)

    def tell(self, delivery: StoredDelivery, kind: OutcomeKind, **facts: Any) -> str:
        """Put an outcome of the delivery into the outbox; returns its id.

        The n-th outcome of a delivery has an id of its own, so a repeat on the wire can be told
        from a new fact. A delivery remembers the id of its last final outcome.
        """
        row = self._deliveries.get(delivery.ordinal, {})
        nth = row.get("outcomes", delivery.outcomes) + 1
        facts.setdefault("attempts", row.get("attempts", delivery.attempts))
        told = self.rules.tell(
            Tell(delivery=delivery, kind=kind, nth=nth, at=self.now.wall, **facts)
        )
        self._noted.add(
            delivery, kind, self.now.wall, facts.get("failure"), facts.get("changes", ())
        )
        self.delivery(delivery.ordinal, outcomes=nth, **died_of(kind, facts.get("failure")))
        if kind in FINAL:
            self.delivery(delivery.ordinal, final_id=told.outcome_id)
        for record in told.records:
            self._outbox.append(
                {
                    "lane": delivery.lane,
                    "topic": record.topic,
                    "key": record.key,
                    "value": record.value,
                    "headers": pack_headers(record.headers),
                    "delivery_ordinal": delivery.ordinal,
                    "created_at": self.now.wall,
                }
            )
        return told.outcome_id

    def tell_once(
        self, delivery: StoredDelivery, kind: OutcomeKind, cause: str, **facts: Any
    ) -> None:
        """Tell an outcome that is not final, once per delivery and cause."""
        told = self._deliveries.get(delivery.ordinal, {}).get("told", delivery.told)
        if cause in told.split(";"):
            return
        self.delivery(delivery.ordinal, told=f"{told};{cause}" if told else cause)
        self.tell(delivery, kind, **facts)

    def withdraw(self, newer: StoredDelivery, siblings: Sequence[Sibling]) -> tuple[str, ...]:
        """Withdraw the dead older states of an entity: a newer one took their place."""
        older = [
            s for s in siblings if s.state is State.DEAD and newer.version.newer_than(s.version)
        ]
        for sibling in older:
            self.delivery(
                sibling.ordinal,
                state=move(sibling.state, State.WITHDRAWN).value,
                settled_at=self.now.wall,
            )
        return tuple(s.delivery_id for s in older)

    def flush(self, connection: Connection) -> None:
        """Write everything: one statement for each set of columns that was touched."""
        _each_shape(connection, _update_delivery, "b_key", self._deliveries)
        _each_shape(connection, _upsert_entity, "entity_key", self._entities)
        if self._outbox:
            _OUTBOX.each(connection, self._outbox)
            connection.info[TO_PUBLISH] = 1
        self._noted.flush(connection)


def _each_shape(
    connection: Connection,
    statement: Callable[[tuple[str, ...]], Statement],
    key: str,
    rows: Mapping[Any, dict[str, Any]],
) -> None:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for identity, columns in rows.items():
        if columns:
            groups.setdefault(tuple(sorted(columns)), []).append({key: identity, **columns})
    for shape, values in groups.items():
        statement(shape).each(connection, values)


# Few sets of columns are ever touched together.
@lru_cache(maxsize=256)
def _update_delivery(shape: tuple[str, ...]) -> Statement:
    return Statement(
        update(deliveries)
        .where(deliveries.c.ordinal == bindparam("b_key"))
        .values({name: bindparam(name) for name in shape})
    )


@lru_cache(maxsize=256)
def _upsert_entity(shape: tuple[str, ...]) -> Statement:
    return Statement(
        _upsert_composed(sqlite.insert(entities), shape),
        on_postgresql=_upsert_composed(postgresql.insert(entities), shape),
    )


def _upsert_composed(insert: Any, shape: tuple[str, ...]) -> Insert:
    insert = insert.values({name: bindparam(name) for name in ("entity_key", *shape)})
    changed = {name: insert.excluded[name] for name in shape if name != "lane"}
    if not changed:
        return insert.on_conflict_do_nothing()  # type: ignore[no-any-return]  # of either dialect
    composed: Insert = insert.on_conflict_do_update(
        index_elements=[entities.c.entity_key], set_=changed
    )
    return composed


_OUTBOX = Statement(
    outbox.insert().values(
        {
            name: bindparam(name)
            for name in (
                "lane",
                "topic",
                "key",
                "value",
                "headers",
                "delivery_ordinal",
                "created_at",
            )
        }
    )
)


def as_blob(value: msgspec.Struct | None) -> bytes | None:
    """A struct as the JSON of a blob column."""
    return to_json(value)
