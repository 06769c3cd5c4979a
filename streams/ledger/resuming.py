"""Resume: a person says that what held an integration is mended."""

from sqlalchemy import Connection, delete, func, select, update

from schemas.failures import FailureCode
from streams.core.replays import Reason, Refusal
from streams.core.states import State
from streams.ledger.act import REFUSED, Act
from streams.ledger.holds import clear_hold
from streams.ledger.rows import failure_of, state_is
from streams.ledger.tables import books, deliveries, entities, holds, lanes

FORGET_A_STEP = 5_000  # entities of changed books that are forgotten in one transaction

NOT_SET_UP = Refusal(reason=Reason.UNKNOWN, text="no such integration is set up")


def resume(act: Act) -> None:
    """End holds and pauses of the integration, or of all of the company, and ask parents again."""
    data = act.command.data
    targets = act.directory.integrations(integration=data.integration, company=data.company)
    if not targets:
        act.tell(REFUSED, integration=data.integration, refusal=NOT_SET_UP)
        return
    for one in targets:
        _resume_one(act, one.id)


def _resume_one(act: Act, integration: str) -> None:
    connection = act.connection
    row = connection.execute(select(holds).where(holds.c.integration == integration)).first()
    failure = failure_of(row.failure) if row is not None else None
    if failure is not None and failure.code is FailureCode.BOOKS_IDENTITY_CHANGED:
        if _forget_some(connection, integration) == FORGET_A_STEP:
            act.done = False  # held until all of it is forgotten
            return
        connection.execute(delete(books).where(books.c.integration == integration))
    clear_hold(connection, integration)
    connection.execute(
        update(holds).where(holds.c.integration == integration).values(pause_until=None)
    )
    _ask_parents(connection, integration)
    act.resumed.add(integration)
    act.woken.add(integration)
    act.tell("resumed", integration=integration, failure=failure)


def _forget_some(connection: Connection, integration: str) -> int:
    """What is known of entities in other books counts for nothing in these: they are looked up.

    Which state was applied last stays known, so that nothing goes back to an older one.
    """
    prefix = f"{integration}\x1f"
    some = (
        select(entities.c.entity_key)
        .where(
            func.substr(entities.c.entity_key, 1, len(prefix)) == prefix,
            entities.c.claimed_by.is_(None),
            entities.c.in_books | entities.c.content.is_not(None),
        )
        .limit(FORGET_A_STEP)
    )
    done = connection.execute(
        update(entities)
        .where(entities.c.entity_key.in_(some.scalar_subquery()))
        .values(in_books=False, reference=None, content=None)
    )
    return done.rowcount


def _ask_parents(connection: Connection, integration: str) -> None:
    """Every parent that somebody waits for is asked for now, by the worker that owns its lane."""
    waited_for = (
        select(deliveries.c.waits_key)
        .where(
            deliveries.c.integration == integration,
            state_is(State.WAITING, State.BLOCKED),
            deliveries.c.waits_key.is_not(None),
            deliveries.c.waits_key != deliveries.c.entity_key,
        )
        .distinct()
    )
    boot = select(lanes.c.boot).where(lanes.c.lane == entities.c.lane).scalar_subquery()
    connection.execute(
        update(entities)
        .where(entities.c.entity_key.in_(waited_for), ~entities.c.in_books)
        .values(ask_at=0.0, ask_boot=boot, asked_no_at=None)
    )
