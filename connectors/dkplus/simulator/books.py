"""The ledger of one company in dk: records, number series, and what was noticed. No I/O, no clock.

Every change goes through a method that also notes it in `changes`, so that whoever keeps the
books on disk writes the same down (`keeping.py`).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from connectors.dkplus.simulator.settings import CompanyConfig
from connectors.dkplus.simulator.switches import Switches

Record = dict[str, Any]
FIRST_RECORD_ID = 4711


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a right client never does. `at` is UTC, ISO 8601."""

    at: str
    company: str
    kind: str
    text: str


class Invoice(msgspec.Struct, kw_only=True, rename="camel"):
    """A sales invoice: the read model in `record`, and what only the simulator knows of it.

    `reference` is the one that was sent, before dk cut it. `visible_from` is when dkPlus' cache
    shows it. `number` is None for a draft.
    """

    record_id: int
    number: str | None
    reference: str
    customer: str
    negative: bool
    via_api: bool
    created: datetime
    visible_from: datetime
    record: Record
    reversed: bool = False
    reversal: bool = False

    @property
    def posted(self) -> bool:
        """Whether it is booked and not a draft."""
        return self.number is not None


class Series(msgspec.Struct, kw_only=True, rename="camel"):
    """dk's own numbers: the next invoice number and the next RecordID."""

    next_number: int
    next_record_id: int = FIRST_RECORD_ID


class Standing(msgspec.Struct, kw_only=True, rename="camel"):
    """What an administrator of the company can change while it runs."""

    sales_persons: dict[str, str]
    closed_until: str | None = None
    token: str = ""
    token_revoked: bool = False

    def __repr__(self) -> str:
        """Without the token."""
        return f"Standing(closed_until={self.closed_until!r}, revoked={self.token_revoked!r})"


class Conduct(msgspec.Struct, kw_only=True, rename="camel"):
    """What the judge remembers: numbers asked for, and posts without a usable answer.

    `unproved` counts, per Reference, the look-ups that succeeded since such a post.
    """

    asked: set[str] = msgspec.field(default_factory=set)
    unproved: dict[str, int] = msgspec.field(default_factory=dict)


class Books:
    """One company's books. `records` kinds are `customer`, `project`, `product`."""

    def __init__(self, config: CompanyConfig, switches: Switches, started: datetime) -> None:
        self.config = config
        self.switches = switches
        self.started = started
        self.customers: dict[str, Record] = {}
        self.projects: dict[str, Record] = {}
        self.products: dict[str, Record] = {}
        self.invoices: list[Invoice] = []
        self._by_number: dict[str, Invoice] = {}
        self._by_record_id: dict[int, Invoice] = {}
        self._by_sent: dict[str, list[Invoice]] = {}
        self._by_reference: dict[str, list[Invoice]] = {}
        self.series = Series(next_number=config.first_invoice_number)
        self.standing = Standing(
            sales_persons={code: code for code in config.sales_persons}, token=config.token
        )
        self.standing.closed_until = config.closed_until
        self.conduct = Conduct()
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self.changes: list[tuple[str, Any]] = []

    @property
    def name(self) -> str:
        """The company as the admin side names it."""
        return self.config.identity

    def clock(self, now: datetime) -> str:
        """`now` as dk writes it, by dk's own clock."""
        shifted = now + timedelta(seconds=self.switches.clock_offset_seconds)
        return shifted.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def new_record_id(self) -> int:
        """The next RecordID; taken only when something is written."""
        self.series.next_record_id += 1
        self._note("series", self.series)
        return self.series.next_record_id - 1

    def new_number(self) -> str:
        """The next invoice number of dk's own series."""
        number = self.series.next_number
        self.series.next_number += 1 + self.switches.number_gap
        self._note("series", self.series)
        return str(number)

    def put(self, kind: str, key: str, record: Record) -> None:
        """Write a customer, project or product under its key, whole."""
        self.shelf(kind)[key] = record
        self._note(kind, [key, record])

    def rename(self, kind: str, old: str, new: str) -> None:
        """Give a record another key."""
        shelf = self.shelf(kind)
        shelf[new] = shelf.pop(old)
        self._note("gone", [kind, old])
        self._note(kind, [new, shelf[new]])

    def take_away(self, kind: str, key: str) -> None:
        """Delete a record for good, as only a person at dk's own screens can."""
        del self.shelf(kind)[key]
        self._note("gone", [kind, key])

    def shelf(self, kind: str) -> dict[str, Record]:
        """The records of one kind, by key."""
        return {
            "customer": self.customers,
            "project": self.projects,
            "product": self.products,
        }[kind]

    def put_invoice(self, invoice: Invoice) -> None:
        """Write an invoice: a new one, or one that has changed."""
        if invoice.record_id not in self._by_record_id:
            self.invoices.append(invoice)
            self._by_sent.setdefault(invoice.reference, []).append(invoice)
            kept = invoice.record["Reference"]
            self._by_reference.setdefault(kept, []).append(invoice)
        self._by_record_id[invoice.record_id] = invoice
        if invoice.number is not None:
            self._by_number[invoice.number] = invoice
        self._note("invoice", invoice)

    def invoice(self, number: str) -> Invoice | None:
        """A booked invoice by dk's number."""
        return self._by_number.get(number)

    def sent_as(self, reference: str) -> list[Invoice]:
        """Every invoice that was sent with this Reference, drafts and foreign ones included."""
        return self._by_sent.get(reference, [])

    def kept_as(self, reference: str) -> list[Invoice]:
        """Every invoice that dk keeps under this Reference, to the letter."""
        return self._by_reference.get(reference, [])

    def visible(self, now: datetime) -> Iterator[Invoice]:
        """The invoices that dkPlus' cache shows at `now`, oldest first."""
        return (invoice for invoice in self.invoices if invoice.visible_from <= now)

    def violate(self, now: datetime, kind: str, text: str) -> None:
        """Note what a right client never does."""
        at = now.astimezone(UTC).isoformat(timespec="milliseconds")
        violation = Violation(at=at, company=self.name, kind=kind, text=text)
        self.violations.append(violation)
        self._note("violation", violation)

    def forgive(self) -> int:
        """Forget the violations so far, as after a test has prepared its books; how many."""
        forgiven, self.violations = len(self.violations), []
        self._note("forgiven", forgiven)
        return forgiven

    def stands(self, standing: Standing) -> None:
        """Take over what an administrator changed."""
        self.standing = standing
        self._note("standing", standing)

    def asked(self, number: str, *, asked: bool) -> None:
        """Remember, or forget, that somebody asked for the customer of these digits."""
        if asked:
            self.conduct.asked.add(number)
        else:
            self.conduct.asked.discard(number)
        self._note("asked", [number, asked])

    def unproved(self, reference: str, look_ups: int | None) -> None:
        """Remember the look-ups since a post without a usable answer; None: it is proved."""
        if look_ups is None:
            self.conduct.unproved.pop(reference, None)
        else:
            self.conduct.unproved[reference] = look_ups
        self._note("unproved", [reference, look_ups])

    def keep_series(self) -> None:
        """Note that the series was set by hand."""
        self._note("series", self.series)

    def taken_changes(self) -> list[tuple[str, Any]]:
        """What has changed since this was last asked, in order."""
        taken, self.changes = self.changes, []
        return taken

    def _note(self, kind: str, value: Any) -> None:
        self.changes.append((kind, value))
