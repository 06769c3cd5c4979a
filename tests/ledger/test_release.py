"""Children of a parent that has moved: all of them, oldest first, none forgotten (design 5.5)."""

from sqlalchemy import text

from streams.ledger.release import CHUNK
from streams.ledger.timers import TICK_MOST
from streams.ledger.work import Claimed
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    REFUSED,
    RETRY,
    SB1,
    UNSURE,
    applied,
    customer,
    invoice,
    key_of,
    lane_of,
)
from tests.ledger.stage import Stage

CHILDREN = 1_200
KEY = key_of("customer", "100042")


async def parked(s: Stage, count: int = CHILDREN) -> Claimed:
    """A customer that is being sent, returned, with so many invoices that wait for it."""
    sending: list[Claimed] = []
    names = [f"i{n:04d}" for n in range(count)]
    await s.take(c=customer(), **{name: invoice(str(n)) for n, name in enumerate(names)})
    for _ in range(count):
        result = await s.worker.claim_result(s.worker.want(sends=200, bookings=200, spare=200))
        sending.extend(result.claimed)
        if not result.moved:
            break
    assert list(s.states().values()).count("waiting") == count
    (only,) = sending
    return only


def ready(s: Stage) -> list[str]:
    return [ce_id for ce_id, state in s.states().items() if state == "ready"]


def test_twelve_hundred_children_are_released_in_chunks_oldest_first(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        sending = await parked(s)
        settled = await s.worker.settle(sending, applied())
        assert settled.more
        assert settled.integrations == {SB1.id}
        assert ready(s) == [f"i{n:04d}" for n in range(CHUNK)]
        ticked = await s.worker.tick()
        assert ticked.more
        assert ticked.integrations == {SB1.id}
        assert len(ready(s)) == 2 * CHUNK
        ticked = await s.worker.tick()
        assert not ticked.more
        assert len(ready(s)) == CHILDREN
        assert s.rows("SELECT * FROM signals") == []

    tell(story)


def test_a_signal_that_starts_earlier_is_not_lost_behind_one_that_goes_on(tell: Tell) -> None:
    """The parent is unsettled again between two chunks: the first children must be seen too."""

    async def story(s: Stage) -> None:
        sending = await parked(s, CHUNK + 10)
        with s.ledger.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO signals (lane, entity_key, after) VALUES (:lane, :key, 100000)"),
                {"key": KEY, "lane": lane_of(customer())},
            )
        await s.worker.settle(sending, applied())
        await s.worker.tick()
        assert len(ready(s)) == CHUNK + 10

    tell(story)


def test_a_sweep_finds_a_release_that_was_missed(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await parked(s, 20)
        with s.ledger.engine.begin() as connection:
            connection.execute(text("UPDATE deliveries SET state = 'dead' WHERE number = '100042'"))
            connection.execute(
                text("UPDATE entities SET in_books = true WHERE entity_key = :key"), {"key": KEY}
            )
        await s.worker.tick()
        assert ready(s) == []
        ticked = await s.worker.tick(sweep_after=0)
        assert ticked.integrations == {SB1.id}
        assert ticked.sweep_after is None
        assert len(ready(s)) == 20

    tell(story)


def test_a_sweep_goes_on_where_it_stopped(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        numbers = [str(100_000 + n) for n in range(TICK_MOST + 20)]
        await s.take(**{f"i{n}": invoice(n, n) for n in numbers})
        while (await s.worker.claim_result(s.worker.want(sends=200, bookings=200))).moved:
            pass
        with s.ledger.engine.begin() as connection:
            connection.execute(text("UPDATE entities SET in_books = true"))
        ticked = await s.worker.tick(sweep_after=0)
        assert ticked.sweep_after is not None
        assert len(ready(s)) == TICK_MOST
        ticked = await s.worker.tick(sweep_after=ticked.sweep_after)
        assert ticked.sweep_after is None
        assert len(ready(s)) == TICK_MOST + 20

    tell(story)


def test_a_parent_that_is_due_or_in_doubt_keeps_its_children(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        sending = await parked(s, 3)
        await s.worker.settle(sending, RETRY)
        assert ready(s) == []
        s.go_on(2)
        await s.worker.tick(sweep_after=0)
        sending = (await s.worker.claim())["c"]
        await s.worker.settle(sending, UNSURE)
        s.go_on(31)
        await s.worker.tick(sweep_after=0)
        assert ready(s) == []

    tell(story)


def test_a_thousand_blocked_children_are_each_told_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        sending = await parked(s, CHUNK + 50)
        await s.worker.settle(sending, REFUSED)
        await s.worker.tick()
        await s.worker.tick()
        await s.worker.answer(KEY, None)
        while (await s.worker.tick(sweep_after=0)).more:
            pass
        blocked = [one["event"]["id"] for one in s.outcomes() if one["outcome"] == "blocked"]
        assert len(blocked) == len(set(blocked)) == CHUNK + 50

    tell(story)


def test_five_hundred_pending_look_ups_do_not_hide_what_is_due(tell: Tell) -> None:
    """Their integration may be held for hours; retries behind them go on."""

    async def story(s: Stage) -> None:
        numbers = [str(100_000 + n) for n in range(TICK_MOST)]
        await s.take(**{f"c{n}": customer(n) for n in numbers})
        claimed = await s.worker.claim(s.worker.want(sends=600), most=600)
        for one in claimed.values():
            await s.worker.settle(one, UNSURE)
        s.go_on(31)
        await s.take(d=customer("1"))
        await s.worker.deliver("d", result=RETRY)
        s.go_on(1)
        first = await s.worker.tick()
        assert len(first.look_ups) == TICK_MOST
        second = await s.worker.tick()
        assert second.look_ups == ()
        assert not second.more
        assert s.states()["d"] == "ready"
        assert len((await s.worker.tick()).look_ups) == 0
        s.go_on(6)
        assert len((await s.worker.tick()).look_ups) == TICK_MOST

    tell(story)
