"""The outbox: what is to be published, in the order of each lane."""

from collections.abc import Sequence
from itertools import chain

from sqlalchemy import Connection, bindparam, literal_column, select, update

from schemas.wire import Outgoing
from streams.ledger.engine import Operation
from streams.ledger.rows import unpack_headers
from streams.ledger.statements import Among, Statement
from streams.ledger.tables import lanes, outbox
from streams.ports import OutboxRow

_UNPUBLISHED = Statement(
    select(outbox.c.position, outbox.c.topic, outbox.c.key, outbox.c.value, outbox.c.headers)
    .where(
        literal_column("NOT published"),
        outbox.c.lane.in_(select(lanes.c.lane).where(lanes.c.owner == bindparam("owner"))),
    )
    .order_by(outbox.c.position)
    .limit(bindparam("most"))
)
_PUBLISHED = Statement(
    update(outbox)
    .where(Among(outbox.c.position, "positions"))
    .values(published=literal_column("true"))
)


def unpublished(connection: Connection, owner: str, limit: int) -> list[OutboxRow]:
    """The oldest unpublished rows of an owner's lanes: by flag, never by the highest id."""
    return [
        OutboxRow(
            position=position,
            record=Outgoing(topic=topic, key=key, value=value, headers=unpack_headers(headers)),
        )
        for position, topic, key, value, headers in _UNPUBLISHED.rows(
            connection, {"owner": owner, "most": limit}
        )
    ]


def _published(connection: Connection, items: Sequence[Sequence[int]]) -> list[None]:
    _PUBLISHED.run(connection, {"positions": list(chain.from_iterable(items))})
    return [None] * len(items)


mark_published: Operation[Sequence[int], None] = Operation("published", 50, _published)
