"""What it takes to reach the accounting systems, put together: HTTP, credentials, runners."""

from collections.abc import Mapping, Sequence
from typing import Self
from urllib.parse import urlsplit

from connectors.credentials import TokenCredentials
from connectors.dkplus.connector import DkPlus
from connectors.http import HttpSession
from connectors.integrations import Integration, System
from connectors.port import Clock, Connector
from connectors.reference_cache import ReferenceCache
from connectors.runner import Runner
from connectors.secrets import SecretStore
from connectors.sparebank1.connector import SpareBank1
from streams.clock import new_id
from streams.settings import Settings

HTTPS_PORT, HTTP_PORT = 443, 80


def make_connectors() -> dict[System, Connector]:
    """Every connector that there is. A new one is registered here and nowhere else."""
    return {System.SPAREBANK1: SpareBank1(), System.DKPLUS: DkPlus()}


class Connections:
    """One process's way to the accounting systems. Use as an async context manager."""

    def __init__(
        self,
        integrations: Sequence[Integration],
        settings: Settings,
        environ: Mapping[str, str],
        clock: Clock,
    ) -> None:
        self.connectors = make_connectors()
        self._http = HttpSession(*_hosts(integrations))
        self._credentials = TokenCredentials(self._http, SecretStore(environ), clock, new_id)
        self._cache = ReferenceCache(clock)
        deadlines = {
            System.SPAREBANK1: settings.sparebank1_timeout_s,
            System.DKPLUS: settings.dkplus_timeout_s,
        }
        self.runners: dict[System, Runner] = {
            system: Runner(
                connector, self._http, self._credentials, self._cache, clock, deadlines[system]
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
