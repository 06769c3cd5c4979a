"""What stands in the ledger, for numbers and watchdogs: bounded reads through indexes.

No statement here reads more than `COUNTED_MOST` entries of an index for each integration and
state, however many deliveries there are, so that they may run every few seconds.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import (
    Connection,
    String,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    select,
    text,
    values,
)

from schemas.events import EntityType
from streams.core.states import State
from streams.ledger.inserting import chunks
from streams.ledger.rows import is_sending, open_or_dead, state_is
from streams.ledger.tables import books, commands, deliveries, entities, holds, lanes, outbox

COUNTED_MOST: Final = 10_000  # of a kind; beyond it a number says "many", and costs a millisecond
# Deliveries looked at, oldest first, for one that could go: behind them there are none in sight.
LOOKED_AT: Final = 50
TIMED_LOOKED_AT: Final = 500  # timed rows of other lanes may stand before ours
_STANDING: Final = state_is(State.WAITING, State.BLOCKED, State.DUE, State.UNCERTAIN)


class Standing(msgspec.Struct, frozen=True):
    """Deliveries of one integration in one state. `oldest_at`: wall time in seconds.

    Of dead ones it is when the one that has been dead for longest failed, else when the oldest
    was received.
    """

    integration: str
    state: str
    many: int
    oldest_at: float


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger holds that is not done. Counts stop at `COUNTED_MOST`."""

    deliveries: tuple[Standing, ...] = ()
    outbox: int = 0
    outbox_oldest_at: float | None = None
    commands: int = 0


def sample(connection: Connection, in_force: Iterable[str]) -> Sample:
    """Count what is not done, of these integrations and of all that the ledger has met."""
    known = {row[0] for row in connection.execute(_KNOWN)}
    names = sorted(known | set(in_force))
    found: list[Standing] = []
    for part in chunks(names):
        for query in _per_state(part):
            rows = connection.execute(query)
            found += [Standing(*row) for row in rows if row[2] and row[3] is not None]
    found += _sending(connection)
    waiting = connection.execute(_OUTBOX_COUNT).scalar_one()
    oldest = connection.execute(_OUTBOX_OLDEST).scalar()
    return Sample(
        deliveries=tuple(found),
        outbox=waiting,
        outbox_oldest_at=oldest,
        commands=connection.execute(_COMMANDS).scalar_one(),
    )


_KNOWN = select(books.c.integration).union(select(holds.c.integration))


def _counted(where: Any, names: Any) -> Any:
    """How many there are for one row of `names`, as far as they are counted."""
    some: Any = (
        select(literal_column("1").label("one"))
        .select_from(deliveries)
        .where(deliveries.c.integration == names.c.integration, *where)
        .limit(COUNTED_MOST)
        .correlate(names)
        .subquery()
    )
    return select(func.count()).select_from(some).scalar_subquery().label("many")


def _oldest(at: Any, where: Any, names: Any, *order: Any) -> Any:
    query = select(at).where(deliveries.c.integration == names.c.integration, *where)
    return query.order_by(*order).limit(1).correlate(names).scalar_subquery()


def _per_state(part: Sequence[str]) -> list[Any]:
    """One statement for each state: integration, state, how many, the oldest."""
    integrations = values(column("integration", String)).data([(n,) for n in part])
    names = integrations.cte("named")
    found = []
    for state in (State.WAITING, State.BLOCKED, State.DUE, State.UNCERTAIN):
        where = (_STANDING, state_is(state))
        at = deliveries.c.received_at
        found.append(
            select(
                names.c.integration,
                text(f"'{state.value}'"),
                _counted(where, names),
                _oldest(at, where, names, at).label("oldest"),
            )
        )
    dead = (state_is(State.DEAD),)
    failed = deliveries.c.last_failed_at
    found.append(
        select(
            names.c.integration,
            text("'dead'"),
            _counted(dead, names),
            _oldest(failed, dead, names, failed, deliveries.c.ordinal).label("oldest"),
        )
    )
    ready = (state_is(State.READY),)
    found += [
        select(
            names.c.integration,
            text("'ready'"),
            _counted((*ready, _of_kind(kind)), names),
            _oldest(
                deliveries.c.received_at,
                (*ready, _of_kind(kind)),
                names,
                deliveries.c.ordinal,
            ).label("oldest"),
        )
        for kind in EntityType
    ]
    return found


def _of_kind(kind: EntityType) -> Any:
    return deliveries.c.entity_type == literal_column(f"'{kind.value}'")


def _sending(connection: Connection) -> list[Standing]:
    """In flight, of all workers: as many as they have slots, and those in doubt beside them."""
    some: Any = (
        select(deliveries.c.integration, deliveries.c.received_at)
        .where(is_sending)
        .limit(COUNTED_MOST)
        .subquery()
    )
    query = select(some.c.integration, func.count(), func.min(some.c.received_at)).group_by(
        some.c.integration
    )
    return [
        Standing(row[0], State.SENDING.value, row[1], row[2]) for row in connection.execute(query)
    ]


def _limited_count(table: Any, where: Any) -> Any:
    some: Any = select(literal_column("1").label("one")).select_from(table).where(where)
    return select(func.count()).select_from(some.limit(COUNTED_MOST).subquery())


_UNPUBLISHED = text("NOT published")
_OUTBOX_COUNT = _limited_count(outbox, _UNPUBLISHED)
_OUTBOX_OLDEST = (
    select(outbox.c.created_at).where(_UNPUBLISHED).order_by(outbox.c.position).limit(1)
)
_COMMANDS = _limited_count(commands, text("state = 'open'"))


# -- what the watchdog asks ---------------------------------------------------------------------


class Movable(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker's own lanes hold that should move by itself.

    `heads`: by integration the ordinal of the oldest delivery that could be sent now. `overdue`:
    how many seconds ago the clock should have been looked at for something; 0 where it was.
    `outbox_oldest_at`: wall time of the oldest record that waits to be published.
    """

    heads: dict[str, int] = {}
    overdue_s: float = 0.0
    outbox_oldest_at: float | None = None


def movable(
    connection: Connection, owner: str, free: Iterable[str], elapsed: float, boot: str
) -> Movable:
    """Look for work in the lanes of `owner`, for integrations that nothing holds (`free`)."""
    own = frozenset(row[0] for row in connection.execute(_OWN, {"owner": owner}))
    if not own:
        return Movable()
    heads: dict[str, int] = {}
    for name in sorted(free):
        found = [
            ordinal
            for kind in EntityType
            if (ordinal := _head(connection, name, kind, own)) is not None
        ]
        if found:
            heads[name] = min(found)
    act_at = connection.execute(_TIMED, {"boot": boot, "lanes": own}).scalar()
    oldest = connection.execute(_OUTBOX_OLDEST_OF, {"lanes": own}).scalar()
    return Movable(
        heads=heads,
        overdue_s=0.0 if act_at is None else max(0.0, elapsed - act_at),
        outbox_oldest_at=oldest,
    )


def _head(
    connection: Connection, integration: str, kind: EntityType, own: frozenset[int]
) -> int | None:
    """The oldest delivery that nothing stands in the way of, of the oldest few.

    One whose entity has another delivery under way, or whose books are at an invoice already,
    waits for that; it is left out, and so are those of other lanes.
    """
    rows = connection.execute(_OLDEST_READY[kind], {"integration": integration}).all()
    booking = kind is EntityType.INVOICE and _books_are_busy(connection, integration)
    for row in rows:
        if row.lane not in own or booking:
            continue
        taken = connection.execute(_TAKEN, {"key": row.entity_key, "ordinal": row.ordinal}).scalar()
        if not taken:
            return int(row.ordinal)
    return None


def _books_are_busy(connection: Connection, integration: str) -> bool:
    return bool(connection.execute(_BOOKING, {"integration": integration}).scalar())


_OWN = select(lanes.c.lane).where(lanes.c.owner == bindparam("owner"))
_OLDEST_READY = {
    kind: select(deliveries.c.ordinal, deliveries.c.lane, deliveries.c.entity_key)
    .where(
        state_is(State.READY),
        deliveries.c.integration == bindparam("integration"),
        _of_kind(kind),
    )
    .order_by(deliveries.c.ordinal)
    .limit(LOOKED_AT)
    for kind in EntityType
}
_CLAIMED = exists().where(
    entities.c.entity_key == bindparam("key"), entities.c.claimed_by.is_not(None)
)
_TAKEN = select(
    _CLAIMED
    | exists().where(
        open_or_dead,
        state_is(State.SENDING, State.UNCERTAIN, State.DUE),
        deliveries.c.entity_key == bindparam("key"),
        deliveries.c.ordinal != bindparam("ordinal"),
    )
)
_BOOKING = select(
    exists().where(
        is_sending,
        deliveries.c.integration == bindparam("integration"),
        _of_kind(EntityType.INVOICE),
    )
)
_timed = (
    select(deliveries.c.act_at, deliveries.c.act_boot, deliveries.c.lane)
    .where(deliveries.c.act_at.is_not(None))
    .order_by(deliveries.c.act_at)
    .limit(TIMED_LOOKED_AT)
    .subquery()
)
_TIMED = select(func.min(_timed.c.act_at)).where(
    _timed.c.act_boot == bindparam("boot"), _timed.c.lane.in_(bindparam("lanes", expanding=True))
)
_waiting = (
    select(outbox.c.created_at, outbox.c.lane)
    .where(_UNPUBLISHED)
    .order_by(outbox.c.position)
    .limit(TIMED_LOOKED_AT)
    .subquery()
)
_OUTBOX_OLDEST_OF = select(func.min(_waiting.c.created_at)).where(
    _waiting.c.lane.in_(bindparam("lanes", expanding=True))
)
