"""What we replace in Faust, and what we rely on there, is still what was read and tried."""

import asyncio
import hashlib
import inspect
from collections.abc import Mapping
from typing import Any, cast

import faust
import faust.streams
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.group_coordinator import GroupCoordinator
from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.transport.drivers.aiokafka import Consumer as DriverConsumer
from faust.types import TP

from streams import faust_app
from streams.faust_app import Consumer, Forgetful, IngestApp, build_faust_app
from streams.kafka_client import KafkaConnection
from streams.topics import TopicNames

# The first 16 digits of the source's SHA-256, in faust-streaming 0.15.3 and aiokafka 0.14.0.
# After an upgrade: read what changed, adapt `streams/faust_app.py`, then write the new digits.
REPLACED = [
    (faust.App, "_new_transport", "42db531312dd776f"),
    (faust.App, "on_first_start", "ec655d9c223403cc"),
    (faust.App, "_consumer_wait_empty", "6bc313c48c064b16"),
    (DriverConsumer, "getmany", "4b168d84882a70d6"),
    (DriverConsumer, "perform_seek", "0e8c130ff4b0afd8"),
    (DriverConsumer, "_new_offset", "1d2c7ea89a7ad4f1"),
    (DriverConsumer, "_add_gap", "4df2573ded7c1c2c"),
    (DriverConsumer, "on_partitions_revoked", "d04b7ae72c6fc206"),
    (DriverConsumer, "on_partitions_assigned", "29ce96596f05a18c"),
]
RELIED_ON = [
    (faust.App, "_stop_consumer", "55854a5de12c3f52"),
    (faust.App, "_on_partitions_revoked", "d5c895bbe57dc73a"),
    (faust.App, "_on_partitions_assigned", "de932b7927db85b3"),
    (DriverConsumer, "_drain_messages", "44a2500309e83c63"),
    (DriverConsumer, "_wait_next_records", "6218e1969a636b3f"),
    (DriverConsumer, "_to_message", "7c24f6511b2fcef7"),
    (DriverConsumer, "ack", "5fcf41cf45153475"),
    (DriverConsumer, "commit", "a354437baaa08bf8"),
    (DriverConsumer, "_commit_tps", "a20e230b05ae8b15"),
    (DriverConsumer, "_filter_committable_offsets", "dc5e9baf5d994485"),
    (DriverConsumer, "_should_commit", "5ce941793947ad42"),
    (AIOKafkaConsumerThread, "_create_worker_consumer", "c2701bfc3e6f6cad"),
    (AIOKafkaConsumerThread, "_fetch_records", "39a2c6c79fc1455a"),
    (AIOKafkaConsumerThread, "_commit", "932852ce7a23f658"),
    (AIOKafkaConsumerThread, "_seek_wait", "9d221e816d940467"),
    (Recovery, "_resume_streams", "d986a6710c1aca98"),
    (AIOKafkaConsumer, "seek_to_committed", "f6cd85c8b70a4ccf"),
    (GroupCoordinator, "_push_error_to_user", "743ff515bd7e2e38"),
]
FIRST, SECOND = TP("p.moment.customers", 0), TP("p.moment.customers", 1)


@pytest.mark.parametrize(("owner", "name", "digits"), REPLACED + RELIED_ON)
def test_the_original_is_the_one_that_was_read(owner: Any, name: str, digits: str) -> None:
    source = inspect.getsource(inspect.unwrap(getattr(owner, name)))
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == digits


@pytest.mark.parametrize(("owner", "name", "_"), REPLACED)
def test_every_replacement_is_in_place(owner: Any, name: str, _: str) -> None:
    ours = IngestApp if owner is faust.App else Consumer
    assert name in vars(ours), f"{ours.__name__}.{name} is listed but not replaced"


def test_without_the_compiled_extension_there_is_no_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """The iterator in pure Python acks what it skips at a rebalance."""
    monkeypatch.setattr(faust.streams, "_CStreamIterator", None)
    with pytest.raises(RuntimeError, match="compiled extension"):
        make_app()


def test_faust_takes_settings_from_the_environment_under_our_prefix_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BROKER_COMMIT_INTERVAL", "77")
    monkeypatch.setenv("STREAM_WAIT_EMPTY", "true")
    monkeypatch.setenv("MOMENT_SYNC_FAUST_BROKER_SESSION_TIMEOUT", "17")
    conf = make_app().conf
    assert conf.broker_commit_interval == faust_app.COMMIT_INTERVAL_S
    assert conf.stream_wait_empty is False
    assert conf.broker_session_timeout == 17


def test_a_revoke_is_settled_before_the_group_loses_patience() -> None:
    slowest = max(faust_app.LANES_REVOKED_S, faust_app.TAKES_SETTLE_S + faust_app.COMMIT_S)
    assert slowest + 10 < faust_app.REBALANCE_TIMEOUT_S


class Seams:
    """An intake that answers as told, and lanes that are not asked."""

    def __init__(self, told: Mapping[tuple[str, int], int]) -> None:
        self.told = told
        self.asked: list[Mapping[tuple[str, int], int]] = []

    async def resume_at(
        self, committed: Mapping[tuple[str, int], int]
    ) -> Mapping[tuple[str, int], int]:
        self.asked.append(committed)
        return self.told


def make_app(seams: Any = None) -> IngestApp:
    return build_faust_app(
        connection=KafkaConnection(bootstrap="127.0.0.1:1"),
        group="g",
        topics=TopicNames("p."),
        intake=seams,
        lanes=seams,
    )


class BareConsumer(Consumer):
    """A consumer without a thread and a broker: what it was told stands in lists."""

    def __init__(self, app: IngestApp, committed: Mapping[TP, int | None]) -> None:
        self.app = app
        self.committed = committed
        self.sought: list[Mapping[TP, int]] = []
        self.fetches: list[Mapping[TP, list[Any]]] = []
        self.flow_active = True
        self.polls = 0
        self._position_epoch = 0
        self._seeking = asyncio.Lock()
        self._committed_offset: dict[TP, int | None] = {}
        self._acked: dict[TP, list[int]] = {}
        self._acked_index: dict[TP, set[int]] = {}
        self._buffered_partitions = set()
        self.on_fetch: Any = None

    @property
    def should_stop(self) -> bool:
        return False

    def assignment(self) -> set[TP]:
        return set(self.committed)

    def highwater(self, tp: TP) -> int:  # noqa: ARG002
        return 0

    async def seek_to_committed(self) -> Mapping[TP, int]:
        return cast("Mapping[TP, int]", self.committed)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        self.sought.append(dict(partitions))

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ARG002, ASYNC109
        if self.on_fetch is not None:
            await self.on_fetch()
        return self.fetches.pop(0), None

    def _whole(self, tp: TP, records: Any) -> Any:  # noqa: ARG002
        return records


def test_a_partition_without_a_commit_is_read_from_its_beginning_again() -> None:
    """The original leaves it where it stands: what was fetched and dropped would be lost."""
    seams = Seams({})
    consumer = BareConsumer(make_app(seams), {FIRST: None, SECOND: 7})
    asyncio.run(consumer.perform_seek())
    assert consumer.sought == [{FIRST: 0, SECOND: 7}]
    assert seams.asked == [{("moment.customers", 0): -1, ("moment.customers", 1): 7}]


def test_the_ledgers_word_counts_and_acks_from_there_on_are_committed() -> None:
    consumer = BareConsumer(make_app(Seams({("moment.customers", 1): 3})), {FIRST: 5, SECOND: 7})
    asyncio.run(consumer.perform_seek())
    assert consumer.sought == [{FIRST: 5, SECOND: 3}]
    assert consumer._should_commit(SECOND, 4)


def fetched(consumer: BareConsumer) -> list[tuple[TP, Any]]:
    async def main() -> list[tuple[TP, Any]]:
        return [pair async for pair in consumer.getmany(1.0)]

    return asyncio.run(main())


def test_a_fetch_is_one_message_for_each_partition() -> None:
    consumer = BareConsumer(make_app(Seams({})), {FIRST: 0, SECOND: 0})
    consumer.fetches = [{FIRST: ["a", "b"], SECOND: ["c"]}]
    assert fetched(consumer) == [(FIRST, ["a", "b"]), (SECOND, ["c"])]
    assert consumer.sought == []


@pytest.mark.parametrize("happens", ["seek", "stop"])
def test_a_fetch_that_was_under_way_at_a_seek_is_dropped_and_read_again(happens: str) -> None:
    """Its records are of the position before: acked, they would cover what lies between."""
    consumer = BareConsumer(make_app(Seams({})), {FIRST: 4})
    consumer.fetches = [{FIRST: ["a"]}]

    async def meanwhile() -> None:
        if happens == "seek":
            await consumer.perform_seek()
        else:
            consumer.flow_active = False

    consumer.on_fetch = meanwhile
    assert fetched(consumer) == []
    assert consumer.sought[-1] == {FIRST: 4}
    assert len(consumer.sought) == (2 if happens == "seek" else 1)


def test_the_highest_acked_offset_is_committed_once() -> None:
    consumer = BareConsumer(make_app(Seams({})), {})
    consumer._acked = {FIRST: [4, 9]}
    consumer._acked_index = {FIRST: {4, 9}}
    assert consumer._new_offset(FIRST) == 10
    assert consumer._new_offset(FIRST) is None
    assert consumer._acked_index == {FIRST: set()}


def test_no_record_is_taken_for_a_repeat() -> None:
    offsets: Any = Forgetful()
    offsets[FIRST] = 9
    offsets.update({FIRST: 9})
    assert offsets[FIRST] is None
    assert FIRST not in offsets
