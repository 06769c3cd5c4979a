"""How `verify` goes about it: spans of days, pages, pace, and books that cannot be read."""

import json
from pathlib import Path

import pytest

from connectors.simulation_faults import FaultKind, FaultRule
from schemas.failures import Reference
from streams.ops.command_base import Exit
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.places import (
    EVERYWHERE,
    SPAREBANK1,
)
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place
from tests.ops.books_deeds import (
    change_amount,
    filled,
    foreign,
    numbers,
    remove,
)
from tests.ops.books_stage import Stage, staged, told

everywhere = pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.id)


@everywhere
def test_only_invoices_of_the_days_named_count(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        first, _, last = numbers(stage.world)
        remove(stage.world, first)
        change_amount(stage.world, last)  # dated 2026-05-02
        missing = ("missing", "not-there", f"invoice/{first}")
        differs = ("different", "fields-differ", f"invoice/{last}")
        march = ("--from", "2026-03-01", "--to", "2026-03-31")
        assert told(await stage.found("verify", *march)) == [missing]
        assert told(await stage.found("verify", "--from", "2026-05-02")) == [differs]
        assert told(await stage.found("verify", "--to", "2026-05-01")) == [missing]
        assert told(await stage.found("verify")) == [differs, missing]

    staged(place, tmp_path, story)


@everywhere
def test_what_was_booked_a_moment_ago_is_not_missed(place: Place, tmp_path: Path) -> None:
    """DK+ is a cache: it may show an invoice later than it has it (contract dkplus A4.2)."""

    async def story(stage: Stage) -> None:
        await filled(stage)
        now = stage.world.clock.now().timestamp()
        reference = Reference(id="999999", number="1-2026")
        identity = await stage.identify()
        stage.have_booking(identity, "55555", reference, None, now)
        assert await stage.found("verify") == []
        stage.have_booking(identity, "55556", reference, None)
        assert told(await stage.found("verify")) == [("missing", "not-there", "invoice/55556")]

    staged(place, tmp_path, story)


@everywhere
def test_books_of_more_than_a_page_are_read_to_their_end(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        world = stage.world
        last = numbers(world)[2]
        if isinstance(world, Sparebank1World):
            for number in range(120):  # more than a page has rows, of what is none of ours
                lines = [{"account": 1920, "amount": "1"}, {"account": 4300, "amount": "-1"}]
                body = {"date": "2026-03-01", "lines": lines, "description": str(number)}
                world.deed("vouchers", body)
        else:
            assert isinstance(world, DkPlusWorld)
            booked = world.raw().invoices
            booked[:0] = [foreign(world, n) for n in range(600)]
        remove(world, last)
        first = numbers(world)[0]
        change_amount(world, first)
        assert told(await stage.found("verify")) == [
            ("different", "fields-differ", f"invoice/{first}"),
            ("missing", "not-there", f"invoice/{last}"),
        ]

    staged(place, tmp_path, story)


@everywhere
def test_other_books_than_the_ledger_knows_are_told_and_not_compared(
    place: Place, tmp_path: Path
) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        stage.lead_elsewhere()
        (finding,) = await stage.found("verify")
        assert (finding["kind"], finding["code"]) == ("different", "books-identity-changed")

    staged(place, tmp_path, story)


@everywhere
def test_books_that_are_away_are_exit_3(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        stage.world.set_faults(FaultRule(fault=FaultKind.UNAVAILABLE))
        result = await stage.run("verify", "--wait", "0.1", "--json")
        assert result.exit_code == Exit.AWAY
        assert json.loads(result.stdout) == {"findings": []}
        assert f"{stage.here.id}: " in result.stderr

    staged(place, tmp_path, story)


def test_an_integration_that_is_not_set_up_is_wrong_use(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.record()
        result = await stage.run("verify", "--integration", "nope")
        assert result.exit_code == Exit.WRONG
        assert "'nope' is not set up" in result.stderr

    staged(SPAREBANK1, tmp_path, story)


def test_calls_keep_the_pace_that_was_named(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await filled(stage)
        before = len(stage.world.asked())
        began = stage.world.clock.elapsed()
        assert await stage.found("verify", "--rate", "8") == []
        calls = len(stage.world.asked()) - before
        assert calls > 6
        # What the last question asked is paid for by nobody.
        assert stage.world.clock.elapsed() - began > (calls - 4) / 8

    staged(SPAREBANK1, tmp_path, story)
