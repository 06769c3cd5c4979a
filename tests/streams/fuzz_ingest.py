"""Records that nobody would send, for ingest to survive: from Kafka's bytes to the ledger's rows.

`python -m tests.streams.fuzz_ingest --examples 100000` runs the long form.
"""

import argparse
import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from connectors.integrations import DataType, Integration, System
from schemas.wire import Record
from streams.intake import LedgerIntake
from streams.ledger.arrivals import Taken
from streams.ledger.engine import Ledger
from streams.ledger.schema import migrate
from tests.schemas.fuzz import records
from tests.schemas.samples import SAMPLE

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
COMPANY = str(SAMPLE["customer"]["company"])
FETCH_MOST = 6  # records of one fetch: enough for repeats within it


def integration() -> Integration:
    """One integration of the company that the samples name."""
    return Integration(
        id="fuzz",
        company=COMPANY,
        system=System.DKPLUS,
        base_url="http://127.0.0.1:1/api/v1",
        data=frozenset(DataType),
        notify="a@b.example",
    )


def run(examples: int, directory: Path) -> int:
    """Take `examples` fetches; returns how many records they held.

    Fails when anything raises, or when a record is not accounted for: as an event, a duplicate, a
    letter or a command.
    """
    url = f"sqlite:///{directory}/fuzz.db"
    migrate(url)
    taken: list[Taken] = []
    held = 0
    runner = asyncio.Runner()

    async def start() -> Ledger:
        ledger = Ledger(url)
        ledger.start()
        return ledger

    ledger = runner.run(start())
    intake = LedgerIntake(
        ledger=ledger,
        integrations=lambda: {COMPANY: (integration(),)},
        partitions=6,
        now=lambda: NOW,
        version="0",
        topic_prefix="",
        woken=taken.append,
    )
    offset = 0

    @seed(0)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(records(), min_size=1, max_size=FETCH_MOST))
    def fetches(found: list[Record]) -> None:
        nonlocal held, offset
        placed = [_placed(one, offset + n) for n, one in enumerate(found)]
        offset += len(found)
        held += len(found)
        runner.run(intake.take(placed))
        last = taken[-1]
        told = last.events + last.duplicates + last.letters + last.commands
        assert told == len(found), (last, placed)

    try:
        fetches()
    finally:
        runner.run(ledger.stop())
        runner.close()
    return held


def _placed(one: Record, offset: int) -> Record:
    return Record(
        topic="moment.customers",
        partition=0,
        offset=offset,
        timestamp_ms=one.timestamp_ms,
        key=one.key,
        value=one.value,
        headers=one.headers,
    )


def main() -> None:
    """Run the long form from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=100_000)
    examples = parser.parse_args().examples
    with tempfile.TemporaryDirectory() as directory:
        held = run(examples, Path(directory))
    sys.stdout.write(f"{examples} fetches of {held} records: each accounted for, nothing raised\n")


if __name__ == "__main__":
    main()
