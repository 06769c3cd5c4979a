"""The books of a company for people and tests: printed numbers in place of internal ids."""

from collections.abc import Mapping
from typing import Any

from connectors.sparebank1.simulator.api import Simulator
from connectors.sparebank1.simulator.booking import is_credited, lines_of
from connectors.sparebank1.simulator.books import Books, Row
from connectors.sparebank1.simulator.model import ENTITIES
from connectors.sparebank1.simulator.switches import Switches
from connectors.sparebank1.simulator.views import View

_INFO = "Info.DefaultEmail,Info.DefaultPhone,Info.InvoiceAddress,Info.ShippingAddress,Info.Phones"


def of_books(simulator: Simulator, books: Books) -> dict[str, Any]:
    """Customers, projects, vouchers with lines, violations, and requests counted by kind."""
    company = simulator.companies[books.key]
    return {
        "company": {"key": books.key, "name": company.name, "active": books.active},
        "settings": plain(books.row("CompanySettings", 1)),
        "customers": _shown(books, "Customer", f"{_INFO},Account"),
        "projects": _shown(books, "Project", "ProjectCustomer"),
        "vouchers": [voucher(books, row) for row in rows(books, "JournalEntry")],
        "violations": simulator.judge.of(books.key),
        "requests": {
            kind: count for (key, kind), count in simulator.counts.items() if key == books.key
        },
    }


def rows(books: Books, name: str) -> list[Row]:
    """All rows of an entity, by ID."""
    return [row for _, row in sorted(books.table(name).rows.items())]


def plain(value: object) -> object:
    """A row without the simulator's own members."""
    if not isinstance(value, Mapping):
        return value
    return {name: item for name, item in value.items() if not name.startswith("_")}


def _shown(books: Books, name: str, expand: str) -> list[dict[str, Any]]:
    view = View(
        books=books, switches=Switches(), horizon=float("inf"), note=lambda _kind, _text: None
    )
    tree = view.expand(ENTITIES[name], expand)
    return [
        view.show(ENTITIES[name], row, tree) | {"madeBy": row.get("_made_by")}
        for row in rows(books, name)
    ]


def voucher(books: Books, entry: Row) -> dict[str, Any]:
    """One voucher with its booked lines."""
    lines = [_line(books, line) for line in lines_of(books, entry)]
    return {
        "id": entry["ID"],
        "number": entry["JournalEntryNumber"],
        "description": entry["Description"],
        "externalReference": entry["ExternalReference"],
        "madeBy": entry.get("_made_by"),
        "credited": is_credited(books, entry),
        "invoiceNumber": next((i["invoiceNumber"] for i in lines if i["invoiceNumber"]), None),
        "customerNumber": next((i["customerNumber"] for i in lines if i["customerNumber"]), None),
        "lines": lines,
    }


def _line(books: Books, line: Row) -> dict[str, Any]:
    def printed(entity: str, field: str, name: str) -> Any:
        return (books.row(entity, line[field]) or {}).get(name)

    dimensions = books.row("Dimensions", line["DimensionsID"]) or {}
    project = books.row("Project", dimensions.get("ProjectID")) or {}
    return {
        "id": line["ID"],
        "account": printed("Account", "AccountID", "AccountNumber"),
        "customerNumber": printed("Account", "SubAccountID", "AccountNumber"),
        "amount": line["Amount"],
        "amountCurrency": line["AmountCurrency"],
        "currency": printed("CurrencyCode", "CurrencyCodeID", "Code"),
        "rate": line["CurrencyExchangeRate"],
        "vatCode": printed("VatType", "VatTypeID", "VatCode"),
        "vatLine": line["VatJournalEntryPostID"] is not None,
        "invoiceNumber": line["InvoiceNumber"],
        "paymentId": line["PaymentID"],
        "financialDate": line["FinancialDate"],
        "vatDate": line["VatDate"],
        "dueDate": line["DueDate"],
        "projectNumber": project.get("ProjectNumber"),
        "type": line["JournalEntryTypeID"],
        "status": line["StatusCode"],
        "description": line["Description"],
    }
