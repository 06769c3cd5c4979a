"""How the console puts things for people: languages, numbers, ages, plurals. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from schemas.catalogue.catalogue import LANGUAGES, render, system_name
from schemas.failures import Failure

LANGUAGE_COOKIE: Final = "moment-sync-language"
_QUALITY: Final = re.compile(r"\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*")
_ALIASES: Final = {"no": "nb", "nn": "nb"}

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
THOUSAND: Final = 1_000

_PLURALS: Final = {
    "customer": "customers",
    "project": "projects",
    "invoice": "invoices",
    "delivery": "deliveries",
    "dead letter": "dead letters",
}


def language_for(asked: str | None, kept: str | None, accepts: str | None) -> str:
    """The reader's language: what was asked for, else kept, else what the browser likes best."""
    for name in (asked, kept):
        if name in LANGUAGES:
            return str(name)
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate((accepts or "").split(",")):
        tag, _, parameter = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        name = _ALIASES.get(name, name)
        match = _QUALITY.fullmatch(parameter)
        quality = float(match[1]) if match else 1.0
        if name in LANGUAGES and quality > 0:
            ranked.append((-quality, place, name))
    return min(ranked)[2] if ranked else "en"


class Said(msgspec.Struct, frozen=True):
    """A failure in the reader's language; `language` for the page's `lang`."""

    text: str
    action: str
    language: str


def say(failure: Failure, language: str, system: str | None, entity: str | None) -> Said:
    """What happened and what to do. `entity` is `invoice/1001`, None where it is about many."""
    kind, _, number = (entity or "").partition("/")
    words = render(failure, language=language, system=system or "", entity_type=kind, number=number)
    return Said(words.text, words.action, language)


def name_of_system(system: str | None, language: str = "en") -> str:
    """The accounting system's own name."""
    return system_name(system or "", language=language) if system else "unknown system"


def number(value: float) -> str:
    """A count with thin spaces between thousands."""
    return f"{int(value):,}".replace(",", "\u202f")


def counted(many: int, word: str) -> str:
    """`1 invoice`, `40 invoices`."""
    return f"{number(many)} {word if many == 1 else plural(word)}"


def plural(word: str) -> str:
    """The plural of one of our nouns."""
    return _PLURALS.get(word, f"{word}s")


def things(kinds: tuple[str, ...], many: int) -> str:
    """`40 invoices`, or `40 dead letters` where they are of several kinds."""
    return counted(many, kinds[0] if len(kinds) == 1 else "dead letter")


def age(seconds: float) -> str:
    """How long ago, in the two units that matter most."""
    whole = max(0, int(seconds))
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        minutes = whole % HOUR // MINUTE
        return f"{whole // HOUR} h {minutes} min" if minutes else f"{whole // HOUR} h"
    hours = whole % DAY // HOUR
    return f"{whole // DAY} d {hours} h" if hours else f"{whole // DAY} d"


def utc(seconds: float) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def machine(seconds: float) -> str:
    """The same for programs: the `datetime` of a time element."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def entity_words(entity: str | None) -> str:
    """`Invoice 1001`, from `invoice/1001`."""
    kind, _, name = (entity or "").partition("/")
    return f"{kind.capitalize()} {name}".strip()


def short(mapping: Mapping[str, object], *names: str) -> list[tuple[str, str]]:
    """Those of these members that are there, as texts."""
    return [(name, str(mapping[name])) for name in names if mapping.get(name) not in (None, "")]
