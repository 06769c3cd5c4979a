"""Vouchers in SpareBank 1 Regnskap, to the øre."""

from decimal import Decimal

import msgspec

from tests.contracts.carrier import parents_of
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, Posting

changed = msgspec.structs.replace


def test_amounts_are_booked_as_moment_has_them(sparebank1: Place) -> None:
    """Gross per line, half an øre away from zero; the customer owes the sum of the gross lines."""

    async def story(world: Sparebank1World) -> None:
        carrier = await parents_of(world)
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
        carrier = await parents_of(world)
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
        carrier = await parents_of(world)
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
        carrier = await parents_of(world)
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
        carrier = await parents_of(world)
        line = world.line("1500", quantity=Decimal("7.5"), unit_price=Decimal(200))
        await carrier.applied(world.invoice(line))
        (booked,) = world.bookings("1001")
        assert booked.lines == (Posting(net=Decimal(1500), text="Prosjektering, 7.5 t"),)

    sparebank1.run(story)


def test_what_a_person_credited_is_not_taken_for_the_booking(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        carrier = await parents_of(world)
        first = await carrier.applied(world.invoice())
        world.deed("credit", {"journalEntryNumber": first.reference.number})
        # The ledger that booked it leaves it alone; one that has lost it finds no booking.
        known = await carrier.applied(world.invoice(), look_up_first=True)
        assert known.reference == first.reference
        again = await carrier.applied(world.invoice(), itself=None, look_up_first=True)
        assert again.reference != first.reference

    sparebank1.run(story)


def test_what_an_older_integration_booked_is_found_and_not_booked_again(sparebank1: Place) -> None:
    """Contract sparebank1-regnskap 12.2: it may have been made under another type."""

    async def story(world: Sparebank1World) -> None:
        carrier = await parents_of(world)
        line = {"account": 3000, "amount": "-12500", "vatCode": "3"}
        body = {"date": "2026-03-10", "invoiceNumber": "1001", "type": 3, "lines": [line]}
        old = world.deed("vouchers", body | {"customerNumber": 100042})
        done = await carrier.applied(world.invoice(), look_up_first=True)
        assert done.reference.number == old["JournalEntryNumber"]
        assert world.shape.booking not in world.writes()

    sparebank1.run(story)
