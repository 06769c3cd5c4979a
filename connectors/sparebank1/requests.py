"""Every request that is ever sent to SpareBank 1 Regnskap. Pure."""

from typing import Final

from connectors.port import Request
from connectors.sparebank1.wire import Row, encode

CUSTOMERS: Final = "/api/biz/customers"
PROJECTS: Final = "/api/biz/projects"
ACCOUNTS: Final = "/api/biz/accounts"
VAT_TYPES: Final = "/api/biz/vattypes"
CURRENCY_CODES: Final = "/api/biz/currencycodes"
NUMBER_SERIES: Final = "/api/biz/number-series"
JOURNAL_ENTRIES: Final = "/api/biz/journalentries"
JOURNAL_ENTRY_LINES: Final = "/api/biz/journalentrylines"
STATISTICS: Final = "/api/statistics"

PAGE_ROWS: Final = 50
"""Rows asked for at a time (contract sparebank1-regnskap 12.1)."""

CUSTOMER_EXPAND: Final = "Info,Info.DefaultEmail,Info.DefaultPhone,Info.InvoiceAddress,Info.Phones"
"""All that a customer's update writes (contract sparebank1-regnskap 12.4)."""

_LINE_FACTS: Final = (
    "ID",
    "JournalEntryID",
    "JournalEntryNumber",
    "InvoiceNumber",
    "AccountID",
    "SubAccountID",
    "JournalEntryTypeID",
    "Amount",
    "StatusCode",
)


def quoted(value: str) -> str:
    """A text as a filter has it: in single quotes, those inside doubled."""
    return "'" + value.replace("'", "''") + "'"


def listed(path: str, *, where: str = "", expand: str = "", skip: int = 0) -> Request:
    """One page of a list (contract sparebank1-regnskap 6.1). Parameters carry no `$`."""
    query = [("filter", where)] if where else []
    if expand:
        query.append(("expand", expand))
    query += [("top", str(PAGE_ROWS)), ("skip", str(skip)), ("orderby", "ID")]
    return Request(method="GET", path=path, query=tuple(query))


def one(path: str, row_id: int, expand: str = "") -> Request:
    """One record by its internal id."""
    query = (("expand", expand),) if expand else ()
    return Request(method="GET", path=f"{path}/{row_id}", query=query)


def created(path: str, body: Row) -> Request:
    """A new record (contract sparebank1-regnskap 2.1, 3)."""
    return Request(method="POST", path=path, body=encode(body))


def changed(path: str, row_id: int, body: Row) -> Request:
    """A record as it shall be, whole (contract sparebank1-regnskap 2.6)."""
    return Request(method="PUT", path=f"{path}/{row_id}", body=encode(body))


def project_moved(project_id: int, action: str) -> Request:
    """A transition of a project's state: no body (contract sparebank1-regnskap 3)."""
    return Request(method="POST", path=f"{PROJECTS}/{project_id}", query=(("action", action),))


def booked(entry: Row) -> Request:
    """Book one voucher (contract sparebank1-regnskap 4.2)."""
    return Request(
        method="POST",
        path=JOURNAL_ENTRIES,
        query=(("action", "book-journal-entries"),),
        body=encode([entry]),
    )


def company_settings() -> Request:
    """Lock dates, base currency, organisation number (contract sparebank1-regnskap 5)."""
    return Request(method="GET", path="/api/biz/companysettings/1")


def companies() -> Request:
    """The companies our client reaches (contract sparebank1-regnskap 1.3): no company key."""
    return Request(method="GET", path="/api/init/companies", company_scoped=False)


def line_statistics(where: str, *, skip: int = 0) -> Request:
    """Journal lines by the third look-up of contract sparebank1-regnskap 4.5."""
    return Request(
        method="GET",
        path=STATISTICS,
        query=(
            ("model", "JournalEntryLine"),
            ("select", ",".join(f"{name} as {name}" for name in _LINE_FACTS)),
            ("filter", where),
            ("expand", "SubAccount"),
            ("orderby", "ID"),
            ("top", str(PAGE_ROWS)),
            ("skip", str(skip)),
            ("wrap", "false"),
        ),
    )
