"""A small honest connector to the simulated books: what `connectors.port` asks, and no more.

It has the three classes of writes: creates with a natural key, updates that may be repeated, and
bookings; and a delivery of two writes (an invoice whose product has to be made first).
"""

import msgspec

from connectors.integrations import Integration, System
from connectors.port import (
    Absent,
    Answer,
    Applied,
    Call,
    Dropped,
    Finding,
    Flow,
    Found,
    GateClosed,
    Hold,
    Identification,
    Identity,
    Intent,
    Job,
    Manual,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Request,
    Resolution,
    Retry,
    Settled,
    Unsure,
    Verdict,
    Write,
)
from schemas.events import Customer, Entity, EntityType, Invoice, Project, type_of
from schemas.failures import Change, Failure, FailureCode, Reference, differs_from_booked
from streams.simulation.books import Order

PRODUCT = "product"
_json = msgspec.json.Encoder(order="deterministic")


class Row(msgspec.Struct, frozen=True):
    """A record as the books answer it."""

    id: str
    number: str
    content: str


_rows = msgspec.json.Decoder(list[Row])


def _reference(row: Row) -> Reference:
    return Reference(id=row.id, number=row.number)


def path_of(kind: str, number: str) -> str:
    """Where records are looked up by their number."""
    return f"/{kind}/by-number/{number}"


class SimulatedConnector:
    """Stateless, as the port has it."""

    def content(self, event: Entity, integration: Integration) -> bytes:
        """What would be written."""
        del integration
        match event:
            case Customer(name=name):
                return _json.encode(["customer", name])
            case Project(name=name, customer_number=customer):
                return _json.encode(["project", name, customer])
            case Invoice(description=text, customer_number=customer, project_number=project):
                return _json.encode(["invoice", text, customer, project])

    def deliver(self, job: Job) -> Flow:
        """Bring the books to the job's state."""
        if isinstance(job.event, Invoice):
            return (yield from _book(job, self.content(job.event, job.integration)))
        if isinstance(job.event, Project):
            closed = yield from _gate(job, job.event.customer_number)
            if closed is not None:
                return closed
        return (yield from _keep(job, self.content(job.event, job.integration)))

    def resolve(self, job: Job, intent: Intent) -> Flow:
        """Look for an uncertain write by its natural key."""
        kind = intent.kind.partition(".")[0]
        found = yield from _look(kind, intent.key)
        if not isinstance(found, list):
            return _unread(found)
        if not found:
            return Absent()
        reference = _reference(found[0])
        if kind == PRODUCT:
            return Settled(reference=reference)
        if len(found) > 1:
            return Refused(failure=_twice(intent.key, len(found)))
        if found[0].content == self.content(job.event, job.integration).decode():
            return Applied(reference=reference)
        if intent.booking:
            return Refused(failure=differs_from_booked(job.event.number, reference))
        return Settled(reference=reference)

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:
        """Ask whether a record is in the books."""
        del integration
        found = yield from _look(entity_type.value, number)
        if not isinstance(found, list):
            return _unread(found)
        return Found(reference=_reference(found[0])) if found else Absent()

    def identify(self, integration: Integration) -> Flow:
        """Ask whose books these are."""
        del integration
        reply = yield Call(Request(method="GET", path="/identity"))
        if isinstance(reply, Answer) and reply.ok:
            return Identity(books=reply.body.decode())
        return _unread(reply)


def _keep(job: Job, content: bytes) -> Flow:
    """A customer or a project."""
    kind, number = type_of(job.event).value, job.event.number
    known = job.itself
    if known is None:
        found = yield from _look(kind, number)
        if not isinstance(found, list):
            return _unread(found)
        if len(found) > 1:
            return Refused(failure=_twice(number, len(found)))
        known = _reference(found[0]) if found else None
    if known is not None and kind == "project" and job.integration.system is System.DKPLUS:
        return Manual(changes=(Change(field="name"),), reference=known)
    if known is not None:
        update = _order(job, content, "update", known.id)
        verdict, status = yield from _write(job, update, known)
        if status != 404:  # noqa: PLR2004 - there is no such record any more
            return verdict
        found = yield from _look(kind, number)
        if not isinstance(found, list):
            return _unread(found)
        if found:
            return Retry(failure=_failure(FailureCode.CONNECTION_FAILED, reason="moved"))
    verdict, _ = yield from _write(job, _order(job, content, "create"), None)
    return verdict


def _book(job: Job, content: bytes) -> Flow:
    """An invoice: once."""
    assert isinstance(job.event, Invoice)  # noqa: S101 - who calls knows
    number = job.event.number
    closed = yield from _gate(job, job.event.customer_number)
    if closed is not None:
        return closed
    if job.look_up_first:
        found = yield from _look("invoice", number)
        if not isinstance(found, list):
            return _unread(found)
        if found:
            return _as_booked(job, found, content)
    product = next((line.product_number for line in job.event.lines), None)
    if product is not None:
        made = yield from _have_product(job, product)
        if made is not None:
            return made
    verdict, _ = yield from _write(job, _order(job, content, "book"), None)
    return verdict


def _have_product(job: Job, product: str) -> Flow:
    found = yield from _look(PRODUCT, product)
    if not isinstance(found, list):
        return _unread(found)
    if found:
        return None
    order = Order(
        action="create", kind=PRODUCT, number=product, delivery=job.delivery_id, content="-"
    )
    verdict, _ = yield from _write(job, order, None)
    return None if isinstance(verdict, Applied) else verdict


def _gate(job: Job, customer: str) -> Flow:
    """The customer is there, or the gate is closed after all."""
    closed = GateClosed(parent_type=EntityType.CUSTOMER, parent_number=customer)
    if job.customer is None:
        return closed
    reply = yield Call(Request(method="GET", path=f"/customer/by-id/{job.customer.id}"))
    if isinstance(reply, Answer) and reply.status == 404:  # noqa: PLR2004 - not there any more
        return closed
    return None if isinstance(reply, Answer) and reply.ok else _unread(reply)


def _order(job: Job, content: bytes, action: str, entry: str | None = None) -> Order:
    event = job.event
    return Order(
        action=action,
        kind=type_of(event).value,
        number=event.number,
        delivery=job.delivery_id,
        content=content.decode(),
        id=entry,
        customer=None if isinstance(event, Customer) else event.customer_number,
        project=event.project_number if isinstance(event, Invoice) else None,
    )


def _write(job: Job, order: Order, known: Reference | None) -> Flow:
    """One write, and what its answer means. Returns the verdict and the status, None without."""
    intent = Intent(
        kind=f"{order.kind}.{order.action}",
        key=order.number,
        repeatable=order.action == "update",
        booking=order.action == "book",
    )
    request = Request(method="POST", path=f"/{order.kind}", body=_json.encode(order))
    reply = yield Write(request, intent)
    doubt = Unsure(
        failure=_failure(FailureCode.WRITE_UNCERTAIN, number=order.number), intent=intent
    )
    if isinstance(reply, NoAnswer):
        if reply.kind is NoAnswerKind.DROPPED:
            return Dropped(), None
        return (doubt if reply.sent else _unread(reply)), None
    if reply.ok:
        return Applied(reference=known or _reference(_rows.decode(reply.body)[0])), reply.status
    if reply.status >= 500:  # noqa: PLR2004 - it may have been done
        return doubt, reply.status
    if reply.status in {401, 429}:
        return _unread(reply), reply.status
    if order.action != "update":
        # Any 4xx to a create is looked up first (design section 6).
        found = yield from _look(order.kind, order.number)
        if not isinstance(found, list):
            return doubt, None
        if found:
            return _as_booked(job, found, order.content.encode()), reply.status
    refused = _failure(FailureCode.ACCOUNT_UNKNOWN, account="3000")
    return Refused(failure=refused), reply.status


def _as_booked(job: Job, found: list[Row], content: bytes) -> Applied | Refused:
    if len(found) > 1:
        return Refused(failure=_twice(job.event.number, len(found)))
    reference = _reference(found[0])
    if found[0].content == content.decode():
        return Applied(reference=reference)
    return Refused(failure=differs_from_booked(job.event.number, reference))


def _look(kind: str, number: str) -> Flow:
    """The records of a number, or why they could not be read."""
    reply = yield Call(Request(method="GET", path=path_of(kind, number)))
    if isinstance(reply, Answer) and reply.ok:
        return _rows.decode(reply.body)
    return reply


def _unread(reply: Answer | NoAnswer) -> Retry | Hold:
    if isinstance(reply, NoAnswer):
        return Retry(failure=_failure(FailureCode.CONNECTION_FAILED, reason=reply.kind.value))
    if reply.status == 401:  # noqa: PLR2004 - our credentials
        return Hold(failure=_failure(FailureCode.CREDENTIALS_REFUSED, answer="401"))
    if reply.status == 429:  # noqa: PLR2004 - too many requests
        pause = float(reply.headers.get("retry-after", "1"))
        return Retry(failure=_failure(FailureCode.TOO_MANY_REQUESTS), retry_after=pause)
    return Retry(failure=_failure(FailureCode.SYSTEM_UNAVAILABLE, status=str(reply.status)))


def _failure(code: FailureCode, **parameters: str) -> Failure:
    return Failure(code=code, parameters=parameters)


def _twice(number: str, hits: int) -> Failure:
    return _failure(FailureCode.FOUND_TWICE, number=number, hits=str(hits))


Meanings = Verdict | Resolution | Finding | Identification
