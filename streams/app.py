"""The composition root: the one place where a worker is put together."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from connectors.integrations import Integration
from connectors.port import Clock
from streams.attempts import Performer
from streams.book_rules import BookRules
from streams.clock import SystemClock, new_id, new_random
from streams.connecting import Connections
from streams.console.app import add_console
from streams.dispatch import Dispatcher
from streams.faust_app import IngestApp, build_faust_app
from streams.ingest import run_ingest
from streams.intake import LedgerIntake
from streams.integrations_file import Integrations, IntegrationsError
from streams.integrations_file import read as read_integrations
from streams.integrations_watch import IntegrationsWatch
from streams.kafka_client import connection_of
from streams.ledger.arrivals import Taken
from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger_outbox import LedgerOutbox
from streams.metrics_meters import Meters
from streams.notices.service import Notices, way_of
from streams.ports import Intake
from streams.publish import Publisher
from streams.settings import Settings
from streams.topics import TopicNames
from streams.web.kafka_side import KafkaSide
from streams.web.pages import WebServer

if TYPE_CHECKING:
    from streams.tracing_spans import Tracing

log = logging.getLogger(__name__)

VERSION = version("moment-sync")
LEDGER_SLACK_S = 5.0  # for its last commits; then it is closed, written or not
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
        tracing: "Tracing | None" = None,
    ) -> None:
        self._tracing = tracing
        self.settings = settings
        self._environ = environ
        self._in_force = integrations
        self._by_id = {one.id: one for one in integrations.integrations}
        self.clock = clock or SystemClock()
        self._stop = asyncio.Event()
        self.meters = Meters(self.clock.elapsed)
        self.ledger = Ledger(settings.ledger)
        self.ledger.watch = self.meters
        self._connections = Connections(
            integrations.integrations,
            settings,
            environ,
            self.clock,
            self.meters.called,
            **({} if tracing is None else {"through": tracing.sender}),
        )
        self.rules = BookRules(
            integrations=lambda: self._by_id,
            connectors=self._connections.connectors,
            group=settings.group,
            version=VERSION,
            topic_prefix=settings.topic_prefix,
        )
        self.owner = owner = new_id()
        self.dispatcher = Dispatcher(
            ledger=self.ledger,
            rules=self.rules,
            settings=settings,
            clock=self.clock,
            owner=owner,
            partitions=partitions,
            performer=self._performer(),
        )
        self.outbox = LedgerOutbox(self.ledger, owner)
        self.notices = Notices(
            ledger=self.ledger,
            way=way_of(settings, socket.gethostname()),
            owner=owner,
            partitions=partitions,
            clock=self.clock,
            integrations=lambda: self._by_id,
            noticed=self.meters.noticed,
        )
        names = TopicNames(prefix=settings.topic_prefix)
        self.publisher = self._publisher(names, max_letter_bytes)
        self._app: IngestApp = build_faust_app(
            connection=connection_of(settings),
            group=settings.group,
            topics=names,
            intake=self._intake(partitions),
            lanes=self.dispatcher,
        )
        self._watch = IntegrationsWatch(
            self.ledger, lambda: self._in_force, self._read_again, self._take_over
        )
        self.reader = KafkaSide(self._app, connection_of(settings))
        self._web = WebServer(self, VERSION, also=self._console)

    def _console(self, app: Any) -> None:
        """Add the console to the pages of the worker, whose thread it then runs in."""
        add_console(
            app,
            self.settings,
            set_up=lambda: self._by_id,
            clock=self.clock,
            bounds=self._bounds,
        )

    def _bounds(self) -> dict[str, int]:
        tenants = list(self.dispatcher.desk.tenants.by_id.items())
        return {name: tenant.bound for name, tenant in tenants}

    @property
    def stopping(self) -> bool:
        """Whether it is about to end."""
        return self._stop.is_set()

    @property
    def ready(self) -> bool:
        """Whether the group is joined: lanes are assigned, or it has none to give."""
        return self.dispatcher.assigned_once.is_set() or self._app.ready

    def _intake(self, partitions: int) -> Intake:
        intake = LedgerIntake(
            ledger=self.ledger,
            integrations=self._companies,
            partitions=partitions,
            now=self.clock.now,
            version=VERSION,
            topic_prefix=self.settings.topic_prefix,
            woken=self._woken,
            restored=self.dispatcher.restored,
            sought=self.dispatcher.sought,
        )
        return intake if self._tracing is None else self._tracing.intake(intake)

    def _publisher(self, names: TopicNames, max_letter_bytes: int) -> Publisher:
        outbox = self.outbox
        return Publisher(
            connection_of(self.settings),
            outbox if self._tracing is None else self._tracing.outbox(outbox),
            names,
            max_request_bytes=max_letter_bytes,
            told=self.meters.published,
        )

    def _performer(self) -> Performer:
        made = Performer if self._tracing is None else self._tracing.performer
        return made(
            ledger=self.ledger,
            runners=self._connections.runners,
            settings=self.settings,
            clock=self.clock,
            random=new_random(),
            attempted=self.meters.attempted,
        )

    def _woken(self, taken: Taken) -> None:
        self.meters.taken(taken)
        self.dispatcher.woken(taken)

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
        fresh = self._read_again()
        if fresh is not None:
            self._take_over(fresh)
            self._watch.announce()

    def _read_again(self) -> Integrations | None:
        try:
            return read_integrations(self.settings.integrations, self._environ)
        except IntegrationsError as error:
            log.error(  # noqa: TRY400 - a wrong file is a person's matter, not a stack's
                "the integrations file was not taken: %s",
                error,
                extra={"action": "integrations_refused"},
            )
            return None

    def _take_over(self, fresh: Integrations) -> None:
        self._in_force = fresh
        self._by_id = {one.id: one for one in fresh.integrations}
        self._connections.set_up(fresh.integrations)
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
        async with self._connections:
            self.dispatcher.set_up(self._by_id)
            await self._web.start()
            publishing = asyncio.create_task(
                self.publisher.run(stop_publishing, drain_s=PUBLISH_DRAIN_S)
            )
            dispatching = asyncio.create_task(self.dispatcher.run())
            noticing = asyncio.create_task(self.notices.run())
            watching = asyncio.create_task(self._watch.run())
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
            noticing.cancel()
            watching.cancel()
            ending = {publishing, dispatching, noticing, watching}
            await asyncio.wait(ending, timeout=PUBLISH_DRAIN_S + LEDGER_SLACK_S)
            await self._web.stop()
            # Whoever still waits for a ledger that cannot be written is told that it is closed.
            await self.ledger.stop()
            await asyncio.wait(ending)
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
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
    if task.cancelled() or isinstance(task.exception(), LedgerClosedError):
        return None
    return task.exception()
