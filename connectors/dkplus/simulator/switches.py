"""Every behaviour of dkPlus that nobody outside knows, as a switch (contract dkplus A10, A11).

The defaults are what the contract holds for most likely; `Switches.hostile()` turns each into
the answer that hurts a careless client most. Only behaviour: who the companies are stands in
`settings.py`, and faults of the line in `connectors.simulation_faults`.
"""

from decimal import Decimal
from enum import StrEnum

import msgspec


class Duplicate(StrEnum):
    """What a POST of a key that exists already is answered with."""

    CONFLICT = "409"
    BAD_REQUEST = "400"
    EMPTY_OK = "200-empty"  # an older plug-in met a 200 without a record (contract dkplus A5)


class Unknown(StrEnum):
    """What becomes of a code that dk does not have."""

    REFUSE = "refuse"
    DROP = "drop"
    KEEP = "keep"


class TooLong(StrEnum):
    """What becomes of a text over its limit."""

    CUT = "cut"
    REFUSE = "refuse"


class EmptyLookUp(StrEnum):
    """What a look-up by reference says when there is nothing."""

    EMPTY_LIST = "empty-list"
    NOT_FOUND = "404"


class NotFoundBody(StrEnum):
    """The body of a 404 for an unknown record."""

    EMPTY = "empty"
    JSON = "json"


class Rounding(StrEnum):
    """Where amounts are rounded to whole units of the currency (krónur for ISK)."""

    LINE = "line"
    INVOICE = "invoice"
    NONE = "none"


class MissingExchange(StrEnum):
    """What an invoice in a foreign currency without Exchange becomes."""

    REFUSE = "refuse"
    ONE = "one"


class DraftNumber(StrEnum):
    """What stands in Number of a draft."""

    NULL = "null"
    EMPTY = "empty"


class DiscountRule(StrEnum):
    """What a line discount does on a product with AllowDiscount false."""

    KEEP = "keep"
    DROP = "drop"
    REFUSE = "refuse"


class RetryAfter(StrEnum):
    """The form of Retry-After on a 429 of the rate limit."""

    NONE = "none"
    SECONDS = "seconds"
    DATE = "date"


class Check(StrEnum):
    """The checks of an invoice, in an order that nobody knows."""

    SALES_PERSON = "sales-person"
    CUSTOMER = "customer"
    LINES = "lines"
    PROJECT = "project"
    PERIOD = "period"
    CURRENCY = "currency"
    TERMS = "terms"


EVERY_CHECK = (
    Check.SALES_PERSON,
    Check.CUSTOMER,
    Check.LINES,
    Check.PROJECT,
    Check.PERIOD,
    Check.CURRENCY,
    Check.TERMS,
)


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Longest texts in characters; 0 means no limit. Only the product's two are known."""

    customer_number: int = 0
    customer_name: int = 0
    project_number: int = 0
    reference: int = 0
    text1: int = 0
    text2: int = 2000  # S-PM
    item_code: int = 20  # S-ALDA, cut silently
    description: int = 40  # S-ALDA, cut silently


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer to every unknown. Changed while running through `/_simulator/switches`."""

    # rate limit: none is published, 429 was never seen
    calls_per_second: int = 0  # 0: no limit; counted per company
    rate_limit_retry_after: RetryAfter = RetryAfter.SECONDS
    rate_limit_seconds: int = 1  # how long Retry-After asks for

    # keys that exist already, per kind
    duplicate_customer: Duplicate = Duplicate.CONFLICT
    duplicate_project: Duplicate = Duplicate.CONFLICT
    duplicate_product: Duplicate = Duplicate.BAD_REQUEST

    # the customer record
    returns_ss_number: bool = True  # whether GET /customer gives SSNumber back
    returns_city: bool = True  # the same of City
    renumbers_by_put: bool = False  # whether Number in a PUT body renames the record
    kennitala_checked: bool = False  # dk refuses a failing check digit
    unknown_codes: Unknown = Unknown.REFUSE  # payment terms, currency, sales person on a customer

    # lengths: all unknown but the product's
    limits: Limits = Limits()
    too_long: TooLong = TooLong.CUT  # of customer, project, reference, text1

    # look-ups
    empty_look_up: EmptyLookUp = EmptyLookUp.EMPTY_LIST
    not_found_body: NotFoundBody = NotFoundBody.EMPTY
    look_up_lag_seconds: float = 0.0  # dkPlus is a cache: an invoice is seen this much later
    look_up_lines: bool = True  # whether a look-up by reference fills Lines
    look_up_is_loose: bool = False  # any letter case and any Reference that starts with it
    created_filter_means_invoice_date: bool = False  # S-PM says so, S-DKWEB found otherwise

    # the invoice
    check_order: tuple[Check, ...] = EVERY_CHECK  # which refusal comes first
    unknown_project: Unknown = Unknown.REFUSE
    invoice_creates_customer: bool = False  # hinted at by a field's text, not seen live
    blocked_customer_refused: bool = True
    closed_period_refused: bool = True
    missing_exchange: MissingExchange = MissingExchange.REFUSE
    total_overrides: bool = False  # whether a line's Total beats Quantity * Price
    due_date_wins: bool = True  # where DueDate and Term are both given
    rounding: Rounding = Rounding.LINE
    discount_not_allowed: DiscountRule = DiscountRule.KEEP
    no_vat_customer_counts: bool = True
    skip_tax_project_counts: bool = True
    draft_number: DraftNumber = DraftNumber.NULL
    credit_sales_type: int | None = None  # SalesType read back on a credit; None: as it was sent
    reverse_answers_invoice: bool = True  # swagger declares no body, Postman shows the invoice
    number_gap: int = 0  # numbers somebody else takes between two of ours: the series drift

    # products
    bare_product_vat: Decimal = Decimal(24)  # TaxPercent of a product made with a code only

    # forms
    binary_tails: bool = False  # doubles written with the tails of binary arithmetic
    empty_date: str = "1899-12-30T00:00:00Z"  # also seen: 0001-01-01T00:00:00, 0100-01-01T00:00:00
    clock_offset_seconds: int = 0  # dk's clock against ours, seen in Created and Modified

    # token life: none is documented
    token_life_seconds: float = 0.0  # 0: works until deleted
    forbidden: tuple[str, ...] = ()  # kinds of call that the token's user may not make: 403

    @staticmethod
    def hostile() -> "Switches":
        """The answers that hurt most while a right client can still do its work."""
        return Switches(
            duplicate_customer=Duplicate.BAD_REQUEST,
            duplicate_project=Duplicate.BAD_REQUEST,
            duplicate_product=Duplicate.EMPTY_OK,
            returns_ss_number=False,
            returns_city=False,
            limits=Limits(reference=20, text1=60, customer_name=60),
            empty_look_up=EmptyLookUp.NOT_FOUND,
            look_up_lag_seconds=5.0,
            look_up_lines=False,
            look_up_is_loose=True,
            created_filter_means_invoice_date=True,
            check_order=tuple(reversed(EVERY_CHECK)),
            unknown_project=Unknown.DROP,
            rounding=Rounding.INVOICE,
            draft_number=DraftNumber.EMPTY,
            credit_sales_type=1,
            reverse_answers_invoice=False,
            number_gap=3,
            bare_product_vat=Decimal(11),
            binary_tails=True,
            empty_date="0001-01-01T00:00:00",
            clock_offset_seconds=-3600,
        )


PRESETS = {"default": Switches, "hostile": Switches.hostile}
