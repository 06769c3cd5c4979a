"""Invoices through the port, judged to the øre and the króna by what is booked afterwards."""

import msgspec

from connectors.integrations import DataType
from connectors.port import Absent, Found, GateClosed, Unchanged
from schemas.events import Account, EntityType
from streams.core.states import State
from tests.contracts.carrier import Carrier, parents_of
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.world import Place, World

changed = msgspec.structs.replace


def test_an_invoice_is_booked_once_with_everything_on_it(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await parents_of(world)
        event = world.invoice(project_number=world.project().number)
        done = await carrier.applied(event)
        (booked,) = world.bookings(event.number)
        assert booked.reference == done.reference.number
        assert booked.customer == event.customer_number
        assert booked.due == str(event.due_date)
        assert booked.project == event.project_number
        assert "Mars" in booked.text
        assert [event.lines[0].book_text in line.text for line in booked.lines] == [True]
        assert [line.net for line in booked.lines] == [event.lines[0].total_excl_vat]

    place.run(story)


def test_a_credit_note_is_booked_the_other_way_and_names_what_it_credits(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await parents_of(world)
        event = world.invoice()
        await carrier.applied(event)
        await carrier.applied(world.credit_note())
        (invoice,) = world.bookings(event.number)
        (credit,) = world.bookings(world.credit_note().number)
        assert credit.owed == -invoice.owed
        assert sum(line.net for line in credit.lines) == -event.lines[0].total_excl_vat
        assert event.number in credit.text

    place.run(story)


def test_a_line_that_is_only_text_keeps_its_text_in_the_books(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await parents_of(world)
        only_text = world.line("0", description="Takk / Takk fyrir", product_number=None)
        if world.system == "dkplus":
            only_text = changed(only_text, account=Account(number="3000"))
        event = world.invoice(world.line("10000"), only_text)
        await carrier.applied(event)
        (booked,) = world.bookings(event.number)
        assert len(booked.lines) == 1
        texts = [line.text for line in booked.lines] + [text_two(world, event.number)]
        assert any("Takk / Takk fyrir" in text for text in texts)

    place.run(story)


def text_two(world: World, number: str) -> str:
    """Where DK+ keeps what is on no line."""
    if not isinstance(world, DkPlusWorld):
        return ""
    return str(world.raw().sent_as(number)[0].record["Text2"])


def test_an_invoice_without_an_amount_books_nothing_and_says_so(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await parents_of(world)
        before = len(world.writes())
        event = world.invoice(world.line("0"), world.line("0"))
        done = await carrier.carry(event)
        assert isinstance(done.verdict, Unchanged)
        assert done.warnings == ["nothing-to-book"]
        assert (done.state, world.bookings(event.number)) == (State.UNCHANGED, [])
        assert len(world.writes()) == before

    place.run(story)


def test_an_invoice_without_its_customer_waits_and_books_nothing(place: Place) -> None:
    async def story(world: World) -> None:
        event = world.invoice()
        done = await Carrier(world).carry(event)
        assert done.verdict == GateClosed(
            parent_type=EntityType.CUSTOMER, parent_number=event.customer_number
        )
        assert world.bookings(event.number) == []

    place.run(story)


def test_an_invoice_names_no_project_that_the_books_lack_where_projects_are_switched_off(
    place: Place,
) -> None:
    """Interface section 2: it names its project only if the books have it."""

    async def story(world: World) -> None:
        bare = changed(world.here, data=frozenset({DataType.CUSTOMERS, DataType.INVOICES}))
        carrier = Carrier(world, bare)
        await carrier.applied(world.customer())
        number = world.project().number
        first = world.invoice(project_number=number)
        await carrier.applied(first)
        world.have_project(number, "Fra før", world.customer().number)
        second = world.invoice(project_number=number, number="1009")
        await carrier.applied(second)
        assert [one.project for one in world.bookings(first.number)] == [""]
        assert [one.project for one in world.bookings("1009")] == [number]

    place.run(story)


def test_the_same_invoice_again_is_looked_for_and_found(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await parents_of(world)
        events = (world.invoice(), world.credit_note())
        done = [await carrier.applied(event) for event in events]
        world.clock.advance(60)
        before = world.snapshot()
        for knowing in (carrier, Carrier(world)):
            for event, first in zip(events, done, strict=True):
                knowing.customer_events.update(carrier.customer_events)
                again = await knowing.applied(event, look_up_first=True)
                assert again.reference == first.reference
        assert world.snapshot() == before
        assert world.writes().count(world.shape.booking) == 2

    place.run(story)


def test_an_invoice_and_a_credit_note_of_one_number_are_told_apart(place: Place) -> None:
    """The sign decides (contracts dkplus A11.3, sparebank1-regnskap 12.2)."""

    async def story(world: World) -> None:
        carrier = await parents_of(world)
        first = await carrier.applied(world.invoice())
        world.clock.advance(60)
        credit = world.credit_note(number=world.invoice().number)
        # For the ledger one number is one booking; here only what the books answer counts.
        second = await carrier.applied(credit, itself=None, look_up_first=True)
        assert second.reference != first.reference
        assert len(world.bookings(credit.number)) == 2

    place.run(story)


def test_an_invoice_is_found_where_it_is_and_absent_where_it_is_not(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await parents_of(world)
        done = await carrier.applied(world.invoice())
        world.clock.advance(60)
        runner = world.runner()
        found = await runner.find(EntityType.INVOICE, world.invoice().number, world.here)
        assert found.verdict == Found(reference=done.reference)
        assert (await runner.find(EntityType.INVOICE, "77", world.here)).verdict == Absent()

    place.run(story)
