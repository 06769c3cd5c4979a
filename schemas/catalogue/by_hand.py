"""The words for what a person has to change by hand, in every language."""

from collections.abc import Iterable
from typing import Final

from schemas.catalogue.catalogue import system_name
from schemas.failures import Change

# Moment's members that an accounting system may not take from us.
_FIELDS: Final[dict[str, dict[str, str]]] = {
    "en": {"name": "name", "customerNumber": "customer", "state": "state"},
    "nb": {"name": "navn", "customerNumber": "kunde", "state": "status"},
    "is": {"name": "heiti", "customerNumber": "viðskiptamaður", "state": "staða"},
}
_SENTENCE: Final[dict[str, str]] = {
    "en": "Change by hand in {system}: {changes}.",
    "nb": "Endre for hånd i {system}: {changes}.",
    "is": "Breyttu handvirkt í {system}: {changes}.",
}


def field_word(field: str, *, language: str) -> str:
    """What people call a member of Moment's data; its own name where there is no word for it."""
    return _FIELDS.get(language, _FIELDS["en"]).get(field, field)


def by_hand(changes: Iterable[Change], *, language: str, system: str) -> str:
    """One sentence that says what to change where. `system`: the settings' word."""
    listed = ", ".join(
        f"{field_word(one.field, language=language)}: {one.from_ or '-'} → {one.to or '-'}"
        for one in changes
    )
    sentence = _SENTENCE.get(language, _SENTENCE["en"])
    return sentence.format(system=system_name(system, language=language), changes=listed)
