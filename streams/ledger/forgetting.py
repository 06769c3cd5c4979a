"""Erasing what the ledger holds of a customer, or of a whole company, and keeping what it needs.

**What goes**: the record of every event (value, key, headers), what operators edited, the content
that was last written to the books, answers of the accounting systems, parameters of failures and
notices, outcomes and dead letters that are published.
**What stays**, since order and "once" are decided by it: numbers of entities, ids of events and
deliveries, digests, offsets, states and times, what the books call a record (ids, voucher and
invoice numbers), codes, and who gave which command and why.

Only what has ended is erased. A delivery that is open or dead still needs its event, and the
customer's last event may be needed for an invoice of it, so a customer with such a delivery is
left whole. What has ended is moved by nobody any more, so no lane is needed here. Transactions are
short, and all of it may be run again, or beside workers.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from schemas.lane import lane_key
from streams.ledger.letters import DEAD
from streams.ledger.rows import open_or_dead
from streams.ledger.tables import audit, deliveries, inbox, letters, notice_causes, outbox


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data: all of a company, or one customer of it with projects and invoices."""

    company: str
    customer: str | None = None

    def of(self, table: Any) -> list[Any]:
        """Conditions on a table that has `company` and `customer_number`."""
        found = [table.c.company == self.company]
        if self.customer is not None:
            found.append(table.c.customer_number == self.customer)
        return found


class Living(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery that has not ended, or a dead letter that never was one (no `customer`).

    `key`: of the command that discards it.
    """

    delivery_id: str
    customer: str
    state: str
    key: bytes


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to erase: keys of events and letters, and what has not ended."""

    known: bool
    events: tuple[int, ...] = ()
    letters: tuple[str, ...] = ()
    living: tuple[Living, ...] = ()
    integrations: frozenset[str] = frozenset()

    @property
    def kept_customers(self) -> frozenset[str]:
        """Customers that are left whole: something of theirs has not ended."""
        return frozenset(one.customer for one in self.living if one.customer)


class Erased(msgspec.Struct, kw_only=True):
    """How many rows were erased, or emptied but for their numbers."""

    events: int = 0
    deliveries: int = 0
    entities: int = 0
    bookings: int = 0
    attempts: int = 0
    outcomes: int = 0
    letters: int = 0
    notices: int = 0
    commands: int = 0

    def add(self, other: "Erased") -> None:
        """Count another transaction's."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def survey(connection: Connection, scope: Scope) -> Survey:
    """Look at everything of a scope; changes nothing. Reads each of its events' keys."""
    events = connection.execute(
        select(inbox.c.event_pk, inbox.c.value.is_(None).label("empty")).where(*scope.of(inbox))
    ).all()
    named = letters_of(connection, scope)
    living = _living(connection, scope)
    living += [one for one in named.values() if one.state == DEAD]
    return Survey(
        known=bool(events or named),
        events=tuple(row.event_pk for row in events if not row.empty),
        letters=tuple(name for name, one in named.items() if one.state != DEAD),
        living=tuple(living),
        integrations=_integrations_of(connection, scope.company),
    )


def _living(connection: Connection, scope: Scope) -> list[Living]:
    query = select(
        deliveries.c.delivery_id, deliveries.c.customer_number, deliveries.c.state
    ).where(open_or_dead, *scope.of(deliveries))
    return [
        Living(
            delivery_id=row.delivery_id,
            customer=row.customer_number,
            state=row.state,
            key=lane_key(scope.company, row.customer_number),
        )
        for row in connection.execute(query.order_by(deliveries.c.ordinal))
    ]


def letters_of(connection: Connection, scope: Scope) -> dict[str, Living]:
    """Find letters of the scope, by their company, their key, or what their data names."""
    prefix = f"{scope.company}/".encode()
    found: dict[str, Living] = {}
    query = select(
        letters.c.letter_id, letters.c.company, letters.c.key, letters.c.value, letters.c.state
    )
    for row in connection.execute(query):
        key = row.key or b""
        if row.company != scope.company and not key.startswith(prefix):
            continue
        if row.key is None and row.value is None:  # erased before
            continue
        customers = {key.removeprefix(prefix).decode(errors="replace"), *_named(row.value)}
        if scope.customer is None or scope.customer in customers:
            found[row.letter_id] = Living(
                delivery_id=row.letter_id,
                customer="",
                state=row.state,
                key=f"letters/{scope.company}".encode(),
            )
    return found


def _named(value: bytes | None) -> Iterable[str]:
    """The numbers by which a record that could not be taken may name its customer."""
    try:
        told = msgspec.json.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ()
    data = told.get("data", told) if isinstance(told, dict) else None
    if not isinstance(data, dict):
        return ()
    name = "customerNumber" if "customerNumber" in data else "number"
    return (str(data.get(name, "")),)


def note(
    connection: Connection, scope: Scope, *, at: float, who: str, why: str, erased: Erased
) -> None:
    """Keep in the audit that this was forgotten: after a restore it has to be forgotten again."""
    told = {
        "company": scope.company,
        "customer": scope.customer,
        "erased": msgspec.to_builtins(erased),
    }
    connection.execute(
        audit.insert().values(
            at=at, who=who, why=why, what="forgotten", detail=msgspec.json.encode(told)
        )
    )


def _integrations_of(connection: Connection, company: str) -> frozenset[str]:
    """Every integration that the ledger knows of a company, also those that are set up no more."""
    found: set[str] = set()
    for table in (deliveries, notice_causes):
        query = select(table.c.integration).where(table.c.company == company).distinct()
        found |= set(connection.scalars(query))
    return frozenset(found)


def unpublished(connection: Connection, scope: Scope) -> int:
    """Count outcomes and letters that the scope's deliveries wait to have published."""
    query = (
        select(func.count())
        .select_from(outbox)
        .join(deliveries, deliveries.c.ordinal == outbox.c.delivery_ordinal)
        .where(~outbox.c.published, *scope.of(deliveries))
    )
    return int(connection.execute(query).scalar_one())
