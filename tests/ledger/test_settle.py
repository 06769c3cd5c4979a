"""What becomes of an attempt: written once, told once (design sections 4, 6 and 7)."""

import msgspec
import pytest

from schemas.events import Entity
from schemas.failures import Change, Failure, FailureCode, Notable, Reference, WarningCode
from streams.core.conclude import Result, What
from streams.ledger.outbox import mark_published, unpublished
from streams.ledger.rows import StoredDelivery
from streams.ledger.rules import UnreadableEventError
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    DOWN,
    DROPPED,
    REFUSED,
    RETRY,
    SB1,
    applied,
    customer,
    invoice,
    project,
)
from tests.ledger.stage import Stage
from tests.ledger.workers import both


def test_what_is_applied_is_known_and_told(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=(customer(), 3))
        settled = await s.worker.settle((await s.worker.claim())["c"], applied("812"))
        assert (settled.state, settled.lost) == ("applied", False)
        row = s.entity("customer", "100042")
        assert row.in_books
        assert not row.dirty
        assert (row.applied_sequence, row.claimed_by) == (3, None)
        (told,) = s.outcomes("c")
        assert (told["outcome"], told["final"], told["attempts"]) == ("applied", True, 1)
        assert told["reference"] == {"id": "id-812", "number": "812"}
        assert len(s.rows("SELECT * FROM attempts")) == 1

    tell(story)


def test_settling_twice_writes_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        await s.worker.settle(claimed, applied())
        assert (await s.worker.settle(claimed, applied())).lost
        assert s.kinds("c") == ["applied"]
        assert len(s.rows("SELECT * FROM attempts")) == 1

    tell(story)


def test_settling_twice_in_one_commit_writes_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), d=customer("100043"))
        claimed = await s.worker.claim()
        operation = s.worker._settle
        items = [
            s.worker.settlement(claimed[one], result)
            for one, result in (("c", applied()), ("d", applied()), ("c", REFUSED))
        ]
        told = await both(*(s.ledger.submit(operation, item) for item in items))
        assert sorted(one.lost for one in told) == [False, False, True]
        assert s.kinds("c") == ["applied"]
        assert s.kinds("d") == ["applied"]

    tell(story)


def test_every_delivery_has_one_final_outcome_with_an_id_of_its_own(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(
            c=customer(),
            p=project(),
            i=invoice(),
            j=invoice("1002"),
            same=customer(),
            k=customer("1"),
        )
        claimed = await s.worker.claim_all()
        await s.worker.settle(claimed["same"], applied())
        claimed |= await s.worker.claim_all()
        await s.worker.settle(claimed["p"], applied("7"))
        await s.worker.settle(claimed["i"], REFUSED)
        await s.worker.settle(claimed["j"], RETRY)
        await s.worker.settle(claimed["k"], applied("1"))
        s.go_on(5)
        await s.worker.tick()
        await s.worker.deliver("j")
        told = s.outcomes()
        assert len({one["id"] for one in told}) == len(told)
        final = [one["event"]["id"] for one in told if one["final"]]
        assert sorted(final) == ["c", "i", "j", "k", "p", "same"]
        for ce_id in final:
            (mine,) = [one for one in s.outcomes(ce_id) if one["final"]]
            assert s.delivery(ce_id).final_id == mine["id"]

    tell(story)


def test_outcome_ids_are_the_same_in_every_ledger(tell: Tell) -> None:
    """A transaction that is run again after a lost connection must not make a new fact."""

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.deliver("c", result=REFUSED)
        assert s.outcomes("c")[0]["id"] == OUTCOME_OF_C

    tell(story)


OUTCOME_OF_C = "8d992842-4d25-3495-19fa-f211feae0c8c.dead.1"


def test_a_refusal_is_dead_with_a_letter_and_the_whole_event(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        record = s.record("c", customer())
        await s.take_records(record)
        claimed = (await s.worker.claim())["c"]
        await s.worker.settle(claimed, REFUSED, answer='400 {"message": "no such account"}')
        (letter,) = s.letters()
        assert letter["moment-sync-code"] == "account-unknown"
        assert letter["moment-sync-attempts"] == "1"
        assert letter["moment-sync-response"] == '400 {"message": "no such account"}'
        assert letter["moment-sync-delivery-id"] == s.delivery("c").delivery_id
        row = s.rows("SELECT * FROM outbox WHERE topic = 'moment-sync.deadletters'")[0]
        assert (row.key, row.value) == (record.key, record.value)

    tell(story)


def test_a_transient_failure_is_due_and_comes_again(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        settled = await s.worker.settle((await s.worker.claim())["c"], RETRY)
        assert (settled.state, settled.act_in) == ("due", 0.75)
        assert await s.worker.claim() == {}
        s.go_on(0.7)
        ticked = await s.worker.tick()
        assert (ticked.integrations, ticked.next_act_at) == (frozenset(), 1_000.75)
        s.go_on(0.1)
        assert (await s.worker.tick()).integrations == {SB1.id}
        await s.worker.deliver("c")
        assert s.outcomes("c")[0]["attempts"] == 2

    tell(story)


def test_a_failure_stops_its_own_entity_alone(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), d=customer("100043"))
        claimed = await s.worker.claim()
        await s.worker.settle(claimed["c"], RETRY)
        await s.worker.settle(claimed["d"], applied())
        assert s.states() == {"c": "due", "d": "applied"}

    tell(story)


def test_a_newer_state_overtakes_one_that_is_due(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a", result=RETRY)
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b")
        s.go_on(400)
        await s.worker.tick()
        assert s.states() == {"a": "superseded", "b": "applied"}

    tell(story)


def test_retrying_is_told_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        for _ in range(14):
            await s.worker.settle((await s.worker.claim())["c"], RETRY)
            s.go_on(301)
            await s.worker.tick()
        assert s.kinds("c") == ["retrying"]
        assert s.outcomes("c")[0]["failure"]["code"] == "system-unavailable"

    tell(story)


def test_retries_end_as_a_letter_that_names_the_last_failure(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        policy = msgspec.structs.replace(s.worker.settlement(claimed, RETRY).policy, retry_for=0.5)
        settled = await s.worker.settle(claimed, RETRY, policy=policy)
        assert settled.state == "dead"
        failure = s.outcomes("c")[0]["failure"]
        assert (failure["code"], failure["class"]) == ("retries-exhausted", "transient")
        assert failure["parameters"]["lastCode"] == DOWN.code

    tell(story)


def test_what_was_dropped_is_sent_again_soon_at_no_cost(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        await s.worker.intend(claimed)
        await s.worker.settle(claimed, DROPPED)
        row = s.delivery("c")
        assert (row.state, row.attempts, row.intent, row.send_by) == ("due", 0, None, None)
        s.go_on(2)
        await s.worker.tick()
        assert set(await s.worker.claim()) == {"c"}

    tell(story)


def test_a_newer_state_withdraws_the_dead_one(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a", result=REFUSED)
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b")
        assert s.states() == {"a": "withdrawn", "b": "applied"}
        assert s.outcomes("b")[0]["withdraws"] == [s.delivery("a").delivery_id]
        assert s.kinds("a") == ["dead"]

    tell(story)


def test_a_newer_state_that_dies_withdraws_nothing(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a", result=REFUSED)
        await s.take(b=customer(name="B"))
        await s.worker.deliver("b", result=REFUSED)
        assert s.states() == {"a": "dead", "b": "dead"}

    tell(story)


def test_manual_is_told_with_its_changes_and_is_never_unchanged_after(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), p=project(name="Old"))
        await s.worker.deliver("c", "p")
        await s.take(q=project(name="New"))
        manual = Result(
            what=What.MANUAL,
            reference=Reference(id="7", number="7"),
            changes=(Change(field="name", from_="Old", to="New"),),
        )
        await s.worker.deliver("q", result=manual)
        (told,) = s.outcomes("q")
        assert told["manual"]["changes"] == [{"field": "name", "from": "Old", "to": "New"}]
        await s.take(r=project(name="Old"))
        assert set(await s.worker.claim()) == {"r"}

    tell(story)


def test_warnings_of_the_attempt_are_told(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        warned = msgspec.structs.replace(
            applied(),
            warnings=(Notable(code=WarningCode.PROJECT_NOT_KEPT, parameters={"project": "7"}),),
        )
        await s.worker.deliver("c", result=warned)
        assert [w["code"] for w in s.outcomes("c")[0]["warnings"]] == ["project-not-kept"]

    tell(story)


def test_an_invoice_waits_five_seconds_for_its_customers_kennitala(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        missing = Result(
            what=What.REFUSED,
            failure=Failure(code=FailureCode.KENNITALA_MISSING, parameters={"number": "100042"}),
        )
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        settled = await s.worker.settle(
            (await s.worker.claim())["i"], missing, customer_known=False
        )
        assert (settled.state, settled.act_in) == ("due", 5.0)
        s.go_on(5.1)
        await s.worker.tick()
        settled = await s.worker.settle(
            (await s.worker.claim())["i"], missing, customer_known=False
        )
        assert settled.state == "dead"
        assert s.outcomes("i")[0]["attempts"] == 1

    tell(story)


def test_the_outbox_gives_what_is_not_published_in_order(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer("1"), b=customer("2"), c=customer("3"))
        claimed = await s.worker.claim()
        for ce_id in ("b", "c", "a"):
            await s.worker.settle(claimed[ce_id], applied())

        def rows(limit: int = 10) -> list[str]:
            found = s.ledger.read_now(lambda c: unpublished(c, "w1", limit))
            return [dict(row.record.headers)["ce_subject"].decode() for row in found]

        first = s.ledger.read_now(lambda c: unpublished(c, "w1", 1))
        assert rows() == ["customer/2", "customer/3", "customer/1"]
        assert rows(2) == ["customer/2", "customer/3"]
        await s.ledger.submit(mark_published, [row.position for row in first])
        assert rows() == ["customer/3", "customer/1"]
        assert s.ledger.read_now(lambda c: unpublished(c, "somebody else", 10)) == []

    tell(story)


def test_an_event_that_cannot_be_read_any_more_is_dead_alone(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer version may refuse what an older one took; nothing else may stand still for it."""

    async def story(s: Stage) -> None:
        await s.take(old=customer("100001"), new=customer("100002"))
        spoilt = s.delivery("old").delivery_id
        read = s.rules.event

        def event(delivery: StoredDelivery) -> Entity:
            if delivery.delivery_id == spoilt:
                raise UnreadableEventError(spoilt)
            return read(delivery)

        monkeypatch.setattr(s.rules, "event", event)
        assert set(await s.worker.claim()) == {"new"}
        assert s.states()["old"] == "dead"
        assert s.outcomes("old")[0]["failure"]["code"] == "answer-not-understood"

    tell(story)
