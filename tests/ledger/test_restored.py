"""A ledger that was put back from a copy knows less than the books: what it does about that."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from connectors.integrations import DataType
from schemas.failures import Reference
from streams.clock import SystemClock
from streams.ledger.engine import Ledger
from streams.ledger.holds import load_holds
from streams.ledger.restored import Restored, mark_restored
from streams.ledger.rules import Moment
from streams.ledger.schema import migrate
from tests.ledger.conftest import Tell
from tests.ledger.samples import ABSENT, BOOK, SB1, UNSURE, applied, customer, invoice, key_of
from tests.ledger.stage import Stage
from tests.ledger.workers import Worker
from tests.ops.running import run

SETTLE_S = 30.0
KNOWN_FOR_LONG_S = 40 * 24 * 3600.0


async def say_restored(s: Stage) -> None:
    item = Restored(clock=lambda: s.now, settle_s=SETTLE_S, integrations=frozenset({SB1.id}))
    await s.ledger.submit(mark_restored, item)


def test_every_worker_keeps_quiet_and_then_looks_everything_up_first(tell: Tell) -> None:
    """Also one that runs already, and knew the books for long when it was said."""

    async def story(s: Stage) -> None:
        await s.worker.identify()
        s.go_on(KNOWN_FOR_LONG_S)
        other = Worker(s, "w2")
        await s.take(c=customer("100042"))
        await s.worker.deliver("c")
        await s.take(d=customer("100043"), i=invoice("1"))
        await say_restored(s)
        await other.own()
        assert await other.claim() == {}
        s.go_on(SETTLE_S - 1)
        assert await other.claim() == {}
        s.go_on(1.5)
        claimed = await other.claim()
        assert {name: one.look_up_first for name, one in claimed.items()} == {"d": True, "i": True}

    tell(story)


def test_creations_look_up_first_too_where_no_invoice_goes_with_them(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.worker.identify()
        s.go_on(KNOWN_FOR_LONG_S)
        await s.take(c=customer("100042"))
        await say_restored(s)
        s.go_on(SETTLE_S + 1)
        assert (await s.worker.claim())["c"].look_up_first

    tell(story)


@pytest.mark.parametrize("jump_s", [-90_000.0, 90_000.0])
def test_a_wall_clock_that_jumps_does_not_shorten_the_quiet(tell: Tell, jump_s: float) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await say_restored(s)
        s.now = msgspec.structs.replace(s.now, wall=s.now.wall + jump_s)
        assert await s.worker.claim() == {}
        s.go_on(SETTLE_S + 1)
        s.now = msgspec.structs.replace(s.now, wall=s.now.wall - jump_s)
        assert set(await s.worker.claim()) == {"c"}

    tell(story)


def test_on_another_host_the_quiet_is_kept_in_wall_time(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await say_restored(s)
        s.now = Moment(wall=s.now.wall, elapsed=5.0, boot="another/1")
        assert await s.worker.claim() == {}
        s.now = Moment(wall=s.now.wall + SETTLE_S + 1, elapsed=6.0, boot="another/1")
        assert set(await s.worker.claim()) == {"c"}

    tell(story)


def test_a_customer_that_was_absent_in_the_copy_is_asked_for_again(tell: Tell) -> None:
    """It may have been made since: an invoice must not be told as dead for the want of it."""

    async def story(s: Stage) -> None:
        await s.take(i=invoice())
        await s.worker.claim_all()
        key = key_of("customer", "100042")
        await s.worker.answer(key, None)
        s.integrations = {SB1.id: msgspec.structs.replace(SB1, data=frozenset({DataType.INVOICES}))}
        await say_restored(s)
        s.go_on(SETTLE_S)
        assert (await s.worker.tick(sweep_after=0)).questions == (key,)
        assert s.states() == {"i": "waiting"}
        await s.worker.answer(key, Reference(id="812", number="100042"))
        assert s.states() == {"i": "ready"}

    tell(story)


def test_what_was_in_doubt_in_the_copy_waits_anew(tell: Tell) -> None:
    """It may have been proved absent and sent again since the copy: a second ago, perhaps."""

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        s.go_on(SETTLE_S + 1)
        (delivery,) = (await s.worker.tick()).look_ups
        await s.worker.settle_look_up(delivery, ABSENT)
        s.go_on(600)
        await say_restored(s)
        assert (await s.worker.tick()).look_ups == ()
        s.go_on(SETTLE_S + 1)
        (delivery,) = (await s.worker.tick()).look_ups
        await s.worker.settle_look_up(delivery, ABSENT)
        assert s.states() == {"c": "uncertain"}, "one absence since the restore is no proof"

    tell(story)


def test_what_is_in_doubt_in_the_lanes_of_another_host_is_looked_up_there(tell: Tell) -> None:
    """Our times mean nothing to it: what has only those would never become due."""

    async def story(s: Stage) -> None:
        await s.take(c=customer())
        await s.worker.settle((await s.worker.claim())["c"], UNSURE)
        theirs = s.now
        s.now = Moment(wall=s.now.wall + 600.0, elapsed=5.0, boot="another/1")
        await say_restored(s)
        s.now = msgspec.structs.replace(theirs, wall=s.now.wall, elapsed=theirs.elapsed + 600.0)
        (hold,) = (await s.ledger.read(load_holds)).values()
        assert hold.paused(s.now.wall), "no look-up is begun before this is over"
        s.go_on(SETTLE_S + 1)
        (delivery,) = (await s.worker.tick()).look_ups
        await s.worker.settle_look_up(delivery, ABSENT)
        assert s.states() == {"c": "uncertain"}, "one absence since the restore is no proof"

    tell(story)


def test_what_was_being_sent_in_the_copy_is_looked_up_after_the_restore_has_settled(
    tell: Tell,
) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer(), i=invoice("1"))
        await s.worker.deliver("c")
        await s.worker.intend((await s.worker.claim())["i"], BOOK)
        s.go_on(600)
        await say_restored(s)
        other = Worker(s, "w2")
        assert (await other.own()).in_doubt == 1
        s.go_on(SETTLE_S)
        assert (await other.tick()).look_ups == ()
        s.go_on(61)
        (delivery,) = (await other.tick()).look_ups
        await other.settle_look_up(delivery, applied("128"))
        assert s.states() == {"c": "applied", "i": "applied"}

    tell(story)


def test_the_command_says_it_of_every_integration(ledger_url: str, tmp_path: Path) -> None:
    migrate(ledger_url)
    (tmp_path / "vik").write_text("token")
    (tmp_path / "integrations.toml").write_text(
        '[[integrations]]\nid = "vik-dk"\ncompany = "c-2001"\nsystem = "dkplus"\n'
        'token_file = "vik"\nsales_person = "web"\ndata = ["customers", "projects", "invoices"]\n'
        'notify = "bokhald@vik.example"\nlanguage = "is"\n'
    )
    done = run(tmp_path, "ledger", "restored", "--json", LEDGER=ledger_url, DKPLUS_SETTLE="40s")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["quietSeconds"] == 40.0
    until = datetime.fromisoformat(said["lookUpUntil"])
    assert until > datetime.now(UTC) + timedelta(days=89)
    clock = SystemClock()
    now = Moment(wall=clock.now().timestamp(), elapsed=clock.elapsed(), boot=clock.boot_id)

    async def held() -> bool:
        ledger = Ledger(ledger_url)
        ledger.start()
        try:
            row = (await ledger.read(load_holds))["vik-dk"]
            return row.quiet(now) and row.paused(now.wall)
        finally:
            await ledger.stop()

    assert asyncio.run(held())


def test_the_command_refuses_a_ledger_of_another_version(tmp_path: Path) -> None:
    (tmp_path / "integrations.toml").write_text("integrations = []\n")
    done = run(tmp_path, "ledger", "restored", LEDGER="sqlite:///new.db")
    assert done.returncode == 2
    assert "ledger migrate" in done.stderr
