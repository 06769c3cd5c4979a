"""Where reading goes on, and what it means when Kafka knows more than the ledger."""

import logging
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from streams.ledger.engine import Ledger, Operation
from streams.ledger.tables import books, meta, source_offsets

log = logging.getLogger(__name__)

LOOK_UP_AFTER_RESTORE_S = 90 * 24 * 3600.0  # 90 days: longer than any input topic keeps an event
RESTORED = "restored_at"


class _Restored(msgspec.Struct, frozen=True):
    """The ledger was found behind Kafka's commit."""

    at: float


def _mark(connection: Connection, items: Sequence[_Restored]) -> list[None]:
    """From now on every booking looks up first: the ledger does not know what it once knew."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    at = max(item.at for item in items)
    insert = dialect.insert(meta)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[meta.c.key], set_={"value": insert.excluded.value}
        ),
        {"key": RESTORED, "value": repr(at)},
    )
    connection.execute(update(books).values(look_up_until=at + LOOK_UP_AFTER_RESTORE_S))
    return [None] * len(items)


mark_restored = Operation("restored", 5, _mark)


async def resume_at(
    ledger: Ledger, committed: Mapping[tuple[str, int], int], at: float
) -> dict[tuple[str, int], int]:
    """The ledger's own offset for every partition where Kafka's commit is ahead of it.

    A partition that the ledger has never read counts as ahead when anything was committed: it is
    read from its beginning (offset 0; Kafka moves it to the earliest record that it still has).
    A ledger that has read nothing at all is a new one, and is treated alike: what the group read
    before may have been booked, so bookings look up first.
    """
    known = await ledger.read(_offsets)
    behind = {
        place: known.get(place, 0)
        for place, offset in committed.items()
        if offset > known.get(place, 0)
    }
    if behind:
        log.warning(
            "the ledger is behind Kafka's commits in %d partitions: reading them again, and "
            "looking up every booking before it is posted",
            len(behind),
            extra={"action": "ledger_restored"},
        )
        await ledger.submit(mark_restored, _Restored(at))
    return behind


def _offsets(connection: Connection) -> dict[tuple[str, int], int]:
    return {
        (row.topic, row.partition): row.next_offset
        for row in connection.execute(select(source_offsets))
    }
