"""What the publisher is given: once, in order, and without asking the database for nothing."""

import asyncio

import pytest
from sqlalchemy import event, text

from streams import ledger_outbox
from streams.ledger import statements
from streams.ledger_outbox import LedgerOutbox
from tests.ledger.conftest import Tell
from tests.ledger.samples import applied, customer
from tests.ledger.stage import Stage

LIMIT = 10
PATIENCE_S = 20.0


async def outcomes_of(s: Stage, *names: str) -> LedgerOutbox:
    """The outbox of a worker with one outcome for each of these."""
    outbox = LedgerOutbox(s.ledger, s.worker.name)
    await s.take(**{name: customer(str(100_100 + n)) for n, name in enumerate(names)})
    claimed = await s.worker.claim()
    for name in names:
        await s.worker.settle(claimed[name], applied())
    return outbox


async def positions(outbox: LedgerOutbox, limit: int = LIMIT) -> list[int]:
    return [row.position for row in await outbox.unpublished(limit)]


def marked(s: Stage) -> int:
    return len(s.rows("SELECT 1 FROM outbox WHERE published"))


def test_what_is_published_is_given_no_more_and_marked_with_the_next_commit(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a", "b", "c")
        first, *others = await positions(outbox)
        await outbox.published([first])
        assert marked(s) == 0
        assert await positions(outbox) == others
        await s.take(d=customer("100200"))
        assert marked(s) == 1
        assert await positions(outbox) == others

    tell(story)


def test_what_is_left_unpublished_is_given_again(tell: Tell) -> None:
    """The publisher could not bring them out: nothing new has to come for another try."""

    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a", "b")
        found = await positions(outbox)
        assert await positions(outbox) == found
        assert len(found) == 2

    tell(story)


def test_more_than_fits_is_given_page_by_page(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a", "b", "c")
        seen = []
        while page := await positions(outbox, limit=1):
            seen += page
            await outbox.published(page)
        assert len(seen) == len(set(seen)) == 3
        assert seen == sorted(seen)

    tell(story)


def test_many_that_are_out_are_marked_before_more_go(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that cannot be written keeps no end of them unmarked."""
    monkeypatch.setattr(ledger_outbox, "UNMARKED_MOST", 2)

    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a", "b", "c")
        first, second, third = await positions(outbox)
        await outbox.published([first, second])
        assert marked(s) == 0
        await outbox.published([third])
        assert marked(s) == 3
        assert await positions(outbox) == []

    tell(story)


def test_where_nothing_was_added_the_database_is_not_asked(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a")
        await outbox.published(await positions(outbox))
        assert await positions(outbox) == []
        asked: list[str] = []

        def note(statement: str, _values: object) -> None:
            asked.append(statement)

        statements.listeners.append(note)
        try:
            assert await positions(outbox) == []
            assert asked == []
        finally:
            statements.listeners.remove(note)
        await s.take(b=customer("100300"))
        assert await positions(outbox) == [], "an event is no outcome"
        await s.worker.settle((await s.worker.claim())["b"], applied())
        assert len(await positions(outbox)) == 1

    tell(story)


def test_an_idle_worker_marks_what_is_published_within_a_second(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a")
        await outbox.published(await positions(outbox))
        assert await positions(outbox) == []
        async with asyncio.timeout(PATIENCE_S):
            await outbox.wait()
        assert marked(s) == 1

    tell(story)


def test_what_another_worker_left_behind_is_found(tell: Tell) -> None:
    """Its rows came without a commit of ours."""

    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a", "b")
        first, second = await positions(outbox)
        await outbox.published([first, second])
        await s.take(c=customer("100300"))
        assert await positions(outbox) == []
        with s.ledger.engine.connect() as connection, connection.begin():
            again = text("UPDATE outbox SET published = false WHERE position = :p")
            connection.execute(again, {"p": second})
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await positions(outbox)):
                await outbox.wait()
        assert found == [second]

    tell(story)


def test_a_ledger_that_is_stopped_has_marked_what_was_published(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        outbox = await outcomes_of(s, "a")
        commits = 0

        def count(*_: object) -> None:
            nonlocal commits
            commits += 1

        event.listen(s.ledger.engine, "commit", count)
        await outbox.published(await positions(outbox))
        assert commits == 0
        await s.ledger.stop()
        assert commits == 1

    tell(story)
