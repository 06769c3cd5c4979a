"""Writes that may have happened: looked for, adopted, or sent again (design section 6)."""

from schemas.failures import Failure, FailureCode
from streams.core.conclude import Result, What
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    ABSENT,
    HOLD,
    RETRY,
    SB1,
    UNSURE,
    applied,
    customer,
    invoice,
)
from tests.ledger.stage import Stage


def test_an_uncertain_write_is_looked_up_after_the_settle_time(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        settled = await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        assert (settled.state, settled.act_in) == ("uncertain", 30.0)
        s.go_on(29)
        assert (await s.worker.tick()).look_ups == ()
        s.go_on(2)
        (delivery,) = (await s.worker.tick()).look_ups
        assert delivery.intent is not None
        await s.worker.settle_look_up(delivery, applied("812"))
        assert s.states() == {"c": "applied"}
        assert s.outcomes("c")[0]["attempts"] == 1

    tell(story)


def test_a_look_up_under_way_is_not_started_again_nor_waited_for_in_a_spin(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        s.go_on(31)
        ticked = await s.worker.tick()
        (delivery,) = ticked.look_ups
        assert ticked.next_act_at is None or ticked.next_act_at > s.now.elapsed
        ticked = await s.worker.tick(busy=frozenset({delivery.ordinal}))
        assert ticked.look_ups == ()
        assert ticked.next_act_at is None or ticked.next_act_at > s.now.elapsed
        s.go_on(61)
        assert len((await s.worker.tick()).look_ups) == 1, "should it never have been started"

    tell(story)


def test_absence_needs_two_look_ups_apart(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        s.go_on(31)
        (delivery,) = (await s.worker.tick()).look_ups
        settled = await s.worker.settle_look_up(delivery, ABSENT)
        assert (settled.state, settled.act_in) == ("uncertain", 7.5)
        assert (await s.worker.tick()).look_ups == ()
        s.go_on(8)
        (delivery,) = (await s.worker.tick()).look_ups
        settled = await s.worker.settle_look_up(delivery, ABSENT)
        assert settled.state == "ready"
        assert (s.delivery("c").posts, s.delivery("c").absences) == (1, 0)
        assert s.entity("customer", "100042").claimed_by is None
        await s.worker.deliver("c")

    tell(story)


def test_a_look_up_that_fails_says_nothing(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        for result in (ABSENT, RETRY, HOLD, RETRY):
            s.go_on(400)
            (delivery,) = (await s.worker.tick()).look_ups
            assert (await s.worker.settle_look_up(delivery, result)).state == "uncertain"
        s.go_on(400)
        (delivery,) = (await s.worker.tick()).look_ups
        assert (await s.worker.settle_look_up(delivery, ABSENT)).state == "ready"

    tell(story)


def test_a_booking_is_sent_at_most_five_times(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        for post in range(5):
            claimed = (await s.worker.claim())["i"]
            assert claimed.delivery.posts == post
            await s.worker.settle(claimed, UNSURE)
            for _ in range(2):
                s.go_on(31)
                (delivery,) = (await s.worker.tick()).look_ups
                await s.worker.settle_look_up(delivery, ABSENT)
        assert s.states()["i"] == "dead"
        failure = s.outcomes("i")[0]["failure"]
        assert (failure["code"], failure["class"]) == ("retries-exhausted", "uncertain")
        assert failure["parameters"]["lastCode"] == "write-uncertain"
        assert failure["parameters"]["attempts"] == "5"

    tell(story)


def test_an_uncertain_repeatable_write_is_sent_again_without_a_look_up(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        claimed = (await s.worker.claim())["b"]
        assert claimed.send_by == s.now.elapsed + 5.0
        repeatable = b'{"kind":"customer.update","key":"1","repeatable":true}'
        await s.worker.settle(claimed, UNSURE, intent=repeatable)
        await s.take(c=customer(name="C"))
        assert await s.worker.claim_all() == {}
        s.go_on(31)
        ticked = await s.worker.tick()
        assert not ticked.look_ups
        assert ticked.integrations == {SB1.id}
        assert set(await s.worker.claim_all()) == {"c"}, "the newest state is sent"
        assert s.states() == {"a": "applied", "b": "superseded", "c": "sending"}

    tell(story)


def test_two_hits_are_for_a_person_to_decide(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        s.go_on(31)
        (delivery,) = (await s.worker.tick()).look_ups
        twice = Failure(code=FailureCode.FOUND_TWICE, parameters={"number": "1", "hits": "2"})
        await s.worker.settle_look_up(delivery, Result(what=What.REFUSED, failure=twice))
        assert s.states() == {"c": "dead"}
        assert s.outcomes("c")[0]["failure"]["class"] == "uncertain"

    tell(story)
