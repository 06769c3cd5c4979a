"""Order and gates, from the outside of the ledger (design section 5)."""

from schemas.failures import Reference
from streams.core.conclude import Result, What
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    ABSENT,
    REFUSED,
    SB1,
    UNSURE,
    applied,
    customer,
    invoice,
    project,
)
from tests.ledger.stage import Stage

UNCHANGED = Result(what=What.UNCHANGED, reference=Reference(id="id-9", number="9"))


def test_independent_customers_go_side_by_side(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer("100001"), b=customer("100002"))
        assert set(await s.worker.claim()) == {"a", "b"}

    tell(story)


def test_the_oldest_are_taken_first_and_no_more_than_wanted(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(**{f"c{n}": customer(str(100_000 + n)) for n in range(30)})
        result = await s.worker.claim_result(s.worker.want(sends=3))
        assert [one.delivery.ce_id for one in result.claimed] == ["c0", "c1", "c2"]
        assert result.more == {SB1.id}
        assert len(await s.worker.claim(most=4)) == 4

    tell(story)


def test_ten_waiting_states_are_one_send_and_nine_superseded(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(**{f"c{n}": customer(name=f"Name {n}") for n in range(10)})
        await s.worker.deliver("c9")
        states = s.states()
        assert states.pop("c9") == "applied"
        assert set(states.values()) == {"superseded"}
        for n in range(9):
            (told,) = s.outcomes(f"c{n}")
            assert told["outcome"] == "superseded"
            assert told["supersededBy"] == {"id": "c9", "source": "/moment/crm"}

    tell(story)


def test_states_that_came_while_one_was_in_flight_fold_into_one(tell: Tell) -> None:
    """That one is never sent is told at once; what is told of the books stays in order."""

    async def story(s: Stage) -> None:
        await s.take(c0=customer(name="0"))
        first = (await s.worker.claim())["c0"]
        await s.take(c1=customer(name="1"), c2=customer(name="2"))
        assert await s.worker.claim() == {}
        await s.worker.settle(first, applied())
        newest = await s.worker.claim()
        assert set(newest) == {"c2"}
        assert s.states() == {"c0": "applied", "c1": "superseded", "c2": "sending"}
        await s.worker.settle(newest["c2"], applied())
        told = [(one["event"]["id"], one["outcome"]) for one in s.outcomes()]
        assert told == [("c1", "superseded"), ("c0", "applied"), ("c2", "applied")]

    tell(story)


def test_an_older_sequence_after_a_newer_one_is_stale(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(new=(customer(name="new"), 5))
        await s.worker.deliver("new")
        await s.take(old=(customer(name="old"), 4))
        assert await s.worker.claim() == {}
        assert s.states() == {"new": "applied", "old": "stale"}
        assert "supersededBy" not in s.outcomes("old")[0]

    tell(story)


def test_the_newest_by_sequence_wins_whatever_the_order_of_arrival(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=(customer(name="a"), 5), b=(customer(name="b"), 7), c=(customer(), 6))
        assert set(await s.worker.claim()) == {"b"}
        assert s.states() == {"a": "superseded", "b": "sending", "c": "stale"}

    tell(story)


def test_a_dead_version_makes_no_other_one_stale(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(new=(customer(name="new"), 5))
        await s.worker.deliver("new", result=REFUSED)
        await s.take(old=(customer(name="old"), 4))
        await s.worker.deliver("old")
        assert s.states() == {"new": "dead", "old": "applied"}

    tell(story)


def test_the_same_content_again_makes_no_call(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer())
        await s.worker.deliver("a")
        await s.take(b=customer())
        assert await s.worker.claim() == {}
        assert s.states() == {"a": "applied", "b": "unchanged"}
        assert s.outcomes("b")[0]["reference"] == {"id": "id-100042", "number": "100042"}

    tell(story)


def test_what_a_connector_found_unchanged_is_what_the_books_hold(tell: Tell) -> None:
    """A → B by hand → B told: unchanged → A told: that is a change, and must be sent."""

    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b", result=UNCHANGED)
        await s.take(again=customer(name="A"))
        assert set(await s.worker.claim()) == {"again"}

    tell(story)


def test_after_a_write_that_failed_the_same_content_is_sent_again(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b", result=REFUSED)
        await s.take(again=customer(name="A"))
        assert set(await s.worker.claim()) == {"again"}

    tell(story)


def test_an_unchanged_state_withdraws_the_dead_ones_before_it(tell: Tell) -> None:
    """A → B dead → A again: the books are as the newest state says, and nobody must act."""

    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b", result=REFUSED)
        await s.take(again=customer(name="A"))
        await s.worker.deliver("again")
        assert s.states() == {"a": "applied", "b": "withdrawn", "again": "applied"}
        await s.take(x=invoice())
        assert (await s.worker.claim())["x"].warnings == ()

    tell(story)


def test_a_project_that_changes_its_customer_waits_for_the_new_one(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), p=project())
        await s.worker.deliver("c", "p")
        await s.take(moved=project(customer_number="100043"), d=customer("100043"))
        await s.worker.deliver("d")
        await s.worker.deliver("moved")
        assert s.states()["moved"] == "applied"

    tell(story)


def test_absence_that_a_look_up_proved_lets_the_newer_state_go(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.settle((await s.worker.claim())["a"], UNSURE)
        await s.take(b=customer(name="B"))
        assert await s.worker.claim_all() == {}
        for wait in (31, 8):
            s.go_on(wait)
            (delivery,) = (await s.worker.tick()).look_ups
            await s.worker.settle_look_up(delivery, ABSENT)
        assert set(await s.worker.claim_all()) == {"b"}
        assert s.states() == {"a": "superseded", "b": "sending"}

    tell(story)
