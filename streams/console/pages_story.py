"""The whole story of an entity, as a time line."""

from aiohttp import web

from schemas.events import EntityType
from streams.console import telling
from streams.console.desk import Problem, answer, desk_of, language_of, person_of
from streams.console.wording import say
from streams.core.states import State
from streams.ledger.story import Story, story_of_entity

LENGTH_MAX = 255


async def story(request: web.Request) -> web.Response:
    """Everything that the ledger knows of one customer, project or invoice."""
    desk, person, language = desk_of(request), person_of(request), language_of(request)
    company, kind, number = (request.match_info[name] for name in ("company", "kind", "number"))
    if kind not in set(EntityType) or max(len(company), len(number)) > LENGTH_MAX:
        raise _unknown(kind, number)
    found: Story | None = None
    if person.sees(company):
        found = await desk.view.reader.ask(lambda c: story_of_entity(c, company, kind, number))
    if found is None:
        raise _unknown(kind, number)
    entity = f"{kind}/{number}"
    systems: dict[str, str | None] = {one.integration: one.system for one in found.deliveries}
    latest = {one.integration: one for one in found.deliveries}
    now = [
        {
            "delivery": one,
            "words": telling.state_words(one.state.value),
            "said": say(one.failure, language, one.system, entity)
            if one.failure is not None and one.state in {State.DEAD, State.BLOCKED, State.DUE}
            else None,
            "waits_for": "/".join((one.waits_key or "").split("\x1f")[1:]) or None,
            "known": next((k for k in found.known if k.integration == one.integration), None),
        }
        for one in latest.values()
    ]
    return answer(
        request,
        "story.html",
        company=company,
        entity=entity,
        customer=found.customer_number,
        now_in=now,
        entries=telling.entries(found.lines, language, systems, entity),
        whole=found.whole,
    )


def _unknown(kind: str, number: str) -> Problem:
    return Problem(
        404,
        "Nothing is known of it",
        f"The ledger has no event of a {kind[:40]} {number[:80]} of this company.",
        do="What Moment has not sent since moment-sync was set up is not known here. "
        "`moment-sync show` on the command line asks the same ledger.",
    )
