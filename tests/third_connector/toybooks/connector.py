"""Toy Books behind the connectors' port. Stateless: it decides, and the runner does."""

from typing import Any
from urllib.parse import quote

import msgspec

from connectors.integrations import Integration
from connectors.port import (
    Absent,
    Answer,
    Applied,
    Call,
    Flow,
    Found,
    GateClosed,
    Identity,
    Intent,
    Job,
    Refused,
    Request,
    Write,
)
from schemas.events import Customer, Entity, EntityType, Invoice, Project
from schemas.failures import FailureCode, Reference, differs_from_booked
from tests.third_connector.toybooks.answers import failed_read, failed_write, told

MAPPING_VERSION = 1  # grows when the same event would be written otherwise
NOT_FOUND = 404


def members(event: Entity) -> dict[str, Any]:
    """An event as Toy Books takes it; decimals travel as strings, exactly."""
    if isinstance(event, Customer):
        return {"number": event.number, "name": event.name}
    if isinstance(event, Project):
        return {"number": event.number, "name": event.name, "customer": event.customer_number}
    return {
        "number": event.number,
        "customer": event.customer_number,
        "lines": [
            {"text": line.description or "", "amount": line.total_excl_vat} for line in event.lines
        ],
    }


class ToyBooks:
    """The connector. Implements `connectors.port.Connector`."""

    def content(self, event: Entity, integration: Integration) -> bytes:
        """What would be written of an event, as canonical JSON."""
        del integration
        whole = {"mapping": MAPPING_VERSION, **members(event)}
        return msgspec.json.encode(whole, order="deterministic")

    def deliver(self, job: Job) -> Flow:
        """Bring the books to the job's state. Returns a `Verdict`."""
        if isinstance(job.event, Invoice):
            return _book(job, job.event)
        return _put(job, "customers" if isinstance(job.event, Customer) else "projects")

    def resolve(self, job: Job, intent: Intent) -> Flow:
        """Look for an uncertain write. Returns a `Resolution`.

        A put is sent again, which does no harm: it is answered `Absent` without a call.
        """
        if intent.booking and isinstance(job.event, Invoice):
            return (yield from _found_invoice(job.event))
        return Absent()

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:
        """Ask whether a record is in the books. Returns a `Finding`."""
        reply = yield Call(_get(f"/{entity_type.value}s/{quote(number, safe='')}", integration))
        if isinstance(reply, Answer) and reply.ok:
            return Found(reference=Reference(id=number, number=number))
        if isinstance(reply, Answer) and reply.status == NOT_FOUND:
            return Absent()
        return failed_read(reply)

    def identify(self, integration: Integration) -> Flow:
        """Ask whose books these are. Returns an `Identification`."""
        reply = yield Call(_get("/me", integration))
        if isinstance(reply, Answer) and reply.ok:
            ledger = msgspec.json.decode(reply.body)["ledger"]
            return Identity(books=f"toybooks {integration.base_url} {ledger}")
        return failed_read(reply)


def _get(path: str, integration: Integration | None = None) -> Request:
    ledger = integration.options["ledger"] if integration else ""
    return Request(method="GET", path=path, query=(("ledger", ledger),) if ledger else ())


def _put(job: Job, kind: str) -> Flow:
    """Customers and projects: one write, which may be sent twice without harm."""
    number = job.event.number
    intent = Intent(kind=f"{kind}.put", key=number, repeatable=True)
    body = msgspec.json.encode(members(job.event))
    path = f"/{kind}/{quote(number, safe='')}"
    reply = yield Write(Request(method="PUT", path=path, body=body), intent)
    failure = failed_write(reply, intent)
    if failure is not None:
        return failure
    if reply.ok:
        return Applied(reference=Reference(id=number, number=number))
    return _refused(job, reply)


def _book(job: Job, invoice: Invoice) -> Flow:
    """An invoice: looked up where it may be booked already, else booked once."""
    intent = Intent(kind="invoice.book", key=invoice.number, booking=True)
    if job.look_up_first:
        found = yield from _found_invoice(invoice)
        if not isinstance(found, Absent):
            return found
    body = msgspec.json.encode(members(invoice))
    reply = yield Write(Request(method="POST", path="/invoices", body=body), intent)
    failure = failed_write(reply, intent)
    if failure is not None:
        return failure
    if reply.ok:
        return Applied(reference=_reference(reply))
    # Whatever a create is refused for, it may be there (design: any 4xx to a create looks first).
    found = yield from _found_invoice(invoice)
    return _refused(job, reply) if isinstance(found, Absent) else found


def _found_invoice(invoice: Invoice) -> Flow:
    """What is booked under the number, compared in code."""
    reply = yield Call(_get(f"/invoices/{quote(invoice.number, safe='')}"))
    if not isinstance(reply, Answer) or not (reply.ok or reply.status == NOT_FOUND):
        return failed_read(reply)
    if not reply.ok:
        return Absent()
    booked = msgspec.json.decode(reply.body)
    wanted = msgspec.json.decode(msgspec.json.encode(members(invoice)))
    if {name: booked.get(name) for name in wanted} == wanted:
        return Applied(reference=_reference(reply))
    return Refused(failure=differs_from_booked(invoice.number, _reference(reply)))


def _reference(answer: Answer) -> Reference:
    booked = msgspec.json.decode(answer.body)
    return Reference(id=booked["id"], number=booked["voucher"])


def _refused(job: Job, answer: Answer) -> Refused | GateClosed:
    """A 422 names the parent that is missing; anything else is refused."""
    missing = excerpted(answer).get("missing")
    if missing in {EntityType.CUSTOMER.value, EntityType.PROJECT.value}:
        number = getattr(job.event, f"{missing}_number", "") or ""
        return GateClosed(parent_type=EntityType(missing), parent_number=number)
    return Refused(failure=told(FailureCode.REFUSED_BY_SYSTEM, answer))


def excerpted(answer: Answer) -> dict[str, Any]:
    """The members of an answer; none where it is not an object."""
    try:
        found = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}
