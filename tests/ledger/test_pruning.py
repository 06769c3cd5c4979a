"""What is deleted in the end, what never is, and what is said of that (design section 6)."""

import asyncio
import itertools
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from schemas.events import EntityType
from streams.ledger import pruning
from streams.ledger.last_states import last_event
from streams.ledger.outbox import mark_published
from streams.ledger.pruning import PRUNE_MOST, SEGMENT_S, Part, Prune, prune
from streams.ledger.pruning_clock import JUMP_S, STEADY_S, Clocks, Trust, judge
from streams.ledger.rules import Moment
from streams.pruning import PRUNE_EVERY_S, Pruner
from tests.conftest import BackgroundErrors
from tests.ledger.conftest import Tell
from tests.ledger.operating import Desk as Orders
from tests.ledger.operating import letter
from tests.ledger.samples import COMPANY, REFUSED, customer, invoice
from tests.ledger.stage import Stage

DAY_S = 86_400.0
RETENTION_S = 90 * DAY_S
TOPICS_S = 30 * DAY_S
IDS = "SELECT ce_id FROM inbox ORDER BY event_pk"
LATER_S = RETENTION_S + SEGMENT_S + DAY_S


class PrunersDesk:
    """As much of a worker's desk as its pruner uses."""

    def __init__(self, s: Stage) -> None:
        self._stage = s
        self.ledger = s.ledger
        self.active = dict(s.worker.epochs)
        self.settings = SimpleNamespace(retention_s=RETENTION_S, topic_retention_s=TOPICS_S)
        self.stopping = False
        self.tasks: list[asyncio.Task[None]] = []

    def now(self) -> Moment:
        return self._stage.now

    def spawn(self, work: Any) -> None:
        self.tasks.append(asyncio.create_task(work))


def pruner_of(s: Stage) -> Pruner:
    return Pruner(PrunersDesk(s))  # type: ignore[arg-type]  # as much of a desk as it needs


async def publish(s: Stage) -> None:
    positions = [row.position for row in s.rows("SELECT position FROM outbox")]
    await s.ledger.submit(mark_published, positions)


def count(s: Stage, table: str) -> int:
    return int(s.rows(f"SELECT count(*) AS n FROM {table}")[0].n)  # noqa: S608 - names of ours


def counts(s: Stage) -> dict[str, int]:
    tables = ("deliveries", "inbox", "outbox", "attempts")
    return {table: count(s, table) for table in tables}


def test_what_is_settled_goes_and_its_last_states_stay(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        for n, name in enumerate(("old", "newer", "last")):
            await s.take(**{name: customer(name=f"Fjord {n}")})
            await s.worker.deliver(name)
        await s.take(i=invoice())
        await s.worker.deliver("i")
        await publish(s)
        before = counts(s)
        assert await pruner_of(s).run() == 0, "all of it is young"
        assert counts(s) == before
        s.go_on(LATER_S)
        await pruner_of(s).run()
        assert counts(s) == {"deliveries": 1, "inbox": 2, "outbox": 0, "attempts": 0}
        assert [row.ce_id for row in s.rows(IDS)] == ["last", "i"]
        assert s.states() == {"last": "applied"}, "it says what the books show of a customer"
        assert s.entity("customer", "100042").in_books
        assert count(s, "bookings") == 1
        found = s.ledger.read_now(lambda c: last_event(c, COMPANY, EntityType.CUSTOMER, "100042"))
        assert found is not None

    tell(story)


def test_the_last_state_by_sequence_stays_though_it_came_first(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(newest=(customer(name="New"), 7))
        await s.worker.deliver("newest")
        await s.take(late=(customer(name="Old"), 3))
        await s.worker.claim_all()
        await publish(s)
        s.go_on(LATER_S)
        await pruner_of(s).run()
        assert [row.ce_id for row in s.rows(IDS)] == ["newest"]

    tell(story)


def test_what_is_dead_or_open_stays_whole(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(d=customer("1"), e=customer("1", name="Other"), w=invoice("9", "77"))
        await s.worker.deliver("e", result=REFUSED)
        await s.take(x=customer("1", name="Third"))
        await s.worker.deliver("x", result=REFUSED)
        await publish(s)
        s.go_on(LATER_S)
        await pruner_of(s).run()
        assert s.states() == {"e": "dead", "w": "waiting", "x": "dead"}, "superseded went"
        assert count(s, "inbox") == 3
        assert count(s, "attempts") == 2
        assert [told["outcome"] for told in s.outcomes()] == ["dead", "dead"]
        # … and can be mended.
        dead = s.delivery("x").delivery_id
        await Orders(s).do("replay", deliveries=(dead,))
        await s.worker.deliver("x")

    tell(story)


def test_what_is_not_published_yet_stays_with_its_delivery(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(i=invoice(), c=customer())
        await s.worker.deliver("c")
        await s.worker.deliver("i")
        s.go_on(LATER_S)
        await pruner_of(s).run()
        assert sorted(s.states()) == ["c", "i"]
        assert len(s.outcomes()) == 2

    tell(story)


def test_an_edited_delivery_that_the_books_show_stays(tell: Tell) -> None:
    """A resync brings over what a person edited, and that stands in the delivery alone."""

    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        await s.worker.deliver("i", result=REFUSED)
        dead = s.delivery("i").delivery_id
        await Orders(s).do("replay", deliveries=(dead,), edit={"paymentId": "1"})
        await s.worker.deliver("i")
        await publish(s)
        s.go_on(LATER_S)
        await pruner_of(s).run()
        assert sorted(s.states()) == ["c", "i"]

    tell(story)


def test_an_event_is_seen_as_the_same_for_as_long_as_kafka_can_give_it_again(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        first = s.record("a", customer(name="A"))
        await s.take_records(first)
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b")
        await publish(s)
        s.go_on(RETENTION_S + SEGMENT_S - DAY_S)
        await pruner_of(s).run()
        assert (await s.take_records(first)).duplicates == 1
        moved = msgspec.structs.replace(first, offset=first.offset + 1_000)
        assert (await s.take_records(moved)).duplicates == 1
        s.go_on(2 * DAY_S)
        await pruner_of(s).run()
        assert [row.ce_id for row in s.rows(IDS)] == ["b"]

    tell(story)


def test_letters_go_when_they_are_discarded_and_stay_when_they_are_dead(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        first = await letter(s)
        await s.take(other=customer("5"))
        ids = [row.letter_id for row in s.rows("SELECT letter_id FROM letters")]
        await Orders(s).do("discard", deliveries=(first,))
        await publish(s)
        s.go_on(LATER_S)
        await pruner_of(s).run()
        left = [row.letter_id for row in s.rows("SELECT letter_id FROM letters")]
        assert left == [one for one in ids if one != first]

    tell(story)


def test_every_transaction_is_bounded(tell: Tell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(s: Stage) -> None:
        monkeypatch.setattr(pruning, "PRUNE_MOST", 3)
        numbers = [str(n) for n in range(2001, 2011)]
        await s.take(c=customer())
        await s.worker.deliver("c")
        await s.take(**{f"i{n}": invoice(n) for n in numbers})
        await s.worker.deliver(*(f"i{n}" for n in numbers))
        await publish(s)
        s.go_on(LATER_S)
        commits = s.ledger.commits
        await pruner_of(s).run()
        assert count(s, "deliveries") == 1
        # The clocks, and per stage as many as it takes: 11 outcomes, 11 attempts, 10 deliveries.
        assert s.ledger.commits - commits == 1 + 4 + 4 + 4

    assert PRUNE_MOST == 500
    tell(story)


def test_only_the_owner_deletes(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        await s.worker.deliver("i")
        await publish(s)
        s.go_on(LATER_S)
        late = pruner_of(s)
        s.worker.name = "w2"
        await s.worker.own()
        before = counts(s)
        assert await late.run() == 0
        keys = tuple(row.position for row in s.rows("SELECT position FROM outbox"))
        for epoch in (0, 1):
            item = Prune(part=Part.OUTCOMES, keys=keys, before=s.now.wall, epochs={0: epoch})
            assert await s.ledger.submit(prune, item) == 0
        assert counts(s) == before

    tell(story)


def test_nothing_is_deleted_after_the_wall_clock_has_jumped(
    tell: Tell, background_errors: BackgroundErrors
) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        await s.worker.deliver("i")
        await publish(s)
        await pruner_of(s).run()
        s.go_on(3600)
        s.now = msgspec.structs.replace(s.now, wall=s.now.wall + LATER_S)
        before = counts(s)
        assert await pruner_of(s).run() == 0
        s.go_on(3600)
        assert await pruner_of(s).run() == 0
        assert counts(s) == before
        s.go_on(STEADY_S)
        assert await pruner_of(s).run() > 0
        assert background_errors.take("pruning_stopped") != []

    tell(story)


def test_what_stays_open_too_long_is_said_once_a_day(
    tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(s: Stage) -> None:
        await s.take(d=customer("1"), w=invoice("9", "77"))
        await s.worker.deliver("d", result=REFUSED)
        await s.worker.claim_all()
        said = []
        for _ in range(26 * 2):
            await pruner_of(s).run()
            said.append(sum(r.__dict__.get("action") == "retention_alarm" for r in caplog.records))
            s.go_on(DAY_S / 2)
        assert said[2 * 23 - 1] == 0
        assert said[-1] == 2
        (last,) = {r.__dict__["states"] for r in caplog.records if "states" in r.__dict__}
        assert last == "dead 1, waiting 1"

    with caplog.at_level(logging.WARNING):
        tell(story)


def test_an_hour_lies_between_two_rounds(tmp_path: Path) -> None:
    from tests.ledger.conftest import play

    async def story(s: Stage) -> None:
        desk = PrunersDesk(s)
        pruner = Pruner(desk)  # type: ignore[arg-type]  # as much of a desk as it needs
        begun = []
        for _ in range(4):
            pruner.look(s.now)
            begun.append(len(desk.tasks))
            s.go_on(PRUNE_EVERY_S / 2)
        assert begun == [1, 1, 2, 2]
        await asyncio.gather(*desk.tasks)
        desk.active.clear()
        s.go_on(PRUNE_EVERY_S)
        pruner.look(s.now)
        assert len(desk.tasks) == 2, "the lane is not ours"

    play(f"sqlite:///{tmp_path / 'ledger.db'}", story)


# --- the clocks ------------------------------------------------------------------------------


def at(wall: float, elapsed: float, boot: str = "a") -> Moment:
    return Moment(wall=wall, elapsed=elapsed, boot=boot)


def look_on(*moments: Moment) -> list[Trust]:
    last: Clocks | None = None
    found = []
    for moment in moments:
        last, trust = judge(last, moment)
        found.append(trust)
    return found


@pytest.mark.parametrize("jump", [JUMP_S + 1, -JUMP_S - 1])
def test_a_jump_of_more_than_a_day_is_seen_either_way(jump: float) -> None:
    trusts = look_on(at(1e9, 0), at(1e9 + 3600, 3600), at(1e9 + 7200 + jump, 7200))
    assert [trust.jumped_by for trust in trusts] == [None, None, jump]


def test_a_clock_that_drifts_or_a_machine_that_slept_has_not_jumped() -> None:
    hours = range(1000)
    drifting = [at(1e9 + h * 3600 * 1.5, h * 3600.0) for h in hours]
    assert {trust.jumped_by for trust in look_on(*drifting)} == {None}


def test_a_clock_that_comes_back_is_trusted_again() -> None:
    off = 10 * DAY_S
    trusts = look_on(at(1e9, 0), at(1e9 + off, 0), at(1e9 + off + 9, 9), at(1e9 + 10, 10))
    assert [trust.jumped_by is None for trust in trusts] == [True, False, False, True]


def test_after_a_restart_a_clock_that_went_back_is_not_trusted() -> None:
    ahead = look_on(at(1e9, 500), at(1e9 + 30 * DAY_S, 5, "b"))
    assert ahead[-1].jumped_by is None, "the machine may have been off for a month"
    back = look_on(at(1e9, 500), at(1e9 - 30 * DAY_S, 5, "b"), at(1e9 - 29 * DAY_S, DAY_S, "b"))
    assert [trust.jumped_by is None for trust in back] == [True, False, False]


def test_the_daily_word_comes_once_a_day_whatever_the_clock_does() -> None:
    hours = [at(1e9 + h * 3600, h * 3600.0) for h in range(48)]
    assert sum(trust.daily for trust in look_on(*hours)) == 2
    assert look_on(at(1e9, 0), at(1e9 - 9 * DAY_S, 3600))[-1].daily


def test_stages_go_from_what_belongs_to_what_it_belongs_to() -> None:
    order = list(Part)
    for first, second in itertools.pairwise(
        (Part.OUTCOMES, Part.ATTEMPTS, Part.DELIVERIES, Part.EVENTS)
    ):
        assert order.index(first) < order.index(second)
