"""The worker's web port: whether it lives, whether it is ready, and its numbers.

Served by a thread with an event loop of its own, so that it answers while the worker's loop hangs.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from aiohttp import web

from streams.metrics_page import MetricsPage
from streams.web.health import LOOK_S, Limits
from streams.web.look import Looker, Sampler, Watched
from streams.web.pulse import Pulse

log = logging.getLogger(__name__)

STOP_S = 5.0  # for an answer that is under way
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class WebServer:
    """`/healthz`, `/readyz` and `/metrics` on the setting `WEB`."""

    def __init__(
        self,
        worker: Watched,
        version: str,
        *,
        limits: Limits | None = None,
        also: Callable[[web.Application], None] = lambda _: None,
    ) -> None:
        """`also` may add pages; they run on this thread's loop, not on the worker's."""
        self._also = also
        self._worker = worker
        self._pulse = Pulse(worker.reader, worker.clock.elapsed)
        self._looker = Looker(worker, self._pulse, limits)
        self._sampler = Sampler(self._looker)
        self._page = MetricsPage(worker, self._looker, self._pulse, version)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._beating: asyncio.Task[None] | None = None
        self._begun_at = worker.clock.now()

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        listening: Future[None] = Future()
        self._thread = threading.Thread(
            target=self._serve, args=(listening,), name="pages", daemon=True
        )
        self._thread.start()
        await asyncio.wrap_future(listening)
        self._beating = asyncio.create_task(self._pulse.run())
        self._sampler.start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._beating is not None:
            self._beating.cancel()
            self._sampler.stop()
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
            await asyncio.to_thread(self._thread.join, STOP_S)

    # -- the thread ------------------------------------------------------------------------------

    def _serve(self, listening: "Future[None]") -> None:
        try:
            asyncio.run(self._until_end(listening))
        except Exception as error:  # whoever started us is told, or the log where nobody waits
            if not listening.done():
                listening.set_exception(error)
            else:
                log.exception("the pages failed", extra={"action": "pages_failed"})

    async def _until_end(self, listening: "Future[None]") -> None:
        self._loop = asyncio.get_running_loop()
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
            ]
        )
        self._also(app)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            address = self._worker.settings.web
            await web.TCPSite(runner, address.host, address.port).start()
            looking = asyncio.create_task(self._look())
            listening.set_result(None)
            await self._ending.wait()
            looking.cancel()
        finally:
            await runner.cleanup()

    async def _look(self) -> None:
        failing = False
        while True:
            try:
                self._looker.look()
                failing = False
            except Exception:  # a bug in looking must not look like a healthy worker for ever
                if not failing:
                    log.exception("the watchdog fails", extra={"action": "watchdog_failed"})
                failing = True
            await asyncio.sleep(LOOK_S)

    # -- pages -----------------------------------------------------------------------------------

    async def _health(self, _request: web.Request) -> web.Response:
        problems = self._problems()
        status = "unhealthy" if problems else "ok"
        return web.json_response(
            {"status": status, "problems": problems}, status=503 if problems else 200
        )

    async def _ready(self, _request: web.Request) -> web.Response:
        worker = self._worker
        why = self._problems()
        if not worker.ready:
            since = self._begun_at.isoformat(timespec="seconds").replace("+00:00", "Z")
            text = "the consumer group is not joined yet"
            why.append({"kind": "not-joined", "since": since, "text": text})
        if worker.stopping:
            why.append({"kind": "stopping", "text": "the worker drains and ends"})
        ready = not why
        return web.json_response({"ready": ready, "problems": why}, status=200 if ready else 503)

    def _problems(self) -> list[dict[str, Any]]:
        self._looker.look()
        return [problem.shown() for problem in self._looker.problems]

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._page.text(), headers={"Content-Type": CONTENT_TYPE})
