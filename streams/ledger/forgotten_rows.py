"""Emptying rows of what a person could be known by. What goes and stays: `forgetting.py`."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, delete, exists, or_, select, update

from schemas.deadletters import LETTER_ID
from schemas.failures import Failure
from streams.core.model import entity_key
from streams.core.states import SETTLED
from streams.ledger.forgetting import Erased, Scope, Survey, letters_of
from streams.ledger.inserting import chunks
from streams.ledger.letters import DEAD
from streams.ledger.rows import failure_of, pack_headers, to_json, unpack_headers
from streams.ledger.tables import (
    attempts,
    audit,
    bookings,
    books,
    commands,
    deliveries,
    entities,
    holds,
    inbox,
    letters,
    notice_causes,
    notices,
    outbox,
)
from streams.notices.causes import Detail

EVENTS_A_TRANSACTION = 200  # some milliseconds, for which workers wait

_SETTLED = tuple(state.value for state in sorted(SETTLED))
_NO_HEADERS = pack_headers(())
_NO_EXCHANGES = b"[]"
_PERSONAL = ("edit", "failure", "refusal")  # members of an audit's detail that may quote an event
_detail = msgspec.json.Decoder(Detail)


def erase_events(connection: Connection, found: Survey, event_pks: Sequence[int]) -> Erased:
    """Erase some events of a survey with all that came of them.

    Those of its `kept_customers` are left alone, and those with a delivery that has not ended or
    whose outcome is not published.
    """
    erased = Erased()
    untold = exists().where(outbox.c.delivery_ordinal == deliveries.c.ordinal, ~outbox.c.published)
    busy = select(deliveries.c.event_pk).where(
        deliveries.c.event_pk.in_(event_pks), or_(deliveries.c.state.not_in(_SETTLED), untold)
    )
    rows = [
        row
        for row in connection.execute(
            select(inbox.c.event_pk, inbox.c.entity_type, inbox.c.number, inbox.c.customer_number)
            .where(inbox.c.event_pk.in_(event_pks), inbox.c.event_pk.not_in(busy))
            .order_by(inbox.c.event_pk)
        )
        if row.customer_number not in found.kept_customers
    ]
    if not rows:
        return erased
    pks = [row.event_pk for row in rows]
    _erase_deliveries(connection, pks, erased)
    names = {(row.entity_type, row.number) for row in rows}
    _erase_entities(connection, names, found.integrations, erased)
    connection.execute(
        update(inbox)
        .where(inbox.c.event_pk.in_(pks))
        .values(value=None, key=None, headers=_NO_HEADERS)
    )
    erased.events += len(pks)
    return erased


def _erase_deliveries(connection: Connection, event_pks: list[int], erased: Erased) -> None:
    rows = connection.execute(
        select(deliveries.c.ordinal, deliveries.c.delivery_id, deliveries.c.failure)
        .where(deliveries.c.event_pk.in_(event_pks))
        .order_by(deliveries.c.ordinal)
    ).all()
    for some in chunks(rows):
        ordinals = [row.ordinal for row in some]
        connection.execute(
            update(deliveries)
            .where(deliveries.c.ordinal.in_(ordinals))
            .values(intent=None, edited=None)
        )
        for row in some:
            if row.failure is not None:
                values = {"failure": to_json(plain_failure(failure_of(row.failure)))}
                connection.execute(
                    update(deliveries).where(deliveries.c.ordinal == row.ordinal).values(values)
                )
        emptied = connection.execute(
            update(attempts).where(attempts.c.ordinal.in_(ordinals)).values(exchanges=_NO_EXCHANGES)
        )
        gone = connection.execute(
            delete(outbox).where(outbox.c.delivery_ordinal.in_(ordinals), outbox.c.published)
        )
        erased.attempts += emptied.rowcount
        erased.outcomes += gone.rowcount
        erased.notices += _erase_notices(connection, notices.c.ordinal.in_(ordinals))
        _erase_audit(connection, [row.delivery_id for row in some])
    erased.deliveries += len(rows)


def _erase_entities(
    connection: Connection,
    names: set[tuple[str, str]],
    integrations: frozenset[str],
    erased: Erased,
) -> None:
    """The next write of such an entity reads the books first, and clears nothing in them."""
    keys = sorted(
        entity_key(integration, kind, number)
        for kind, number in names
        for integration in integrations
    )
    for some in chunks(keys):
        emptied = connection.execute(
            update(entities)
            .where(entities.c.entity_key.in_(some), entities.c.content.is_not(None))
            .values(content=None)
        )
        erased.entities += emptied.rowcount
    identities = select(books.c.identity).where(books.c.integration.in_(sorted(integrations)))
    for numbers in chunks(sorted(number for kind, number in names if kind == "invoice")):
        emptied = connection.execute(
            update(bookings)
            .where(
                bookings.c.books.in_(identities),
                bookings.c.number.in_(numbers),
                bookings.c.content.is_not(None),
            )
            .values(content=None)
        )
        erased.bookings += emptied.rowcount


def _erase_notices(connection: Connection, which: ColumnElement[bool]) -> int:
    rows = connection.execute(select(notices.c.notice_pk, notices.c.detail).where(which)).all()
    for row in rows:
        connection.execute(
            update(notices)
            .where(notices.c.notice_pk == row.notice_pk)
            .values(detail=_plain_detail(row.detail))
        )
    return len(rows)


def _erase_audit(connection: Connection, ids: Sequence[str]) -> None:
    query = select(audit.c.audit_pk, audit.c.detail).where(audit.c.delivery_id.in_(ids))
    for row in connection.execute(query).all():
        told = msgspec.json.decode(row.detail) if row.detail is not None else {}
        plain = {name: value for name, value in told.items() if name not in _PERSONAL}
        if plain != told:
            connection.execute(
                update(audit)
                .where(audit.c.audit_pk == row.audit_pk)
                .values(detail=msgspec.json.encode(plain))
            )


# --- what belongs to no event ------------------------------------------------------------------


def erase_letters(connection: Connection, scope: Scope) -> Erased:
    """Erase letters that never became a delivery and have ended, with what was published."""
    named = [name for name, one in letters_of(connection, scope).items() if one.state != DEAD]
    for some in chunks(named):
        for row in connection.execute(
            select(letters.c.letter_id, letters.c.failure).where(letters.c.letter_id.in_(some))
        ).all():
            connection.execute(
                update(letters)
                .where(letters.c.letter_id == row.letter_id)
                .values(
                    value=None,
                    key=None,
                    headers=_NO_HEADERS,
                    company=scope.company,
                    failure=to_json(plain_failure(failure_of(row.failure))),
                )
            )
        told = notices.c.letter_id.in_(some)
        _erase_notices(connection, told)
        _erase_causes(
            connection, notice_causes.c.cause_pk.in_(select(notices.c.cause_pk).where(told))
        )
        _erase_audit(connection, some)
    ids = {name.encode() for name in named}
    published = select(outbox.c.position, outbox.c.headers).where(
        outbox.c.delivery_ordinal.is_(None), outbox.c.published
    )
    gone = [
        row.position
        for row in connection.execute(published)
        if dict(unpack_headers(row.headers)).get(LETTER_ID) in ids
    ]
    for positions in chunks(gone):
        connection.execute(delete(outbox).where(outbox.c.position.in_(positions)))
    return Erased(letters=len(named), outcomes=len(gone))


def erase_told(connection: Connection, scope: Scope, kept_customers: frozenset[str]) -> Erased:
    """Erase what causes of notices and commands quote of the scope's entities."""
    pairs = select(inbox.c.entity_type, inbox.c.number, inbox.c.customer_number)
    names = {
        (row.entity_type, row.number)
        for row in connection.execute(pairs.where(*scope.of(inbox)).distinct())
        if row.customer_number not in kept_customers
    }
    _erase_causes(connection, notice_causes.c.company == scope.company, names)
    if scope.customer is None:
        _erase_holds(connection, scope)
    return Erased(commands=_erase_commands(connection, scope, kept_customers))


def _erase_causes(
    connection: Connection, which: ColumnElement[bool], names: set[tuple[str, str]] | None = None
) -> None:
    """Empty causes of notices; with `names` only those that quote one of these entities."""
    query = select(notice_causes.c.cause_pk, notice_causes.c.detail).where(which)
    for row in connection.execute(query).all():
        detail = _detail.decode(row.detail)
        if names is None or (detail.entity_type or "", detail.number) in names:
            connection.execute(
                update(notice_causes)
                .where(notice_causes.c.cause_pk == row.cause_pk)
                .values(detail=_plain_detail(row.detail))
            )


def _erase_holds(connection: Connection, scope: Scope) -> None:
    """Why an integration is held stays, without what was answered."""
    own = select(deliveries.c.integration).where(deliveries.c.company == scope.company).distinct()
    query = select(holds.c.integration, holds.c.failure).where(
        holds.c.integration.in_(own), holds.c.failure.is_not(None)
    )
    for row in connection.execute(query).all():
        connection.execute(
            update(holds)
            .where(holds.c.integration == row.integration)
            .values(failure=to_json(plain_failure(failure_of(row.failure))))
        )


def _erase_commands(connection: Connection, scope: Scope, kept: frozenset[str]) -> int:
    """Take the edits out of commands that are done; who gave them, and why, stays."""
    replayed = select(deliveries.c.delivery_id, deliveries.c.customer_number).where(
        *scope.of(deliveries), deliveries.c.replays > 0
    )
    ids = {
        row.delivery_id for row in connection.execute(replayed) if row.customer_number not in kept
    }
    if not ids:
        return 0
    many = 0
    for row in connection.execute(select(commands).where(commands.c.state != "open")).all():
        told = msgspec.json.decode(row.command)
        data = told["data"]
        if data.get("edit") and ids.intersection(data.get("deliveries", ())):
            data["edit"] = {}
            connection.execute(
                update(commands)
                .where(commands.c.source == row.source, commands.c.ce_id == row.ce_id)
                .values(command=msgspec.json.encode(told))
            )
            many += 1
    return many


# --- what is left of a text ----------------------------------------------------------------------


def plain_failure(failure: Failure | None) -> Failure | None:
    """Only what is the same for everybody: parameters and answers may quote a name."""
    if failure is None:
        return None
    return Failure(code=failure.code, field=failure.field, klass=failure.klass)


def _plain_detail(blob: bytes) -> bytes | None:
    told = _detail.decode(blob)
    plain = msgspec.structs.replace(told, failure=plain_failure(told.failure), changes=())
    return to_json(plain)
