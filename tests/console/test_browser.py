"""The console in a real Chromium: for a person with forty failures before lunch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from playwright.async_api import Browser

from streams import topics
from streams.kafka_client import KafkaConnection
from streams.ledger.rules import Moment
from streams.topics import TopicNames
from tests.console import browser as chrome
from tests.console.conftest import fill
from tests.console.serving import NOWHERE, application, served, settings_for
from tests.console.test_pages import every_page, rows
from tests.console.world import FJORD, NOW, World, customer, invoice
from tests.ledger.samples import applied
from tests.ledger.stage import Stage
from tests.ops.mending_stage import working

MISSING = chrome.missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")

DEADLINE_S = 90.0
PHONE = {"width": 390, "height": 844}
Story = Callable[[Browser, str], Awaitable[None]]


def acting(url: str, kafka: str = NOWHERE, prefix: str = "") -> web.Application:
    given = {"KAFKA": kafka, **({"TOPIC_PREFIX": prefix} if prefix else {})}
    return application(
        settings_for(url, CONSOLE="act", CONSOLE_USER_HEADER="X-Forwarded-User", **given)
    )


def watch(url: str, story: Story) -> None:
    async def run() -> None:
        async with served(acting(url)) as base, chrome.chromium() as browser:
            await asyncio.wait_for(story(browser, base), DEADLINE_S)

    asyncio.run(run())


def test_axe_finds_nothing_serious_on_any_page_light_dark_or_small(sqlite_world: str) -> None:
    """All of its rules on every page; of the dark ones, what another colour can break."""
    pages = [*every_page(sqlite_world), "/console/dead/nobody"]
    looks: list[tuple[dict[str, Any], tuple[str, ...], list[str]]] = [
        ({}, (), [page for page in pages if not page.endswith(("integration=fjord-sb1", "30d"))]),
        ({"color_scheme": "dark"}, ("color-contrast",), pages[::3]),
        ({"viewport": PHONE}, ("color-contrast", "target-size"), pages[::4]),
    ]

    async def look(
        browser: Browser, base: str, options: dict[str, Any], rules: tuple[str, ...], at: list[str]
    ) -> list[str]:
        found = []
        async with chrome.page_of(browser, base, **options) as page:
            for address in at:
                await page.goto(address)
                await page.evaluate("document.querySelectorAll('details').forEach(d => d.open = 1)")
                found += [
                    f"{options} {address} {one}" for one in await chrome.findings(page, rules)
                ]
                if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    found.append(f"{options} {address} scrolls sideways")
            await page.evaluate("document.querySelector('main').innerHTML += '<button></button>'")
            assert rules or await chrome.findings(page, ()), "axe looks, and finds what is wrong"
        return found

    async def story(browser: Browser, base: str) -> None:
        found = [one for options in looks for one in await look(browser, base, *options)]
        assert found == []

    watch(sqlite_world, story)


def test_times_are_the_readers_own_with_utc_beside(sqlite_world: str) -> None:
    async def story(browser: Browser, base: str) -> None:
        async with chrome.page_of(browser, base) as page:
            await page.goto("/console/dead")
            shown = await page.locator(".letters time").first.inner_text()
            assert shown == "2026-11-22 14:00 (13:00 UTC)"
        async with chrome.page_of(browser, base, java_script_enabled=False) as page:
            await page.goto("/console/dead")
            shown = await page.locator(".letters time").first.inner_text()
            assert shown == "2026-11-22 13:00 UTC"

    watch(sqlite_world, story)


def test_the_keyboard_alone_gets_from_the_top_to_a_letter(sqlite_world: str) -> None:
    async def story(browser: Browser, base: str) -> None:
        async with chrome.page_of(browser, base) as page:
            await page.goto("/console/dead")
            await page.keyboard.press("Tab")
            focused = "() => document.activeElement.textContent"
            assert await page.evaluate(focused) == "Skip to the content"
            outline = "() => getComputedStyle(document.activeElement).outlineStyle"
            assert await page.evaluate(outline) == "solid"
            await page.keyboard.press("Enter")
            for _ in range(12):
                await page.keyboard.press("Tab")
                if "VAT code 33" in str(await page.evaluate(focused)):
                    break
            await page.keyboard.press("Enter")
            await page.wait_for_url("**/dead?code=vat-code-unknown**")

    watch(sqlite_world, story)


def test_it_works_without_javascript(sqlite_world: str) -> None:
    """Forms and filters in the address: find, look, dry run."""

    async def story(browser: Browser, base: str) -> None:
        async with chrome.page_of(browser, base, java_script_enabled=False) as page:
            await page.goto("/console/dead?code=vat-code-unknown")
            await page.select_option("#f-class", "set-up")
            await page.get_by_role("button", name="Show these").click()
            assert "class=set-up" in page.url
            await page.check("#c-1")
            await page.check("#c-2")
            await page.get_by_role("button", name="Replay the chosen…").click()
            assert await page.inner_text("h1") == "Replay 2 dead letters"
            await page.fill("#q", "1001")
            await page.get_by_role("button", name="Find").click()
            assert await page.inner_text("h1") == "Invoice 1001"

    watch(sqlite_world, story)


@pytest.mark.kafka
def test_find_the_cause_dry_run_canary_replay_and_see_it_applied_live(
    tmp_path: Path, kafka: KafkaConnection, topic_prefix: str
) -> None:
    names = TopicNames(topic_prefix)
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    fill(url, _many_dead)

    async def run() -> None:
        await topics.create(kafka, names, partitions=4, replication=-1, retention_s=86_400)
        app = acting(url, kafka.bootstrap, topic_prefix)
        async with served(app) as base, chrome.chromium() as browser, _worker(url, kafka, names):
            await asyncio.wait_for(_mend_all(browser, base), DEADLINE_S)

    asyncio.run(run())
    said = rows(url, "SELECT who, why, what FROM audit")
    assert len(said) == 8
    assert {tuple(one) for one in said} == {("kari", "account 3000 has code 3 now", "replayed")}
    assert rows(url, "SELECT count(*) FROM deliveries WHERE state = 'dead'")[0][0] == 0


async def _many_dead(world: World) -> None:
    world.stage.now = Moment(wall=NOW, elapsed=1_000.0, boot="host/1")
    await world.take(*(customer("c-1001", str(100_100 + n), f"Nordlys {n}") for n in range(4)))
    await world.settle_all(FJORD, applied())
    await world.take(
        *(invoice("c-1001", str(1_001 + n), str(100_100 + n % 4), vat="33") for n in range(8))
    )
    await world.refuse_vat()


async def _mend_all(browser: Browser, base: str) -> None:
    async with chrome.page_of(browser, base) as page, chrome.page_of(browser, base) as beside:
        await page.goto("/console/")
        need = page.get_by_role("article").filter(has_text="VAT code 33")
        await need.get_by_text("8 invoices of 4 customers").wait_for()
        await need.get_by_role("link", name="Look at them").click()
        await page.get_by_role("link", name="Invoice 1008").click()
        await beside.goto(page.url)
        await beside.get_by_role("heading", name="Invoice 1008 dead").wait_for()
        await page.go_back()
        await page.get_by_role("link", name="Replay all that fit…").click()
        await page.get_by_role("heading", name="Replay 8 dead letters").wait_for()
        await page.get_by_label("Why").fill("account 3000 has code 3 now")
        await page.get_by_label("Only the oldest").check()
        await page.get_by_role("button", name="Replay").click()
        await page.get_by_role("heading", name="The canary is well").wait_for()
        await page.get_by_role("link", name="Dry run of the other 7").click()
        await page.get_by_role("heading", name="Replay 7 dead letters").wait_for()
        await page.get_by_label("Why").fill("account 3000 has code 3 now")
        await page.get_by_label("All 7").check()
        await page.get_by_role("button", name="Replay").click()
        await page.get_by_role("heading", name="7 letters replayed").wait_for()
        # Nobody has touched this page: it follows by itself.
        await beside.get_by_role("heading", name="Invoice 1008 in the books").wait_for()
        await page.goto("/console/")
        await page.get_by_role("heading", name="Nothing needs a person").wait_for()
        await page.goto("/console/acts")
        assert await page.get_by_text("by kari").count() == 8


@contextlib.asynccontextmanager
async def _worker(url: str, kafka: KafkaConnection, names: TopicNames) -> AsyncIterator[None]:
    """A worker beside the pages: takes commands, carries them out, and books what goes."""
    stage = Stage(url)
    World(stage)
    stage.now = Moment(wall=NOW + 60, elapsed=1_060.0, boot="host/1")
    await stage.begin()
    try:
        async with working(stage, kafka, names, settle=applied()):
            yield
    finally:
        await stage.ledger.stop()
