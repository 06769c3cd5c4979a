"""moment-sync itself: real worker processes with a ledger, as they are run anywhere."""

import http.client
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.contender import Plan, Running, environment_of
from benchmarks.events import company_id, token_of
from streams.local.guarded import GuardedProcess, free_port

GUARANTEES: Final = (
    "order of each entity, gates, at most one booking, durable, duplicates known, retries, "
    "one outcome each"
)
ASK_S: Final = 2.0
WORKER: Final = (sys.executable, "-m", "streams.ops.cli", "worker")


class Us:
    """A worker, or several, of moment-sync. `ledger` None: SQLite in the plan's directory.

    `write` writes the integrations file, by default one of DK+ at the stub.
    """

    def __init__(
        self,
        name: str = "moment-sync",
        *,
        workers: int = 1,
        ledger: str | None = None,
        settings: dict[str, str] | None = None,
        command: Sequence[str] = WORKER,
        write: Callable[[Plan], object] | None = None,
    ) -> None:
        self.name = name
        self.guarantees = GUARANTEES
        self._workers = workers
        self._ledger = ledger
        self._settings = settings or {}
        self._command = command
        self._write = write or write_integrations

    def refusal(self) -> str | None:
        """It runs wherever the harness runs."""
        return None

    def settings(self, plan: Plan) -> dict[str, str]:
        """The settings of its workers, without their web ports."""
        return {
            "KAFKA": plan.bootstrap,
            "LEDGER": self._ledger or f"sqlite:///{plan.directory / 'ledger.db'}",
            "INTEGRATIONS": str(plan.directory / "integrations.toml"),
            "GROUP": plan.prefix.rstrip("."),
            "TOPIC_PREFIX": plan.prefix,
            "TOPIC_PARTITIONS": str(plan.partitions),
            "IN_FLIGHT": str(plan.in_flight),
            "DKPLUS_IN_FLIGHT": "1000",  # open: only the worker's own bound counts here
            "DKPLUS_BOOKINGS": "100",
            "LOG": "json",
            **self._settings,
        }

    def start(self, plan: Plan) -> Running:
        """Start the workers and wait until they have joined the group."""
        plan.directory.mkdir(parents=True, exist_ok=True)
        self._write(plan)
        ports = [free_port() for _ in range(self._workers)]
        log = plan.directory / "worker.log"
        running = Running(
            [
                GuardedProcess(
                    self._command,
                    log=log,
                    environment=environment_of(
                        plan.environment, **self.settings(plan), WEB=f"127.0.0.1:{port}"
                    ),
                )
                for port in ports
            ],
            log,
        )
        return running.wait(lambda: all(_is_ready(port) for port in ports))


def write_integrations(plan: Plan) -> Path:
    """An integration with DK+ for each company, all at the stub; returns the file."""
    secrets = plan.directory / "tokens"
    secrets.mkdir(exist_ok=True)
    parts = [f'allow_hosts = ["{plan.stub}"]\n']
    for number in range(plan.companies):
        token = secrets / f"{number:04d}"
        handle = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(token_of(number))
        company = company_id(number)
        parts.append(
            f'[[integrations]]\nid = "{company}-dk"\ncompany = "{company}"\nsystem = "dkplus"\n'
            f'base_url = "{plan.base_url}"\ntoken_file = "{token}"\nsales_person = "web"\n'
            'data = ["customers", "projects", "invoices"]\nnotify = "books@benchmark.example"\n'
            'language = "en"\n'
        )
    path = plan.directory / "integrations.toml"
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ASK_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
