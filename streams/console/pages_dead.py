"""The dead letters: all that fit some filters, and one of them whole."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from aiohttp import web

from connectors.redaction import cleared
from schemas.failures import FailureClass, FailureCode
from schemas.wire import Record
from streams.console import telling
from streams.console.desk import Desk, Problem, answer, desk_of, language_of, person_of
from streams.console.filters import (
    Asked,
    Code,
    asked,
    by_code,
    causes_among,
    causes_at_hand,
    given_filters,
    letters_at_hand,
)
from streams.console.needs import Need, cause_need, letter_needs
from streams.console.wording import say
from streams.core.states import MOVABLE, State
from streams.ledger.console_dead import LOOKED_AT, BadPlaceError, DeadPage, sought_page
from streams.ledger.console_queries import DeadCause, LetterCount
from streams.ledger.dead import Dead
from streams.ledger.letters import StoredLetter, load_letters
from streams.ledger.story import Story, story_of_delivery

PAGE: Final = 50
GROUPED: Final = 1_000  # letters of a filter that was not counted are grouped, the newest
GROUPS: Final = 12  # of them on the page, the largest
VALUE_SHOWN_BYTES: Final = 64 * 1024  # of an original event; one may be as large as Kafka takes it
ID_MAX: Final = 255


async def dead_letters(request: web.Request) -> web.Response:
    """The list, newest failure first, with its causes above."""
    desk, person, language = desk_of(request), person_of(request), language_of(request)
    wanted = asked(given_filters(request), person, desk.view, language)
    after = request.query.get("after") or None
    figures = await desk.watch.figures_soon()

    def query(connection: Any) -> tuple[DeadPage, DeadPage | None]:
        page = sought_page(connection, wanted.sought, after=after, limit=PAGE)
        # A text is looked for in every row; doing so twice would make the page slow.
        if after is not None or not wanted.needs_looking or wanted.sought.text is not None:
            return page, None
        return page, sought_page(connection, wanted.sought, after=None, limit=GROUPED)

    try:
        page, looked = await desk.view.reader.ask(query)
    except BadPlaceError:
        raise Problem(
            400, "No such page", "That page is none that a page before it named."
        ) from None
    own = None if figures is None else figures.of(person.companies)
    groups: list[Need] | None = None
    codes: list[Code] = []
    if wanted.sought.text is not None or after is not None:
        groups = []
    elif looked is not None:
        groups = _groups(causes_among(looked.dead, desk.view), (), language)
    elif own is not None and not wanted.needs_looking:
        letters = letters_at_hand(own.letters, wanted.sought)
        groups = _groups(causes_at_hand(own.causes, wanted.sought), letters, language)
        if wanted.sought.klass is None and wanted.sought.cause is None:
            codes = by_code(own.standings, own.letters, wanted.sought)
    return answer(
        request,
        "dead.html",
        rows=[_row(desk, dead, language) for dead in page.dead],
        groups=None if groups is None else groups[:GROUPS],
        more_groups=0 if groups is None else max(0, len(groups) - GROUPS),
        most=max((group.many for group in groups or ()), default=0),
        looked_at=GROUPED if looked is not None and looked.next is not None else None,
        total=_total(wanted, groups, codes, looked),
        by_code=codes,
        filters=wanted.values,
        filters_for_links={"klass" if n == "class" else n: v for n, v in wanted.values.items()},
        looked_limit=LOOKED_AT,
        anything=wanted.anything,
        codes=[code.value for code in FailureCode],
        classes=[klass.value for klass in FailureClass],
        companies=sorted(
            {o.company for o in desk.view.integrations.values() if person.sees(o.company)}
        ),
        integrations=sorted(
            o.id for o in desk.view.integrations.values() if person.sees(o.company)
        ),
        next=page.next,
        broken_off=page.broken_off,
        first=after is None,
    )


def _groups(
    causes: Sequence[DeadCause], letters: Sequence[LetterCount], language: str
) -> list[Need]:
    """The causes as the overview puts them, the largest first."""
    found = [cause_need(cause, language) for cause in causes] + letter_needs(letters, language)
    return sorted(found, key=lambda need: -need.many)


def _total(
    wanted: Asked, groups: list[Need] | None, codes: Sequence[Code], looked: DeadPage | None
) -> int | None:
    """How many fit, where that is known."""
    if looked is not None:
        return len(looked.dead) if looked.next is None else None
    if codes:
        return sum(code.count for code in codes)
    known = groups is not None and wanted.sought.text is None and wanted.anything
    return sum(group.many for group in groups or ()) or None if known else None


def _row(desk: Desk, dead: Dead, language: str) -> dict[str, Any]:
    system = desk.view.system_of(dead.integration)
    return {
        "dead": dead,
        "system": system,
        "said": say(dead.failure, language, system, dead.entity),
    }


# --- one of them -----------------------------------------------------------------------------


async def letter(request: web.Request) -> web.Response:
    """One dead letter whole; also a delivery that is not dead, so that links to it keep."""
    desk, person = desk_of(request), person_of(request)
    name = request.match_info["id"]

    def query(connection: Any) -> tuple[Story | None, StoredLetter | None]:
        story = story_of_delivery(connection, name)
        if story is not None:
            return story, None
        return None, load_letters(connection, [name]).get(name)

    story, unsent = (None, None) if len(name) > ID_MAX else await desk.view.reader.ask(query)
    company = story.deliveries[0].company if story else unsent.company if unsent else None
    if (story is None and unsent is None) or not person.sees(company):
        raise Problem(
            404,
            "No such letter",
            f"The ledger knows no delivery or letter {name[:80]}.",
            do="It may have been settled long ago and pruned, or the address was cut.",
            at=("/console/dead", "Dead letters"),
        )
    if story is not None:
        return _delivery_page(request, story)
    assert unsent is not None  # noqa: S101 - one of both is there
    return _letter_page(request, unsent)


def _delivery_page(request: web.Request, story: Story) -> web.Response:
    (delivery,) = story.deliveries
    language = language_of(request)
    entity = f"{delivery.entity_type.value}/{delivery.number}"
    failure = delivery.failure
    waits = (delivery.waits_key or "").split("\x1f")[1:]
    systems = {delivery.integration: delivery.system}
    return answer(
        request,
        "letter.html",
        name=delivery.delivery_id,
        state=delivery.state.value,
        words=telling.state_words(delivery.state.value),
        said=say(failure, language, delivery.system, entity) if failure else None,
        failure=failure,
        delivery=delivery,
        entity=entity,
        company=delivery.company,
        system=delivery.system,
        waits_for="/".join(waits) or None,
        event=original(delivery.record),
        edited=formatted(delivery.edited) if delivery.edited is not None else None,
        answered=cleared(telling.last_answer(delivery, story.lines)),
        entries=telling.entries(story.lines, language, systems, entity),
        known=story.known,
        at=delivery.last_failed_at or delivery.received_at,
        can_replay=delivery.state is State.DEAD,
        can_discard=delivery.state is State.DEAD or delivery.state in MOVABLE,
        can_edit=delivery.state is State.DEAD,
    )


def _letter_page(request: web.Request, unsent: StoredLetter) -> web.Response:
    dead = unsent.state == State.DEAD.value
    return answer(
        request,
        "letter.html",
        name=unsent.letter_id,
        state=unsent.state,
        words=telling.state_words(unsent.state),
        said=say(unsent.failure, language_of(request), None, None),
        failure=unsent.failure,
        delivery=None,
        entity=None,
        company=unsent.company,
        system=None,
        waits_for=None,
        event=original(unsent.record),
        edited=None,
        answered="",
        entries=[],
        known=(),
        at=unsent.received_at,
        can_replay=dead,
        can_discard=dead,
        can_edit=False,
    )


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """What came, for people."""

    place: str
    key: str | None
    value: str | None
    cut: bool
    headers: tuple[tuple[str, str], ...]


def original(record: Record) -> Original:
    """The record as text, cleared of secrets; JSON is laid out, anything else stays as it is."""
    value = record.value
    shown = None if value is None else formatted(value[:VALUE_SHOWN_BYTES])
    return Original(
        place=f"{record.topic}, partition {record.partition}, offset {record.offset}",
        key=None if record.key is None else record.key.decode(errors="replace"),
        value=None if shown is None else cleared(shown),
        cut=value is not None and len(value) > VALUE_SHOWN_BYTES,
        headers=tuple(
            (name, cleared(f"{name}: {content.decode(errors='replace')}").partition(": ")[2])
            for name, content in record.headers
        ),
    )


def formatted(value: bytes) -> str:
    """JSON laid out with its numbers as they came; other bytes as text."""
    try:
        return msgspec.json.format(value, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError):
        return value.decode(errors="replace")
