"""Gates from the outside of the ledger: parents that come, fail, or stay away (design 5.4)."""

import msgspec

from connectors.integrations import DataType
from schemas.events import EntityType
from schemas.failures import Reference
from streams.core.conclude import Result, What
from streams.ledger.settle import PARENT_ASKED_AFTER_S
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    REFUSED,
    SB1,
    customer,
    invoice,
    key_of,
    project,
)
from tests.ledger.stage import Stage

UNCHANGED = Result(what=What.UNCHANGED, reference=Reference(id="id-9", number="9"))


def test_a_customer_goes_before_its_project_before_its_invoice(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice(project_number="7"), p=project(), c=customer())
        assert set(await s.worker.claim()) == {"c"}
        assert s.states() == {"i": "waiting", "p": "waiting", "c": "sending"}

    tell(story)


def test_children_are_released_in_order_as_their_parents_come(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice(project_number="7"), p=project(), c=customer())
        for ce_id in ("c", "p", "i"):
            await s.worker.deliver(ce_id)
        assert s.states() == {"i": "applied", "p": "applied", "c": "applied"}
        assert [told["event"]["id"] for told in s.outcomes()] == ["c", "p", "i"]

    tell(story)


def test_children_go_at_once_when_their_parent_turns_out_unchanged(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.deliver("c")
        await s.take(again=customer(), i=invoice())
        assert set(await s.worker.claim_all()) == {"i"}
        assert s.states() == {"c": "applied", "again": "unchanged", "i": "sending"}

    tell(story)


def test_children_go_at_once_when_their_parents_update_turns_out_stale(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=(customer(name="new"), 2))
        await s.worker.deliver("c")
        await s.take(old=(customer(name="old"), 1), i=invoice())
        assert set(await s.worker.claim_all()) == {"i"}

    tell(story)


def test_an_update_received_before_a_child_goes_before_it(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.deliver("c")
        await s.take(up=customer(name="New"), i=invoice())
        assert set(await s.worker.claim()) == {"up"}
        assert s.states()["i"] == "waiting"

    tell(story)


def test_an_update_received_after_a_child_does_not_hold_it_up(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.deliver("c")
        await s.take(i=invoice(), up=customer(name="New"))
        assert set(await s.worker.claim()) == {"i", "up"}

    tell(story)


def test_a_dead_update_lets_children_go_with_a_warning(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.deliver("c")
        await s.take(up=customer(name="New"), i=invoice())
        await s.worker.deliver("up", result=REFUSED)
        await s.worker.deliver("i")
        (told,) = s.outcomes("i")
        assert told["outcome"] == "applied"
        assert [w["code"] for w in told["warnings"]] == ["parent-stale"]

    tell(story)


def test_a_dead_parent_blocks_its_children_by_name_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice(), j=invoice("1002"))
        await s.worker.deliver("c", result=REFUSED)
        key = key_of("customer", "100042")
        assert (await s.worker.tick()).questions == (key,), "a no is asked for anew"
        await s.worker.answer(key, None)
        assert s.states() == {"c": "dead", "i": "blocked", "j": "blocked"}
        (told,) = s.outcomes("i")
        assert (told["outcome"], told["final"]) == ("blocked", False)
        assert told["failure"]["code"] == "parent-dead"
        assert told["failure"]["class"] == "set-up"
        assert told["failure"]["blockedBy"] == {
            "type": "customer",
            "number": "100042",
            "deliveryId": s.delivery("c").delivery_id,
            "code": "account-unknown",
        }
        await s.worker.answer(key, None)
        s.go_on(60)
        await s.worker.tick(sweep_after=0)
        assert s.kinds("i") == ["blocked"]

    tell(story)


def test_a_blocked_child_goes_by_itself_when_its_parent_is_mended(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c", result=REFUSED)
        await s.worker.answer(key_of("customer", "100042"), None)
        await s.take(better=customer(name="Better"))
        await s.worker.deliver("better")
        await s.worker.deliver("i")
        assert s.states() == {"c": "withdrawn", "i": "applied", "better": "applied"}
        assert s.kinds("i") == ["blocked", "applied"]

    tell(story)


def test_a_grandchild_is_blocked_by_its_nearest_parent(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), p=project())
        await s.worker.deliver("c", result=REFUSED)
        await s.worker.answer(key_of("customer", "100042"), None)
        await s.take(other=customer("100043"), i=invoice("1", "100043", project_number="7"))
        await s.worker.deliver("other")
        await s.worker.claim_all()
        assert (await s.worker.tick()).questions == (key_of("project", "7"),)
        await s.worker.answer(key_of("project", "7"), None)
        assert s.states()["i"] == "blocked"
        blocked_by = s.outcomes("i")[0]["failure"]["blockedBy"]
        assert (blocked_by["type"], blocked_by["code"]) == ("project", "parent-dead")

    tell(story)


def test_an_absent_parent_is_asked_for_once_for_all_who_wait(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice(), j=invoice("1002"), p=project())
        await s.worker.claim_all()
        key = key_of("customer", "100042")
        assert (await s.worker.tick()).questions == (key,)
        assert (await s.worker.tick(asking=frozenset({key}))).questions == ()
        assert s.states() == {"i": "waiting", "j": "waiting", "p": "waiting"}

    tell(story)


def test_a_parent_that_the_books_have_is_adopted(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice())
        await s.worker.claim_all()
        await s.worker.answer(key_of("customer", "100042"), Reference(id="812", number="100042"))
        claimed = (await s.worker.claim())["i"]
        assert claimed.parents[EntityType.CUSTOMER] == Reference(id="812", number="100042")
        assert (await s.worker.tick()).questions == ()

    tell(story)


def test_an_absent_parent_blocks_only_after_parent_wait(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice())
        key = key_of("customer", "100042")
        await s.worker.claim_all()
        await s.worker.answer(key, None)
        assert s.states() == {"i": "waiting"}
        s.go_on(899)
        assert (await s.worker.tick()).questions == ()
        s.go_on(2)
        assert (await s.worker.tick()).questions == (key,), "a no is asked again at PARENT_WAIT"
        assert s.states() == {"i": "waiting"}
        await s.worker.answer(key, None)
        assert s.states() == {"i": "blocked"}
        (told,) = s.outcomes("i")
        assert told["failure"]["code"] == "parent-absent"
        assert told["failure"]["blockedBy"] == {"type": "customer", "number": "100042"}
        s.go_on(899)
        assert (await s.worker.tick(sweep_after=0)).questions == ()
        s.go_on(2)
        assert (await s.worker.tick()).questions == (key,), "and every quarter of an hour"
        await s.worker.answer(key, Reference(id="812", number="100042"))
        await s.worker.deliver("i")
        assert s.kinds("i") == ["blocked", "applied"]

    tell(story)


def test_a_wait_that_is_over_for_one_parent_begins_anew_for_the_next(tell: Tell) -> None:
    """Otherwise nobody would ask for the next, and its child would wait without a word."""

    async def story(s: Stage) -> None:
        first, then = key_of("customer", "100042"), key_of("project", "7")
        await s.take(i=invoice(project_number="7"))
        await s.worker.claim_all()
        await s.worker.answer(first, None)
        s.go_on(901)
        assert (await s.worker.tick()).questions == (first,)
        await s.worker.answer(first, None)
        assert s.states() == {"i": "blocked"}
        await s.worker.answer(then, None)
        await s.worker.answer(first, Reference(id="812", number="100042"))
        await s.worker.claim_all()
        assert s.states() == {"i": "waiting"}
        s.go_on(901)
        assert (await s.worker.tick()).questions == (then,)
        await s.worker.answer(then, None)
        assert s.states() == {"i": "blocked"}
        blocked = [told["failure"]["blockedBy"]["type"] for told in s.outcomes("i")]
        assert blocked == ["customer", "project"]

    tell(story)


def test_sweeps_do_not_ask_again_and_again(tell: Tell) -> None:
    """A remembered no is asked again at PARENT_WAIT, not by every sweep of ten seconds."""

    async def story(s: Stage) -> None:
        await s.take(i=invoice())
        await s.worker.claim_all()
        await s.worker.answer(key_of("customer", "100042"), None)
        for _ in range(20):
            s.go_on(10.5)
            assert (await s.worker.tick(sweep_after=0)).questions == ()

    tell(story)


def test_a_parent_that_is_long_on_its_way_is_not_asked_for_every_minute(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        assert set(await s.worker.claim()) == {"c"}
        s.go_on(901)
        asked = 0
        for _ in range(20):
            ticked = await s.worker.tick(sweep_after=0)
            for key in ticked.questions:
                asked += 1
                await s.worker.answer(key, None)
            s.go_on(30)
        assert asked == 1
        assert s.states()["i"] == "waiting"

    tell(story)


def test_a_failed_question_is_put_again_and_blocks_nobody(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice())
        await s.worker.claim_all()
        key = key_of("customer", "100042")
        await s.worker.answer(key, None, known=False)
        assert s.states() == {"i": "waiting"}
        s.go_on(901)
        assert (await s.worker.tick()).questions == (key,)

    tell(story)


def test_with_customers_switched_off_an_unknown_customer_is_told_at_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        off = msgspec.structs.replace(SB1, data=frozenset({DataType.INVOICES}))
        s.integrations = {SB1.id: off}
        await s.take(i=invoice())
        await s.worker.claim(s.worker.want(off))
        await s.worker.answer(key_of("customer", "100042"), None)
        assert s.states() == {"i": "dead"}
        (told,) = s.outcomes("i")
        assert told["failure"]["code"] == "customer-missing"
        await s.take(j=invoice("1002"))
        await s.worker.claim(s.worker.want(off))
        assert s.states()["j"] == "dead", "asked just now: a fresh no is enough"

    tell(story)


def test_a_parent_that_is_not_there_any_more_is_forgotten_and_asked_for(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        claimed = (await s.worker.claim())["i"]
        key = key_of("customer", "100042")
        await s.worker.settle(claimed, Result(what=What.GATE_CLOSED, parent_key=key))
        row = s.entity("customer", "100042")
        assert (row.in_books, row.reference, row.content) == (False, None, None)
        assert s.states()["i"] == "waiting"
        assert s.delivery("i").attempts == 0
        assert (await s.worker.tick()).questions == (), "one read may lag behind another"
        s.go_on(PARENT_ASKED_AFTER_S)
        assert (await s.worker.tick()).questions == (key,)
        await s.worker.answer(key, Reference(id="new", number="100042"))
        await s.worker.deliver("i")
        await s.take(same=customer())
        assert set(await s.worker.claim()) == {"same"}, "what the new record holds is not known"

    tell(story)
