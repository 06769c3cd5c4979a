"""What invoices need to be in DK+ beside their customer: company, sales person, project.

Each is read through the shell's cache, under a key of its own within the integration.
"""

from datetime import datetime
from http import HTTPStatus

from connectors.dkplus import requests, responses, wire
from connectors.dkplus.projects import read_project
from connectors.port import Answer, Flow, Forget, Look

COMPANY_KEY = "company"
SALES_PERSON_KEY = "sales-person:"
PROJECT_KEY = "project:"
NO_VAT_KEY = "no-vat:"

KRONA = "ISK"
MAX_PAGES = 100  # of sales persons: ten thousand of them; a server that never ends is stopped


def read_company(now: datetime | None) -> Flow:
    """`GET /company`: its record or a `ReadFailure`; a token's company cannot be absent."""
    company = yield from responses.read(requests.get_company(), wire.COMPANY, now)
    if company is None:
        return responses.unavailable(Answer(status=HTTPStatus.NOT_FOUND), now)
    return company


def base_currency(now: datetime) -> Flow:
    """The company's own currency, ISK where DK+ does not say it; or a `ReadFailure`."""
    company = yield Look(COMPANY_KEY, lambda: responses.question(read_company(now)))
    if not isinstance(company, wire.CompanyRecord):
        return company
    said = company.general.default_currency if company.general else None
    return (said or KRONA).strip().upper()


def sales_person(number: str, now: datetime, *, fresh: bool = False) -> Flow:
    """The sales person's number as the books write it, None where there is none, or a failure."""
    key = f"{SALES_PERSON_KEY}{number}"
    if fresh:
        yield Forget(key)
    return (yield Look(key, lambda: responses.question(_find_sales_person(number, now))))


def _find_sales_person(number: str, now: datetime) -> Flow:
    similar: str | None = None
    for page in range(1, MAX_PAGES + 1):
        persons = yield from responses.read(
            requests.get_sales_persons(page), wire.SALES_PERSONS, now
        )
        if persons is None:
            break
        if not isinstance(persons, list):
            return persons
        numbers = [wire.text_of(person.number) for person in persons]
        if number in numbers:
            return number
        similar = similar or next((n for n in numbers if n.casefold() == number.casefold()), None)
        if len(persons) < requests.PAGE_SIZE:
            break
    return similar


def known_project(number: str, now: datetime, *, fresh: bool = False) -> Flow:
    """Whether the books have a project: its record, None, or a `ReadFailure`."""
    key = f"{PROJECT_KEY}{number}"
    if fresh:
        yield Forget(key)
    return (yield Look(key, lambda: responses.question(read_project(number, now))))


def is_exempt(customer_number: str, now: datetime) -> Flow:
    """True where DK+ has the customer as NoVat, None where not, or a `ReadFailure`.

    Only the yes is remembered, so an export customer costs no call an invoice.
    """

    def fetch() -> Flow:
        record = yield from responses.read(
            requests.get_customer(customer_number), wire.CUSTOMER, now
        )
        if isinstance(record, wire.CustomerRecord):
            return True if record.no_vat else None
        return record

    return (yield Look(f"{NO_VAT_KEY}{customer_number}", lambda: responses.question(fetch())))
