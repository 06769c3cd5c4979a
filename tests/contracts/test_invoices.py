"""Invoices through the port, judged to the øre and the króna by what is booked afterwards."""

from decimal import Decimal

import msgspec

from connectors.integrations import DataType
from connectors.port import Absent, Applied, Found, GateClosed, Unchanged
from schemas.events import Account, EntityType, ProductType
from streams.core.states import State
from tests.contracts.carrier import Carrier
from tests.contracts.dkplus_world import KENNITALA, DkPlusWorld
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, Posting, World

changed = msgspec.structs.replace


async def with_parents(world: World, carrier: Carrier | None = None) -> Carrier:
    """A carrier whose customer and project are in the books."""
    carrier = carrier or Carrier(world)
    await carrier.applied(world.customer())
    await carrier.applied(world.project())
    return carrier


def test_an_invoice_is_booked_once_with_everything_on_it(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await with_parents(world)
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
        carrier = await with_parents(world)
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
        carrier = await with_parents(world)
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
        carrier = await with_parents(world)
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
        carrier = await with_parents(world)
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
        carrier = await with_parents(world)
        first = await carrier.applied(world.invoice())
        world.clock.advance(60)
        credit = world.credit_note(number=world.invoice().number)
        second = await carrier.applied(credit, look_up_first=True)
        assert second.reference != first.reference
        assert len(world.bookings(credit.number)) == 2

    place.run(story)


def test_an_invoice_is_found_where_it_is_and_absent_where_it_is_not(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = await with_parents(world)
        done = await carrier.applied(world.invoice())
        world.clock.advance(60)
        runner = world.runner()
        found = await runner.find(EntityType.INVOICE, world.invoice().number, world.here)
        assert found.verdict == Found(reference=done.reference)
        assert (await runner.find(EntityType.INVOICE, "77", world.here)).verdict == Absent()

    place.run(story)


# --- SpareBank 1 Regnskap --------------------------------------------------------------------


def test_amounts_are_booked_as_moment_has_them(sparebank1: Place) -> None:
    """Gross per line, half an øre away from zero; the customer owes the sum of the gross lines."""

    async def story(world: Sparebank1World) -> None:
        carrier = await with_parents(world)
        event = world.invoice(
            world.line("99.99"),
            world.line("0.02", vat_code="31", vat_percent=Decimal(15)),
            world.line("33.33", vat_code="33", vat_percent=Decimal(12)),
            world.line("50", vat_code="6", vat_percent=Decimal(0)),
            total_excl_vat=Decimal("183.34"),
            total_incl_vat=Decimal("212.34"),
        )
        done = await carrier.applied(event)
        (booked,) = world.bookings("1001")
        nets = [Decimal("99.99"), Decimal("0.02"), Decimal("33.33"), Decimal(50)]
        assert [line.net for line in booked.lines] == nets
        assert booked.owed == Decimal("124.99") + Decimal("0.02") + Decimal("37.33") + 50
        assert done.warnings == []

    sparebank1.run(story)


def test_a_difference_of_rounding_is_told_or_posted_where_an_account_is_named(
    sparebank1: Place,
) -> None:
    """Contract sparebank1-regnskap 12.6."""

    async def story(world: Sparebank1World) -> None:
        carrier = await with_parents(world)
        lines = (world.line("0.02"), world.line("0.02"))
        told = await carrier.applied(world.invoice(*lines, total_incl_vat=Decimal("0.05")))
        assert told.warnings == ["amount-differs"]
        rounding = changed(world.here, rounding_account="7740")
        event = world.invoice(*lines, number="1003", total_incl_vat=Decimal("0.05"))
        await carrier.applied(event, integration=rounding)
        assert [one.owed for one in world.bookings("1001")] == [Decimal("0.06")]
        assert [one.owed for one in world.bookings("1003")] == [Decimal("0.05")]

    sparebank1.run(story)


def test_the_payment_id_or_else_the_number_is_what_is_paid_by(sparebank1: Place) -> None:
    """Contract sparebank1-regnskap 12.3."""

    async def story(world: Sparebank1World) -> None:
        carrier = await with_parents(world)
        await carrier.applied(world.invoice())
        await carrier.applied(world.invoice(number="1003", payment_id=None))
        doubted = await carrier.applied(world.invoice(number="1004", payment_id="10011"))
        assert doubted.warnings == ["kid-check-digit"]
        payments = [world.bookings(number)[0].more["payment"] for number in ("1001", "1003")]
        assert payments == ["10017", "1003"]
        assert "10017" in world.bookings("1001")[0].text

    sparebank1.run(story)


def test_a_foreign_invoice_is_booked_in_both_currencies(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        carrier = await with_parents(world)
        event = world.invoice(currency_code="EUR", currency_rate=Decimal("11.4567"))
        await carrier.applied(event)
        (booked,) = world.bookings("1001")
        assert booked.owed == Decimal("143208.75")
        lines = world.running.books(world.here.company_key)["vouchers"][0]["lines"]
        assert sum(line["amountCurrency"] for line in lines) == 0
        assert {line["currency"] for line in lines} == {"EUR"}

    sparebank1.run(story)


def test_a_quantity_stands_in_the_text_of_the_journal(sparebank1: Place) -> None:
    """Interface section 2: where the books have no quantity it stands in the text."""

    async def story(world: Sparebank1World) -> None:
        carrier = await with_parents(world)
        line = world.line("1500", quantity=Decimal("7.5"), unit_price=Decimal(200))
        await carrier.applied(world.invoice(line))
        (booked,) = world.bookings("1001")
        assert booked.lines == (Posting(net=Decimal(1500), text="Prosjektering, 7.5 t"),)

    sparebank1.run(story)


def test_what_a_person_credited_is_not_taken_for_the_booking(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        carrier = await with_parents(world)
        first = await carrier.applied(world.invoice())
        world.deed("credit", {"journalEntryNumber": first.reference.number})
        again = await carrier.applied(world.invoice(), look_up_first=True)
        assert again.reference != first.reference

    sparebank1.run(story)


def test_what_an_older_integration_booked_is_found_and_not_booked_again(sparebank1: Place) -> None:
    """Contract sparebank1-regnskap 12.2: it may have been made under another type."""

    async def story(world: Sparebank1World) -> None:
        carrier = await with_parents(world)
        line = {"account": 3000, "amount": "-12500", "vatCode": "3"}
        body = {"date": "2026-03-10", "invoiceNumber": "1001", "type": 3, "lines": [line]}
        old = world.deed("vouchers", body | {"customerNumber": 100042})
        done = await carrier.applied(world.invoice(), look_up_first=True)
        assert done.reference.number == old["JournalEntryNumber"]
        assert world.shape.booking not in world.writes()

    sparebank1.run(story)


# --- DK+ -------------------------------------------------------------------------------------


def test_an_invoice_carries_kennitala_sales_person_and_reference(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        carrier = await with_parents(world)
        done = await carrier.applied(world.invoice())
        (booked,) = world.bookings("10457")
        expected = {"kennitala": KENNITALA, "sales person": "web", "reference": "10457"}
        assert booked.more == expected
        assert done.warnings == ["invoice-number-differs"]

    dkplus.run(story)


def test_quantities_surcharges_and_discounts_arrive(dkplus: Place) -> None:
    """The price sent is the one after the surcharge; a discount goes as a percent (A11.6)."""

    async def story(world: DkPlusWorld) -> None:
        carrier = await with_parents(world)
        event = world.invoice(
            world.line(
                "16200",
                quantity=Decimal(120),
                unit_price=Decimal(150),
                discount_percent=Decimal(10),
            ),
            world.line(
                "10957.5",
                quantity=Decimal("7.5"),
                unit_price=Decimal("1391.4286"),
                surcharge_percent=Decimal(5),
            ),
        )
        done = await carrier.applied(event)
        record = world.raw().sent_as("10457")[0].record
        first, second = record["Lines"]
        assert (first["Quantity"], first["UnitPrice"], first["Discount"]) == (120, 150, 10)
        assert second["UnitPrice"] == Decimal("1461.00003")
        assert abs(record["TotalAmountWithTax"] - Decimal("33675.3")) <= 1
        assert done.warnings == ["invoice-number-differs"]

    dkplus.run(story)


def test_a_missing_product_is_made_with_moments_rate_and_used(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        carrier = await with_parents(world)
        line = world.line(
            "1000",
            product_type=ProductType.PRODUCTS,
            product_number="Bók/50% & Co.",
            product_name="Bók um brýr",
            vat_percent=Decimal(11),
        )
        done = await carrier.applied(world.invoice(line))
        product = world.raw().products["bók/50% & co."]
        assert (product["TaxPercent"], product["Description"]) == (11, "Bók um brýr")
        (booked,) = world.bookings("10457")
        assert booked.owed == 1110
        assert done.warnings == ["invoice-number-differs"]
        await carrier.applied(world.invoice(line, number="10459"))
        assert world.writes().count("product.create") == 1

    dkplus.run(story)


def test_the_item_code_is_taken_from_the_sources_in_their_order(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        carrier = await with_parents(world)
        account = Account(number="3000", vat_code="u1", external_revenue_class="sala")
        for index, (product, line_account, code) in enumerate(
            (
                ("vara-9", account, "vara-9"),
                (None, account, "sala"),
                (None, changed(account, external_revenue_class=None), "u1"),
            )
        ):
            line = world.line("1000", product_number=product, account=line_account)
            await carrier.applied(world.invoice(line, number=f"20{index}"))
            (line_in_books,) = world.raw().sent_as(f"20{index}")[0].record["Lines"]
            assert line_in_books["ItemCode"] == code

    dkplus.run(story)


def test_a_foreign_invoice_goes_with_its_rate(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        carrier = await with_parents(world)
        event = world.invoice(
            world.line("100.10"), currency_code="EUR", currency_rate=Decimal("149.5")
        )
        await carrier.applied(event)
        record = world.raw().sent_as("10457")[0].record
        assert (record["Currency"], record["Exchange"]) == ("EUR", Decimal("149.5"))
        assert record["TotalAmountWithTax"].quantize(Decimal("0.01")) == Decimal("124.12")
        world.clock.advance(60)
        again = await carrier.applied(event, look_up_first=True)
        assert again.reference.number == record["Number"]

    dkplus.run(story)


def test_the_kennitala_is_read_from_the_books_where_no_event_of_the_customer_came(
    dkplus: Place,
) -> None:
    """Interface section 2. In the books it stands in SSNumber, else in the number itself."""

    async def story(world: DkPlusWorld) -> None:
        await with_parents(world)
        nobody = Carrier(world)
        done = await nobody.applied(world.invoice())
        assert isinstance(done.verdict, Applied)
        (booked,) = world.bookings("10457")
        assert booked.more["kennitala"] == KENNITALA

    dkplus.run(story)
