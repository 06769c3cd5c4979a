"""Lists that the console shows or follows: outcomes, what waits, what people did, finding.

Read-only, and by key: a page costs the same however long the table is.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, select, tuple_, union_all

from schemas.events import EntityType
from schemas.failures import Failure
from schemas.outcomes import FAILURES_TOPIC, RESULTS_TOPIC
from streams.core.states import State
from streams.ledger.queries import Said, said_of
from streams.ledger.rows import failure_of
from streams.ledger.tables import audit, deliveries, inbox, outbox

ACTS_LOOKED_AT: Final = 5_000  # rows of the audit, for those of some integrations
MOST_TAIL: Final = 5_000  # outcomes read in one query

# --- outcomes, as they come ------------------------------------------------------------------


class Told(msgspec.Struct, frozen=True):
    """One outcome that was written: its place, when, whose and which."""

    position: int
    at: float
    integration: str
    outcome: str


class _Head(msgspec.Struct):
    integration: str
    outcome: str


_head = msgspec.json.Decoder(_Head)


def outcomes_after(connection: Connection, position: int) -> list[Told]:
    """The next outcomes in the order in which they were written, at most `MOST_TAIL`."""
    query = _outcomes().where(outbox.c.position > position).order_by(outbox.c.position)
    return _told(connection, query)


def outcomes_before(connection: Connection, position: int | None) -> list[Told]:
    """The newest outcomes before a position (None: of all), newest first."""
    query = _outcomes().order_by(outbox.c.position.desc())
    return _told(connection, query if position is None else query.where(_before(position)))


def _before(position: int) -> Any:
    return outbox.c.position < position


def _outcomes() -> Select[Any]:
    return select(outbox.c.position, outbox.c.created_at, outbox.c.topic, outbox.c.value)


def _told(connection: Connection, query: Select[Any]) -> list[Told]:
    found = []
    for row in connection.execute(query.limit(MOST_TAIL)):
        # Letters stand among them: told too, so that whoever reads on knows how far they came.
        head = None
        if row.topic in {RESULTS_TOPIC, FAILURES_TOPIC} and row.value is not None:
            head = _head.decode(row.value)
        found.append(
            Told(
                row.position,
                row.created_at,
                head.integration if head else "",
                head.outcome if head else "",
            )
        )
    return found


# --- what waits ------------------------------------------------------------------------------


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that waits for `parent` (`customer/100042`)."""

    delivery_id: str
    integration: str
    company: str
    entity: str
    state: State
    parent: str
    received_at: float
    failure: Failure | None
    key: str
    ordinal: int


def parked(
    connection: Connection, *, integration: str | None, after: tuple[str, int] | None, limit: int
) -> list[Parked]:
    """What waits for a parent, those of one parent together; `after`: key and ordinal."""
    query = (
        select(
            deliveries.c.delivery_id,
            deliveries.c.integration,
            deliveries.c.company,
            deliveries.c.entity_type,
            deliveries.c.number,
            deliveries.c.state,
            deliveries.c.waits_key,
            deliveries.c.received_at,
            deliveries.c.failure,
            deliveries.c.ordinal,
        )
        .where(deliveries.c.waits_key.is_not(None))
        .order_by(deliveries.c.waits_key, deliveries.c.ordinal)
        .limit(limit)
    )
    if integration is not None:
        low, high = f"{integration}\x1f", f"{integration}\x20"
        query = query.where(deliveries.c.waits_key >= low, deliveries.c.waits_key < high)
    if after is not None:
        query = query.where(tuple_(deliveries.c.waits_key, deliveries.c.ordinal) > after)
    return [_parked(row) for row in connection.execute(query)]


def _parked(row: Any) -> Parked:
    return Parked(
        delivery_id=row.delivery_id,
        integration=row.integration,
        company=row.company,
        entity=f"{row.entity_type}/{row.number}",
        state=State(row.state),
        parent="/".join(row.waits_key.split("\x1f")[1:]),
        received_at=row.received_at,
        failure=failure_of(row.failure),
        key=row.waits_key,
        ordinal=row.ordinal,
    )


# --- what people did -------------------------------------------------------------------------


def acts_before(
    connection: Connection, audit_pk: int | None, *, integrations: Iterable[str] | None, limit: int
) -> list[tuple[int, Said]]:
    """The newest rows of the audit before one, newest first; None: of all integrations.

    Of some integrations, only the newest `ACTS_LOOKED_AT` rows are looked through.
    """
    newest = select(audit).order_by(audit.c.audit_pk.desc())
    if audit_pk is not None:
        newest = newest.where(audit.c.audit_pk < audit_pk)
    if integrations is None:
        rows = connection.execute(newest.limit(limit))
    else:
        some = newest.limit(ACTS_LOOKED_AT).subquery()
        of_these = select(some).where(some.c.integration.in_(sorted(integrations)))
        rows = connection.execute(of_these.order_by(some.c.audit_pk.desc()).limit(limit))
    return [(row.audit_pk, said_of(row)) for row in rows]


# --- finding ---------------------------------------------------------------------------------


def entities_named(
    connection: Connection, companies: Iterable[str], number: str
) -> list[tuple[str, str, str]]:
    """Entities of these companies with this number: company, type, number."""
    one = [
        select(inbox.c.company, inbox.c.entity_type, inbox.c.number)
        .where(
            inbox.c.company == company,
            inbox.c.entity_type == kind.value,
            inbox.c.number == number,
        )
        .limit(1)
        .subquery()
        for company in companies
        for kind in EntityType
    ]
    if not one:
        return []
    query = union_all(*(select(found) for found in one))
    return [(row[0], row[1], row[2]) for row in connection.execute(query)]
