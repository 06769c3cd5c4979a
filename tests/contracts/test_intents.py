"""No write without its intent on disk, and none that was not allowed to leave."""

import asyncio
import gc

import pytest

from connectors.attempts import Attempt, SendPermit
from connectors.port import Applied, Dropped, Intent, Verdict
from connectors.simulation_faults import FaultKind, FaultRule
from tests.contracts.carrier import Carrier
from tests.contracts.places import EVERYWHERE
from tests.contracts.world import Place, World
from tests.contracts.writes import WriteCase, cases_at

CASES = [
    pytest.param(place, case, id=f"{place.id}-{case.id}")
    for place in EVERYWHERE
    for case in cases_at(place.id)
]


@pytest.mark.parametrize(("place", "case"), CASES)
def test_an_intent_is_written_down_before_each_write_leaves(place: Place, case: WriteCase) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        await case.prepare(world, carrier)
        before = len(world.writes())
        left_at_intent: list[int] = []

        async def intend(intent: Intent) -> SendPermit | None:
            left_at_intent.append(len(world.writes()) - before)
            assert intent.kind
            assert intent.key
            return await carrier.intend(intent)

        attempt = await world.runner().deliver(carrier.job(case.event(world)), intend)
        assert isinstance(attempt.verdict, Applied)
        assert attempt.wrote
        assert left_at_intent == list(range(len(left_at_intent)))
        assert len(world.writes()) - before == len(left_at_intent)

    place.run(story)


@pytest.mark.parametrize(("place", "case"), CASES)
def test_a_refused_intent_sends_nothing_and_costs_no_attempt(place: Place, case: WriteCase) -> None:
    """The lane is not ours any more: the new owner may be sending this very write."""

    async def story(world: World) -> None:
        carrier = Carrier(world)
        await case.prepare(world, carrier)
        kind = case.kinds[0]
        mine = ("voucher.book", "invoice.book") if case.kinds[0] == "voucher.book" else (kind,)

        async def intend(intent: Intent) -> SendPermit | None:
            moves = intent.kind == "project.move" and kind == "project.StartProject"
            if intent.kind in mine or moves:
                return None
            return await carrier.intend(intent)

        before = [one for one in world.writes() if one in case.kinds]
        attempt = await world.runner().deliver(carrier.job(case.event(world)), intend)
        assert attempt.verdict == Dropped()
        assert [one for one in world.writes() if one in case.kinds] == before

    place.run(story)


@pytest.mark.parametrize(("place", "case"), CASES)
def test_a_permit_that_ran_out_sends_nothing(place: Place, case: WriteCase) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        await case.prepare(world, carrier)
        before = world.writes()

        async def intend(_intent: Intent) -> SendPermit | None:
            return SendPermit(world.clock.elapsed() - 0.001)

        attempt = await world.runner().deliver(carrier.job(case.event(world)), intend)
        assert attempt.verdict == Dropped()
        assert not attempt.wrote
        assert world.writes() == before

    place.run(story)


def test_a_question_writes_nothing_whatever_it_finds(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.project())
        await carrier.applied(world.invoice())
        before, intents = world.snapshot(), list(carrier.intents)
        for event in (world.customer(), world.project(), world.invoice()):
            for intent in intents:
                await world.runner().resolve(carrier.job(event), intent)
        assert world.snapshot() == before

    place.run(story)


def test_many_deliveries_at_once_leave_each_record_once(place: Place) -> None:
    """Twenty at once share tokens, reads and connections; none of them is mixed up."""

    async def story(world: World) -> None:
        carrier = Carrier(world)
        first = int(world.customer().number)
        names = {str(first + n): f"Nr. {n}" for n in range(20)}
        jobs = [
            carrier.job(world.customer(number=number, name=name, organisation_number=None))
            for number, name in names.items()
        ]
        attempts = await asyncio.gather(*(carrier.try_once(job) for job in jobs))
        assert all(isinstance(attempt.verdict, Applied) for attempt in attempts)
        for number, name in names.items():
            assert [row["name"] for row in world.customers(number)] == [name]

    place.run(story)


def test_a_cancelled_delivery_leaves_an_intent_and_nothing_open(place: Place) -> None:
    """Shutdown: the runner may be cancelled at any moment, and no connection outlives it."""

    async def story(world: World) -> None:
        carrier = Carrier(world)
        world.set_faults(
            FaultRule(fault=FaultKind.COMMIT_NO_ANSWER, kind="customer.create", seconds=30.0)
        )
        task: asyncio.Task[Attempt[Verdict]] = asyncio.create_task(
            carrier.deliver(world.customer())
        )
        async with asyncio.timeout(5.0):
            while not world.customers(world.customer().number):  # noqa: ASYNC110 - sets no event
                await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [intent.kind for intent in carrier.intents] == ["customer.create"]

    place.run(story)
    gc.collect()  # what was not closed warns now, and a warning is an error
