"""A worker process for the tests: ingest into a file of SQLite, and nothing else.

Arguments, as one JSON object: bootstrap, group, prefix, database, and optionally `resume`
(topic/partition → offset), `session_s`, and `pause_s` for each take.
"""

import asyncio
import json
import logging
import signal
import sqlite3
import sys
from collections.abc import Mapping, Sequence

import uvloop

from schemas.wire import Record
from streams.faust_app import build_faust_app
from streams.ingest import run_ingest
from streams.kafka_client import KafkaConnection, wait_for_kafka
from streams.topics import TopicNames

SCHEMA = """
create table if not exists taken (
  nr integer primary key autoincrement, worker text, topic text, partition int, "offset" int,
  key blob, value blob, headers text);
create table if not exists lanes (nr integer primary key autoincrement, worker text, at text,
  partitions text);
"""


class SqliteIntake:
    """Every record as it comes, repeats too; durable when `take` returns."""

    def __init__(self, path: str, worker: str, resume: Mapping[str, int], pause_s: float) -> None:
        self.worker, self.resume, self.pause_s = worker, resume, pause_s
        self.connection = sqlite3.connect(path, timeout=30, isolation_level=None)
        self.connection.execute("pragma journal_mode=wal")
        self.connection.execute("pragma synchronous=full")
        self.connection.executescript(SCHEMA)

    async def take(self, records: Sequence[Record]) -> None:
        if any(record.value == b"refuse" for record in records):
            raise OSError("disk full")
        rows = [
            (
                self.worker,
                r.topic,
                r.partition,
                r.offset,
                r.key,
                r.value,
                json.dumps([[name, value.decode()] for name, value in r.headers]),
            )
            for r in records
        ]
        await asyncio.sleep(self.pause_s)
        self.connection.execute("begin immediate")
        self.connection.executemany(
            'insert into taken (worker, topic, partition, "offset", key, value, headers)'
            " values (?,?,?,?,?,?,?)",
            rows,
        )
        self.connection.execute("commit")

    async def resume_at(
        self, committed: Mapping[tuple[str, int], int]
    ) -> Mapping[tuple[str, int], int]:
        return {
            tp: self.resume[f"{tp[0]}/{tp[1]}"]
            for tp in committed
            if f"{tp[0]}/{tp[1]}" in self.resume
        }

    async def assigned(self, partitions: frozenset[int]) -> None:
        self._note("assigned", partitions)

    async def revoked(self, partitions: frozenset[int]) -> None:
        self._note("revoked", partitions)

    def _note(self, at: str, partitions: frozenset[int]) -> None:
        self.connection.execute(
            "insert into lanes (worker, at, partitions) values (?,?,?)",
            (self.worker, at, json.dumps(sorted(partitions))),
        )


async def main(given: dict[str, object]) -> int:
    connection = KafkaConnection(bootstrap=str(given["bootstrap"]))
    trouble = await wait_for_kafka(connection, 30)
    if trouble is not None:
        logging.getLogger("worker").error(trouble)
        return 3
    resume: dict[str, int] = given.get("resume", {})  # type: ignore[assignment]  # JSON that the test wrote itself
    pause_s = float(str(given.get("pause_s", 0)))
    store = SqliteIntake(str(given["database"]), str(given["worker"]), resume, pause_s)
    app = build_faust_app(
        connection=connection,
        group=str(given["group"]),
        topics=TopicNames(str(given["prefix"])),
        intake=store,
        lanes=store,
        session_timeout_s=int(str(given.get("session_s", 6))),
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    return 0 if await run_ingest(app, stop=stop, drain_s=5) is None else 1


if __name__ == "__main__":
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"
    )
    sys.exit(uvloop.run(main(json.loads(sys.argv[1]))))
