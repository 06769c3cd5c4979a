"""What the owner of an integration's lane has to mind: its open causes, and how they stand.

Read-only. A cause is what many failures have in common (streams/notices/causes.py).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal_column, select

from connectors.integrations import Integration
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode
from schemas.lane import partition_of
from schemas.outcomes import OutcomeKind
from streams.core.states import SETTLED, State
from streams.ledger.holds import load_holds
from streams.ledger.letter_notices import any_untold, first_of_company
from streams.ledger.letters import REPLAYED
from streams.ledger.tables import deliveries, lanes, letters, notice_causes, notices
from streams.notices.causes import TRACKED, Cause, Detail
from streams.notices.plan import Standing

SAMPLE = 50  # deliveries looked at of a hold without a row: enough to see that something goes again
WAITING_MOST = 10_000  # deliveries that wait are counted this far

ENDED = (*(state.value for state in sorted(SETTLED)), REPLAYED)
# Of a notice: its letter's, where it has one, else its delivery's.
STATE: ColumnElement[str] = func.coalesce(letters.c.state, deliveries.c.state).label("state")
RECEIVED_AT = func.coalesce(letters.c.received_at, deliveries.c.received_at).label("received_at")
_THROUGH = (State.APPLIED.value, State.MANUAL.value)
# As the partial indexes have them.
NEW: ColumnElement[bool] = literal_column("notices.cause_pk IS NULL")
_OPEN: ColumnElement[bool] = literal_column("notice_causes.open")
_detail = msgspec.json.Decoder(Detail)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What an owner has to mind: whether there is something to gather, its open causes."""

    lanes: frozenset[int] = frozenset()
    to_gather: bool = False
    causes: tuple[Cause, ...] = ()
    holds: Mapping[str, Failure] = {}


def look(
    connection: Connection, owner: str, partitions: int, set_up: Mapping[str, Integration]
) -> Seen:
    """Look at everything that belongs to the lanes of this owner; `set_up`: by id."""
    own = frozenset(connection.scalars(select(lanes.c.lane).where(lanes.c.owner == owner)))
    if not own:
        return Seen()
    rows = connection.execute(select(notice_causes).where(_OPEN))
    causes = [cause_row(row) for row in rows if is_own(row.integration, own, partitions)]
    held = {
        name: hold.failure
        for name, hold in load_holds(connection).items()
        if hold.failure is not None and is_own(name, own, partitions)
    }
    known = {(cause.integration, cause.code) for cause in causes if cause.written_hold}
    unknown = any(
        name in set_up and (name, failure.code) not in known for name, failure in held.items()
    )
    new = bool(with_new(connection, own, partitions)) or any_untold(
        connection, first_of_company(set_up), own, partitions
    )
    return Seen(
        lanes=own,
        to_gather=unknown or new,
        causes=tuple(causes),
        holds=held,
    )


def joined(*columns: Any) -> Select[Any]:
    """Notices with the delivery or the letter that each is about, where it is still there."""
    return (
        select(*columns)
        .select_from(notices)
        .outerjoin(deliveries, deliveries.c.ordinal == notices.c.ordinal)
        .outerjoin(letters, letters.c.letter_id == notices.c.letter_id)
    )


def is_own(integration: str, own: frozenset[int], partitions: int) -> bool:
    """Whether an integration belongs to one of these lanes: that of its id (design section 8)."""
    return partition_of(integration.encode(), partitions) in own


def with_new(connection: Connection, own: frozenset[int], partitions: int) -> list[str]:
    """Of an owner's integrations, those with notices that no cause has taken up yet."""
    query = select(notices.c.integration).where(NEW).distinct()
    return [name for name in connection.scalars(query) if is_own(name, own, partitions)]


def cause_row(row: Any) -> Cause:
    """One row of `notice_causes` as a value."""
    return Cause(
        cause_pk=row.cause_pk,
        integration=row.integration,
        system=row.system,
        company=row.company,
        kind=OutcomeKind(row.kind),
        code=FailureCode(row.code) if row.code else None,
        detail=_detail.decode(row.detail),
        entity_types=tuple(EntityType(name) for name in row.entity_types.split() if name),
        told=bool(row.told),
        fresh=row.fresh,
        fresh_since=row.fresh_since,
        told_at=row.told_at,
        told_pk=row.told_pk,
        mails=row.mails,
        reminders=row.reminders,
        mended=row.mended,
    )


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """How a cause stands. `ended`: its oldest delivery is out of trouble, so `end` is called."""

    standing: Standing
    ended: bool = False


def stands(
    connection: Connection, causes: Iterable[Cause], holds_now: Mapping[str, Failure]
) -> dict[int, Stand]:
    """How causes stand, by key: one short query each."""
    return {cause.cause_pk: _stand(connection, cause, holds_now) for cause in causes}


def _stand(connection: Connection, cause: Cause, holds_now: Mapping[str, Failure]) -> Stand:
    if cause.written_hold:
        failure = holds_now.get(cause.integration)
        over = failure is None or failure.code is not cause.code
        oldest_at = _oldest_waiting(connection, cause.integration)
        return Stand(standing=Standing(over=over, mended=failure is None, oldest_at=oldest_at))
    query = (
        joined(STATE, RECEIVED_AT)
        .where(notices.c.cause_pk == cause.cause_pk)
        .order_by(notices.c.notice_pk)
        .limit(SAMPLE)
    )
    rows = list(connection.execute(query))
    states = [row.state for row in rows]
    open_at = [row.received_at for row in rows if not _is_over(row.state)]
    if cause.kind is OutcomeKind.HELD:
        over = any(state in _THROUGH for state in states) or all(map(_is_over, states))
        return Stand(standing=Standing(over=over, mended=True))
    standing = Standing(
        over=not states, mended=cause.mended > 0, oldest_at=min(open_at, default=None)
    )
    ended = cause.kind in TRACKED and bool(states) and _is_over(states[0])
    return Stand(standing=standing, ended=ended)


def _oldest_waiting(connection: Connection, integration: str) -> float | None:
    """When the oldest came that a hold keeps."""
    found: list[float] = []
    for kind in EntityType:
        query = (
            select(deliveries.c.received_at)
            .where(literal_column("deliveries.state = 'ready'"))
            .where(deliveries.c.integration == integration, deliveries.c.entity_type == kind.value)
            .order_by(deliveries.c.ordinal)
            .limit(1)
        )
        found += connection.scalars(query).all()
    return min(found, default=None)


def _is_over(state: str | None) -> bool:
    """A delivery that is not there any more was settled, and pruned."""
    return state is None or state in ENDED


class Things(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail lists: how many by type, and the first of them, those that are new before.

    The type None is that of letters, which need not name an entity.
    """

    counts: Mapping[EntityType | None, int]
    listed: tuple[Detail, ...]
    newest_pk: int
    waiting: int = 0


def things(connection: Connection, cause: Cause, limit: int) -> Things:
    """The deliveries that are in a cause's trouble now; of a hold, how many wait."""
    if cause.kind is OutcomeKind.HELD:
        return Things(
            counts={}, listed=(), newest_pk=0, waiting=_waiting(connection, cause.integration)
        )
    own = notices.c.cause_pk == cause.cause_pk
    troubled = own if cause.kind is OutcomeKind.MANUAL else and_(own, STATE.not_in(ENDED))
    counted = (
        joined(notices.c.entity_type, func.count(), func.max(notices.c.notice_pk))
        .where(troubled)
        .group_by(notices.c.entity_type)
    )
    found = list(connection.execute(counted))
    details = joined(notices.c.detail)
    new = details.where(troubled, notices.c.notice_pk > cause.told_pk)
    old = details.where(troubled, notices.c.notice_pk <= cause.told_pk)
    listed: list[Detail] = []
    for query in (new, old):
        rows = query.order_by(notices.c.notice_pk).limit(limit - len(listed))
        listed.extend(_detail.decode(row.detail) for row in connection.execute(rows))
    return Things(
        counts={EntityType(kind) if kind else None: many for kind, many, _ in found},
        listed=tuple(listed),
        newest_pk=max((newest for _, _, newest in found), default=cause.told_pk),
    )


def _waiting(connection: Connection, integration: str) -> int:
    ready = (
        select(deliveries.c.ordinal)
        .where(literal_column("deliveries.state = 'ready'"))
        .where(deliveries.c.integration == integration)
        .limit(WAITING_MOST)
        .subquery()
    )
    return int(connection.execute(select(func.count()).select_from(ready)).scalar_one())
