"""The course of a demo: set up, send the day, wait for what comes of it, judge the books."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
from aiokafka.admin import AIOKafkaAdminClient

from streams import topics
from streams.kafka_client import KafkaConnection, connection_of, wait_for_kafka
from streams.ops.command_base import WAIT_S, CommandEnds, Exit, settings_in_force
from streams.ops.demo.books_check import Sent, Told, violations
from streams.ops.demo.books_read import FoundBooks
from streams.ops.demo.companies import COMPANIES, EVERY_BOOKS, Kind
from streams.ops.demo.day import Day, write_day
from streams.ops.demo.expectations import Expectations, expect
from streams.ops.demo.flow import STALLED_S, Sender, Watch, watching
from streams.ops.demo.observing import read_all_books, wait_until_ready
from streams.ops.demo.processes import START_S, DemoError, Machine, program_name
from streams.ops.demo.report import Seconds, Show, Summary
from streams.settings import Settings

MEASURE_EVERY_S: Final = 0.5


class Sending(msgspec.Struct, frozen=True):
    """What is known when the day is over. `flow`: seconds to the last final outcome."""

    sent: list[Sent]
    complete: bool
    flow: float


class Course:
    """One demo on one machine. Everything that it starts is the machine's to stop."""

    def __init__(self, machine: Machine, show: Show, *, events: int, run: str, keep: bool) -> None:
        self._machine = machine
        self._show = show
        self._events = events
        self._run = run
        self._keep = keep
        self._settings: Settings | None = None  # set as soon as there may be topics of ours
        self.finished = False  # whether there is a verdict, whichever

    def run(self) -> Summary:
        """Everything from start to verdict.

        Raises KafkaUnavailableError, DemoError, CommandEnds, or KafkaError and OSError where the
        cluster goes away.
        """
        started = time.monotonic()
        self._show.opening()
        with self._show.step("Apache Kafka 4.3") as say:
            settings = self._start_kafka(say)
        kafka = time.monotonic()
        self._start_rest(settings)
        ready = time.monotonic()
        day = write_day(self._events, self._run, datetime.now(UTC))
        expected = expect(day.emissions, COMPANIES)
        with self._show.step("A day of events") as say:
            sending = asyncio.run(self._send(settings, day, expected))
            say(f"{len(sending.sent)} sent, each with its outcome" if sending.complete else "")
        wrong = self._endings(sending)
        told, found = asyncio.run(self._read(settings))
        wrong += violations(expected, found, told, sending.sent)
        seconds = Seconds(
            total=round(time.monotonic() - started, 3),
            kafka=round(kafka - started, 3),
            setup=round(ready - kafka, 3),
            flow=round(sending.flow, 3),
        )
        summary = summary_of(sending, told, found, seconds, self._machine.worker_peak, wrong)
        self._report(day, told, found, summary)
        self.finished = True
        return summary

    # --- setting up ---------------------------------------------------------------------------

    def _start_kafka(self, say: Callable[[str], None]) -> Settings:
        self._machine.start_kafka(say)
        settings = settings_in_force(self._machine.environment)
        connection = connection_of(settings)
        away = asyncio.run(wait_for_kafka(connection, WAIT_S, say))
        if away is not None:
            raise CommandEnds(Exit.AWAY, away)
        self._settings = settings
        report = asyncio.run(
            topics.create(
                connection,
                topics.TopicNames(settings.topic_prefix),
                partitions=settings.topic_partitions,
                replication=settings.topic_replication,
                retention_s=settings.topic_retention_s,
            )
        )
        if report.failed:
            raise CommandEnds(Exit.WRONG, "\n".join(report.failed))
        say(f"{connection.bootstrap}, {len(report.created)} topics")
        return settings

    def _start_rest(self, settings: Settings) -> None:
        machine = self._machine
        with self._show.step("Two accounting systems") as say:
            machine.start_simulators()
            say("SpareBank 1 Regnskap for three companies, DK+ for two (simulators)")
        with self._show.step("A worker") as say:
            machine.start_worker()
            url = f"http://{settings.web.host}:{settings.web.port}/readyz"
            if not asyncio.run(wait_until_ready(url, START_S, machine.check_alive)):
                raise DemoError(f"the worker is not ready after {START_S:.0f} s")
            say(f"{url.removesuffix('/readyz')}/metrics")

    # --- the day ------------------------------------------------------------------------------

    async def _send(self, settings: Settings, day: Day, expected: Expectations) -> Sending:
        connection = connection_of(settings)
        names = topics.TopicNames(settings.topic_prefix)
        totals = Counter(integration for _, integration in expected.deliveries)
        async with watching(connection, names) as watch:
            with self._show.bars(totals) as update:
                look = _Looking(self._machine, watch, update)
                sender = Sender(connection, names, watch, expected, look)
                began = time.monotonic()
                complete = await sender.send(day)
                last = watch.last_final_at or time.monotonic()
        return Sending(sender.sent, complete, last - began)

    def _endings(self, sending: Sending) -> list[str]:
        """Stop the worker, unless it is to be kept, so that nothing more can come."""
        wrong = []
        if not sending.complete:
            wrong.append(f"nothing more came for {STALLED_S:.0f} s, and not all had been told")
        self._machine.measure_worker()
        if self._keep:
            return wrong
        code = self._machine.stop_worker()
        if code:
            wrong.append(f"the worker ended with {code}: see {self._machine.worker_log}")
        return wrong

    async def _read(self, settings: Settings) -> tuple[Told, dict[str, FoundBooks]]:
        """All that was told, from the beginning of the topics, and all books."""
        names = topics.TopicNames(settings.topic_prefix)
        async with watching(connection_of(settings), names) as watch:
            await watch.to_the_end()
        return watch.told, await read_all_books(self._machine.base_urls, EVERY_BOOKS)

    # --- afterwards ---------------------------------------------------------------------------

    def _report(
        self, day: Day, told: Told, found: Mapping[str, FoundBooks], summary: Summary
    ) -> None:
        self._show.day(day)
        self._show.outcomes(told)
        self._show.dead_letters(told)
        self._show.mending(told.letters, program_name(), kept=self._keep)
        self._show.verdict(summary, sum(len(books.bookings) for books in found.values()))

    def remove_topics(self) -> None:
        """On somebody else's cluster: take away the topics of this run."""
        settings = self._settings
        if settings is not None and not self._machine.own_kafka:
            names = topics.TopicNames(settings.topic_prefix)
            asyncio.run(_remove(connection_of(settings), names))


class _Looking:
    """What is done again and again while the day goes on."""

    def __init__(
        self, machine: Machine, watch: Watch, update: Callable[[Mapping[str, int]], None]
    ) -> None:
        self._machine = machine
        self._watch = watch
        self._update = update
        self._measured = 0.0

    def __call__(self) -> None:
        self._update(Counter(integration for _, integration in self._watch.settled))
        now = time.monotonic()
        if now - self._measured > MEASURE_EVERY_S:
            self._measured = now
            self._machine.check_alive()
            self._machine.measure_worker()


async def _remove(connection: KafkaConnection, names: topics.TopicNames) -> None:
    admin = AIOKafkaAdminClient(**connection.client_options())
    await admin.start()
    try:
        await admin.delete_topics(list(names.all))
    finally:
        await admin.close()


def summary_of(
    sending: Sending,
    told: Told,
    found: Mapping[str, FoundBooks],
    seconds: Seconds,
    peak: float | None,
    wrong: list[str],
) -> Summary:
    """The one document of `--json`."""
    outcomes = told.outcomes.values()
    kinds = Counter(outcome.outcome.value for outcome in outcomes)
    calls = dict.fromkeys((kind.value for kind in Kind), 0)
    for books in EVERY_BOOKS:
        calls[books.kind.value] += found[books.id].calls if books.id in found else 0
    return Summary(
        events=len(sending.sent),
        deliveries=len({outcome.delivery_id for outcome in outcomes}),
        outcomes=dict(sorted(kinds.items())),
        deadletters=len(told.letters),
        calls=calls,
        seconds=seconds,
        events_per_second=round(len(sending.sent) / max(sending.flow, 0.001), 1),
        worker_max_rss_megabytes=None if peak is None else round(peak, 1),
        violations=wrong,
    )
