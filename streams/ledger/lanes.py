"""Who owns a lane, and what a new owner finds (design section 6, Ownership)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, case, or_, select, update

from streams.core.states import State
from streams.ledger.engine import Operation
from streams.ledger.orphans import put_in_doubt
from streams.ledger.orphans import take_back_rows as take_back
from streams.ledger.rows import is_sending, state_is
from streams.ledger.rules import Moment
from streams.ledger.statements import Among, Statement, insert_or_skip
from streams.ledger.tables import deliveries, entities, lanes
from streams.ledger.work import SEND_WITHIN_S

_LANE = ("lane", "epoch", "owner", "boot", "taken_at")
_NEW_LANE = insert_or_skip(lanes, _LANE)
_asked = (
    select(lanes.c.lane, lanes.c.epoch, lanes.c.owner, lanes.c.boot)
    .where(Among(lanes.c.lane, "lanes"))
    .order_by(lanes.c.lane)
)
_LANES = Statement(_asked, on_postgresql=_asked.with_for_update())
_OWN_LANE = Statement(
    update(lanes)
    .where(lanes.c.lane == bindparam("b_lane"))
    .values({name: bindparam(name) for name in _LANE if name != "lane"})
)
_BEYOND = Statement(select(lanes.c.lane).where(lanes.c.lane >= bindparam("partitions")))
_WAS_SENDING = Statement(
    select(
        deliveries.c.ordinal,
        deliveries.c.lane,
        deliveries.c.entity_key,
        deliveries.c.integration,
        deliveries.c.intent,
        deliveries.c.send_by,
    ).where(is_sending, Among(deliveries.c.lane, "lanes"))
)


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
    wanted = sorted(item.lanes)
    new = {"epoch": 0, "owner": "", "boot": "", "taken_at": 0.0}
    _NEW_LANE.each(connection, [{"lane": lane, **new} for lane in wanted])
    epochs: dict[int, int] = {}
    taken: list[dict[str, Any]] = []
    reborn: set[int] = set()
    found = _LANES.rows(connection, {"lanes": wanted})
    now = item.clock()
    ours = {"owner": item.owner, "boot": now.boot, "taken_at": now.wall}
    for lane, epoch, owner, boot in found:
        epochs[lane] = epoch
        if owner == item.owner:
            continue
        epochs[lane] = epoch + 1
        taken.append({"b_lane": lane, "epoch": epoch + 1, **ours})
        if boot not in {"", now.boot}:
            reborn.add(lane)
    if not taken:
        return Owned(epochs=epochs, in_doubt=0)
    _OWN_LANE.each(connection, taken)
    if reborn:
        _new_boot(connection, frozenset(reborn), item, now)
    mine = [row["b_lane"] for row in taken]
    in_doubt = _doubt(connection, mine, frozenset(reborn), item, now)
    return Owned(epochs=epochs, in_doubt=in_doubt)


def _with_lanes_beyond(connection: Connection, item: Take) -> Take:
    if item.partitions <= 0:
        return item
    beyond = _BEYOND.rows(connection, {"partitions": item.partitions})
    ours = {lane for (lane,) in beyond if lane % item.partitions in item.lanes}
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
    mine: list[int],
    reborn: frozenset[int],
    item: Take,
    now: Moment,
) -> int:
    """What a former owner was sending: back to ready where no intent of a write was on disk.

    Otherwise it is uncertain until its send-by, the call's deadline and the settle time are over.
    """
    back: list[tuple[int, str]] = []
    doubt: list[tuple[int, float]] = []
    rows = _WAS_SENDING.rows(connection, {"lanes": mine})
    for ordinal, lane, entity_key, integration, intent, send_by in rows:
        if intent is None:
            back.append((ordinal, entity_key))
            continue
        wait = item.waits.get(integration, item.longest)
        start = now.elapsed + SEND_WITHIN_S
        if lane not in reborn and send_by is not None:
            start = min(start, send_by)
        doubt.append((ordinal, start + wait.deadline + wait.settle))
    take_back(connection, back)
    put_in_doubt(connection, doubt, now)
    return len(doubt)
