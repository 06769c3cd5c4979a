"""Deliveries that cannot go because their integration, or its data type, was switched off."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_

from connectors.integrations import DATA_TYPE, Integration
from schemas.failures import Failure, FailureCode
from schemas.outcomes import OutcomeKind
from streams.core.states import State
from streams.ledger.access import owned
from streams.ledger.changes import Changes
from streams.ledger.engine import Operation
from streams.ledger.rows import delivery_of, state_is, stored
from streams.ledger.rules import Moment, Rules
from streams.ledger.tables import deliveries

TOLD_AT_ONCE = 200  # deliveries told in one transaction
CAUSE = f"held:{FailureCode.SWITCHED_OFF.value}"


class SwitchedOff(msgspec.Struct, frozen=True, kw_only=True):
    """A look for open deliveries that nothing is set up for any more."""

    integrations: Mapping[str, Integration]
    epochs: Mapping[int, int]
    now: Moment


def switched_off_operation(rules: Rules) -> Operation[SwitchedOff, int]:
    """The operation that tells them once that they are held; returns how many were told."""

    def handler(connection: Connection, items: Sequence[SwitchedOff]) -> list[int]:
        return [_tell(connection, rules, item) for item in items]

    return Operation("switched-off", 45, handler)


def _tell(connection: Connection, rules: Rules, item: SwitchedOff) -> int:
    own = owned(connection, item.epochs)
    if not own:
        return 0
    gone: list[ColumnElement[bool]] = [deliveries.c.integration.not_in(list(item.integrations))]
    for name, integration in item.integrations.items():
        off = [kind.value for kind, data in DATA_TYPE.items() if not integration.carries(data)]
        if off:
            gone.append(and_(deliveries.c.integration == name, deliveries.c.entity_type.in_(off)))
    query = (
        stored.where(
            state_is(State.READY),
            deliveries.c.lane.in_(own),
            deliveries.c.told.not_like(f"%{CAUSE}%"),
            or_(*gone),
        )
        .order_by(deliveries.c.ordinal)
        .limit(TOLD_AT_ONCE)
    )
    found = [delivery_of(row) for row in connection.execute(query)]
    changes = Changes(rules, item.now)
    for delivery in found:
        changes.tell_once(
            delivery, OutcomeKind.HELD, CAUSE, failure=Failure(code=FailureCode.SWITCHED_OFF)
        )
    changes.flush(connection)
    return len(found)
