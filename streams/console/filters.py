"""The filters of the dead, read from an address; the same ones as on the command line."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
import msgspec
from aiohttp import web

from schemas.failures import FailureClass, FailureCode
from schemas.outcomes import OutcomeKind
from streams.console.addresses import FILTERS
from streams.console.desk import Problem
from streams.console.figures import Standing
from streams.console.people import Person
from streams.console.view import ConsoleView
from streams.console.wording import say
from streams.ledger.console_dead import Sought
from streams.ledger.console_queries import DeadCause, LetterCount
from streams.ledger.dead import Dead
from streams.notices.causes import cause_of
from streams.ops.dead_filters import EntityName, Since, Wanted

DIGEST_DIGITS: Final = 32
TEXT_MAX: Final = 200


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an address asks for: as it stands there, and for the ledger."""

    values: dict[str, str]
    sought: Sought

    @property
    def anything(self) -> bool:
        """Whether any filter was given."""
        return any(self.values.values())

    @property
    def needs_looking(self) -> bool:
        """Whether the counts that are at hand say nothing about it."""
        return any(self.values.get(name) for name in ("entity", "since", "until", "text"))


def asked(given: Mapping[str, str], person: Person, view: ConsoleView, language: str) -> Asked:
    """Read the filters. Raises `Problem` (400) for one that cannot be, (404) for one not theirs."""
    values = {name: given[name].strip() for name in FILTERS if given.get(name, "").strip()}
    company = _company(values, person)
    if company is not None:
        values["company"] = company
    text = values.get("text")
    if text is not None and len(text) > TEXT_MAX:
        raise _bad("text", f"it is longer than {TEXT_MAX} characters")
    cause = values.get("cause")
    if cause not in (None, "-") and not _is_digest(str(cause)):
        raise _bad("cause", "it is none that a page gave")
    entity = _converted(EntityName(), "entity", values)
    sought = Sought(
        code=_enum(FailureCode, "code", values),
        klass=_enum(FailureClass, "class", values),
        company=company,
        integration=values.get("integration"),
        entity=entity,
        cause="" if cause == "-" else cause,
        since=_converted(Since(), "since", values),
        until=_moment(values),
        integrations=tuple(view.integrations),
        text=_text(text, view, language),
    )
    if cause is not None and (sought.integration is None or sought.code is None):
        raise _bad("cause", "it goes together with integration and code")
    return Asked(values=values, sought=sought)


def _company(values: Mapping[str, str], person: Person) -> str | None:
    """The company that is meant; somebody who sees only some sees one of these at a time."""
    given = values.get("company")
    if given is not None and not person.sees(given):
        raise Problem(404, "Nothing here", f"No company {given} is known to you.")
    if given is None and person.companies is not None:
        return min(person.companies, default="")
    return given


def _bad(name: str, why: str) -> Problem:
    return Problem(
        400,
        "That filter cannot be",
        f"The filter {name} cannot be used: {why}.",
        do="Change it in the address or take it away.",
    )


def _enum(kind: Any, name: str, values: Mapping[str, str]) -> Any:
    given = values.get(name)
    if given is None:
        return None
    try:
        return kind(given)
    except ValueError:
        raise _bad(name, f"{given!r} is none of {', '.join(kind)}") from None


def _converted(kind: click.ParamType, name: str, values: Mapping[str, str]) -> Any:
    given = values.get(name)
    if given is None:
        return None
    try:
        return kind.convert(given, None, None)
    except click.BadParameter as error:
        raise _bad(name, error.message) from None


def _moment(values: Mapping[str, str]) -> float | None:
    given = values.get("until")
    if given is None:
        return None
    try:
        found = float(given)
    except ValueError:
        raise _bad("until", f"{given!r} is no number of seconds") from None
    if not 0 <= found < 1e12:  # noqa: PLR2004 - far beyond any date, and no infinity
        raise _bad("until", f"{given!r} is no number of seconds")
    return found


def _is_digest(text: str) -> bool:
    return len(text) == DIGEST_DIGITS and not set(text) - set("0123456789abcdef")


def _text(text: str | None, view: ConsoleView, language: str) -> Any:
    """Looked for in the words of the integration's language, and in those of the reader's."""
    if text is None:
        return None
    holds = Wanted(text=text).filter(view).text

    def fits(dead: Dead) -> bool:
        if holds is not None and holds(dead):
            return True
        said = say(dead.failure, language, view.system_of(dead.integration), dead.entity)
        return text.lower() in f"{said.text}\n{said.action}".lower()

    return fits


# --- groups of what is dead ------------------------------------------------------------------


def causes_at_hand(causes: Iterable[DeadCause], sought: Sought) -> list[DeadCause]:
    """Of the groups that were counted, those that fit."""
    return [
        one
        for one in causes
        if (sought.code is None or one.code == sought.code.value)
        and (sought.klass is None or one.sample.failure_class is sought.klass)
        and (sought.company is None or one.company == sought.company)
        and (sought.integration is None or one.integration == sought.integration)
        and (sought.cause is None or one.cause == sought.cause)
    ]


def letters_at_hand(letters: Iterable[LetterCount], sought: Sought) -> list[LetterCount]:
    """Of the letters without a delivery, those that fit: none where an integration is meant."""
    if sought.integration is not None or sought.cause is not None:
        return []
    return [
        one
        for one in letters
        if (sought.code is None or one.sample.code is sought.code)
        and (sought.klass is None or one.sample.failure_class is sought.klass)
        and (sought.company is None or one.company == sought.company)
    ]


class Code(msgspec.Struct, frozen=True):
    """One bar of the histogram."""

    code: str
    count: int


def by_code(
    standings: Iterable[Standing], letters: Iterable[LetterCount], sought: Sought
) -> list[Code]:
    """How many are dead of each code, the most first; exact, however many groups there are."""
    counts: Counter[str] = Counter()
    for one in standings:
        if sought.integration in (None, one.id) and sought.company in (None, one.company):
            for code, many in one.dead_by_code:
                counts[code] += many if sought.code in (None, code) else 0
    for letter in letters_at_hand(letters, sought):
        counts[letter.sample.code.value] += letter.count
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [Code(code, many) for code, many in ranked if many]


def causes_among(dead: Sequence[Dead], view: ConsoleView) -> list[DeadCause]:
    """The groups of these, the largest first; they are sorted newest first."""
    groups: dict[tuple[str, str, str], list[Dead]] = {}
    for one in dead:
        if one.integration is not None:
            cause = cause_of(OutcomeKind.DEAD, one.failure)
            groups.setdefault((one.integration, one.failure.code.value, cause), []).append(one)
    found = [
        DeadCause(
            integration=integration,
            company=of[0].company or "",
            system=view.system_of(integration) or "",
            code=code,
            cause=cause,
            count=len(of),
            oldest_at=of[-1].last_failed_at,
            newest_at=of[0].last_failed_at,
            sample=of[0].failure,
            customers=len({one.customer_number for one in of}),
            kinds=tuple(sorted({(one.entity or "").partition("/")[0] for one in of})),
            entity=of[0].entity or "",
        )
        for (integration, code, cause), of in groups.items()
    ]
    return sorted(found, key=lambda one: (-one.count, one.code))


def given_filters(request: web.Request) -> dict[str, str]:
    """The filters of an address, as they stand there."""
    return {name: request.query[name] for name in FILTERS if name in request.query}
