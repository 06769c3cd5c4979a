"""Books with a ledger beside them, as `check` and `verify` find them, and the two commands run.

The books are the contract tests' worlds: a real simulator, behind real HTTP, filled by the real
connector. What the connector wrote goes into a real ledger as a worker would have put it there.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from click.testing import CliRunner, Result
from sqlalchemy import Executable, delete, insert, update

from connectors.integrations import Integration, System
from connectors.port import Identity
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.events import Customer, Entity, EntityType, Project
from schemas.failures import Reference
from schemas.wire import Record
from streams.core.model import entity_key
from streams.intake import LedgerIntake
from streams.ledger.engine import Ledger, make_engine
from streams.ledger.schema import migrate
from streams.ledger.tables import bookings, books, entities
from streams.ops.cli import cli
from tests.contracts.carrier import Carrier
from tests.contracts.sparebank1_world import PEM
from tests.contracts.world import Place, World

BOOKED_AT = datetime(2026, 3, 31, tzinfo=UTC).timestamp()
TYPES = {
    Customer: "team.moment.customer.updated",
    Project: "team.moment.project.updated",
}


class Stage:
    """One world, the settings that lead to it, and its ledger."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world = world
        self.carrier = Carrier(world)
        self.here = world.here
        self.url = f"sqlite:///{directory / 'ledger.db'}"
        self.file = directory / "integrations.toml"
        self._events = 0
        self.write_file()

    # --- settings -------------------------------------------------------------------------------

    def write_file(self, **changes: Any) -> None:
        """The integrations file; a change to None takes a key away."""
        self.file.write_text(_file(self.here, changes))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must stand in no output: keys and tokens, of the time when this is asked."""
        return self.world.secrets

    async def run(self, *arguments: str) -> Result:
        """`moment-sync …`, beside the simulator."""
        if arguments[0] == "verify" and "--rate" not in arguments:
            arguments += ("--rate", "1000")  # nobody else needs the simulator
        environ = {
            "MOMENT_SYNC_INTEGRATIONS": str(self.file),
            "MOMENT_SYNC_LEDGER": self.url,
            "SB1_KEY": PEM,
            "DK_TOKEN": self.world.secrets[0] if self.here.system is System.DKPLUS else "",
        }
        result = await asyncio.to_thread(CliRunner().invoke, cli, list(arguments), env=environ)
        assert result.exception is None or isinstance(result.exception, SystemExit), result
        told = result.stdout + result.stderr
        assert not [secret for secret in self.secrets if secret in told], told
        return result

    async def found(self, *arguments: str) -> list[dict[str, Any]]:
        """The findings of a command with `--json`, whose exit code must fit them."""
        result = await self.run(*arguments, "--json")
        assert result.exit_code in (0, 1), result.output
        findings: list[dict[str, Any]] = json.loads(result.stdout)["findings"]
        assert result.exit_code == (1 if findings else 0)
        return findings

    # --- the ledger -----------------------------------------------------------------------------

    async def identify(self) -> str:
        """Whose books these are, as the worker would have asked."""
        found = (await self.world.runner().identify(self.here)).verdict
        assert isinstance(found, Identity)
        return found.books

    async def carry(self, *events: Entity) -> None:
        """Bring events into the books, and write down in the ledger that they are there."""
        for event in events:
            await self.carrier.applied(event)
        # What dkPlus' cache does not show yet would be missing.
        self.world.clock.advance(10.0)
        await self.record()

    async def record(self) -> None:
        """Write the ledger anew from what the carrier remembers."""
        identity = await self.identify()
        migrate(self.url)
        for table in (books, bookings, entities):
            self._do(delete(table))
        here = self.here.id
        self._insert(
            books,
            {
                "integration": here,
                "identity": identity,
                "first_seen_at": BOOKED_AT,
                "look_up_until": 0.0,
            },
        )
        for (entity_type, number), reference in self.carrier.references.items():
            content = self.carrier.contents[entity_type, number]
            if entity_type is EntityType.INVOICE:
                self.have_booking(identity, number, reference, content)
                continue
            self._insert(
                entities,
                {
                    "entity_key": entity_key(here, entity_type, number),
                    "lane": 1,
                    "in_books": True,
                    "reference": msgspec.json.encode(reference),
                    "content": content,
                },
            )

    def have_booking(
        self,
        identity: str,
        number: str,
        reference: Reference,
        content: bytes | None,
        at: float = BOOKED_AT,
    ) -> None:
        """The ledger says that this invoice is booked."""
        row = {
            "books": identity,
            "number": number,
            "delivery_id": f"d-{number}",
            "reference": msgspec.json.encode(reference),
            "content": content,
            "booked_at": at,
        }
        self._insert(bookings, row)

    def lead_elsewhere(self) -> None:
        """The ledger knows other books under this integration."""
        self._do(update(books).values(identity="another company's"))

    def _insert(self, table: Any, row: dict[str, Any]) -> None:
        self._do(insert(table).values(row))

    def _do(self, statement: Executable) -> None:
        engine = make_engine(self.url)
        with engine.begin() as connection:
            connection.execute(statement)
        engine.dispose()

    async def have_seen(self, *events: Entity) -> None:
        """These events came and nothing has become of them yet."""
        migrate(self.url)
        ledger = Ledger(self.url)
        ledger.start()
        here = self.here
        intake = LedgerIntake(
            ledger=ledger,
            integrations=lambda: {here.company: (here,)},
            partitions=12,
            now=self.world.clock.now,
            version="test",
            topic_prefix="",
            woken=lambda _taken: None,
        )
        for event in events:
            self._events += 1
            kind = TYPES.get(type(event), "team.moment.invoice.finalized")
            attributes = Attributes(
                id=f"e-{self._events}",
                source="/moment/test",
                type=kind,
                time=self.world.clock.now(),
            )
            sent = encode_event(attributes, event)
            record = Record(
                topic=sent.topic,
                partition=0,
                offset=self._events,
                timestamp_ms=0,
                key=sent.key,
                value=sent.value,
                headers=sent.headers,
            )
            await intake.take([record])
        await ledger.stop()


def staged(
    place: Place, directory: Path, story: Callable[[Stage], Awaitable[None]], *, lawful: bool = True
) -> None:
    """Tell a story in a fresh world with a ledger; unless `lawful` is False it breaks no rules."""

    async def told(world: World) -> None:
        await story(Stage(world, directory))

    place.run(told, lawful=lawful)


def told(findings: list[dict[str, Any]]) -> list[tuple[str, str, str | None]]:
    return [(one["kind"], one["code"], one.get("entity")) for one in findings]


def _file(one: Integration, changes: dict[str, Any]) -> str:
    host = one.base_url.split("/")[2]
    values: dict[str, Any] = {
        "id": one.id,
        "company": one.company,
        "system": one.system.value,
        "base_url": one.base_url,
        "data": sorted(one.data),
        "notify": one.notify,
        "language": "en",
    }
    client = ""
    if one.system is System.SPAREBANK1:
        assert one.client is not None
        values |= {"bank": "sb1ostlandet", "identity_url": one.identity_url}
        values["company_key"] = one.company_key
        client = (
            f'[clients.sparebank1]\nclient_id = "{one.client.client_id}"\nkey_env = "SB1_KEY"\n'
        )
    else:
        values |= {"token_env": "DK_TOKEN", "sales_person": one.sales_person}
    values = {name: value for name, value in (values | changes).items() if value is not None}
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    return f'allow_hosts = ["{host}"]\n{client}\n[[integrations]]\n{lines}'
