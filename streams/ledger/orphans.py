"""Attempts that nobody is at work on any more: taken back, or put in doubt."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from streams.core.states import State
from streams.ledger.access import owned
from streams.ledger.engine import Operation
from streams.ledger.rows import is_sending
from streams.ledger.rules import Moment
from streams.ledger.tables import deliveries, entities

# An orphan has been one for longer than any send-by; how long the books may still be at work on
# what it sent is not known here, so it waits as long as the slowest of them may take.
DOUBT_S = 330.0  # the default deadline and settle time of DK+


class TakeBack(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries in flight by the ledger that the worker knows nothing of."""

    ordinals: frozenset[int]
    epochs: Mapping[int, int]
    now: Moment


def _take_back(connection: Connection, items: Sequence[TakeBack]) -> list[int]:
    return [_one(connection, item) for item in items]


take_back: Operation[TakeBack, int] = Operation("take-back", 31, _take_back)


def _one(connection: Connection, item: TakeBack) -> int:
    own = owned(connection, item.epochs)
    query = select(
        deliveries.c.ordinal, deliveries.c.entity_key, deliveries.c.intent, deliveries.c.lane
    ).where(is_sending, deliveries.c.ordinal.in_(sorted(item.ordinals)))
    rows = [row for row in connection.execute(query) if row.lane in own]
    take_back_rows(connection, [(r.ordinal, r.entity_key) for r in rows if r.intent is None])
    until = item.now.elapsed + DOUBT_S
    put_in_doubt(connection, [(r.ordinal, until) for r in rows if r.intent is not None], item.now)
    return len(rows)


def take_back_rows(connection: Connection, back: Sequence[tuple[int, str]]) -> None:
    """No write of these (ordinal, entity key) had an intent: ready again, at no cost."""
    if not back:
        return
    connection.execute(
        update(deliveries)
        .where(deliveries.c.ordinal == bindparam("b_ordinal"))
        .values(state=State.READY.value, act_at=None, act_boot=None),
        [{"b_ordinal": ordinal} for ordinal, _ in back],
    )
    connection.execute(
        update(entities)
        .where(
            entities.c.entity_key == bindparam("b_key"),
            entities.c.claimed_by == bindparam("b_ordinal"),
        )
        .values(claimed_by=None),
        [{"b_key": key, "b_ordinal": ordinal} for ordinal, key in back],
    )


def put_in_doubt(connection: Connection, doubt: Sequence[tuple[int, float]], now: Moment) -> None:
    """These (ordinal, elapsed seconds to wait until) may have been sent: uncertain."""
    if not doubt:
        return
    connection.execute(
        update(deliveries)
        .where(deliveries.c.ordinal == bindparam("b_ordinal"))
        .values(
            state=State.UNCERTAIN.value,
            act_at=bindparam("until"),
            act_boot=now.boot,
            attempts=deliveries.c.attempts + 1,
        ),
        [{"b_ordinal": ordinal, "until": until} for ordinal, until in doubt],
    )
