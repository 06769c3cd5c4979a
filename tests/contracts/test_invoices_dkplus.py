"""Sales invoices in DK+, to the króna."""

from decimal import Decimal

import msgspec

from connectors.port import Applied
from schemas.events import Account, ProductType
from tests.contracts.carrier import Carrier, parents_of
from tests.contracts.dkplus_world import KENNITALA, DkPlusWorld
from tests.contracts.world import Place

changed = msgspec.structs.replace


def test_an_invoice_carries_kennitala_sales_person_and_reference(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        carrier = await parents_of(world)
        done = await carrier.applied(world.invoice())
        (booked,) = world.bookings("10457")
        expected = {"kennitala": KENNITALA, "sales person": "web", "reference": "10457"}
        assert booked.more == expected
        assert done.warnings == ["invoice-number-differs"]

    dkplus.run(story)


def test_quantities_surcharges_and_discounts_arrive(dkplus: Place) -> None:
    """The price sent is the one after the surcharge; a discount goes as a percent (A11.6)."""

    async def story(world: DkPlusWorld) -> None:
        carrier = await parents_of(world)
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
        carrier = await parents_of(world)
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
        carrier = await parents_of(world)
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
        carrier = await parents_of(world)
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
        await parents_of(world)
        nobody = Carrier(world)
        done = await nobody.applied(world.invoice())
        assert isinstance(done.verdict, Applied)
        (booked,) = world.bookings("10457")
        assert booked.more["kennitala"] == KENNITALA

    dkplus.run(story)
