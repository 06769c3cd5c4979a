"""Invoices into DK+: all that can be wrong is found first, then one post books it (A4, A11)."""

from decimal import Decimal

import msgspec

from connectors.dkplus import bookings, kennitala, responses, wire
from connectors.dkplus.customers import Located, locate, twin
from connectors.dkplus.diagnosis import AGAIN, explain
from connectors.dkplus.drafting import Draft, draft, head_text, side_text
from connectors.dkplus.invoice_body import Extras, InvoiceBody, invoice_body
from connectors.dkplus.products import Products, ensure_products
from connectors.dkplus.reference_data import base_currency, known_project, sales_person
from connectors.dkplus.requests import book_invoice, get_customer
from connectors.integrations import DataType
from connectors.port import (
    Answer,
    Applied,
    Flow,
    GateClosed,
    Hold,
    Intent,
    Job,
    Refused,
    Retry,
    Unchanged,
    Write,
)
from schemas.events import EntityType, Invoice, customer_number_of
from schemas.failures import (
    Failure,
    FailureCode,
    Notable,
    Reference,
    WarningCode,
    differs_from_booked,
)

MAX_POSTS = 2  # within one delivery: one more when a read has shown that a cache had been stale


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a post needs."""

    body: InvoiceBody
    asked: bookings.Asked
    warnings: tuple[Notable, ...]


class _Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """The customer on the invoice: its number in the books, its kennitala, what is odd of them."""

    number: str
    kennitala: str
    warnings: tuple[Notable, ...] = ()


def deliver_invoice(job: Job, invoice: Invoice) -> Flow:
    """Book an invoice. Returns a `Verdict`.

    Sent at most once unless DK+ refused it with a 4xx. Where the ledger is not unbroken, the
    booking is looked for before anything else; what the ledger knows as booked is never posted.
    Where it knows only of a booking under that number, it is taken for this one if it is alike.
    """
    if job.itself is not None and job.applied is not None:
        return (yield from _booked_already(job, invoice, job.itself))
    drafted = draft(invoice, job.integration.item_code_sources)
    if isinstance(drafted, Failure):
        return Refused(failure=drafted)
    if not drafted.lines:
        return Unchanged(warnings=(Notable(code=WarningCode.NOTHING_TO_BOOK),))
    refusal = _refuse_known_kennitala(job)
    if refusal is not None:
        return refusal
    customer = yield from _customer_number(job, invoice)
    if not isinstance(customer, str):
        return customer
    if job.look_up_first or job.itself is not None:
        project = job.project.number if job.project is not None else ""
        asked = bookings.asked_of(invoice, customer, project=project)
        found = yield from bookings.look_up(asked, job.now)
        if isinstance(found, wire.InvoiceRecord):
            return bookings.applied(found, asked)
        if found is not None:
            return found
    if job.itself is not None:
        return Refused(failure=differs_from_booked(invoice.number, job.itself))
    return (yield from _book(job, invoice, drafted, customer))


def _booked_already(job: Job, invoice: Invoice, known: Reference) -> Flow:
    """An invoice that the ledger knows as booked, with what a person should know of it.

    That it is gone from DK+ is told by `verify`: it is not booked again.
    """
    found = yield from bookings.read_reference(invoice.number, job.now)
    if not isinstance(found, list):
        return responses.unlearnt(found)
    record = bookings.known_among(found, known)
    if record is None:
        return Applied(reference=known)
    project = job.project.number if job.project is not None else ""
    return bookings.applied(
        record, bookings.asked_of(invoice, invoice.customer_number, project=project)
    )


def _book(job: Job, invoice: Invoice, drafted: Draft, customer: str) -> Flow:
    for _ in range(MAX_POSTS):
        ready = yield from _prepare(job, invoice, drafted, customer)
        if not isinstance(ready, _Ready):
            return ready
        intent = ready.asked.intent()
        answer = yield Write(book_invoice(ready.body), intent)
        failure = responses.failed_write(answer, intent, job.now)
        if failure is not None:
            return failure
        if answer.ok:
            record = wire.decoded(answer.body, wire.INVOICE)
            if record is None or not wire.text_of(record.number):
                return responses.uncertain(intent, answer)
            return bookings.applied(record, ready.asked, ready.warnings)
        if job.post or job.look_up_first:
            earlier = yield from _earlier(job, ready, intent, answer)
            if earlier is not None:
                return earlier
        verdict = yield from explain(job, drafted.lines, ready.asked, answer)
        if verdict is not AGAIN:
            return verdict
    return responses.refused_by_system(answer)


def _earlier(job: Job, ready: _Ready, intent: Intent, refusal: Answer) -> Flow:
    """What a refused repeat of a post came to: the earlier one may be why it was refused.

    `Applied` where the books have it, None where they have not, `Unsure` where they do not say.
    """
    found = yield from bookings.look_up(ready.asked, job.now)
    if isinstance(found, wire.InvoiceRecord):
        return bookings.applied(found, ready.asked, ready.warnings)
    if found is None or isinstance(found, Refused):
        return found
    wait = found.retry_after if isinstance(found, Retry) else None
    return responses.uncertain(intent, refusal, retry_after=wait)


def _prepare(job: Job, invoice: Invoice, drafted: Draft, customer: str) -> Flow:
    """Ask DK+ for all that the body needs. Returns `_Ready` or a verdict."""
    buyer = yield from _buyer(job, customer)
    if not isinstance(buyer, _Buyer):
        return buyer
    exchange = yield from _exchange(job, invoice)
    if exchange is not None and not isinstance(exchange, Decimal):
        return exchange
    person = yield from _sales_person(job)
    if not isinstance(person, str):
        return person
    project = yield from _project(job, invoice)
    if not isinstance(project, str):
        return project
    products = yield from ensure_products(drafted.lines, customer, job.now)
    if not isinstance(products, Products):
        return products
    text2, shortened = side_text(drafted.texts)
    extras = Extras(
        customer_number=customer,
        kennitala=buyer.kennitala,
        sales_person=person,
        codes=products.codes,
        exchange=exchange,
        project=project,
        text1=head_text(invoice, job.integration.language),
        text2=text2,
    )
    asked = bookings.asked_of(invoice, customer, project=project)
    return _Ready(
        body=invoice_body(invoice, drafted.lines, extras),
        asked=asked if exchange is not None else msgspec.structs.replace(asked, rate=None),
        warnings=buyer.warnings + _twin(job, invoice, customer) + products.warnings + shortened,
    )


# --- the customer ----------------------------------------------------------------------------


def _customer_number(job: Job, invoice: Invoice) -> Flow:
    """The customer's number in the books, or a verdict."""
    if job.customer is not None:
        return job.customer.number
    located = yield from locate(invoice.customer_number, job.now)
    if isinstance(located, Located):
        return located.number
    if located is None:
        return _gate_of_customer(invoice.customer_number)
    return located


def _twin(job: Job, invoice: Invoice, customer: str) -> tuple[Notable, ...]:
    """Told here only where no delivery of the customer itself tells it."""
    told = job.integration.carries(DataType.CUSTOMERS)
    return (
        ()
        if told or customer == invoice.customer_number
        else twin(invoice.customer_number, customer)
    )


def _refuse_known_kennitala(job: Job) -> Refused | None:
    """A kennitala in the customer's last event that is not ten digits: nothing need be asked."""
    customer = job.customer_event
    if customer is None or not (customer.organisation_number or "").strip():
        return None
    if kennitala.kennitala_of(customer) is not None:
        return None
    return _invalid(customer.organisation_number or "")


def _buyer(job: Job, number: str) -> Flow:
    """The customer with its kennitala: of its last event, else of its record in DK+ (section 2)."""
    event = job.customer_event
    digits = kennitala.kennitala_of(event) if event is not None else None
    if event is not None and digits is not None:
        return _Buyer(number=number, kennitala=digits, warnings=kennitala.doubts(event))
    record = yield from responses.read(get_customer(number), wire.CUSTOMER, job.now)
    if record is None:
        return _gate_of_customer(customer_number_of(job.event))
    if not isinstance(record, wire.CustomerRecord):
        return record
    shown = kennitala.of_record(record)
    if not shown:
        parameters = {"number": customer_number_of(job.event)}
        return Refused(failure=Failure(code=FailureCode.KENNITALA_MISSING, parameters=parameters))
    digits = kennitala.digits_of(shown)
    if digits is None:
        return _invalid(shown)
    return _Buyer(number=number, kennitala=digits, warnings=kennitala.check_digit(digits))


def _gate_of_customer(number: str) -> GateClosed:
    return GateClosed(parent_type=EntityType.CUSTOMER, parent_number=number)


def _invalid(text: str) -> Refused:
    parameters = {"number": text.strip()}
    return Refused(failure=Failure(code=FailureCode.KENNITALA_INVALID, parameters=parameters))


# --- what stands beside it -------------------------------------------------------------------


def _exchange(job: Job, invoice: Invoice) -> Flow:
    """The rate to send, None where the currency is the company's own, or a verdict (A11.6)."""
    own = yield from base_currency(job.now)
    if not isinstance(own, str):
        return own
    currency = invoice.currency_code.upper()
    if currency == own:
        return None
    if invoice.currency_rate:
        return invoice.currency_rate
    failure = Failure(
        code=FailureCode.CURRENCY_RATE_MISSING,
        parameters={"currency": currency, "baseCurrency": own},
        field="$.currencyRate",
    )
    return Refused(failure=failure)


def _sales_person(job: Job) -> Flow:
    """The integration's sales person as the books write it, or a verdict (contract A11.9)."""
    number = job.integration.sales_person
    found = yield from sales_person(number, job.now)
    if found is None:
        parameters = {"salesPerson": number}
        return Hold(failure=Failure(code=FailureCode.SALES_PERSON_UNKNOWN, parameters=parameters))
    return found


def _project(job: Job, invoice: Invoice) -> Flow:
    """The project's number in the books, empty for none, or a verdict.

    With projects switched off it is named only if the books have it (interface section 2).
    """
    if not invoice.project_number:
        return ""
    if job.project is not None:
        return job.project.number
    if job.integration.carries(DataType.PROJECTS):
        return invoice.project_number
    record = yield from known_project(invoice.project_number, job.now)
    if record is None:
        return ""
    return invoice.project_number if isinstance(record, wire.ProjectRecord) else record
