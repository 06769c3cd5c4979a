"""Faust, with the parts replaced that lose events or hang (faust-streaming 0.15.3).

A fetch goes through the agent whole: one message for each partition, whose value is the list of
its records. That is what makes Faust cheap, and acks come in offset order by construction.
Names with an underscore that are overridden here are checked, with the hash of what they replace,
by `tests/streams/test_faust_overrides.py`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, cast

import faust
import faust.streams
import msgspec
from faust.auth import OAuthCredentials
from faust.transport.drivers.aiokafka import Consumer as AIOKafkaConsumer
from faust.transport.drivers.aiokafka import Transport as AIOKafkaTransport
from faust.types import TP

from streams.kafka_client import KafkaConnection
from streams.ports import Intake, Lanes
from streams.topics import TopicNames

log = logging.getLogger(__name__)

# Without this aiokafka leaves the group when it is not asked for records for a while, and never
# comes back. It is the client's own limit: the broker knows nothing of it.
NEVER_IDLE_S = 1_000_000
# How long the partitions of a killed worker stand still: the least that a broker takes as it is
# delivered. Heartbeats come from a thread of their own, three within it; a worker that is paused
# for longer loses its lanes, and can do nothing in them (its epochs are over).
SESSION_TIMEOUT_S = 6
HEARTBEAT_S = 2
# The group waits this long for a worker that is settling its partitions.
REBALANCE_TIMEOUT_S = 60
# Of that: for the lanes to let their calls end. The rest is for takes, the commit, and the join.
LANES_REVOKED_S = 40.0
# A take that is under way at a revoke is one commit of the ledger; more is given up, not acked.
TAKES_SETTLE_S = 10.0
COMMIT_S = 10.0
COMMIT_INTERVAL_S = 1.0
# Records of one fetch over all partitions; takes are batched again by the ledger's writer.
FETCH_RECORDS_MAX = 500
# Bytes of one fetch of one partition. A larger record still comes, alone. With the queue below
# this bounds the memory of ingest: 16 fetches waiting, 16 being written, one for each partition.
FETCH_BYTES_MAX = 1_048_576
FETCHES_QUEUED_MAX = 16
PRODUCER_TIMEOUT_S = 30
# Faust's own settings may be set from the environment under this prefix, and under no other.
ENV_PREFIX = "MOMENT_SYNC_FAUST_"


class Settling(Protocol):
    """What is between the fetcher and the ledger: the takes under way."""

    async def settle(self, seconds: float) -> bool:
        """Wait until none is under way. False when some still were after `seconds`."""


class Seams(msgspec.Struct, kw_only=True):
    """What the replaced parts need to know of us. `takes` is set when the agent is."""

    names: TopicNames
    intake: Intake
    lanes: Lanes
    takes: Settling | None = None


class Consumer(AIOKafkaConsumer):
    """A consumer that hands over whole fetches, commits at a revoke, and seeks by the ledger."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset: Any = Forgetful()
        # Moves with every assignment and seek: a fetch that was under way then is not to be used.
        self._position_epoch = 0
        self._seeking = asyncio.Lock()
        # Next offset of each partition after what was acked, and after what was handed over:
        # what the watchdog compares.
        self.acked_to: dict[TP, int] = {}
        self.handed_to: dict[TP, int] = {}
        self.acks = 0
        self.topics_seen: set[str] = set()
        self.polls = 0  # how often Kafka was asked for records

    @property
    def ours(self) -> "IngestApp":
        """The app, as what it is."""
        return cast("IngestApp", self.app)

    @property
    def seams(self) -> Seams:
        """Our side of the app."""
        return self.ours.seams

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109
        """Yield one message for each partition that was fetched; its value is the records."""
        self.polls += 1
        epoch = self._position_epoch
        fetched, active = await self._wait_next_records(timeout)
        if fetched is None or self.should_stop:
            return
        stale = False
        for tp, records in fetched.items():
            if not self.flow_active or epoch != self._position_epoch:
                stale = True
                break
            if active is None or tp in active or tp in self._buffered_partitions:
                self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
                yield tp, self._whole(tp, records)
            else:
                stale = True
        if stale:
            await self._read_again()

    def _whole(self, tp: TP, records: Sequence[Any]) -> Any:
        message: Any = self._to_message(tp, records[-1])
        message.value = records
        self.handed_to[tp] = message.offset + 1
        return message

    async def _read_again(self) -> None:
        """What was fetched is dropped here, so it has to be fetched again."""
        try:
            await self.perform_seek()
        except Exception as error:
            if self.flow_active and not self.should_stop:
                raise  # records would be missing: the worker must not go on
            # A rebalance is under way: its end seeks anew.
            log.info("seek put off: %r", error, extra={"action": "seek_put_off"})

    async def perform_seek(self) -> None:
        """Go to what is committed, or where the ledger says; to the beginning where nothing is.

        The original leaves a partition without a commit where it stands, so that records fetched
        and dropped at a rebalance would be lost.
        """
        async with self._seeking:
            self._position_epoch += 1
            try:
                if self.assignment():
                    await self._seek_all(await self.seek_to_committed())
            finally:
                self._position_epoch += 1

    async def _seek_all(self, found: Mapping[TP, int | None]) -> None:
        committed = {TP(tp.topic, tp.partition): offset for tp, offset in found.items()}
        bare = self.seams.names.bare
        told = await self.seams.intake.resume_at(
            {
                (bare(tp.topic), tp.partition): -1 if offset is None else offset
                for tp, offset in committed.items()
            }
        )
        positions = {
            tp: told.get((bare(tp.topic), tp.partition), offset or 0)
            for tp, offset in committed.items()
        }
        await self.seek_wait(positions)
        # Also where it is lower than what Kafka has: else nothing before that would be acked.
        self._committed_offset.update(positions)
        self.acked_to, self.handed_to = dict(positions), dict(positions)
        _tell_rewinds(committed, positions)

    def _new_offset(self, tp: TP) -> int | None:
        """The highest acked offset + 1: right because one partition is acked in order only."""
        acked = self._acked[tp]
        if not acked:
            return None
        newest = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return int(newest) + 1

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps are nothing to us: see `_new_offset`."""

    def acked(self, tp: TP, offset: int) -> None:
        """Note progress: `offset` is the last of a fetch that was written down and acked."""
        self.acks += 1
        self.acked_to[tp] = offset + 1

    async def commit(self, *args: Any, **kwargs: Any) -> bool:
        """Commit, unless a topic is gone: offsets of it must not be those of one made anew.

        Then the worker ends. Kafka forgets offsets with their topic, so the next start reads a
        topic that was made anew from its beginning.
        """
        self._look_for_topics()
        if self.ours.topic_gone is not None:
            self.ours.fail(f"the topic {self.ours.topic_gone} is gone")
            return False
        return bool(await super().commit(*args, **kwargs))

    def _look_for_topics(self) -> None:
        """By what the client was told last; a topic counts as gone when it had been there."""
        client: Any = getattr(getattr(self, "_thread", None), "_consumer", None)
        if client is None:
            return
        for name in self.seams.names.read:
            there = bool(client._client.cluster.partitions_for_topic(name))  # noqa: SLF001
            if there:
                self.topics_seen.add(name)
            elif name in self.topics_seen and self.ours.topic_gone is None:
                self.ours.topic_gone = name

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finish what is under way and commit it; the original forgets acks before it commits."""
        self._position_epoch += 1
        if revoked:
            self.stop_flow()
            self.app.flow_control.suspend()
            await self.settle(revoked)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Tell the lanes before a record of the new generation flows."""
        self._position_epoch += 1
        partitions = frozenset(tp.partition for tp in assigned)
        await self.seams.lanes.assigned(partitions)
        self.ours.assigned_lanes = partitions
        await super().on_partitions_assigned(assigned, generation_id)

    async def settle(self, partitions: set[TP]) -> None:
        """Let takes end and commit them, while the lanes let their calls end; all bounded."""
        self.ours.assigned_lanes = None
        await asyncio.gather(
            self._settle_takes(), self._settle_lanes(frozenset(tp.partition for tp in partitions))
        )

    async def _settle_takes(self) -> None:
        takes = self.seams.takes
        if takes is not None and not await takes.settle(TAKES_SETTLE_S):
            log.warning("takes are still under way", extra={"action": "takes_not_settled"})
        try:
            async with asyncio.timeout(COMMIT_S):
                # A commit by the timer may be under way, with less in it: then again.
                if not await self.commit():
                    await self.commit()
        except TimeoutError:
            log.warning("commit took too long", extra={"action": "commit_not_settled"})

    async def _settle_lanes(self, partitions: frozenset[int]) -> None:
        try:
            async with asyncio.timeout(LANES_REVOKED_S):
                await self.seams.lanes.revoked(partitions)
        except TimeoutError:
            log.warning("lanes are still at work", extra={"action": "lanes_not_settled"})


class Forgetful(dict[Any, None]):
    """Stands for `_read_offset`, by which the original drops what it takes for repeats.

    It means the next offset after a seek and the last one after a message; either way a fetch
    dropped by mistake is lost, and a repeat costs the ledger one unique key.
    """

    def __getitem__(self, tp: Any) -> None:
        return None

    def __setitem__(self, tp: Any, offset: Any) -> None:
        pass

    def __contains__(self, tp: object) -> bool:
        return False

    def update(self, *_: Any, **__: Any) -> None:
        """Forget it at once."""


def _tell_rewinds(committed: Mapping[TP, int | None], positions: Mapping[TP, int]) -> None:
    for tp, position in positions.items():
        if (committed[tp] or 0) != position:
            log.warning(
                "%s/%d is read from %d on, where Kafka has %s committed",
                tp.topic,
                tp.partition,
                position,
                committed[tp],
                extra={"action": "rewound", "topic": tp.topic, "partition": tp.partition},
            )


class Transport(AIOKafkaTransport):
    """The transport that makes our consumer."""

    Consumer: ClassVar[Any] = Consumer


class IngestApp(faust.App):
    """A Faust app without a web server, tables or files of its own.

    `assigned_lanes` is None until the group is joined, then the partition numbers, maybe none.
    `failure` says why the worker must end.
    """

    seams: Seams
    assigned_lanes: frozenset[int] | None = None
    failure: str | None = None
    topic_gone: str | None = None

    def fail(self, reason: str) -> None:
        """Make the worker end. The first reason is kept."""
        if self.failure is None:
            self.failure = reason

    @property
    def reader(self) -> Consumer:
        """The consumer, as what it is."""
        return cast("Consumer", self.consumer)

    @property
    def ready(self) -> bool:
        """Whether the group is joined and records flow, or there are none to be had."""
        return self.assigned_lanes is not None and not self.rebalancing

    def _new_transport(self) -> Any:
        return Transport(self.conf.broker_consumer, self)

    async def on_first_start(self) -> None:
        """Make no directories: there are no tables."""

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:  # noqa: ARG002
        """At a stop, what a revoke does; a revoke has done it already."""
        if self.should_stop:
            await consumer.settle(set(consumer.assignment()))


def build_faust_app(
    *,
    connection: KafkaConnection,
    group: str,
    topics: TopicNames,
    intake: Intake,
    lanes: Lanes,
    max_fetch_bytes: int = FETCH_BYTES_MAX,
    session_timeout_s: int = SESSION_TIMEOUT_S,
) -> IngestApp:
    """Make the app, without its agent. Reads secrets' files; connects to nothing.

    Raises RuntimeError when Faust's compiled extension is missing: the iterator in pure Python
    acks what it skips at a rebalance.
    """
    # Untyped on purpose: it is there only where the extension was built.
    if getattr(faust.streams, "_CStreamIterator", None) is None:
        raise RuntimeError(
            "faust-streaming is installed without its compiled extension, and loses events "
            "without it: install it from a wheel (Linux x86-64 with glibc, or macOS), or build it"
        )
    app = IngestApp(
        group,
        broker=";".join(f"kafka://{server}" for server in connection.servers()),
        broker_credentials=faust_credentials(connection),
        env_prefix=ENV_PREFIX,
        autodiscover=False,
        processing_guarantee="at_least_once",
        stream_wait_empty=False,
        stream_buffer_maxsize=FETCHES_QUEUED_MAX,
        broker_max_poll_interval=NEVER_IDLE_S,
        broker_max_poll_records=FETCH_RECORDS_MAX,
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=min(HEARTBEAT_S, session_timeout_s / 3),
        broker_rebalance_timeout=REBALANCE_TIMEOUT_S,
        broker_commit_interval=COMMIT_INTERVAL_S,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=max_fetch_bytes,
        topic_allow_declare=False,
        topic_disable_leader=True,
        # Keeps Faust's own assignor, which gives partition n of all topics to one worker.
        table_standby_replicas=1,
        key_serializer="raw",
        value_serializer="raw",
        producer_request_timeout=PRODUCER_TIMEOUT_S,
        web_enabled=False,
        web_tables_enabled=False,
        web_router_enabled=False,
    )
    app.seams = Seams(names=topics, intake=intake, lanes=lanes)
    return app


def faust_credentials(
    connection: KafkaConnection,
) -> faust.SASLCredentials | faust.SSLCredentials | OAuthCredentials | None:
    """What Faust's setting `broker_credentials` wants; None for plain text. Reads the files."""
    context = connection.ssl_context()
    tokens = connection.token_provider()
    if tokens is not None:
        return OAuthCredentials(oauth_cb=tokens, ssl_context=context)
    if connection.security.startswith("SASL_"):
        return faust.SASLCredentials(
            username=connection.username,
            password=connection.password(),
            mechanism=connection.sasl_mechanism,
            ssl_context=context,
        )
    return None if context is None else faust.SSLCredentials(context)
