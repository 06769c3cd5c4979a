"""What a restored ledger is told about itself: that the books know more than it does (design 6).

It is found out by a worker, where Kafka's commits are ahead (`offsets.py`), or said by whoever
put the copy back: where nothing was read since the copy was made, Kafka shows nothing.
"""

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import Connection, case, func, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from streams.core.states import State
from streams.ledger.engine import Operation
from streams.ledger.rows import is_sending, state_is
from streams.ledger.rules import Moment
from streams.ledger.tables import books, deliveries, entities, holds, lanes, meta

LOOK_UP_AFTER_RESTORE_S = 90 * 24 * 3600.0  # 90 days: longer than any input topic keeps an event
RESTORED = "restored_at"


# What the books did not hold when the copy was made may be in them since.
_FORGET_ABSENCES = (
    update(entities).where(entities.c.asked_no_at.is_not(None)).values(asked_no_at=None)
)


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger is older than the books.

    `settle_s`: how long the slowest accounting system may still be at work on what was sent
    before. `integrations`: those set up now; the ledger may not know all of them any more.
    `clock` is asked when it is written: a process may have been stopped in between.
    """

    clock: Callable[[], Moment]
    settle_s: float = 0.0
    integrations: frozenset[str] = frozenset()


def _mark(connection: Connection, items: Sequence[Restored]) -> list[None]:
    for item in items:
        now = item.clock()
        _look_up_first(connection, now)
        _keep_quiet(connection, item, now)
        _doubt_anew(connection, item, now)
        connection.execute(_FORGET_ABSENCES)
    return [None] * len(items)


mark_restored = Operation("restored", 5, _mark)


def _look_up_first(connection: Connection, now: Moment) -> None:
    """From now on every booking and creation looks up first."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(meta)
    at = now.wall
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[meta.c.key], set_={"value": insert.excluded.value}
        ),
        {"key": RESTORED, "value": repr(at)},
    )
    connection.execute(update(books).values(look_up_until=at + LOOK_UP_AFTER_RESTORE_S))


def _keep_quiet(connection: Connection, item: Restored, now: Moment) -> None:
    """Nothing is sent, by any worker, until a look-up shows what was sent before the restore.

    On this boot its own clock counts; on other hosts the pause does, in wall time.
    """
    known = select(books.c.integration).union(select(holds.c.integration))
    names = {row.integration for row in connection.execute(known)} | item.integrations
    if not names or item.settle_s <= 0:
        return
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(holds)
    quiet = {
        "quiet_until": now.elapsed + item.settle_s,
        "quiet_boot": now.boot,
        "pause_until": now.wall + item.settle_s,
    }
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[holds.c.integration],
            set_={name: insert.excluded[name] for name in quiet},
        ),
        [{"integration": name, "probes": 0, **quiet} for name in sorted(names)],
    )


def _doubt_anew(connection: Connection, item: Restored, now: Moment) -> None:
    """What was in doubt in the copy may have been sent again since: its wait begins anew.

    Our elapsed time means nothing in lanes of another host, which asks only for what has its own:
    there the look-up is due at once, and the pause of its integration holds it until it is over.
    """
    of_its_lane = select(lanes.c.boot).where(lanes.c.lane == deliveries.c.lane).scalar_subquery()
    ours = func.coalesce(of_its_lane, now.boot) == now.boot
    connection.execute(
        update(deliveries)
        .where(state_is(State.UNCERTAIN))
        .values(
            act_at=case((ours, now.elapsed + item.settle_s), else_=0.0),
            act_boot=func.coalesce(of_its_lane, now.boot),
            absences=0,
        )
    )
    latest = func.max if connection.dialect.name == "sqlite" else func.greatest
    connection.execute(
        update(deliveries)
        .where(is_sending, deliveries.c.send_by.is_not(None), deliveries.c.act_boot == now.boot)
        .values(send_by=latest(deliveries.c.send_by, literal(now.elapsed)))
    )
