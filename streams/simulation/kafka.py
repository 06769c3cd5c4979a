"""A simulated Kafka: a log for each partition, a group's commits, and what was published."""

from collections.abc import Callable, Sequence

from schemas.lane import partition_of
from schemas.wire import Outgoing, Record
from streams.ports import OutboxRow

PARTITIONS = 4
TOPICS = ("moment.customers", "moment.projects", "moment.invoices", "moment-sync.commands")
TIMESTAMP_MS = 1_793_000_000_000

Place = tuple[str, int]


class Kafka:
    """What the brokers have. `published` is told of every row that goes out."""

    def __init__(self, published: Callable[[OutboxRow], None]) -> None:
        self._published = published
        self.generation = 0
        self.committed: dict[Place, int] = {}
        self._logs: dict[Place, list[Record]] = {
            (topic, partition): [] for topic in TOPICS for partition in range(PARTITIONS)
        }

    def append(self, outgoing: Outgoing, key: bytes | None) -> None:
        """Put a record on its topic, into the partition of `key`."""
        partition = partition_of(key or b"", PARTITIONS)
        log = self._logs[outgoing.topic, partition]
        log.append(
            Record(
                topic=outgoing.topic,
                partition=partition,
                offset=len(log),
                timestamp_ms=TIMESTAMP_MS,
                key=key,
                value=outgoing.value,
                headers=outgoing.headers,
            )
        )

    def fetch(self, place: Place, offset: int, most: int) -> Sequence[Record]:
        """Records from an offset on."""
        return self._logs[place][offset : offset + most]

    def ends(self) -> dict[Place, int]:
        """The end of each log."""
        return {place: len(log) for place, log in self._logs.items()}

    def commit(self, place: Place, offset: int, generation: int) -> None:
        """Note progress; of an old generation it is refused."""
        if generation == self.generation:
            self.committed[place] = offset

    def committed_of(self, lanes: frozenset[int]) -> dict[Place, int]:
        """What is committed of these partitions; -1 where nothing is."""
        return {place: self.committed.get(place, -1) for place in self._logs if place[1] in lanes}

    def publish(self, rows: Sequence[OutboxRow]) -> None:
        """Rows of an outbox, acknowledged."""
        for row in rows:
            self._published(row)
