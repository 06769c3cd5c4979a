"""How an act goes, ending a hold, and signing in."""

from typing import Final

from aiohttp import web

from connectors.integrations import Integration
from streams.console.acting import Deed
from streams.console.desk import (
    TOKEN_COOKIE,
    Problem,
    answer,
    desk_of,
    language_of,
    person_of,
    text_of,
)
from streams.console.people import Person
from streams.console.security import is_https
from streams.console.telling import state_words
from streams.console.wording import say
from streams.ledger.holds import load_holds

LOOK_AGAIN_S: Final = 2
TOKEN_KEPT_S: Final = 43_200  # twelve hours: a working day


async def deed(request: web.Request) -> web.Response:
    """An act while it goes on, and what it came to."""
    found = _deed(request)
    canary = [
        {"name": name, "state": state, "words": state_words(state), "code": code}
        for name, state, code in found.canary_states
    ]
    return answer(
        request,
        "deed.html",
        deed=found,
        canary=canary,
        next_run=found.again or found.back,
        again_s=None if found.over else LOOK_AGAIN_S,
    )


def _deed(request: web.Request) -> Deed:
    person: Person = person_of(request)
    found = desk_of(request).acts.deed(request.match_info["id"])
    seen = found is not None and (
        person.companies is None or (found.companies and found.companies <= person.companies)
    )
    if found is None or not seen:
        raise Problem(
            404,
            "That act is not remembered",
            "This console was started since, or another one took it. What was sent is carried "
            "out all the same.",
            do="What people did is in the list of acts, and on the page of each letter.",
            at=("/console/acts", "Acts"),
        )
    return found


async def resume(request: web.Request) -> web.Response:
    """Why an integration is held, and the button that ends it."""
    return await _resume_page(request)


async def _resume_page(request: web.Request, wrong: str = "") -> web.Response:
    desk = desk_of(request)
    name, one = _integration(request)
    hold = (await desk.view.reader.ask(load_holds)).get(name)
    failure = None if hold is None else hold.failure
    language = language_of(request)
    return answer(
        request,
        "resume.html",
        status=400 if wrong else 200,
        integration=one,
        hold=hold,
        said=None if failure is None else say(failure, language, one.system.value, None),
        wrong=wrong,
    )


def _integration(request: web.Request) -> tuple[str, Integration]:
    name = request.match_info["integration"]
    one = desk_of(request).view.integrations.get(name)
    if one is None or not person_of(request).sees(one.company):
        raise Problem(404, "No such integration", f"No integration {name[:80]} is set up.")
    return name, one


async def resume_now(request: web.Request) -> web.StreamResponse:
    """End a hold."""
    desk, person = desk_of(request), person_of(request)
    name, one = _integration(request)
    form = await request.post()
    reason = text_of(form, "reason")
    if not reason:
        return await _resume_page(request, "Say why: it is kept in the audit beside your name.")
    found = desk.acts.resume(name, one.company, person.name, reason, f"/console/resume/{name}")
    raise web.HTTPSeeOther(f"/console/deed/{found.id}")


async def sign_in(request: web.Request) -> web.Response:
    """Ask for a token."""
    return answer(request, "sign_in.html", wrong="", live=False)


async def signed_in(request: web.Request) -> web.StreamResponse:
    """Keep a token that is somebody's."""
    form = await request.post()
    token = text_of(form, "token")
    if desk_of(request).people.with_token(token) is None:
        return answer(
            request, "sign_in.html", status=403, live=False, wrong="That token is nobody's."
        )
    response = web.HTTPSeeOther("/console")
    response.set_cookie(
        TOKEN_COOKIE,
        token,
        max_age=TOKEN_KEPT_S,
        httponly=True,
        samesite="Strict",
        secure=is_https(request),
        path="/console",
    )
    raise response


async def sign_out(request: web.Request) -> web.StreamResponse:  # noqa: ARG001 - a handler
    """Forget the token."""
    response = web.HTTPSeeOther("/console/sign-in")
    response.del_cookie(TOKEN_COOKIE, path="/console")
    raise response
