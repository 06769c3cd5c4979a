"""Customers and projects: their numbers, states and what comes into being with them.

Contract sparebank1-regnskap 2, 3, 12.7, 12.8.
"""

from typing import Any

from connectors.sparebank1.simulator.answers import Refusal, no_such_key
from connectors.sparebank1.simulator.books import Books, Row
from connectors.sparebank1.simulator.model import (
    COMPLETED,
    CUSTOMER_ACTIVE,
    CUSTOMER_DELETED,
    CUSTOMER_INACTIVE,
    DISCARDED,
    ENTITIES,
    IN_PROGRESS,
    OFFER,
    REGISTERED,
)
from connectors.sparebank1.simulator.plan import RECEIVABLES, account
from connectors.sparebank1.simulator.writing import Writer

CUSTOMER_ACTIONS = {
    "activate": CUSTOMER_ACTIVE,
    "deactivate": CUSTOMER_INACTIVE,
    "block": CUSTOMER_DELETED,
}
# Section 12.8: from which states each transition may start, and where it ends.
PROJECT_ACTIONS: dict[str, tuple[frozenset[int], int]] = {
    "InitiateProject": (frozenset({REGISTERED}), OFFER),
    "StartProject": (frozenset({REGISTERED, OFFER}), IN_PROGRESS),
    "CompleteProject": (frozenset({IN_PROGRESS}), COMPLETED),
    "DiscardProject": (frozenset({REGISTERED, OFFER, IN_PROGRESS}), DISCARDED),
    "ReactivateProject": (frozenset({COMPLETED, DISCARDED}), IN_PROGRESS),
}
_PROJECT_STATES = frozenset({REGISTERED, OFFER, IN_PROGRESS, COMPLETED, DISCARDED})


def series(books: Books, entity_type: str) -> Row:
    """The number series of customers, projects or suppliers."""
    kinds = {r["ID"] for r in books.table("NumberSeriesType").where("EntityType", entity_type)}
    rows = books.table("NumberSeries").rows.values()
    return next(row for row in rows if row["NumberSeriesTypeID"] in kinds)


# --- customers -------------------------------------------------------------------------------


def create_customer(writer: Writer, body: Row, made_by: str = "api") -> Row:
    """A customer, its Info, and its sub-account of 1500 (sections 2.3, 2.4, 10)."""
    books = writer.books
    number = body.get("CustomerNumber")
    if not number:
        writer.note("customer-number-missing", str(_name(body)))
        number = _next_free(books)
    _check_customer_number(books, number, None)
    if not isinstance(body.get("Info"), dict):
        raise Refusal("Info må fylles ut", "Customer", "Info")
    extra = {"CustomerNumber": number, "StatusCode": CUSTOMER_ACTIVE, "_made_by": made_by}
    row = writer.create(ENTITIES["Customer"], body, extra, nested=False)
    numbers = series(books, "Customer")
    if numbers["NextNumber"] <= number:
        books.change("NumberSeries", numbers, {"NextNumber": number + 1})
    main = account(books, RECEIVABLES)
    values = {
        "AccountNumber": number,
        "AccountName": _name(body),
        "CustomerID": row["ID"],
        "AccountID": main["ID"] if main else None,
        "UsePostPost": True,
        "Active": True,
        "Visible": True,
        "_made_at": writer.now.timestamp() + writer.switches.account_after_seconds,
    }
    books.make("Account", values, writer.now)
    return row


def _name(body: Row) -> Any:
    info = body.get("Info")
    return info.get("Name") if isinstance(info, dict) else None


def _next_free(books: Books) -> int:
    number: int = series(books, "Customer")["NextNumber"]
    while account(books, number) is not None:
        number += 1
    return number


def _check_customer_number(books: Books, number: object, own_id: int | None) -> None:
    numbers = series(books, "Customer")
    if not isinstance(number, int) or isinstance(number, bool):
        raise Refusal("Kundenummer må være et tall", "Customer", "CustomerNumber")
    if not numbers["FromNumber"] <= number <= numbers["ToNumber"]:
        raise Refusal(
            f"Kundenummer {number} er utenfor nummerserien "
            f"{numbers['FromNumber']}-{numbers['ToNumber']}",
            "Customer",
            "CustomerNumber",
        )
    taken = books.table("Customer").where("CustomerNumber", number)
    if any(row["ID"] != own_id for row in taken) or (own_id is None and account(books, number)):
        raise Refusal(f"Kundenummer {number} er allerede i bruk", "Customer", "CustomerNumber")


def update_customer(writer: Writer, row: Row, body: Row) -> Row:
    """A PUT of a customer; its sub-account follows number and name."""
    books, before = writer.books, row["CustomerNumber"]
    if "CustomerNumber" in body and body["CustomerNumber"] != before:
        _check_customer_number(books, body["CustomerNumber"], row["ID"])
    if not writer.switches.customer_status_by_put or body.get("StatusCode") is None:
        body = {**body, "StatusCode": row["StatusCode"]}
    row = writer.update(ENTITIES["Customer"], row, body)
    info = books.row("BusinessRelation", row["BusinessRelationID"])
    for sub in books.table("Account").where("CustomerID", row["ID"]):
        values = {"AccountNumber": row["CustomerNumber"]}
        values["AccountName"] = info["Name"] if info else sub["AccountName"]
        books.change("Account", sub, values)
    return row


# --- projects --------------------------------------------------------------------------------


def create_project(writer: Writer, body: Row, made_by: str = "api") -> Row:
    """A project. A StatusCode counts only where the switch says so (section 12.8)."""
    books = writer.books
    if body.get("ProjectNumber") is None:
        numbers = series(books, "Project")
        body = {**body, "ProjectNumber": str(numbers["NextNumber"])}
        books.change("NumberSeries", numbers, {"NextNumber": numbers["NextNumber"] + 1})
    twins = _check_project(writer, body["ProjectNumber"], None)
    state = body.get("StatusCode") if writer.switches.project_status_by_put else None
    extra = {"StatusCode": _checked_state(state or REGISTERED), "_made_by": made_by}
    row = writer.create(ENTITIES["Project"], body, extra, nested=False)
    if made_by == "api" and any(twin.get("_made_by") == "api" for twin in twins):
        writer.note("project-doubled", str(row["ProjectNumber"]))
    return row


def update_project(writer: Writer, row: Row, body: Row) -> Row:
    """A PUT of a project."""
    if "ProjectNumber" in body and body["ProjectNumber"] != row["ProjectNumber"]:
        _check_project(writer, body["ProjectNumber"], row["ID"])
    state = body.get("StatusCode") if writer.switches.project_status_by_put else None
    body = {**body, "StatusCode": _checked_state(state or row["StatusCode"])}
    return writer.update(ENTITIES["Project"], row, body)


def move_project(writer: Writer, row: Row, action: str) -> Row:
    """A transition by its action; an illegal one is refused (section 3)."""
    allowed, end = PROJECT_ACTIONS[action]
    if row["StatusCode"] not in allowed:
        raise Refusal(f"{action} er ikke lov fra {row['StatusCode']}", "Project", "StatusCode")
    return writer.books.change("Project", row, {"StatusCode": end}, writer.now)


def _checked_state(state: object) -> object:
    if state not in _PROJECT_STATES:
        raise Refusal(f"Ukjent status {state!r}", "Project", "StatusCode")
    return state


def _check_project(writer: Writer, number: object, own_id: int | None) -> list[Row]:
    if not isinstance(number, str):
        raise Refusal("Error converting value (ProjectNumber)", "Project", "ProjectNumber")
    if writer.switches.project_number_numeric and not (number.isascii() and number.isdigit()):
        raise Refusal("Prosjektnummer må være numerisk", "Project", "ProjectNumber")
    found = writer.books.table("Project").where("ProjectNumber", number)
    twins = [row for row in found if row["ID"] != own_id and not row["Deleted"]]
    if twins and writer.switches.project_number_unique:
        raise Refusal(f"Prosjektnummer {number} er i bruk", "Project", "ProjectNumber")
    return twins


def row_or_refusal(books: Books, name: str, row_id: object) -> Row:
    """The row that an action names; a 500 where it does not exist."""
    row = books.row(name, row_id)
    if row is None:
        raise no_such_key(name, "ID", row_id)
    return row
