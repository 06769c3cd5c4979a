"""Gathering what was noted by cause, and marking what has been told or is over.

Done by the owner of the lane of the integration's id (design section 8), in bounded transactions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, case, delete, func, insert, select, update

from connectors.integrations import Integration
from schemas.outcomes import OutcomeKind
from streams.ledger.engine import Operation
from streams.ledger.holds import HoldRow, load_holds
from streams.ledger.inserting import chunks
from streams.ledger.letter_notices import note_letters
from streams.ledger.notices import ENDED, NEW, SAMPLE, STATE, is_own, joined, with_new
from streams.ledger.rows import to_json
from streams.ledger.tables import lanes, notice_causes, notices
from streams.notices.causes import TRACKED, UNWRITTEN_HOLDS, Cause, Detail, Say

GATHER_MOST = 500  # rows taken up in one transaction
END_MOST = 500  # rows dropped in one transaction


class Gather(msgspec.Struct, frozen=True, kw_only=True):
    """Take up what was noted. `integrations`: those set up; `now`: seconds since 1970."""

    owner: str
    partitions: int
    now: float
    integrations: Mapping[str, Integration]


def _gather(connection: Connection, items: Sequence[Gather]) -> list[bool]:
    return [_gather_one(connection, item) for item in items]


# True: more is left.
gather = Operation("notices", 60, _gather)


def _gather_one(connection: Connection, item: Gather) -> bool:
    query = select(lanes.c.lane).where(lanes.c.owner == item.owner).order_by(lanes.c.lane)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(read=True)
    own = frozenset(connection.scalars(query))
    letters_left = note_letters(connection, item.integrations, own, item.partitions)
    mine = with_new(connection, own, item.partitions)
    rows: list[Any] = []
    if mine:
        new = select(notices).where(NEW, notices.c.integration.in_(mine[:GATHER_MOST]))
        rows = list(connection.execute(new.order_by(notices.c.notice_pk).limit(GATHER_MOST)))
    groups: dict[tuple[str, str, str, str], list[Any]] = {}
    for row in _replaced_by_newer(connection, rows):
        groups.setdefault((row.integration, row.kind, row.code, row.cause), []).append(row)
    for group in groups.values():
        _take_up(connection, group, item.now)
    for hold in load_holds(connection).values():
        if hold.failure is not None and is_own(hold.integration, own, item.partitions):
            _open_hold(connection, hold, item)
    return letters_left or len(rows) == GATHER_MOST


def _replaced_by_newer(connection: Connection, rows: list[Any]) -> list[Any]:
    """Drop what newer rows of the same deliveries replace; the rest, in order.

    A delivery is in one trouble at a time: what was tried again and then died is dead.
    """
    tracked = [one.value for one in TRACKED]
    newest = {
        row.ordinal: row.notice_pk for row in rows if row.kind in tracked and row.letter_id is None
    }
    for part in chunks(sorted(newest)):
        connection.execute(
            delete(notices).where(
                notices.c.ordinal.in_(part),
                notices.c.kind.in_(tracked),
                notices.c.cause_pk.is_not(None),
            )
        )
    kept = [
        row
        for row in rows
        if row.kind not in tracked or newest.get(row.ordinal, row.notice_pk) == row.notice_pk
    ]
    _drop(connection, {row.notice_pk for row in rows} - {row.notice_pk for row in kept})
    return kept


def _drop(connection: Connection, keys: set[int]) -> None:
    for part in chunks(sorted(keys)):
        connection.execute(delete(notices).where(notices.c.notice_pk.in_(part)))


def _take_up(connection: Connection, group: list[Any], now: float) -> None:
    newest = group[-1]
    types = {row.entity_type for row in group}
    many, since = sum(row.many for row in group), min(row.at for row in group)
    known = connection.execute(_same_cause(newest)).first()
    if known is None:
        cause_pk = _insert_cause(connection, newest, now, types=types, many=many, since=since)
    else:
        cause_pk = known.cause_pk
        opened = {} if known.open else {"told": False, "mended": 0, "reminders": 0}
        types |= set(known.entity_types.split()) if known.open else set()
        fresh_since = known.fresh_since if known.open else None
        connection.execute(
            update(notice_causes)
            .where(notice_causes.c.cause_pk == cause_pk)
            .values(
                detail=newest.detail,
                entity_types=" ".join(sorted(types)),
                open=True,
                changed_at=now,
                fresh=(known.fresh if known.open else 0) + many,
                fresh_since=since if fresh_since is None else min(since, fresh_since),
                **opened,
            )
        )
    _keep(connection, cause_pk, group)


def _same_cause(row: Any) -> Any:
    return select(notice_causes).where(
        notice_causes.c.integration == row.integration,
        notice_causes.c.kind == row.kind,
        notice_causes.c.code == row.code,
        notice_causes.c.cause == row.cause,
    )


def _insert_cause(
    connection: Connection, like: Any, now: float, *, types: set[str], many: int, since: float
) -> int:
    statement = insert(notice_causes).returning(notice_causes.c.cause_pk)
    values = {
        "integration": like.integration,
        "system": like.system,
        "company": like.company,
        "kind": like.kind,
        "code": like.code,
        "cause": like.cause,
        "detail": like.detail,
        "entity_types": " ".join(sorted(types)),
        "open": True,
        "changed_at": now,
        "fresh": many,
        "fresh_since": since,
    }
    return int(connection.execute(statement, values).scalar_one())


def _keep(connection: Connection, cause_pk: int, group: list[Any]) -> None:
    """Put rows under their cause; of a hold only as many as say when it is over."""
    keys = [row.notice_pk for row in group]
    kept = keys
    if group[0].kind == OutcomeKind.HELD.value:
        kept = keys[: _room(connection, cause_pk)] if group[0].code in UNWRITTEN_HOLDS else []
    for part in chunks(kept):
        connection.execute(
            update(notices).where(notices.c.notice_pk.in_(part)).values(cause_pk=cause_pk)
        )
    _drop(connection, set(keys) - set(kept))


def _room(connection: Connection, cause_pk: int) -> int:
    query = select(func.count()).select_from(notices).where(notices.c.cause_pk == cause_pk)
    return max(0, SAMPLE - int(connection.execute(query).scalar_one()))


class _Like(msgspec.Struct, frozen=True, kw_only=True):
    """What a cause is made of where no delivery was told."""

    integration: str
    system: str
    company: str
    kind: str
    code: str
    detail: bytes | None
    cause: str = ""


def _open_hold(connection: Connection, hold: HoldRow, item: Gather) -> None:
    """A hold is told also where nothing waits for it yet."""
    integration = item.integrations.get(hold.integration)
    if integration is None or hold.failure is None:
        return
    like = _Like(
        integration=hold.integration,
        system=integration.system.value,
        company=integration.company,
        kind=OutcomeKind.HELD.value,
        code=hold.failure.code.value,
        detail=to_json(Detail(failure=hold.failure)),
    )
    known = connection.execute(_same_cause(like)).first()
    if known is None:
        _insert_cause(connection, like, item.now, types=set(), many=0, since=item.now)
    elif not known.open:
        connection.execute(
            update(notice_causes)
            .where(notice_causes.c.cause_pk == known.cause_pk)
            .values(
                detail=like.detail,
                entity_types="",
                open=True,
                told=False,
                mended=0,
                reminders=0,
                changed_at=item.now,
                fresh=0,
                fresh_since=item.now,
            )
        )


# --- marking ---------------------------------------------------------------------------------


def _end(connection: Connection, items: Sequence[int]) -> list[None]:
    for cause_pk in items:
        _end_one(connection, cause_pk)
    return [None] * len(items)


# Of a cause: drops the oldest of its deliveries that are out of trouble.
end: Operation[int, None] = Operation("notices-end", 62, _end)


def _end_one(connection: Connection, cause_pk: int) -> None:
    oldest = (
        joined(notices.c.notice_pk, STATE)
        .where(notices.c.cause_pk == cause_pk)
        .order_by(notices.c.notice_pk)
        .limit(END_MOST)
    )
    over = [
        row.notice_pk
        for row in connection.execute(oldest)
        if row.state is None or row.state in ENDED
    ]
    for part in chunks(over):
        connection.execute(delete(notices).where(notices.c.notice_pk.in_(part)))
    connection.execute(
        update(notice_causes)
        .where(notice_causes.c.cause_pk == cause_pk)
        .values(mended=notice_causes.c.mended + len(over))
    )


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A mail about `cause` (as it was when the mail was written) has gone out, or its log line."""

    cause: Cause
    say: Say
    newest_pk: int
    now: float


def _told(connection: Connection, items: Sequence[Told]) -> list[None]:
    for item in items:
        _told_one(connection, item)
    return [None] * len(items)


mark_told: Operation[Told, None] = Operation("notices-told", 64, _told)


def _told_one(connection: Connection, item: Told) -> None:
    """Nothing is marked when somebody else has told it meanwhile: the number of mails says so."""
    cause, own = item.cause, notice_causes.c
    newer = own.fresh > cause.fresh
    done = connection.execute(
        update(notice_causes)
        .where(own.cause_pk == cause.cause_pk, own.mails == cause.mails)
        .values(
            mails=own.mails + 1,
            told=item.say is not Say.SOLVED,
            told_at=item.now,
            told_pk=item.newest_pk,
            fresh=own.fresh - cause.fresh,
            fresh_since=case((newer, item.now), else_=None),
            open=newer if item.say is Say.SOLVED else own.open,
            changed_at=item.now,
            reminders=own.reminders + 1 if item.say is Say.REMINDER else 0,
        )
    )
    if done.rowcount and cause.kind is OutcomeKind.MANUAL:
        rows = notices.c.cause_pk == cause.cause_pk
        connection.execute(delete(notices).where(rows, notices.c.notice_pk <= item.newest_pk))


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """A cause is over and nobody needs to be told so."""

    cause: Cause
    now: float


def _close(connection: Connection, items: Sequence[Closed]) -> list[None]:
    for item in items:
        _close_one(connection, item)
    return [None] * len(items)


close: Operation[Closed, None] = Operation("notices-close", 66, _close)


def _close_one(connection: Connection, item: Closed) -> None:
    """The row stays for a day, so that a cause that comes and goes is not told each time."""
    cause, own = item.cause, notice_causes.c
    done = connection.execute(
        update(notice_causes)
        .where(
            own.cause_pk == cause.cause_pk,
            own.mails == cause.mails,
            own.fresh == cause.fresh,
        )
        .values(open=False, told=False, fresh=0, fresh_since=None, changed_at=item.now)
    )
    if done.rowcount:
        connection.execute(delete(notices).where(notices.c.cause_pk == cause.cause_pk))
