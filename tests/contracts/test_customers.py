"""Customers through the port, judged by what stands in the books afterwards."""

import msgspec
import pytest

from connectors.port import Absent, Applied, Found, Retry
from schemas.events import Address, CustomerStatus, EntityType
from schemas.failures import Reference
from tests.contracts.carrier import Carrier
from tests.contracts.dkplus_world import KENNITALA, DkPlusWorld
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, World, customer_as_booked

changed = msgspec.structs.replace


def test_every_field_of_a_new_customer_arrives(place: Place) -> None:
    async def story(world: World) -> None:
        event = world.customer()
        done = await Carrier(world).applied(event)
        assert world.customers(event.number) == [customer_as_booked(world, event)]
        assert done.reference.number == event.number
        assert done.warnings == []

    place.run(story)


def test_every_field_of_a_changed_customer_arrives(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        first = await carrier.applied(world.customer())
        event = world.customer(
            name="Nýtt nafn — Ørsta & Sønner",
            organisation_number="999888771" if world.system == "sparebank1" else "3112992040",
            email="ny@nordlys.example",
            website="https://ny.example",
            phone="11223344",
            fax="11223345",
            currency_code="EUR",
            country_code="NO",
            address=Address(
                line1="Nygata 2", line2="c/o Ås", postal_code="5003", city="Ålesund",
                country_code="SE",
            ),
        )  # fmt: skip
        second = await carrier.applied(event)
        assert world.customers(event.number) == [customer_as_booked(world, event)]
        assert second.reference == first.reference

    place.run(story)


def test_a_bare_customer_arrives_and_gets_its_fields_later_once_each(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        bare = changed(
            world.customer(),
            **dict.fromkeys(
                ("organisation_number", "email", "website", "phone", "fax", "currency_code")
            ),
            country_code=None,
            address=None,
        )
        await carrier.applied(bare)
        assert world.customers(bare.number)[0]["name"] == bare.name
        for _ in range(2):
            await carrier.applied(world.customer())
            expected = customer_as_booked(world, world.customer())
            assert world.customers(bare.number) == [expected]

    place.run(story)


def test_what_became_empty_in_moment_is_cleared_where_we_had_put_it(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        event = world.customer(
            organisation_number=None,
            email=None,
            website=None,
            phone=None,
            fax=None,
            address=Address(line1="Storgata 1"),
        )
        await carrier.applied(event)
        assert world.customers(event.number) == [customer_as_booked(world, event)]

    place.run(story)


def test_the_accountants_own_fields_survive_a_change(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        event = world.customer()
        await carrier.applied(event)
        before = world.accountants_own(event.number)
        await carrier.applied(changed(event, name="Annet navn", phone=None, email=None))
        assert world.accountants_own(event.number) == before

    place.run(story)


def test_a_customer_that_is_there_already_is_adopted_and_nothing_of_it_is_cleared(
    place: Place,
) -> None:
    async def story(world: World) -> None:
        event = world.customer(phone=None)
        world.have_customer(event.number, phone="99887766")
        done = await Carrier(world).applied(event)
        (row,) = world.customers(event.number)
        assert row == customer_as_booked(world, event) | {"phone": "99887766"}
        assert done.reference.number == event.number

    place.run(story)


def test_the_same_customer_again_changes_nothing(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        event = world.customer()
        first = await carrier.applied(event)
        before = world.snapshot()
        again = await carrier.applied(event)
        assert again.reference == first.reference
        assert world.snapshot() == before

    place.run(story)


def test_the_same_customer_by_a_ledger_that_has_forgotten_it_changes_nothing(place: Place) -> None:
    async def story(world: World) -> None:
        event = world.customer()
        first = await Carrier(world).applied(event)
        before = world.snapshot()
        again = await Carrier(world).applied(event, look_up_first=True)
        assert again.reference == first.reference
        assert world.snapshot() == before

    place.run(story)


def test_a_reference_that_leads_nowhere_is_forgotten_and_looked_for_again(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        event = world.customer()
        first = await carrier.applied(event)
        gone = Reference(id="999999", number="999999")
        again = await carrier.applied(changed(event, name="Annað"), itself=gone)
        assert again.reference == first.reference
        assert [row["name"] for row in world.customers(event.number)] == ["Annað"]

    place.run(story)


def test_a_customer_is_found_where_it_is_and_absent_where_it_is_not(place: Place) -> None:
    async def story(world: World) -> None:
        done = await Carrier(world).applied(world.customer())
        runner = world.runner()
        number = world.customer().number
        found = await runner.find(EntityType.CUSTOMER, number, world.here)
        assert found.verdict == Found(reference=done.reference)
        absent = await runner.find(EntityType.CUSTOMER, "100043", world.here)
        assert absent.verdict == Absent()

    place.run(story)


@pytest.mark.parametrize("number", ["..", ".", "x/y?&=", "æ%2F", "' or 1 eq 1"])
def test_a_number_that_is_none_finds_no_customer_and_breaks_nothing(
    place: Place, number: str
) -> None:
    async def story(world: World) -> None:
        await Carrier(world).applied(world.customer())
        found = await world.runner().find(EntityType.CUSTOMER, number, world.here)
        assert isinstance(found.verdict, Absent | Retry), found.verdict

    place.run(story)


# --- SpareBank 1 Regnskap --------------------------------------------------------------------


def test_a_deleted_customer_is_taken_up_again_and_no_second_one_is_made(sparebank1: Place) -> None:
    """Contract sparebank1-regnskap 12.7."""

    async def story(world: Sparebank1World) -> None:
        event = world.customer()
        first = await Carrier(world).applied(event)
        world.mark_deleted(event.number)
        again = await Carrier(world).applied(event)
        assert again.reference == first.reference
        assert len(world.customers(event.number)) == 1

    sparebank1.run(story)


def test_an_organisation_number_that_fails_its_check_is_only_a_warning(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        event = world.customer(organisation_number="123456789")
        done = await Carrier(world).applied(event)
        assert done.warnings == ["organisation-number-check-digit"]
        assert world.customers(event.number)[0]["organisation_number"] == "123456789"

    sparebank1.run(story)


# --- DK+ -------------------------------------------------------------------------------------


def test_a_status_becomes_blocked_or_not(dkplus: Place) -> None:
    """Contract dkplus A11.7."""

    async def story(world: DkPlusWorld) -> None:
        carrier = Carrier(world)
        for status in (*CustomerStatus, *reversed(CustomerStatus)):
            await carrier.applied(world.customer(status=status))
            blocked = world.raw().customers[KENNITALA]["Blocked"]
            assert blocked is (status is CustomerStatus.BLOCKED)

    dkplus.run(story)


def test_the_same_ten_digits_written_otherwise_are_used_and_told(dkplus: Place) -> None:
    """Contract dkplus A11.7: a twin is used, and no second customer is made."""

    async def story(world: DkPlusWorld) -> None:
        world.have_customer("711299-2030")
        done = await Carrier(world).applied(world.customer())
        assert done.warnings == ["customer-twin"]
        assert done.reference == Reference(id="711299-2030", number="711299-2030")
        assert list(world.raw().customers) == ["711299-2030"]
        assert world.raw().customers["711299-2030"]["Name"] == world.customer().name

    dkplus.run(story)


def test_another_number_with_the_same_kennitala_is_told_and_left_alone(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        world.have_customer(KENNITALA, name="Gamli", ssn=KENNITALA)
        done = await Carrier(world).applied(world.customer(number="100042"))
        assert done.warnings == ["customer-twin"]
        assert world.raw().customers[KENNITALA]["Name"] == "Gamli"
        assert world.raw().customers["100042"]["Name"] == world.customer().name

    dkplus.run(story)


def test_a_kennitala_is_doubted_by_its_digit_and_never_stops_the_customer(dkplus: Place) -> None:
    """Contract dkplus A7; interface section 4: not ten digits stops the invoice only."""

    async def story(world: DkPlusWorld) -> None:
        doubtful = await Carrier(world).applied(world.customer(organisation_number="311299-2050"))
        assert doubtful.warnings == ["kennitala-check-digit"]
        wrong = world.customer(number="100043", organisation_number="12345")
        assert isinstance((await Carrier(world).applied(wrong)).verdict, Applied)

    dkplus.run(story)


def test_numbers_that_must_be_escaped_go_as_one_segment(dkplus: Place) -> None:
    """A number encoded twice would be another customer's, and looked for in vain for ever."""

    async def story(world: DkPlusWorld) -> None:
        for number in ("Þór 12", "50%", "a+b", "x:y;z"):
            carrier = Carrier(world)
            event = world.customer(number=number, organisation_number=None)
            await carrier.applied(event)
            await carrier.applied(changed(event, name="Aftur"))
            assert world.raw().customers[number]["Name"] == "Aftur"
            found = await world.runner().find(EntityType.CUSTOMER, number, world.here)
            assert isinstance(found.verdict, Found)

    dkplus.run(story)
