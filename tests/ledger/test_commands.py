"""Replay: a dead delivery goes again, or is refused with the reason."""

import pytest

from streams.core.replays import MOST_REPLAYS
from streams.ledger.known_books import identify_books
from tests.conftest import BackgroundErrors
from tests.ledger.conftest import Tell
from tests.ledger.operating import DEAD, Desk, die, execute, identified
from tests.ledger.samples import REFUSAL, SB1, applied, customer, invoice, key_of, lane_of, project
from tests.ledger.stage import Stage


def test_a_replayed_delivery_starts_anew_and_its_outcome_names_the_one_it_replaces(
    tell: Tell,
) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        first = stage.delivery("c").final_id
        (said,) = await desk.do("replay", deliveries=(dead,))
        row = stage.delivery("c")
        assert (row.state, row.replays, row.attempts, row.failure) == ("ready", 1, 0, None)
        assert bool(row.rewrite)
        assert row.replay_of == first
        assert said[0] == "replayed"
        assert said[2]["failure"]["code"] == REFUSAL.code, "what it died of stays on record"
        await stage.worker.deliver("c")
        assert stage.outcomes("c")[-1]["replayOf"] == first

    tell(story)


def test_a_replayed_invoice_is_looked_up_before_it_is_posted(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c")
        dead = await die(stage, "i")
        await Desk(stage).do("replay", deliveries=(dead,))
        (claimed,) = (await stage.worker.claim()).values()
        assert claimed.look_up_first
        assert claimed.delivery.replays == 1

    tell(story)


def test_an_edit_takes_the_place_of_the_event_and_stays_for_the_next_replay(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c")
        dead = await die(stage, "i")
        edit = {"lines[0].account.vatCode": "31", "paymentId": "123"}
        (said,) = await desk.do("replay", deliveries=(dead,), edit=edit)
        assert said[2]["edit"] == [
            {"field": "$.lines[0].account.vatCode", "from": None, "to": "31"},
            {"field": "$.paymentId", "from": None, "to": "123"},
        ]
        claimed = (await stage.worker.claim())["i"]
        assert claimed.event.lines[0].account.vat_code == "31"  # type: ignore[union-attr]  # it is an invoice
        await stage.worker.settle(claimed, DEAD)
        await desk.do("replay", deliveries=(dead,), edit={"$.lines[0].vatCode": "6"})
        again = (await stage.worker.claim())["i"]
        line = again.event.lines[0]  # type: ignore[union-attr]  # it is an invoice
        assert (line.account.vat_code, line.vat_code) == ("31", "6")

    tell(story)


@pytest.mark.parametrize("path", ["number", "totalExclVat", "customerNumber", "nothing", "lines"])
def test_what_went_out_to_the_customer_is_not_edited(path: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c")
        dead = await die(stage, "i")
        refused = await Desk(stage).refusal("replay", deliveries=(dead,), edit={path: "9"})
        assert refused["reason"] == "edit-refused"
        assert stage.states()["i"] == "dead"

    tell(story)


def test_only_what_is_dead_is_replayed(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer(), p=project())
        waiting = stage.delivery("p").delivery_id
        assert (await desk.refusal("replay", deliveries=(waiting,)))["reason"] == "not-dead"
        assert (await desk.refusal("replay", deliveries=("none",)))["reason"] == "unknown"
        await stage.worker.deliver("c")
        done = stage.delivery("c").delivery_id
        assert (await desk.refusal("replay", deliveries=(done,)))["reason"] == "not-dead"

    tell(story)


@pytest.mark.parametrize("newer_is", ["applied", "open", "withdrawing"])
def test_an_older_state_is_stale_beside_a_newer_one(newer_is: str, tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(old=customer())
        dead = await die(stage, "old")
        await stage.take(new=customer(name="Fjord og Vik AS"))
        if newer_is != "open":
            await stage.worker.deliver("new")
        refused = await Desk(stage).refusal("replay", deliveries=(dead,))
        assert refused["reason"] == "stale"

    tell(story)


def test_a_newer_state_that_is_dead_makes_no_older_one_stale(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(old=customer())
        dead = await die(stage, "old")
        await stage.take(new=customer(name="Vik"))
        await die(stage, "new")
        await Desk(stage).do("replay", deliveries=(dead,))
        assert stage.states() == {"old": "ready", "new": "dead"}

    tell(story)


def test_what_is_booked_is_refused_with_its_number(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c")
        await stage.worker.deliver("i", result=applied("128-2026"))
        await stage.take(other=invoice(amount=2000))
        await stage.worker.claim_all()
        assert stage.states()["other"] == "dead"
        dead = stage.delivery("other").delivery_id
        refused = await Desk(stage).refusal("replay", deliveries=(dead,))
        assert refused["reason"] == "booked"
        assert refused["reference"]["number"] == "128-2026"
        assert "128-2026" in refused["text"]

    tell(story)


def test_what_another_integration_booked_in_the_same_books_is_refused_too(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c")
        dead = await die(stage, "i")
        identity = f"books/{SB1.id}"
        await stage.ledger.submit(identify_books, identified(stage, identity))
        await stage.take(c2=customer("100043"), j=invoice("1002", "100043"))
        await stage.worker.deliver("c2", "j")
        await execute(stage, "UPDATE bookings SET number = '1001'")
        refused = await Desk(stage).refusal("replay", deliveries=(dead,))
        assert refused["reason"] == "booked"

    tell(story)


def test_the_sixth_replay_in_vain_needs_force(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        for _ in range(MOST_REPLAYS):
            await desk.do("replay", deliveries=(dead,))
            await die(stage, "c")
        refused = await desk.refusal("replay", deliveries=(dead,))
        assert refused["reason"] == "replayed-in-vain"
        ((what, _, _),) = await desk.do("replay", deliveries=(dead,), force=True)
        assert what == "replayed"

    tell(story)


def test_a_command_that_comes_twice_is_done_once(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        await desk.send("replay", "same", deliveries=(dead,))
        await desk.run()
        await die(stage, "c")
        await desk.send("replay", "same", deliveries=(dead,))
        await desk.run()
        assert stage.states()["c"] == "dead"
        assert len(desk.said("same")) == 1

    tell(story)


def test_commands_of_lanes_that_are_not_ours_are_left_alone(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        await desk.send("replay", deliveries=(dead,))
        stale = {lane: epoch - 1 for lane, epoch in stage.worker.epochs.items()}
        assert (await desk.run(stale)).commands == 0
        assert (await desk.run({})).commands == 0
        assert stage.states()["c"] == "dead"

    tell(story)


def test_a_command_goes_on_to_the_owner_of_the_lane_of_its_delivery(tell: Tell) -> None:
    """Partitions were added: the command comes under the new lane, the delivery keeps its old."""

    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        others = [c for n in range(100100, 100140) for c in [customer(str(n))]]
        other = next(one for one in others if lane_of(one) != lane_of(customer()))
        await stage.take(c=customer())
        here = await die(stage, "c")
        await stage.take(o=other)
        there = await die(stage, "o")
        for kind, states in (("replay", "ready"), ("discard", "discarded")):
            name = await desk.send(kind, deliveries=(there, here))
            theirs = {lane_of(other): stage.worker.epochs[lane_of(other)]}
            mine = {k: v for k, v in stage.worker.epochs.items() if k not in theirs}
            ran = await desk.run(mine)
            assert (ran.commands, ran.more) == (1, False)
            assert [one[1] for one in desk.said(name)] == [here]
            assert (await desk.run(mine)).commands == 0
            assert (await desk.run(theirs)).commands == 1
            assert [one[1] for one in desk.said(name)] == [here, there]
            assert stage.states() == {"c": states, "o": states}
            assert (await desk.run()).commands == 0

    tell(story)


def test_what_was_replayed_since_it_was_asked_for_is_left_alone(tell: Tell) -> None:
    """The same ask under another id: broken off, and run again with other deliveries beside."""

    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        await stage.take(d=customer("100043"))
        other = await die(stage, "d")
        await desk.do("replay", deliveries=(dead,), replays=(0,))
        await die(stage, "c")
        late = await desk.do("replay", deliveries=(dead, other), replays=(0, 0))
        said = {name: detail for _, name, detail in late}
        assert said[dead]["refusal"]["reason"] == "replayed-since"
        assert stage.states() == {"c": "dead", "d": "ready"}
        ((what, _, _),) = await desk.do("replay", deliveries=(dead,), replays=(1,))
        assert what == "replayed"

    tell(story)


def test_a_replay_asks_for_the_parent_again(tell: Tell) -> None:
    """Only a yes is remembered: the no of before the replay counts for nothing."""

    async def story(stage: Stage) -> None:
        await stage.take(p=project())
        await stage.worker.claim()
        await stage.worker.answer(key_of("customer", "100042"), None)
        await execute(stage, "UPDATE deliveries SET state = 'dead', waits_key = NULL")
        dead = stage.delivery("p").delivery_id
        await Desk(stage).do("replay", deliveries=(dead,))
        await stage.worker.claim_all()
        assert stage.entity("customer", "100042").ask_at == stage.now.elapsed

    tell(story)


def test_a_command_that_meets_a_bug_stops_nobody(
    tell: Tell, background_errors: BackgroundErrors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")

        def broken(_: object) -> object:
            raise ZeroDivisionError

        monkeypatch.setattr(stage.rules, "parents", broken)
        name = await desk.send("replay", deliveries=(dead,))
        await desk.run()
        assert [what for what, _, _ in desk.said(name)] == ["failed"]
        assert stage.states()["c"] == "dead", "nothing of it was kept"
        assert background_errors.take("command_failed")

    tell(story)
