"""From Moment's data to what the books are asked to hold. Pure; no internal ids here.

The structs of this file are a connector's content: their canonical JSON is compared to see
whether anything changed, and the one applied last says what may be cleared.
"""

from datetime import date
from typing import Final, Self

import msgspec

from connectors.sparebank1.wire import INT32_MAX, encode_canonical
from schemas.events import Customer, Entity, Invoice, InvoiceKind, Project, ProjectState
from schemas.failures import Failure, FailureCode, Notable, WarningCode, plain
from schemas.identifiers import is_organisation_number

MAPPING_VERSION: Final = 1
"""Grows when the same event would be written differently: then nothing is `unchanged`."""

NAME_MAX: Final = 255
LINE_MAX: Final = 255
PLACE_MAX: Final = 100
ORGANISATION_NUMBER_MAX: Final = 100
WEBSITE_MAX: Final = 255
PROJECT_NUMBER_MAX: Final = 255
INVOICE_NUMBER_MAX: Final = 100
PAYMENT_ID_MAX: Final = 255
# Characters, from contract sparebank1-regnskap 2.2, 3 and 4.3.

_NORWAY: Final = "NO"


class _Content(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of all contents: what is empty in Moment is empty here."""

    version: int
    number: str

    @classmethod
    def read(cls, applied: bytes | None) -> Self | None:
        """The content that was applied last, where there was one that can still be read."""
        if applied is None:
            return None
        try:
            return msgspec.json.decode(applied, type=cls)
        except msgspec.DecodeError:
            return None


class CustomerContent(_Content, frozen=True):
    """A customer's fields in SpareBank 1 Regnskap (contract moment, "SpareBank 1 Regnskap")."""

    name: str
    organisation_number: str = ""
    email: str = ""
    website: str = ""
    phone: str = ""
    fax: str = ""
    currency: str = ""
    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    city: str = ""
    country: str = ""


class ProjectContent(_Content, frozen=True):
    """A project's fields."""

    name: str
    customer_number: str
    state: ProjectState
    start_date: date | None = None
    end_date: date | None = None


class LineContent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """An invoice line's fields; decimals as plain text, so that they compare by value."""

    account: str
    vat_code: str
    total: str
    quantity: str
    unit: str = ""
    text: str = ""


class InvoiceContent(_Content, frozen=True):
    """An invoice's fields. Its total with VAT counts: a difference of øre may be posted."""

    kind: InvoiceKind
    customer_number: str
    invoice_date: date
    currency: str
    lines: tuple[LineContent, ...]
    due_date: date | None = None
    rate: str = ""
    payment_id: str = ""
    project_number: str = ""
    description: str = ""
    credited: str = ""
    total_incl_vat: str = ""


def content_of(event: Entity) -> bytes:
    """Canonical JSON of what would be written, with the version of the mapping."""
    if isinstance(event, Customer):
        return encode_canonical(customer_content(event))
    if isinstance(event, Project):
        return encode_canonical(project_content(event))
    return encode_canonical(invoice_content(event))


def customer_content(customer: Customer) -> CustomerContent:
    """The customer's mapped fields. The address's country wins (contract 12.4)."""
    address = customer.address
    own_country = _clean(customer.country_code)
    return CustomerContent(
        version=MAPPING_VERSION,
        number=customer.number.strip(),
        name=customer.name.strip(),
        organisation_number=_clean(customer.organisation_number),
        email=_clean(customer.email),
        website=_clean(customer.website),
        phone=_clean(customer.phone),
        fax=_clean(customer.fax),
        currency=_clean(customer.currency_code).upper(),
        line1=_clean(address.line1 if address else None),
        line2=_clean(address.line2 if address else None),
        postal_code=_clean(address.postal_code if address else None),
        city=_clean(address.city if address else None),
        country=(_clean(address.country_code if address else None) or own_country).upper(),
    )


def project_content(project: Project) -> ProjectContent:
    """The project's mapped fields."""
    return ProjectContent(
        version=MAPPING_VERSION,
        number=project.number.strip(),
        name=project.name.strip(),
        customer_number=project.customer_number.strip(),
        state=project.state,
        start_date=project.start_date,
        end_date=project.end_date,
    )


def invoice_content(invoice: Invoice) -> InvoiceContent:
    """The invoice's mapped fields."""
    return InvoiceContent(
        version=MAPPING_VERSION,
        number=invoice.number.strip(),
        kind=invoice.kind,
        customer_number=invoice.customer_number.strip(),
        invoice_date=invoice.invoice_date,
        due_date=invoice.due_date,
        currency=invoice.currency_code.strip().upper(),
        rate=plain(invoice.currency_rate) if invoice.currency_rate is not None else "",
        payment_id=_clean(invoice.payment_id),
        project_number=_clean(invoice.project_number),
        description=_clean(invoice.description),
        credited=_clean(invoice.credited_invoice_number),
        total_incl_vat=plain(invoice.total_incl_vat) if invoice.total_incl_vat is not None else "",
        lines=tuple(
            LineContent(
                account=line.account.number.strip(),
                vat_code=_clean(line.effective_vat_code),
                total=plain(line.total_excl_vat),
                quantity=plain(line.quantity),
                unit=_clean(line.unit),
                text=line.book_text.strip(),
            )
            for line in invoice.lines
        ),
    )


def customer_refusal(content: CustomerContent) -> Failure | None:
    """Why a customer cannot be sent, as far as that can be said without asking."""
    if not is_number(content.number):
        return Failure(
            code=FailureCode.CUSTOMER_NUMBER_NOT_NUMERIC,
            parameters={"number": content.number},
            field="$.number",
        )
    return _first_too_long(
        ("$.name", content.name, NAME_MAX),
        ("$.organisationNumber", content.organisation_number, ORGANISATION_NUMBER_MAX),
        ("$.website", content.website, WEBSITE_MAX),
        ("$.address.line1", content.line1, LINE_MAX),
        ("$.address.line2", content.line2, LINE_MAX),
        ("$.address.postalCode", content.postal_code, PLACE_MAX),
        ("$.address.city", content.city, PLACE_MAX),
        ("$.countryCode", content.country, PLACE_MAX),
    )


def project_refusal(content: ProjectContent) -> Failure | None:
    """Why a project cannot be sent. Its number is text in the books, so zeros may lead."""
    if not (content.number.isascii() and content.number.isdigit()):
        return Failure(
            code=FailureCode.PROJECT_NUMBER_NOT_NUMERIC,
            parameters={"number": content.number},
            field="$.number",
        )
    return _first_too_long(
        ("$.number", content.number, PROJECT_NUMBER_MAX), ("$.name", content.name, NAME_MAX)
    )


def invoice_refusal(content: InvoiceContent) -> Failure | None:
    """Numbers are refused where they are too long; texts are shortened."""
    return _first_too_long(
        ("$.number", content.number, INVOICE_NUMBER_MAX),
        ("$.paymentId", content.payment_id, PAYMENT_ID_MAX),
    )


def customer_warnings(customer: Customer) -> tuple[Notable, ...]:
    """The check digit of an organisation number, for customers in Norway only (interface 2)."""
    address = customer.address
    country = _clean(customer.country_code) or _clean(address.country_code if address else None)
    number = _clean(customer.organisation_number)
    if country.upper() != _NORWAY or not number or is_organisation_number(number):
        return ()
    return (
        Notable(
            code=WarningCode.ORGANISATION_NUMBER_CHECK_DIGIT,
            parameters={"organisationNumber": number},
        ),
    )


def is_number(value: str) -> bool:
    """Whether a text is exactly how a whole number is written: digits, no zero in front."""
    return value.isascii() and value.isdigit() and not value.startswith("0")


def fits_int32(value: str) -> bool:
    """Whether a text of digits is a number that the platform can hold."""
    return (
        value.isascii()
        and value.isdigit()
        and len(value) <= len(str(INT32_MAX))
        and int(value) <= INT32_MAX
    )


def _clean(value: str | None) -> str:
    return (value or "").strip()


def _first_too_long(*fields: tuple[str, str, int]) -> Failure | None:
    for path, value, limit in fields:
        if len(value) > limit:
            return Failure(
                code=FailureCode.TOO_LONG,
                parameters={"limit": str(limit), "length": str(len(value))},
                field=path,
            )
    return None
