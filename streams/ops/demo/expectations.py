"""What must come of a day: an independent, small model of the rules, made from the events alone.

It shares no code with the connectors or the flow: it says what the books must hold in the end and
what must be told of each event, never how that is brought about.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import msgspec

from schemas.events import Customer, CustomerStatus, Entity, Invoice, InvoiceKind, Project
from schemas.failures import FailureCode
from schemas.outcomes import OutcomeKind
from streams.ops.demo.companies import (
    CUSTOMER_NUMBER_FROM,
    CUSTOMER_NUMBER_TO,
    SALES_VAT_CODES,
    Books,
    Company,
    Kind,
)
from streams.ops.demo.writing import Emission

EventKey = tuple[str, str]  # source and id
Fields = dict[str, str]

APPLIED: Final = frozenset({OutcomeKind.APPLIED})
KENNITALA_DIGITS: Final = 10
_HUNDRED: Final = Decimal(100)


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What may be told of one delivery in the end; `code` where it failed."""

    outcomes: frozenset[OutcomeKind]
    code: FailureCode | None = None

    @property
    def blocked(self) -> bool:
        """Whether it waits for a person at the end, without a final outcome."""
        return OutcomeKind.BLOCKED in self.outcomes


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice in the books. `amount` is what the customer owes; below zero for a credit note.

    `lines`: account (SpareBank 1 Regnskap) or item code (DK+), and the amount without VAT.
    """

    number: str
    customer: str
    amount: Decimal
    date: str
    due: str
    project: str
    payment_id: str
    lines: tuple[tuple[str, Decimal], ...]


class ExpectedBooks(msgspec.Struct, kw_only=True):
    """What one company's books hold at the end of the day, and nothing beside it."""

    customers: dict[str, Fields] = {}
    projects: dict[str, Fields] = {}
    bookings: dict[str, Booking] = {}
    products: set[str] = set()


class Expectations(msgspec.Struct, frozen=True, kw_only=True):
    """All that must come of a day. `letters`: places in the day that become a letter alone."""

    deliveries: dict[tuple[EventKey, str], Expected]
    letters: dict[int, FailureCode]
    books: dict[str, ExpectedBooks]


class _State(msgspec.Struct, frozen=True):
    """One state of an entity: when it was sent, which it is, and what it says."""

    place: int
    key: EventKey
    sequence: int | None
    entity: Entity


def expect(day: Sequence[Emission], companies: Sequence[Company]) -> Expectations:
    """What must come of these records, sent in this order to these companies' integrations."""
    letters: dict[int, FailureCode] = {}
    seen: dict[EventKey, Entity] = {}
    states: list[_State] = []
    known = {company.id: company for company in companies}
    for place, emission in enumerate(day):
        key = (emission.source, emission.id)
        if emission.entity is None:
            letters[place] = _why_no_event(emission)
        elif emission.entity.company not in known:
            letters[place] = FailureCode.COMPANY_UNKNOWN
        elif key not in seen:
            seen[key] = emission.entity
            states.append(_State(place, key, emission.sequence, emission.entity))
        elif seen[key] != emission.entity:
            letters[place] = FailureCode.EVENT_ID_REUSED
    deliveries: dict[tuple[EventKey, str], Expected] = {}
    books: dict[str, ExpectedBooks] = {}
    for company in companies:
        own = [state for state in states if state.entity.company == company.id]
        for one in company.books:
            told, books[one.id] = _Model(one).run(own)
            deliveries |= {(key, one.id): expected for key, expected in told.items()}
    return Expectations(deliveries=deliveries, letters=letters, books=books)


def _why_no_event(emission: Emission) -> FailureCode:
    if not (emission.record.value or b"").startswith(b"{"):
        return FailureCode.EVENT_UNREADABLE
    kind = dict(emission.record.headers).get("ce_type", b"")
    known = (b"customer.", b"project.", b"invoice.")
    if not kind.removeprefix(b"team.moment.").startswith(known):
        return FailureCode.EVENT_TYPE_UNKNOWN
    return FailureCode.EVENT_INVALID


class _Model:
    """The rules of one accounting system over the states of one company."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.sparebank1 = books.kind is Kind.SPAREBANK1
        self.told: dict[EventKey, Expected] = {}
        self.held = ExpectedBooks(customers={}, projects={}, bookings={}, products=set())
        self.kennitolur: dict[str, str] = {}
        self.announced: set[tuple[type, str]] = set()

    def run(self, states: Sequence[_State]) -> tuple[Mapping[EventKey, Expected], ExpectedBooks]:
        self.announced = {(type(state.entity), state.entity.number) for state in states}
        for versions in _versions(states, Customer):
            self._customer(versions)
        for versions in _versions(states, Project):
            self._project(versions)
        for versions in _versions(states, Invoice):
            self._invoice(versions)
        return self.told, self.held

    # --- customers and projects --------------------------------------------------------------

    def _customer(self, versions: list[_State]) -> None:
        newest = _newest(versions)
        customer = newest.entity
        assert isinstance(customer, Customer)  # noqa: S101 - by `_versions`
        self.kennitolur[customer.number] = customer.organisation_number or ""
        if self.sparebank1 and not _in_range(customer.number):
            self._refuse(versions, FailureCode.CUSTOMER_NUMBER_OUT_OF_RANGE)
            return
        self._tell_versions(versions, newest)
        self.held.customers[customer.number] = customer_fields(self.books.kind, customer)

    def _project(self, versions: list[_State]) -> None:
        newest = _newest(versions)
        project = newest.entity
        assert isinstance(project, Project)  # noqa: S101 - by `_versions`
        if self.sparebank1 and not project.number.isdecimal():
            self._refuse(versions, FailureCode.PROJECT_NUMBER_NOT_NUMERIC)
            return
        if self._wait(versions, (Customer, project.customer_number)):
            return
        self._tell_versions(versions, newest)
        if not self.sparebank1 and len(versions) > 1:
            self._by_hand(versions)
            newest = versions[0]
        assert isinstance(newest.entity, Project)  # noqa: S101 - by `_versions`
        self.held.projects[project.number] = project_fields(self.books.kind, newest.entity)

    def _by_hand(self, versions: list[_State]) -> None:
        """DK+ makes a project once; what changes afterwards is a person's work."""
        self.told[versions[0].key] = Expected(outcomes=APPLIED)
        for later in versions[1:]:
            self.told[later.key] = Expected(outcomes=frozenset({OutcomeKind.MANUAL}))

    def _tell_versions(self, versions: list[_State], newest: _State) -> None:
        """The newest is applied; one before it may have been; one after it comes too late."""
        for state in versions:
            if state is newest:
                kinds = {OutcomeKind.APPLIED}
                if len(versions) > 1 and self._says_nothing_new(versions):
                    kinds.add(OutcomeKind.UNCHANGED)
            elif state.place > newest.place:
                kinds = {OutcomeKind.STALE}
            else:
                kinds = {OutcomeKind.APPLIED, OutcomeKind.SUPERSEDED, OutcomeKind.UNCHANGED}
            self.told[state.key] = Expected(outcomes=frozenset(kinds))

    def _says_nothing_new(self, versions: list[_State]) -> bool:
        customers = [state.entity for state in versions if isinstance(state.entity, Customer)]
        shown = [customer_fields(self.books.kind, customer) for customer in customers]
        return bool(shown) and all(one == shown[0] for one in shown)

    # --- invoices ----------------------------------------------------------------------------

    def _invoice(self, versions: list[_State]) -> None:
        first = versions[0]
        invoice = first.entity
        assert isinstance(invoice, Invoice)  # noqa: S101 - by `_versions`
        if self._wait(versions, *_parents(invoice)):
            return
        code = self._refusal(invoice)
        if code is not None:
            self._refuse(versions, code)
            return
        self.told[first.key] = Expected(outcomes=APPLIED)
        for later in versions[1:]:
            same = later.entity == invoice
            self.told[later.key] = Expected(
                outcomes=frozenset({OutcomeKind.UNCHANGED if same else OutcomeKind.DEAD}),
                code=None if same else FailureCode.INVOICE_DIFFERS_FROM_BOOKED,
            )
        self.held.bookings[invoice.number] = booking_of(self.books.kind, invoice)
        if not self.sparebank1:
            self.held.products |= {(line.product_number or "").lower() for line in invoice.lines}

    def _refusal(self, invoice: Invoice) -> FailureCode | None:
        if self.sparebank1:
            codes = {line.vat_code or line.account.vat_code for line in invoice.lines}
            return None if codes <= SALES_VAT_CODES else FailureCode.VAT_CODE_UNKNOWN
        digits = self.kennitolur.get(invoice.customer_number, "").replace("-", "")
        if not digits:
            return FailureCode.KENNITALA_MISSING
        whole = len(digits) == KENNITALA_DIGITS and digits.isdecimal()
        return None if whole else FailureCode.KENNITALA_INVALID

    # --- what both have ----------------------------------------------------------------------

    def _refuse(self, versions: list[_State], code: FailureCode) -> None:
        dead = Expected(outcomes=frozenset({OutcomeKind.DEAD}), code=code)
        self.told.update({state.key: dead for state in versions})

    def _wait(self, versions: list[_State], *parents: tuple[type, str]) -> bool:
        """Whether a parent never comes into the books; then all of them wait for a person."""
        for parent in parents:
            shelf = self.held.customers if parent[0] is Customer else self.held.projects
            if parent[1] in shelf:
                continue
            absent = parent not in self.announced
            code = FailureCode.PARENT_ABSENT if absent else FailureCode.PARENT_DEAD
            waits = Expected(outcomes=frozenset({OutcomeKind.BLOCKED}), code=code)
            self.told.update({state.key: waits for state in versions})
            return True
        return False


def _versions(states: Sequence[_State], kind: type) -> Iterator[list[_State]]:
    """All states of each entity of a kind, in the order they were sent."""
    found: dict[str, list[_State]] = {}
    for state in states:
        if isinstance(state.entity, kind):
            found.setdefault(state.entity.number, []).append(state)
    yield from found.values()


def _newest(versions: list[_State]) -> _State:
    """By `sequence` where both have one, else the later."""
    newest = versions[0]
    for state in versions[1:]:
        both = state.sequence is not None and newest.sequence is not None
        if not both or (state.sequence or 0) > (newest.sequence or 0):
            newest = state
    return newest


def _parents(invoice: Invoice) -> Iterator[tuple[type, str]]:
    yield Customer, invoice.customer_number
    if invoice.project_number:
        yield Project, invoice.project_number


def _in_range(number: str) -> bool:
    return number.isdecimal() and CUSTOMER_NUMBER_FROM <= int(number) <= CUSTOMER_NUMBER_TO


# --- what the books call things --------------------------------------------------------------


def customer_fields(kind: Kind, customer: Customer) -> Fields:
    """What of a customer the accounting system carries; empty where Moment has nothing."""
    address = customer.address
    country = (address and address.country_code) or customer.country_code
    carried = {
        "name": customer.name,
        "phone": customer.phone,
        "street": address and address.line1,
        "postal code": address and address.postal_code,
        "city": address and address.city,
        "country": country,
    }
    if kind is Kind.SPAREBANK1:
        carried["organisation number"] = customer.organisation_number
        carried["e-mail"], carried["website"] = customer.email, customer.website
    else:
        digits = (customer.organisation_number or "").replace("-", "")
        carried["kennitala"] = digits if len(digits) == KENNITALA_DIGITS else ""
        carried["blocked"] = "yes" if customer.status is CustomerStatus.BLOCKED else "no"
    return {name: value or "" for name, value in carried.items()}


_STATE: Final = dict(
    zip(
        ("registered", "offer", "inProgress", "completed", "discarded"),
        ("42201", "42202", "42203", "42204", "42205"),
        strict=True,
    )
)  # contract sparebank1-regnskap 3


def project_fields(kind: Kind, project: Project) -> Fields:
    """What of a project the accounting system carries."""
    carried = {"name": project.name, "customer": project.customer_number}
    if kind is Kind.SPAREBANK1:
        carried["state"] = _STATE[project.state.value]
        carried["start"] = project.start_date.isoformat() if project.start_date else ""
        carried["end"] = project.end_date.isoformat() if project.end_date else ""
    return carried


def booking_of(kind: Kind, invoice: Invoice) -> Booking:
    """The invoice as it must stand in the books: VAT by the line, half away from zero."""
    coin = Decimal(1) if invoice.currency_code == "ISK" else Decimal("0.01")
    owed = sum(
        (
            (line.total_excl_vat * (1 + (line.vat_percent or 0) / _HUNDRED)).quantize(
                coin, ROUND_HALF_UP
            )
            for line in invoice.lines
        ),
        Decimal(0),
    )
    sparebank1 = kind is Kind.SPAREBANK1
    assert (owed < 0) == (invoice.kind is InvoiceKind.CREDIT_NOTE)  # noqa: S101 - a day adds up
    return Booking(
        number=invoice.number,
        customer=invoice.customer_number,
        amount=owed,
        date=invoice.invoice_date.isoformat(),
        due=(invoice.due_date or invoice.invoice_date).isoformat(),
        project=invoice.project_number or "",
        payment_id=(invoice.payment_id or invoice.number) if sparebank1 else "",
        lines=sorted_lines(
            (
                line.account.number if sparebank1 else (line.product_number or "").lower(),
                line.total_excl_vat,
            )
            for line in invoice.lines
        ),
    )


def sorted_lines(lines: Iterator[tuple[str, Decimal]]) -> tuple[tuple[str, Decimal], ...]:
    """Lines in an order of their own, so that they can be compared."""
    return tuple(sorted(lines))
