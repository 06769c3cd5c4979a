"""Holds and pauses: one row an integration, so that no delivery has to be rewritten for them."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from connectors.backoff import RETRY_AFTER_MAX_S
from schemas.failures import Failure
from streams.ledger.engine import Operation
from streams.ledger.rows import failure_of, to_json
from streams.ledger.rules import Moment
from streams.ledger.statements import Statement
from streams.ledger.tables import holds

LONGEST_PAUSE_S = RETRY_AFTER_MAX_S  # as long as a Retry-After is believed
MOST_DOUBLINGS = 20  # beyond 2**20 every longest pause is reached


class HoldRow(msgspec.Struct, frozen=True, kw_only=True):
    """What holds an integration: a failure with its next probe, or a pause that was asked for.

    Times are wall clock, which every host reads; a clock that jumps makes a probe come early or
    late, and never a write. `kind` is the entity type whose call was refused, empty where it was
    a question of ours. `quiet_until` is elapsed time of `quiet_boot`: after a restore nothing is
    sent before it.
    """

    integration: str
    failure: Failure | None
    since: float | None
    probe_at: float | None
    pause_until: float | None
    kind: str = ""
    quiet_until: float | None = None
    quiet_boot: str | None = None

    def quiet(self, now: Moment) -> bool:
        """Whether a restored ledger still lets the books settle. On another boot the pause does."""
        return self.quiet_boot == now.boot and now.elapsed < (self.quiet_until or 0.0)

    def paused(self, wall: float) -> bool:
        """Whether a pause is in force. One that ends later than any may is of a clock of before."""
        return self.pause_until is not None and wall < self.pause_until <= wall + LONGEST_PAUSE_S

    def probe_due(self, wall: float, longest_s: float) -> bool:
        """Whether a held integration may be tried again."""
        if self.failure is None:
            return False
        return self.probe_at is None or not wall < self.probe_at <= wall + longest_s


_FIELDS = HoldRow.__struct_fields__  # named as the columns are
_ALL = Statement(select(*(holds.c[name] for name in _FIELDS)))


def load_holds(connection: Connection) -> dict[str, HoldRow]:
    """Every hold and pause, by integration."""
    found = (dict(zip(_FIELDS, row, strict=True)) for row in _ALL.rows(connection, {}))
    return {
        row["integration"]: HoldRow(**{**row, "failure": failure_of(row["failure"])})
        for row in found
    }


def put_hold(
    connection: Connection,
    integration: str,
    failure: Failure,
    now: Moment,
    first_s: float,
    longest_s: float,
    *,
    kind: str = "",
    probe: bool = False,
) -> None:
    """Hold an integration, or after a `probe` put off the next one: pauses double.

    What was in flight when the hold began is no probe: it puts nothing off.
    """
    query = select(holds).where(holds.c.integration == integration)
    row = connection.execute(query).first()
    held = row is not None and row.failure is not None
    in_force = row is not None and now.wall < (row.probe_at or 0.0) <= now.wall + longest_s
    if held and in_force and not probe:
        _upsert(connection, integration, failure=to_json(failure))
        return
    probes = row.probes + 1 if held and row is not None else 0
    since = row.since if held and row is not None else now.wall
    wait = min(longest_s, first_s * float(2 ** min(probes, MOST_DOUBLINGS)))
    _upsert(
        connection,
        integration,
        failure=to_json(failure),
        since=since,
        probe_at=now.wall + wait,
        probes=probes,
        kind=(row.kind if held and row is not None else "") or kind,
    )


def take_probe(
    connection: Connection, integration: str, now: Moment, first_s: float, longest_s: float
) -> HoldRow | None:
    """Take the one probe that is due, so that no other worker does: its row, or None.

    The next one is due after the first pause; what the probe comes to puts it off further.
    """
    query = select(holds).where(holds.c.integration == integration)
    if connection.dialect.name == "postgresql":
        query = query.with_for_update()
    if connection.execute(query).first() is None:
        return None
    row = load_holds(connection)[integration]
    if not row.probe_due(now.wall, longest_s):
        return None
    _upsert(connection, integration, probe_at=now.wall + first_s)
    return row


def clear_hold(connection: Connection, integration: str) -> None:
    """End a hold: it was mended, or a person said so."""
    _upsert(connection, integration, failure=None, since=None, probe_at=None, probes=0)


def put_pause(connection: Connection, integration: str, now: Moment, seconds: float) -> None:
    """Pause an integration for as long as the accounting system asked for; never for less."""
    until = now.wall + min(seconds, LONGEST_PAUSE_S)
    row = load_holds(connection).get(integration)
    if row is not None and row.paused(now.wall):
        until = max(until, row.pause_until or 0.0)
    _upsert(connection, integration, pause_until=until)


def _upsert(connection: Connection, integration: str, **columns: object) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    insert = dialect.insert(holds)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[holds.c.integration],
            set_={name: insert.excluded[name] for name in columns},
        ),
        {"integration": integration, "probes": 0, **columns},
    )


class HoldChange(msgspec.Struct, frozen=True, kw_only=True):
    """Hold an integration for what it answered outside a delivery; without `failure`, end it."""

    integration: str
    failure: Failure | None
    now: Moment
    hold_probe_s: float
    hold_probe_max_s: float


def _change(connection: Connection, items: Sequence[HoldChange]) -> list[None]:
    for item in items:
        if item.failure is None:
            clear_hold(connection, item.integration)
        else:
            put_hold(
                connection,
                item.integration,
                item.failure,
                item.now,
                item.hold_probe_s,
                item.hold_probe_max_s,
            )
    return [None] * len(items)


change_hold = Operation("hold", 22, _change)
