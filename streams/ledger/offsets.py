"""Where reading goes on, and what it means when Kafka knows more than the ledger."""

import logging
from collections.abc import Callable, Mapping

from sqlalchemy import Connection, select

from streams.ledger.engine import Ledger
from streams.ledger.restored import Restored, mark_restored
from streams.ledger.statements import Statement
from streams.ledger.tables import source_offsets

_READ_TO = Statement(
    select(source_offsets.c.topic, source_offsets.c.partition, source_offsets.c.next_offset)
)

log = logging.getLogger(__name__)


async def resume_at(
    ledger: Ledger,
    committed: Mapping[tuple[str, int], int],
    restored: Callable[[], Restored],
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
        await ledger.submit(mark_restored, restored())
    return behind


def _offsets(connection: Connection) -> dict[tuple[str, int], int]:
    return {
        (topic, partition): offset for topic, partition, offset in _READ_TO.rows(connection, {})
    }
