"""All that a voucher refers to, looked up in the books before anything is sent."""

from collections.abc import Generator
from decimal import Decimal
from functools import partial
from typing import Any, Final

from connectors.integrations import DataType
from connectors.port import GateClosed, Job, Look, Refused, Request, Retry, Step
from connectors.sparebank1 import reference_data, requests
from connectors.sparebank1.customers import find_customer
from connectors.sparebank1.exchange import Books, listing
from connectors.sparebank1.mapping import InvoiceContent, is_number
from connectors.sparebank1.projects import find_project
from connectors.sparebank1.reference_data import Account, Settings, VatType
from connectors.sparebank1.responses import Stop, undropped
from connectors.sparebank1.vouchers import LinePlan, Plan
from connectors.sparebank1.wire import Row, child, integer, text
from schemas.events import EntityType, Invoice, InvoiceLine
from schemas.failures import Failure, FailureClass, FailureCode, Reference, plain

NORWEGIAN_KRONE: Final = "NOK"
"""The base currency of books whose settings name none."""


def plan_of(
    books: Books, job: Job, invoice: Invoice, content: InvoiceContent
) -> Generator[Step, Any, Plan | Stop]:
    """Every id and rate that the voucher needs, or why it cannot be booked as it stands."""
    customer = yield from _customer_account(books, job, content.customer_number)
    if isinstance(customer, Stop):
        return customer
    lines = yield from _lines(books, invoice)
    if isinstance(lines, Stop):
        return lines
    currency = yield from _currency(books, content)
    if isinstance(currency, Stop):
        return currency
    project_id = yield from _project_id(books, job, content.project_number)
    if isinstance(project_id, Stop):
        return project_id
    rounding = yield from _rounding_account_id(books)
    if isinstance(rounding, Stop):
        return rounding
    return Plan(
        customer_id=customer[0],
        sub_account_id=customer[1],
        currency_id=currency[0],
        foreign=currency[1],
        lines=lines,
        project_id=project_id,
        rounding_account_id=rounding,
    )


def period_refusal(books: Books, content: InvoiceContent) -> Generator[Step, Any, Stop | None]:
    """Refuse a date within a locked period; a lock is read again before it is believed."""
    day = content.invoice_date
    settings: Settings | Stop | None
    settings = yield reference_data.settings(books, lambda found: found.lock_on(day) is None)
    if not isinstance(settings, Settings):
        return settings
    lock = settings.lock_on(day)
    if lock is None:
        return None
    parameters = {"lockDate": lock.isoformat(), "date": day.isoformat()}
    return _refused(FailureCode.PERIOD_LOCKED, "$.invoiceDate", parameters)


def _refused(code: FailureCode, field: str | None, parameters: dict[str, str]) -> Refused:
    return Refused(failure=Failure(code=code, field=field, parameters=parameters))


# --- the customer ----------------------------------------------------------------------------


def _customer_account(
    books: Books, job: Job, number: str
) -> Generator[Step, Any, tuple[int, int] | Stop]:
    """The ids of the customer and of its sub-account (contract sparebank1-regnskap 4.3)."""
    if not is_number(number):
        return GateClosed(parent_type=EntityType.CUSTOMER, parent_number=number)
    fetch = partial(_fetch_customer_account, books, number, job.customer)
    found: tuple[int, int] | Stop | None = yield Look(f"customer-account:{number}", fetch)
    if found is None:
        return GateClosed(parent_type=EntityType.CUSTOMER, parent_number=number)
    return found


def _fetch_customer_account(
    books: Books, number: str, known: Reference | None
) -> Generator[Step, Any, tuple[int, int] | Stop | None]:
    row = yield from find_customer(books, number, known, expand="Account")
    if not isinstance(row, dict):
        return row if row is None else undropped(row)
    customer_id = integer(row, "ID") or 0
    account = child(row, "Account")
    if account is not None and _belongs(customer_id, account):
        return customer_id, integer(account, "ID") or 0
    found = yield from listing(
        books, partial(_account_page, customer_id), partial(_belongs, customer_id)
    )
    if isinstance(found, Stop):
        return undropped(found)
    mine = [row for row in found.rows if text(row, "AccountNumber") == number] or found.rows
    return (customer_id, integer(mine[0], "ID") or 0) if mine else _no_account_yet(number)


def _no_account_yet(number: str) -> Retry:
    """Whether a new customer has its sub-account at once is not known (contract 11.9)."""
    said = f"customer {number} has no sub-account"
    failure = Failure(
        code=FailureCode.ANSWER_NOT_UNDERSTOOD,
        parameters={"status": "200", "answer": said},
        klass=FailureClass.TRANSIENT,
    )
    return Retry(failure=failure)


def _account_page(customer_id: int, skip: int) -> Request:
    return requests.listed(requests.ACCOUNTS, where=f"CustomerID eq {customer_id}", skip=skip)


def _belongs(customer_id: int, account: Row) -> bool:
    return integer(account, "CustomerID") == customer_id and bool(integer(account, "ID"))


# --- the lines -------------------------------------------------------------------------------


def _lines(books: Books, invoice: Invoice) -> Generator[Step, Any, tuple[LinePlan, ...] | Stop]:
    found = []
    for index, line in enumerate(invoice.lines):
        path = f"$.lines[{index}]"
        account = yield from _account(books, line.account.number.strip(), f"{path}.account.number")
        if not isinstance(account, Account):
            return account
        vat_type = yield from _vat_type(books, invoice, line, path)
        if not isinstance(vat_type, VatType):
            return vat_type
        percent = vat_type.percent_on(invoice.invoice_date) or Decimal(0)
        found.append(
            LinePlan(
                account_id=account.id,
                vat_type_id=vat_type.id,
                percent=percent if vat_type.split else Decimal(0),
            )
        )
    return tuple(found)


def _account(books: Books, number: str, field: str | None) -> Generator[Step, Any, Account | Stop]:
    account: Account | Stop | None = None
    if is_number(number):
        account = yield reference_data.account(books, number, lambda found: not found.locked)
    if account is None:
        return _refused(FailureCode.ACCOUNT_UNKNOWN, field, {"account": number})
    if isinstance(account, Account) and account.locked:
        return _refused(FailureCode.ACCOUNT_LOCKED, field, {"account": number})
    return account


def _vat_type(
    books: Books, invoice: Invoice, line: InvoiceLine, path: str
) -> Generator[Step, Any, VatType | Stop]:
    """The type of the line's code, valid on the invoice date and of the rate that Moment has."""
    code = (line.effective_vat_code or "").strip()
    own = (line.vat_code or "").strip()
    field = f"{path}.vatCode" if own or not code else f"{path}.account.vatCode"
    day = invoice.invoice_date
    if not code:
        return _refused(FailureCode.VAT_CODE_UNKNOWN, field, {"vatCode": ""})

    def suits(types: Any) -> bool:
        return _vat_refusal(_of_code(types, code, invoice), line, invoice) is None

    types: tuple[VatType, ...] | Stop | None = yield reference_data.vat_types(books, suits)
    if isinstance(types, Stop):
        return types
    vat_type = _of_code(types or (), code, invoice)
    refusal = _vat_refusal(vat_type, line, invoice)
    if refusal is None and vat_type is not None:
        return vat_type
    percent = vat_type.percent_on(day) if vat_type is not None else None
    parameters = {
        FailureCode.VAT_CODE_UNKNOWN: {"vatCode": code},
        FailureCode.VAT_CODE_NOT_VALID: {"vatCode": code, "date": day.isoformat()},
        FailureCode.VAT_RATE_DIFFERS: {
            "vatCode": code,
            "vatPercent": plain(line.vat_percent or Decimal(0)),
            "booksPercent": plain(percent or Decimal(0)),
            "date": day.isoformat(),
        },
    }
    why = refusal or FailureCode.VAT_CODE_UNKNOWN
    at = f"{path}.vatPercent" if why is FailureCode.VAT_RATE_DIFFERS else field
    return _refused(why, at, parameters[why])


def _of_code(types: tuple[VatType, ...], code: str, invoice: Invoice) -> VatType | None:
    """Of several types of one code the one that is valid on the day."""
    named = [vat_type for vat_type in types if vat_type.code == code]
    valid = [t for t in named if t.percent_on(invoice.invoice_date) is not None]
    return next(iter(valid or named), None)


def _vat_refusal(
    vat_type: VatType | None, line: InvoiceLine, invoice: Invoice
) -> FailureCode | None:
    if vat_type is None:
        return FailureCode.VAT_CODE_UNKNOWN
    percent = vat_type.percent_on(invoice.invoice_date)
    if percent is None:
        return FailureCode.VAT_CODE_NOT_VALID
    if line.vat_percent is not None and line.vat_percent != percent:
        return FailureCode.VAT_RATE_DIFFERS
    return None


# --- the rest --------------------------------------------------------------------------------


def _currency(
    books: Books, content: InvoiceContent
) -> Generator[Step, Any, tuple[int, bool] | Stop]:
    """The currency's id, and whether it is foreign: then a rate is needed (interface 2)."""
    code = content.currency
    currency_id: int | Stop | None = yield reference_data.currency(books, code)
    if currency_id is None:
        return _refused(FailureCode.CURRENCY_UNKNOWN, "$.currencyCode", {"currency": code})
    if not isinstance(currency_id, int):
        return currency_id
    settings: Settings | Stop | None = yield reference_data.settings(books)
    if not isinstance(settings, Settings):
        return settings if settings is not None else _no_settings()
    base_id = settings.base_currency_id
    foreign = currency_id != base_id if base_id else code != NORWEGIAN_KRONE
    if not foreign or (content.rate and Decimal(content.rate) > 0):
        return currency_id, foreign
    base = (yield from reference_data.currency_code(books, base_id)) if base_id else ""
    parameters = {"currency": code, "baseCurrency": base or NORWEGIAN_KRONE}
    return _refused(FailureCode.CURRENCY_RATE_MISSING, "$.currencyRate", parameters)


def _no_settings() -> Refused:
    parameters = {"status": "200", "answer": "no company settings"}
    return _refused(FailureCode.ANSWER_NOT_UNDERSTOOD, None, parameters)


def _project_id(books: Books, job: Job, number: str) -> Generator[Step, Any, int | Stop | None]:
    """The project's id. With projects switched off it is named only if the books have it."""
    if not number:
        return None
    # An id that was posted with in vain may be that of a project which is no more.
    known = None if job.post else job.project
    if known is not None and known.id.isascii() and known.id.isdigit():
        return int(known.id)
    if not books.integration.carries(DataType.PROJECTS):
        # Not by a `Look`: a no would make every invoice of the project wait for the next read.
        return (yield from _fetch_project_id(books, number))
    found: int | Stop | None
    found = yield Look(f"project:{number}", partial(_fetch_project_id, books, number))
    if found is None:
        return GateClosed(parent_type=EntityType.PROJECT, parent_number=number)
    return found


def _fetch_project_id(books: Books, number: str) -> Generator[Step, Any, int | Stop | None]:
    row = yield from find_project(books, number)
    if isinstance(row, Stop):
        return undropped(row)
    return integer(row, "ID") if row is not None else None


def _rounding_account_id(books: Books) -> Generator[Step, Any, int | Stop | None]:
    number = books.integration.rounding_account
    if number is None:
        return None
    account = yield from _account(books, number.strip(), None)
    return account.id if isinstance(account, Account) else account
