"""The words for every failure and warning, in every language: one voice for all who tell of them.

`python -m schemas.catalogue.catalogue` prints `docs/failures.md`.
"""

import re
import sys
import unicodedata
from collections.abc import Iterator, Mapping

from schemas.catalogue.en import ENGLISH
from schemas.catalogue.is_ import ICELANDIC
from schemas.catalogue.nb import NORWEGIAN
from schemas.catalogue.shape import Ending, Language, Words
from schemas.failures import (
    FACTS,
    WARNING_PARAMETERS,
    Failure,
    FailureCode,
    Notable,
)

LANGUAGES: dict[str, Language] = {"en": ENGLISH, "nb": NORWEGIAN, "is": ICELANDIC}
SYSTEMS: dict[str, str] = {"sparebank1": "SpareBank 1 Regnskap", "dkplus": "DK+"}

# Characters of one value: a quoted answer stays readable in an e-mail and in a header.
VALUE_LENGTH_MAX = 300
UNKNOWN_VALUE = "?"

_PLACEHOLDER = re.compile(r"\{(\w+)\}")

# Actions end with AGAIN unless named here: what a person does next is a matter of the code, not
# of the language.
_ENDINGS: dict[FailureCode, Ending] = {
    FailureCode.PARENT_DEAD: Ending.NONE,
    FailureCode.PARENT_ABSENT: Ending.NONE,
    FailureCode.LINE_TOTAL_DIFFERS: Ending.CORRECTED,
    FailureCode.TOTALS_DIFFER: Ending.CORRECTED,
    FailureCode.CREDIT_SIGN: Ending.NONE,
    FailureCode.CURRENCY_RATE_MISSING: Ending.CORRECTED,
    FailureCode.REFERENCE_INVALID: Ending.NONE,
    FailureCode.SALES_PERSON_UNKNOWN: Ending.BY_ITSELF,
    FailureCode.CREDENTIALS_REFUSED: Ending.BY_ITSELF,
    FailureCode.RIGHT_MISSING: Ending.BY_ITSELF,
    FailureCode.NOT_ACTIVATED: Ending.BY_ITSELF,
    FailureCode.EVENT_UNREADABLE: Ending.NONE,
    FailureCode.EVENT_TYPE_UNKNOWN: Ending.NONE,
    FailureCode.EVENT_ID_REUSED: Ending.NONE,
    FailureCode.INVOICE_DIFFERS_FROM_BOOKED: Ending.NONE,
    FailureCode.SWITCHED_OFF: Ending.BY_ITSELF,
    FailureCode.BOOKS_IDENTITY_CHANGED: Ending.BY_ITSELF,
    FailureCode.SYSTEM_UNAVAILABLE: Ending.BY_ITSELF,
    FailureCode.TOO_MANY_REQUESTS: Ending.BY_ITSELF,
    FailureCode.CONNECTION_FAILED: Ending.BY_ITSELF,
    FailureCode.BREAKER_OPEN: Ending.BY_ITSELF,
}


def render(failure: Failure, *, language: str, system: str, entity_type: str, number: str) -> Words:
    """What happened and what to do, in one language. Never raises; what is missing shows as `?`.

    `language`: `en`, `nb` or `is`, else English. `system`: the settings' word or any name, empty
    where there is none. `entity_type`, `number`: the entity, empty where it is not known.
    """
    words = LANGUAGES.get(language, ENGLISH)
    values = _values(failure.parameters, words) | {
        "system": _system(system, words),
        "entity": _entity(entity_type, number, words),
    }
    template = _template(failure.code, words, system)
    return Words(_fill(template.text, values), _fill(template.action, values))


def render_all(failure: Failure, *, system: str, entity_type: str, number: str) -> dict[str, Words]:
    """The same in every language, by its code."""
    return {
        language: render(
            failure, language=language, system=system, entity_type=entity_type, number=number
        )
        for language in LANGUAGES
    }


def render_warning(notable: Notable, *, language: str, system: str) -> str:
    """What a person should know, in one language. Never raises; what is missing shows as `?`."""
    words = LANGUAGES.get(language, ENGLISH)
    values = _values(notable.parameters, words) | {"system": _system(system, words)}
    return _fill(words.warnings[notable.code], values)


def system_name(system: str, *, language: str) -> str:
    """The accounting system's name for people; "the accounting system" where there is none."""
    return _system(system, LANGUAGES.get(language, ENGLISH))


def _template(code: FailureCode, words: Language, system: str) -> Words:
    found = words.failures[code]
    action = words.actions_by_system.get((code, system), found.action)
    ending = words.endings[_ENDINGS.get(code, Ending.AGAIN)]
    return Words(found.text, f"{action} {ending}".rstrip())


def _fill(template: str, values: Mapping[str, str]) -> str:
    """One pass, so that braces within a value are never taken for a placeholder."""
    filled = _PLACEHOLDER.sub(lambda match: values.get(match[1], UNKNOWN_VALUE), template)
    return filled[:1].upper() + filled[1:]


def _values(parameters: Mapping[str, str], words: Language) -> dict[str, str]:
    return {
        name: _translated(_clean(value), words.values.get(name, {}))
        for name, value in parameters.items()
    }


def _translated(value: str, meanings: Mapping[str, str]) -> str:
    """A list of words with commas is translated word by word."""
    return (
        ", ".join(meanings.get(part.strip(), part.strip()) for part in value.split(","))
        if (meanings)
        else value
    )


def _system(system: str, words: Language) -> str:
    return SYSTEMS.get(system) or (_clean(system) if system.strip() else words.some_system)


def _entity(entity_type: str, number: str, words: Language) -> str:
    if not entity_type.strip():
        return words.some_entity
    noun = words.entities.get(entity_type) or _clean(entity_type)
    return f"{noun} {_clean(number)}"


def _clean(value: str) -> str:
    """One line of printable text. Controls, marks of direction and lone surrogates are dropped."""
    spaced = " ".join(value[: 4 * VALUE_LENGTH_MAX].split())
    kept = "".join(char for char in spaced if not unicodedata.category(char).startswith("C"))
    if len(kept) > VALUE_LENGTH_MAX:
        kept = kept[: VALUE_LENGTH_MAX - 1] + "…"
    return kept or UNKNOWN_VALUE


# --- the page --------------------------------------------------------------------------------


def failures_page() -> str:
    """The whole of `docs/failures.md`, Markdown, with a final newline."""
    return "\n".join([*_page_head(), *_page_failures(), *_page_warnings()])


def _page_head() -> Iterator[str]:
    yield "# Failures and warnings"
    yield ""
    yield "Every code that an outcome, a dead letter or a notice may carry: what happened, and"
    yield "what to do. Generated from `schemas/catalogue`; a test keeps it in step."
    yield ""
    yield "`{name}` stands for a value of the case at hand, `{system}` for the accounting system,"
    yield "`{entity}` for the customer, project or invoice."
    yield ""


def _page_failures() -> Iterator[str]:
    yield "## Failures"
    yield ""
    for code, (klass, parameters) in FACTS.items():
        yield f"### {code}"
        yield ""
        yield f"Class `{klass}`. {_parameters(parameters)}"
        yield ""
        for words in LANGUAGES.values():
            template = _template(code, words, "")
            yield f"- **{words.name}**: {template.text}"
            yield f"  → {template.action}"
            for system, name in SYSTEMS.items():
                if (code, system) in words.actions_by_system:
                    yield f"  → ({name}) {_template(code, words, system).action}"
        yield ""


def _page_warnings() -> Iterator[str]:
    yield "## Warnings"
    yield ""
    for code, parameters in WARNING_PARAMETERS.items():
        yield f"### {code}"
        yield ""
        yield _parameters(parameters)
        yield ""
        for words in LANGUAGES.values():
            yield f"- **{words.name}**: {words.warnings[code]}"
        yield ""


def _parameters(names: tuple[str, ...]) -> str:
    return f"Parameters: {', '.join(f'`{name}`' for name in names)}." if names else "No parameters."


if __name__ == "__main__":
    sys.stdout.write(failures_page())
