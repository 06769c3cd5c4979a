"""What runs under chaos have brought to light, each told here in a few lines."""

import asyncio
import json
import tempfile
from pathlib import Path

import pytest

from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.holds import load_holds
from streams.ledger.schema import migrate
from streams.local.postgresql_node import PostgresNode
from tests.conftest import BackgroundErrors
from tests.ledger.conftest import Tell
from tests.ledger.samples import CREATE, REFUSED, UNSURE, applied, customer, invoice
from tests.ledger.stage import Stage

DEADLINE_S = 30.0


def test_a_worker_without_a_slot_is_told_so_and_not_only_given_nothing(tell: Tell) -> None:
    """Nobody wakes it when another worker's booking ends: it must know to look again."""

    async def story(s: Stage) -> None:
        await s.take(c=customer(), one=invoice("1001"), two=invoice("1002"))
        await s.worker.deliver("c")
        narrow = s.worker.want(bookings=1)
        assert set((await s.worker.claim_result(narrow)).crowded) == set()
        again = await s.worker.claim_result(narrow)
        assert again.claimed == ()
        assert set(again.crowded) == {narrow.integration.id}

    tell(story)


def test_a_state_that_may_have_been_written_is_cleared_by_the_next(tell: Tell) -> None:
    """Else a value that Moment has emptied meanwhile would stay in the books for ever."""

    async def story(s: Stage) -> None:
        await s.take(v1=(customer(name="first"), 1))
        (claimed,) = (await s.worker.claim()).values()
        assert claimed.row.content is None
        await s.worker.intend(claimed, CREATE)
        await s.worker.settle(claimed, UNSURE)
        row = s.entity("customer", "100042")
        assert "first" in json.dumps(json.loads(row.content))

    tell(story)


def test_what_was_applied_replaces_what_might_have_been(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(v1=(customer(name="first"), 1))
        await s.worker.deliver("v1", result=REFUSED)
        await s.take(v2=(customer(name="second"), 2))
        (claimed,) = (await s.worker.claim()).values()
        assert claimed.row.content is not None
        await s.worker.settle(claimed, applied())
        assert s.entity("customer", "100042").content == claimed.content

    tell(story)


@pytest.mark.postgresql
def test_a_read_waits_for_a_database_that_is_away(background_errors: BackgroundErrors) -> None:
    """A worker that ends at the first read in vain would take every call in flight with it."""
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as directory,
        PostgresNode(Path(directory)) as node,
    ):
        url = node.create_database("away")
        migrate(url)

        async def story() -> None:
            ledger = Ledger(url)
            ledger.start()
            assert await ledger.read(load_holds) == {}
            await asyncio.to_thread(node.kill)
            reading = asyncio.create_task(ledger.read(load_holds))
            done, _ = await asyncio.wait({reading}, timeout=1.0)
            assert not done
            await asyncio.to_thread(node.start)
            assert await asyncio.wait_for(reading, DEADLINE_S) == {}
            await asyncio.to_thread(node.kill)
            in_vain = asyncio.create_task(ledger.read(load_holds))
            await ledger.stop()
            with pytest.raises(LedgerClosedError):
                await asyncio.wait_for(in_vain, DEADLINE_S)

        asyncio.run(story())
    assert background_errors.records == []
