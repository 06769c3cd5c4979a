"""What DK+ answers with, as far as it is read: the members of contract dkplus A2 to A5.

Members that are not named here are ignored. Money and rates are exact decimals. What a company
may leave out is optional, so that only an answer of another shape counts as unreadable.
"""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

Text = (
    str | int | None
)  # dk keeps numbers of records as text, and has been seen to send digits bare

T = TypeVar("T")

UNSAID = msgspec.UNSET  # a member that the answer does not have

UTF8_MARK = b"\xef\xbb\xbf"  # some .NET services put it before their JSON


class _Record(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Base of what is read: PascalCase on the wire, everything optional."""


class CustomerRecord(_Record, frozen=True):
    """A customer of DK+ (contract dkplus A2). `SSNumber` may be missing although it was written."""

    number: Text = None
    ss_number: Text = msgspec.field(default=None, name="SSNumber")
    no_vat: bool | None = None
    blocked: bool | None = None


class ProjectRecord(_Record, frozen=True):
    """A project of DK+ (contract dkplus A3); a member left out says nothing of the books."""

    number: Text = None
    name: Text | msgspec.UnsetType = msgspec.UNSET
    customer_to_bill: Text | msgspec.UnsetType = msgspec.UNSET


class ProductRecord(_Record, frozen=True):
    """A product of DK+ (contract dkplus A5). `tax_percent` is its VAT rate."""

    item_code: Text = None
    tax_percent: Decimal | None = None


class SalesPersonRecord(_Record, frozen=True):
    """A sales person of DK+ (contract dkplus A4.4)."""

    number: Text = None


class InvoiceRecord(_Record, frozen=True):
    """The head of a sales invoice as DK+ reads it back (contract dkplus A4.1).

    Without `number` it is a draft. Totals are negative on a credit invoice.
    """

    number: Text = None
    record_id: Text = msgspec.field(default=None, name="RecordID")
    reference: Text = None
    c_number: Text = None
    total_amount: Decimal | None = None
    total_amount_with_tax: Decimal | None = None
    project: Text = None


class CompanyFacts(_Record, frozen=True):
    """Who keeps the books: dk's own number of the company, and its kennitala."""

    number: Text = None
    ss_number: Text = msgspec.field(default=None, name="SSNumber")


class InformationRecord(_Record, frozen=True):
    """`Information` of `GET /company`; `owner` is the dk installation the company belongs to."""

    owner: Text = None
    company: CompanyFacts = CompanyFacts()


class GeneralRecord(_Record, frozen=True):
    """`General` of `GET /company`."""

    default_currency: str | None = None


class CompanyRecord(_Record, frozen=True):
    """`GET /company` (contract dkplus A1)."""

    information: InformationRecord | None = None
    general: GeneralRecord | None = None


CUSTOMER = msgspec.json.Decoder(CustomerRecord)
CUSTOMERS = msgspec.json.Decoder(list[CustomerRecord])
PROJECT = msgspec.json.Decoder(ProjectRecord)
PRODUCT = msgspec.json.Decoder(ProductRecord)
SALES_PERSONS = msgspec.json.Decoder(list[SalesPersonRecord])
INVOICE = msgspec.json.Decoder(InvoiceRecord)
INVOICES = msgspec.json.Decoder(list[InvoiceRecord])
COMPANY = msgspec.json.Decoder(CompanyRecord)
ERROR = msgspec.json.Decoder(dict[str, Any])
ANYTHING = msgspec.json.Decoder(Any)


def decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T | None:
    """The body as the decoder's type; None where it is cut, no JSON, or of another shape."""
    try:
        return decoder.decode(body.removeprefix(UTF8_MARK))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def is_json(body: bytes) -> bool:
    """Whether the body is a whole JSON document."""
    try:
        ANYTHING.decode(body.removeprefix(UTF8_MARK))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def text_of(value: Text | msgspec.UnsetType) -> str:
    """A text member without white space around it; empty where there is none."""
    return "" if value is None or value is msgspec.UNSET else str(value).strip()
