"""Both accounting systems, simulated, in a thread of their own; seen through their side doors."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from connectors.dkplus.simulator import serve as dkplus
from connectors.dkplus.simulator.settings import SimulatorConfig as DkConfig
from connectors.sparebank1.simulator import serve as sparebank1
from connectors.sparebank1.simulator.settings import SimulatorConfig as Sb1Config

T = TypeVar("T")
CALL_S = 20.0


class Simulators:
    """Two listening simulators. Books outlive every worker, as real ones do."""

    def __init__(self, sb1: Sb1Config, dk: DkConfig) -> None:
        self._configs = (sb1, dk)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()
        self.sb1_url = ""
        self.dk_url = ""

    def start(self) -> None:
        self._thread.start()
        self._call(self._start())

    def stop(self) -> None:
        if not self._thread.is_alive():
            self._loop.close()
            return
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        """Close them; what answers slowly is not waited for."""
        await self._stack.aclose()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S)

    async def _start(self) -> None:
        sb1, dk = self._configs
        bank = await self._stack.enter_async_context(sparebank1.running_simulator(sb1))
        iceland = await self._stack.enter_async_context(dkplus.running_simulator(dk))
        self.sb1_url, self.dk_url = bank.base_url, iceland.base_url

    def sb1(self, path: str, body: object | None = None) -> Any:
        """A read, or with a body a deed, at SpareBank 1 Regnskap's side door."""
        return _asked(f"{self.sb1_url}/_simulator/{path}", body)

    def dk(self, path: str, body: object | None = None) -> Any:
        return _asked(f"{self.dk_url.removesuffix('/api/v1')}/_simulator/{path}", body)


def _asked(url: str, body: object | None) -> Any:
    sent = None if body is None else json.dumps(body).encode()
    # Loopback only, and the scheme is our own.
    with urllib.request.urlopen(url, data=sent, timeout=CALL_S) as answer:  # noqa: S310
        return json.loads(answer.read())
