"""What one language of the catalogue consists of. The languages differ in words alone."""

from enum import StrEnum

import msgspec

from schemas.failures import FailureCode, WarningCode


class Words(msgspec.Struct, frozen=True):
    """What happened, and what a person does about it and where. Plain text, whole sentences."""

    text: str
    action: str


class Ending(StrEnum):
    """The sentence that an action ends with."""

    AGAIN = "again"  # sending again is safe
    BY_ITSELF = "by-itself"  # what waits goes by itself once this is mended
    CORRECTED = "corrected"  # a corrected version takes this one's place
    NONE = "none"


class Language(msgspec.Struct, frozen=True, kw_only=True):
    """All words of one language.

    In `failures`, `actions_by_system`, `warnings`: `{name}` stands for a parameter of the code,
    `{system}` for the accounting system's name and `{entity}` for "invoice 1001" (failures only).
    The words put in are nominative and without an article: sentences are built around that.
    `actions_by_system` holds actions that are other ones in one accounting system.
    `values` translates what parameters of a given name may hold.
    """

    name: str
    failures: dict[FailureCode, Words]
    actions_by_system: dict[tuple[FailureCode, str], str]
    warnings: dict[WarningCode, str]
    endings: dict[Ending, str]
    entities: dict[str, str]
    values: dict[str, dict[str, str]]
    some_entity: str  # where it is not known which one
    some_system: str
