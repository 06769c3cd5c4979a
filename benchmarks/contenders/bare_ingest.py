"""The bare loop that ingest is held against: see `benchmarks/contenders/bare_ingest_worker.py`."""

import sys

from benchmarks.contender import Plan, Running
from benchmarks.contenders.reference import start_python_worker


class BareIngest:
    """aiokafka, then `executemany` into SQLite, then the offset in the same transaction."""

    guarantees = "durable, duplicates known; nothing decoded, no order of entities"

    def __init__(self, name: str) -> None:
        self.name = name

    def refusal(self) -> str | None:
        """It runs wherever the harness runs."""
        return None

    def start(self, plan: Plan) -> Running:
        """Start it and wait until it has its partitions."""
        return start_python_worker(plan, sys.executable, "benchmarks.contenders.bare_ingest_worker")
