"""Projects: found before created, read before changed, moved where a write does not move them."""

from collections.abc import Generator
from functools import partial
from typing import Any, Final

from connectors.port import (
    Answer,
    Applied,
    GateClosed,
    Intent,
    Job,
    Manual,
    Refused,
    Request,
    Step,
    Verdict,
)
from connectors.sparebank1 import requests
from connectors.sparebank1.customers import Found, find_customer, the_one
from connectors.sparebank1.exchange import Books, listing, read_row, write
from connectors.sparebank1.guids import Guids
from connectors.sparebank1.mapping import ProjectContent, project_content, project_refusal
from connectors.sparebank1.project_record import STATE, STATUS, changed_project, new_project, way
from connectors.sparebank1.responses import (
    ForeignKeyFault,
    Refusal,
    Stop,
    not_understood,
    uncertain,
    unexplained,
    written,
)
from connectors.sparebank1.wire import Row, Unreadable, decode, integer, text
from schemas.events import EntityType, Project, ProjectState
from schemas.failures import Change, Reference

CREATE: Final = "project.create"
UPDATE: Final = "project.update"
MOVE: Final = "project.move"


def deliver_project(job: Job, project: Project) -> Generator[Step, Any, Verdict]:
    """Bring a project into the books as Moment has it."""
    content = project_content(project)
    refusal = project_refusal(content)
    if refusal is not None:
        return Refused(failure=refusal)
    return (yield from _Delivery(job, content).run())


class _Delivery:
    """One delivery of one project: what its steps have in common."""

    def __init__(self, job: Job, content: ProjectContent) -> None:
        self.job = job
        self.content = content
        self.applied = ProjectContent.read(job.applied)
        self.books = Books(integration=job.integration, now=job.now)
        self.guids = Guids(delivery_id=job.delivery_id, replay=job.replay)

    def run(self) -> Generator[Step, Any, Verdict]:
        customer_id = yield from self._customer_id()
        if not isinstance(customer_id, int):
            return customer_id
        read = yield from find_project(self.books, self.content.number, self.job.itself)
        if isinstance(read, Stop):
            return read
        if read is None:
            return (yield from self._create(customer_id))
        return (yield from self._change(read, customer_id))

    def _customer_id(self) -> Generator[Step, Any, int | Stop]:
        known = None if self.job.post else self.job.customer
        if known is not None and known.id.isascii() and known.id.isdigit():
            return int(known.id)
        number = self.content.customer_number
        found = yield from find_customer(self.books, number, expand="")
        if isinstance(found, Stop):
            return found
        row_id = integer(found, "ID") if found is not None else None
        return row_id if row_id is not None else self._without_customer()

    def _without_customer(self) -> GateClosed:
        return GateClosed(
            parent_type=EntityType.CUSTOMER, parent_number=self.content.customer_number
        )

    def _create(self, customer_id: int) -> Generator[Step, Any, Verdict]:
        intent = Intent(kind=CREATE, key=self.content.number)
        body = new_project(self.content, customer_id, self.guids)
        answer = yield from write(self.books, requests.created(requests.PROJECTS, body), intent)
        if isinstance(answer, Answer):
            row = written(answer)
            if not isinstance(row, dict) or not integer(row, "ID"):
                return uncertain(intent, answer)
            return (yield from self._move(row, integer(row, "ID") or 0))
        if isinstance(answer, ForeignKeyFault):
            verdict = yield from self._fault(answer, customer_id)
            if not isinstance(verdict, Refused):
                return verdict
            read = yield from find_project(self.books, self.content.number)
            return verdict if read is None else answer.unsure
        if not isinstance(answer, Refusal):
            return answer
        read = yield from find_project(self.books, self.content.number)
        if isinstance(read, dict):
            return (yield from self._change(read, customer_id))
        if read is None and not answer.names_guid:
            if self.job.itself is not None and not self.job.post:
                # The ledger knows it: it may be this that is refused, and reads may show it later.
                return uncertain(intent, answer.answer)
            return answer.verdict
        return unexplained(intent, answer, read)

    def _change(self, read: Row, customer_id: int) -> Generator[Step, Any, Verdict]:
        row_id = integer(read, "ID") or 0
        body = changed_project(read, self.content, self.applied, customer_id)
        if body == read:
            return self._applied(row_id)
        intent = Intent(
            kind=UPDATE, key=self.content.number, repeatable=True, detail={"id": str(row_id)}
        )
        request = requests.changed(requests.PROJECTS, row_id, body)
        answer = yield from write(self.books, request, intent)
        if isinstance(answer, Answer):
            row = written(answer)
            if not isinstance(row, dict):
                return uncertain(intent, answer)
            return (yield from self._move(row, row_id))
        if isinstance(answer, ForeignKeyFault):
            return (yield from self._fault(answer, customer_id))
        return answer.verdict if isinstance(answer, Refusal) else answer

    def _move(self, answered: Row, row_id: int) -> Generator[Step, Any, Verdict]:
        """Go by actions where a write with a status did not take (contract 12.8)."""
        status = integer(answered, "StatusCode")
        if status is None:
            row = yield from read_row(self.books, requests.one(requests.PROJECTS, row_id))
            if isinstance(row, Stop):
                return row
            status = integer(row, "StatusCode") if row is not None else None
        if status in (None, STATUS[self.content.state]):
            return self._applied(row_id)
        state = STATE.get(status or 0)
        actions = way(state, self.content.state) if state is not None else None
        if actions is None:
            return self._by_hand(row_id, state)
        for action in actions:
            intent = Intent(
                kind=MOVE, key=self.content.number, repeatable=True, detail={"action": action}
            )
            request = requests.project_moved(row_id, action)
            moved = yield from self._moved(request, intent)
            if isinstance(moved, Stop):
                return moved
            if not moved:
                return self._by_hand(row_id, state)
        return self._applied(row_id)

    def _moved(self, request: Request, intent: Intent) -> Generator[Step, Any, bool | Stop]:
        answer = yield from write(self.books, request, intent)
        if isinstance(answer, ForeignKeyFault):
            return not_understood(answer.answer) if self.job.post else answer.unsure
        if isinstance(answer, Refusal):
            return False
        if not isinstance(answer, Answer):
            return answer
        # Nothing is promised of the body, but a page of a proxy has moved no project.
        nothing_said = not answer.body.strip()
        read = nothing_said or not isinstance(decode(answer.body), Unreadable)
        return True if read else uncertain(intent, answer)

    def _fault(self, fault: ForeignKeyFault, customer_id: int) -> Generator[Step, Any, Verdict]:
        """A 500 that blames an id: the customer's is the only one that we sent."""
        found = yield from read_row(self.books, requests.one(requests.CUSTOMERS, customer_id))
        if found is None:
            return self._without_customer()
        learnt = not isinstance(found, Stop)
        return not_understood(fault.answer) if self.job.post and learnt else fault.unsure

    def _reference(self, row_id: int) -> Reference:
        return Reference(id=str(row_id), number=self.content.number)

    def _applied(self, row_id: int) -> Applied:
        return Applied(reference=self._reference(row_id))

    def _by_hand(self, row_id: int, state: ProjectState | None) -> Manual:
        change = Change(
            field="state", from_=state.value if state else None, to=self.content.state.value
        )
        return Manual(changes=(change,), reference=self._reference(row_id))


def find_project(
    books: Books, number: str, known: Reference | None = None
) -> Generator[Step, Any, Found]:
    """The project of that number, compared as text; None where the books have none."""
    if known is not None and known.id.isascii() and known.id.isdigit():
        row = yield from read_row(books, requests.one(requests.PROJECTS, int(known.id)))
        if isinstance(row, Stop) or (row is not None and text(row, "ProjectNumber") == number):
            return row
    found = yield from listing(
        books, partial(_page, number), lambda row: text(row, "ProjectNumber") == number
    )
    return found if isinstance(found, Stop) else the_one(number, found.rows)


def _page(number: str, skip: int) -> Request:
    where = f"ProjectNumber eq {requests.quoted(number)}"
    return requests.listed(requests.PROJECTS, where=where, skip=skip)
