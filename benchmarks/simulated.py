"""The faithful simulators as a contender's counterpart: a process, its companies, its counts."""

import http.client
import os
import sys
import time
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks.contender import Plan
from benchmarks.events import company_id, token_of
from benchmarks.stub import Orders
from benchmarks.stub_process import ASK_S, LOOK_AGAIN_S, START_S, Seen
from benchmarks.stub_record import Report
from streams.local.guarded import GuardedProcess, free_port

COMPANIES: Final = 20
CLIENT_ID: Final = "benchmark"
KEY_BITS: Final = 2048  # the least that RS256 should be used with
OWNER_ONLY: Final = 0o600
SPAREBANK1, DKPLUS = "sparebank1", "dkplus"


class SimulatorProcess:
    """One simulator with `COMPANIES` companies. Each call takes `delay_ms`; it has no orders."""

    def __init__(
        self, system: str, directory: Path, environment: dict[str, str], delay_ms: int
    ) -> None:
        """Start it and wait until it listens. Raises RuntimeError where it does not."""
        directory.mkdir(parents=True, exist_ok=True)
        self.system = system
        self.port = free_port()
        self.key = directory / "client.pem"
        self._calls_before = 0
        self._reset_at = 0.0
        config, log = directory / "simulator.json", directory / "simulator.log"
        config.write_bytes(msgspec.json.encode(self._config(delay_ms)))
        command = [sys.executable, "-m", "streams.ops.cli", "simulate", system]
        command += ["--port", str(self.port), "--config", str(config), "--json"]
        self._process = GuardedProcess(command, log=log, environment=environment)
        deadline = time.monotonic() + START_S
        while not self._listens():
            if time.monotonic() > deadline or self._process.exit_code is not None:
                self._process.kill()
                raise RuntimeError(f"the simulator does not start; its log is {log}")
            time.sleep(LOOK_AGAIN_S)

    @property
    def host(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    def order(self, orders: Orders) -> None:
        """Count anew where that is asked for; nothing else can be changed."""
        if orders.reset:
            self._calls_before, self._reset_at = self._calls(), time.time()

    def seen(self) -> Seen:
        """Calls since the last reset. The time of the first write is that of the reset."""
        calls = self._calls() - self._calls_before
        return Seen(Report(calls=calls, first_write_at=self._reset_at), [])

    def stop(self) -> None:
        """End it."""
        self._process.kill()

    def _config(self, delay_ms: int) -> dict[str, Any]:
        if self.system == DKPLUS:
            companies = [
                {"token": token_of(n), "name": company_id(n), "key": company_id(n)}
                for n in range(COMPANIES)
            ]
            return {"companies": companies, "delay_ms": delay_ms}
        companies = [{"key": key_of(n), "name": company_id(n)} for n in range(COMPANIES)]
        client = {"client_id": CLIENT_ID, "public_key": self._new_key()}
        return {"companies": companies, "clients": [client], "delay_ms": delay_ms}

    def _new_key(self) -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        handle = os.open(self.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
        with os.fdopen(handle, "wb") as file:
            file.write(private)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return public.decode()

    def _calls(self) -> int:
        sparebank1 = self.system == SPAREBANK1
        where, counts = ("companies", "requests") if sparebank1 else ("books", "counts")
        return sum(
            sum(self._ask(f"/_simulator/{where}/{identity}")[counts].values())
            for identity in (key_of(n) if sparebank1 else company_id(n) for n in range(COMPANIES))
        )

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_S)
        try:
            connection.request("GET", path)
            return msgspec.json.decode(connection.getresponse().read())
        finally:
            connection.close()

    def _listens(self) -> bool:
        try:
            self._calls()
        except (OSError, http.client.HTTPException):
            return False
        return True


def key_of(company: int) -> str:
    """The company key of a company in SpareBank 1 Regnskap."""
    return str(UUID(int=(0x4000 << 64) | (0x8 << 60) | company))


def write_sparebank1(plan: Plan, key: Path) -> Path:
    """An integration with SpareBank 1 for each company, all at one simulator; returns the file."""
    url = f"http://{plan.stub}"
    head = f'allow_hosts = ["{plan.stub}"]\n\n[clients.sparebank1]\nclient_id = "{CLIENT_ID}"\n'
    parts = [f'{head}key_file = "{key}"\n']
    for number in range(COMPANIES):
        company = company_id(number)
        parts.append(
            f'[[integrations]]\nid = "{company}-sb1"\ncompany = "{company}"\n'
            f'system = "sparebank1"\nbank = "sb1ostlandet"\nbase_url = "{url}"\n'
            f'identity_url = "{url}"\ncompany_key = "{key_of(number)}"\n'
            'data = ["customers", "projects", "invoices"]\nnotify = "books@benchmark.example"\n'
            'language = "en"\n'
        )
    path = plan.directory / "integrations.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return path
