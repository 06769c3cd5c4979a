"""The connector for SpareBank 1 Regnskap, and every white label of its platform."""

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
from connectors.sparebank1 import reference_data
from connectors.sparebank1.customers import UPDATE, deliver_customer, find_customer
from connectors.sparebank1.exchange import Books
from connectors.sparebank1.invoices import applied, deliver_invoice, kept_warnings
from connectors.sparebank1.lookups import Sought, find_booked, look_up
from connectors.sparebank1.mapping import content_of, is_number
from connectors.sparebank1.projects import deliver_project, find_project
from connectors.sparebank1.reference_data import Settings
from connectors.sparebank1.responses import Stop, guid_refusal, unlearnt
from connectors.sparebank1.vouchers import BOOK
from connectors.sparebank1.wire import Row, integer
from schemas.events import Customer, Entity, EntityType, Project
from schemas.failures import Reference


class SpareBank1:
    """Implements `connectors.port.Connector`. Stateless, without I/O; no remote failure raises."""

    def content(self, event: Entity, integration: Integration) -> bytes:
        """Canonical JSON of the mapped fields, with the version of the mapping.

        Settings of the integration are not in it: they change how, not what, is transferred.
        """
        del integration
        return content_of(event)

    def deliver(self, job: Job) -> Flow:
        """Bring the books to the job's state. Returns a `Verdict`."""
        if isinstance(job.event, Customer):
            return (yield from deliver_customer(job, job.event))
        if isinstance(job.event, Project):
            return (yield from deliver_project(job, job.event))
        return (yield from deliver_invoice(job, job.event))

    def resolve(self, job: Job, intent: Intent) -> Flow:
        """Look for an uncertain write by its natural key. Returns a `Resolution`.

        A booking that is found is applied. A customer or project that is found is `Settled`:
        whether it has all that was asked, the delivery sees when it goes on. Where a guid was
        refused nothing proves absence: what is not found is asked for again (contract 12.5).
        """
        books = Books(integration=job.integration, now=job.now)
        if intent.kind == BOOK:
            booked = yield from look_up(books, Sought.of(intent))
            if isinstance(booked, Reference):
                warnings = kept_warnings(intent.detail.get("warnings", ""))
                return applied(booked, warnings, intent.detail.get("proposed"))
            return (guid_refusal(intent) or Absent()) if booked is None else unlearnt(booked)
        find = find_customer if intent.kind.startswith("customer.") else find_project
        row = yield from find(books, intent.key)
        unexplained = guid_refusal(intent)
        # That a record is there says nothing of an update of it.
        if unexplained is not None and (row is None or intent.kind == UPDATE):
            return unexplained
        if isinstance(row, dict):
            return Settled(reference=_reference(row, intent.key))
        return Absent() if row is None else unlearnt(row)

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:
        """Ask whether a customer, project or invoice is in the books. Returns a `Finding`."""
        books = Books(integration=integration)
        found: Row | Reference | Stop | None
        if entity_type is EntityType.CUSTOMER:
            # Another number than a whole one cannot be there (contract sparebank1-regnskap 2.2).
            found = (yield from find_customer(books, number)) if is_number(number) else None
        elif entity_type is EntityType.PROJECT:
            found = yield from find_project(books, number)
        else:
            found = yield from find_booked(books, number)
        if found is None:
            return Absent()
        if isinstance(found, Stop):
            return unlearnt(found)
        return Found(reference=found if isinstance(found, Reference) else _reference(found, number))

    def identify(self, integration: Integration) -> Flow:
        """Base URL, company key and organisation number (design section 6). `Identification`."""
        settings = yield from reference_data.fetch_settings(Books(integration=integration))
        if not isinstance(settings, Settings):
            told = unlearnt(settings)
            return Retry(failure=told.failure) if isinstance(told, Refused) else told
        parts = (
            integration.base_url.rstrip("/").lower(),
            integration.company_key.lower(),
            settings.organisation_number,
        )
        return Identity(books="sparebank1 " + " ".join(parts))


def _reference(row: Row, number: str) -> Reference:
    return Reference(id=str(integer(row, "ID")), number=number)
