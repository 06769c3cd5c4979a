"""Which ready deliveries may be decided now, oldest first, and what their books already hold."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from connectors.integrations import DATA_TYPE
from schemas.events import EntityType
from schemas.failures import Failure
from streams.core.model import EntityRow
from streams.core.states import State
from streams.ledger.holds import HoldRow, load_holds, take_probe
from streams.ledger.intake import insert_new
from streams.ledger.rows import (
    StoredDelivery,
    delivery_of,
    is_sending,
    reference_of,
    state_is,
    stored,
)
from streams.ledger.rules import Moment
from streams.ledger.tables import bookings, books, deliveries, holds
from streams.ledger.work import Want

PROBES_READ = 20  # some of the oldest may turn out to wait for a parent
HELD_A_CLAIM = 200  # deliveries of a held integration that are told so in one transaction


def candidates(
    connection: Connection, want: Want, own: frozenset[int], now: Moment, held_now: HoldRow | None
) -> tuple[list[StoredDelivery], bool]:
    """The oldest ready deliveries of one integration in our lanes, and whether there may be more.

    Bookings are read apart, only as many as there are free slots: ten thousand invoices that
    wait for their turn hold up no customer.
    """
    if want.probe:
        return _probe(connection, want, own, now), False
    if want.held is not None:
        return _untold(connection, want, own, want.held)
    if held_now is not None and (held_now.failure is not None or held_now.paused(now.wall)):
        return [], False  # held since the want was made: nothing goes before it is looked at anew
    _lock_slots(connection, want)
    spare = want.spare
    wanted = want.sends + spare
    carried = [kind for kind, data in DATA_TYPE.items() if want.integration.carries(data)]
    kinds = [kind for kind in carried if kind is not EntityType.INVOICE]
    others = _ready(connection, want, own, wanted, kinds) if kinds else []
    free = 0
    if EntityType.INVOICE in carried:
        free = min(bookings_left(connection, want), want.sends)
    invoices: list[StoredDelivery] = []
    if free > 0:
        invoices = _ready(connection, want, own, free + spare, [EntityType.INVOICE])
    full = len(others) == wanted or (free > 0 and len(invoices) == free + spare)
    both = sorted([*others, *invoices], key=lambda d: d.ordinal)
    return both, full


def _probe(
    connection: Connection, want: Want, own: frozenset[int], now: Moment
) -> list[StoredDelivery]:
    """The oldest delivery of the kind that was refused, alone, if the probe is ours to take."""
    carried = [kind for kind, data in DATA_TYPE.items() if want.integration.carries(data)]
    row = load_holds(connection).get(want.integration.id)
    if row is None or row.failure is None:
        return []
    kinds = [kind for kind in carried if not row.kind or kind.value == row.kind]
    found = _ready(connection, want, own, PROBES_READ, kinds) if kinds else []
    if not found:
        return []
    name = want.integration.id
    taken = take_probe(connection, name, now, want.hold_probe_s, want.hold_probe_max_s)
    return found if taken is not None else []


def bookings_left(connection: Connection, want: Want) -> int:
    """How many more bookings of the integration may be in flight, over all workers."""
    if want.bookings <= 0:
        return 0
    sending = connection.execute(_BOOKINGS, {"name": want.integration.id}).scalar_one()
    return max(0, want.bookings - int(sending))


def held_cause(failure: Failure) -> str:
    """The mark of a delivery that was told of this hold."""
    return f"held:{failure.code.value}"


def merge_bookings(
    connection: Connection, books: str, keys: dict[str, str], rows: dict[str, EntityRow]
) -> dict[str, float]:
    """Fill in what these books hold already: another integration may have booked it.

    `keys`: entity key by invoice number. What is booked is kept per books (design section 6).
    Returns when each was booked (wall clock), by entity key.
    """
    booked_at: dict[str, float] = {}
    for row in connection.execute(_BOOKED, {"books": books, "numbers": list(keys)}):
        key = keys[row.number]
        rows[key] = msgspec.structs.replace(
            rows[key],
            in_books=True,
            reference=reference_of(row.reference),
            content=row.content,
        )
        booked_at[key] = row.booked_at
    return booked_at


def look_ups_until(connection: Connection, integrations: set[str]) -> dict[str, float]:
    """Until when (wall clock) bookings of these look up first, as the ledger has it now.

    Another worker may have found since that the ledger was restored.
    """
    rows = connection.execute(_LOOK_UPS_UNTIL, {"names": sorted(integrations)})
    return {row.integration: row.look_up_until for row in rows}


_LOOK_UPS_UNTIL = select(books.c.integration, books.c.look_up_until).where(
    books.c.integration.in_(bindparam("names", expanding=True))
)


def _untold(
    connection: Connection, want: Want, own: frozenset[int], held: Failure
) -> tuple[list[StoredDelivery], bool]:
    if not want.tell_held:
        return [], False
    values = {
        "name": want.integration.id,
        "lanes": list(own),
        "told": f"%{held_cause(held)}%",
        "most": HELD_A_CLAIM,
    }
    found = [
        delivery_of(row)
        for kind in EntityType
        for row in connection.execute(_UNTOLD, {**values, "kind": kind.value})
    ]
    oldest = sorted(found, key=lambda d: d.ordinal)[:HELD_A_CLAIM]
    return oldest, len(oldest) == HELD_A_CLAIM


def _lock_slots(connection: Connection, want: Want) -> None:
    """Serialise claims of one integration between workers: its slots are counted below."""
    if connection.dialect.name != "postgresql":
        return
    name = want.integration.id
    query = select(holds.c.integration).where(holds.c.integration == name).with_for_update()
    if connection.execute(query).first() is None:
        connection.execute(insert_new(connection, holds), {"integration": name})
        connection.execute(query)


def _ready(
    connection: Connection,
    want: Want,
    own: frozenset[int],
    limit: int,
    kinds: Sequence[EntityType],
) -> list[StoredDelivery]:
    """The oldest of these kinds. Each is read alone: so the index has them in order already."""
    values = {"name": want.integration.id, "lanes": list(own), "most": limit}
    found = [
        delivery_of(row)
        for kind in kinds
        for row in connection.execute(_READY, {**values, "kind": kind.value})
    ]
    return sorted(found, key=lambda d: d.ordinal)[:limit]


# Built once: composing a statement of this many columns costs more than running it.
_READY_HERE = stored.where(
    state_is(State.READY),
    deliveries.c.integration == bindparam("name"),
    deliveries.c.entity_type == bindparam("kind"),
    deliveries.c.lane.in_(bindparam("lanes", expanding=True)),
)
_READY = _READY_HERE.order_by(deliveries.c.ordinal).limit(bindparam("most"))
_UNTOLD = (
    _READY_HERE.where(deliveries.c.told.not_like(bindparam("told")))
    .order_by(deliveries.c.ordinal)
    .limit(bindparam("most"))
)
_BOOKINGS = (
    select(func.count())
    .select_from(deliveries)
    .where(
        is_sending,
        deliveries.c.integration == bindparam("name"),
        deliveries.c.entity_type == EntityType.INVOICE.value,
    )
)
_BOOKED = select(bookings).where(
    bookings.c.books == bindparam("books"),
    bookings.c.number.in_(bindparam("numbers", expanding=True)),
)
