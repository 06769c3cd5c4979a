"""Who owns a lane, and what a new owner finds (design section 6, Ownership)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, case, or_, select, update

from streams.core.states import State
from streams.ledger.engine import Operation
from streams.ledger.inserting import insert_new
from streams.ledger.orphans import put_in_doubt
from streams.ledger.orphans import take_back_rows as take_back
from streams.ledger.rows import is_sending, state_is
from streams.ledger.rules import Moment
from streams.ledger.tables import deliveries, entities, lanes
from streams.ledger.work import SEND_WITHIN_S


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """How long a write of one integration may still be under way, in seconds."""

    deadline: float
    settle: float


class Take(msgspec.Struct, frozen=True, kw_only=True):
    """A request to own lanes. `waits` by integration; `longest` for those not set up any more.

    `clock` is asked once the lanes are locked: a process that was stopped in between would else
    begin the waits for its forerunner's writes when those had not been sent yet.
    """

    lanes: frozenset[int]
    owner: str
    clock: Callable[[], Moment]
    waits: Mapping[str, Wait]
    longest: Wait
    parent_wait: float
    partitions: int = 0  # how many lanes there are now; 0: those given are all


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """The epochs of the lanes taken, and how many writes of former owners are in doubt."""

    epochs: dict[int, int]
    in_doubt: int


def _take(connection: Connection, items: Sequence[Take]) -> list[Owned]:
    return [_take_lanes(connection, item) for item in items]


take_lanes = Operation("take-lanes", 30, _take)


def _take_lanes(connection: Connection, item: Take) -> Owned:
    """Own lanes. One that is ours already keeps its epoch, and its calls in flight go on.

    Lanes beyond today's count (topics made anew with fewer partitions) belong to the owner of the
    lane that they are when divided by it: what is open in them is not left behind.
    """
    item = _with_lanes_beyond(connection, item)
    if item.lanes:
        rows = [
            {"lane": lane, "epoch": 0, "owner": "", "boot": "", "taken_at": 0.0}
            for lane in sorted(item.lanes)
        ]
        connection.execute(insert_new(connection, lanes), rows)
    query = select(lanes).where(lanes.c.lane.in_(sorted(item.lanes))).order_by(lanes.c.lane)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    epochs: dict[int, int] = {}
    taken: list[dict[str, Any]] = []
    reborn: set[int] = set()
    found = connection.execute(query).all()
    now = item.clock()
    for row in found:
        epochs[row.lane] = row.epoch
        if row.owner == item.owner:
            continue
        epochs[row.lane] = row.epoch + 1
        taken.append({"b_lane": row.lane, "epoch": row.epoch + 1})
        if row.boot not in {"", now.boot}:
            reborn.add(row.lane)
    if not taken:
        return Owned(epochs=epochs, in_doubt=0)
    connection.execute(
        update(lanes)
        .where(lanes.c.lane == bindparam("b_lane"))
        .values(
            epoch=bindparam("epoch"),
            owner=item.owner,
            boot=now.boot,
            taken_at=now.wall,
        ),
        taken,
    )
    new = frozenset(row["b_lane"] for row in taken)
    if reborn:
        _new_boot(connection, frozenset(reborn), item, now)
    in_doubt = _doubt(connection, new, frozenset(reborn), item, now)
    return Owned(epochs=epochs, in_doubt=in_doubt)


def _with_lanes_beyond(connection: Connection, item: Take) -> Take:
    if item.partitions <= 0:
        return item
    query = select(lanes.c.lane).where(lanes.c.lane >= item.partitions)
    beyond = {row.lane for row in connection.execute(query)}
    ours = {lane for lane in beyond if lane % item.partitions in item.lanes}
    return msgspec.structs.replace(item, lanes=item.lanes | ours) if ours else item


def _new_boot(connection: Connection, moved: frozenset[int], item: Take, now: Moment) -> None:
    """Times of another boot mean nothing here: waits start anew, retries are due now."""
    connection.execute(
        update(deliveries)
        .where(deliveries.c.lane.in_(moved), deliveries.c.act_at.is_not(None))
        .values(
            act_boot=now.boot,
            act_at=case(
                (state_is(State.WAITING), now.elapsed + item.parent_wait),
                (
                    state_is(State.UNCERTAIN),
                    now.elapsed + item.longest.deadline + item.longest.settle,
                ),
                else_=now.elapsed,
            ),
        )
    )
    connection.execute(
        update(entities)
        .where(
            entities.c.lane.in_(moved),
            or_(entities.c.ask_at.is_not(None), entities.c.asked_no_at.is_not(None)),
        )
        .values(ask_at=now.elapsed, ask_boot=now.boot, asked_no_at=None)
    )


def _doubt(
    connection: Connection,
    new: frozenset[int],
    reborn: frozenset[int],
    item: Take,
    now: Moment,
) -> int:
    """What a former owner was sending: back to ready where no intent of a write was on disk.

    Otherwise it is uncertain until its send-by, the call's deadline and the settle time are over.
    """
    query = select(
        deliveries.c.ordinal,
        deliveries.c.lane,
        deliveries.c.entity_key,
        deliveries.c.integration,
        deliveries.c.intent,
        deliveries.c.send_by,
    ).where(is_sending, deliveries.c.lane.in_(new))
    back: list[tuple[int, str]] = []
    doubt: list[tuple[int, float]] = []
    for row in connection.execute(query):
        if row.intent is None:
            back.append((row.ordinal, row.entity_key))
            continue
        wait = item.waits.get(row.integration, item.longest)
        start = now.elapsed + SEND_WITHIN_S
        if row.lane not in reborn and row.send_by is not None:
            start = min(start, row.send_by)
        doubt.append((row.ordinal, start + wait.deadline + wait.settle))
    take_back(connection, back)
    put_in_doubt(connection, doubt, now)
    return len(doubt)
