"""Children that wait for a parent: released, blocked or left alone when the parent moves.

A child is parked in a transaction that holds its parent's row, and is looked at again under the
same hold (design section 5.5). A worker does this for the lanes it owns and leaves a signal for
the others.
"""

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.events import EntityType
from schemas.outcomes import OutcomeKind
from streams.core.gates import GateState, GateView, blocked_failure, look, missing_failure
from streams.core.model import EntityRow, Gate, Sibling, entity_key
from streams.core.states import MOVABLE, State
from streams.ledger.access import load_entities, load_siblings
from streams.ledger.changes import Changes, as_blob
from streams.ledger.rows import StoredDelivery, delivery_of, state_is, stored
from streams.ledger.rules import BlockedBy, Moment, Parent, Rules, UnreadableEventError
from streams.ledger.statements import Among, Statement
from streams.ledger.tables import deliveries, signals

CHUNK = 500  # children of one parent in one transaction (design section 5.5)
WAITED = "waited"  # told of a delivery whose PARENT_WAIT is over: an absent parent blocks it now
_PARKED = state_is(State.WAITING, State.BLOCKED)


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the children of one entity came to. `more`: a signal was left for the rest."""

    integrations: frozenset[str] = frozenset()
    more: bool = False


def make_gate(
    parent: Parent,
    integration: str,
    rows: dict[str, EntityRow],
    siblings: dict[str, list[Sibling]],
) -> Gate:
    """A parent as the core wants to see it, from what was loaded."""
    key = entity_key(integration, parent.entity_type, parent.number)
    return Gate(
        entity_type=parent.entity_type,
        number=parent.number,
        row=rows[key],
        siblings=tuple(siblings.get(key, ())),
        carried=parent.carried,
        optional=parent.optional,
    )


# Built once: composing a statement costs more than running it.
_waiting_for = (
    stored.where(
        deliveries.c.waits_key == bindparam("key"),
        deliveries.c.ordinal > bindparam("after"),
        Among(deliveries.c.lane, "lanes"),
        _PARKED,
    )
    .order_by(deliveries.c.ordinal)
    .limit(CHUNK)
)
_CHILDREN = Statement(_waiting_for, on_postgresql=_waiting_for.with_for_update(of=deliveries))
_OTHER_LANES = Statement(
    select(deliveries.c.lane)
    .where(
        deliveries.c.waits_key == bindparam("key"),
        Among(deliveries.c.lane, "lanes", but=True),
        _PARKED,
    )
    .distinct()
)
_WAITED_FOR = Statement(
    select(deliveries.c.waits_key).where(Among(deliveries.c.waits_key, "keys")).distinct()
)


_SIGNALS = Statement(
    select(signals.c.signal_pk, signals.c.entity_key, signals.c.after)
    .where(Among(signals.c.lane, "lanes"))
    .order_by(signals.c.signal_pk)
    .limit(bindparam("most"))
)


def parked_keys(connection: Connection, keys: list[str]) -> list[str]:
    """Of these entities, those that somebody waits for."""
    return [row[0] for row in _WAITED_FOR.rows(connection, {"keys": keys})] if keys else []


def release(
    connection: Connection,
    rules: Rules,
    now: Moment,
    key: str,
    own: frozenset[int],
    after: int = 0,
) -> Released:
    """Look again at the oldest children of an entity in our lanes, at most `CHUNK` of them."""
    children = _children(connection, key, own, after)
    _signal_others(connection, key, own)
    if not children:
        return Released()
    row = load_entities(connection, {key: children[0].lane})[key]
    siblings = load_siblings(connection, [key]).get(key, [])
    changes = Changes(rules, now)
    woken: set[str] = set()
    for child in children:
        if _reconsider(changes, rules, child, key, row, siblings):
            woken.add(child.integration)
    changes.flush(connection)
    full = len(children) == CHUNK
    if full:
        _signal(connection, {min(own)}, key, children[-1].ordinal)
    return Released(integrations=frozenset(woken), more=full)


def _children(
    connection: Connection, key: str, own: frozenset[int], after: int
) -> list[StoredDelivery]:
    values = {"key": key, "after": after, "lanes": list(own)}
    return [delivery_of(row) for row in _CHILDREN.rows(connection, values)]


def _signal_others(connection: Connection, key: str, own: frozenset[int]) -> None:
    found = _OTHER_LANES.rows(connection, {"key": key, "lanes": list(own)})
    _signal(connection, {lane for (lane,) in found}, key, 0)


def _signal(connection: Connection, to: set[int], key: str, after: int) -> None:
    """Leave word for lanes; of two words about one entity the one that starts earlier counts."""
    rows = [{"lane": lane, "entity_key": key, "after": after} for lane in sorted(to)]
    if not rows:
        return
    sqlite_at_hand = connection.dialect.name == "sqlite"
    insert = (sqlite if sqlite_at_hand else postgresql).insert(signals)
    smaller = (func.min if sqlite_at_hand else func.least)(signals.c.after, insert.excluded.after)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[signals.c.lane, signals.c.entity_key], set_={"after": smaller}
        ),
        rows,
    )


def take_signals(connection: Connection, own: frozenset[int], limit: int) -> list[tuple[str, int]]:
    """Entities that have moved, as other workers or full chunks say, with where to go on.

    The signals are used up by this.
    """
    rows = _SIGNALS.rows(connection, {"lanes": list(own), "most": limit})
    if rows:
        used = [row[0] for row in rows]
        connection.execute(delete(signals).where(signals.c.signal_pk.in_(used)))
    return list(dict.fromkeys((key, after) for _, key, after in rows))


def _reconsider(
    changes: Changes,
    rules: Rules,
    child: StoredDelivery,
    key: str,
    row: EntityRow,
    siblings: list[Sibling],
) -> bool:
    """Decide one child anew. True when it is ready now."""
    if child.entity_key == key:
        if row.claimed_by is not None or _waits_for_older(child, siblings):
            return False
        changes.move(child, State.READY)
        return True
    integration = rules.integration(child.integration)
    if integration is None:
        return False
    try:
        event = rules.event(child)
    except UnreadableEventError:
        changes.move(child, State.READY)  # its claim says what is wrong with it
        return True
    named = [
        parent
        for parent in rules.parents(event, integration)
        if entity_key(child.integration, parent.entity_type, parent.number) == key
    ]
    if not named:  # an edit took the parent away, or its data type was switched
        changes.move(child, State.READY)
        return True
    gate = make_gate(named[0], child.integration, {key: row}, {key: siblings})
    view = look(gate, child_ordinal=child.ordinal, wall=changes.now.wall)
    return settle_view(changes, child, view)


def _waits_for_older(child: StoredDelivery, siblings: list[Sibling]) -> bool:
    """An invoice waits for every older open event of its number (design section 5.8)."""
    return child.entity_type is EntityType.INVOICE and any(
        s.state in MOVABLE and s.ordinal < child.ordinal for s in siblings
    )


def settle_view(changes: Changes, child: StoredDelivery, view: GateView) -> bool:
    """Take a waiting or blocked child where its gate sends it. True when it is ready now."""
    match view.state:
        case GateState.OPEN:
            changes.move(child, State.READY)
            return True
        case GateState.FAILED:
            block(changes, child, view)
        case GateState.NEVER:
            failure = missing_failure(view)
            changes.move(child, State.DEAD, failure=as_blob(failure), **_failed_now(changes, child))
            changes.tell(child, OutcomeKind.DEAD, failure=failure)
        case GateState.ABSENT if _waited(changes, child):
            block(changes, child, view)
        case GateState.ASK if _worth_asking(changes, child, view.gate):
            ask(changes, view.gate.row.key, child.lane)
        case _:
            pass
    return False


def _worth_asking(changes: Changes, child: StoredDelivery, gate: Gate) -> bool:
    """A no that was remembered is asked again when its time comes, not whenever somebody looks.

    Only a parent that failed since is asked for at once, so that its child can be told.
    """
    failed = bool(gate.siblings) and changes.state_of(child) is State.WAITING
    return failed or gate.row.asked_no_at is None


def park(changes: Changes, delivery: StoredDelivery, key: str, parent_wait: float) -> None:
    """Let a ready delivery wait for an entity; after `parent_wait` seconds an absent one blocks it.

    Its wait for another parent may be over: this one is asked for at the end of its own.
    """
    act_at = changes.now.elapsed + parent_wait
    changes.move(delivery, State.WAITING, waits_key=key, act_at=act_at)
    if WAITED in delivery.told:
        changes.delivery(delivery.ordinal, told=without_waited(delivery.told))


def ask(changes: Changes, key: str, lane: int, *, after_s: float = 0.0) -> None:
    """Have the accounting system asked for this parent, `after_s` from now."""
    changes.entity(key, lane, ask_at=changes.now.elapsed + after_s, ask_boot=changes.now.boot)


def block(changes: Changes, child: StoredDelivery, view: GateView) -> None:
    """Block a waiting child by name, and tell it once per cause."""
    failure = blocked_failure(view)
    if changes.state_of(child) is not State.BLOCKED:
        changes.move(child, State.BLOCKED, failure=as_blob(failure))
    else:
        changes.delivery(child.ordinal, failure=as_blob(failure))
    behind = view.behind.delivery_id if view.behind else ""
    changes.tell_once(
        child,
        OutcomeKind.BLOCKED,
        f"blocked:{failure.code}:{behind or view.gate.row.key.replace(';', ',')}",
        failure=failure,
        blocked_by=BlockedBy(
            entity_type=EntityType(view.gate.entity_type),
            number=view.gate.number,
            behind=view.behind,
        ),
    )


def without_waited(told: str) -> str:
    """What a delivery was told of, as if its `PARENT_WAIT` were not over yet."""
    return ";".join(cause for cause in told.split(";") if cause and cause != WAITED)


def _waited(changes: Changes, child: StoredDelivery) -> bool:
    now = changes.now
    over = child.act_at is not None and child.act_boot == now.boot and child.act_at <= now.elapsed
    return over or WAITED in child.told.split(";")


def _failed_now(changes: Changes, child: StoredDelivery) -> dict[str, float]:
    wall = changes.now.wall
    return {"first_failed_at": child.first_failed_at or wall, "last_failed_at": wall}
