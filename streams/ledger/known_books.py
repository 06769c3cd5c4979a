"""Whose books an integration writes to: an identity that must not change under it (design 6)."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.failures import Failure, FailureCode
from streams.ledger.engine import Operation
from streams.ledger.holds import put_hold
from streams.ledger.rules import Moment
from streams.ledger.tables import books

# Books that are new to the ledger may hold what was booked before it, and events of before may
# come again for as long as the input topics keep them. 30 days is their default retention.
LOOK_UP_IN_NEW_BOOKS_S = 30 * 24 * 3600.0


class Identified(msgspec.Struct, frozen=True, kw_only=True):
    """An accounting system said whose books these are. `others`: integrations set up beside."""

    integration: str
    identity: str
    others: frozenset[str]
    now: Moment
    hold_probe_s: float
    hold_probe_max_s: float


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the books may be written to, and until when bookings look up first (wall clock)."""

    accepted: bool
    look_up_until: float


def _identify(connection: Connection, items: Sequence[Identified]) -> list[Known]:
    return [_identify_one(connection, item) for item in items]


identify_books = Operation("identify", 8, _identify)


def _identify_one(connection: Connection, item: Identified) -> Known:
    query = select(books).where(books.c.integration == item.integration)
    row = connection.execute(query).first()
    if row is not None and row.identity == item.identity:
        return Known(accepted=True, look_up_until=row.look_up_until)
    twin = connection.execute(
        select(books.c.integration).where(
            books.c.identity == item.identity, books.c.integration.in_(item.others)
        )
    ).first()
    if row is not None or twin is not None:
        put_hold(
            connection,
            item.integration,
            Failure(code=FailureCode.BOOKS_IDENTITY_CHANGED),
            item.now,
            item.hold_probe_s,
            item.hold_probe_max_s,
        )
        return Known(accepted=False, look_up_until=0.0)
    until = item.now.wall + LOOK_UP_IN_NEW_BOOKS_S
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(
        dialect.insert(books).on_conflict_do_nothing(),
        {
            "integration": item.integration,
            "identity": item.identity,
            "first_seen_at": item.now.wall,
            "look_up_until": until,
        },
    )
    return Known(accepted=True, look_up_until=until)
