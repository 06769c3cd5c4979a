"""What it takes to reach the accounting systems, put together: HTTP, credentials, runners."""

from collections.abc import Callable, Mapping, Sequence
from typing import Self
from urllib.parse import urlsplit

from connectors.attempts import Exchange
from connectors.credentials import TokenCredentials
from connectors.http import HttpSender, HttpSession
from connectors.integrations import Integration, System
from connectors.port import Clock, Connector
from connectors.reference_cache import ReferenceCache
from connectors.runner import Runner
from connectors.secrets import SecretStore
from connectors.systems import SYSTEMS, load
from streams.clock import new_id
from streams.limits import limits_of
from streams.settings import Settings

HTTPS_PORT, HTTP_PORT = 443, 80


def make_connectors() -> dict[System, Connector]:
    """Every connector that is registered (`connectors/systems.py`)."""
    return {system: load(one.connector)() for system, one in SYSTEMS.items()}


class Connections:
    """One process's way to the accounting systems. Use as an async context manager."""

    def __init__(
        self,
        integrations: Sequence[Integration],
        settings: Settings,
        environ: Mapping[str, str],
        clock: Clock,
        heard: Callable[[Integration, Exchange], None] = lambda _whose, _what: None,
        through: Callable[[HttpSender], HttpSender] = lambda sender: sender,
    ) -> None:
        """`heard` is told of every call that has ended; `through` may wrap what sends them."""
        self.connectors = make_connectors()
        self._http = HttpSession(*_hosts(integrations))
        sender = through(self._http)
        self._credentials = TokenCredentials(
            sender, SecretStore(environ, clock.elapsed), clock, new_id
        )
        self._cache = ReferenceCache(clock)
        self.runners: dict[System, Runner] = {
            system: Runner(
                connector,
                sender,
                self._credentials,
                self._cache,
                clock,
                limits_of(system, settings).timeout_s,
                heard,
            )
            for system, connector in self.connectors.items()
        }

    def set_up(self, integrations: Sequence[Integration]) -> None:
        """Call the hosts of these from now on; what was learnt of their books is forgotten."""
        self._http.allow(*_hosts(integrations))
        for one in integrations:
            self._cache.forget(one.id, "")

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._cache.close()
        await self._credentials.close()
        await self._http.close()


def _hosts(integrations: Sequence[Integration]) -> tuple[frozenset[str], frozenset[str]]:
    """Every host that may be called, and of these the ones that may be private.

    A base URL that names a port, or plain http, was allowed by name in `allow_hosts`.
    """
    allowed: set[str] = set()
    private: set[str] = set()
    for one in integrations:
        for url in (one.base_url, one.identity_url):
            if not url:
                continue
            parts = urlsplit(url)
            port = parts.port or (HTTPS_PORT if parts.scheme == "https" else HTTP_PORT)
            host = f"{parts.hostname}:{port}"
            allowed.add(host)
            if parts.scheme == "http" or parts.port is not None:
                private |= {f"{parts.hostname}", host}
    return frozenset(allowed), frozenset(private)
