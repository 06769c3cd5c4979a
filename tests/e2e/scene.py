"""The whole system as somebody outside meets it: topics, books, a worker process, commands."""

import itertools
import json
import os
import signal
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.dkplus.simulator.settings import CompanyConfig as DkCompany
from connectors.dkplus.simulator.settings import SimulatorConfig as DkConfig
from connectors.sparebank1.simulator.settings import (
    ClientConfig,
)
from connectors.sparebank1.simulator.settings import (
    CompanyConfig as Sb1Company,
)
from connectors.sparebank1.simulator.settings import (
    SimulatorConfig as Sb1Config,
)
from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess, free_port
from tests.e2e.books import Simulators
from tests.e2e.commands import Commands, Done
from tests.e2e.moment import TYPES, Data, kind_of, lane_of
from tests.e2e.wire import DEADLINE_S, Headers, Letter, Told, Wire, as_json, binary

ROOT = Path(__file__).parents[2]
EVERYTHING = ("customers", "projects", "invoices")
CLIENT = "moment-sync-e2e"
IN_DIRECTORY = ("/bin/sh", "-c", 'cd "$1" && shift && exec "$@"', "sh")
_ids = itertools.count(1)

# Short, so that what must be waited for comes soon; but a hold lasts until somebody ends it.
SETTINGS: Mapping[str, str] = {
    "TOPIC_PARTITIONS": "4",
    "PARENT_WAIT": "1s",
    "RETRY_BASE": "100ms",
    "RETRY_MAX": "500ms",
    "HOLD_PROBE": "60s",
    "HOLD_PROBE_MAX": "60s",
    "BREAKER_OPEN": "1s",
    "SPAREBANK1_TIMEOUT": "5s",
    "DKPLUS_TIMEOUT": "5s",
    "SPAREBANK1_SETTLE": "1s",
    "DKPLUS_SETTLE": "1s",
    "DRAIN": "5s",
    "LOG": "json",
}


class Tenant(msgspec.Struct, frozen=True):
    """A company of Moment with one integration, set up for one scenario alone."""

    id: str
    system: str
    data: tuple[str, ...] = EVERYTHING
    language: str = "en"
    sales_person: str = "web"

    @property
    def company(self) -> str:
        return f"c-{self.id}"

    @property
    def key(self) -> str:
        """What the simulator calls the books."""
        if self.system == "dkplus":
            return self.id
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, self.id))


class Scene:
    """Topics, both accounting systems and a directory of their own; workers are started here."""

    def __init__(
        self,
        connection: KafkaConnection,
        prefix: str,
        directory: Path,
        tenants: Sequence[Tenant],
        **settings: str,
    ) -> None:
        self.directory = directory
        self.prefix = prefix
        self.wire = Wire(connection, prefix)
        self.tenants = list(tenants)
        self.late: tuple[Tenant, ...] = ()  # those that the integrations file does not have yet
        self.log = directory / "worker.log"
        self._commands: Commands | None = None
        self._workers: list[GuardedProcess] = []
        self.settings = {
            **SETTINGS,
            "KAFKA": connection.bootstrap,
            "LEDGER": "sqlite:///moment-sync.db",
            "GROUP": f"{prefix}group",
            "TOPIC_PREFIX": prefix,
            "INTEGRATIONS": "integrations.toml",
            "WEB": f"127.0.0.1:{free_port()}",
            **settings,
        }
        self.books = Simulators(self._sparebank1(), self._dkplus())

    # --- set-up ------------------------------------------------------------------------------

    def _sparebank1(self) -> Sb1Config:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self.directory / "sb1.pem").write_bytes(private)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        companies = tuple(
            Sb1Company(key=t.key, name=t.company) for t in self.tenants if t.system == "sparebank1"
        )
        client = ClientConfig(client_id=CLIENT, public_key=public.decode())
        return Sb1Config(companies=companies, clients=(client,))

    def _dkplus(self) -> DkConfig:
        found = []
        for tenant in self.tenants:
            if tenant.system == "dkplus":
                token = f"token-{uuid.uuid4().hex}"
                (self.directory / f"{tenant.id}.token").write_text(token)
                found.append(DkCompany(key=tenant.key, name=tenant.company, token=token))
        return DkConfig(companies=tuple(found))

    def write_integrations(self, tenants: Sequence[Tenant]) -> None:
        sb1, dk = self.books.sb1_url, self.books.dk_url
        hosts = [url.split("/")[2] for url in (sb1, dk)]
        text = f"allow_hosts = {json.dumps(hosts)}\n[clients.sparebank1]\n"
        text += f'client_id = "{CLIENT}"\nkey_file = "{self.directory}/sb1.pem"\n'
        for tenant in tenants:
            members: dict[str, object] = {
                "id": tenant.id,
                "company": tenant.company,
                "system": tenant.system,
                "data": tenant.data,
                "notify": f"books@{tenant.id}.example",
                "language": tenant.language,
            }
            if tenant.system == "sparebank1":
                members |= {"bank": "sb1ostlandet", "company_key": tenant.key}
                members |= {"base_url": sb1, "identity_url": sb1}
            else:
                members |= {"token_file": f"{self.directory}/{tenant.id}.token", "base_url": dk}
                members |= {"sales_person": tenant.sales_person}
            text += "\n[[integrations]]\n"
            text += "".join(f"{name} = {json.dumps(value)}\n" for name, value in members.items())
        (self.directory / "integrations.toml").write_text(text, encoding="utf-8")

    def start(self) -> None:
        """Books, integrations and topics; no worker yet."""
        self.books.start()
        self.write_integrations([tenant for tenant in self.tenants if tenant not in self.late])
        made = self.cli("topics", "create")
        assert made.code == 0, made.err
        self.wire.start()

    def stop(self) -> None:
        for worker in self._workers:
            worker.kill()
        if self._commands is not None:
            self._commands.close()
        self.wire.stop()
        self.books.stop()

    # --- processes ---------------------------------------------------------------------------

    def environment(self, **changes: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MOMENT_SYNC_")}
        given = {f"MOMENT_SYNC_{n}": v for n, v in {**self.settings, **changes}.items()}
        return {**inherited, "PYTHONPATH": str(ROOT), **given}

    def start_worker(self, **changes: str) -> GuardedProcess:
        """A worker that is ready."""
        worker = self.begin_worker(**changes)
        web = changes.get("WEB", self.settings["WEB"])
        self.wire.wait(lambda: self._ready(worker, web), "the worker is ready")
        return worker

    def begin_worker(self, **changes: str) -> GuardedProcess:
        """A worker that has just been started."""
        worker = GuardedProcess(
            (*IN_DIRECTORY, str(self.directory), sys.executable, "-m", "streams.ops.cli", "worker"),
            log=self.log,
            environment=self.environment(**changes),
        )
        self._workers.append(worker)
        return worker

    def _ready(self, worker: GuardedProcess, web: str) -> bool | None:
        assert worker.exit_code is None, self.log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"http://{web}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return None

    def cli(self, *words: str, stdin: str = "", **changes: str) -> Done:
        """Run a command to its end."""
        if self._commands is None:
            self._commands = Commands(self.environment())
        return self._commands.run(words, self.directory, self.environment(**changes), stdin)

    def asked(self, *words: str, code: int = 0, **changes: str) -> Any:
        """The document that a command prints with `--json`."""
        done = self.cli(*words, "--json", **changes)
        assert done.code == code, f"{words}: {done}"
        return json.loads(done.out)

    # --- events in ---------------------------------------------------------------------------

    def send(
        self,
        data: Data,
        *,
        id: str = "",  # noqa: A002 - the name that CloudEvents gives it
        type: str = "",  # noqa: A002
        key: bytes | str | None = "",
        topic: str = "",
        structured: bool = False,
        extra: Headers = (),
        **attributes: str,
    ) -> str:
        """Send an event as its producer would; the id of the event."""
        kind = kind_of(data)
        whole = {
            "id": id or f"e-{next(_ids)}",
            "source": "/moment/e2e",
            "type": type or TYPES[kind],
            "time": "2026-03-10T08:00:00Z",
            "subject": f"{kind}/{data.get('number')}",
            **attributes,
        }
        sent_key = lane_of(data) if key == "" else key
        assert not isinstance(sent_key, str)
        topic = topic or f"moment.{kind}s"
        if structured:
            content = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
            value = as_json({"specversion": "1.0", **whole, "data": data})
            self.wire.send(topic, sent_key, value, (*content, *extra))
        else:
            self.wire.send(topic, sent_key, as_json(data), (*binary(whole), *extra))
        return whole["id"]

    # --- what came of them ---------------------------------------------------------------------

    def told(self, event: str, kind: str | None = None) -> list[Told]:
        """All outcomes of an event so far."""
        return [
            one
            for one in self.wire.told
            if one.data["event"]["id"] == event and kind in (None, one.kind)
        ]

    def outcome(self, event: str, kind: str, *, seconds: float = DEADLINE_S) -> Told:
        """Waits for an outcome of this kind; fails at once on another final one."""

        def look() -> Told | None:
            found = self.told(event, kind)
            if found:
                return found[0]
            final = [one.data for one in self.told(event) if one.data["final"]]
            assert final == [], f"{event} is not {kind}"
            return None

        return self.wire.wait(look, f"{event} is {kind}", seconds)

    def applied(self, data: Data, **how: Any) -> Told:
        """Send an event and wait until it is applied."""
        return self.outcome(self.send(data, **how), "applied")

    def dead(self, data: Data, **how: Any) -> Told:
        """Send an event and wait until it is dead."""
        return self.outcome(self.send(data, **how), "dead")

    def letter(self, look: Callable[[Letter], bool], what: str) -> Letter:
        return self.wire.wait(lambda: next(filter(look, self.wire.letters), None), what)

    def letter_of(self, outcome: Told) -> Letter:
        """The dead letter of a delivery: the last one."""
        delivery = outcome.data["deliveryId"]

        def look() -> Letter | None:
            found = [one for one in self.wire.letters if one.said.get("delivery-id") == delivery]
            return found[-1] if found else None

        return self.wire.wait(look, f"the letter of {delivery}")

    # --- the books -----------------------------------------------------------------------------

    def shown(self, tenant: Tenant) -> Any:
        """The books of a tenant, as a person sees them."""
        if tenant.system == "dkplus":
            return self.books.dk(f"books/{tenant.key}")
        return self.books.sb1(f"companies/{tenant.key}")

    def booked(self, tenant: Tenant, number: str) -> list[Any]:
        """Every booking that stands under an invoice number, and is not undone."""
        if tenant.system == "dkplus":
            found = self.shown(tenant)["invoices"]
            return [i for i in found if i["reference"] == number and i["posted"]]
        return [v for v in self.shown(tenant)["vouchers"] if v["invoiceNumber"] == number]

    def deed(self, tenant: Tenant, name: str, **body: object) -> Any:
        """Something that a person does in these books."""
        if tenant.system == "dkplus":
            return self.books.dk(f"books/{tenant.key}/{name}", body)
        return self.books.sb1(f"companies/{tenant.key}/{name}", body)

    def hang_up(self, worker: GuardedProcess) -> None:
        """Let a worker read the integrations file again."""
        os.kill(worker.pid, signal.SIGHUP)
