"""What is not known of the platform, as switches (contract sparebank1-regnskap 11 and 12).

Each default is the contract's likeliest reading; `Switches.hostile()` turns every one of them to
the answer that is hardest on a connector while still allowed.
"""

from enum import StrEnum

import msgspec


class ErrorShape(StrEnum):
    """The three bodies of a 400 (section 6.2), or each in turn."""

    ENTITY = "entity"  # the entity echoed with `_validationResults`
    MESSAGES = "messages"  # {"Messages": […]}
    MESSAGE = "message"  # {"Message": "…"}
    ROTATE = "rotate"


class UnknownField(StrEnum):
    """What a filter loses when it names something unknown (section 6.1)."""

    DROP_CLAUSE = "drop-clause"
    DROP_FILTER = "drop-filter"


class VoucherNumbering(StrEnum):
    """What becomes of a JournalEntryNumber that the caller proposes (section 12.3)."""

    IGNORED = "ignored"
    HONOURED = "honoured"
    REFUSED = "refused"


class ExternalReference(StrEnum):
    """What becomes of ExternalReference in book-journal-entries (section 11.3)."""

    FILTERABLE = "filterable"
    STORED = "stored"  # comes back in rows, unknown to filters
    DROPPED = "dropped"


class VatPercentAt(StrEnum):
    """Where a VAT type keeps its rate (section 5)."""

    PERCENTAGES = "percentages"  # the 2026 model
    DIRECT = "direct"  # the 2019 model
    BOTH = "both"


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer to each open question."""

    # 2.1: ALV's running code was answered 200, the descriptions say 201
    created_status: int = 201
    # 2.3: whether the nested objects come back in the answer to a POST or PUT
    echo_nested: bool = True
    # 2.6, 11.5: whether a PUT clears the scalars that it leaves out
    put_clears_left_out: bool = False
    # 6.2: the body of a 400
    error_shape: ErrorShape = ErrorShape.MESSAGES
    # 6.1, 12.1: what an unknown filter field takes with it
    unknown_field: UnknownField = UnknownField.DROP_CLAUSE
    # 12.1: 'Nordlys' eq 'nordlys'
    text_ignores_case: bool = True
    # 12.1: a row that was not asked for stands first in a filtered list
    strange_row_first: bool = False
    # 12.7: deleted rows stand in lists
    deleted_listed: bool = True
    # 6.1, 11.6: how many rows a list holds without `top`, and at most
    default_top: int = 50
    max_top: int = 1000
    # 1.5, 11.10: 401 or 404 for a path that does not exist
    unknown_path_status: int = 401
    # 10, 11.1: CompanyKey missing, unknown or not activated: 401 or 403
    company_refusal_status: int = 401
    # 4.4, 11.2
    voucher_number: VoucherNumbering = VoucherNumbering.IGNORED
    # 4.5, 11.3
    external_reference: ExternalReference = ExternalReference.FILTERABLE
    # 11.3: a repeated ExternalReference is refused
    external_reference_unique: bool = False
    # 5: where VAT rates are
    vat_percent_at: VatPercentAt = VatPercentAt.PERCENTAGES
    # 3, 7: a project number must be digits in SpareBank 1 Regnskap
    project_number_numeric: bool = True
    # 11.8: a second project with the same number is refused
    project_number_unique: bool = True
    # 12.8: a StatusCode in the POST or PUT of a project counts
    project_status_by_put: bool = True
    # 3: 204 or 200 for a project's transition
    transition_status: int = 204
    # 2.1: a StatusCode in the PUT of a customer counts, not only the actions
    customer_status_by_put: bool = True
    # 11.9: seconds until a new customer's Account row is there
    account_after_seconds: float = 0.0
    # 4.7: customer lines are 31001 Open; otherwise every status is null
    line_status: bool = True

    @classmethod
    def hostile(cls) -> "Switches":
        """The hardest answer to each question that a connector has to stand."""
        return cls(
            created_status=200,
            echo_nested=False,
            put_clears_left_out=True,
            error_shape=ErrorShape.ROTATE,
            unknown_field=UnknownField.DROP_FILTER,
            strange_row_first=True,
            default_top=3,
            max_top=50,
            company_refusal_status=403,
            voucher_number=VoucherNumbering.REFUSED,
            external_reference=ExternalReference.DROPPED,
            vat_percent_at=VatPercentAt.DIRECT,
            project_number_unique=False,
            project_status_by_put=False,
            transition_status=200,
            customer_status_by_put=False,
            line_status=False,
        )
