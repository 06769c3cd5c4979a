"""The worker's web port: whether it lives, whether it is ready, and its numbers."""

from typing import Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from streams.dispatch import Dispatcher
from streams.ledger.engine import Ledger
from streams.publish import Publisher
from streams.settings import Settings


class Watched(Protocol):
    """The worker, as far as its web port looks at it."""

    settings: Settings
    ledger: Ledger
    dispatcher: Dispatcher
    publisher: Publisher

    @property
    def ready(self) -> bool:
        """Whether the group is joined."""


class WebServer:
    """`/healthz`, `/readyz` and `/metrics` on the setting `WEB`."""

    def __init__(self, worker: Watched) -> None:
        self._worker = worker
        self._runner: web.AppRunner | None = None
        self._registry = CollectorRegistry()
        self._gauges = _gauges(self._registry)

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/readyz", self._ready),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        address = self._worker.settings.web
        await web.TCPSite(self._runner, address.host, address.port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _request: web.Request) -> web.Response:
        unwritable = self._worker.ledger.unwritable
        if unwritable is not None:
            return web.json_response(
                {"status": "unhealthy", "why": "the ledger cannot be written"}, status=503
            )
        return web.json_response({"status": "ok"})

    async def _ready(self, _request: web.Request) -> web.Response:
        ready = self._worker.ready
        return web.json_response({"ready": ready}, status=200 if ready else 503)

    async def _metrics(self, _request: web.Request) -> web.Response:
        worker = self._worker
        self._gauges["in_flight"].set(worker.dispatcher.in_flight)
        self._gauges["applied"].set(worker.dispatcher.applied)
        self._gauges["commits"].set(worker.ledger.commits)
        self._gauges["items"].set(worker.ledger.items)
        self._gauges["published"].set(worker.publisher.published)
        self._gauges["lanes"].set(worker.dispatcher.lanes)
        return web.Response(
            body=generate_latest(self._registry),
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
        )


def _gauges(registry: CollectorRegistry) -> dict[str, Gauge]:
    help_of = {
        "in_flight": "Deliveries in flight",
        "applied": "Deliveries applied since the start",
        "commits": "Commits of the ledger since the start",
        "items": "Items written in them",
        "published": "Records published since the start",
        "lanes": "Lanes owned",
    }
    return {
        name: Gauge(f"moment_sync_{name}", text, registry=registry)
        for name, text in help_of.items()
    }
