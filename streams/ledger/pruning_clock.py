"""Whether the wall clock can be trusted with deleting: it must not have jumped.

The wall clock is compared with the seconds since boot, from one look to the next; the last look
is kept in the ledger. The decision is pure.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from streams.ledger.access import owned
from streams.ledger.engine import Operation
from streams.ledger.rules import Moment
from streams.ledger.tables import meta

JUMP_S: Final = 24 * 3600.0  # more is no correction of a clock that was a little off
# A clock that ran evenly for so long after a jump is right, or nobody minds: it was logged daily.
STEADY_S: Final = 7 * 24 * 3600.0
ALARM_EVERY_S: Final = 24 * 3600.0
_KEY: Final = "pruning_clock"


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """The last look.

    `offset`: wall time at boot, as it was trusted; `jumped`: another one, and at how many seconds
    since boot it was seen first. `alarmed_at`: wall time of the last daily word.
    """

    boot: str
    wall: float
    offset: float
    jumped: tuple[float, float] | None = None
    alarmed_at: float | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of the lanes in `epochs` wants to prune."""

    epochs: Mapping[int, int]
    now: Moment


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """`jumped_by`: seconds that the wall clock is off, so nothing is deleted; None: it is not.

    `daily`: it is time for what is said once a day.
    """

    jumped_by: float | None
    daily: bool


def judge(last: Clocks | None, now: Moment) -> tuple[Clocks, Trust]:
    """Compare the clocks with the last look. A first look trusts what it sees.

    After a restart of the machine only a clock that went back can be told from time gone by.
    """
    offset = now.wall - now.elapsed
    trusted = offset if last is None else last.offset
    jumped = None if last is None else last.jumped
    if last is not None and last.boot != now.boot:
        trusted, jumped = max(offset, last.wall - now.elapsed), None
    off = offset - trusted
    if abs(off) <= JUMP_S:
        trusted, jumped = offset, None
    elif jumped is None or abs(offset - jumped[0]) > JUMP_S:
        jumped = (offset, now.elapsed)
    elif now.elapsed - jumped[1] >= STEADY_S:
        trusted, jumped = offset, None
    alarmed_at = None if last is None else last.alarmed_at
    daily = alarmed_at is None or not 0 <= now.wall - alarmed_at < ALARM_EVERY_S
    seen = Clocks(
        boot=now.boot,
        wall=now.wall if jumped is None or last is None else last.wall,
        offset=trusted,
        jumped=jumped,
        alarmed_at=now.wall if daily else alarmed_at,
    )
    return seen, Trust(jumped_by=None if jumped is None else off, daily=daily)


_decoder = msgspec.json.Decoder(Clocks)


def _look(connection: Connection, items: Sequence[Look]) -> list[Trust | None]:
    return [_look_once(connection, item) for item in items]


# None: the lanes are not the caller's any more.
look_at_clocks: Operation[Look, Trust | None] = Operation("pruning-clock", 70, _look)


def _look_once(connection: Connection, item: Look) -> Trust | None:
    if owned(connection, item.epochs) != item.epochs.keys():
        return None
    value = connection.execute(select(meta.c.value).where(meta.c.key == _KEY)).scalar()
    seen, trust = judge(None if value is None else _decoder.decode(value), item.now)
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(meta)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[meta.c.key], set_={"value": insert.excluded.value}
        ),
        {"key": _KEY, "value": msgspec.json.encode(seen).decode()},
    )
    return trust
