"""aiokafka to SQLite and nothing else: rows as they come, unique by source and id, and offsets.

WAL and full sync, one transaction a fetch, in a thread beside the loop, as the ledger does it.
"""

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.contenders.worker_plan import WorkerPlan

FETCH: Final = 2_000  # records a transaction at most
WAIT_MS: Final = 200
LOOK_AGAIN_S: Final = 0.05
SCHEMA: Final = """
CREATE TABLE inbox (pk INTEGER PRIMARY KEY, source TEXT, ce_id TEXT, ce_type TEXT, topic TEXT,
 partition INT, "offset" INT, timestamp_ms INT, key BLOB, value BLOB, UNIQUE (source, ce_id));
CREATE TABLE source_offsets (topic TEXT, partition INT, next_offset INT,
 PRIMARY KEY (topic, partition));
"""


class Store:
    """The database. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(SCHEMA)

    def take(self, records: list[Any]) -> None:
        """Write records and the offsets after them, durably."""
        rows, offsets = [], {}
        for record in records:
            headers = dict(record.headers)
            offsets[record.topic, record.partition] = record.offset + 1
            rows.append(
                (
                    headers["ce_source"].decode(),
                    headers["ce_id"].decode(),
                    headers["ce_type"].decode(),
                    record.topic,
                    record.partition,
                    record.offset,
                    record.timestamp,
                    record.key,
                    record.value,
                )
            )
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(
            "INSERT OR IGNORE INTO inbox (source, ce_id, ce_type, topic, partition, "
            '"offset", timestamp_ms, key, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
            rows,
        )
        self._connection.executemany(
            "INSERT OR REPLACE INTO source_offsets VALUES (?, ?, ?)",
            [(*place, offset) for place, offset in offsets.items()],
        )
        self._connection.execute("COMMIT")


async def main(plan: WorkerPlan) -> None:
    """Run until the process is ended."""
    ready = Path(plan.ready)
    store = Store(ready.with_name("ledger.db"))
    consumer = AIOKafkaConsumer(
        plan.input,
        bootstrap_servers=plan.bootstrap,
        group_id=plan.group,
        enable_auto_commit=True,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    while not consumer.assignment():  # noqa: ASYNC110 - the client tells nobody
        await asyncio.sleep(LOOK_AGAIN_S)
    ready.touch()  # noqa: ASYNC240 - before anything is measured
    loop = asyncio.get_running_loop()
    while True:
        found = await consumer.getmany(timeout_ms=WAIT_MS, max_records=FETCH)
        records = [record for some in found.values() for record in some]
        if records:
            await loop.run_in_executor(None, store.take, records)


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=WorkerPlan)))
