"""Two workers on one ledger, each with its own writer (design sections 5.2, 5.5 and 8)."""

import asyncio

import msgspec

from streams.ledger.engine import Ledger
from tests.ledger.conftest import Tell
from tests.ledger.samples import (
    LANES,
    REFUSED,
    applied,
    customer,
    invoice,
    key_of,
    lane_of,
    project,
)
from tests.ledger.stage import Stage
from tests.ledger.workers import Worker

ANOTHER_BOOT = "host/2"


async def two(s: Stage, ours: frozenset[int]) -> Worker:
    """A second worker with a writer of its own; it has the lanes that are not ours."""
    ledger = Ledger(s.url)
    ledger.start()
    other = Worker(s, "w2", ledger)
    await s.worker.own(ours)
    await other.own(LANES - ours)
    return other


def test_a_child_in_another_workers_lane_is_released_by_a_signal(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        owner = project("7", "100001")
        child = invoice("1", "100002", project_number="7")
        assert lane_of(owner) != lane_of(child)
        other = await two(s, frozenset({lane_of(owner)}))
        try:
            await s.take(c=customer("100001"), d=customer("100002"), p=owner, i=child)
            await s.worker.deliver("c")
            await other.deliver("d")
            await other.claim_all()
            assert s.states()["i"] == "waiting"
            await s.worker.deliver("p")
            assert s.states()["i"] == "waiting", "it is not ours to move"
            await other.tick()
            await other.deliver("i")
            assert s.rows("SELECT * FROM signals") == []
        finally:
            await other.ledger.stop()

    tell(story)


def test_a_parent_of_another_workers_lane_is_asked_for_and_answered(tell: Tell) -> None:
    """On two hosts the elapsed times of one mean nothing on the other."""

    async def story(s: Stage) -> None:
        ours = lane_of(customer("100001"))
        other = await two(s, frozenset({ours}))
        key = key_of("project", "7")
        try:
            # The project's row belongs to our lane, its waiting child to the other's.
            await s.take(x=customer("100001"), d=customer("100002"))
            await s.worker.deliver("x")
            await other.deliver("d")
            await s.take(i=invoice("1", "100001", project_number="7"))
            await s.worker.claim_all()
            assert (await s.worker.tick()).questions == (key,)
            await s.worker.answer(key, None)
            here = s.now
            s.now = msgspec.structs.replace(here, elapsed=5.0, boot=ANOTHER_BOOT)
            await s.take(j=invoice("2", "100002", project_number="7"))
            await other.claim_all()
            for _ in range(3):
                s.now = msgspec.structs.replace(here, elapsed=here.elapsed + 901.0)
                s.now = msgspec.structs.replace(s.now, wall=here.wall + 901.0)
                ours_asked = (await s.worker.tick()).questions
                if ours_asked:
                    await s.worker.answer(key, None)
                s.now = msgspec.structs.replace(s.now, elapsed=906.0, boot=ANOTHER_BOOT)
                theirs = (await other.tick()).questions
                if theirs:
                    await other.answer(key, None)
            assert s.states() == {"x": "applied", "d": "applied", "i": "blocked", "j": "blocked"}
            assert s.kinds("j") == ["blocked"]
        finally:
            await other.ledger.stop()

    tell(story)


def test_what_another_host_wants_to_know_is_asked_by_the_owner_of_the_parents_row(
    tell: Tell,
) -> None:
    async def story(s: Stage) -> None:
        owner = project("7", "100001")
        other = await two(s, frozenset({lane_of(owner)}))
        try:
            await s.take(c=customer("100001"), d=customer("100002"), p=owner)
            await s.worker.deliver("c")
            await s.worker.deliver("p", result=REFUSED)
            await other.deliver("d")
            here = s.now
            s.now = msgspec.structs.replace(here, elapsed=5_000.0, boot=ANOTHER_BOOT)
            await s.take(j=invoice("2", "100002", project_number="7"))
            await other.claim_all()
            s.now = here
            assert (await s.worker.tick()).questions == (key_of("project", "7"),)
            await s.worker.answer(key_of("project", "7"), None)
            s.now = msgspec.structs.replace(here, elapsed=5_001.0, boot=ANOTHER_BOOT)
            await other.tick()
            assert s.states()["j"] == "blocked"
            assert (await other.tick()).questions == ()
        finally:
            await other.ledger.stop()

    tell(story)


def test_an_entity_in_two_lanes_is_written_by_one_worker_at_a_time(tell: Tell) -> None:
    """A project that changes its customer changes its lane."""

    async def story(s: Stage) -> None:
        before, after = project("7", "100001"), project("7", "100002")
        other = await two(s, frozenset({lane_of(before)}))
        try:
            await s.take(c=customer("100001"), d=customer("100002"))
            await s.worker.deliver("c")
            await other.deliver("d")
            await s.take(p=before)
            sending = (await s.worker.claim())["p"]
            await s.take(q=after)
            assert await other.claim_all() == {}
            assert s.states()["q"] == "waiting"
            await s.worker.settle(sending, applied("7"))
            await other.tick()
            await other.deliver("q")
            assert s.states()["q"] == "applied"
        finally:
            await other.ledger.stop()

    tell(story)


def test_a_newer_state_in_another_lane_overtakes_an_older_one(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        before, after = project("7", "100001"), project("7", "100002")
        other = await two(s, frozenset({lane_of(before)}))
        try:
            await s.take(c=customer("100001"), d=customer("100002"))
            await s.worker.deliver("c")
            await other.deliver("d")
            await s.take(p=before, q=after)
            await other.deliver("q")
            assert await s.worker.claim_all() == {}
            assert s.states()["p"] == "superseded"
            assert s.kinds("p") == ["superseded"]
        finally:
            await other.ledger.stop()

    tell(story)


def test_two_workers_share_the_booking_slots_of_an_integration(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        one, two_ = customer("100001"), customer("100002")
        other = await two(s, frozenset({lane_of(one)}))
        try:
            await s.take(c=one, d=two_)
            await s.worker.deliver("c")
            await other.deliver("d")
            for n in range(10):
                ids = {f"i{n}": invoice(f"1{n}", "100001"), f"j{n}": invoice(f"2{n}", "100002")}
                await s.take(**ids)
                want = s.worker.want(bookings=1)
                claims = await asyncio.gather(s.worker.claim(want), other.claim(want))
                taken = [
                    (w, c)
                    for w, found in zip((s.worker, other), claims, strict=True)
                    for c in found.values()
                ]
                assert len(taken) == 1, f"round {n}"
                worker, claimed = taken[0]
                await worker.settle(claimed, applied(claimed.delivery.number))
                for w in (s.worker, other):
                    for c in (await w.claim(want)).values():
                        await w.settle(c, applied(c.delivery.number))
        finally:
            await other.ledger.stop()

    tell(story)
