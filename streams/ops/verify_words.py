"""What `verify` finds and how it says so: one table, in English."""

from enum import StrEnum
from typing import Final

import msgspec


class Kind(StrEnum):
    """Interface section 7."""

    MISSING = "missing"
    DOUBLED = "doubled"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Code(StrEnum):
    """What exactly is wrong."""

    NOT_THERE = "not-there"
    DELETED = "deleted"
    THERE_TWICE = "there-twice"
    FIELDS_DIFFER = "fields-differ"
    REVERSED = "reversed"
    ANOTHER_RECORD = "another-record"
    OTHER_BOOKS = "books-identity-changed"
    NOT_OURS = "not-ours"


class Sentence(msgspec.Struct, frozen=True):
    """`{entity}` is "invoice 1001", `{ours}` and `{other}` what the books call a record."""

    kind: Kind
    text: str
    action: str


_RESYNC: Final = (
    "Find out who removed it. `moment-sync resync` brings customers and projects back; an invoice "
    "is sent again where a person names its date."
)

WORDS: Final[dict[Code, Sentence]] = {
    Code.NOT_THERE: Sentence(
        Kind.MISSING,
        "{entity} is not in {system}; the ledger has it there as {ours}.",
        _RESYNC,
    ),
    Code.DELETED: Sentence(
        Kind.MISSING, "{entity} is deleted in {system}, where it is {ours}.", _RESYNC
    ),
    Code.THERE_TWICE: Sentence(
        Kind.DOUBLED,
        "{entity} is in {system} more than once: ours is {ours}, another is {other}.",
        "Look at both in {system} and undo the one that is too many.",
    ),
    Code.FIELDS_DIFFER: Sentence(
        Kind.DIFFERENT,
        "{entity} ({ours}) differs in {system}: {changes}.",
        "Moment is master: put it right in {system}, or change it in Moment so that it is sent.",
    ),
    Code.REVERSED: Sentence(
        Kind.DIFFERENT,
        "{entity} ({ours}) was reversed in {system}{other}.",
        "An invoice is undone by a credit note in Moment; settle with the accountant which counts.",
    ),
    Code.ANOTHER_RECORD: Sentence(
        Kind.DIFFERENT,
        "{entity} is in {system} as {other}; the ledger has it there as {ours}, which is gone.",
        "Find out in {system} who entered it anew, and whether it is complete.",
    ),
    Code.OTHER_BOOKS: Sentence(
        Kind.DIFFERENT,
        "The integration leads to the books of another company in {system} than the ledger knows.",
        "Correct the settings of the integration; nothing more was compared.",
    ),
    Code.NOT_OURS: Sentence(
        Kind.UNKNOWN,
        "{entity} is in {system} as {other}, and the ledger did not book it.",
        "Find out in {system} who booked it. If it is right, discard what still waits for it here.",
    ),
}
