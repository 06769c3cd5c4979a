"""Ingest: what is fetched is written to the ledger, and only then acked, in offset order.

Faust runs inside our own event loop; its command line, web server and signals are not used.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec
from faust.types import TP

from schemas.wire import Record
from streams.faust_app import IngestApp
from streams.ports import Intake
from streams.topics import TopicNames

log = logging.getLogger(__name__)

# Fetches of different partitions that may be on their way into the ledger at once: enough for
# its writer to put many into one commit. With the queue before it this bounds memory.
TAKES_MAX = 16
TICK_S = 0.25
# Rebalances take seconds; one that is stuck is so for good.
REBALANCING_MAX_S = 120.0
# Nothing acked for this long while there is something to read.
NO_PROGRESS_S = 300.0
LOOK_AT_LAG_EVERY_S = 30.0
LOOK_AT_LAG_S = 10.0
# After the drain: what Faust needs to commit, leave the group and end its thread.
STOP_SLACK_S = 30.0


class Takes:
    """The takes under way: in order within a partition, side by side across partitions.

    The first that fails ends them all: nothing that comes after it is acked.
    """

    def __init__(self, intake: Intake, on_failure: Callable[[str], None]) -> None:
        self._intake = intake
        self._on_failure = on_failure
        self._slots = asyncio.Semaphore(TAKES_MAX)
        self._last: dict[Hashable, asyncio.Task[None]] = {}
        self._ended = False

    async def begin(
        self, lane: Hashable, records: Sequence[Record], acknowledge: Callable[[], None]
    ) -> None:
        """Start one, waiting for a free place. `acknowledge` is called when it is durable.

        Does not return once one has failed: whoever asks is stopped from outside.
        """
        await self._slots.acquire()
        if self._ended:
            await asyncio.Event().wait()
        task = asyncio.create_task(self._one(self._last.get(lane), records, acknowledge))
        self._last[lane] = task
        task.add_done_callback(lambda done: self._forget(lane, done))

    async def settle(self, seconds: float) -> bool:
        """Wait until none is under way. False when some still were after `seconds`."""
        tasks = set(self._last.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            return not late
        return True

    async def end(self) -> None:
        """Give up what is under way; it is not acked."""
        self._ended = True
        tasks = set(self._last.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _one(
        self,
        before: asyncio.Task[None] | None,
        records: Sequence[Record],
        acknowledge: Callable[[], None],
    ) -> None:
        try:
            if before is not None:
                await asyncio.wait({before})
            if self._ended:
                return
            await self._intake.take(records)
            acknowledge()
        except BaseException as error:
            # Also a cancellation: what comes after it in this partition must not be acked.
            self._fail(records, error)
            if not isinstance(error, Exception):
                raise
        finally:
            self._slots.release()

    def _fail(self, records: Sequence[Record], error: BaseException) -> None:
        if self._ended:
            return
        self._ended = True
        first = records[0]
        place = f"{first.topic}/{first.partition} from {first.offset} on"
        log.error(
            "%d records of %s could not be written down; nothing of them is acked",
            len(records),
            place,
            exc_info=error,
            extra={"action": "ingest_failed", "topic": first.topic, "partition": first.partition},
        )
        self._on_failure(f"the ledger could not take {place}: {error!r}")

    def _forget(self, lane: Hashable, task: asyncio.Task[None]) -> None:
        if self._last.get(lane) is task:
            del self._last[lane]


def add_ingest(app: IngestApp) -> Takes:
    """Give the app its one agent, over the four topics that are read."""
    names = app.seams.names
    takes = Takes(app.seams.intake, app.fail)
    app.seams.takes = takes
    source = app.topic(
        *names.read,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
    )

    async def ingest(stream: Any) -> None:
        """One event is a whole fetch of one partition; it is acked by `Takes`, not by Faust."""
        async for event in stream.noack().events():
            await takes.begin(
                event.message.tp,
                records_of(event.message.value, names),
                lambda event=event: _acknowledge(app, event),  # type: ignore[misc]  # bound now
            )

    app.agent(source, name="ingest")(ingest)
    return takes


def records_of(fetched: Sequence[Any], names: TopicNames) -> tuple[Record, ...]:
    """Make ours of the client's records. A header without a value, as Kafka allows, has b""."""
    return tuple(
        Record(
            topic=names.bare(record.topic),
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple((name, value or b"") for name, value in record.headers),
        )
        for record in fetched
    )


def _acknowledge(app: IngestApp, event: Any) -> None:
    message = event.message
    # Of an older generation: the partition may be somebody else's, who reads it again.
    if message.generation_id == app.consumer_generation_id:
        event.ack()
        app.reader.acked(message.tp, message.offset)


async def run_ingest(
    app: IngestApp,
    *,
    stop: asyncio.Event,
    drain_s: float,
    hard_exit: Callable[[int], Any] = os._exit,
) -> str | None:
    """Run until `stop` is set or it must end. Returns None after a clean stop, else why not.

    With a reason, end the process with exit code 1, soon: `hard_exit(1)` is called when stopping
    takes longer than `drain_s` and some slack, and, after a failure, when the process is still
    there then. Logs what happened, with an `action`. Never raises but for cancellation.
    """
    loop = asyncio.get_running_loop()
    if app.seams.takes is None:
        add_ingest(app)
    app.loop = loop
    starting = asyncio.create_task(_started(app))
    reason = await _until_end(app, stop)
    last_resort = threading.Timer(drain_s + STOP_SLACK_S, hard_exit, args=(1,))
    last_resort.daemon = True
    last_resort.start()
    if reason is not None:
        log.error("ingest ends: %s", reason, extra={"action": "ingest_ends", "reason": reason})
    late = await _stopped(app, starting, drain_s + STOP_SLACK_S / 2)
    reason = reason or app.failure or late
    if reason is None:
        last_resort.cancel()
    return reason


async def _started(app: IngestApp) -> None:
    """Start Faust; whatever it raises becomes the reason to end."""
    app.finalize()
    try:
        await app.start()
    except Exception as error:
        log.exception("Faust did not start", extra={"action": "ingest_not_started"})
        app.fail(f"Faust did not start: {error!r}")


async def _until_end(app: IngestApp, stop: asyncio.Event) -> str | None:
    loop = asyncio.get_running_loop()
    watchdog = Watchdog(app, loop.time())
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            await asyncio.wait({stopping}, timeout=TICK_S)
            reason = app.failure or await watchdog.look(loop.time())
            if reason is not None:
                return reason
    finally:
        stopping.cancel()
    return None


async def _stopped(app: IngestApp, starting: asyncio.Task[None], seconds: float) -> str | None:
    """Stop Faust within `seconds`. Returns what went wrong."""
    try:
        async with asyncio.timeout(seconds):
            await app.stop()
            await starting
    except TimeoutError:
        return f"Faust did not stop within {seconds:.0f} s"
    except Exception as error:
        log.exception("Faust did not stop cleanly", extra={"action": "ingest_not_stopped"})
        return f"Faust did not stop cleanly: {error!r}"
    finally:
        starting.cancel()
        if app.seams.takes is not None:
            await app.seams.takes.end()  # type: ignore[attr-defined]  # Takes: `add_ingest`
    return None


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of the consumer at a moment."""

    crashed: str | None
    coordinator_error: str | None
    rebalancing: bool
    acks: int
    behind: bool


class Health(msgspec.Struct, kw_only=True):
    """Since when things are as they are; None where they are well."""

    rebalancing_since: float | None = None
    stuck_since: float | None = None
    acks: int = 0

    def judge(self, signs: Signs, now: float) -> str | None:
        """Why the worker must end, or None. `now` in seconds of a clock that never goes back."""
        if signs.crashed is not None:
            return f"Faust crashed: {signs.crashed}"
        if signs.coordinator_error is not None:
            return f"the group's coordination ended: {signs.coordinator_error}"
        self.rebalancing_since = (self.rebalancing_since or now) if signs.rebalancing else None
        if self.rebalancing_since and now - self.rebalancing_since > REBALANCING_MAX_S:
            return f"rebalancing for more than {REBALANCING_MAX_S:.0f} s"
        moved, self.acks = signs.acks != self.acks, signs.acks
        stuck = signs.behind and not moved and not signs.rebalancing
        self.stuck_since = (self.stuck_since or now) if stuck else None
        if self.stuck_since and now - self.stuck_since > NO_PROGRESS_S:
            return f"nothing was written down for {NO_PROGRESS_S:.0f} s though there is more"
        return None


class Watchdog:
    """Sees what Faust and aiokafka keep to themselves: parked errors, and standing still."""

    def __init__(self, app: IngestApp, now: float) -> None:
        self._app = app
        self._health = Health()
        self._behind = False
        self._look_at_lag_at = now + LOOK_AT_LAG_EVERY_S

    async def look(self, now: float) -> str | None:
        """Why the worker must end, or None. May ask the broker, for a bounded time."""
        if now >= self._look_at_lag_at:
            self._look_at_lag_at = now + LOOK_AT_LAG_EVERY_S
            self._behind = await self._is_behind()
        app = self._app
        signs = Signs(
            crashed=repr(app.crash_reason) if app.crashed else None,
            coordinator_error=_coordinator_error(app),
            rebalancing=app.rebalancing or app.assigned_lanes is None,
            acks=app.reader.acks,
            behind=self._behind,
        )
        return self._health.judge(signs, now)

    async def _is_behind(self) -> bool:
        consumer = self._app.reader
        acked = dict(consumer.acked_to)
        if not acked or self._app.rebalancing:
            return False
        with contextlib.suppress(Exception):  # no answer: then it is not us who stand still
            async with asyncio.timeout(LOOK_AT_LAG_S):
                ends = await consumer.highwaters(*acked)
                for tp, offset in acked.items():
                    if ends.get(tp, 0) > offset and await self._unread(tp, offset, ends[tp]):
                        return True
        return False

    async def _unread(self, tp: TP, acked: int, end: int) -> bool:
        """Marks of transactions have offsets too: they are passed over and never acked."""
        consumer = self._app.reader
        position = await consumer.position(tp)
        return consumer.handed_to.get(tp, 0) > acked or position is None or position < end


def _coordinator_error(app: IngestApp) -> str | None:
    """What aiokafka parked until somebody asks; Faust never does."""
    thread = getattr(app.consumer, "_thread", None)
    consumer = getattr(thread, "_consumer", None)
    coordinator = getattr(consumer, "_coordinator", None)
    if coordinator is None or app.should_stop:
        return None
    if getattr(coordinator, "_pending_exception", None) is not None:
        return repr(coordinator._pending_exception)  # noqa: SLF001
    task = getattr(coordinator, "_coordination_task", None)
    if task is not None and task.done():
        return "cancelled" if task.cancelled() else repr(task.exception())
    return None
