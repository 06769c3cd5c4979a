"""What an event costs is counted, so that nothing slow creeps in: no clock decides here.

The speed of the ledger rests on this: a batch costs as many statements and commits as one event.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from schemas import codec
from streams.book_rules import decoded
from streams.ledger import statements
from streams.ledger.outbox import mark_published, unpublished
from tests.ledger.conftest import Tell
from tests.ledger.samples import applied, customer
from tests.ledger.stage import Stage
from tests.ledger.workers import both

FEW, MANY = 2, 60

# Statements of one batch, with the two that begin and end each operation's savepoint.
TAKE_MOST = 12
CLAIM_MOST = 18
SETTLE_MOST = 18
PUBLISH_MOST = 6


@contextmanager
def counted(s: Stage) -> Iterator[Counter[str]]:
    """Statements by their first word, however often one is run over a list of values."""
    seen: Counter[str] = Counter()

    def composed(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen[statement.split(maxsplit=1)[0]] += 1

    def prepared(statement: str, _values: Any) -> None:
        seen[statement.split(maxsplit=1)[0]] += 1

    engines = (s.ledger.engine, s.ledger._readers)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", composed)
    statements.listeners.append(prepared)
    try:
        yield seen
    finally:
        statements.listeners.remove(prepared)
        for engine in engines:
            event.remove(engine, "before_cursor_execute", composed)


async def counts(s: Stage, work: Callable[[], Awaitable[Any]]) -> tuple[int, int]:
    """Statements and commits of a piece of work."""
    before = s.ledger.commits
    with counted(s) as seen:
        await work()
    return seen.total(), s.ledger.commits - before


async def day(s: Stage, many: int) -> dict[str, tuple[int, int]]:
    """So many customers from Kafka to a published outcome, in one batch a step."""
    records = [s.record(f"c{n}", customer(str(200_000 + n))) for n in range(many)]
    found = {"take": await counts(s, lambda: s.intake.take(records))}
    claimed: dict[str, Any] = {}

    async def claim() -> None:
        claimed.update(await s.worker.claim(s.worker.want(sends=100)))

    async def settle() -> None:
        await both(
            *(
                s.ledger.submit(s.worker._settle, s.worker.settlement(one, applied()))
                for one in claimed.values()
            )
        )

    async def publish() -> None:
        rows = await s.ledger.read(lambda c: unpublished(c, "w1", 1_000))
        assert len(rows) == many
        await s.ledger.submit(mark_published, [row.position for row in rows])

    found["claim"] = await counts(s, claim)
    assert len(claimed) == many
    found["settle"] = await counts(s, settle)
    found["publish"] = await counts(s, publish)
    return found


@pytest.mark.parametrize(
    ("step", "most"),
    [
        ("take", TAKE_MOST),
        ("claim", CLAIM_MOST),
        ("settle", SETTLE_MOST),
        ("publish", PUBLISH_MOST),
    ],
)
def test_a_batch_costs_as_many_statements_as_one_event(tell: Tell, step: str, most: int) -> None:
    async def story(s: Stage) -> None:
        statements_run, commits = (await day(s, MANY))[step]
        assert statements_run <= most, f"{statements_run} statements for {MANY} events"
        # The thread may take what is submitted in two parts.
        assert commits <= 2

    tell(story)


def test_more_events_cost_no_more_statements(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        few = await day(s, FEW)
        s.go_on(1)
        many = {
            step: await counts(s, work)
            for step, work in {
                "take": lambda: s.intake.take(
                    [s.record(f"d{n}", customer(str(300_000 + n))) for n in range(MANY)]
                ),
                "claim": lambda: s.worker.claim(s.worker.want(sends=100)),
            }.items()
        }
        for step, (statements_run, _) in many.items():
            assert statements_run <= few[step][0] + 2, step

    tell(story)


def test_an_event_in_flight_is_decoded_once(tell: Tell) -> None:
    """Ingest, claim and verdict read it; the later two find it read."""
    reads = 0
    real = codec._decode

    def read(record: Any) -> Any:
        nonlocal reads
        reads += 1
        return real(record)

    async def story(s: Stage) -> None:
        await day(s, MANY)

    decoded.cache_clear()
    codec._decode = read
    try:
        tell(story)
    finally:
        codec._decode = real
    assert reads == MANY


def test_a_claim_reads_no_more_than_it_may_start(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(**{f"c{n}": customer(str(200_000 + n)) for n in range(MANY)})
        want = msgspec.structs.replace(s.worker.want(sends=3), spare=0)
        decoded.cache_clear()
        assert len(await s.worker.claim(want)) == 3
        assert decoded.cache_info().misses == 3

    tell(story)
