"""In which steps rows go out, so that what is told of an entity is in order over the topics. Pure.

Kafka keeps the order of a key within one topic only. Of one delivery first `held` may be told, in
one topic, and then `applied`, in another: sent side by side, the second may be there first.
"""

from collections.abc import Iterable
from typing import Final

from streams.ports import OutboxRow

SUBJECT: Final = "ce_subject"  # `invoice/10457`; a company's own, so its key belongs to it


def steps(rows: Iterable[OutboxRow]) -> list[list[OutboxRow]]:
    """Rows in the order given, sorted into steps: one is acknowledged before the next is sent.

    A row waits for an earlier one of its entity in another topic, and for all before it that have
    its key and its topic.
    """
    found: list[list[OutboxRow]] = []
    told: dict[tuple[bytes | None, bytes], tuple[str, int]] = {}
    reached: dict[tuple[str, bytes | None], int] = {}
    for row in rows:
        record = row.record
        step = reached.get((record.topic, record.key), 0)
        subject = _subject(record.headers)
        if subject is not None:
            entity = (record.key, subject)
            before = told.get(entity)
            if before is not None:
                step = max(step, before[1] + (before[0] != record.topic))
            told[entity] = (record.topic, step)
        reached[record.topic, record.key] = step
        while len(found) <= step:
            found.append([])
        found[step].append(row)
    return found


def _subject(headers: tuple[tuple[str, bytes], ...]) -> bytes | None:
    for name, value in headers:
        if name == SUBJECT:
            return value
    return None
