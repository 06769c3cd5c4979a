"""What the console asks the ledger beside stories and judgements: read-only, bounded, by key.

Nothing here costs more because a million deliveries are dead, but for the counts, which read
an index from end to end and are made once for all who look.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, func, literal_column, select

from schemas.failures import Failure
from streams.core.states import State
from streams.ledger.rows import failure_of, is_sending, state_is
from streams.ledger.tables import (
    attempts,
    audit,
    commands,
    deliveries,
    inbox,
    letters,
    outbox,
)

MOST_CAUSES = 200  # groups of the dead that are told, the largest
MOST_SAMPLED = 40  # of them, the largest, are looked at closer
SAMPLED = 1_000  # of one group, to say how many customers it concerns


# --- whether anything has changed ------------------------------------------------------------


def change_mark(connection: Connection) -> tuple[int, ...]:
    """Numbers of which one grows whenever something happens; a few steps into a few indexes."""
    newest = (
        func.max(inbox.c.event_pk),
        func.max(outbox.c.position),
        func.max(attempts.c.attempt_pk),
        func.max(audit.c.audit_pk),
    )
    query = select(*(select(one).scalar_subquery() for one in newest))
    return tuple(int(value or 0) for value in connection.execute(query).one())


# --- what there is ---------------------------------------------------------------------------


class OpenWork(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of one integration in one open state; the oldest came at `oldest_at`."""

    integration: str
    state: State
    count: int
    oldest_at: float


def open_work(connection: Connection) -> list[OpenWork]:
    """What is not settled and not dead. Costs as much as there is of it."""
    # In the words of the partial indexes, each of which holds one of these and nothing else.
    standing = state_is(State.WAITING, State.BLOCKED, State.DUE, State.UNCERTAIN)
    found = []
    for condition in (standing, is_sending):
        query = (
            select(
                deliveries.c.integration,
                deliveries.c.state,
                func.count().label("many"),
                func.min(deliveries.c.received_at).label("oldest"),
            )
            .where(condition)
            .group_by(deliveries.c.integration, deliveries.c.state)
        )
        found += [
            OpenWork(
                integration=row.integration,
                state=State(row.state),
                count=row.many,
                oldest_at=row.oldest,
            )
            for row in connection.execute(query)
        ]
    return found + _ready(connection)


def _ready(connection: Connection) -> list[OpenWork]:
    """Counted in the index alone; only the oldest of each is looked up."""
    query = (
        select(
            deliveries.c.integration,
            func.count().label("many"),
            func.min(deliveries.c.ordinal).label("first"),
        )
        .where(state_is(State.READY))
        .group_by(deliveries.c.integration)
    )
    rows = list(connection.execute(query))
    firsts = [row.first for row in rows]
    came = select(deliveries.c.ordinal, deliveries.c.received_at)
    found = connection.execute(came.where(deliveries.c.ordinal.in_(firsts)))
    came_at = {row.ordinal: row.received_at for row in found}
    return [
        OpenWork(
            integration=row.integration,
            state=State.READY,
            count=row.many,
            oldest_at=came_at.get(row.first, 0.0),
        )
        for row in rows
    ]


class DeadCause(msgspec.Struct, frozen=True, kw_only=True):
    """Dead deliveries of one integration and one cause. `customers` None: too many to say.

    `sample` is the newest failure; `kinds` are the entity types, where all were looked at.
    """

    integration: str
    company: str
    system: str
    code: str
    cause: str
    count: int
    oldest_at: float
    newest_at: float
    sample: Failure
    customers: int | None = None
    kinds: tuple[str, ...] = ()
    entity: str = ""  # of the newest, like `invoice/1001`


def dead_by_code(connection: Connection) -> dict[tuple[str, str], int]:
    """How many are dead, by integration and code. Reads an index of the dead from end to end."""
    query = (
        select(deliveries.c.integration, deliveries.c.failure_code, func.count())
        .where(state_is(State.DEAD))
        .group_by(deliveries.c.integration, deliveries.c.failure_code)
    )
    rows = connection.execute(query)
    return {(integration, code or ""): many for integration, code, many in rows}


def dead_causes(connection: Connection, most: int = MOST_CAUSES) -> list[DeadCause]:
    """The largest groups of the dead, the largest first. Costs as `dead_by_code` does."""
    newest = func.max(deliveries.c.last_failed_at)
    query = (
        select(
            deliveries.c.integration,
            deliveries.c.failure_code,
            deliveries.c.cause,
            func.count().label("many"),
            func.min(deliveries.c.last_failed_at).label("oldest"),
            newest.label("newest"),
        )
        .where(state_is(State.DEAD))
        .group_by(deliveries.c.integration, deliveries.c.failure_code, deliveries.c.cause)
        .order_by(func.count().desc(), newest.desc())
        .limit(most)
    )
    rows = list(connection.execute(query))
    causes = (_cause(connection, row, n < MOST_SAMPLED) for n, row in enumerate(rows))
    return [cause for cause in causes if cause is not None]


def _cause(connection: Connection, row: Any, sampled: bool) -> DeadCause | None:
    of_it = (
        select(
            deliveries.c.company,
            deliveries.c.system,
            deliveries.c.entity_type,
            deliveries.c.number,
            deliveries.c.customer_number,
            deliveries.c.failure,
        )
        .where(
            state_is(State.DEAD),
            deliveries.c.integration == row.integration,
            deliveries.c.failure_code == row.failure_code,
            deliveries.c.cause == row.cause,
        )
        .order_by(deliveries.c.last_failed_at.desc(), deliveries.c.ordinal.desc())
    )
    first = connection.execute(of_it.limit(1)).first()
    failure = None if first is None else failure_of(first.failure)
    if first is None or failure is None:
        return None
    seen = of_it.limit(SAMPLED).subquery()
    counts = select(seen.c.entity_type, seen.c.customer_number).distinct()
    whole = sampled and row.many <= SAMPLED
    kinds = list(connection.execute(counts)) if whole else []
    return DeadCause(
        integration=row.integration,
        company=first.company,
        system=first.system,
        code=row.failure_code,
        cause=row.cause,
        count=row.many,
        oldest_at=row.oldest,
        newest_at=row.newest,
        sample=failure,
        customers=len({kind.customer_number for kind in kinds}) if whole else None,
        kinds=tuple(sorted({kind.entity_type for kind in kinds})),
        entity=f"{first.entity_type}/{first.number}",
    )


class LetterCount(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of one company (None: unknown) and code that never became a delivery.

    `sample` is the newest of them.
    """

    company: str | None
    count: int
    oldest_at: float
    newest_at: float
    sample: Failure


def letters_by_code(connection: Connection) -> list[LetterCount]:
    """Letters without a delivery; reads each."""
    # The text of a failure's JSON, in the words of each database.
    sqlite = "json_extract(CAST(letters.failure AS TEXT), '$.code')"
    postgresql = "convert_from(letters.failure, 'UTF8')::json->>'code'"
    code: Any = literal_column(sqlite if connection.dialect.name == "sqlite" else postgresql)
    query = (
        select(
            letters.c.company,
            code.label("code"),
            func.count().label("many"),
            func.min(letters.c.received_at).label("oldest"),
            func.max(letters.c.received_at).label("newest"),
        )
        .where(literal_column("letters.state = 'dead'"))
        .group_by(letters.c.company, code)
        .order_by(func.count().desc())
        .limit(MOST_CAUSES)
    )
    found = []
    for row in list(connection.execute(query)):
        newest = (
            select(letters.c.failure)
            .where(
                literal_column("letters.state = 'dead'"),
                letters.c.company.is_not_distinct_from(row.company),
                code == row.code,
            )
            .order_by(letters.c.received_at.desc(), letters.c.letter_id.desc())
            .limit(1)
        )
        sample = failure_of(connection.execute(newest).scalar_one_or_none())
        if sample is not None:
            found.append(
                LetterCount(
                    company=row.company,
                    count=row.many,
                    oldest_at=row.oldest,
                    newest_at=row.newest,
                    sample=sample,
                )
            )
    return found


def open_commands(connection: Connection) -> int:
    """Commands that came and are not carried out yet."""
    query = select(func.count()).select_from(commands)
    return int(connection.execute(query.where(literal_column("state = 'open'"))).scalar_one())


def whose(connection: Connection, integrations: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The company and system of integrations that are set up no more, from what they left."""
    found = {}
    for name in integrations:
        query = select(deliveries.c.company, deliveries.c.system).where(
            deliveries.c.integration == name
        )
        for condition in (state_is(State.DEAD), state_is(State.READY)):
            row = connection.execute(query.where(condition).limit(1)).first()
            if row is not None:
                found[name] = (row.company, row.system)
                break
    return found
