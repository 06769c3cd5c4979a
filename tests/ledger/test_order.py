"""Order and gates, from the outside of the ledger (design section 5)."""

import msgspec

from connectors.integrations import DataType
from schemas.events import EntityType
from schemas.failures import Reference
from streams.core.conclude import Result, What
from tests.ledger.conftest import Tell
from tests.ledger.stage import (
    ABSENT,
    REFUSED,
    RETRY,
    SB1,
    UNSURE,
    Stage,
    applied,
    customer,
    invoice,
    key_of,
    project,
)

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


def test_independent_customers_go_side_by_side(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer("100001"), b=customer("100002"))
        assert set(await s.worker.claim()) == {"a", "b"}

    tell(story)


def test_the_oldest_are_taken_first_and_no_more_than_wanted(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(**{f"c{n}": customer(str(100_000 + n)) for n in range(30)})
        result = await s.worker.claim_result(s.worker.want(sends=3))
        assert [one.delivery.ce_id for one in result.claimed] == ["c0", "c1", "c2"]
        assert result.more == {SB1.id}
        assert len(await s.worker.claim(most=4)) == 4

    tell(story)


def test_ten_waiting_states_are_one_send_and_nine_superseded(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(**{f"c{n}": customer(name=f"Name {n}") for n in range(10)})
        await s.worker.deliver("c9")
        states = s.states()
        assert states.pop("c9") == "applied"
        assert set(states.values()) == {"superseded"}
        for n in range(9):
            (told,) = s.outcomes(f"c{n}")
            assert told["outcome"] == "superseded"
            assert told["supersededBy"] == {"id": "c9", "source": "/moment/crm"}

    tell(story)


def test_states_that_came_while_one_was_in_flight_fold_into_one(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c0=customer(name="0"))
        first = (await s.worker.claim())["c0"]
        await s.take(c1=customer(name="1"), c2=customer(name="2"))
        assert await s.worker.claim() == {}
        await s.worker.settle(first, applied())
        assert set(await s.worker.claim()) == {"c2"}
        assert s.states() == {"c0": "applied", "c1": "superseded", "c2": "sending"}

    tell(story)


def test_an_older_sequence_after_a_newer_one_is_stale(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(new=(customer(name="new"), 5))
        await s.worker.deliver("new")
        await s.take(old=(customer(name="old"), 4))
        assert await s.worker.claim() == {}
        assert s.states() == {"new": "applied", "old": "stale"}
        assert "supersededBy" not in s.outcomes("old")[0]

    tell(story)


def test_the_newest_by_sequence_wins_whatever_the_order_of_arrival(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=(customer(name="a"), 5), b=(customer(name="b"), 7), c=(customer(), 6))
        assert set(await s.worker.claim()) == {"b"}
        assert s.states() == {"a": "superseded", "b": "sending", "c": "stale"}

    tell(story)


def test_a_dead_version_makes_no_other_one_stale(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(new=(customer(name="new"), 5))
        await s.worker.deliver("new", result=REFUSED)
        await s.take(old=(customer(name="old"), 4))
        await s.worker.deliver("old")
        assert s.states() == {"new": "dead", "old": "applied"}

    tell(story)


def test_the_same_content_again_makes_no_call(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer())
        await s.worker.deliver("a")
        await s.take(b=customer())
        assert await s.worker.claim() == {}
        assert s.states() == {"a": "applied", "b": "unchanged"}
        assert s.outcomes("b")[0]["reference"] == {"id": "id-100042", "number": "100042"}

    tell(story)


def test_what_a_connector_found_unchanged_is_what_the_books_hold(tell: Tell) -> None:
    """A → B by hand → B told: unchanged → A told: that is a change, and must be sent."""

    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b", result=UNCHANGED)
        await s.take(again=customer(name="A"))
        assert set(await s.worker.claim()) == {"again"}

    tell(story)


def test_after_a_write_that_failed_the_same_content_is_sent_again(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b", result=REFUSED)
        await s.take(again=customer(name="A"))
        assert set(await s.worker.claim()) == {"again"}

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
        assert (await s.worker.tick()).questions == (key,)
        await s.worker.answer(key, Reference(id="new", number="100042"))
        await s.worker.deliver("i")
        await s.take(same=customer())
        assert set(await s.worker.claim()) == {"same"}, "what the new record holds is not known"

    tell(story)


def test_invoices_of_one_number_are_never_folded(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), a=invoice(), b=invoice(amount=2000), same=invoice())
        await s.worker.deliver("c")
        assert set(await s.worker.claim_all()) == {"a"}
        assert s.states() == {"c": "applied", "a": "sending", "b": "waiting", "same": "waiting"}

    tell(story)


def test_another_event_of_a_booked_number_is_unchanged_or_dead(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), a=invoice(), b=invoice(amount=2000), same=invoice())
        await s.worker.deliver("c", "a")
        assert await s.worker.claim_all() == {}
        assert s.states() == {"c": "applied", "a": "applied", "b": "dead", "same": "unchanged"}
        (told,) = s.outcomes("b")
        assert told["failure"]["code"] == "invoice-differs-from-booked"
        assert told["failure"]["parameters"] == {"number": "1001", "booked": "1001"}
        assert s.letters()[-1]["moment-sync-code"] == "invoice-differs-from-booked"

    tell(story)


def test_where_the_first_of_a_number_is_dead_the_newer_goes_and_withdraws_it(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), a=invoice(), b=invoice(amount=2000))
        await s.worker.deliver("c")
        await s.worker.deliver("a", result=REFUSED)
        await s.worker.deliver("b")
        assert s.states() == {"c": "applied", "a": "withdrawn", "b": "applied"}
        assert s.outcomes("b")[0]["withdraws"] == [s.delivery("a").delivery_id]
        assert s.kinds("a") == ["dead"], "a withdrawal has no outcome of its own"

    tell(story)


def test_while_the_first_of_a_number_is_in_doubt_or_due_nothing_of_it_is_sent(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), a=invoice(), b=invoice(amount=2000))
        await s.worker.deliver("c")
        first = (await s.worker.claim())["a"]
        await s.worker.settle(first, RETRY)
        assert await s.worker.claim_all() == {}
        for _ in range(3):
            await s.worker.tick(sweep_after=0)
            assert (await s.worker.claim_result()).moved == {}, "it is not woken to wait again"
        s.go_on(5)
        await s.worker.tick()
        first = (await s.worker.claim_all())["a"]
        await s.worker.settle(first, UNSURE)
        assert await s.worker.claim_all() == {}
        s.go_on(31)
        ticked = await s.worker.tick(sweep_after=0)
        assert await s.worker.claim_all() == {}
        await s.worker.settle_look_up(ticked.look_ups[0], applied("128-2026"))
        assert await s.worker.claim_all() == {}
        assert s.states() == {"c": "applied", "a": "applied", "b": "dead"}

    tell(story)


def test_a_credit_note_waits_for_the_invoice_it_credits(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.deliver("c")
        await s.take(a=invoice(), n=invoice("1002", credits="1001"))
        assert set(await s.worker.claim_all()) == {"a"}
        assert s.states()["n"] == "waiting"

    tell(story)


def test_a_credit_note_is_blocked_while_the_invoice_it_credits_is_dead(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), a=invoice(), n=invoice("1002", credits="1001"))
        await s.worker.deliver("c")
        await s.worker.deliver("a", result=REFUSED)
        assert await s.worker.claim_all() == {}
        assert s.states()["n"] == "blocked"
        await s.take(again=invoice(amount=900))
        await s.worker.deliver("again", "n")
        assert s.states()["n"] == "applied"

    tell(story)


def test_a_credit_note_goes_where_the_invoice_it_credits_is_unknown(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), n=invoice("1002", credits="999"))
        await s.worker.deliver("c", "n")
        assert (await s.worker.tick()).questions == ()

    tell(story)


def test_a_product_that_a_look_up_found_does_not_make_the_invoice_booked(tell: Tell) -> None:
    """The write in doubt of an invoice's delivery may be that of a product it needs."""

    async def story(s: Stage) -> None:
        await s.take(c=customer(), a=invoice(), n=invoice("1002", credits="1001"))
        await s.worker.deliver("c")
        await s.worker.settle((await s.worker.claim())["a"], UNSURE)
        s.go_on(31)
        (delivery,) = (await s.worker.tick()).look_ups
        settled = Result(what=What.SETTLED, reference=Reference(id="AB", number="AB"))
        await s.worker.settle_look_up(delivery, settled)
        assert not s.entity("invoice", "1001").in_books
        assert set(await s.worker.claim_all()) == {"a"}
        assert s.states()["n"] == "waiting"

    tell(story)


def test_an_unchanged_state_withdraws_the_dead_ones_before_it(tell: Tell) -> None:
    """A → B dead → A again: the books are as the newest state says, and nobody must act."""

    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b", result=REFUSED)
        await s.take(again=customer(name="A"))
        await s.worker.deliver("again")
        assert s.states() == {"a": "applied", "b": "withdrawn", "again": "applied"}
        await s.take(x=invoice())
        assert (await s.worker.claim())["x"].warnings == ()

    tell(story)


def test_a_project_that_changes_its_customer_waits_for_the_new_one(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), p=project())
        await s.worker.deliver("c", "p")
        await s.take(moved=project(customer_number="100043"), d=customer("100043"))
        await s.worker.deliver("d")
        await s.worker.deliver("moved")
        assert s.states()["moved"] == "applied"

    tell(story)


def test_absence_that_a_look_up_proved_lets_the_newer_state_go(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.settle((await s.worker.claim())["a"], UNSURE)
        await s.take(b=customer(name="B"))
        assert await s.worker.claim_all() == {}
        for wait in (31, 8):
            s.go_on(wait)
            (delivery,) = (await s.worker.tick()).look_ups
            await s.worker.settle_look_up(delivery, ABSENT)
        assert set(await s.worker.claim_all()) == {"b"}
        assert s.states() == {"a": "superseded", "b": "sending"}

    tell(story)
