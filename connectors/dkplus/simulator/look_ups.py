"""Looking for invoices: by number, by reference, by page (contract dkplus A4.2). Pure.

All but the look-up by number speak from dkPlus' cache, which may lag behind dk.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from connectors.dkplus.simulator import members, paging
from connectors.dkplus.simulator.books import Books, Invoice, Record
from connectors.dkplus.simulator.replies import Reply, refused
from connectors.dkplus.simulator.switches import EmptyLookUp

_FILTERS: paging.Filters = {
    "customer": ("CNumber", "equal"),
    "project": ("Project", "equal"),
    "salesperson": ("SalePerson", "equal"),
    "createdafter": ("Created", "after"),
    "createdbefore": ("Created", "before"),
    "dueafter": ("DueDate", "after"),
    "recordid": ("RecordID", "above"),
    **paging.MODIFIED,
}
_BY_INVOICE_DATE: paging.Filters = {
    **_FILTERS,
    "createdafter": ("InvoiceDate", "after"),
    "createdbefore": ("InvoiceDate", "before"),
}


def by_number(books: Books, number: str) -> Reply:
    """GET /sales/invoice/{number}: drafts have no number and are never found."""
    invoice = books.invoice(number)
    return paging.not_found(books) if invoice is None else Reply(body=invoice.record)


def by_reference(
    books: Books,
    params: Mapping[str, str],
    query: Mapping[str, str],
    url: str,
    now: datetime,
) -> Reply:
    """GET /sales/invoice/reference/{reference}[/{page}/{count}]: an array, drafts included."""
    if query.get("type"):
        records: list[Record] = []  # ours come from no order
    else:
        hits = _referring(books, params["reference"], now)
        records = [_shown(invoice, lines=books.switches.look_up_lines) for invoice in hits]
    if not records and books.switches.empty_look_up is EmptyLookUp.NOT_FOUND:
        return paging.not_found(books)
    return paging.paged(records, params, query, url)


def _referring(books: Books, reference: str, now: datetime) -> list[Invoice]:
    if books.switches.look_up_is_loose:
        wanted = reference.lower()
        return [
            invoice
            for invoice in books.visible(now)
            if invoice.record["Reference"].lower().startswith(wanted)
        ]
    # dk may have cut the Reference: then only the cut one finds it
    return [invoice for invoice in books.kept_as(reference) if invoice.visible_from <= now]


def page(
    books: Books,
    params: Mapping[str, str],
    query: Mapping[str, str],
    url: str,
    now: datetime,
) -> Reply:
    """GET /sales/invoice/page/{page}/{count}: filters combine; Lines only with includeLines."""
    lines = query.get("includelines", "").lower() == "true"
    invoices = list(books.visible(now))
    if query.get("reference"):
        invoices = _referring(books, query["reference"], now)
    filters = _BY_INVOICE_DATE if books.switches.created_filter_means_invoice_date else _FILTERS
    kept = paging.filtered([_shown(one, lines=lines) for one in invoices], query, filters)
    return kept if isinstance(kept, Reply) else paging.paged(kept, params, query, url)


def from_date(
    books: Books, params: Mapping[str, str], query: Mapping[str, str], url: str, now: datetime
) -> Reply:
    """GET /sales/invoice/date/{date}/{page}/{count}: from that day on."""
    day = members.as_day(params["date"])
    if day is None:
        return refused(f"The value '{params['date']}' is not valid for date.")
    since = day.isoformat()
    kept = _all(books, now, lambda record: record["InvoiceDate"][:10] >= since)
    return paging.paged(kept, params, query, url)


def of_customer(books: Books, number: str, now: datetime) -> Reply:
    """GET /customer/{number}/invoice."""
    if number not in books.customers:
        return paging.not_found(books)
    return Reply(body=_all(books, now, lambda record: record["CNumber"] == number))


def of_project(books: Books, number: str, now: datetime) -> Reply:
    """GET /project/{number}/invoice."""
    if number not in books.projects:
        return paging.not_found(books)
    return Reply(body=_all(books, now, lambda record: record["Project"] == number))


def refresh(books: Books, number: str, now: datetime) -> Reply:
    """PATCH /sales/invoice/{number}/refresh: the cache reads this invoice again."""
    invoice = books.invoice(number)
    if invoice is None:
        return paging.not_found(books)
    invoice.visible_from = min(invoice.visible_from, now)
    books.put_invoice(invoice)
    return Reply(body=invoice.record)


def lagging(now: datetime, seconds: float) -> datetime:
    """The time that a cache `seconds` behind speaks of."""
    return now.astimezone(UTC) - timedelta(seconds=seconds)


def _all(books: Books, now: datetime, wanted: Callable[[Record], bool]) -> list[Record]:
    return [
        _shown(invoice, lines=False) for invoice in books.visible(now) if wanted(invoice.record)
    ]


def _shown(invoice: Invoice, *, lines: bool) -> Record:
    return invoice.record if lines else {**invoice.record, "Lines": None}
