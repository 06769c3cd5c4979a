"""Why DK+ refused an invoice: found out by reading, never by the text of the answer (A6, A11.7).

Messages of DK+ are not a stable key, mislead, and come in two languages.
"""

from collections.abc import Sequence
from typing import Final

from connectors.dkplus import bookings, responses, wire
from connectors.dkplus.products import CodedLine, missing_product
from connectors.dkplus.reference_data import known_project, sales_person
from connectors.dkplus.requests import get_customer
from connectors.integrations import DataType
from connectors.port import Answer, Flow, GateClosed, Hold, Job, Refused
from schemas.events import EntityType, Invoice, customer_number_of
from schemas.failures import Failure, FailureCode


class Again:
    """What was missing is known now: prepare anew and post once more."""


AGAIN: Final = Again()


def explain(job: Job, lines: Sequence[CodedLine], asked: bookings.Asked, refusal: Answer) -> Flow:
    """The verdict of a 4xx to a booking, or `AGAIN`. It proved that nothing was booked (A11.1)."""
    customer = yield from responses.read(get_customer(asked.customer), wire.CUSTOMER, job.now)
    if customer is None:
        number = customer_number_of(job.event)
        return GateClosed(parent_type=EntityType.CUSTOMER, parent_number=number)
    if not isinstance(customer, wire.CustomerRecord):
        return customer
    person = yield from sales_person(job.integration.sales_person, job.now, fresh=True)
    if person is None:
        return _person_unknown(job, refusal)
    if not isinstance(person, str):
        return person
    code = yield from missing_product(lines, job.now)
    if isinstance(code, str):
        return AGAIN
    if code is not None:
        return code
    project = yield from _project(job, asked)
    if project is not None:
        return project
    return _blocked(customer, asked, refusal) or responses.refused_by_system(refusal)


def _person_unknown(job: Job, refusal: Answer) -> Hold:
    failure = Failure(
        code=FailureCode.SALES_PERSON_UNKNOWN,
        parameters={"salesPerson": job.integration.sales_person},
        answer=responses.quoted(refusal),
    )
    return Hold(failure=failure)


def _project(job: Job, asked: bookings.Asked) -> Flow:
    """A verdict, or `AGAIN`, where the project is not in the books; None where it is no matter."""
    if not asked.project:
        return None
    record = yield from known_project(asked.project, job.now, fresh=True)
    if isinstance(record, wire.ProjectRecord):
        return None
    if record is not None:
        return record
    if isinstance(job.event, Invoice) and job.integration.carries(DataType.PROJECTS):
        number = job.event.project_number or asked.project
        return GateClosed(parent_type=EntityType.PROJECT, parent_number=number)
    return AGAIN


def _blocked(
    customer: wire.CustomerRecord, asked: bookings.Asked, refusal: Answer
) -> Refused | None:
    if not customer.blocked:
        return None
    failure = Failure(
        code=FailureCode.CUSTOMER_BLOCKED,
        parameters={"number": asked.customer},
        answer=responses.quoted(refusal),
    )
    return Refused(failure=failure)
