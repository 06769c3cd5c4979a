"""Projects through the port, judged by what stands in the books afterwards."""

from datetime import date

import msgspec

from connectors.port import Absent, Applied, Found, GateClosed, Manual
from schemas.events import EntityType, ProjectState
from schemas.failures import Change
from streams.core.states import State
from tests.contracts.carrier import Carrier
from tests.contracts.dkplus_world import KENNITALA, DkPlusWorld
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, World

changed = msgspec.structs.replace


def test_a_new_project_stands_under_its_customer(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        event = world.project()
        await carrier.applied(world.customer())
        done = await carrier.applied(event)
        (row,) = world.projects(event.number)
        assert (row["name"], row["customer"]) == (event.name, event.customer_number)
        assert done.reference.number == event.number

    place.run(story)


def test_a_project_whose_customer_is_not_in_the_books_names_it_and_writes_nothing(
    place: Place,
) -> None:
    async def story(world: World) -> None:
        event = world.project()
        story = await Carrier(world).carry(event)
        assert story.state is State.WAITING
        expected = GateClosed(parent_type=EntityType.CUSTOMER, parent_number=event.customer_number)
        assert story.verdict == expected
        assert world.projects(event.number) == []

    place.run(story)


def test_a_project_that_is_there_already_is_adopted(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        event = world.project()
        await carrier.applied(world.customer())
        world.have_project(event.number, event.name, event.customer_number)
        await carrier.applied(event)
        assert len(world.projects(event.number)) == 1

    place.run(story)


def test_the_same_project_again_changes_nothing(place: Place) -> None:
    async def story(world: World) -> None:
        carrier, forgetful = Carrier(world), Carrier(world)
        event = world.project()
        await carrier.applied(world.customer())
        first = await carrier.applied(event)
        before = world.snapshot()
        for again in (await carrier.applied(event), await forgetful.applied(event)):
            assert again.reference == first.reference
        assert world.snapshot() == before

    place.run(story)


def test_a_project_is_found_where_it_is_and_absent_where_it_is_not(place: Place) -> None:
    async def story(world: World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        done = await carrier.applied(world.project())
        runner = world.runner()
        found = await runner.find(EntityType.PROJECT, world.project().number, world.here)
        assert found.verdict == Found(reference=done.reference)
        absent = await runner.find(EntityType.PROJECT, "77", world.here)
        assert absent.verdict == Absent()

    place.run(story)


# --- SpareBank 1 Regnskap --------------------------------------------------------------------


def test_every_field_of_a_project_arrives_changes_and_is_cleared(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.customer(number="100043", name="Den andre"))
        await carrier.applied(world.project())
        assert world.projects("10024") == [
            {
                "name": "Sentrumskvartalet",
                "customer": "100042",
                "state": "inProgress",
                "start": "2026-01-05",
                "end": "2026-12-18",
            }
        ]
        event = world.project(
            name="Nytt navn",
            customer_number="100043",
            state=ProjectState.COMPLETED,
            start_date=date(2026, 2, 1),
            end_date=None,
        )
        await carrier.applied(event)
        assert world.projects("10024") == [
            {
                "name": "Nytt navn",
                "customer": "100043",
                "state": "completed",
                "start": "2026-02-01",
                "end": "",
            }
        ]

    sparebank1.run(story)


def test_a_state_that_nobody_can_go_back_to_is_for_a_person(sparebank1: Place) -> None:
    """Contract sparebank1-regnskap 12.8: no action leads back to registered."""

    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.project())
        done = await carrier.carry(world.project(state=ProjectState.REGISTERED))
        if world.hostile:
            assert isinstance(done.verdict, Manual)
            assert done.verdict.changes == (
                Change(field="state", from_="inProgress", to="registered"),
            )
            assert world.projects("10024")[0]["state"] == "inProgress"
        else:
            assert isinstance(done.verdict, Applied)
            assert world.projects("10024")[0]["state"] == "registered"

    sparebank1.run(story)


# --- DK+ -------------------------------------------------------------------------------------


def test_a_changed_project_is_for_a_person_and_says_what_to_change(dkplus: Place) -> None:
    """Contract moment, DK+: there is no update of projects."""

    async def story(world: DkPlusWorld) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.customer(number="100043", organisation_number="3112992040"))
        first = await carrier.applied(world.project())
        event = world.project(name="Nýtt nafn", customer_number="100043")
        done = await carrier.carry(event)
        assert done.state is State.MANUAL
        assert done.verdict == Manual(
            changes=(
                Change(field="name", from_=world.project().name, to="Nýtt nafn"),
                Change(field="customerNumber", from_=KENNITALA, to="100043"),
            ),
            reference=first.reference,
        )
        assert world.writes().count("project.create") == 1

    dkplus.run(story)


def test_a_change_of_what_dkplus_does_not_carry_is_nothing_to_do(dkplus: Place) -> None:
    """Interface section 4: no manual work for a state that DK+ has no field for."""

    async def story(world: DkPlusWorld) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.project())
        await carrier.applied(changed(world.project(), state=ProjectState.COMPLETED))
        content = world.connector.content
        same = content(changed(world.project(), state=ProjectState.DISCARDED), world.here)
        assert same == content(world.project(), world.here)

    dkplus.run(story)
