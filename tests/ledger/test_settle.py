"""What becomes of an attempt: written once, told once (design sections 4, 6 and 7)."""

import msgspec

from schemas.failures import Change, Failure, FailureCode, Notable, Reference, WarningCode
from streams.core.conclude import Result, What
from streams.ledger.outbox import mark_published, unpublished
from tests.ledger.conftest import Tell
from tests.ledger.stage import (
    ABSENT,
    ACCESS,
    DOWN,
    DROPPED,
    HOLD,
    REFUSED,
    RETRY,
    SB1,
    UNSURE,
    Stage,
    applied,
    both,
    customer,
    invoice,
    project,
)


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


def test_what_was_dropped_is_ready_again_at_no_cost(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        await s.worker.intend(claimed)
        await s.worker.settle(claimed, DROPPED)
        row = s.delivery("c")
        assert (row.state, row.attempts, row.intent, row.send_by) == ("ready", 0, None, None)
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


# --- what may have happened ------------------------------------------------------------------


def test_an_uncertain_write_is_looked_up_after_the_settle_time(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        settled = await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        assert (settled.state, settled.act_in) == ("uncertain", 30.0)
        s.go_on(29)
        assert (await s.worker.tick()).look_ups == ()
        s.go_on(2)
        (delivery,) = (await s.worker.tick()).look_ups
        assert delivery.intent is not None
        await s.worker.settle_look_up(delivery, applied("812"))
        assert s.states() == {"c": "applied"}
        assert s.outcomes("c")[0]["attempts"] == 1

    tell(story)


def test_a_look_up_under_way_is_not_started_again_nor_waited_for_in_a_spin(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        s.go_on(31)
        ticked = await s.worker.tick()
        (delivery,) = ticked.look_ups
        assert ticked.next_act_at is None or ticked.next_act_at > s.now.elapsed
        ticked = await s.worker.tick(busy=frozenset({delivery.ordinal}))
        assert ticked.look_ups == ()
        assert ticked.next_act_at is None or ticked.next_act_at > s.now.elapsed
        s.go_on(61)
        assert len((await s.worker.tick()).look_ups) == 1, "should it never have been started"

    tell(story)


def test_absence_needs_two_look_ups_apart(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        s.go_on(31)
        (delivery,) = (await s.worker.tick()).look_ups
        settled = await s.worker.settle_look_up(delivery, ABSENT)
        assert (settled.state, settled.act_in) == ("uncertain", 7.5)
        assert (await s.worker.tick()).look_ups == ()
        s.go_on(8)
        (delivery,) = (await s.worker.tick()).look_ups
        settled = await s.worker.settle_look_up(delivery, ABSENT)
        assert settled.state == "ready"
        assert (s.delivery("c").posts, s.delivery("c").absences) == (1, 0)
        assert s.entity("customer", "100042").claimed_by is None
        await s.worker.deliver("c")

    tell(story)


def test_a_look_up_that_fails_says_nothing(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        for result in (ABSENT, RETRY, HOLD, RETRY):
            s.go_on(400)
            (delivery,) = (await s.worker.tick()).look_ups
            assert (await s.worker.settle_look_up(delivery, result)).state == "uncertain"
        s.go_on(400)
        (delivery,) = (await s.worker.tick()).look_ups
        assert (await s.worker.settle_look_up(delivery, ABSENT)).state == "ready"

    tell(story)


def test_a_booking_is_sent_at_most_five_times(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c")
        for post in range(5):
            claimed = (await s.worker.claim())["i"]
            assert claimed.delivery.posts == post
            await s.worker.settle(claimed, UNSURE)
            for _ in range(2):
                s.go_on(31)
                (delivery,) = (await s.worker.tick()).look_ups
                await s.worker.settle_look_up(delivery, ABSENT)
        assert s.states()["i"] == "dead"
        failure = s.outcomes("i")[0]["failure"]
        assert (failure["code"], failure["class"]) == ("retries-exhausted", "uncertain")
        assert failure["parameters"]["lastCode"] == "write-uncertain"
        assert failure["parameters"]["attempts"] == "5"

    tell(story)


def test_an_uncertain_repeatable_write_is_sent_again_without_a_look_up(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(a=customer(name="A"))
        await s.worker.deliver("a")
        await s.take(b=customer(name="B"))
        claimed = (await s.worker.claim())["b"]
        assert claimed.send_by == s.now.elapsed + 5.0
        repeatable = b'{"kind":"customer.update","key":"1","repeatable":true}'
        await s.worker.settle(claimed, UNSURE, intent=repeatable)
        await s.take(c=customer(name="C"))
        assert await s.worker.claim_all() == {}
        s.go_on(31)
        ticked = await s.worker.tick()
        assert not ticked.look_ups
        assert ticked.integrations == {SB1.id}
        assert set(await s.worker.claim_all()) == {"c"}, "the newest state is sent"
        assert s.states() == {"a": "applied", "b": "superseded", "c": "sending"}

    tell(story)


def test_two_hits_are_for_a_person_to_decide(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        s.go_on(31)
        (delivery,) = (await s.worker.tick()).look_ups
        twice = Failure(code=FailureCode.FOUND_TWICE, parameters={"number": "1", "hits": "2"})
        await s.worker.settle_look_up(delivery, Result(what=What.REFUSED, failure=twice))
        assert s.states() == {"c": "dead"}
        assert s.outcomes("c")[0]["failure"]["class"] == "uncertain"

    tell(story)


# --- bookings --------------------------------------------------------------------------------


def test_only_so_many_bookings_are_in_flight_and_an_uncertain_one_gives_its_slot_back(
    tell: Tell,
) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(c=customer(), i=invoice("1"), j=invoice("2"), k=invoice("3"))
        await w.deliver("c")
        one = w.want(bookings=1)
        first = await w.claim(one)
        assert set(first) == {"i"}
        assert await w.claim(one) == {}
        await w.settle(first["i"], UNSURE)
        second = await w.claim(one)
        assert set(second) == {"j"}
        await w.settle(second["j"], applied("2"))
        assert set(await w.claim(one)) == {"k"}

    tell(story)


def test_bookings_that_wait_for_a_slot_hold_up_no_customer(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), **{f"i{n}": invoice(str(n)) for n in range(80)})
        await s.worker.deliver("c")
        await s.worker.claim(s.worker.want(bookings=1))
        await s.take(d=customer("100043"))
        assert set(await s.worker.claim(s.worker.want(bookings=1))) == {"d"}

    tell(story)


def test_what_another_integration_booked_into_the_same_books_is_not_booked_again(
    tell: Tell,
) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice())
        await s.worker.deliver("c", "i")
        renamed = msgspec.structs.replace(SB1, id="fjord-renamed")
        s.integrations = {renamed.id: renamed}
        await s.take(d=customer(name="New"), j=invoice(), k=invoice(amount=5))
        want = s.worker.want(renamed, books=f"books/{SB1.id}")
        claimed = await s.worker.claim(want)
        await s.worker.settle(claimed["d"], applied())
        assert await s.worker.claim(want) == {}
        assert s.states(renamed.id) == {"d": "applied", "j": "unchanged", "k": "dead"}

    tell(story)


def test_new_books_and_replays_look_up_first(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice("1"), j=invoice("2"))
        await s.worker.deliver("c")
        want = s.worker.want(bookings=1, look_up_until=s.now.wall + 5)
        first = (await s.worker.claim(want))["i"]
        assert first.look_up_first
        await s.worker.settle(first, applied("1"))
        s.go_on(6)
        assert not (await s.worker.claim(want))["j"].look_up_first

    tell(story)


# --- the outbox ------------------------------------------------------------------------------


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


# --- holds -----------------------------------------------------------------------------------


def test_a_hold_is_told_once_per_delivery_and_cause(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"), i=invoice(customer_number="1"))
        claimed = await w.claim()
        await w.settle(claimed["a"], HOLD)
        await w.settle(claimed["b"], HOLD)
        held = w.want(held=ACCESS)
        for _ in range(2):
            assert await w.claim(held) == {}
        assert s.states() == {"a": "ready", "b": "ready", "i": "waiting"}
        assert (s.kinds("a"), s.kinds("b"), s.kinds("i")) == (["held"], ["held"], [])
        assert s.outcomes("a")[0]["failure"]["code"] == "credentials-refused"
        assert s.delivery("a").attempts == 0
        right = Failure(code=FailureCode.RIGHT_MISSING, parameters={"answer": "403"})
        await w.claim(w.want(held=right))
        assert s.kinds("a") == ["held", "held"]

    tell(story)


def test_a_hold_is_one_row_with_a_first_probe_and_pauses_that_double(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(**{f"c{n}": customer(str(n)) for n in range(5)})
        claimed = await w.claim()
        for one in claimed.values():
            await w.settle(one, HOLD)
        row = s.held()
        assert row.probe_at == s.now.elapsed + 30.0, "those in flight beside it are no probes"
        since = row.since
        s.go_on(31)
        probe = await w.claim(w.want(held=ACCESS, probe=True, sends=1, bookings=1))
        assert set(probe) == {"c0"}, "the oldest, alone"
        assert probe["c0"].probe
        await w.settle(probe["c0"], HOLD)
        row = s.held()
        assert (row.probe_at, row.since) == (s.now.elapsed + 60.0, since)

    tell(story)


def test_a_probe_that_passes_ends_the_hold(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"))
        claimed = await w.claim()
        await w.settle(claimed["a"], HOLD)
        await w.settle(claimed["b"], RETRY)
        assert s.held().failure is not None
        s.go_on(31)
        probe = await w.claim(w.want(held=ACCESS, probe=True, sends=1, bookings=1))
        await w.settle(probe["a"], applied())
        row = s.held()
        assert (row.failure, row.probes, row.since) == (None, 0, None)

    tell(story)


def test_a_probe_that_learnt_nothing_leaves_the_hold(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"))
        await w.settle((await w.claim())["a"], HOLD)
        probe = await w.claim(w.want(held=ACCESS, probe=True, sends=1, bookings=1))
        await w.settle(probe["a"], RETRY)
        assert s.held().failure is not None

    tell(story)


def test_retry_after_pauses_the_whole_integration_and_is_never_shortened(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        w = s.worker
        await s.take(a=customer("1"), b=customer("2"))
        claimed = await w.claim()
        busy = Failure(code=FailureCode.TOO_MANY_REQUESTS)
        for ce_id, seconds in (("a", 60.0), ("b", 10.0)):
            result = Result(what=What.RETRY, failure=busy, retry_after=seconds)
            settled = await w.settle(claimed[ce_id], result)
            assert settled.act_in == seconds
        assert s.held().pause_until == s.now.elapsed + 60.0

    tell(story)


def test_the_same_books_are_not_taken_twice_and_must_not_change(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        other = msgspec.structs.replace(SB1, id="fjord-two")
        s.integrations[other.id] = other
        assert (await s.worker.identify("books/1")).accepted
        assert not (await s.worker.identify("books/1", other)).accepted
        assert s.held(other.id).failure is not None
        assert s.held() is None
        assert not (await s.worker.identify("books/2")).accepted
        assert s.held().failure is not None
        assert (await s.worker.identify("books/1")).accepted

    tell(story)
