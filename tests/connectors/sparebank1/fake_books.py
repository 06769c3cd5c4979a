"""Books that answer by hand-made rules, and a driver that runs a flow against them."""

import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from connectors.integrations import DataType, Integration, System
from connectors.port import (
    Answer,
    Call,
    Flow,
    Forget,
    Hold,
    Intent,
    Job,
    Look,
    NoAnswer,
    Refused,
    Request,
    Retry,
    Write,
)
from connectors.sparebank1.connector import SpareBank1
from schemas.events import Entity

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
COMPANY_KEY = "3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11"
INTEGRATION = Integration(
    id="fjord-sb1",
    company="c-1001",
    system=System.SPAREBANK1,
    base_url="https://regnskap.example",
    company_key=COMPANY_KEY,
    data=frozenset(DataType),
    notify="regnskap@fjord.example",
)
CONNECTOR = SpareBank1()

Row = dict[str, Any]
Reply = Answer | NoAnswer
_CLAUSE = re.compile(r"([\w.]+) eq (?:'((?:[^']|'')*)'|(\d+))")


def answer(value: object, status: int = 200, **headers: str) -> Answer:
    """An answer with a JSON body."""
    body = msgspec.json.Encoder(decimal_format="number").encode(value)
    return Answer(status=status, body=body, headers=headers)


def body_of(request: Request) -> Any:
    """The JSON that was sent, decimals exact."""
    return msgspec.json.Decoder(float_hook=Decimal).decode(request.body or b"null")


def entry_of(request: Request) -> Row:
    """The one voucher of a booking."""
    entries = body_of(request)
    assert isinstance(entries, list)
    assert len(entries) == 1
    entry: Row = entries[0]
    return entry


def default_tables() -> dict[str, list[Row]]:
    """A company with two accounts, some VAT types, a customer and a project."""
    return {
        "customers": [_customer()],
        "projects": [{"ID": 5501, "ProjectNumber": "10023", "Name": "Kvartalet"}],
        "accounts": [
            {"ID": 155, "AccountNumber": 3000, "CustomerID": None},
            {"ID": 156, "AccountNumber": 3100, "CustomerID": 0},
            {"ID": 157, "AccountNumber": 3900, "LockManualPosts": True},
            {"ID": 158, "AccountNumber": 7740},
            {"ID": 1811, "AccountNumber": 100042, "CustomerID": 812},
        ],
        "vattypes": [
            _vat_type(11, "3", "25"),
            _vat_type(12, "31", "15"),
            _vat_type(13, "6", "0"),
            {"ID": 14, "VatCode": "33", "VatPercent": 12},
            _vat_type(15, "34", "20", "2016-01-01", "2020-12-31"),
            {**_vat_type(16, "86", "25"), "DirectJournalEntryOnly": True},
            {**_vat_type(17, "7", "0"), "Locked": True},
        ],
        "currencycodes": [{"ID": 7, "Code": "NOK"}, {"ID": 9, "Code": "EUR"}],
        "number-series": [
            {
                "ID": 3,
                "FromNumber": 100000,
                "ToNumber": 199999,
                "NumberSeriesType": {"EntityType": "Customer"},
            }
        ],
        "companysettings": [{"ID": 1, "OrganizationNumber": "123456785", "BaseCurrencyCodeID": 7}],
        "journalentries": [],
        "journalentrylines": [],
    }


def _customer() -> Row:
    return {
        "ID": 812,
        "CustomerNumber": 100042,
        "OrgNumber": "123456785",
        "WebUrl": None,
        "CurrencyCodeID": 7,
        "CreditDays": 14,
        "PeppolAddress": "0192:123456785",
        "StatusCode": 30001,
        "Account": {"ID": 1811, "AccountNumber": 100042, "CustomerID": 812},
        "Info": {
            "ID": 930,
            "Name": "Nordlys",
            "DefaultEmail": {"ID": 77, "EmailAddress": "post@nordlys.example", "Description": "x"},
            "DefaultPhone": {"ID": 78, "Number": "22334455", "Type": 150101},
            "InvoiceAddress": {
                "ID": 41,
                "AddressLine1": "Storgata 1",
                "AddressLine3": "Bakgården",
                "PostalCode": "0155",
                "City": "Oslo",
                "CountryCode": "NO",
            },
            "Phones": [
                {"ID": 78, "Number": "22334455", "Type": 150101},
                {"ID": 79, "Number": "22334456", "Type": 150103},
            ],
        },
    }


def _vat_type(
    row_id: int, code: str, percent: str, first: str = "2016-01-01", last: str | None = None
) -> Row:
    rate = {"VatPercent": Decimal(percent), "ValidFrom": first, "ValidTo": last}
    return {"ID": row_id, "VatCode": code, "VatTypePercentages": [rate]}


class FakeBooks:
    """Answers each request from `tables`, unless `scripted` has something for it first.

    `unknown_fields`: clauses on these are ignored, as the platform does. `sent` keeps every
    request, `intents` every write's intent.
    """

    def __init__(self) -> None:
        self.tables = default_tables()
        self.unknown_fields: set[str] = set()
        self.keeps_reference = True
        self.sent: list[Request] = []
        self.intents: list[Intent] = []
        self.forgotten: list[str] = []
        self.cache: dict[str, Any] = {}
        self.next_id = 90_210
        self._scripted: dict[str, deque[Reply]] = {}
        self._rules: list[Callable[[Request], Reply | None]] = []

    def script(self, name: str, *replies: Reply) -> None:
        """Answer the next requests of that name (`POST customers`) with these, one each."""
        self._scripted.setdefault(name, deque()).extend(replies)

    def rule(self, decide: Callable[[Request], Reply | None]) -> None:
        """Answer by this wherever it has an answer."""
        self._rules.append(decide)

    def asked(self, name: str) -> list[Request]:
        """The requests of a name."""
        return [request for request in self.sent if name_of(request) == name]

    @property
    def writes(self) -> list[str]:
        """Names of all writes, in order."""
        return [name_of(request) for request in self.sent if request.method != "GET"]

    def run(self, flow: Flow) -> Any:
        """Drive a flow to its verdict."""
        reply: Any = None
        while True:
            try:
                step = flow.send(reply)
            except StopIteration as end:
                return end.value
            match step:
                case Call(request):
                    reply = self._reply(request)
                case Write(request, intent):
                    self.intents.append(intent)
                    reply = self._reply(request)
                case Look():
                    reply = self._look(step)
                case Forget(prefix):
                    self.forgotten.append(prefix)
                    self.cache = {k: v for k, v in self.cache.items() if not k.startswith(prefix)}
                    reply = None

    def deliver(self, event: Entity, **facts: Any) -> Any:
        """Deliver an event; `facts` are those of the job."""
        return self.run(CONNECTOR.deliver(job(event, **facts)))

    def _look(self, step: Look) -> Any:
        if step.key in self.cache and step.suits(self.cache[step.key]):
            return self.cache[step.key]
        found = self.run(step.fetch())
        if found is not None and not isinstance(found, Retry | Hold | Refused):
            self.cache[step.key] = found
        return found

    def _reply(self, request: Request) -> Reply:
        self.sent.append(request)
        scripted = self._scripted.get(name_of(request))
        if scripted:
            return scripted.popleft()
        for decide in self._rules:
            decided = decide(request)
            if decided is not None:
                return decided
        return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        query = dict(request.query)
        if request.path == "/api/init/companies":
            return answer([{"ID": 4711, "Key": COMPANY_KEY.upper()}])
        if request.path == "/api/statistics":
            return answer(self._listed("journalentrylines", query))
        name, _, row_id = request.path.removeprefix("/api/biz/").partition("/")
        if query.get("action") == "book-journal-entries":
            return answer([self._book(entry_of(request))])
        if request.method == "POST" and not row_id:
            row = {**body_of(request), "ID": self.new_id()}
            self.tables[name].append(row)
            return answer(row, 201)
        if not row_id:
            return answer(self._listed(name, query))
        found = next((row for row in self.tables[name] if row["ID"] == int(row_id)), None)
        if found is None:
            return answer({"Message": "not found"}, 404)
        if request.method == "PUT":
            found.update(body_of(request))
        return Answer(status=204) if query.get("action") else answer(found)

    def _listed(self, name: str, query: dict[str, str]) -> list[Row]:
        clauses = [
            (field, text.replace("''", "'") if not number else int(number))
            for field, text, number in _CLAUSE.findall(query.get("filter", ""))
            if field not in self.unknown_fields and "." not in field
        ]
        rows = [row for row in self.tables[name] if all(row.get(f) == v for f, v in clauses)]
        skip, top = int(query.get("skip", 0)), int(query.get("top", 50))
        return rows[skip : skip + top]

    def _book(self, entry: Row) -> Row:
        entry_id = self.new_id()
        head: Row = {"ID": entry_id, "JournalEntryNumber": f"{entry_id}-2026"}
        if self.keeps_reference:
            head["ExternalReference"] = entry["ExternalReference"]
        self.tables["journalentries"].append(head)
        for line in entry["DraftLines"]:
            row = {**line, "ID": self.new_id(), "JournalEntryID": entry_id, "StatusCode": None}
            row["JournalEntryNumber"] = head["JournalEntryNumber"]
            if line["AccountID"] == 1811:
                row |= {"SubAccountID": 1811, "AccountID": 150}
            self.tables["journalentrylines"].append(row)
        return head

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id


def name_of(request: Request) -> str:
    """`GET customers`, `PUT customers`, `POST projects?StartProject`."""
    path = request.path.removeprefix("/api/").removeprefix("biz/")
    action = dict(request.query).get("action")
    return f"{request.method} {path.partition('/')[0]}" + (f"?{action}" if action else "")


def job(event: Entity, **facts: Any) -> Job:
    """A job with that event."""
    facts = {"delivery_id": "d-1", "integration": INTEGRATION, "now": NOW, **facts}
    return Job(event=event, **facts)
