"""Invoices of one number, and credit notes (design sections 5.3 and 5.8)."""

from schemas.failures import Failure, FailureCode, Reference
from streams.core.conclude import Result, What
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    REFUSED,
    RETRY,
    UNSURE,
    applied,
    customer,
    invoice,
)
from tests.ledger.stage import Stage

UNCHANGED = Result(what=What.UNCHANGED, reference=Reference(id="id-9", number="9"))


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


def test_after_a_booking_that_died_in_doubt_the_next_of_its_number_looks_first(tell: Tell) -> None:
    """Its voucher may be in the books all the same, and nobody has seen it there."""

    async def story(s: Stage) -> None:
        await s.take(c=customer(), a=invoice(), b=invoice(amount=2000))
        await s.worker.deliver("c")
        first = (await s.worker.claim())["a"]
        assert not first.look_up_first
        await s.worker.intend(first)
        await s.worker.settle(first, UNSURE)
        s.go_on(31)
        ticked = await s.worker.tick()
        twice = Failure(code=FailureCode.FOUND_TWICE, parameters={"number": "1001", "hits": "2"})
        await s.worker.settle_look_up(ticked.look_ups[0], Result(what=What.REFUSED, failure=twice))
        assert (await s.worker.claim_all())["b"].look_up_first

    tell(story)
