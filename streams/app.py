"""The composition root: the one place where a worker is put together."""

import asyncio
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from importlib.metadata import version
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
from streams.attempts import Performer
from streams.book_rules import BookRules
from streams.clock import SystemClock, new_id, new_random
from streams.dispatch import Dispatcher
from streams.faust_app import IngestApp, build_faust_app
from streams.ingest import run_ingest
from streams.intake import LedgerIntake
from streams.integrations_file import Integrations, IntegrationsError
from streams.integrations_file import read as read_integrations
from streams.kafka_client import connection_of
from streams.ledger.engine import Ledger
from streams.ledger_outbox import LedgerOutbox
from streams.ops.web import WebServer
from streams.publish import Publisher
from streams.settings import Settings
from streams.topics import TopicNames

log = logging.getLogger(__name__)

VERSION = version("moment-sync")
PUBLISH_DRAIN_S = 10.0  # what is in the outbox at a stop gets this long; the rest waits on disk


class Worker:
    """One worker process. `run` returns its exit code."""

    def __init__(
        self,
        settings: Settings,
        integrations: Integrations,
        *,
        partitions: int,
        max_letter_bytes: int,
        environ: Mapping[str, str],
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self._environ = environ
        self._in_force = integrations
        self._by_id = {one.id: one for one in integrations.integrations}
        self._clock = clock or SystemClock()
        self._stop = asyncio.Event()
        self.ledger = Ledger(settings.ledger)
        connectors: dict[System, Connector] = {
            System.SPAREBANK1: SpareBank1(),
            System.DKPLUS: DkPlus(),
        }
        self.rules = BookRules(
            integrations=lambda: self._by_id,
            connectors=connectors,
            group=settings.group,
            version=VERSION,
            topic_prefix=settings.topic_prefix,
        )
        self._http = HttpSession(*_hosts(integrations.integrations))
        self._secrets = SecretStore(environ)
        self._credentials = TokenCredentials(self._http, self._secrets, self._clock, new_id)
        cache = ReferenceCache(self._clock)
        deadlines = {
            System.SPAREBANK1: settings.sparebank1_timeout_s,
            System.DKPLUS: settings.dkplus_timeout_s,
        }
        runners = {
            system: Runner(
                connector, self._http, self._credentials, cache, self._clock, deadlines[system]
            )
            for system, connector in connectors.items()
        }
        random = new_random()

        def performer(epochs: Mapping[int, int]) -> Performer:
            return Performer(
                ledger=self.ledger,
                runners=runners,
                settings=settings,
                clock=self._clock,
                random=random,
                epochs=epochs,
            )

        owner = new_id()
        self.dispatcher = Dispatcher(
            ledger=self.ledger,
            rules=self.rules,
            settings=settings,
            clock=self._clock,
            owner=owner,
            partitions=partitions,
            performer=performer,
        )
        self.outbox = LedgerOutbox(self.ledger, owner)
        names = TopicNames(prefix=settings.topic_prefix)
        connection = connection_of(settings)
        intake = LedgerIntake(
            ledger=self.ledger,
            integrations=self._companies,
            partitions=partitions,
            now=self._clock.now,
            version=VERSION,
            topic_prefix=settings.topic_prefix,
            woken=self.dispatcher.woken,
            restored=self.dispatcher.restored,
        )
        self.publisher = Publisher(
            connection, self.outbox, names, max_request_bytes=max_letter_bytes
        )
        self._app: IngestApp = build_faust_app(
            connection=connection,
            group=settings.group,
            topics=names,
            intake=intake,
            lanes=self.dispatcher,
        )
        self._web = WebServer(self)

    @property
    def ready(self) -> bool:
        """Whether the group is joined: lanes are assigned, or it has none to give."""
        return self.dispatcher.assigned_once.is_set() or self._app.ready

    def _companies(self) -> Mapping[str, Sequence[Integration]]:
        return self._in_force.by_company

    def stop(self) -> None:
        """Drain and end; a second call ends at once."""
        if self._stop.is_set():
            os._exit(1)
        log.info("draining", extra={"action": "worker_draining"})
        self._stop.set()

    def reload(self) -> None:
        """Read the integrations file again; a wrong one changes nothing and is told."""
        try:
            fresh = read_integrations(self.settings.integrations, self._environ)
        except IntegrationsError as error:
            log.error(  # noqa: TRY400 - a wrong file is a person's matter, not a stack's
                "the integrations file was not taken: %s",
                error,
                extra={"action": "integrations_refused"},
            )
            return
        self._in_force = fresh
        self._by_id = {one.id: one for one in fresh.integrations}
        self._http.allow(*_hosts(fresh.integrations))
        self.dispatcher.set_up(self._by_id)
        log.info("the integrations file was read again", extra={"action": "integrations_read"})

    async def run(self) -> int:
        """Work until SIGTERM or SIGINT (0), or until only a restart can mend what failed (1)."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        self.ledger.start()
        stop_publishing = asyncio.Event()
        async with self._http:
            self.dispatcher.set_up(self._by_id)
            await self._web.start()
            publishing = asyncio.create_task(
                self.publisher.run(stop_publishing, drain_s=PUBLISH_DRAIN_S)
            )
            dispatching = asyncio.create_task(self.dispatcher.run())
            ingesting = asyncio.create_task(
                run_ingest(self._app, stop=self._stop, drain_s=self.settings.drain_s)
            )
            log.info("working", extra={"action": "worker_started"})
            await asyncio.wait(
                {publishing, dispatching, ingesting, asyncio.create_task(self._stop.wait())},
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._stop.set()
            await self.dispatcher.stop(self.settings.drain_s)
            reason = await ingesting
            stop_publishing.set()
            await asyncio.wait({publishing, dispatching})
            await self._web.stop()
            await self._credentials.close()
        await self.ledger.stop()
        failed = [task for task in (publishing, dispatching) if _error(task) is not None]
        for task in failed:
            log.error(
                "the worker ends for a bug",
                exc_info=_error(task),
                extra={"action": "worker_failed"},
            )
        log.info("ended", extra={"action": "worker_ended"})
        return 1 if failed or reason is not None else 0


def _error(task: "asyncio.Task[None]") -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _hosts(integrations: Sequence[Integration]) -> tuple[frozenset[str], frozenset[str]]:
    """Every host that may be called, and of these the ones that may be private (loopback)."""
    allowed: set[str] = set()
    private: set[str] = set()
    for one in integrations:
        for url in (one.base_url, one.identity_url):
            if not url:
                continue
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
            allowed.add(f"{parts.hostname}:{port}")
            if parts.scheme == "http" or parts.port is not None:
                private |= {f"{parts.hostname}", f"{parts.hostname}:{port}"}
    return frozenset(allowed), frozenset(private)
