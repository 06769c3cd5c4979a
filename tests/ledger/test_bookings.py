"""At most one booking per books and number, and only so many at a time (design 5.8 and 8)."""

import msgspec

from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    SB1,
    UNSURE,
    applied,
    customer,
    invoice,
)
from tests.ledger.stage import Stage


def test_only_so_many_bookings_are_in_flight_and_an_uncertain_one_gives_its_slot_back(
    tell: Tell,
) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(c=customer(), i=invoice("1"), j=invoice("2"), k=invoice("3"))
        await w.deliver("c")
        one = w.want(bookings=1)
        first = await w.claim(one)
        assert set(first) == {"i"}
        assert await w.claim(one) == {}
        await w.settle(first["i"], UNSURE)
        second = await w.claim(one)
        assert set(second) == {"j"}
        await w.settle(second["j"], applied("2"))
        assert set(await w.claim(one)) == {"k"}

    tell(story)


def test_what_another_integration_booked_into_the_same_books_is_not_booked_again(
    tell: Tell,
) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c", "i")
        renamed = msgspec.structs.replace(SB1, id="fjord-renamed")
        s.integrations = {renamed.id: renamed}
        await s.take(d=customer(name="New"), j=invoice(), k=invoice(amount=5))
        want = s.worker.want(renamed, books=f"books/{SB1.id}")
        claimed = await s.worker.claim(want)
        await s.worker.settle(claimed["d"], applied())
        assert await s.worker.claim(want) == {}
        assert s.states(renamed.id) == {"d": "applied", "j": "unchanged", "k": "dead"}

    tell(story)


def test_new_books_and_replays_look_up_first(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice("1"), j=invoice("2"))
        await s.worker.deliver("c")
        want = s.worker.want(bookings=1, look_up_until=s.now.wall + 5)
        first = (await s.worker.claim(want))["i"]
        assert first.look_up_first
        await s.worker.settle(first, applied("1"))
        s.go_on(6)
        assert not (await s.worker.claim(want))["j"].look_up_first

    tell(story)
