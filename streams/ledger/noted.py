"""What people are to be told is noted in the transaction that writes the outcome.

So no notice is lost in a crash, and none is made up. `streams/ledger/notice_causes.py` takes it
from there.
"""

from typing import Any

from sqlalchemy import Connection, insert

from schemas.failures import Change, Failure
from schemas.outcomes import OutcomeKind
from streams.ledger.rows import StoredDelivery, to_json
from streams.ledger.tables import notices
from streams.notices.causes import TOLD, Detail, cause_of


def died_of(kind: OutcomeKind, failure: Failure | None) -> dict[str, str]:
    """The columns by which the dead are counted and looked through; none for what did not die."""
    if kind is not OutcomeKind.DEAD or failure is None:
        return {}
    return {
        "failure_code": failure.code.value,
        "failure_class": failure.failure_class.value,
        "cause": cause_of(kind, failure),
    }


class Noted:
    """The notices of one batch of changes."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []
        self._holds: dict[tuple[str, str], dict[str, Any]] = {}

    def add(
        self,
        delivery: StoredDelivery,
        kind: OutcomeKind,
        at: float,
        failure: Failure | None,
        changes: tuple[Change, ...] = (),
    ) -> None:
        """Note an outcome where it is one that people are told of."""
        if kind not in TOLD:
            return
        code = failure.code.value if failure is not None else ""
        held = self._holds.get((delivery.integration, code))
        if kind is OutcomeKind.HELD and held is not None:
            held["many"] += 1
            return
        detail = Detail(
            entity_type=delivery.entity_type,
            number=delivery.number,
            failure=failure,
            changes=changes,
        )
        row = {
            "at": at,
            "integration": delivery.integration,
            "system": delivery.system,
            "company": delivery.company,
            "kind": kind.value,
            "code": code,
            "cause": cause_of(kind, failure),
            "ordinal": delivery.ordinal,
            "entity_type": delivery.entity_type.value,
            "many": 1,
            "detail": to_json(detail),
        }
        self._rows.append(row)
        if kind is OutcomeKind.HELD:
            self._holds[delivery.integration, code] = row

    def flush(self, connection: Connection) -> None:
        """Write them."""
        if self._rows:
            connection.execute(insert(notices), self._rows)
