"""Holds, pauses and the identity of books: one row an integration (design sections 4 and 8)."""

import msgspec

from schemas.failures import Failure, FailureCode
from streams.core.conclude import Result, What
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    ACCESS,
    HOLD,
    RETRY,
    SB1,
    applied,
    customer,
    invoice,
)
from tests.ledger.stage import Stage


def test_bookings_that_wait_for_a_slot_hold_up_no_customer(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), **{f"i{n}": invoice(str(n)) for n in range(80)})
        await s.worker.deliver("c")
        await s.worker.claim(s.worker.want(bookings=1))
        await s.take(d=customer("100043"))
        assert set(await s.worker.claim(s.worker.want(bookings=1))) == {"d"}

    tell(story)


def test_a_hold_is_told_once_per_delivery_and_cause(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"), i=invoice(customer_number="1"))
        claimed = await w.claim()
        await w.settle(claimed["a"], HOLD)
        await w.settle(claimed["b"], HOLD)
        held = w.want(held=ACCESS)
        for _ in range(2):
            assert await w.claim(held) == {}
        assert s.states() == {"a": "ready", "b": "ready", "i": "waiting"}
        assert (s.kinds("a"), s.kinds("b"), s.kinds("i")) == (["held"], ["held"], [])
        assert s.outcomes("a")[0]["failure"]["code"] == "credentials-refused"
        assert s.delivery("a").attempts == 0
        right = Failure(code=FailureCode.RIGHT_MISSING, parameters={"answer": "403"})
        await w.claim(w.want(held=right))
        assert s.kinds("a") == ["held", "held"]

    tell(story)


def test_a_hold_is_one_row_with_a_first_probe_and_pauses_that_double(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(**{f"c{n}": customer(str(n)) for n in range(5)})
        claimed = await w.claim()
        for one in claimed.values():
            await w.settle(one, HOLD)
        row = s.held()
        assert row.probe_at == s.now.wall + 30.0, "those in flight beside it are no probes"
        since = row.since
        s.go_on(31)
        probe = await w.claim(w.want(held=ACCESS, probe=True, sends=1, bookings=1))
        assert set(probe) == {"c0"}, "the oldest, alone"
        assert probe["c0"].probe
        await w.settle(probe["c0"], HOLD)
        row = s.held()
        assert (row.probe_at, row.since) == (s.now.wall + 60.0, since)

    tell(story)


def test_a_probe_that_passes_ends_the_hold(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"))
        claimed = await w.claim()
        await w.settle(claimed["a"], HOLD)
        await w.settle(claimed["b"], RETRY)
        assert s.held().failure is not None
        s.go_on(31)
        probe = await w.claim(w.want(held=ACCESS, probe=True, sends=1, bookings=1))
        await w.settle(probe["a"], applied())
        row = s.held()
        assert (row.failure, row.probes, row.since) == (None, 0, None)

    tell(story)


def test_a_probe_that_learnt_nothing_leaves_the_hold(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"))
        await w.settle((await w.claim())["a"], HOLD)
        s.go_on(31)
        probe = await w.claim(w.want(held=ACCESS, probe=True, sends=1, bookings=1))
        await w.settle(probe["a"], RETRY)
        assert s.held().failure is not None

    tell(story)


def test_retry_after_pauses_the_whole_integration_and_is_never_shortened(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"))
        claimed = await w.claim()
        busy = Failure(code=FailureCode.TOO_MANY_REQUESTS)
        for ce_id, seconds in (("a", 60.0), ("b", 10.0)):
            result = Result(what=What.RETRY, failure=busy, retry_after=seconds)
            settled = await w.settle(claimed[ce_id], result)
            assert settled.act_in == seconds
        assert s.held().pause_until == s.now.wall + 60.0

    tell(story)


def test_the_same_books_are_not_taken_twice_and_must_not_change(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        other = msgspec.structs.replace(SB1, id="fjord-two")
        s.integrations[other.id] = other
        assert (await s.worker.identify("books/1")).accepted
        assert not (await s.worker.identify("books/1", other)).accepted
        assert s.held(other.id).failure is not None
        assert s.held() is None
        assert not (await s.worker.identify("books/2")).accepted
        assert s.held().failure is not None
        assert (await s.worker.identify("books/1")).accepted

    tell(story)
