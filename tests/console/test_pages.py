"""What pages say, and with which status; the same on both databases."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession
from sqlalchemy import text as sql

from streams.ledger.queries import ask
from streams.ledger.schema import migrate
from tests.console.conftest import Client, fill, visit
from tests.console.serving import settings_for
from tests.console.world import NASTY, World, customer

SCRIPT = "<script>alert"


def rows(url: str, query: str, **parameters: str) -> list[Any]:
    """Rows of a query of our own."""
    return ask(url, lambda c: list(c.execute(sql(query), parameters)))


def dead_id(url: str, number: str) -> str:
    query = "SELECT delivery_id FROM deliveries WHERE number = :n AND state = 'dead'"
    return str(rows(url, query, n=number)[0].delivery_id)


def letter_id(url: str) -> str:
    return str(rows(url, "SELECT letter_id FROM letters")[0].letter_id)


def every_page(url: str) -> list[str]:
    name, letter = dead_id(url, "1001"), letter_id(url)
    return [
        "/console/",
        "/console/dead",
        "/console/dead?text=vat&since=30d",
        "/console/dead?code=vat-code-unknown&class=set-up&integration=fjord-sb1",
        f"/console/dead/{name}",
        f"/console/dead/{letter}",
        f"/console/edit/{name}",
        f"/console/mend?kind=replay&id={name}",
        f"/console/mend?kind=discard&id={letter}",
        "/console/mend?kind=replay&code=vat-code-unknown&integration=fjord-sb1",
        "/console/story/c-1001/invoice/1001",
        "/console/story/c-1001/invoice/1101",
        "/console/story/c-1002/customer/100200",
        "/console/waiting",
        "/console/waiting?integration=fjord-sb1",
        "/console/acts",
        "/console/resume/vik-dk",
        "/console/resume/fjord-sb1",
    ]


async def overview(client: Client) -> str:
    """The overview, once the ledger has been counted; each try waits a little by itself."""
    while True:
        page = await (await client.get("/console/")).text()
        if "<h1>Counting</h1>" not in page:
            return page


async def overview_ready(base: str) -> None:
    """Return once a console that is served has counted."""
    headers = {"X-Forwarded-User": "kari"}
    async with ClientSession(base, headers=headers) as session:
        while "<h1>Counting</h1>" in await (await session.get("/console/")).text():
            pass


class _Inline(HTMLParser):
    """What a page must not have: script or style in it, or from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "style" or (tag == "script" and not given.get("src")):
            self.found.append(tag)
        self.found += [name for name, _ in attrs if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            value = given.get(name) or ""
            if re.match(r"(?:[a-z]+:)?//|javascript:|data:", value):
                self.found.append(f"{tag} {name}={value}")


def test_every_page_answers_within_the_policy(world_url: str) -> None:
    """Nothing inline, nothing from elsewhere, nothing that a cache keeps."""

    async def story(client: Client) -> None:
        for address in every_page(world_url):
            answer = await client.get(address)
            text = await answer.text()
            assert answer.status == 200, (address, text[:2000])
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            parser = _Inline()
            parser.feed(text)
            assert parser.found == [], address
            assert SCRIPT not in text, address

    visit(settings_for(world_url), story)


def test_the_overview_puts_first_what_a_person_must_do(world_url: str) -> None:
    async def story(client: Client) -> None:
        text = await overview(client)
        held, dead = text.index("Transfers to DK+ are held"), text.index("VAT code 33")
        twice, hours = text.index("Invoice 3001 may be"), text.index("Outcomes by hour")
        assert held < twice < dead < hours
        assert "40 invoices of 12 customers" in text
        assert "<svg viewBox" in text
        for integration in ("fjord-sb1", "nord-sb1", "vik-dk"):
            assert integration in text

    visit(settings_for(world_url), story)


def test_the_dead_are_counted_by_code_and_by_cause(world_url: str) -> None:
    async def story(client: Client) -> None:
        await overview(client)
        text = await (await client.get("/console/dead")).text()
        found = re.findall(r'code=([a-z-]+)">\1</a>\n<svg.*\n<span>(\d+)</span>', text)
        assert found[:3] == [
            ("vat-code-unknown", "40"),
            ("period-locked", "3"),
            ("event-unreadable", "2"),
        ]
        assert 'Dead letters <span class="tally">47</span>' in text
        assert "2 letters that never became a delivery" in text
        one = await (await client.get("/console/dead?code=event-unreadable")).text()
        assert 'Dead letters <span class="tally">2</span>' in one

    visit(settings_for(world_url), story)


def test_names_with_markup_are_shown_as_the_text_that_they_are(world_url: str) -> None:
    name = dead_id(world_url, "99")

    async def story(client: Client) -> None:
        text = await (await client.get(f"/console/dead/{name}")).text()
        assert NASTY not in text
        assert "&lt;script&gt;alert(" in text
        searched = await (await client.get("/console/find", params={"q": NASTY})).text()
        assert SCRIPT not in searched
        filtered = await (await client.get("/console/dead", params={"code": NASTY})).text()
        assert SCRIPT not in filtered

    visit(settings_for(world_url), story)


@pytest.mark.parametrize(
    ("address", "status", "says"),
    [
        ("/console/dead/nobody", 404, "No such letter"),
        ("/console/dead/" + "x" * 300, 404, "No such letter"),
        ("/console/dead?code=vat", 400, "filter code"),
        ("/console/dead?class=x", 400, "filter class"),
        ("/console/dead?entity=1001", 400, "filter entity"),
        ("/console/dead?since=yesterday", 400, "filter since"),
        ("/console/dead?until=nan", 400, "filter until"),
        ("/console/dead?cause=x", 400, "filter cause"),
        ("/console/dead?after=17", 400, "No such page"),
        ("/console/dead?after=1~d~x", 400, "No such page"),
        ("/console/waiting?after=x", 400, "No such page"),
        ("/console/acts?before=x", 400, "No such page"),
        ("/console/?from=x", 400, "No such page"),
        ("/console/story/c-1001/invoice/0", 404, "Nothing is known of it"),
        ("/console/story/c-1001/voucher/1", 404, "Nothing is known of it"),
        ("/console/resume/nobody", 404, "No such integration"),
        ("/console/deed/nobody", 404, "not remembered"),
        ("/console/edit/nobody", 404, "No such letter"),
        ("/console/mend", 400, "no letters and no filter"),
        ("/console/mend?kind=burn&all=1", 400, "nothing that can be done"),
        ("/console/mend?id=nobody", 404, "Not every one is known"),
        ("/console/mend?code=vat-code-unknown&edit=x", 400, "cannot be done"),
        ("/console/find?q=nothing-of-it", 404, "Nothing is called"),
        ("/console/find?q=", 400, "Nothing to look for"),
        ("/console/no-such", 404, "No such page"),
        ("/console/static/0/secret.txt", 404, "No such page"),
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(
    world_url: str, address: str, status: int, says: str
) -> None:
    async def story(client: Client) -> None:
        answer = await client.get(address)
        text = await answer.text()
        assert (answer.status, says in text) == (status, True), text
        assert "<h1>" in text
        assert "Content-Security-Policy" in answer.headers

    visit(settings_for(world_url), story)


def test_a_letter_speaks_the_language_of_its_reader(world_url: str) -> None:
    name = dead_id(world_url, "1001")
    address = f"/console/dead/{name}"

    async def story(client: Client) -> None:
        english = await (await client.get(address)).text()
        header = {"Accept-Language": "da, no;q=0.8, en;q=0.5"}
        norwegian = await (await client.get(address, headers=header)).text()
        icelandic = await (await client.get(f"{address}?lang=is", headers=header)).text()
        kept = await (await client.get(address, headers=header)).text()
        assert "VAT code 33 is not there" in english
        assert 'lang="nb"' in norwegian
        assert "VAT code 33 is not there" not in norwegian
        assert 'lang="is">' in icelandic
        assert re.findall('<h2 id="what-heading".*', kept) == re.findall(
            '<h2 id="what-heading".*', icelandic
        )

    visit(settings_for(world_url), story)


def test_a_letter_shows_the_event_and_the_answer(world_url: str) -> None:
    name = dead_id(world_url, "1001")

    async def story(client: Client) -> None:
        text = await (await client.get(f"/console/dead/{name}")).text()
        assert "&#34;customerNumber&#34;: &#34;100100&#34;" in text
        assert "VAT code 33 does not exist" in text
        assert "POST 400" in text
        unread = await (await client.get(f"/console/dead/{letter_id(world_url)}")).text()
        assert "Letter without a delivery" in unread

    visit(settings_for(world_url), story)


def test_a_story_links_to_the_parent_that_it_waits_for(world_url: str) -> None:
    async def story(client: Client) -> None:
        text = await (await client.get("/console/story/c-1001/invoice/1101")).text()
        assert '<a href="/console/story/c-1001/customer/100999">Customer 100999</a>' in text
        waiting = await (await client.get("/console/waiting")).text()
        assert waiting.count("Invoice 110") == 2

    visit(settings_for(world_url), story)


def test_finding_goes_to_the_one_thing_of_that_number(world_url: str) -> None:
    name = dead_id(world_url, "1001")

    async def story(client: Client) -> None:
        for text, place in (
            ("1001", "/console/story/c-1001/invoice/1001"),
            ("invoice/1001", "/console/story/c-1001/invoice/1001"),
            (name, f"/console/dead/{name}"),
        ):
            answer = await client.get("/console/find", params={"q": text}, allow_redirects=False)
            assert (answer.status, answer.headers["Location"]) == (303, place)

    visit(settings_for(world_url), story)


def test_a_dry_run_says_what_would_go_and_changes_nothing(world_url: str) -> None:
    name = dead_id(world_url, "1001")
    before = rows(world_url, "SELECT count(*) AS n FROM commands")

    async def story(client: Client) -> None:
        address = "/console/mend?kind=replay&code=vat-code-unknown&integration=fjord-sb1"
        text = await (await client.get(address)).text()
        assert "Replay 40 dead letters" in text
        assert text.count("the canary") == 1
        assert "read-only" in text
        assert 'method="post" action="/console/mend"' not in text
        edited = f"/console/mend?kind=replay&id={name}&edit=lines[0].vatCode=3"
        text = await (await client.get(edited)).text()
        assert "<del>33</del>" in text
        assert "<ins>3</ins>" in text
        kept = f"/console/mend?kind=replay&id={name}&edit=number=3"
        assert (await client.get(kept)).status == 400

    visit(settings_for(world_url), story)
    assert rows(world_url, "SELECT count(*) AS n FROM commands") == before


def test_a_secret_in_a_header_of_an_event_is_not_shown(tmp_path: Path) -> None:
    """Producers put into headers what they like."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"

    async def take(world: World) -> None:
        record = world.stage.record("evt-1", customer("c-1001", "99", "Nordlys"))
        changed = (*record.headers, ("authorization", b"Bearer abcdefghijklmnop"))
        await world.stage.take_records(msgspec.structs.replace(record, headers=changed))

    fill(url, take)
    (row,) = rows(url, "SELECT delivery_id FROM deliveries")

    async def story(client: Client) -> None:
        text = await (await client.get(f"/console/dead/{row.delivery_id}")).text()
        assert "authorization" in text
        assert "abcdefghijklmnop" not in text

    visit(settings_for(url), story)


def test_an_empty_ledger_says_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate(url)

    async def story(client: Client) -> None:
        assert "Nothing is dead." in await (await client.get("/console/dead")).text()
        assert "Nothing waits" in await (await client.get("/console/waiting")).text()
        assert "Nobody has replayed" in await (await client.get("/console/acts")).text()

    visit(settings_for(url), story)


def test_the_console_can_be_switched_off(world_url: str) -> None:
    async def story(client: Client) -> None:
        assert (await client.get("/console/")).status == 404

    visit(settings_for(world_url, CONSOLE="off"), story)
