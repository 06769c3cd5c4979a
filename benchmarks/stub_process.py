"""The harness's side of the stub: starting it, giving it orders, asking what came."""

import http.client
import sys
import time
from pathlib import Path
from typing import Final, Protocol

import msgspec

from benchmarks.stub import CONTROL, Orders
from benchmarks.stub_record import Arrival, Report
from streams.local.guarded import GuardedProcess

START_S: Final = 30.0  # far above what a busy machine takes
LOOK_AGAIN_S: Final = 0.02
ASK_S: Final = 30.0


class Seen(msgspec.Struct, frozen=True):
    """What the stub tells: its report since the last reset, and arrivals where they are kept."""

    report: Report
    arrivals: list[Arrival]


class Counterpart(Protocol):
    """What a contender calls, as the harness sees it."""

    @property
    def host(self) -> str:
        """`host:port`."""

    def order(self, orders: Orders) -> None:
        """Change how it behaves, from the next call on."""

    def seen(self) -> Seen:
        """What came since the last reset."""

    def stop(self) -> None:
        """End it."""


class StubProcess:
    """One stub in a process of its own."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        """Start it and wait until it listens. Raises RuntimeError where it does not."""
        directory.mkdir(parents=True, exist_ok=True)
        port_file, log = directory / "stub.port", directory / "stub.log"
        command = [sys.executable, "-m", "benchmarks.stub", str(port_file)]
        self._process = GuardedProcess(command, log=log, environment=environment)
        deadline = time.monotonic() + START_S
        while not port_file.exists():
            if time.monotonic() > deadline or self._process.exit_code is not None:
                self._process.kill()
                raise RuntimeError(f"the stub does not start; its log is {log}")
            time.sleep(LOOK_AGAIN_S)
        self.port = int(port_file.read_text(encoding="ascii"))

    @property
    def host(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What an integration names."""
        return f"http://{self.host}/api/v1"

    def order(self, orders: Orders) -> None:
        """Change how it behaves, from the next call on."""
        self._ask("POST", msgspec.json.encode(orders))

    def seen(self) -> Seen:
        """What came since the last reset."""
        return msgspec.json.decode(self._ask("GET", None), type=Seen)

    def _ask(self, method: str, body: bytes | None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ASK_S)
        try:
            connection.request(method, CONTROL.decode(), body)
            return connection.getresponse().read()
        finally:
            connection.close()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
