"""What makes one cause, so that forty failures of it are one notice and not forty. Pure."""

import hashlib
from enum import StrEnum
from typing import Final

import msgspec

from schemas.events import EntityType
from schemas.failures import Change, Failure, FailureCode
from schemas.outcomes import OutcomeKind

# The outcomes that a person is told of.
TOLD: Final = frozenset(
    {
        OutcomeKind.DEAD,
        OutcomeKind.BLOCKED,
        OutcomeKind.HELD,
        OutcomeKind.RETRYING,
        OutcomeKind.MANUAL,
    }
)
# Of these, the ones that last as long as one of their deliveries is in trouble.
TRACKED: Final = frozenset({OutcomeKind.DEAD, OutcomeKind.BLOCKED, OutcomeKind.RETRYING})
# Holds that are no row of the ledger: that they are over is seen by what goes through again.
UNWRITTEN_HOLDS: Final = frozenset({FailureCode.BREAKER_OPEN, FailureCode.SWITCHED_OFF})

# Codes of letters that never became a delivery.
OF_LETTERS: Final = frozenset(
    {
        FailureCode.EVENT_UNREADABLE,
        FailureCode.EVENT_INVALID,
        FailureCode.EVENT_TYPE_UNKNOWN,
        FailureCode.EVENT_ID_REUSED,
        FailureCode.COMPANY_UNKNOWN,
    }
)

# What a person mends, by code: failures that differ in these are different causes. Of a code that
# is not named, all failures of one integration are one cause.
_MAKES_THE_CAUSE: Final[dict[FailureCode, tuple[str, ...]]] = {
    FailureCode.CUSTOMER_MISSING: ("number",),
    FailureCode.PROJECT_MISSING: ("number",),
    FailureCode.PARENT_DEAD: ("parentType", "parentNumber"),
    FailureCode.PARENT_ABSENT: ("parentType", "parentNumber"),
    FailureCode.ACCOUNT_UNKNOWN: ("account",),
    FailureCode.ACCOUNT_LOCKED: ("account",),
    FailureCode.VAT_CODE_UNKNOWN: ("vatCode",),
    FailureCode.VAT_CODE_NOT_VALID: ("vatCode",),
    FailureCode.VAT_RATE_DIFFERS: ("vatCode", "vatPercent", "booksPercent"),
    FailureCode.VAT_PERCENT_MISSING: ("itemCode",),
    FailureCode.PRODUCT_VAT_DIFFERS: ("itemCode", "vatPercent", "booksPercent"),
    FailureCode.PERIOD_LOCKED: ("lockDate",),
    FailureCode.CURRENCY_UNKNOWN: ("currency",),
    FailureCode.CURRENCY_RATE_MISSING: ("currency",),
    FailureCode.KENNITALA_MISSING: ("number",),
    FailureCode.KENNITALA_INVALID: ("number",),
    FailureCode.ITEM_CODE_TOO_LONG: ("itemCode",),
    FailureCode.SALES_PERSON_UNKNOWN: ("salesPerson",),
    FailureCode.CUSTOMER_BLOCKED: ("number",),
    FailureCode.RETRIES_EXHAUSTED: ("lastCode",),
    FailureCode.REFUSED_BY_SYSTEM: ("status",),
    FailureCode.ANSWER_NOT_UNDERSTOOD: ("status",),
}


def cause_of(kind: OutcomeKind, failure: Failure | None) -> str:
    """What sets causes of one integration, kind and code apart: 32 hexadecimal digits, or empty.

    A digest, since parameters quote events and may be of any length and hold any character.
    A hold is one cause, whatever was answered.
    """
    if failure is None or kind is OutcomeKind.HELD:
        return ""
    names = _MAKES_THE_CAUSE.get(failure.code, ())
    if not names:
        return ""
    text = "\x1f".join(failure.parameters.get(name, "") for name in names)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


class Detail(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What happened to one delivery: enough to tell it in any language."""

    entity_type: EntityType | None = None
    number: str = ""
    failure: Failure | None = None
    changes: tuple[Change, ...] = ()


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """One cause and what has been told of it. Times are seconds since 1970.

    `fresh`: things that came since the last mail, the oldest of them at `fresh_since`. `told`:
    somebody knows of it since it was opened. `mails`: how many there were, ever.
    """

    cause_pk: int
    integration: str
    system: str
    company: str
    kind: OutcomeKind
    code: FailureCode | None
    detail: Detail
    entity_types: tuple[EntityType, ...] = ()
    told: bool = False
    fresh: int = 0
    fresh_since: float | None = None
    told_at: float | None = None
    told_pk: int = 0
    mails: int = 0
    reminders: int = 0
    mended: int = 0

    @property
    def written_hold(self) -> bool:
        """Whether the ledger has a row that says how long it lasts."""
        return self.kind is OutcomeKind.HELD and self.code not in UNWRITTEN_HOLDS


class Say(StrEnum):
    """What a mail is about."""

    FIRST = "first"
    AGAIN = "again"  # more of the same
    REMINDER = "reminder"  # nothing has changed
    SOLVED = "solved"
