"""What can go wrong, as values: codes, classes and the small facts that go with them.

The words for each code stand in `schemas/catalogue`; nothing here is meant for people.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec


class FailureClass(StrEnum):
    """Sorted by what has to be done, and by whom (design section 7)."""

    TRANSIENT = "transient"
    UNCERTAIN = "uncertain"
    DATA = "data"
    SET_UP = "set-up"
    ACCESS = "access"
    DEFECT = "defect"


class FailureCode(StrEnum):
    """Every code that an outcome, a dead letter or a notice may carry. Stable."""

    CUSTOMER_NUMBER_OUT_OF_RANGE = "customer-number-out-of-range"
    CUSTOMER_NUMBER_NOT_NUMERIC = "customer-number-not-numeric"
    PROJECT_NUMBER_NOT_NUMERIC = "project-number-not-numeric"
    CUSTOMER_MISSING = "customer-missing"
    PROJECT_MISSING = "project-missing"
    PARENT_DEAD = "parent-dead"
    PARENT_ABSENT = "parent-absent"
    ACCOUNT_UNKNOWN = "account-unknown"
    ACCOUNT_LOCKED = "account-locked"
    VAT_CODE_UNKNOWN = "vat-code-unknown"
    VAT_CODE_NOT_VALID = "vat-code-not-valid"
    VAT_RATE_DIFFERS = "vat-rate-differs"
    VAT_PERCENT_MISSING = "vat-percent-missing"
    PRODUCT_VAT_DIFFERS = "product-vat-differs"
    PERIOD_LOCKED = "period-locked"
    LINE_TOTAL_DIFFERS = "line-total-differs"
    TOTALS_DIFFER = "totals-differ"
    CREDIT_SIGN = "credit-sign"
    CURRENCY_UNKNOWN = "currency-unknown"
    CURRENCY_RATE_MISSING = "currency-rate-missing"
    KENNITALA_MISSING = "kennitala-missing"
    KENNITALA_INVALID = "kennitala-invalid"
    ITEM_CODE_MISSING = "item-code-missing"
    ITEM_CODE_TOO_LONG = "item-code-too-long"
    REFERENCE_INVALID = "reference-invalid"
    SALES_PERSON_UNKNOWN = "sales-person-unknown"
    CUSTOMER_BLOCKED = "customer-blocked"
    CREDENTIALS_REFUSED = "credentials-refused"
    RIGHT_MISSING = "right-missing"
    NOT_ACTIVATED = "not-activated"
    COMPANY_UNKNOWN = "company-unknown"
    EVENT_UNREADABLE = "event-unreadable"
    EVENT_INVALID = "event-invalid"
    EVENT_TYPE_UNKNOWN = "event-type-unknown"
    EVENT_ID_REUSED = "event-id-reused"
    INVOICE_DIFFERS_FROM_BOOKED = "invoice-differs-from-booked"
    SWITCHED_OFF = "switched-off"
    BOOKS_IDENTITY_CHANGED = "books-identity-changed"
    FOUND_TWICE = "found-twice"
    TOO_LONG = "too-long"
    RETRIES_EXHAUSTED = "retries-exhausted"
    REFUSED_BY_SYSTEM = "refused-by-system"
    ANSWER_NOT_UNDERSTOOD = "answer-not-understood"
    SYSTEM_UNAVAILABLE = "system-unavailable"
    TOO_MANY_REQUESTS = "too-many-requests"
    CONNECTION_FAILED = "connection-failed"
    WRITE_UNCERTAIN = "write-uncertain"
    BREAKER_OPEN = "breaker-open"


class WarningCode(StrEnum):
    """What a person should know of something that was done all the same."""

    KID_CHECK_DIGIT = "kid-check-digit"
    ORGANISATION_NUMBER_CHECK_DIGIT = "organisation-number-check-digit"
    KENNITALA_CHECK_DIGIT = "kennitala-check-digit"
    INVOICE_NUMBER_DIFFERS = "invoice-number-differs"
    AMOUNT_DIFFERS = "amount-differs"
    PROJECT_NOT_KEPT = "project-not-kept"
    CUSTOMER_TWIN = "customer-twin"
    VOUCHER_NUMBER_NOT_TAKEN = "voucher-number-not-taken"
    PARENT_STALE = "parent-stale"
    NOTHING_TO_BOOK = "nothing-to-book"
    TEXT_SHORTENED = "text-shortened"


# One row a code: its class, and the parameters that its texts in every language use, in order.
# `retries-exhausted` and `parent-dead` take the class of the failure behind them.
FACTS: dict[FailureCode, tuple[FailureClass, tuple[str, ...]]] = {
    FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE: (FailureClass.DATA, ("number", "from", "to")),
    FailureCode.CUSTOMER_NUMBER_NOT_NUMERIC: (FailureClass.DATA, ("number",)),
    FailureCode.PROJECT_NUMBER_NOT_NUMERIC: (FailureClass.DATA, ("number",)),
    FailureCode.CUSTOMER_MISSING: (FailureClass.SET_UP, ("number",)),
    FailureCode.PROJECT_MISSING: (FailureClass.SET_UP, ("number",)),
    FailureCode.PARENT_DEAD: (FailureClass.DATA, ("parentType", "parentNumber", "parentCode")),
    FailureCode.PARENT_ABSENT: (FailureClass.DATA, ("parentType", "parentNumber")),
    FailureCode.ACCOUNT_UNKNOWN: (FailureClass.SET_UP, ("account",)),
    FailureCode.ACCOUNT_LOCKED: (FailureClass.SET_UP, ("account",)),
    FailureCode.VAT_CODE_UNKNOWN: (FailureClass.SET_UP, ("vatCode",)),
    FailureCode.VAT_CODE_NOT_VALID: (FailureClass.SET_UP, ("vatCode", "date")),
    FailureCode.VAT_RATE_DIFFERS: (
        FailureClass.SET_UP,
        ("vatCode", "vatPercent", "booksPercent", "date"),
    ),
    FailureCode.VAT_PERCENT_MISSING: (FailureClass.DATA, ("itemCode",)),
    FailureCode.PRODUCT_VAT_DIFFERS: (
        FailureClass.SET_UP,
        ("itemCode", "vatPercent", "booksPercent"),
    ),
    FailureCode.PERIOD_LOCKED: (FailureClass.SET_UP, ("lockDate", "date")),
    FailureCode.LINE_TOTAL_DIFFERS: (FailureClass.DATA, ("line", "expected", "found")),
    FailureCode.TOTALS_DIFFER: (FailureClass.DATA, ("expected", "found")),
    FailureCode.CREDIT_SIGN: (FailureClass.DATA, ("total",)),
    FailureCode.CURRENCY_UNKNOWN: (FailureClass.SET_UP, ("currency",)),
    FailureCode.CURRENCY_RATE_MISSING: (FailureClass.DATA, ("currency", "baseCurrency")),
    FailureCode.KENNITALA_MISSING: (FailureClass.DATA, ("number",)),
    FailureCode.KENNITALA_INVALID: (FailureClass.DATA, ("number",)),
    FailureCode.ITEM_CODE_MISSING: (FailureClass.SET_UP, ("line", "sources")),
    FailureCode.ITEM_CODE_TOO_LONG: (FailureClass.DATA, ("itemCode", "limit")),
    FailureCode.REFERENCE_INVALID: (FailureClass.DATA, ("number", "limit")),
    FailureCode.SALES_PERSON_UNKNOWN: (FailureClass.SET_UP, ("salesPerson",)),
    FailureCode.CUSTOMER_BLOCKED: (FailureClass.SET_UP, ("number",)),
    FailureCode.CREDENTIALS_REFUSED: (FailureClass.ACCESS, ("answer",)),
    FailureCode.RIGHT_MISSING: (FailureClass.ACCESS, ("answer",)),
    FailureCode.NOT_ACTIVATED: (FailureClass.ACCESS, ()),
    FailureCode.COMPANY_UNKNOWN: (FailureClass.SET_UP, ("company",)),
    FailureCode.EVENT_UNREADABLE: (FailureClass.DATA, ("reason",)),
    FailureCode.EVENT_INVALID: (FailureClass.DATA, ("path", "reason")),
    FailureCode.EVENT_TYPE_UNKNOWN: (FailureClass.DATA, ("type",)),
    FailureCode.EVENT_ID_REUSED: (FailureClass.DATA, ("id", "source")),
    FailureCode.INVOICE_DIFFERS_FROM_BOOKED: (FailureClass.DATA, ("number", "booked")),
    FailureCode.SWITCHED_OFF: (FailureClass.SET_UP, ()),
    FailureCode.BOOKS_IDENTITY_CHANGED: (FailureClass.SET_UP, ()),
    FailureCode.FOUND_TWICE: (FailureClass.UNCERTAIN, ("number", "hits")),
    FailureCode.TOO_LONG: (FailureClass.DATA, ("limit", "length")),
    FailureCode.RETRIES_EXHAUSTED: (FailureClass.TRANSIENT, ("lastCode", "attempts", "answer")),
    FailureCode.REFUSED_BY_SYSTEM: (FailureClass.DEFECT, ("status", "answer")),
    FailureCode.ANSWER_NOT_UNDERSTOOD: (FailureClass.DEFECT, ("status", "answer")),
    FailureCode.SYSTEM_UNAVAILABLE: (FailureClass.TRANSIENT, ("status",)),
    FailureCode.TOO_MANY_REQUESTS: (FailureClass.TRANSIENT, ()),
    FailureCode.CONNECTION_FAILED: (FailureClass.TRANSIENT, ("reason",)),
    FailureCode.WRITE_UNCERTAIN: (FailureClass.UNCERTAIN, ("number",)),
    FailureCode.BREAKER_OPEN: (FailureClass.TRANSIENT, ()),
}

WARNING_PARAMETERS: dict[WarningCode, tuple[str, ...]] = {
    WarningCode.KID_CHECK_DIGIT: ("paymentId",),
    WarningCode.ORGANISATION_NUMBER_CHECK_DIGIT: ("organisationNumber",),
    WarningCode.KENNITALA_CHECK_DIGIT: ("number",),
    WarningCode.INVOICE_NUMBER_DIFFERS: ("moment", "books"),
    WarningCode.AMOUNT_DIFFERS: ("moment", "books"),
    WarningCode.PROJECT_NOT_KEPT: ("project",),
    WarningCode.CUSTOMER_TWIN: ("number", "twin"),
    WarningCode.VOUCHER_NUMBER_NOT_TAKEN: ("proposed", "given"),
    WarningCode.PARENT_STALE: ("parentType", "parentNumber"),
    WarningCode.NOTHING_TO_BOOK: (),
    WarningCode.TEXT_SHORTENED: ("field", "limit"),
}


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One thing that went wrong. `field` is a JSON path like `$.lines[2].vatCode`.

    `klass` is set only where it is not the code's own (`FACTS`). `answer` quotes the accounting
    system: status and body, cut and cleared of secrets.
    """

    code: FailureCode
    parameters: dict[str, str] = {}
    field: str | None = None
    klass: FailureClass | None = None
    answer: str | None = None

    @property
    def failure_class(self) -> FailureClass:
        """The class in force: the failure's own where it has one, else its code's."""
        return self.klass or FACTS[self.code][0]


class Notable(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A warning: something was done, and a person should know this of it."""

    code: WarningCode
    parameters: dict[str, str] = {}


class Reference(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the accounting system calls a record: its internal id, its number, perhaps a URL."""

    id: str
    number: str
    url: str | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One field that a person has to change by hand, under Moment's name for it."""

    field: str
    from_: str | None = None
    to: str | None = None


def differs_from_booked(number: str, reference: Reference | None) -> Failure:
    """What comes for an invoice that is booked already does not say the same as the booking."""
    booked = reference.number if reference else "?"
    return Failure(
        code=FailureCode.INVOICE_DIFFERS_FROM_BOOKED,
        parameters={"number": number, "booked": booked},
    )


def plain(value: Decimal) -> str:
    """A decimal as people and JSON read it: no exponent, no trailing zeros after the point."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
