"""Who writes down what a client must not do. It never changes an answer.

What counts is contract sparebank1-regnskap 12 and the rules it points to; each kind is named in
`KINDS` with its reason.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

import msgspec

from connectors.sparebank1.simulator.booking import is_credited, lines_of
from connectors.sparebank1.simulator.books import Books, Row
from connectors.sparebank1.simulator.calls import WRITES, Call
from connectors.sparebank1.simulator.plan import RECEIVABLES

VIOLATIONS_MAX = 10_000  # beyond it more of them tell nothing new and only fill memory

KINDS = {
    "double-booking": "one invoice stands twice in the books (12.2)",
    "project-doubled": "two projects of one number, made through the API",
    "unbalanced-voucher": "the lines of a voucher do not sum to zero (4.3)",
    "unbalanced-currency": "amounts in one foreign currency do not sum to zero (12.6)",
    "amount-decimals": "an amount with more than two decimals, such as a float's tail",
    "amount-differs-from-currency": "Amount and AmountCurrency differ in the base currency",
    "is-external": "IsExternal turns off the platform's checks (12.6)",
    "locked-dates-overruled": "allowJournalingRegardlessOfLockedDates (12.6)",
    "lines-not-draft-lines": "Lines instead of DraftLines (12.6)",
    "income-line-without-vat-type": "an income line names no VatTypeID (12.6)",
    "invoice-number-missing": "InvoiceNumber belongs on every line (12.3)",
    "invoice-numbers-mixed": "one voucher holds several invoice numbers",
    "payment-fields-on-other-line": "PaymentID or DueDate off the customer line (12.3)",
    "customer-line-on-ledger-account": "1500 itself instead of the customer's sub-account (4.3)",
    "credit-by-platform": "credit notes are vouchers of our own (12.3)",
    "createguid-missing": "a new nested object without _createguid (2.3)",
    "createguid-malformed": "a _createguid that is no guid",
    "member-left-out": "a PUT leaves out a member that holds a value (12.4)",
    "child-sent-twice": "one nested object in two places with different content (2.3)",
    "contact-doubled": "a second fax, or the same e-mail or phone again (12.4)",
    "customer-number-missing": "a customer made without a number: Moment is master (7)",
    "unknown-field": "a member that the entity does not have",
    "unknown-route": "a write to a path that does not exist",
    "write-outside-contract": "a write that the contract does not name, such as any DELETE",
    "simultaneous-bookings": "two bookings of one company in flight at once (8.9)",
    "dollar-parameter": "$filter and the like are ignored by the platform (6.1)",
    "unknown-parameter": "a query parameter that the platform ignores (6.1)",
    "filter-unreadable": "a filter that the platform cannot read and so ignores (6.1)",
    "filter-field-unknown": "a filter names a field that the entity does not have (6.1)",
    "filter-without-expand": "a filter reaches into what is not expanded (12.1)",
    "expand-unknown": "an expand of what the entity does not have",
    "body-unreadable": "a write whose body is not JSON of the right shape",
    "content-type": "a write whose Content-Type is not application/json (1.4)",
    "company-key-on-init": "init/companies takes no CompanyKey (1.3)",
}


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a client did and must not do. `at` is RFC 3339, UTC."""

    at: str
    company: str
    kind: str
    text: str


class Judge:
    """Keeps the violations of all companies, oldest first, at most `VIOLATIONS_MAX`."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.fresh: list[Violation] = []  # not yet in the journal file

    def note(self, now: datetime, company: str, kind: str, text: str) -> None:
        """Write down one violation. `kind` is one of `KINDS`; another is a bug."""
        if kind not in KINDS:
            raise ValueError(f"no such kind of violation: {kind}")
        if len(self.violations) >= VIOLATIONS_MAX:
            return
        violation = Violation(at=now.isoformat(), company=company, kind=kind, text=text)
        self.violations.append(violation)
        self.fresh.append(violation)

    def of(self, company: str) -> list[Violation]:
        """The violations of one company."""
        return [v for v in self.violations if v.company == company]


# Parameters of the query language, and of the actions in the contract.
_PARAMETERS = frozenset(
    word.lower()
    for word in (
        *("filter", "select", "expand", "orderby", "top", "skip", "hateoas", "action"),
        *("model", "join", "wrap", "distinct", "ID", "entityType", "year", "generateKID"),
        *("allowJournalingRegardlessOfLockedDates", "journalEntryNumber", "creditDate"),
        *("journalEntryID", "externalReference", "acceptjob"),
    )
)
_NEED_JSON = frozenset({"create", "update", "book"})


def judge_call(call: Call, note: Callable[[str, str], None]) -> None:
    """What can be seen of a request before anything is done with it."""
    if call.kind == "token":
        return
    where = f"{call.method} {call.path}"
    for name in call.query:
        if name.startswith("$"):
            note("dollar-parameter", f"{where} {name}")
        elif name.lower() not in _PARAMETERS:
            note("unknown-parameter", f"{where} {name}")
    if call.kind == "companies" and call.company:
        note("company-key-on-init", where)
    if call.method not in WRITES:
        return
    if call.kind == "unknown":
        note("unknown-route", f"{where} {call.action}".strip())
    kind = call.headers.get("content-type", "")
    if call.kind.rpartition(".")[2] in _NEED_JSON and not kind.startswith("application/json"):
        note("content-type", f"{where}: {kind or 'none'}")


def judge_voucher(books: Books, entry: Row, note: Callable[[str, str], None]) -> None:
    """What the platform let pass in a voucher that the API has just booked, and must not be."""
    name = str(entry["JournalEntryNumber"])
    drafts = books.table("JournalEntryLineDraft").where("JournalEntryID", entry["ID"])
    lines = lines_of(books, entry)
    total = sum((line["Amount"] for line in lines), Decimal(0))
    if total:
        note("unbalanced-voucher", f"{name}: the booked lines sum to {total}")
    if len({d["CurrencyCodeID"] for d in drafts}) == 1:
        foreign = sum((d["AmountCurrency"] for d in drafts), Decimal(0))
        if foreign:
            note("unbalanced-currency", f"{name}: sum {foreign}")
    if len({d["InvoiceNumber"] for d in drafts if d["InvoiceNumber"]}) > 1:
        note("invoice-numbers-mixed", name)
    for draft in drafts:
        _judge_line(books, name, draft, note)
    for line in lines:
        if line["SubAccountID"]:
            _judge_twins(books, entry, line, note)


def _judge_line(books: Books, name: str, draft: Row, note: Callable[[str, str], None]) -> None:
    account = books.row("Account", draft["AccountID"]) or {}
    number = account["AccountNumber"]
    if draft["IsExternal"]:
        note("is-external", f"{name}: {number}")
    if not draft["InvoiceNumber"]:
        note("invoice-number-missing", f"{name}: {number}")
    if number == RECEIVABLES:
        note("customer-line-on-ledger-account", name)
    if account["CustomerID"] is None and (draft["PaymentID"] or draft["DueDate"]):
        note("payment-fields-on-other-line", f"{name}: {number}")
    if _INCOME[0] <= number <= _INCOME[1] and draft["VatTypeID"] is None:
        note("income-line-without-vat-type", f"{name}: {number}")


_INCOME = (3000, 3999)  # NS 4102: sales and other operating income


def _judge_twins(books: Books, entry: Row, line: Row, note: Callable[[str, str], None]) -> None:
    """Same customer, invoice number and sign, both made through the API, neither credited."""
    for other in books.table("JournalEntryLine").where("InvoiceNumber", line["InvoiceNumber"]):
        twin = books.row("JournalEntry", other["JournalEntryID"])
        if twin is None or twin["ID"] == entry["ID"] or twin.get("_made_by") != "api":
            continue
        same = all(other[f] == line[f] for f in ("SubAccountID", "InvoiceNumber"))
        if same and (other["Amount"] > 0) == (line["Amount"] > 0) and not is_credited(books, twin):
            numbers = f"{twin['JournalEntryNumber']} and {entry['JournalEntryNumber']}"
            note("double-booking", f"invoice {line['InvoiceNumber']}: {numbers}")
