"""The hot queries go through the partial indexes: no table is scanned, however long it grows."""

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from schemas.events import EntityType
from streams.ledger import statements
from streams.ledger.context import load_context
from streams.ledger.holds import load_holds
from streams.ledger.last_states import last_event
from streams.ledger.outbox import unpublished
from tests.ledger.conftest import play
from tests.ledger.samples import (
    ACCESS,
    COMPANY,
    HOLD,
    REFUSED,
    RETRY,
    SB1,
    UNSURE,
    applied,
    customer,
    invoice,
    key_of,
    project,
)
from tests.ledger.stage import Stage
from tests.ledger.workers import Worker

# The others have a handful of rows each, however many deliveries there are.
GROWS = {"deliveries", "inbox", "outbox", "entities", "attempts", "letters", "bookings", "audit"}
GROWS |= {"at_hand"}  # deliveries, by the name that they have in a subquery
# Read from the end of the table on: as many rows as were just written, or one.
AT_THE_END = ("inbox.event_pk > :before", "max(inbox.event_pk)")


@contextmanager
def watched(s: Stage) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that the ledger runs, with its parameters."""
    seen: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    engines = (s.ledger.engine, s.ledger._readers)

    def note_prepared(statement: str, values: Any) -> None:
        seen.append((statement, values))

    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    statements.listeners.append(note_prepared)
    yield seen
    statements.listeners.remove(note_prepared)
    for engine in engines:
        event.remove(engine, "before_cursor_execute", note)


def plan(s: Stage, statement: str, parameters: Any) -> list[str]:
    first = parameters[0] if isinstance(parameters, list) else parameters
    with s.ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", first)
        return [row.detail for row in rows]


def scanned(details: list[str]) -> list[str]:
    """Tables that grow and are read from end to end."""
    found = []
    for detail in details:
        match = re.match(r"(?:SCAN|SEARCH) (\w+)(.*)", detail)
        whole = match is not None and ("USING" not in match[2] or "rowid>" in match[2])
        if match and match[1] in GROWS and whole:
            found.append(detail)
    return found


def explain(path: Path, work: Callable[[Stage], Awaitable[None]]) -> dict[str, list[str]]:
    """The plan of each statement that `work` runs."""
    plans: dict[str, list[str]] = {}

    async def story(s: Stage) -> None:
        await fill(s)
        with watched(s) as seen:
            await work(s)
        for statement, parameters in seen:
            if statement.split()[0] in {"SELECT", "UPDATE", "DELETE"}:
                plans[statement] = plan(s, statement, parameters)

    play(f"sqlite:///{path / 'ledger.db'}", story)
    return plans


async def fill(s: Stage) -> None:
    """Some of everything, and the statistics of a large ledger as nobody ever gathered them."""
    numbers = [str(100_100 + n) for n in range(20)]
    await s.take(**{f"c{n}": customer(n) for n in numbers})
    await s.worker.deliver(*(f"c{n}" for n in numbers))
    await s.take(c=customer(), p=project(), i=invoice(), j=invoice("1002", "999999"))


async def everything(s: Stage) -> None:
    """What a worker does all day."""
    w = s.worker
    s.ledger.read_now(load_holds)
    await s.take(a=customer("1"), b=customer("2"), d=customer("4"), e=customer("5"))
    await s.take(a=customer("1"), b=customer("2"))
    claimed = await w.claim_all()
    await w.settle(claimed["c"], applied())
    await w.settle(claimed["a"], RETRY)
    await w.intend(claimed["b"])
    await w.settle(claimed["b"], UNSURE)
    await w.settle(claimed["d"], REFUSED)
    await w.settle(claimed["e"], HOLD)
    await w.claim(w.want(held=ACCESS))
    await w.answer(key_of("customer", "999999"), None)
    s.go_on(100)
    ticked = await w.tick(sweep_after=0)
    context = ticked.look_ups[0]
    s.ledger.read_now(lambda c: load_context(c, s.rules, context, SB1))
    await w.settle_look_up(context, applied())
    s.ledger.read_now(lambda c: unpublished(c, "w1", 100))
    s.ledger.read_now(lambda c: last_event(c, COMPANY, EntityType.CUSTOMER, "100042"))
    await w.claim_all()
    await Worker(s, "w2").own()


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return explain(tmp_path_factory.mktemp("plans"), everything)


def test_no_statement_scans_a_table_that_grows(plans: dict[str, list[str]]) -> None:
    assert len(plans) > 25, "the day was watched"
    bad = {
        statement: scanned(details)
        for statement, details in plans.items()
        if not any(end in statement for end in AT_THE_END)
    }
    assert {statement: found for statement, found in bad.items() if found} == {}


def test_what_is_ready_is_read_in_order_without_sorting_all_of_it(
    plans: dict[str, list[str]],
) -> None:
    """A claim takes fifty of a backlog of a hundred thousand."""
    ready = using(plans, "deliveries_ready")
    assert len(ready) == 2
    assert [s for s in ready if any("TEMP B-TREE" in detail for detail in plans[s])] == []


def using(plans: dict[str, list[str]], index: str) -> list[str]:
    return [s for s, details in plans.items() if any(index in detail for detail in details)]


@pytest.mark.parametrize(
    "index",
    [
        "deliveries_ready",
        "deliveries_timed",
        "deliveries_parked",
        "deliveries_open_of_entity",
        "deliveries_in_doubt",
        "entities_ask",
        "outbox_unpublished",
        "inbox_entity",
    ],
)
def test_every_partial_index_is_of_use(plans: dict[str, list[str]], index: str) -> None:
    assert using(plans, index)


def test_a_repeat_is_looked_up_by_source_and_id(plans: dict[str, list[str]]) -> None:
    """By the source alone every event that it ever sent would be read."""
    looked_up = [d for details in plans.values() for d in details if "inbox_1 (source" in d]
    assert looked_up
    assert [detail for detail in looked_up if "ce_id=?" not in detail] == []
