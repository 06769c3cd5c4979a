"""Two companies in one runner: no token, company key, id or product of one serves the other."""

import asyncio
from decimal import Decimal

import msgspec

from connectors.port import Applied, Refused, Verdict
from schemas.events import EntityType
from tests.contracts.carrier import Carrier
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, World

changed = msgspec.structs.replace


def test_two_companies_at_once_each_get_their_own(place: Place) -> None:
    """Same numbers in both; whatever is looked up, cached and written goes to its own books."""

    async def story(world: World) -> None:
        carriers = {"hér": Carrier(world, world.here), "þar": Carrier(world, world.there)}

        async def whole(name: str, carrier: Carrier) -> None:
            await carrier.applied(world.customer(name=name))
            await carrier.applied(world.project(name=name))
            for number in ("1001", "1003", "1005"):
                event = world.invoice(
                    number=number, description=name, project_number=world.project().number
                )
                await carrier.applied(event)

        await asyncio.gather(*(whole(name, carrier) for name, carrier in carriers.items()))
        for name, carrier in carriers.items():
            at = carrier.integration
            assert [row["name"] for row in world.customers(world.customer().number, at)] == [name]
            assert [row["name"] for row in world.projects(world.project().number, at)] == [name]
            for number in ("1001", "1003", "1005"):
                (booked,) = world.bookings(number, at)
                assert name in booked.text
                assert booked.project == world.project().number

    place.run(story, cold=True)


def test_what_one_company_has_is_absent_in_the_other(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.project())
        await carrier.applied(world.invoice())
        world.clock.advance(60)
        numbers = (world.customer().number, world.project().number, world.invoice().number)
        for entity_type, number in zip(EntityType, numbers, strict=True):
            runner = world.runner()
            here = await runner.find(entity_type, number, world.here)
            there = await runner.find(entity_type, number, world.there)
            assert type(here.verdict).__name__ == "Found"
            assert type(there.verdict).__name__ == "Absent"

    place.run(story)


def test_an_account_locked_in_one_company_is_open_in_the_other(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        world.deed("accounts", {"AccountNumber": 3000, "Locked": True}, world.here)
        verdicts: list[Verdict] = []
        for at in (world.here, world.there, world.here):
            carrier = Carrier(world, at)
            await carrier.applied(world.customer())
            verdicts.append((await carrier.deliver(world.invoice())).verdict)
        assert [type(verdict) for verdict in verdicts] == [Refused, Applied, Refused]

    sparebank1.run(story)


def test_a_products_rate_in_one_company_is_not_the_others(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        product = world.raw(world.there).products["raðgjof"]
        world.raw(world.there).put("product", "raðgjof", {**product, "TaxPercent": Decimal(11)})
        verdicts: list[Verdict] = []
        for at in (world.here, world.there, world.here):
            carrier = Carrier(world, at)
            await carrier.applied(world.customer())
            event = world.invoice(number=f"20{len(verdicts)}")
            verdicts.append((await carrier.deliver(event)).verdict)
        assert [type(verdict) for verdict in verdicts] == [Applied, Refused, Applied]

    dkplus.run(story)
