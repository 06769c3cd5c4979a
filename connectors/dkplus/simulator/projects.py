"""Projects in dk (contract dkplus A3). Pure. There is no way to change one over dkPlus."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.dkplus.simulator import members, paging
from connectors.dkplus.simulator.books import Books, Record
from connectors.dkplus.simulator.customers import duplicate, fitted
from connectors.dkplus.simulator.replies import NO_CODE, Reply, invalid, missing, refused
from connectors.dkplus.simulator.switches import Unknown

FILTERS: paging.Filters = {
    "customer": ("CustomerToBill", "equal"),
    "group": ("Group", "equal"),
    "dim1": ("Dim1", "equal"),
    "dim2": ("Dim2", "equal"),
    "dim3": ("Dim3", "equal"),
    "type": ("JobType", "equal"),
    "status": ("JobStatus", "equal"),
    **paging.MODIFIED,
}


def create_project(books: Books, body: Mapping[str, Any], now: datetime) -> Reply:
    """POST /project: 200 with the record, or why not."""
    known, wrong = _read(body)
    if wrong:
        return invalid(wrong)
    if not known.get("Number", "").strip():
        return missing("value.Number")
    key = fitted(books, known["Number"].strip(), books.switches.limits.project_number, "Number")
    if isinstance(key, Reply):
        return key
    if key in books.projects:
        return duplicate(books.switches.duplicate_project, "Project")
    if known.get("CustomerToBill", "") not in ("", *books.customers):
        if books.switches.unknown_codes is Unknown.REFUSE:
            return refused(NO_CODE.format(what="CustomerToBill"))
        if books.switches.unknown_codes is Unknown.DROP:
            known.pop("CustomerToBill")
    record = {**_empty_project(books, now), **known, "Number": key}
    record["CustomerNameToBill"] = books.customers.get(record["CustomerToBill"], {}).get("Name", "")
    record["Modified"] = books.clock(now)
    books.put("project", key, record)
    return Reply(body=record)


def _read(body: Mapping[str, Any]) -> tuple[Record, members.ModelState]:
    known, wrong = members.read_body(body, members.PROJECT, "value")
    for name, names in members.PROJECT_ENUMS.items():
        if name in known:
            number = members.enum_number(names, known[name])
            if number is None:
                wrong[f"value.{name}"] = [f"The value is not valid for {name}."]
            known[name] = number
    return known, wrong


def _empty_project(books: Books, now: datetime) -> Record:
    never = books.switches.empty_date
    return {
        **dict.fromkeys(("Name", "CustomerToBill", "CustomerNameToBill", "Group"), ""),
        **dict.fromkeys(("MasterJobNumber", "Owner", "Supervisor", "Worker"), ""),
        **dict.fromkeys(("Dim1", "Dim2", "Dim3", "LedgerCode"), ""),
        **dict.fromkeys(members.PROJECT_ENUMS, 0),
        **dict.fromkeys(("EstimatedBeginingDate", "EstimatedFinishDate"), never),
        **dict.fromkeys(("ActualBeginingDate", "ActualFinishDate"), never),
        "FoundingDate": books.clock(now)[:10] + "T00:00:00Z",
        "JobDiscountPercent": Decimal(0),
        "QuotationAmount": Decimal(0),
        "SkipTaxOnInvoice": False,
        "LinkedPhases": [],
        "LinkedTasks": [],
    }


def read_project(books: Books, number: str) -> Reply:
    """GET /project/{number}."""
    record = books.projects.get(number)
    return paging.not_found(books) if record is None else Reply(body=record)


def page_projects(
    books: Books, params: Mapping[str, str], query: Mapping[str, str], url: str
) -> Reply:
    """GET /project/page/{page}/{count} with its filters."""
    kept = paging.filtered(books.projects.values(), query, FILTERS)
    return kept if isinstance(kept, Reply) else paging.paged(kept, params, query, url)
