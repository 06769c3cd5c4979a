"""DK+ behind the connectors' port: which flow answers which question. Stateless."""

from connectors.dkplus import bookings, customers, products, projects, responses, wire
from connectors.dkplus.customers import Located, deliver_customer, locate
from connectors.dkplus.drafting import invoice_content
from connectors.dkplus.invoices import deliver_invoice
from connectors.dkplus.mapping import customer_content, project_content
from connectors.dkplus.projects import deliver_project, read_project
from connectors.dkplus.reference_data import read_company
from connectors.integrations import Integration
from connectors.port import (
    Absent,
    Flow,
    Found,
    Identity,
    Intent,
    Job,
    Refused,
    Retry,
    Settled,
)
from schemas.events import Customer, Entity, EntityType, Invoice, Project
from schemas.failures import Reference


class DkPlus:
    """The connector of DK+ (contract dkplus). Implements `connectors.port.Connector`."""

    def content(self, event: Entity, integration: Integration) -> bytes:
        """What would be written of an event, as canonical JSON."""
        if isinstance(event, Customer):
            return customer_content(event)
        if isinstance(event, Project):
            return project_content(event)
        return invoice_content(event, integration)

    def deliver(self, job: Job) -> Flow:
        """Bring the books to the job's state. Returns a `Verdict`."""
        if isinstance(job.event, Customer):
            return deliver_customer(job, job.event)
        if isinstance(job.event, Project):
            return deliver_project(job, job.event)
        return deliver_invoice(job, job.event)

    def resolve(self, job: Job, intent: Intent) -> Flow:
        """Look for an uncertain write by its natural key. Returns a `Resolution`.

        An update of a customer is answered `Absent` without a call: sending it again does no harm.
        """
        return responses.look_up(_resolved(job, intent))

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:  # noqa: ARG002 - the port's
        """Ask whether a customer, project or invoice is in the books. Returns a `Finding`."""
        return responses.look_up(_found(entity_type, number))

    def identify(self, integration: Integration) -> Flow:
        """Ask whose books these are. Returns an `Identification`.

        The base URL, the dk installation, and its company by number and kennitala; names are left
        out, since they change. Where DK+ says none of these the integration stands for itself.
        """
        company = yield from responses.question(read_company(None))
        if isinstance(company, Refused):
            return Retry(failure=company.failure)
        if not isinstance(company, wire.CompanyRecord):
            return company
        return Identity(books=_books(company, integration))


def _books(company: wire.CompanyRecord, integration: Integration) -> str:
    facts = company.information
    marks = (
        (facts.owner, facts.company.number, facts.company.ss_number) if facts is not None else ()
    )
    said = [wire.text_of(mark) for mark in marks]
    whose = "/".join(said) if any(said) else f"integration/{integration.id}"
    return f"dkplus {integration.base_url} {whose}"


def _resolved(job: Job, intent: Intent) -> Flow:
    match intent.kind:
        case bookings.BOOK if isinstance(job.event, Invoice):
            asked = bookings.asked_by(intent, job.event)
            found = yield from bookings.look_up(asked, job.now, job.itself)
            if isinstance(found, wire.InvoiceRecord):
                return bookings.applied(found, asked)
        case projects.CREATE if isinstance(job.event, Project):
            found = yield from read_project(intent.key, job.now)
            if isinstance(found, wire.ProjectRecord):
                return projects.compared(job, job.event, found)
        case customers.CREATE:
            found = yield from locate(intent.key, job.now)
            if isinstance(found, Located):
                return Settled(reference=found.reference)
        case products.CREATE:
            found = yield from products.read_product(intent.key, job.now)
            if isinstance(found, wire.ProductRecord):
                code = wire.text_of(found.item_code) or intent.key
                return Settled(reference=Reference(id=code, number=code))
        case _:
            found = None
    return Absent() if found is None else found


def _found(entity_type: EntityType, number: str) -> Flow:
    if entity_type is EntityType.CUSTOMER:
        found = yield from locate(number, None)
        if isinstance(found, Located):
            return Found(reference=found.reference, warnings=found.warnings)
    elif entity_type is EntityType.PROJECT:
        found = yield from read_project(number, None)
        if isinstance(found, wire.ProjectRecord):
            return Found(reference=projects.reference_of(found, number))
    else:
        found = yield from bookings.read_reference(number, None)
        if isinstance(found, list):
            return Found(reference=bookings.reference_of(found[0])) if found else Absent()
    return Absent() if found is None else found
