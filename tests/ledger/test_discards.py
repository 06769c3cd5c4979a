"""Discard, and letters of what never became a delivery."""

import msgspec

from streams.core.conclude import Result, What
from streams.core.replays import MOST_REPLAYS
from tests.ledger.conftest import Tell
from tests.ledger.operating import Desk, die, letter
from tests.ledger.samples import DK, REFUSAL, SB1, customer, invoice, project
from tests.ledger.stage import Stage


def test_what_is_discarded_names_the_outcome_that_it_replaces(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        first = stage.delivery("c").final_id
        ((what, _, detail),) = await desk.do("discard", deliveries=(dead,))
        assert what == "discarded"
        assert detail["was"] == "dead"
        last = stage.outcomes("c")[-1]
        assert (last["outcome"], last["final"], last["replayOf"]) == ("discarded", True, first)
        again = await desk.refusal("discard", deliveries=(dead,))
        assert again["reason"] == "not-dead"

    tell(story)


def test_a_delivery_that_waits_can_be_discarded_and_replaces_nothing(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(p=project())
        await stage.worker.claim_all()
        assert stage.states()["p"] == "waiting"
        waiting = stage.delivery("p").delivery_id
        await Desk(stage).do("discard", deliveries=(waiting,))
        (only,) = stage.outcomes("p")
        assert only["outcome"] == "discarded"
        assert "replayOf" not in only

    tell(story)


def test_a_command_that_names_no_deliveries_is_refused_with_a_word(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        for kind in ("replay", "discard"):
            refused = await Desk(stage).refusal(kind, integration=SB1.id)
            assert "names no deliveries" in refused["text"]

    tell(story)


def test_what_is_in_flight_is_not_discarded(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer())
        await stage.worker.claim()
        sending = stage.delivery("c").delivery_id
        refused = await Desk(stage).refusal("discard", deliveries=(sending,))
        assert refused["reason"] == "in-flight"

    tell(story)


def test_a_newer_invoice_goes_when_the_older_one_of_its_number_is_discarded(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer())
        await stage.worker.deliver("c")
        await stage.take(i=invoice(), j=invoice(amount=2000))
        first = (await stage.worker.claim())["i"]
        await stage.worker.settle(first, Result(what=What.RETRY, failure=REFUSAL))
        await stage.worker.claim_all()
        assert stage.states() == {"c": "applied", "i": "due", "j": "waiting"}
        await Desk(stage).do("discard", deliveries=(stage.delivery("i").delivery_id,))
        await stage.worker.tick()
        assert stage.states()["j"] == "ready"

    tell(story)


def test_a_letter_of_an_unknown_company_becomes_deliveries_once_it_is_set_up(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        name = await letter(stage)
        refused = await desk.refusal("replay", deliveries=(name,))
        assert refused["reason"] == "company-unknown"
        stage.integrations = {SB1.id: SB1, DK.id: DK}
        said = await desk.do("replay", deliveries=(name,))
        assert said[0][0] == "replayed"
        assert len(said[0][2]["opened"]) == 2
        assert stage.states() == {"c": "ready"}
        await stage.worker.deliver("c")
        assert (await desk.refusal("replay", deliveries=(name,)))["reason"] == "not-dead"

    tell(story)


def test_a_letter_does_not_set_a_customer_back(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        name = await letter(stage)
        stage.integrations = {SB1.id: SB1}
        stage.go_on(5)
        await stage.take(new=customer(name="Vik"))
        refused = await Desk(stage).refusal("replay", deliveries=(name,))
        assert refused["reason"] == "stale"

    tell(story)


def test_letters_of_one_customer_are_replayed_in_the_order_they_came(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.integrations = {}
        await stage.take(a=customer(name="A"), b=customer(name="B"))
        rows = stage.rows('SELECT letter_id FROM letters ORDER BY "offset"')
        stage.integrations = {SB1.id: SB1}
        said = await Desk(stage).do("replay", deliveries=tuple(r.letter_id for r in rows))
        assert [what for what, _, _ in said if what != "opened"] == ["replayed", "replayed"]
        assert set(await stage.worker.claim()) == {"b"}

    tell(story)


def test_what_cannot_be_read_stays_dead_until_it_is_discarded(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        record = msgspec.structs.replace(stage.record("c", customer()), value=b"{")
        await stage.take_records(record)
        name = stage.rows("SELECT letter_id FROM letters")[0].letter_id
        refused = await desk.refusal("replay", deliveries=(name,))
        assert refused["reason"] == "event-unreadable"
        ((what, _, _),) = await desk.do("discard", deliveries=(name,))
        assert what == "discarded"
        assert (await desk.refusal("discard", deliveries=(name,)))["reason"] == "not-dead"

    tell(story)


def test_a_letter_that_is_replayed_in_vain_too_often_needs_force(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        name = await letter(stage)
        for count in range(MOST_REPLAYS):
            stage.go_on(60)
            refused = await desk.refusal("replay", deliveries=(name,), replays=(count,))
            assert refused["reason"] == "company-unknown"
        (row,) = stage.rows("SELECT * FROM letters")
        assert (row.replays, row.last_failed_at) == (MOST_REPLAYS, stage.now.wall)
        refused = await desk.refusal("replay", deliveries=(name,))
        assert refused["reason"] == "replayed-in-vain"
        assert "--force" in refused["text"]
        stage.integrations = {SB1.id: SB1}
        assert (await desk.refusal("replay", deliveries=(name,)))["reason"] == "replayed-in-vain"
        said = await desk.do("replay", deliveries=(name,), force=True)
        assert said[0][0] == "replayed"
        assert stage.states() == {"c": "ready"}

    tell(story)


def test_what_a_letter_says_is_what_was_wrong_with_it_the_last_time(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        name = await letter(stage)
        stage.integrations = {SB1.id: SB1}
        await stage.take(c=customer(name="Vik"))
        refused = await Desk(stage).refusal("replay", deliveries=(name,))
        assert refused["reason"] == "event-id-reused"
        (row,) = stage.rows("SELECT * FROM letters")
        assert b"event-id-reused" in row.failure

    tell(story)


def test_the_letters_of_a_topic_that_was_made_anew_are_not_those_of_the_old_one(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        old = msgspec.structs.replace(stage.record("c", customer()), value=b"{", offset=0)
        changes = ({"value": b"["}, {"timestamp_ms": 1}, {"key": None}, {"value": None})
        others = [msgspec.structs.replace(old, **change) for change in changes]
        for record in (old, *others):
            await stage.take_records(record)
            assert (await stage.take_records(record)).letters == 0, "Kafka gave it again"
        rows = stage.rows('SELECT letter_id, "offset" FROM letters')
        assert len({row.letter_id for row in rows}) == 5
        assert {row.offset for row in rows} == {0}
        assert len({said["moment-sync-letter-id"] for said in stage.letters()}) == 5

    tell(story)
