"""The outbox: what is to be published, in the order of each lane."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, literal_column, select, update

from schemas.wire import Outgoing
from streams.ledger.engine import Operation
from streams.ledger.rows import unpack_headers
from streams.ledger.tables import lanes, outbox
from streams.ports import OutboxRow


def unpublished(connection: Connection, owner: str, limit: int) -> list[OutboxRow]:
    """The oldest unpublished rows of an owner's lanes: by flag, never by the highest id."""
    own = select(lanes.c.lane).where(lanes.c.owner == owner)
    query = (
        select(outbox)
        .where(literal_column("NOT published"), outbox.c.lane.in_(own))
        .order_by(outbox.c.position)
        .limit(limit)
    )
    return [
        OutboxRow(
            position=row.position,
            record=Outgoing(
                topic=row.topic,
                key=row.key,
                value=row.value,
                headers=unpack_headers(row.headers),
            ),
        )
        for row in connection.execute(query)
    ]


def _published(connection: Connection, items: Sequence[Sequence[int]]) -> list[None]:
    rows = [{"b_position": position} for positions in items for position in positions]
    if rows:
        connection.execute(
            update(outbox)
            .where(outbox.c.position == bindparam("b_position"))
            .values(published=True),
            rows,
        )
    return [None] * len(items)


mark_published: Operation[Sequence[int], None] = Operation("published", 50, _published)
