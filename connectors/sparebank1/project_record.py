"""A project as a record of the books, and the ways from one state to another. Pure."""

from collections import deque
from copy import deepcopy
from datetime import date
from typing import Final

from connectors.sparebank1.guids import Guids
from connectors.sparebank1.mapping import ProjectContent, fits_int32
from connectors.sparebank1.wire import Row, day, integer, text
from schemas.events import ProjectState

STATUS: Final = {
    ProjectState.REGISTERED: 42201,
    ProjectState.OFFER: 42202,
    ProjectState.IN_PROGRESS: 42203,
    ProjectState.COMPLETED: 42204,
    ProjectState.DISCARDED: 42205,
}
STATE: Final = {status: state for state, status in STATUS.items()}
# Contract sparebank1-regnskap 3.

_MOVES: Final = {
    ProjectState.REGISTERED: {
        ProjectState.OFFER: "InitiateProject",
        ProjectState.IN_PROGRESS: "StartProject",
        ProjectState.DISCARDED: "DiscardProject",
    },
    ProjectState.OFFER: {
        ProjectState.IN_PROGRESS: "StartProject",
        ProjectState.DISCARDED: "DiscardProject",
    },
    ProjectState.IN_PROGRESS: {
        ProjectState.COMPLETED: "CompleteProject",
        ProjectState.DISCARDED: "DiscardProject",
    },
    ProjectState.COMPLETED: {ProjectState.IN_PROGRESS: "ReactivateProject"},
    ProjectState.DISCARDED: {ProjectState.IN_PROGRESS: "ReactivateProject"},
}
# Contract sparebank1-regnskap 12.8.


def way(start: ProjectState, goal: ProjectState) -> tuple[str, ...] | None:
    """The fewest actions from one state to another; None where there is no way."""
    ways: dict[ProjectState, tuple[str, ...]] = {start: ()}
    pending = deque([start])
    while pending:
        here = pending.popleft()
        for there, action in _MOVES[here].items():
            if there not in ways:
                ways[there] = (*ways[here], action)
                pending.append(there)
    return ways.get(goal)


def new_project(content: ProjectContent, customer_id: int, guids: Guids) -> Row:
    """The body that creates a project (contract sparebank1-regnskap 3)."""
    body: Row = {
        "_createguid": guids.at("Project"),
        "Name": content.name,
        "ProjectNumber": content.number,
        "ProjectCustomerID": customer_id,
        "StatusCode": STATUS[content.state],
    }
    if fits_int32(content.number):
        body["ProjectNumberNumeric"] = int(content.number)
    if content.start_date is not None:
        body["StartDate"] = content.start_date.isoformat()
    if content.end_date is not None:
        body["EndDate"] = content.end_date.isoformat()
    return body


def changed_project(
    read: Row, content: ProjectContent, applied: ProjectContent | None, customer_id: int
) -> Row:
    """What was read, whole, with Moment's fields as they shall be; equal where they already are.

    A date that is empty now is cleared only where `applied` had one. `read` is not changed.
    """
    row = deepcopy(read)
    if text(row, "Name") != content.name:
        row["Name"] = content.name
    if fits_int32(content.number) and integer(row, "ProjectNumberNumeric") != int(content.number):
        row["ProjectNumberNumeric"] = int(content.number)
    if integer(row, "ProjectCustomerID") != customer_id:
        row["ProjectCustomerID"] = customer_id
    if integer(row, "StatusCode") != STATUS[content.state]:
        row["StatusCode"] = STATUS[content.state]
    _put_day(row, "StartDate", content.start_date, applied.start_date if applied else None)
    _put_day(row, "EndDate", content.end_date, applied.end_date if applied else None)
    return row


def _put_day(row: Row, name: str, wanted: date | None, applied: date | None) -> None:
    if wanted is not None:
        if day(row, name) != wanted:
            row[name] = wanted.isoformat()
    elif applied is not None and row.get(name) is not None:
        row[name] = None
