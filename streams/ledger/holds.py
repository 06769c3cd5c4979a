"""Holds and pauses: one row an integration, so that no delivery has to be rewritten for them."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from schemas.failures import Failure
from streams.ledger.engine import Operation
from streams.ledger.rows import failure_of, to_json
from streams.ledger.rules import Moment
from streams.ledger.tables import holds

MOST_DOUBLINGS = 20  # beyond 2**20 every longest pause is reached


class HoldRow(msgspec.Struct, frozen=True, kw_only=True):
    """What holds an integration: a failure with its next probe, or a pause that was asked for."""

    integration: str
    failure: Failure | None
    since: float | None
    probe_at: float | None
    pause_until: float | None
    boot: str | None


def load_holds(connection: Connection) -> dict[str, HoldRow]:
    """Every hold and pause, by integration."""
    return {
        row.integration: HoldRow(
            integration=row.integration,
            failure=failure_of(row.failure),
            since=row.since,
            probe_at=row.probe_at,
            pause_until=row.pause_until,
            boot=row.boot,
        )
        for row in connection.execute(select(holds))
    }


def put_hold(
    connection: Connection,
    integration: str,
    failure: Failure,
    now: Moment,
    first_s: float,
    longest_s: float,
) -> None:
    """Hold an integration, or put off the next probe of one that is held: pauses double.

    What was in flight when the hold began is no probe: it puts nothing off.
    """
    query = select(holds).where(holds.c.integration == integration)
    row = connection.execute(query).first()
    held = row is not None and row.failure is not None
    same_boot = row is not None and row.boot == now.boot
    if row is not None and held and same_boot and now.elapsed < (row.probe_at or 0.0):
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
        probe_at=now.elapsed + wait,
        probes=probes,
        boot=now.boot,
        pause_until=row.pause_until if row is not None and same_boot else None,
    )


def clear_hold(connection: Connection, integration: str) -> None:
    """End a hold: it was mended, or a person said so."""
    _upsert(connection, integration, failure=None, since=None, probe_at=None, probes=0)


def put_pause(connection: Connection, integration: str, now: Moment, seconds: float) -> None:
    """Pause an integration for as long as the accounting system asked for; never for less."""
    until, probe_at = now.elapsed + seconds, None
    query = select(holds).where(holds.c.integration == integration)
    row = connection.execute(query).first()
    if row is not None and row.boot == now.boot:
        until, probe_at = max(until, row.pause_until or 0.0), row.probe_at
    _upsert(connection, integration, pause_until=until, probe_at=probe_at, boot=now.boot)


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
