"""Projects in DK+: created, never changed (contract dkplus A3; contract moment, DK+)."""

from datetime import datetime
from http import HTTPStatus

from connectors.dkplus import kennitala, requests, responses, wire
from connectors.dkplus.customers import Located, locate
from connectors.dkplus.mapping import project_members
from connectors.port import Answer, Applied, Flow, GateClosed, Intent, Job, Manual, Write
from schemas.events import EntityType, Project
from schemas.failures import Change, Reference

CREATE = "project.create"


def read_project(number: str, now: datetime | None) -> Flow:
    """The project's record, None where there is none, or a `ReadFailure`."""
    record = yield from responses.read(requests.get_project(number), wire.PROJECT, now)
    if isinstance(record, wire.ProjectRecord) and not _is_number(record, number):
        # Another project, or none at all, is no answer to the question.
        said = wire.text_of(record.number).encode()
        return responses.not_understood(Answer(status=HTTPStatus.OK, body=said))
    return record


def reference_of(record: wire.ProjectRecord, number: str) -> Reference:
    """What DK+ calls a project: its number is its key."""
    own = wire.text_of(record.number) or number
    return Reference(id=own, number=own)


def deliver_project(job: Job, project: Project) -> Flow:
    """Create a project, or say what a person has to change in it. Returns a `Verdict`."""
    record = yield from read_project(project.number, job.now)
    if isinstance(record, wire.ProjectRecord):
        return compared(job, project, record)
    if record is not None:
        return record
    intent = Intent(kind=CREATE, key=project.number)
    request = requests.create_project(project_members(project, customer_number(job, project)))
    answer = yield Write(request, intent)
    failure = responses.failed_write(answer, intent, job.now)
    if failure is not None:
        return failure
    return (yield from _created(job, project, intent, answer))


def _created(job: Job, project: Project, intent: Intent, answer: Answer) -> Flow:
    """Judge the answer to a create; after any 4xx the books are asked again (contract A11.7)."""
    if answer.ok:
        record = wire.decoded(answer.body, wire.PROJECT)
        if record is None or not _is_number(record, project.number):
            return responses.uncertain(intent, answer)
        return Applied(reference=reference_of(record, project.number))
    there = yield from read_project(project.number, job.now)
    if isinstance(there, wire.ProjectRecord):
        return compared(job, project, there)
    if there is not None:
        return responses.unlearnt(there)
    customer = yield from locate(customer_number(job, project), job.now)
    if customer is None:
        return GateClosed(parent_type=EntityType.CUSTOMER, parent_number=project.customer_number)
    return responses.refused_by_system(answer) if isinstance(customer, Located) else customer


def customer_number(job: Job, project: Project) -> str:
    """The number that the project's customer has in the books."""
    return job.customer.number if job.customer is not None else project.customer_number


def compared(job: Job, project: Project, record: wire.ProjectRecord) -> Applied | Manual:
    """What is in the books against what Moment has: nothing to do, or changes by hand.

    A member that the answer leaves out says nothing and is taken as it should be.
    """
    changes: list[Change] = []
    if record.name is not wire.UNSAID and wire.text_of(record.name) != project.name.strip():
        changes.append(Change(field="name", from_=wire.text_of(record.name), to=project.name))
    if record.customer_to_bill is not wire.UNSAID:
        billed, asked = wire.text_of(record.customer_to_bill), customer_number(job, project)
        if not kennitala.same_number(billed, asked):
            changes.append(Change(field="customerNumber", from_=billed, to=asked))
    reference = reference_of(record, project.number)
    if changes:
        return Manual(changes=tuple(changes), reference=reference)
    return Applied(reference=reference)


def _is_number(record: wire.ProjectRecord, number: str) -> bool:
    return wire.text_of(record.number).casefold() == number.casefold()
