"""Which ready deliveries may be decided now, oldest first, and what their books already hold."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    Connection,
    Select,
    String,
    bindparam,
    func,
    literal_column,
    select,
    true,
)

from connectors.integrations import DATA_TYPE
from schemas.events import EntityType
from schemas.failures import Failure
from streams.core.model import EntityRow
from streams.core.states import State
from streams.ledger.holds import load_holds, take_probe
from streams.ledger.inserting import insert_new
from streams.ledger.rows import (
    StoredDelivery,
    delivery_of,
    is_sending,
    reference_of,
    state_is,
    stored,
)
from streams.ledger.rules import Moment
from streams.ledger.statements import Among, Statement
from streams.ledger.tables import bookings, books, deliveries, holds, inbox
from streams.ledger.work import Want

PROBES_READ = 20  # some of the oldest may turn out to wait for a parent
HELD_A_CLAIM = 200  # deliveries of a held integration that are told so in one transaction


def candidates(
    connection: Connection,
    wants: Sequence[Want],
    own: frozenset[int],
    now: Moment,
    left: Mapping[str, int],
) -> dict[str, tuple[list[StoredDelivery], bool]]:
    """By integration: its oldest ready deliveries in our lanes, and whether there may be more.

    Bookings are read apart, only as many as there are free slots (`left`): ten thousand invoices
    that wait for their turn hold up no customer.
    """
    held_now = load_holds(connection)
    found: dict[str, tuple[list[StoredDelivery], bool]] = {}
    free: list[Want] = []
    for want in sorted(wants, key=lambda want: want.integration.id):
        # In one order for all workers, since a probe locks the hold of its integration.
        name = want.integration.id
        hold = held_now.get(name)
        if hold is not None and hold.quiet(now):
            found[name] = [], False
        elif want.probe:
            found[name] = _probe(connection, want, own, now), False
        elif want.held is not None:
            found[name] = _untold(connection, want, own, want.held)
        elif hold is not None and (hold.failure is not None or hold.paused(now.wall)):
            found[name] = [], False  # held since the want was made: it is looked at anew first
        else:
            free.append(want)
    return found | _oldest(connection, free, own, left)


def _oldest(
    connection: Connection, wants: Sequence[Want], own: frozenset[int], left: Mapping[str, int]
) -> dict[str, tuple[list[StoredDelivery], bool]]:
    others: dict[str, int] = {}
    invoices: dict[str, int] = {}
    for want in wants:
        name = want.integration.id
        others[name] = want.sends + want.spare
        slots = min(left.get(name, 0), want.sends)
        if slots > 0:
            invoices[name] = slots + want.spare
    by_name: dict[str, list[StoredDelivery]] = {want.integration.id: [] for want in wants}
    for kind, data in DATA_TYPE.items():
        most = invoices if kind is EntityType.INVOICE else others
        carrying = [want.integration.id for want in wants if want.integration.carries(data)]
        limits = {name: most[name] for name in carrying if name in most}
        for delivery in _ready(connection, limits, own, kind):
            by_name[delivery.integration].append(delivery)
    found = {}
    for name, some in by_name.items():
        booked = [d for d in some if d.entity_type is EntityType.INVOICE]
        rest = [d for d in some if d.entity_type is not EntityType.INVOICE]
        rest = sorted(rest, key=_by_ordinal)[: others[name]]
        full = len(rest) == others[name] or (bool(booked) and len(booked) == invoices[name])
        found[name] = sorted([*rest, *booked], key=_by_ordinal), full
    return found


def _by_ordinal(delivery: StoredDelivery) -> int:
    return delivery.ordinal


def _probe(
    connection: Connection, want: Want, own: frozenset[int], now: Moment
) -> list[StoredDelivery]:
    """The oldest delivery of the kind that was refused, alone, if the probe is ours to take."""
    carried = [kind for kind, data in DATA_TYPE.items() if want.integration.carries(data)]
    row = load_holds(connection).get(want.integration.id)
    if row is None or row.failure is None:
        return []
    kinds = [kind for kind in carried if not row.kind or kind.value == row.kind]
    limits = {want.integration.id: PROBES_READ}
    some = [d for kind in kinds for d in _ready(connection, limits, own, kind)]
    found = sorted(some, key=_by_ordinal)[:PROBES_READ]
    if not found:
        return []
    name = want.integration.id
    taken = take_probe(connection, name, now, want.hold_probe_s, want.hold_probe_max_s)
    return found if taken is not None else []


def bookings_left(connection: Connection, wants: Sequence[Want]) -> dict[str, int]:
    """How many more bookings of each integration may be in flight, over all workers.

    Their slots are locked first, in one order for all workers: they stay counted until the end.
    """
    asked = {want.integration.id: want.bookings for want in wants if want.bookings > 0}
    if not asked:
        return {}
    _lock_slots(connection, sorted(asked))
    sending: dict[str, int] = dict(_BOOKINGS.rows(connection, {}))
    return {name: max(0, most - sending.get(name, 0)) for name, most in asked.items()}


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
    values = {"books": books, "numbers": list(keys)}
    for number, reference, content, at in _BOOKED.rows(connection, values):
        key = keys[number]
        rows[key] = msgspec.structs.replace(
            rows[key], in_books=True, reference=reference_of(reference), content=content
        )
        booked_at[key] = at
    return booked_at


def look_ups_until(connection: Connection, integrations: set[str]) -> dict[str, float]:
    """Until when (wall clock) bookings of these look up first, as the ledger has it now.

    Another worker may have found since that the ledger was restored.
    """
    return dict(_LOOK_UPS_UNTIL.rows(connection, {"names": sorted(integrations)}))


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
        for row in _UNTOLD.rows(connection, {**values, "kind": kind.value})
    ]
    oldest = sorted(found, key=lambda d: d.ordinal)[:HELD_A_CLAIM]
    return oldest, len(oldest) == HELD_A_CLAIM


def _lock_slots(connection: Connection, names: list[str]) -> None:
    """Serialise claims of an integration between workers: its slots are counted next."""
    if connection.dialect.name != "postgresql":
        return
    there = {row[0] for row in _SLOTS.rows(connection, {"names": names})}
    missing = [name for name in names if name not in there]
    if missing:
        connection.execute(insert_new(connection, holds), [{"integration": n} for n in missing])
        _SLOTS.rows(connection, {"names": missing})


def _ready(
    connection: Connection, limits: Mapping[str, int], own: frozenset[int], kind: EntityType
) -> list[StoredDelivery]:
    """The oldest of one kind, of each integration at most as many as its limit says.

    A kind is read alone, so that the index has it in order already.
    """
    by_limit: dict[int, list[str]] = {}
    for name, limit in limits.items():
        by_limit.setdefault(limit, []).append(name)
    values = {"lanes": list(own), "kind": kind.value}
    return [
        delivery_of(row)
        for limit, names in by_limit.items()
        for row in _READY.rows(connection, {**values, "names": names, "most": limit})
    ]


def _ready_statement() -> Statement:
    """The oldest ready deliveries of many integrations, each with a limit of its own."""
    at_hand = deliveries.alias("at_hand")

    def oldest(name: Any) -> Select[Any]:
        return (
            select(at_hand.c.ordinal)
            .where(
                literal_column("at_hand.state = 'ready'"),
                at_hand.c.integration == name,
                at_hand.c.entity_type == bindparam("kind"),
                Among(at_hand.c.lane, "lanes"),
            )
            .order_by(at_hand.c.ordinal)
            .limit(bindparam("most"))
        )

    listed = func.json_each(bindparam("names")).table_valued("value", name="wanted")
    unnested = (
        func.unnest(bindparam("names", type_=ARRAY(String)))
        .table_valued("value", name="wanted")
        .render_derived()
    )
    lateral = oldest(unnested.c.value).correlate(unnested).lateral("oldest")
    columns = stored.selected_columns
    event = inbox.c.event_pk == deliveries.c.event_pk
    return Statement(
        select(*columns).select_from(
            listed.join(
                deliveries, deliveries.c.ordinal.in_(oldest(listed.c.value).correlate(listed))
            ).join(inbox, event)
        ),
        on_postgresql=select(*columns).select_from(
            unnested.join(lateral, true())
            .join(deliveries, deliveries.c.ordinal == lateral.c.ordinal)
            .join(inbox, event)
        ),
    )


_READY = _ready_statement()
_UNTOLD = Statement(
    stored.where(
        state_is(State.READY),
        deliveries.c.integration == bindparam("name"),
        deliveries.c.entity_type == bindparam("kind"),
        Among(deliveries.c.lane, "lanes"),
        deliveries.c.told.not_like(bindparam("told")),
    )
    .order_by(deliveries.c.ordinal)
    .limit(bindparam("most"))
)
_BOOKINGS = Statement(
    select(deliveries.c.integration, func.count())
    .where(is_sending, deliveries.c.entity_type == literal_column("'invoice'"))
    .group_by(deliveries.c.integration)
)
_BOOKED = Statement(
    select(bookings.c.number, bookings.c.reference, bookings.c.content, bookings.c.booked_at).where(
        bookings.c.books == bindparam("books"), Among(bookings.c.number, "numbers")
    )
)
_LOOK_UPS_UNTIL = Statement(
    select(books.c.integration, books.c.look_up_until).where(Among(books.c.integration, "names"))
)
_SLOTS = Statement(
    select(holds.c.integration)
    .where(Among(holds.c.integration, "names"))
    .order_by(holds.c.integration)
    .with_for_update()
)
