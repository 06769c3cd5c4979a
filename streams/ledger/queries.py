"""What the command line asks the ledger, beside the dead and the stories: read-only, bounded."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, func, select

from schemas.commands import Command, CommandKind
from schemas.failures import Failure
from streams.core.states import OPEN, State
from streams.ledger.engine import make_engine
from streams.ledger.holds import load_holds
from streams.ledger.inserting import chunks
from streams.ledger.tables import audit, commands, deliveries, letters

Answer = TypeVar("Answer")

_command = msgspec.json.Decoder(Command)


def ask(url: str, query: Callable[[Connection], Answer]) -> Answer:
    """Run one read-only query on a connection of its own. Blocks; raises what the database does."""
    engine = make_engine(url)
    try:
        with (
            engine.connect().execution_options(ledger_read_only=True) as connection,
            connection.begin(),
        ):
            return query(connection)
    finally:
        engine.dispose()


# --- status ----------------------------------------------------------------------------------


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One integration: how many deliveries in each state, when its oldest open one came, holds."""

    integration: str
    states: dict[str, int] = {}
    company: str | None = None
    system: str | None = None
    oldest_open_at: float | None = None
    held: Failure | None = None
    held_since: float | None = None


class Standings(msgspec.Struct, frozen=True, kw_only=True):
    """Every integration that the ledger knows, and letters that belong to none."""

    integrations: tuple[Standing, ...]
    letters: int
    open_commands: int


_OPEN = frozenset(state.value for state in OPEN)


def standings(connection: Connection) -> Standings:
    """Count everything: reads each delivery's state once."""
    query = select(
        deliveries.c.integration,
        deliveries.c.state,
        func.count().label("many"),
        func.min(deliveries.c.received_at).label("oldest"),
        func.min(deliveries.c.company).label("company"),
        func.min(deliveries.c.system).label("system"),
    ).group_by(deliveries.c.integration, deliveries.c.state)
    states: dict[str, dict[str, int]] = {}
    oldest: dict[str, float] = {}
    whose: dict[str, tuple[str, str]] = {}
    for row in connection.execute(query):
        states.setdefault(row.integration, {})[row.state] = row.many
        whose[row.integration] = (row.company, row.system)
        if row.state in _OPEN:
            oldest[row.integration] = min(row.oldest, oldest.get(row.integration, row.oldest))
    held = load_holds(connection)
    return Standings(
        integrations=tuple(
            Standing(
                integration=name,
                states=states.get(name, {}),
                company=whose[name][0] if name in whose else None,
                system=whose[name][1] if name in whose else None,
                oldest_open_at=oldest.get(name),
                held=held[name].failure if name in held else None,
                held_since=held[name].since if name in held else None,
            )
            for name in sorted({*states, *held})
        ),
        letters=_count(connection, letters, letters.c.state == "dead"),
        open_commands=_count(connection, commands, commands.c.state == "open"),
    )


def _count(connection: Connection, table: Any, condition: Any) -> int:
    query = select(func.count()).select_from(table).where(condition)
    return int(connection.execute(query).scalar_one())


# --- commands and what became of them --------------------------------------------------------


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the audit. `detail` is a JSON object, with the command that it belongs to."""

    at: float
    who: str
    why: str
    what: str
    delivery_id: str | None
    integration: str | None
    detail: dict[str, Any]

    @property
    def command_id(self) -> str | None:
        """The id of the command behind it."""
        command = self.detail.get("command")
        found = command.get("id") if isinstance(command, dict) else None
        return found if isinstance(found, str) else None


def said_of(row: Any) -> Said:
    """One row of the audit as a value."""
    detail = msgspec.json.decode(row.detail) if row.detail is not None else {}
    return Said(
        at=row.at,
        who=row.who,
        why=row.why,
        what=row.what,
        delivery_id=row.delivery_id,
        integration=row.integration,
        detail=detail,
    )


def last_said(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """The newest row of the audit of each delivery, by delivery id; grows with each command."""
    found: dict[str, int] = {}
    for part in chunks(list(ids)):
        query = (
            select(audit.c.delivery_id, func.max(audit.c.audit_pk).label("newest"))
            .where(audit.c.delivery_id.in_(part))
            .group_by(audit.c.delivery_id)
        )
        found.update({row.delivery_id: row.newest for row in connection.execute(query)})
    return found


def command_states(connection: Connection, source: str, ids: Iterable[str]) -> dict[str, str]:
    """The state of commands that the ledger has: open, done or failed."""
    found: dict[str, str] = {}
    for part in chunks(list(ids)):
        query = select(commands.c.ce_id, commands.c.state).where(
            commands.c.source == source, commands.c.ce_id.in_(part)
        )
        found.update({row.ce_id: row.state for row in connection.execute(query)})
    return found


def command_progress(connection: Connection, source: str, command: str) -> int:
    """How far a command has come; grows while it is carried out in stretches."""
    query = select(commands.c.progress).where(
        commands.c.source == source, commands.c.ce_id == command
    )
    return int(connection.execute(query).scalar() or 0)


def said_about(connection: Connection, ids: Iterable[str], command: str) -> list[Said]:
    """What a command came to for these deliveries."""
    found: list[Said] = []
    for part in chunks(list(ids)):
        query = select(audit).where(audit.c.delivery_id.in_(part)).order_by(audit.c.audit_pk)
        rows = (said_of(row) for row in connection.execute(query))
        found += [said for said in rows if said.command_id == command]
    return found


SAID_LOOKED_AT = 1_000  # newest rows of the audit in which an integration's are looked for


def said_of_integration(connection: Connection, integration: str, command: str) -> list[Said]:
    """What a command about an integration came to."""
    query = select(audit).order_by(audit.c.audit_pk.desc()).limit(SAID_LOOKED_AT)
    rows = (said_of(row) for row in connection.execute(query))
    return [said for said in rows if said.command_id == command and said.integration == integration]


def open_command(connection: Connection, kind: CommandKind, integration: str) -> Command | None:
    """A command of this kind about this integration that is not done yet."""
    query = select(commands.c.command).where(commands.c.state == "open")
    for row in connection.execute(query.order_by(commands.c.received_at)):
        command = _command.decode(row.command)
        if command.kind is kind and command.data.integration == integration:
            return command
    return None


# --- deliveries ------------------------------------------------------------------------------


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """Where a delivery is. `settled`: nothing more happens to it by itself."""

    delivery_id: str
    state: State
    failure_code: str | None
    settled: bool


def where_is(connection: Connection, ids: Iterable[str]) -> list[Settled]:
    """Where deliveries are now."""
    found: list[Settled] = []
    for part in chunks(list(ids)):
        query = select(deliveries.c.delivery_id, deliveries.c.state, deliveries.c.failure).where(
            deliveries.c.delivery_id.in_(part)
        )
        for row in connection.execute(query):
            state = State(row.state)
            failure = msgspec.json.decode(row.failure)["code"] if row.failure is not None else None
            found.append(
                Settled(
                    delivery_id=row.delivery_id,
                    state=state,
                    failure_code=failure,
                    settled=state not in OPEN,
                )
            )
    return found
