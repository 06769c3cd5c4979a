"""The events of a run: companies on both systems at work, in order and out of it, right and wrong.

Every event says what may become of it. No parent stays away for good: what waits can always go.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import msgspec

from schemas.cloudevents import Mode
from schemas.events import Customer, Entity, Invoice, Project, type_of
from schemas.lane import lane_key
from schemas.wire import Outgoing
from streams.ops.chaos.record import Fate
from streams.ops.demo.companies import COMPANIES, FJORD, NORDLYS, VIK, Company, Kind, items_of
from streams.ops.demo.expectations import booking_of, customer_fields, project_fields
from streams.ops.demo.writing import (
    Emission,
    Writer,
    customer_of,
    invoice_of,
    line_of,
    project_of,
)

START: Final = datetime(2026, 3, 2, 8, tzinfo=UTC)  # ce_time is no part of any decision
FIRST_SERIAL: Final = 101
FIRST_INVOICE: Final = 50_000
INVOICES_A_CUSTOMER: Final = 20  # numbers kept free for each customer
STEP_S: Final = 2.0  # longest pause between two events of one customer
LATE_S: Final = (2.0, 12.0)  # how much later a late parent comes: some longer than PARENT_WAIT
ONE: Final = Decimal(1)

APPLIED: Final = frozenset({"applied", "unchanged"})
OLDER: Final = frozenset({"applied", "unchanged", "superseded", "stale"})
BY_HAND: Final = frozenset({"applied", "unchanged", "manual"})
DEAD: Final = frozenset({"dead"})

replace = msgspec.structs.replace


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A record to be sent `after` seconds, and what is meant by it (see `record.Emitted`)."""

    after: float
    record: Outgoing
    source: str
    id: str
    company: str = ""
    entity: str = ""
    version: int = 0
    parents: tuple[str, ...] = ()
    fates: Mapping[str, Fate] = {}
    letter: str | None = None
    duplicate: bool = False
    numbered: bool = False  # carries a `sequence`


def write_load(events: int, seconds: float, seed: int, *, clearing: bool) -> list[Planned]:
    """About `events` records over `seconds`, in the order to be sent; the same for the same seed.

    `clearing`: updates also empty fields. What a restored ledger has forgotten it cannot know to
    be ours to clear, so not in runs that restore one.
    """
    chance = random.Random(seed)  # noqa: S311 - it only has to be the same every time
    writer = Writer(f"chaos-{seed}", START)
    planned: list[Planned] = []
    serial = FIRST_SERIAL
    while len(planned) < events:
        for company in COMPANIES:
            if len(planned) >= events:
                break
            at = chance.random() * seconds
            planned += _Customer(writer, company, serial, chance, at, clearing=clearing).planned()
        serial += 1
    return sorted(planned, key=lambda one: one.after)


class _Customer:
    """One customer's story; all of it in one lane but for what carries a wrong key."""

    def __init__(
        self,
        writer: Writer,
        company: Company,
        serial: int,
        chance: random.Random,
        at: float,
        *,
        clearing: bool,
    ) -> None:
        self._writer = writer
        self._company = company
        self._serial = serial
        self._chance = chance
        self._at = at
        self._clearing = clearing
        self._number = FIRST_INVOICE + serial * INVOICES_A_CUSTOMER
        self._out: list[Planned] = []

    def planned(self) -> list[Planned]:
        """Everything of this customer, not yet sorted."""
        chance, company = self._chance, self._company
        customer = customer_of(company, self._serial)
        project = project_of(company, self._serial, customer.number)
        with_project = chance.random() < 0.7  # noqa: PLR2004 - most
        own = [*self._states(customer, self._late())]
        if with_project:
            own += self._states(project, self._late())
        self._out += own
        for _ in range(chance.randint(1, 4)):
            of_project = project.number if with_project and chance.random() < 0.6 else None  # noqa: PLR2004
            self._invoice(customer.number, of_project)
        self._refused(customer)
        self._letters(customer)
        self._repeats()
        return self._out

    # --- customers and projects ---------------------------------------------------------------

    def _late(self) -> float:
        """Most parents come first; some long after their children."""
        return self._chance.uniform(*LATE_S) if self._chance.random() < 0.25 else 0.0  # noqa: PLR2004

    def _states(self, first: Customer | Project, late: float) -> Iterator[Planned]:
        """One to four states of an entity; with `sequence` also in the wrong order."""
        chance = self._chance
        count = chance.choice((1, 1, 2, 3, 4))
        numbered = chance.random() < 0.6  # noqa: PLR2004 - both kinds of producers
        order = list(range(1, count + 1))
        if numbered and chance.random() < 0.5:  # noqa: PLR2004
            chance.shuffle(order)
        at = self._at + late
        for version in order:
            entity = self._state(first, version)
            emission = self._writer.event(
                entity,
                sequence=version if numbered else None,
                updated=version > 1,
                mode=chance.choice((Mode.BINARY, Mode.STRUCTURED)),
            )
            yield self._plan(emission, at, version=version, newest=version == count)
            at += chance.random() * STEP_S

    def _state(self, first: Customer | Project, version: int) -> Customer | Project:
        """The n-th state; its name tells which it is, in the books too."""
        name = f"{first.name} v{version}"
        if isinstance(first, Project):
            return replace(first, name=name)
        cleared = self._clearing and version % 2 == 0
        return replace(
            first,
            name=name,
            phone=None if cleared else f"+47{22_000_000 + version}",
            website=None if cleared else f"https://v{version}.example",
        )

    # --- invoices -----------------------------------------------------------------------------

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _soon(self) -> float:
        return self._at + self._chance.random() * 3 * STEP_S

    def _invoice(self, customer: str, project: str | None) -> None:
        chance = self._chance
        invoice = self._made(self._next_number(), customer, project)
        at = self._soon()
        mended = self._company in (FJORD, NORDLYS) and chance.random() < 0.1  # noqa: PLR2004
        if mended:
            bad = self._with_vat_code(invoice, "99")
            at = self._add_dead(bad, at, "vat-code-unknown")
        self._add(invoice, at)
        if chance.random() < 0.1:  # noqa: PLR2004 - a new event that says the same
            self._add(invoice, at + chance.random() * STEP_S, outcomes=frozenset({"unchanged"}))
        if chance.random() < 0.1:  # noqa: PLR2004 - a new event that says otherwise
            other = self._made(int(invoice.number), customer, project, hours=Decimal(99))
            later = at + chance.random() * STEP_S
            self._add_dead(other, later, "invoice-differs-from-booked")
        if chance.random() < 0.3:  # noqa: PLR2004
            lines = (line_of(self._company, items_of(self._company)[0], -ONE),)
            credit = invoice_of(
                self._company, self._next_number(), customer, lines, credits_number=invoice.number
            )
            before = chance.random() < 0.3  # noqa: PLR2004 - the credit note comes first
            self._add(credit, self._soon() if before else at + chance.random() * STEP_S)

    def _made(
        self, number: int, customer: str, project: str | None, hours: Decimal | None = None
    ) -> Invoice:
        work, goods, travel = items_of(self._company)
        lines = (
            line_of(self._company, work, hours or Decimal(self._chance.randint(2, 60)) / 2),
            line_of(self._company, goods, Decimal(10), discount=Decimal(10)),
            line_of(self._company, travel, ONE, surcharge=Decimal(10)),
        )
        return invoice_of(self._company, number, customer, lines, project=project)

    @staticmethod
    def _with_vat_code(invoice: Invoice, code: str) -> Invoice:
        return replace(invoice, lines=tuple(replace(ln, vat_code=code) for ln in invoice.lines))

    # --- what is refused ----------------------------------------------------------------------

    def _refused(self, customer: Customer) -> None:
        """Entities that nobody waits for: what is dead stays dead."""
        chance, company = self._chance, self._company
        if chance.random() > 0.15:  # noqa: PLR2004
            return
        if company in (FJORD, NORDLYS):
            outside = replace(customer, number=str(200_000 + self._serial))
            self._add_dead(outside, self._soon(), "customer-number-out-of-range")
            owner = customer.number
            lettered = project_of(company, self._serial, owner, number=f"P-{self._serial}")
            self._add_dead(lettered, self._soon(), "project-number-not-numeric")
        elif company is VIK:
            nameless = replace(
                customer, number=str(800_000 + self._serial), organisation_number=None
            )
            at = self._soon()
            self._out.append(self._plan(self._writer.event(nameless), at, version=1, newest=True))
            invoice = self._made(self._next_number(), nameless.number, None)
            self._add_dead(invoice, at + chance.random() * STEP_S, "kennitala-missing")

    def _letters(self, customer: Customer) -> None:
        chance = self._chance
        if chance.random() > 0.1:  # noqa: PLR2004
            return
        key = lane_key(self._company.id, customer.number)
        junk = Outgoing(topic="moment.customers", key=key, value=b"name;number", headers=())
        self._out.append(_letter(junk, self._soon(), "event-unreadable"))
        strange = self._writer.event(replace(customer, company="c-9999"))
        self._out.append(_letter(strange.record, self._soon(), "company-unknown"))

    def _repeats(self) -> None:
        """Some of the events once more, later; some without a key, in some other partition.

        Only where `sequence` gives the order: otherwise the order of receipt does, and which
        partition is read first is nobody's promise.
        """
        chance = self._chance
        events = [one for one in self._out if one.entity]
        for one in chance.sample(events, k=min(len(events), chance.choice((0, 0, 1, 2)))):
            record = one.record
            if one.numbered and chance.random() < 0.5:  # noqa: PLR2004
                record = replace(record, key=None)
            at = one.after + chance.random() * 5 * STEP_S
            self._out.append(replace(one, after=at, record=record, fates={}, duplicate=True))

    # --- fates --------------------------------------------------------------------------------

    def _add(self, entity: Entity, at: float, outcomes: frozenset[str] = APPLIED) -> None:
        emission = self._writer.event(entity)
        planned = self._plan(emission, at, version=1, newest=True)
        if outcomes is not APPLIED:  # books nothing of its own
            planned = replace(planned, fates=_all(planned, Fate(outcomes=outcomes)))
        self._out.append(planned)

    def _add_dead(self, entity: Entity, at: float, code: str) -> float:
        """Plan what is refused; returns a time that is after it."""
        planned = self._plan(self._writer.event(entity), at, version=1, newest=True)
        fates = _all(planned, Fate(outcomes=DEAD, code=code))
        self._out.append(replace(planned, fates=fates))
        return at + 0.05 + self._chance.random() * STEP_S

    def _plan(self, emission: Emission, at: float, *, version: int, newest: bool) -> Planned:
        entity = emission.entity
        assert entity is not None  # noqa: S101 - letters are made elsewhere
        return Planned(
            after=at,
            record=emission.record,
            source=emission.source,
            id=emission.id,
            company=entity.company,
            entity=f"{type_of(entity).value}/{entity.number}",
            version=version,
            parents=tuple(_parents(entity)),
            numbered=emission.sequence is not None,
            fates={
                books.id: _fate(books.kind, entity, newest=newest) for books in self._company.books
            },
        )


def _fate(kind: Kind, entity: Entity, *, newest: bool) -> Fate:
    if isinstance(entity, Invoice):
        return Fate(outcomes=APPLIED, booking=booking_of(kind, entity))
    if isinstance(entity, Customer):
        fields = customer_fields(kind, entity)
        return Fate(outcomes=APPLIED if newest else OLDER, fields=fields)
    fields = project_fields(kind, entity)
    if kind is Kind.DKPLUS:  # made once; what changes afterwards is a person's work
        return Fate(outcomes=BY_HAND if newest else OLDER | BY_HAND, fields=fields)
    return Fate(outcomes=APPLIED if newest else OLDER, fields=fields)


def _all(planned: Planned, fate: Fate) -> dict[str, Fate]:
    return dict.fromkeys(planned.fates, fate)


def _parents(entity: Entity) -> Iterator[str]:
    if isinstance(entity, Customer):
        return
    yield f"customer/{entity.customer_number}"
    if isinstance(entity, Invoice) and entity.project_number:
        yield f"project/{entity.project_number}"


def _letter(record: Outgoing, at: float, code: str) -> Planned:
    headers = {name: value.decode() for name, value in record.headers}
    source, event_id = headers.get("ce_source", ""), headers.get("ce_id", "")
    return Planned(after=at, record=record, source=source, id=event_id, letter=code)


def last_at(planned: Sequence[Planned]) -> float:
    """Seconds until the last record is to be sent."""
    return max((one.after for one in planned), default=0.0)
