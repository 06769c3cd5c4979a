"""An intent is on disk before a write leaves (design section 6)."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from streams.core.states import State
from streams.ledger.access import epochs_now
from streams.ledger.engine import Operation
from streams.ledger.rows import state_is
from streams.ledger.rules import Moment
from streams.ledger.statements import Among, Statement
from streams.ledger.tables import deliveries
from streams.ledger.work import SEND_WITHIN_S


class Intend(msgspec.Struct, frozen=True, kw_only=True):
    """A write about to be sent. `intent` is JSON."""

    ordinal: int
    lane: int
    intent: bytes
    epochs: Mapping[int, int]
    now: Moment


def _record(connection: Connection, items: Sequence[Intend]) -> list[float | None]:
    """Record intents; a send-by for each that may leave, None where it is not ours any more."""
    present = epochs_now(connection, {item.lane for item in items})
    ordinals = [item.ordinal for item in items]
    sending = {row[0] for row in _SENDING.rows(connection, {"ordinals": ordinals})}
    answers: list[float | None] = []
    rows = []
    for item in items:
        ours = present.get(item.lane, -1) == item.epochs.get(item.lane)
        if not ours or item.ordinal not in sending:
            answers.append(None)
            continue
        send_by = item.now.elapsed + SEND_WITHIN_S
        answers.append(send_by)
        rows.append({"b_ordinal": item.ordinal, "intent": item.intent, "send_by": send_by})
    _INTEND.each(connection, rows)
    return answers


_SENDING = Statement(
    select(deliveries.c.ordinal).where(
        Among(deliveries.c.ordinal, "ordinals"), state_is(State.SENDING)
    )
)
_INTEND = Statement(
    update(deliveries)
    .where(deliveries.c.ordinal == bindparam("b_ordinal"))
    .values(intent=bindparam("intent"), send_by=bindparam("send_by"))
)
record_intent = Operation("intend", 25, _record)
