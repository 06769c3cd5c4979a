"""What becomes of commands about deliveries while they are sent: one look, read-only, bounded."""

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, Select, func, select

from schemas.events import EntityType
from streams.core.states import State
from streams.ledger.holds import load_holds
from streams.ledger.inserting import chunks
from streams.ledger.queries import Said, command_states, said_of
from streams.ledger.rows import state_is
from streams.ledger.tables import audit, deliveries, letters

OLDEST: int = 5_000
"""Ready deliveries that are looked through for replayed ones; where there are more, so many of each
integration and kind: what is replayed is older than what comes meanwhile, so it stands in front."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """`ended`: commands that were carried out; `said`: their words in the audit, by command.

    `ready`: replayed deliveries that wait to be sent, by integration; `held`: why one is held.
    """

    ended: tuple[str, ...]
    said: dict[str, list[Said]]
    ready: dict[str, int]
    held: dict[str, str]


def look(
    connection: Connection,
    source: str,
    commands: Sequence[str],
    ids: Iterable[str],
    integrations: Sequence[str],
) -> Look:
    """Look at these commands, at the deliveries that they name, and at where these go."""
    states = command_states(connection, source, commands)
    ended = tuple(name for name in commands if states.get(name, "open") != "open")
    said: dict[str, list[Said]] = {}
    if ended:
        for one in all_said(connection, ids):
            if one.command_id in ended:
                said.setdefault(str(one.command_id), []).append(one)
    holds = load_holds(connection)
    return Look(
        ended=ended,
        said=said,
        ready=_ready(connection, integrations) if integrations else {},
        held={
            name: hold.failure.code.value
            for name, hold in holds.items()
            if hold.failure is not None and name in integrations
        },
    )


def all_said(connection: Connection, ids: Iterable[str]) -> Iterable[Said]:
    """Everything that the audit has of deliveries and letters, in its order."""
    for part in chunks(list(ids)):
        query = select(audit).where(audit.c.delivery_id.in_(part)).order_by(audit.c.audit_pk)
        yield from (said_of(row) for row in connection.execute(query))


def _ready(connection: Connection, integrations: Sequence[str]) -> dict[str, int]:
    """How many replayed ones wait, by integration. Looked at is a bounded number of rows."""
    ready = select(deliveries.c.integration, deliveries.c.replays).where(state_is(State.READY))
    some = ready.limit(OLDEST + 1).subquery()
    if connection.execute(select(func.count()).select_from(some)).scalar_one() <= OLDEST:
        few = (
            select(deliveries.c.integration, func.count())
            .where(state_is(State.READY), deliveries.c.replays > 0)
            .group_by(deliveries.c.integration)
        )
        return {name: int(many) for name, many in connection.execute(few)}
    return {name: _oldest_replayed(connection, ready, name) for name in integrations}


def _oldest_replayed(
    connection: Connection, ready: Select[tuple[str, int]], integration: str
) -> int:
    """Of each kind the oldest are looked through."""
    found = 0
    for kind in EntityType:
        oldest = (
            ready.where(
                deliveries.c.integration == integration,
                deliveries.c.entity_type == kind.value,
            )
            .order_by(deliveries.c.ordinal)
            .limit(OLDEST)
            .subquery()
        )
        replayed = select(func.count()).select_from(oldest).where(oldest.c.replays > 0)
        found += int(connection.execute(replayed).scalar_one())
    return found


KNOWN_START: int = 4  # characters of an id that whoever copies it gets right
NEIGHBOURS: int = 500  # ids that are compared with one that is unknown


def ids_near(connection: Connection, name: str) -> list[str]:
    """Ids that begin like this one, and some of what is dead: among them may be what was meant."""
    found: list[str] = []
    for column in (deliveries.c.delivery_id, letters.c.letter_id):
        for known in (name[:KNOWN_START], name[:1]):
            if known:
                like = column.between(known, f"{known}~")
                found += connection.scalars(select(column).where(like).limit(NEIGHBOURS))
    dead = select(deliveries.c.delivery_id).where(state_is(State.DEAD))
    found += connection.scalars(dead.order_by(deliveries.c.ordinal).limit(NEIGHBOURS))
    return list(dict.fromkeys(found))
