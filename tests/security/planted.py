"""A whole system with a recognisable secret in every place that a secret can have."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import AuthResult, LoginPassword
from sqlalchemy import MetaData, create_engine

from connectors.dkplus.simulator import serve as dkplus
from connectors.sparebank1.simulator import serve as sparebank1
from connectors.sparebank1.simulator.identity import Identity
from streams.kafka_client import KafkaConnection
from streams.local.guarded import GuardedProcess
from streams.setting_values import without_password
from tests.e2e.books import Simulators
from tests.e2e.moment import (
    Data,
    customer,
    icelander,
    icelandic_invoice,
    icelandic_line,
    invoice,
    line,
)
from tests.e2e.scene import IN_DIRECTORY, Scene, Tenant
from tests.e2e.wire import Told
from tests.kafka.guarded_broker import PASSWORD, USER
from tests.notices.post_office import Office, text_of

HERE = Path(__file__).parent
SMTP_PASSWORD = "planted-smtp-2f6b1c"
DB_PASSWORD = "planted-db-9a7e44"
STATUSES = (200, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503)
MARK = re.compile(r"mark-[A-Za-z0-9-]+?-mark")
PEM_LINE = re.compile(r"^[A-Za-z0-9+/=]{40,}$", re.MULTILINE)


class Watched(Simulators):
    """Simulators of which the test sees what tokens they have given out."""

    identity: Identity

    async def _start(self) -> None:
        sb1, dk = self._configs
        bank = await self._stack.enter_async_context(sparebank1.running_simulator(sb1))
        iceland = await self._stack.enter_async_context(dkplus.running_simulator(dk))
        self.sb1_url, self.dk_url = bank.base_url, iceland.base_url
        self.identity = bank.server.simulator.identity


class GuardedOffice(Office):
    """Takes mail from those who know the password."""

    def log_in(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=data.password == SMTP_PASSWORD.encode())


class Planted(Scene):
    """Two tenants for every status that an accounting system can answer with."""

    def __init__(
        self, kafka: KafkaConnection, prefix: str, directory: Path, ledger: str, smtp_port: int
    ) -> None:
        self.ledger = ledger.replace("@", f":{DB_PASSWORD}@", 1)
        (directory / "smtp").write_text(SMTP_PASSWORD)
        tenants = [Tenant(f"no-{s}", "sparebank1") for s in STATUSES]
        tenants += [Tenant(f"is-{s}", "dkplus") for s in STATUSES]
        super().__init__(
            kafka,
            prefix,
            directory,
            tenants,
            LEDGER=self.ledger,
            KAFKA_SECURITY=kafka.security,
            KAFKA_SASL_MECHANISM=kafka.sasl_mechanism,
            KAFKA_USERNAME=USER,
            KAFKA_PASSWORD_FILE=str(kafka.password_file),
            KAFKA_CA_FILE=str(kafka.ca_file),
            SMTP=f"smtp://moment@127.0.0.1:{smtp_port}",
            SMTP_PASSWORD_FILE=str(directory / "smtp"),
            NOTICE_WINDOW="100ms",
        )
        configs = self.books._configs
        self.books._loop.close()
        self.books: Watched = Watched(*configs)

    def begin_worker(self, **changes: str) -> GuardedProcess:
        worker = GuardedProcess(
            (*IN_DIRECTORY, str(self.directory), sys.executable, str(HERE / "loud_worker.py")),
            log=self.log,
            environment=self.environment(**changes),
        )
        self._workers.append(worker)
        return worker

    # --- the secrets ---------------------------------------------------------------------------

    def token_of(self, tenant: Tenant) -> str:
        return (self.directory / f"{tenant.id}.token").read_text()

    def secrets(self) -> dict[str, str]:
        """Everything that must not be told, by what it is."""
        found = {"Kafka": PASSWORD, "SMTP": SMTP_PASSWORD, "database": DB_PASSWORD}
        pem = (self.directory / "sb1.pem").read_text()
        found |= {f"key {n}": line for n, line in enumerate(PEM_LINE.findall(pem))}
        found |= {f"access {n}": token for n, token in enumerate(self.books.identity.tokens)}
        for tenant in self.tenants:
            if tenant.system == "dkplus":
                found[f"token of {tenant.id}"] = self.token_of(tenant)
        return found

    def company_keys(self) -> dict[str, str]:
        """Names of books: no secret by themselves, but nobody else's business."""
        return {f"key of {t.id}": t.key for t in self.tenants if t.system == "sparebank1"}

    def echo(self) -> None:
        """From now on every answer says back what its request was sent with."""
        tokens = list(self.books.identity.tokens)
        rules: dict[str, list[dict[str, object]]] = {"sparebank1": [], "dkplus": []}
        for tenant in self.tenants:
            own = tokens if tenant.system == "sparebank1" else [self.token_of(tenant)]
            said = " ".join([*own, tenant.key, f"Authorization: Bearer {own[0]}"])
            said = f"{said} {mark_of(tenant)}"
            body = json.dumps({"Message": said, "Errors": [said], "access_token": own[0]})
            status = int(tenant.id.split("-")[1])
            rule = {"fault": "answer", "company": tenant.key, "status": status, "body": body}
            rules[tenant.system].append(rule)
        self.books.sb1("faults", {"rules": rules["sparebank1"]})
        self.books.dk("faults", {"rules": rules["dkplus"]})

    def all_met(self) -> bool | None:
        met = [rule["met"] for rule in self.books.sb1("faults")] + self.books.dk("faults")["met"]
        return True if min(met) >= 1 else None

    # --- what they are looked for in -------------------------------------------------------------

    def first(self, tenant: Tenant) -> Data:
        mark: dict[str, object] = {
            "name": mark_of(tenant),
            "email": f"{mark_of(tenant)}@customer.example",
        }
        mark |= {"phone": None, "website": f"https://{mark_of(tenant)}.example"}
        if tenant.system == "dkplus":
            return icelander(tenant.company, "500", **mark)
        return customer(tenant.company, "100042", **mark)

    def bill(self, tenant: Tenant) -> Data:
        mark = mark_of(tenant)
        if tenant.system == "dkplus":
            one = icelandic_line(description=mark, productName=mark)
            return icelandic_invoice(tenant.company, "1001", "500", one, description=mark)
        one = line(description=mark, productName=mark)
        return invoice(tenant.company, "1001", "100042", one, description=mark)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Every row of every table, as text."""
        engine = create_engine(self.ledger.replace("postgresql://", "postgresql+psycopg://"))
        try:
            tables = MetaData()
            tables.reflect(engine)
            with engine.connect() as connection:
                for table in tables.sorted_tables:
                    for row in connection.execute(table.select()):
                        yield table.name, " ".join(map(_text, row))
        finally:
            engine.dispose()


def marks(text: str) -> set[str]:
    """Whose data is in a text."""
    return set(MARK.findall(text))


def mark_of(tenant: Tenant) -> str:
    """What stands in all that is this company's, and in nothing else."""
    return f"mark-{tenant.id}-mark"


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def told_text(told: Sequence[Told]) -> str:
    return "\n".join(f"{one.key!r} {one.headers!r} {json.dumps(one.data)}" for one in told)


def mail_text(office: Office) -> str:
    parts = []
    for mail in office.mails:
        parts += [str(mail.items()), text_of(mail), text_of(mail, "html"), mail.as_string()]
    return "\n".join(parts)


def written_wrong(scene: Planted) -> dict[str, dict[str, str]]:
    """Settings with a secret where none may be, by what is wrong with them."""
    token = scene.token_of(scene.tenants[-1])
    text = (scene.directory / "integrations.toml").read_text()
    (scene.directory / "straight.toml").write_text(
        text.replace("token_file = ", f'token = "{token}"\ntoken_file = ', 1)
    )
    return {
        "an unknown name": {"KAFKA_PASSWORD": PASSWORD},
        "a password in the URL of SMTP": {"SMTP": f"smtp://moment:{SMTP_PASSWORD}@127.0.0.1:25"},
        "a ledger that is none": {"LEDGER": f"mysql://moment:{DB_PASSWORD}@db.example/x"},
        "a ledger without a name": {"LEDGER": without(scene.ledger)},
        "a token in the file": {"INTEGRATIONS": "straight.toml"},
    }


def without(ledger: str) -> str:
    assert DB_PASSWORD in ledger
    assert DB_PASSWORD not in without_password(ledger)
    return f"postgresql://moment:{DB_PASSWORD}@db.example"
