"""What has become due: retries, look-ups, waits that are over, questions, missed releases."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    update,
)

from schemas.failures import Notable, Reference
from streams.core.states import State
from streams.ledger.access import load_deliveries, load_entities, owned
from streams.ledger.changes import Changes, as_blob
from streams.ledger.engine import Operation
from streams.ledger.release import WAITED, ask, parked_keys, release, take_signals
from streams.ledger.rows import StoredDelivery, is_sending, state_is
from streams.ledger.rules import Moment, Rules
from streams.ledger.statements import Among, Statement
from streams.ledger.tables import deliveries, entities

TICK_MOST = 500  # rows moved in one transaction
SIGNALS_MOST = 20  # parents whose children are looked at in one transaction
ASK_PUT_OFF_S = 30.0  # a question is offered again, should its answer never be written
ASK_AGAIN_S = 900.0  # 15 min; how often a "no" is asked again (design section 5.4)
# A look-up that was not started (its integration is held, or too many are under way) is given
# again after this; until then it neither hides what is due behind it nor keeps the clock busy.
LOOK_UP_AGAIN_S = 5.0
RECHECK_S = 60.0  # an expired wait is looked at again, should its question stay unanswered
SWEEP_MOST = 500
# With the sign the planner does not walk the table by its key: it reads those parked, and no more.
_ordinal_alone: ColumnElement[int] = literal_column("+deliveries.ordinal", BigInteger)


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A look at the clock. `busy`: deliveries whose look-up is under way. `sweep_after`: cursor."""

    epochs: Mapping[int, int]
    now: Moment
    busy: frozenset[int] = frozenset()
    asking: frozenset[str] = frozenset()
    ask_most: int = 16
    ask_not: frozenset[str] = frozenset()  # integrations that cannot be asked now
    sweep_after: int | None = None


class Ticked(msgspec.Struct, frozen=True, kw_only=True):
    """What is due: integrations with something ready, look-ups, questions; and when to come back.

    `next_act_at` is in elapsed seconds of this boot. `sweep_after` is where the next sweep goes
    on; None when it came to the end.
    """

    integrations: frozenset[str] = frozenset()
    look_ups: tuple[StoredDelivery, ...] = ()
    questions: tuple[str, ...] = ()
    next_act_at: float | None = None
    sweep_after: int | None = None
    sending: tuple[int, ...] = ()  # with a sweep: the ordinals in flight, as the ledger has them
    more: bool = False


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What the accounting system said of a parent. `known` False: the question failed."""

    key: str
    lane: int
    epochs: Mapping[int, int]
    now: Moment
    known: bool
    reference: Reference | None
    again_in: float
    warnings: tuple[Notable, ...] = ()


class _Due(msgspec.Struct, frozen=True):
    """What is looked at of a delivery whose time has come, in the order of `_DUE`."""

    ordinal: int
    state: str
    integration: str
    lane: int
    waits_key: str | None
    told: str
    intent: bytes | None
    entity_key: str


_due = (
    select(*(deliveries.c[name] for name in _Due.__struct_fields__))
    .where(
        deliveries.c.act_at <= bindparam("now"),
        deliveries.c.act_boot == bindparam("boot"),
        Among(deliveries.c.lane, "lanes"),
    )
    .order_by(deliveries.c.act_at)
    .limit(bindparam("most"))
)
_DUE = Statement(_due, on_postgresql=_due.with_for_update())
_NEXT_DUE = Statement(
    select(deliveries.c.act_at)
    .where(
        deliveries.c.act_at > bindparam("now"),
        deliveries.c.act_boot == bindparam("boot"),
        Among(deliveries.c.lane, "lanes"),
    )
    .order_by(deliveries.c.act_at)
    .limit(1)
)
_IN_FLIGHT = Statement(
    select(deliveries.c.ordinal).where(is_sending, Among(deliveries.c.lane, "lanes"))
)
_PARKED = Statement(
    select(deliveries.c.ordinal, deliveries.c.waits_key)
    .where(
        deliveries.c.waits_key.is_not(None),
        _ordinal_alone > bindparam("after"),
        Among(deliveries.c.lane, "lanes"),
        state_is(State.WAITING, State.BLOCKED),
    )
    .order_by(_ordinal_alone)
    .limit(bindparam("most"))
)


def _to_ask(integration: ColumnElement[str]) -> Select[Any]:
    """The oldest questions; `integration` is the part of an entity's key before its separator."""
    return (
        select(entities.c.entity_key)
        .where(
            entities.c.ask_at.is_not(None),
            # Another host's time means nothing here: what it wants to know is asked now.
            or_(entities.c.ask_at <= bindparam("now"), entities.c.ask_boot != bindparam("boot")),
            Among(entities.c.lane, "lanes"),
            Among(integration, "not_of", but=True),
        )
        .order_by(entities.c.ask_at)
        .limit(bindparam("most"))
    )


_key = entities.c.entity_key
_TO_ASK = Statement(
    _to_ask(func.substr(_key, 1, func.instr(_key, func.char(31)) - 1)),
    on_postgresql=_to_ask(func.split_part(_key, func.chr(31), 1)),
)


def tick_operation(rules: Rules) -> Operation[Tick, Ticked]:
    """The operation that moves what is due."""

    def handler(connection: Connection, items: Sequence[Tick]) -> list[Ticked]:
        return [_tick(connection, rules, item) for item in items]

    return Operation("tick", 35, handler)


def answer_operation(rules: Rules) -> Operation[Answered, frozenset[str]]:
    """The operation that writes down an answer about a parent; returns integrations to wake."""

    def handler(connection: Connection, items: Sequence[Answered]) -> list[frozenset[str]]:
        return [_answer(connection, rules, item) for item in items]

    return Operation("answer", 32, handler)


def _tick(connection: Connection, rules: Rules, item: Tick) -> Ticked:
    own = owned(connection, item.epochs)
    if not own:
        return Ticked()
    now = item.now
    changes = Changes(rules, now)
    rows = _due_rows(connection, own, now)
    woken: set[str] = set()
    look_ups: list[int] = []
    for row in rows:
        _one_due(changes, row, item, woken, look_ups)
    changes.flush(connection)
    more = len(rows) == TICK_MOST
    for key, after in take_signals(connection, own, SIGNALS_MOST):
        released = release(connection, rules, now, key, own, after)
        woken |= released.integrations
        more = more or released.more
    swept_to = None
    sending: tuple[int, ...] = ()
    if item.sweep_after is not None:
        swept_to = _sweep(connection, rules, item, own, woken)
        sending = _sending(connection, own)
    found = load_deliveries(connection, look_ups)
    return Ticked(
        integrations=frozenset(woken),
        look_ups=tuple(found[ordinal] for ordinal in look_ups if ordinal in found),
        questions=_questions(connection, own, item),
        next_act_at=_next_act_at(connection, own, now),
        sweep_after=swept_to,
        sending=sending,
        more=more,
    )


def _due_rows(connection: Connection, own: frozenset[int], now: Moment) -> list["_Due"]:
    values = {"now": now.elapsed, "boot": now.boot, "lanes": list(own), "most": TICK_MOST}
    return [_Due(*row) for row in _DUE.rows(connection, values)]


def _one_due(changes: Changes, row: _Due, item: Tick, woken: set[str], look_ups: list[int]) -> None:
    match State(row.state):
        case State.DUE:
            changes.delivery(row.ordinal, state=State.READY.value, act_at=None, act_boot=None)
            woken.add(row.integration)
        case State.WAITING:
            first = WAITED not in row.told.split(";")
            told = f"{row.told};{WAITED}".strip(";") if first else row.told
            changes.delivery(row.ordinal, told=told, act_at=item.now.elapsed + RECHECK_S)
            if first and row.waits_key is not None and row.waits_key != row.entity_key:
                ask(changes, row.waits_key, row.lane)
        case State.UNCERTAIN if row.ordinal not in item.busy:
            if _is_repeatable(row.intent):
                changes.delivery(
                    row.ordinal, state=State.READY.value, act_at=None, act_boot=None, intent=None
                )
                changes.entity(row.entity_key, row.lane, claimed_by=None)
                woken.add(row.integration)
            else:
                look_ups.append(row.ordinal)
                changes.delivery(row.ordinal, act_at=item.now.elapsed + LOOK_UP_AGAIN_S)
        case _:
            changes.delivery(row.ordinal, act_at=item.now.elapsed + RECHECK_S)


class _IntentKind(msgspec.Struct):
    repeatable: bool = False


_intent_kind = msgspec.json.Decoder(_IntentKind)


def _is_repeatable(intent: bytes | None) -> bool:
    return intent is not None and _intent_kind.decode(intent).repeatable


def _questions(connection: Connection, own: frozenset[int], item: Tick) -> tuple[str, ...]:
    """The oldest questions that can be put now. Each is put off, should its answer never come."""
    if item.ask_most <= 0:
        return ()
    values = {
        "now": item.now.elapsed,
        "boot": item.now.boot,
        "lanes": list(own),
        "most": item.ask_most,
        "not_of": sorted(item.ask_not),
    }
    keys = [row[0] for row in _TO_ASK.rows(connection, values)]
    if keys:
        connection.execute(
            update(entities)
            .where(entities.c.entity_key.in_(keys))
            .values(ask_at=item.now.elapsed + ASK_PUT_OFF_S, ask_boot=item.now.boot)
        )
    return tuple(key for key in keys if key not in item.asking)


def _sending(connection: Connection, own: frozenset[int]) -> tuple[int, ...]:
    return tuple(row[0] for row in _IN_FLIGHT.rows(connection, {"lanes": list(own)}))


def _next_act_at(connection: Connection, own: frozenset[int], now: Moment) -> float | None:
    values = {"now": now.elapsed, "boot": now.boot, "lanes": list(own)}
    found = _NEXT_DUE.rows(connection, values)
    return float(found[0][0]) if found else None


def _sweep(
    connection: Connection, rules: Rules, item: Tick, own: frozenset[int], woken: set[str]
) -> int | None:
    """Find children whose parent has moved without anybody looking: a bounded stretch a time."""
    values = {"after": item.sweep_after or 0, "lanes": list(own), "most": SWEEP_MOST}
    rows = _PARKED.rows(connection, values)
    for key in dict.fromkeys(key for _, key in rows):
        woken |= release(connection, rules, item.now, key, own).integrations
    return rows[-1][0] if len(rows) == SWEEP_MOST else None


def _answer(connection: Connection, rules: Rules, item: Answered) -> frozenset[str]:
    own = owned(connection, item.epochs)
    if item.lane not in own:
        return frozenset()
    now = item.now
    load_entities(connection, {item.key: item.lane})
    changes = Changes(rules, now)
    waited_for = bool(parked_keys(connection, [item.key]))
    again = now.elapsed + item.again_in if waited_for else None
    boot = now.boot if waited_for else None
    if item.reference is not None:
        changes.entity(
            item.key,
            item.lane,
            in_books=True,
            reference=as_blob(item.reference),
            ask_at=None,
            asked_no_at=None,
        )
    elif item.known:
        changes.entity(
            item.key,
            item.lane,
            ask_at=again,
            ask_boot=boot,
            asked_no_at=now.wall,
        )
    else:
        changes.entity(item.key, item.lane, ask_at=again, ask_boot=boot)
    changes.flush(connection)
    return release(connection, rules, now, item.key, own).integrations
