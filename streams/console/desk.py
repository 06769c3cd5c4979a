"""What every page needs: who looks, in which language, and answers in one shape."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from streams.console.acting import Acts
from streams.console.addresses import BASE
from streams.console.people import Door, People, Person
from streams.console.render import page
from streams.console.security import form_token, keep_form_token
from streams.console.view import ConsoleView
from streams.console.watch import Watch
from streams.console.wording import LANGUAGE_COOKIE, language_for

TOKEN_COOKIE: Final = "moment-sync-token"  # noqa: S105 - its name
ONE_YEAR_S: Final = 31_536_000
RETRY_S: Final = 5  # a page about a ledger that is away tries again by itself


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of one console."""

    view: ConsoleView
    watch: Watch
    acts: Acts
    door: Door
    people: People


DESK: Final = web.AppKey("desk", Desk)
PERSON: Final = web.RequestKey("person", Person)


class Problem(Exception):  # noqa: N818 - it is a page, not an error of ours
    """Answer with a page that says what is wrong and what to do."""

    def __init__(
        self, status: int, title: str, text: str, *, do: str = "", at: tuple[str, str] | None = None
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.text = text
        self.do = do
        self.at = at or (BASE, "Overview")


def desk_of(request: web.Request) -> Desk:
    """The console that serves a request."""
    return request.config_dict[DESK]


def person_of(request: web.Request) -> Person:
    """Who asks."""
    return request[PERSON]


def language_of(request: web.Request) -> str:
    """The reader's language."""
    return language_for(
        request.query.get("lang"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.headers.get("Accept-Language"),
    )


def answer(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    again_s: int | None = None,
    **values: Any,
) -> web.Response:
    """A page with what all pages have. `again_s`: without JavaScript it is asked for again."""
    desk = desk_of(request)
    person = request.get(PERSON)
    token = form_token(request)
    text = page(
        template,
        **{
            "person": person,
            "acting": person is not None and person.may_act,
            "acts_off": _why_not(desk.door, person),
            "language": language_of(request),
            "here": request.rel_url,
            "switch": lambda lang: str(request.rel_url.update_query(lang=lang)),
            "form": token,
            "now": desk.view.now(),
            "again_s": again_s,
            "live": person is not None and status == web.HTTPOk.status_code,
            "signs_in": desk.door.people is not None,
            **values,
        },
    )
    response = web.Response(text=text, status=status, content_type="text/html")
    response.headers["Vary"] = "Accept-Language, Cookie"
    keep_form_token(request, response, token)
    asked = request.query.get("lang")
    if asked is not None and asked == language_of(request):
        response.set_cookie(
            LANGUAGE_COOKIE, asked, max_age=ONE_YEAR_S, samesite="Lax", httponly=True, path=BASE
        )
    return response


def _why_not(door: Door, person: Person | None) -> str:
    """Why nobody can act here, or this person cannot; empty where they can."""
    if not door.acting:
        return "This console is read-only. MOMENT_SYNC_CONSOLE=act lets people act in it."
    if person is not None and not person.may_act:
        return "You may look, and not act. Whoever runs moment-sync can change that."
    return ""


def problem(request: web.Request, found: Problem) -> web.Response:
    """The page of a problem."""
    again = RETRY_S if found.status == web.HTTPServiceUnavailable.status_code else None
    response = answer(request, "problem.html", status=found.status, again_s=again, problem=found)
    if again is not None:
        response.headers["Retry-After"] = str(again)
    return response


def text_of(form: Mapping[str, Any], name: str) -> str:
    """A field of a form as text; empty where it is missing or a file."""
    found = form.get(name, "")
    return found.strip() if isinstance(found, str) else ""


Tell = Callable[[str], None]
