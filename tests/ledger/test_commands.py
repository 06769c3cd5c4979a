"""What operators ask for, carried out on a ledger: replay, discard, resume, resync."""

import itertools
import json
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from connectors.integrations import DataType
from schemas.cloudevents import Attributes
from schemas.commands import TYPE_PREFIX, CommandData, encode_command
from schemas.failures import Failure, FailureCode
from schemas.lane import lane_key
from schemas.wire import Record
from streams.core.conclude import Result, What
from streams.core.replays import MOST_REPLAYS
from streams.directory import LiveDirectory
from streams.ledger import resync as resync_module
from streams.ledger.commands import Ran, RunCommands, commands_operation
from streams.ledger.engine import Operation
from streams.ledger.holds import HoldChange, change_hold
from streams.ledger.known_books import Identified, identify_books
from tests.conftest import BackgroundErrors
from tests.ledger.stage import (
    DK,
    PARTITIONS,
    REFUSAL,
    SB1,
    Stage,
    applied,
    customer,
    invoice,
    key_of,
    lane_of,
    project,
)

DEAD = Result(what=What.REFUSED, failure=REFUSAL)
KEY = lane_key("c-1001", "100042")
_numbers = itertools.count(1)

Tell = Callable[[Callable[[Stage], Awaitable[None]]], None]


class Desk:
    """Sends commands to a stage and has them carried out."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        directory = LiveDirectory(lambda: stage.integrations, PARTITIONS)
        self._operation = commands_operation(stage.rules, directory)

    async def send(self, kind: str, command_id: str | None = None, **data: Any) -> str:
        name = command_id or f"cmd-{next(_numbers)}"
        out = encode_command(
            Attributes(id=name, source="/ops", type=TYPE_PREFIX + kind),
            CommandData(**{"by": "kari", "reason": "mended", **data}),
            key=KEY,
        )
        await self.stage.take_records(
            Record(
                topic=out.topic,
                partition=0,
                offset=next(_numbers),
                timestamp_ms=0,
                key=out.key,
                value=out.value,
                headers=out.headers,
            )
        )
        return name

    async def run(self, epochs: dict[int, int] | None = None) -> Ran:
        owned = self.stage.worker.epochs if epochs is None else epochs
        return await self.stage.ledger.submit(
            self._operation, RunCommands(epochs=owned, now=self.stage.now)
        )

    async def do(self, kind: str, **data: Any) -> list[tuple[str, str | None, dict[str, Any]]]:
        """Send a command, carry it out whole, and return what the audit says of it."""
        name = await self.send(kind, **data)
        for _ in range(50):
            if not (await self.run()).more:
                break
        else:
            raise AssertionError("it never ends")
        return self.said(name)

    def said(self, command: str) -> list[tuple[str, str | None, dict[str, Any]]]:
        rows = self.stage.rows("SELECT * FROM audit ORDER BY audit_pk")
        found = [(r.what, r.delivery_id, json.loads(r.detail)) for r in rows]
        return [one for one in found if one[2]["command"]["id"] == command]

    async def refusal(self, kind: str, **data: Any) -> dict[str, Any]:
        """The refusal of the only delivery that a command names."""
        (only,) = await self.do(kind, **data)
        assert only[0] == "refused", only
        found: dict[str, Any] = only[2]["refusal"]
        return found


async def die(stage: Stage, ce_id: str, failure: Failure = REFUSAL) -> str:
    """Have a ready delivery refused; returns its id."""
    await stage.worker.deliver(ce_id, result=Result(what=What.REFUSED, failure=failure))
    return str(stage.delivery(ce_id).delivery_id)


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
        assert claimed.event.lines[0].account.vat_code == "31"  # type: ignore[union-attr]
        await stage.worker.settle(claimed, DEAD)
        await desk.do("replay", deliveries=(dead,), edit={"$.lines[0].vatCode": "6"})
        again = (await stage.worker.claim())["i"]
        line = again.event.lines[0]  # type: ignore[union-attr]
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
        await stage.ledger.submit(identify_books, _identified(stage, identity))
        await stage.take(c2=customer("100043"), j=invoice("1002", "100043"))
        await stage.worker.deliver("c2", "j")
        await _execute(stage, "UPDATE bookings SET number = '1001'")
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


def test_a_delivery_of_another_lane_is_refused(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        others = [c for n in range(100100, 100140) for c in [customer(str(n))]]
        other = next(one for one in others if lane_of(one) != lane_of(customer()))
        await stage.take(c=other)
        dead = await die(stage, "c")
        name = await desk.send("replay", deliveries=(dead,))
        mine = {k: v for k, v in stage.worker.epochs.items() if k != lane_of(other)}
        await desk.run(mine)
        ((what, _, detail),) = desk.said(name)
        assert (what, detail["refusal"]["reason"]) == ("refused", "other-lane")
        assert stage.states()["c"] == "dead"

    tell(story)


def test_a_replay_asks_for_the_parent_again(tell: Tell) -> None:
    """Only a yes is remembered: the no of before the replay counts for nothing."""

    async def story(stage: Stage) -> None:
        await stage.take(p=project())
        await stage.worker.claim()
        await stage.worker.answer(key_of("customer", "100042"), None)
        await _execute(stage, "UPDATE deliveries SET state = 'dead', waits_key = NULL")
        dead = stage.delivery("p").delivery_id
        await Desk(stage).do("replay", deliveries=(dead,))
        await stage.worker.claim_all()
        assert stage.entity("customer", "100042").ask_at is not None

    tell(story)


# --- discard ---------------------------------------------------------------------------------


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


# --- letters ---------------------------------------------------------------------------------


async def letter(stage: Stage) -> str:
    """An event of a company that nobody has set up; returns its letter's id."""
    stage.integrations = {}
    await stage.take(c=customer())
    return str(stage.rows("SELECT letter_id FROM letters")[0].letter_id)


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


# --- resume ----------------------------------------------------------------------------------


def _identified(stage: Stage, identity: str) -> Identified:
    return Identified(
        integration=SB1.id,
        identity=identity,
        others=frozenset(),
        now=stage.now,
        hold_probe_s=30.0,
        hold_probe_max_s=900.0,
    )


async def _execute(stage: Stage, statement: str) -> None:
    def handler(connection: Any, items: Any) -> list[None]:
        connection.execute(text(statement))
        return [None]

    await stage.ledger.submit(Operation("execute", 1, handler), None)


async def hold(stage: Stage, failure: Failure) -> None:
    await stage.ledger.submit(
        change_hold,
        HoldChange(
            integration=SB1.id,
            failure=failure,
            now=stage.now,
            hold_probe_s=30.0,
            hold_probe_max_s=900.0,
        ),
    )


def test_resume_ends_a_hold_and_asks_for_the_parents_that_are_waited_for(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(p=project())
        await stage.worker.claim_all()
        await stage.worker.answer(key_of("customer", "100042"), None)
        assert (await stage.worker.tick()).questions == ()
        await hold(stage, Failure(code=FailureCode.CREDENTIALS_REFUSED))
        await desk.send("resume", integration=SB1.id)
        ran = await desk.run()
        assert ran.resumed == {SB1.id}
        assert stage.held().failure is None
        assert (await stage.worker.tick()).questions == (key_of("customer", "100042"),)

    tell(story)


def test_resume_accepts_books_whose_identity_changed_and_forgets_what_was_in_the_old_ones(
    tell: Tell,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer())
        await stage.worker.deliver("c")
        await stage.ledger.submit(identify_books, _identified(stage, "books/old"))
        known = await stage.ledger.submit(identify_books, _identified(stage, "books/new"))
        assert not known.accepted
        await Desk(stage).do("resume", integration=SB1.id)
        row = stage.entity("customer", "100042")
        assert not row.in_books
        assert (row.reference, row.content) == (None, None)
        again = await stage.ledger.submit(identify_books, _identified(stage, "books/new"))
        assert again.accepted
        assert again.look_up_until > stage.now.wall

    tell(story)


def test_resume_of_a_company_means_all_its_integrations(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        stage.integrations = {SB1.id: SB1, DK.id: DK}
        said = await Desk(stage).do("resume", company="c-1001")
        assert [what for what, _, _ in said] == ["resumed", "resumed"]
        refused = await Desk(stage).refusal("resume", integration="none")
        assert refused["reason"] == "unknown"

    tell(story)


# --- resync ----------------------------------------------------------------------------------


def test_resync_brings_the_last_state_of_customers_then_projects_to_a_new_integration(
    tell: Tell,
) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(
            p=project(), c=customer(), d=customer(name="Vik"), e=customer("100043"), i=invoice()
        )
        stage.integrations = {SB1.id: SB1, DK.id: DK}
        await desk.do("resync", integration=DK.id)
        assert stage.states(DK.id) == {"d": "ready", "e": "ready", "p": "ready"}
        assert list(stage.states(DK.id)) == ["d", "e", "p"], "customers first"
        rows = stage.rows("SELECT * FROM deliveries WHERE integration = :i", i=DK.id)
        assert all(row.rewrite for row in rows)
        assert "i" not in stage.states(DK.id)

    tell(story)


def test_resync_brings_invoices_from_the_date_that_a_person_names(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice(), p=project())
        stage.integrations[DK.id] = msgspec.structs.replace(
            DK, data=frozenset({DataType.CUSTOMERS, DataType.INVOICES})
        )
        desk = Desk(stage)
        await desk.do("resync", integration=DK.id, invoices_from=date(2026, 11, 3))
        assert set(stage.states(DK.id)) == {"c"}
        await desk.do("resync", integration=DK.id, invoices_from=date(2026, 11, 2))
        assert set(stage.states(DK.id)) == {"c", "i"}, "projects are switched off"

    tell(story)


def test_a_long_resync_goes_on_where_it_stopped(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resync_module, "CHUNK", 2)

    async def story(stage: Stage) -> None:
        await stage.take(**{f"c{n}": customer(str(100100 + n)) for n in range(5)}, p=project())
        stage.integrations[DK.id] = DK
        desk = Desk(stage)
        name = await desk.send("resync", integration=DK.id)
        steps = 1
        while (await desk.run()).more:
            steps += 1
        assert steps > 3
        assert list(stage.states(DK.id)) == ["c0", "c1", "c2", "c3", "c4", "p"]
        assert [what for what, _, _ in desk.said(name)] == ["resynced"]

    tell(story)


def test_resync_of_a_booked_invoice_takes_the_event_that_was_booked(tell: Tell) -> None:
    """A later event of the same number is another invoice, and dead."""

    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c", "i")
        await stage.take(j=invoice(amount=2000))
        await stage.worker.claim_all()
        await Desk(stage).do("resync", integration=SB1.id, invoices_from=date(2026, 1, 1))
        rows = stage.rows(
            "SELECT ce_id FROM deliveries d JOIN inbox i ON i.event_pk = d.event_pk "
            "WHERE d.rewrite ORDER BY ordinal"
        )
        assert [row.ce_id for row in rows] == ["c", "i"]

    tell(story)


def test_a_resync_keeps_what_a_person_has_edited(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer())
        dead = await die(stage, "c")
        await desk.do("replay", deliveries=(dead,), edit={"name": "Fjord 2 AS"})
        await stage.worker.deliver("c")
        await desk.do("resync", integration=SB1.id)
        claimed = (await stage.worker.claim())["c"]
        assert claimed.event.name == "Fjord 2 AS"  # type: ignore[union-attr]

    tell(story)


# --- bugs ------------------------------------------------------------------------------------


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
