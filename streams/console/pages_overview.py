"""The overview, what waits, what people did, and finding one thing by its number."""

import re
from typing import Final

from aiohttp import web

from schemas.events import EntityType
from streams.console.addresses import entity_address, letter_address
from streams.console.chart import draw
from streams.console.desk import Desk, Problem, answer, desk_of, language_of, person_of
from streams.console.figures import SHOWN_STATES, Standing
from streams.console.needs import SHOWN, needs_of
from streams.console.people import Person
from streams.console.telling import edited
from streams.ledger import console_lists
from streams.ledger.letters import load_letters
from streams.ledger.replays import load_by_id

PAGE: Final = 50
STANDINGS: Final = 60  # integrations of one page
COMPANIES_LOOKED_IN: Final = 200
COUNTING_AGAIN_S: Final = 2
_ID: Final = re.compile(r"[0-9a-f-]{16,64}")


async def overview(request: web.Request) -> web.Response:
    """What needs a person, then how everything stands."""
    desk, person = desk_of(request), person_of(request)
    start = _start(request.query.get("from"))
    whole = await desk.watch.figures_soon()
    if whole is None:
        return answer(request, "overview.html", figures=None, again_s=COUNTING_AGAIN_S)
    figures = whole.of(person.companies)
    needs = needs_of(figures, language_of(request))
    standings = sorted(figures.standings, key=_troubled)
    return answer(
        request,
        "overview.html",
        figures=figures,
        needs=needs[:SHOWN],
        more_needs=len(needs) - SHOWN,
        standings=standings[start : start + STANDINGS],
        next_from=start + STANDINGS if len(standings) > start + STANDINGS else None,
        chart=draw(figures.hour_counts(), desk.view.now(), figures.hours_since),
        states=SHOWN_STATES,
        applied_today=sum(one.applied_today for one in figures.standings),
        in_flight=sum(one.load.in_flight for one in figures.standings),
    )


def _troubled(one: Standing) -> tuple[bool, int, str]:
    """Held ones first, then by how many are dead."""
    held = one.hold is not None and one.hold.failure is not None
    return not held, -one.dead, one.id


def _start(text: str | None) -> int:
    if text is not None and (not text.isdigit() or len(text) > 9):  # noqa: PLR2004 - no such many
        raise Problem(400, "No such page", "That page is none that a page before it named.")
    return int(text or 0)


async def waiting(request: web.Request) -> web.Response:
    """What waits for a parent, by parent."""
    desk, person = desk_of(request), person_of(request)
    integration = request.query.get("integration") or None
    own = _integrations(desk, person)
    if integration is None and own is not None:
        integration = min(own, default="")
    if integration is not None and own is not None and integration not in own:
        raise _not_there("integration", integration)
    after = _after(request.query.get("after"))
    rows = await desk.view.reader.ask(
        lambda c: console_lists.parked(c, integration=integration, after=after, limit=PAGE + 1)
    )
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    groups: dict[str, list[console_lists.Parked]] = {}
    for row in rows[:PAGE]:
        groups.setdefault(row.key, []).append(row)
    return answer(
        request,
        "waiting.html",
        groups=list(groups.values()),
        integration=integration,
        choices=sorted(own if own is not None else desk.view.integrations),
        next=None if last is None else f"{last.key.replace(chr(31), '~')}~{last.ordinal}",
        first=after is None,
    )


def _after(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    key, _, ordinal = text.rpartition("~")
    if key.count("~") != 2 or not ordinal.isdigit() or len(ordinal) > 18:  # noqa: PLR2004 - a key has three parts, an ordinal 64 bits
        raise Problem(400, "No such page", "That page is none that a page before it named.")
    return key.replace("~", "\x1f"), int(ordinal)


def _integrations(desk: Desk, person: Person) -> set[str] | None:
    """Those of somebody who sees only some companies; None: all."""
    if person.companies is None:
        return None
    return {one.id for one in desk.view.integrations.values() if one.company in person.companies}


async def acts(request: web.Request) -> web.Response:
    """What people asked for and what it came to, newest first."""
    desk, person = desk_of(request), person_of(request)
    before = request.query.get("before")
    if before is not None and (not before.isdigit() or len(before) > 18):  # noqa: PLR2004 - 64 bits
        raise Problem(400, "No such page", "That page is none that a page before it named.")
    own = _integrations(desk, person)
    rows = await desk.view.reader.ask(
        lambda c: console_lists.acts_before(
            c, None if before is None else int(before), integrations=own, limit=PAGE + 1
        )
    )
    return answer(
        request,
        "acts.html",
        acts=[said for _, said in rows[:PAGE]],
        edited=edited,
        next=rows[PAGE - 1][0] if len(rows) > PAGE else None,
        first=before is None,
    )


async def find(request: web.Request) -> web.Response:
    """Go to the entity or delivery that is named, or list those of that number."""
    desk, person = desk_of(request), person_of(request)
    text = request.query.get("q", "").strip()
    if not text:
        raise Problem(
            400,
            "Nothing to look for",
            "Write the number of a customer, project or invoice, or the id of a delivery.",
        )
    if _ID.fullmatch(text.lower()) and await _is_known(desk, person, text):
        raise web.HTTPSeeOther(letter_address(text))
    kind, slash, number = text.partition("/")
    if not slash or kind.lower() not in set(EntityType):
        kind, number = "", text
    companies = sorted(_companies(desk, person))[:COMPANIES_LOOKED_IN]
    found = await desk.view.reader.ask(lambda c: console_lists.entities_named(c, companies, number))
    found = [one for one in found if not kind or one[1] == kind.lower()]
    if len(found) == 1:
        company, entity_type, name = found[0]
        raise web.HTTPSeeOther(entity_address(company, f"{entity_type}/{name}"))
    if not found:
        raise Problem(
            404,
            f"Nothing is called {text}",
            "No customer, project or invoice of the companies that are set up has this number, "
            "and no delivery or letter this id.",
            do="A number is the one in Moment, like 1001 or invoice/1001. What has not reached "
            "the ledger cannot be found here.",
        )
    return answer(request, "found.html", found=found, text=text)


def _companies(desk: Desk, person: Person) -> set[str]:
    known = {one.company for one in desk.view.integrations.values()}
    if desk.watch.figures is not None:
        known |= {one.company for one in desk.watch.figures.standings if one.company is not None}
    return {company for company in known if person.sees(company)}


async def _is_known(desk: Desk, person: Person, name: str) -> bool:
    delivery = (await desk.view.reader.ask(lambda c: load_by_id(c, [name]))).get(name)
    if delivery is not None:
        return person.sees(delivery.company)
    letter = (await desk.view.reader.ask(lambda c: load_letters(c, [name]))).get(name)
    return letter is not None and person.sees(letter.company)


def _not_there(what: str, name: str) -> Problem:
    return Problem(404, "Nothing here", f"No {what} {name} is known.")
