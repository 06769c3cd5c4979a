"""What the command line asks, on both databases."""

from functools import partial

import pytest

from schemas.commands import CommandKind
from schemas.failures import FailureCode
from streams.core.states import State
from streams.ledger import dead as dead_module
from streams.ledger.dead import BadCursorError, Filter, all_dead, dead_page
from streams.ledger.queries import (
    command_states,
    last_said,
    open_command,
    said_about,
    standings,
    where_is,
)
from streams.ledger.story import story_of_delivery, story_of_entity
from tests.ledger.conftest import Tell
from tests.ledger.operating import Desk, die
from tests.ledger.samples import REFUSED, SB1, customer, project
from tests.ledger.stage import Stage


async def dead_of_both_kinds(stage: Stage) -> None:
    """Three customers and three letters, all dead."""
    await stage.take(**{f"c{n}": customer(str(100100 + n)) for n in range(3)})
    await stage.worker.deliver("c0", "c1", "c2", result=REFUSED)
    known, stage.integrations = stage.integrations, {}
    await stage.take(**{f"u{n}": customer(str(100200 + n)) for n in range(3)})
    stage.integrations = known


def test_pages_hold_each_of_the_dead_once_whatever_their_size(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(stage: Stage) -> None:
        await dead_of_both_kinds(stage)
        everything = [d.delivery_id for d in stage.ledger.read_now(_all)]
        assert len(set(everything)) == 6
        for query in (1, 2, 500):
            monkeypatch.setattr(dead_module, "READ_A_QUERY", query)
            for size in (1, 2, 4, 6):
                assert _paged(stage, Filter(), size) == everything

    def _all(connection: object) -> list[dead_module.Dead]:
        return list(all_dead(connection, Filter()))  # type: ignore[arg-type]  # the reader gives a connection

    tell(story)


def _paged(stage: Stage, wanted: Filter, size: int) -> list[str]:
    seen: list[str] = []
    after: str | None = None
    for _ in range(20):
        page = stage.ledger.read_now(partial(dead_page, wanted=wanted, after=after, limit=size))
        seen += [one.delivery_id for one in page.dead]
        if page.next is None:
            return seen
        after = page.next
    raise AssertionError("the pages never end")


def test_a_page_ends_also_where_hardly_anything_fits(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_module, "READ_A_PAGE", 2)

    async def story(stage: Stage) -> None:
        await dead_of_both_kinds(stage)
        unknown = Filter(text=lambda dead: dead.failure.code is FailureCode.COMPANY_UNKNOWN)
        first = stage.ledger.read_now(lambda c: dead_page(c, unknown, after=None, limit=9))
        assert first.dead == ()
        assert first.next is not None
        assert len(_paged(stage, unknown, 9)) == 3

    tell(story)


@pytest.mark.parametrize("cursor", ["", "x:1", "d:", "d:a", "l:topic", "l:topic/a/1"])
def test_a_cursor_that_no_page_gave_is_refused(cursor: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        with pytest.raises(BadCursorError):
            stage.ledger.read_now(lambda c: dead_page(c, Filter(), after=cursor, limit=1))

    tell(story)


def test_standings_count_states_and_find_the_oldest_open_one(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await dead_of_both_kinds(stage)
        came = stage.now.wall
        await stage.take(p=project())
        stage.go_on(60)
        await stage.take(q=project("8"))
        found = stage.ledger.read_now(standings)
        (one,) = found.integrations
        assert one.states == {"dead": 3, "ready": 2}
        assert (one.integration, one.company, one.system) == (SB1.id, "c-1001", "sparebank1")
        assert one.oldest_open_at == came
        assert (found.letters, found.open_commands) == (3, 0)

    tell(story)


def test_what_became_of_a_command_is_found_by_its_id(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        read = stage.ledger.read_now
        assert read(lambda c: last_said(c, [dead])) == {}
        name = await desk.send("replay", deliveries=(dead, "nobody"))
        assert read(lambda c: command_states(c, "/ops", [name, "x"])) == {name: "open"}
        await desk.run()
        assert read(lambda c: command_states(c, "/ops", [name])) == {name: "done"}
        said = read(lambda c: said_about(c, [dead, "nobody"], name))
        assert [one.what for one in said] == ["replayed", "refused"]
        assert set(read(lambda c: last_said(c, [dead]))) == {dead}
        (where,) = read(lambda c: where_is(c, [dead]))
        assert (where.state, where.settled) == (State.READY, False)
        resync = await desk.send("resync", integration=SB1.id)
        found = read(lambda c: open_command(c, CommandKind.RESYNC, SB1.id))
        assert found is not None
        assert found.id == resync

    tell(story)


def test_a_story_has_every_attempt_outcome_and_act_of_all_versions(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(a=customer())
        dead = await die(stage, "a")
        stage.go_on(1)
        await Desk(stage).do("replay", deliveries=(dead,))
        stage.go_on(1)
        await stage.worker.deliver("a")
        stage.go_on(1)
        await stage.take(b=customer(name="Vik"))
        await stage.worker.deliver("b")
        read = stage.ledger.read_now
        found = read(lambda c: story_of_entity(c, "c-1001", "customer", "100042"))
        assert found is not None
        assert found.whole
        whats = [line.what for line in found.lines]
        assert whats == [
            *("event", "delivery", "attempt", "outcome"),
            *("replayed", "attempt", "outcome"),
            *("event", "delivery", "attempt", "outcome"),
        ]
        (known,) = found.known
        assert known.in_books
        alone = read(lambda c: story_of_delivery(c, dead))
        assert alone is not None
        assert [line.what for line in alone.lines] == whats[:7]
        assert read(lambda c: story_of_entity(c, "c-1001", "customer", "9")) is None
        assert read(lambda c: story_of_delivery(c, "nobody")) is None

    tell(story)
