"""The console as a part of a web application: its pages, its doors, and what runs beside them."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from connectors.integrations import Integration
from connectors.port import Clock
from streams.console import pages_acts, pages_dead, pages_mend, pages_overview, pages_story
from streams.console.acting import Acts
from streams.console.addresses import BASE
from streams.console.desk import (
    DESK,
    PERSON,
    TOKEN_COOKIE,
    Desk,
    Problem,
    answer,
    desk_of,
    problem,
    text_of,
)
from streams.console.live import live
from streams.console.people import (
    CLOSED,
    People,
    PeopleError,
    Person,
    bearer,
    door_of,
    is_loopback,
)
from streams.console.render import STATIC, static_bytes, warm
from streams.console.security import FORM_FIELD, is_ours, secure
from streams.console.view import ConsoleView
from streams.console.watch import Watch
from streams.console.wording import utc
from streams.ledger.console_reader import ConsoleReader, LedgerAwayError
from streams.setting_values import Address
from streams.settings import Settings

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FORM_BYTES_MAX: Final = 4 * 1024 * 1024  # a form that names two thousand letters is a tenth of it
_OPEN_PAGES: Final = frozenset({f"{BASE}/sign-in", f"{BASE}/sign-out"})
_NO_ACTS: Final = frozenset({f"{BASE}/sign-in", f"{BASE}/sign-out"})


def add_console(
    app: web.Application,
    settings: Settings,
    *,
    set_up: Callable[[], Mapping[str, Integration]],
    clock: Clock,
    listens: Address | None = None,
    bounds: Callable[[], Mapping[str, int]] = dict,
    ask_lag: Callable[[Settings], Awaitable[int]] | None = None,
) -> None:
    """Serve the console under `/console`, unless the settings switch it off.

    `set_up`: the integrations in force, by id. `listens`: where the application is served, by
    default the setting `WEB`. `bounds`: how many calls of an integration may be in flight now,
    where a worker is at hand to say; else the ceilings of the settings are shown.
    `ask_lag`: how many records Kafka has that nobody took, by default asked of Kafka.
    """
    if settings.console == "off":
        return
    console = web.Application(middlewares=[_guard], client_max_size=FORM_BYTES_MAX)
    console.cleanup_ctx.append(_running)
    console.on_shutdown.append(_ending)
    view = ConsoleView(
        settings,
        ConsoleReader(settings.ledger, lambda: clock.now().timestamp()),
        set_up,
        clock,
    )
    door = door_of(settings, listens or settings.web)
    console[DESK] = Desk(
        view=view,
        watch=Watch(view, bounds, ask_lag),
        acts=Acts(view),
        door=door,
        people=People(door),
    )
    console.add_routes(_routes())
    app.router.add_get("/", _to_overview)
    app.router.add_get(BASE, _to_overview)
    app.add_subapp(BASE, console)


async def _to_overview(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(f"{BASE}/")


def _routes() -> list[web.RouteDef]:
    return [
        web.get("/", pages_overview.overview),
        web.get("/waiting", pages_overview.waiting),
        web.get("/acts", pages_overview.acts),
        web.get("/find", pages_overview.find),
        web.get("/dead", pages_dead.dead_letters),
        web.get("/dead/{id}", pages_dead.letter),
        web.get("/story/{company}/{kind}/{number}", pages_story.story),
        web.get("/mend", pages_mend.dry_run),
        web.post("/mend", pages_mend.act),
        web.get("/edit/{id}", pages_mend.edit),
        web.post("/edit/{id}", pages_mend.edited),
        web.get("/deed/{id}", pages_acts.deed),
        web.get("/resume/{integration}", pages_acts.resume),
        web.post("/resume/{integration}", pages_acts.resume_now),
        web.get("/sign-in", pages_acts.sign_in),
        web.post("/sign-in", pages_acts.signed_in),
        web.post("/sign-out", pages_acts.sign_out),
        web.get("/live", live),
        web.get("/static/{digest}/{name}", _static),
    ]


async def _running(console: web.Application) -> AsyncIterator[None]:
    """Look at the ledger while the console is served."""
    desk = console[DESK]
    await asyncio.to_thread(warm)
    watching = asyncio.create_task(desk.watch.run())
    yield
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    await desk.acts.stop()
    await asyncio.to_thread(desk.view.reader.close)


async def _ending(console: web.Application) -> None:
    console[DESK].watch.close()


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    try:
        body = static_bytes(name)
    except KeyError:
        raise web.HTTPNotFound from None
    return web.Response(
        body=body,
        headers={
            "Content-Type": STATIC[name],
            "Cache-Control": "public, max-age=31536000, immutable",
        },
    )


# --- the door --------------------------------------------------------------------------------


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Know who it is, let nothing through that is not theirs, and answer every failure."""
    try:
        response = await _guarded(request, handler)
    except (Problem, LedgerAwayError, PeopleError) as error:
        response = problem(request, _problem_of(error))
    except web.HTTPException as error:
        if error.status not in _PROBLEMS:
            secure(request, error)
            raise
        title, why = _PROBLEMS[error.status]
        response = problem(request, Problem(error.status, title, why))
    except ConnectionResetError:
        raise
    except Exception:
        log.exception("a page failed", extra={"action": "console_failed"})
        why = "A defect of moment-sync; the log has it. Nothing was changed by looking."
        response = problem(request, Problem(500, "This page failed", why))
    if not response.prepared:
        secure(request, response)
    return response


_PROBLEMS: Final = {
    404: ("No such page", "There is no page at this address."),
    405: ("Not this way", "This address is not asked for in this way."),
    413: ("Too much", "That form is larger than any of ours."),
    503: ("Too many look at once", "This page still works; it tells of changes when reloaded."),
}


def _problem_of(error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, LedgerAwayError):
        return _away(error)
    log.error(
        "the console's file of people cannot be used: %s",
        error,
        extra={"action": "console_people_refused"},
    )
    why = "The file that says who may look cannot be used; the log says why."
    return Problem(503, "Nobody can be let in", why)


async def _guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
    if handler is _static:
        return await handler(request)
    desk = desk_of(request)
    person = _who(request, desk)
    if person is not None:
        request[PERSON] = person
    elif request.path not in _OPEN_PAGES:
        return _turned_away(request, desk)
    if request.method == "POST":
        form = await request.post()
        if not is_ours(request, text_of(form, FORM_FIELD)):
            raise Problem(
                403,
                "That form is not one of ours",
                "It came from another page, or this browser keeps no cookies. Nothing was done.",
                do="Open the page again and send it from there.",
            )
        if request.path not in _NO_ACTS and (person is None or not person.may_act):
            raise Problem(403, "You cannot act here", "Nothing was done. This is for looking.")
    return await handler(request)


def _who(request: web.Request, desk: Desk) -> Person | None:
    if desk.door.open_to_all:
        # A page of another site may have its name lead here, and would then read along.
        return Person() if is_loopback((request.url.host or "").strip("[]")) else None
    if desk.door.header is not None:
        found = desk.people.named(request.headers.get(desk.door.header))
        if found is not None:
            return found
    return desk.people.with_token(bearer(request.headers) or request.cookies.get(TOKEN_COOKIE))


def _turned_away(request: web.Request, desk: Desk) -> web.StreamResponse:
    if desk.door.open_to_all:
        why = "Without a word on who may look, it answers to 127.0.0.1 and localhost alone."
        return problem(request, Problem(403, "Not under this name", why))
    if desk.door.header is None and desk.door.people is None:
        return problem(request, Problem(403, "This console is closed", CLOSED))
    if desk.people.has_tokens and request.method == "GET" and request.path != f"{BASE}/live":
        return answer(request, "sign_in.html", status=401, live=False, wrong="")
    why = "Whoever stands before this console did not say who you are, or you are not known here."
    return problem(request, Problem(401, "Who are you?", why))


def _away(error: LedgerAwayError) -> Problem:
    away = error.away
    return Problem(
        503,
        "The ledger does not answer",
        f"Since {utc(away.since)} UTC the ledger {away.place} cannot be read: {away.reason}.",
        do="This page tries again by itself every few seconds. Workers wait for the ledger too: "
        "nothing is lost, and what was asked for is carried out once it is back.",
    )
