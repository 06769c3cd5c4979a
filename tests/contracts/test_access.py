"""What concerns a whole integration: tokens, rights, activation, and whose books these are."""

import msgspec

from connectors.port import Hold, Identity
from connectors.simulation_faults import FaultKind, FaultRule
from tests.contracts.carrier import Carrier
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, World

changed = msgspec.structs.replace


def _held(verdict: object, code: str) -> None:
    assert isinstance(verdict, Hold), verdict
    assert (verdict.failure.code.value, verdict.failure.failure_class.value) == (code, "access")


def test_a_cold_start_gets_its_token_and_delivers(place: Place) -> None:
    async def story(world: World) -> None:
        await Carrier(world).applied(world.customer())

    place.run(story, cold=True)


def test_books_are_told_apart_and_stay_the_same(place: Place) -> None:
    async def story(world: World) -> None:
        runner = world.runner()
        here = (await runner.identify(world.here)).verdict
        again = (await runner.identify(world.here)).verdict
        there = (await runner.identify(world.there)).verdict
        assert isinstance(here, Identity)
        assert here == again
        assert here != there

    place.run(story)


def test_a_right_that_is_missing_holds(place: Place) -> None:
    async def story(world: World) -> None:
        world.set_faults(FaultRule(fault=FaultKind.FORBIDDEN, kind="customer.*"))
        _held((await Carrier(world).deliver(world.customer())).verdict, "right-missing")

    place.run(story)


def test_a_401_that_outlives_a_fresh_token_holds_and_asks_for_no_more_tokens(
    sparebank1: Place,
) -> None:
    """Contract sparebank1-regnskap 1.5, 12.9: it is about access, and never a token loop."""

    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        tokens = len(world.running.server.simulator.identity.tokens)
        world.set_faults(FaultRule(fault=FaultKind.UNAUTHORISED, path="/api/biz/*"))
        for _ in range(5):
            _held((await carrier.deliver(world.customer())).verdict, "right-missing")
        assert len(world.running.server.simulator.identity.tokens) <= tokens + 1

    sparebank1.run(story, cold=True)


def test_a_token_that_was_revoked_is_had_anew_without_a_word(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        world.running.server.simulator.identity.revoke()
        attempt = await carrier.deliver(world.customer(name="Nytt"))
        assert getattr(attempt.verdict, "reference", None) is not None
        assert [one.status for one in attempt.exchanges].count(401) == 1

    sparebank1.run(story, cold=True)


def test_a_company_that_is_not_activated_holds_under_its_name(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        world.raw().active = False
        _held((await Carrier(world).deliver(world.customer())).verdict, "not-activated")
        stranger = changed(world.here, company_key="00000000-0a5e-4d0e-9d32-3f2a1f8d8b11")
        _held((await Carrier(world, stranger).deliver(world.customer())).verdict, "not-activated")

    sparebank1.run(story)


def test_a_token_of_dkplus_that_was_revoked_holds(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        books = world.raw()
        books.stands(msgspec.structs.replace(books.standing, token_revoked=True))
        _held((await Carrier(world).deliver(world.customer())).verdict, "credentials-refused")
        assert world.customers(world.customer().number) == []

    dkplus.run(story)
