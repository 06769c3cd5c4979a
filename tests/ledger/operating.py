"""What the stories about operators share: commands that are sent and carried out."""

import itertools
import json
from typing import Any

from sqlalchemy import text

from schemas.cloudevents import Attributes
from schemas.commands import TYPE_PREFIX, CommandData, encode_command
from schemas.failures import Failure
from schemas.lane import lane_key
from schemas.wire import Record
from streams.core.conclude import Result, What
from streams.directory import LiveDirectory
from streams.ledger.commands import Ran, RunCommands, commands_operation
from streams.ledger.engine import Operation
from streams.ledger.holds import HoldChange, change_hold
from streams.ledger.known_books import Identified
from tests.ledger.samples import PARTITIONS, REFUSAL, SB1, customer
from tests.ledger.stage import Stage

DEAD = Result(what=What.REFUSED, failure=REFUSAL)
KEY = lane_key("c-1001", "100042")
_numbers = itertools.count(1)


class Desk:
    """Sends commands to a stage and has them carried out."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        directory = LiveDirectory(lambda: stage.integrations, PARTITIONS)
        self._operation = commands_operation(stage.rules, directory)

    async def send(self, kind: str, command_id: str | None = None, **data: Any) -> str:
        name = command_id or f"cmd-{next(_numbers)}"
        out = encode_command(
            Attributes(id=name, source="/ops", type=TYPE_PREFIX + kind),
            CommandData(**{"by": "kari", "reason": "mended", **data}),
            key=KEY,
        )
        await self.stage.take_records(
            Record(
                topic=out.topic,
                partition=0,
                offset=next(_numbers),
                timestamp_ms=0,
                key=out.key,
                value=out.value,
                headers=out.headers,
            )
        )
        return name

    async def run(self, epochs: dict[int, int] | None = None) -> Ran:
        owned = self.stage.worker.epochs if epochs is None else epochs
        return await self.stage.ledger.submit(
            self._operation, RunCommands(epochs=owned, now=self.stage.now)
        )

    async def do(self, kind: str, **data: Any) -> list[tuple[str, str | None, dict[str, Any]]]:
        """Send a command, carry it out whole, and return what the audit says of it."""
        name = await self.send(kind, **data)
        for _ in range(50):
            if not (await self.run()).more:
                break
        else:
            raise AssertionError("it never ends")
        return self.said(name)

    def said(self, command: str) -> list[tuple[str, str | None, dict[str, Any]]]:
        rows = self.stage.rows("SELECT * FROM audit ORDER BY audit_pk")
        found = [(r.what, r.delivery_id, json.loads(r.detail)) for r in rows]
        return [one for one in found if one[2]["command"]["id"] == command]

    async def refusal(self, kind: str, **data: Any) -> dict[str, Any]:
        """The refusal of the only delivery that a command names."""
        (only,) = await self.do(kind, **data)
        assert only[0] == "refused", only
        found: dict[str, Any] = only[2]["refusal"]
        return found


async def die(stage: Stage, ce_id: str, failure: Failure = REFUSAL) -> str:
    """Have a ready delivery refused; returns its id."""
    await stage.worker.deliver(ce_id, result=Result(what=What.REFUSED, failure=failure))
    return str(stage.delivery(ce_id).delivery_id)


def identified(stage: Stage, identity: str) -> Identified:
    return Identified(
        integration=SB1.id,
        identity=identity,
        others=frozenset(),
        now=stage.now,
        hold_probe_s=30.0,
        hold_probe_max_s=900.0,
    )


async def execute(stage: Stage, statement: str) -> None:
    def handler(connection: Any, items: Any) -> list[None]:
        connection.execute(text(statement))
        return [None]

    await stage.ledger.submit(Operation("execute", 1, handler), None)


async def hold(stage: Stage, failure: Failure) -> None:
    await stage.ledger.submit(
        change_hold,
        HoldChange(
            integration=SB1.id,
            failure=failure,
            now=stage.now,
            hold_probe_s=30.0,
            hold_probe_max_s=900.0,
        ),
    )


async def letter(stage: Stage) -> str:
    """An event of a company that nobody has set up; returns its letter's id."""
    stage.integrations = {}
    await stage.take(c=customer())
    return str(stage.rows("SELECT letter_id FROM letters")[0].letter_id)
