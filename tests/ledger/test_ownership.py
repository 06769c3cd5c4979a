"""Lanes, epochs and what a new owner finds (design section 6)."""

import asyncio

import msgspec

from streams.ledger.lanes import Wait
from streams.ledger.orphans import TakeBack, take_back
from streams.ledger.outbox import unpublished
from streams.ledger.work import SEND_WITHIN_S
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    BOOK,
    CREATE,
    LANES,
    RETRY,
    UNSURE,
    UPDATE,
    applied,
    customer,
    invoice,
    key_of,
    lane_of,
)
from tests.ledger.stage import Stage
from tests.ledger.test_engine import Hurdle
from tests.ledger.workers import Worker

ANOTHER_BOOT = "host/2"


async def handed_over(s: Stage, name: str = "w2") -> Worker:
    """Another worker that owns every lane now."""
    other = Worker(s, name)
    await other.own()
    return other


def test_a_claim_is_refused_with_an_old_epoch(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        other = await handed_over(s)
        assert await s.worker.claim() == {}
        assert s.states() == {"c": "ready"}
        assert set(await other.claim()) == {"c"}

    tell(story)


def test_a_tick_with_an_old_epoch_moves_nothing(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], RETRY)
        await handed_over(s)
        s.go_on(60)
        assert (await s.worker.tick()).integrations == frozenset()
        assert s.states() == {"c": "due"}

    tell(story)


def test_a_worker_that_stood_still_before_it_took_lanes_waits_from_then_on(tell: Tell) -> None:
    """Meanwhile the former owner has sent something: its wait does not begin before that."""

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        hurdle = Hurdle(s.ledger)
        await hurdle.reached()
        other = Worker(s, "w2")
        taking = asyncio.create_task(other.own())
        await asyncio.sleep(0)  # it has asked for the lanes, and stands still
        s.go_on(44)
        intending = asyncio.create_task(s.worker.intend(claimed, CREATE))
        await asyncio.sleep(0)
        hurdle.let_go()
        assert await intending is not None
        assert (await taking).in_doubt == 1
        s.go_on(60)  # as long as the call may take
        assert (await other.tick()).look_ups == ()
        s.go_on(30 + SEND_WITHIN_S)
        assert len((await other.tick()).look_ups) == 1

    tell(story)


def test_an_answer_with_an_old_epoch_is_not_written(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice())
        await s.worker.claim_all()
        await handed_over(s)
        await s.worker.answer(key_of("customer", "100042"), applied().reference)
        assert not s.entity("customer", "100042").in_books

    tell(story)


def test_only_the_lanes_that_are_ours_are_claimed_from(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        a, b = customer("100001"), customer("100002")
        assert lane_of(a) != lane_of(b)
        await s.take(a=a, b=b)
        other = Worker(s, "w2")
        await other.own(frozenset({lane_of(b)}))
        assert set(await s.worker.claim()) == {"a"}
        assert set(await other.claim()) == {"b"}

    tell(story)


def test_settling_with_an_old_epoch_writes_nothing(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        await handed_over(s)
        assert (await s.worker.settle(claimed, applied())).lost
        assert s.outcomes() == []
        assert s.states() == {"c": "ready"}

    tell(story)


def test_settling_with_an_old_epoch_is_lost_beside_one_that_counts(tell: Tell) -> None:
    """A lane that came back: what was begun under the old epoch has no say any more."""

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        old = (await s.worker.claim())["c"]
        early = s.worker.settlement(old, applied("old"))
        await handed_over(s)
        await s.worker.own()
        new = (await s.worker.claim())["c"]
        late = s.worker.settlement(new, RETRY)
        operation = s.worker._settle
        told = [s.ledger.submit(operation, item) for item in (early, late)]
        assert [(await one).lost for one in told] == [True, False]
        assert s.states() == {"c": "due"}

    tell(story)


def test_an_intent_with_an_old_epoch_is_refused(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        assert await s.worker.intend(claimed) == s.now.elapsed + 5.0
        await handed_over(s)
        assert await s.worker.intend(claimed) is None

    tell(story)


def test_an_attempt_of_before_has_no_intent_when_its_lane_came_back(tell: Tell) -> None:
    """Its delivery is being sent again by then: two writes of it would be under way."""

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        old = (await s.worker.claim())["c"]
        before = s.worker.epochs[old.delivery.lane]
        await handed_over(s)
        await s.worker.own()
        new = (await s.worker.claim())["c"]
        assert await s.worker.intend(old, epoch=before) is None
        assert await s.worker.intend(new) is not None

    tell(story)


def test_an_intent_of_what_is_not_being_sent_is_refused(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        await s.worker.settle(claimed, RETRY)
        assert await s.worker.intend(claimed) is None
        assert s.delivery("c").intent is None

    tell(story)


def test_without_an_intent_on_disk_a_taken_over_delivery_is_ready_at_no_cost(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.claim()
        other = Worker(s, "w2")
        assert (await other.own()).in_doubt == 0
        row = s.delivery("c")
        assert (row.state, row.attempts, row.act_at) == ("ready", 0, None)
        assert s.entity("customer", "100042").claimed_by is None
        await other.deliver("c")

    tell(story)


def test_with_an_intent_on_disk_it_is_uncertain_until_the_write_can_no_longer_be_under_way(
    tell: Tell,
) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        claimed = (await s.worker.claim())["i"]
        send_by = await s.worker.intend(claimed, BOOK)
        assert send_by is not None
        s.go_on(3)
        other = Worker(s, "w2")
        assert (await other.own()).in_doubt == 1
        row = s.delivery("i")
        assert (row.state, row.attempts) == ("uncertain", 1)
        assert row.act_at == send_by + 60.0 + 30.0
        assert await other.claim() == {}
        s.go_on(row.act_at - s.now.elapsed - 0.1)
        assert (await other.tick()).look_ups == ()
        s.go_on(0.2)
        (delivery,) = (await other.tick()).look_ups
        assert msgspec.json.decode(delivery.intent or b"")["kind"] == BOOK.kind
        await other.settle_look_up(delivery, applied("128-2026"))
        assert s.kinds("i") == ["applied"]

    tell(story)


def test_the_claim_of_an_update_is_its_intent(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        claimed = (await s.worker.claim())["b"]
        other = Worker(s, "w2")
        assert (await other.own()).in_doubt == 1
        row = s.delivery("b")
        assert (row.state, row.act_at) == ("uncertain", (claimed.send_by or 0.0) + 90.0)
        s.go_on(96)
        assert (await other.tick()).look_ups == (), "an update is repeated, not looked up"
        await other.deliver("b")

    tell(story)


def test_an_integration_that_is_not_set_up_waits_the_longest(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        send_by = await s.worker.intend(claimed)
        await Worker(s, "w2").own(waits={"another": Wait(deadline=1.0, settle=1.0)})
        assert s.delivery("c").act_at == (send_by or 0.0) + 180.0 + 150.0

    tell(story)


def test_the_same_owner_keeps_its_epoch_and_its_calls(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        before = dict(s.worker.epochs)
        await s.worker.intend(claimed)
        assert (await s.worker.own()).epochs == before
        assert s.states() == {"c": "sending"}
        await s.worker.settle(claimed, applied())
        assert s.states() == {"c": "applied"}

    tell(story)


def test_a_lane_that_goes_and_comes_back_has_a_new_epoch(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        before = dict(s.worker.epochs)
        await handed_over(s)
        await s.worker.own()
        assert all(s.worker.epochs[lane] == before[lane] + 2 for lane in LANES)

    tell(story)


def test_after_another_boot_times_start_anew(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"), c=customer("3"), i=invoice())
        claimed = await w.claim()
        await w.settle(claimed["a"], RETRY)
        await w.intend(claimed["b"])
        await w.intend(claimed["c"])
        await w.settle(claimed["c"], UNSURE)
        await w.answer(key_of("customer", "100042"), None)
        s.now = msgspec.structs.replace(s.now, elapsed=7.0, boot=ANOTHER_BOOT)
        other = Worker(s, "w2")
        await other.own()
        assert s.states() == {"a": "due", "b": "uncertain", "c": "uncertain", "i": "waiting"}
        assert s.delivery("a").act_at == 7.0
        assert s.delivery("b").act_at == 7.0 + 5.0 + 90.0
        assert s.delivery("c").act_at == 7.0 + 330.0
        assert s.delivery("i").act_at == 7.0 + 900.0
        ticked = await other.tick()
        assert ticked.questions == (key_of("customer", "100042"),)
        assert s.states()["a"] == "ready"

    tell(story)


def test_nobody_else_publishes_a_lanes_outbox_and_a_new_owner_goes_on(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.deliver("c")
        await handed_over(s)
        assert s.ledger.read_now(lambda c: unpublished(c, "w1", 10)) == []
        assert len(s.ledger.read_now(lambda c: unpublished(c, "w2", 10))) == 1

    tell(story)


def test_update_and_create_intents_are_kept(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        for intent in (UPDATE, CREATE):
            await s.worker.intend(claimed, intent)
            assert msgspec.json.decode(s.delivery("c").intent)["kind"] == intent.kind

    tell(story)


def test_an_attempt_keeps_the_epoch_it_was_claimed_under(tell: Tell) -> None:
    """A lane that went and came back has a new epoch; the attempt of before must not get it."""

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        old = (await s.worker.claim())["c"]
        assert old.epoch == s.worker.epochs[old.delivery.lane]
        assert await s.worker.intend(old, epoch=old.epoch) is not None

    tell(story)


def test_what_has_lost_its_attempt_is_taken_back(tell: Tell) -> None:
    """The answer to the commit of a claim can be lost: then nobody is at work on it."""

    async def story(s: Stage) -> None:
        await s.take(c=customer(), d=customer("100043"))
        claimed = await s.worker.claim()
        await s.worker.intend(claimed["d"])
        ordinals = frozenset(one.delivery.ordinal for one in claimed.values())
        ticked = await s.worker.tick(sweep_after=0)
        assert set(ticked.sending) == ordinals
        item = TakeBack(ordinals=ordinals, epochs=s.worker.epochs, now=s.now)
        assert await s.worker.ledger.submit(take_back, item) == 2
        assert s.states() == {"c": "ready", "d": "uncertain"}
        assert s.delivery("c").attempts == 0

    tell(story)
