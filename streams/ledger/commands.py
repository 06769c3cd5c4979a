"""Carrying out what operators ask for: commands that ingest has stored (interface section 3).

The owner of a command's lane does it, in transactions of bounded size. Whatever becomes of it is
in the audit, refusals too; a command is done once.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, literal_column, select, update

from schemas.commands import Command, CommandKind
from streams.ledger.access import owned
from streams.ledger.act import Act
from streams.ledger.database_errors import is_of_the_database
from streams.ledger.directory import Directory
from streams.ledger.engine import Operation
from streams.ledger.mending import discard, replay
from streams.ledger.resuming import resume
from streams.ledger.resync import resync
from streams.ledger.rules import Moment, Rules
from streams.ledger.statements import Statement
from streams.ledger.tables import commands

log = logging.getLogger(__name__)

OPEN = "open"
DONE = "done"
FAILED = "failed"  # a bug of ours: kept for whoever mends it, and nothing else stops for it

MOST_COMMANDS = 20  # in one transaction; each is at most 500 deliveries, or one stretch of a resync
MOST_DELIVERIES = 500  # in one transaction, of all its commands together

_decoder = msgspec.json.Decoder(Command)

_ACTS: dict[CommandKind, Callable[[Act], None]] = {
    CommandKind.REPLAY: replay,
    CommandKind.DISCARD: discard,
    CommandKind.RESUME: resume,
    CommandKind.RESYNC: resync,
}


class RunCommands(msgspec.Struct, frozen=True, kw_only=True):
    """A look for commands in the lanes that the caller believes to own."""

    epochs: Mapping[int, int]
    now: Moment


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. `integrations` have something ready; `resumed` are held no more."""

    integrations: frozenset[str] = frozenset()
    resumed: frozenset[str] = frozenset()
    commands: int = 0
    more: bool = False


def commands_operation(rules: Rules, directory: Directory) -> Operation[RunCommands, Ran]:
    """The operation that carries out open commands, oldest first."""

    def handler(connection: Connection, items: Sequence[RunCommands]) -> list[Ran]:
        return [_run(connection, rules, directory, item) for item in items]

    return Operation("commands", 15, handler)


def _run(connection: Connection, rules: Rules, directory: Directory, item: RunCommands) -> Ran:
    if not _any_open(connection):
        return Ran()
    own = owned(connection, item.epochs)
    if not own:
        return Ran()
    rows = _open_rows(connection, own)
    woken: set[str] = set()
    resumed: set[str] = set()
    ran = spent = 0
    more = len(rows) == MOST_COMMANDS
    for row in rows:
        command = _decoder.decode(row.command)
        spent += len(command.data.deliveries)
        if ran and spent > MOST_DELIVERIES:
            more = True
            break
        act = Act(
            connection,
            rules,
            directory,
            command,
            own=own,
            now=item.now,
            partly=row.progress,
        )
        more = _carry_out(act, row) or more
        woken |= act.woken
        resumed |= act.resumed
        ran += 1
    return Ran(integrations=frozenset(woken), resumed=frozenset(resumed), commands=ran, more=more)


# As the partial index has it.
_IS_OPEN: ColumnElement[bool] = literal_column("commands.state = 'open'").self_group()
_ANY_OPEN = Statement(select(commands.c.lane).where(_IS_OPEN).limit(1))


def _any_open(connection: Connection) -> bool:
    """Asked at every tick, so it locks nothing."""
    return bool(_ANY_OPEN.rows(connection, {}))


def _open_rows(connection: Connection, own: frozenset[int]) -> list[Any]:
    query = (
        select(commands)
        .where(_IS_OPEN, commands.c.lane.in_(own))
        .order_by(commands.c.received_at, commands.c.source, commands.c.ce_id)
        .limit(MOST_COMMANDS)
    )
    return list(connection.execute(query))


def _carry_out(act: Act, row: Any) -> bool:
    """Do one command, or the next stretch of it. True when more of it is to be done here."""
    state = DONE
    try:
        with act.connection.begin_nested():
            _ACTS[act.command.kind](act)
            act.flush()
    except Exception as error:  # one command that meets a bug of ours must not stop the worker
        if is_of_the_database(error):
            raise
        log.exception(
            "command %s failed",
            act.command.id,
            extra={"action": "command_failed"},
        )
        act = _failed(act, error)
        state = FAILED
    if not act.done:
        state = OPEN
    lane = row.lane if act.lane is None else act.lane
    act.connection.execute(
        update(commands)
        .where(commands.c.source == row.source, commands.c.ce_id == row.ce_id)
        .values(state=state, progress=act.progress, lane=lane)
    )
    return not act.done and lane in act.own


def _failed(act: Act, error: Exception) -> Act:
    """A fresh act that says so: what the failed one did was taken back."""
    fresh = Act(
        act.connection,
        act.rules,
        act.directory,
        act.command,
        own=act.own,
        now=act.now,
        partly=act.progress,
    )
    why = type(error).__name__
    for name in act.command.data.deliveries:
        fresh.tell(FAILED, delivery_id=name, error=why)
    if not act.command.data.deliveries:
        fresh.tell(FAILED, integration=act.command.data.integration, error=why)
    fresh.flush()
    return fresh
