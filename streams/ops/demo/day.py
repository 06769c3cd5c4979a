"""A day of events: what happens in four companies, in order and out of it, right and wrong."""

import random
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from schemas.cloudevents import Mode
from schemas.events import Entity, Invoice
from schemas.lane import lane_key
from schemas.wire import Outgoing
from streams.ops.demo.companies import COMPANIES, FJORD, HAV, NORDLYS, VIK, Company, items_of
from streams.ops.demo.writing import (
    Emission,
    Writer,
    customer_of,
    invoice_of,
    line_of,
    project_of,
)

SEED: Final = 20_260_302  # the same day every time
ONE: Final = Decimal(1)
BULK_CUSTOMER: Final = 101  # customers below are those of the stories
BULK_INVOICE: Final = 50_001

TWICE: Final = "sent twice, in both modes"
EARLY: Final = "sent before their project or customer"
STALE: Final = "older states that arrive late"
CHANGE: Final = "changes of what is in the books"
CREDIT: Final = "credit notes"
REFUSED: Final = "that must be refused, or that name what was refused"
UNREADABLE: Final = "that cannot be taken at all"

replace = msgspec.structs.replace
Story = Iterator[Emission]


class Wave(msgspec.Struct, frozen=True):
    """Records that are sent in one go. `settle`: the next waits until these are in the books."""

    name: str
    emissions: tuple[Emission, ...]
    settle: bool = False


class Day(msgspec.Struct, frozen=True):
    """The whole day, in the order it is sent."""

    waves: tuple[Wave, ...]

    @property
    def emissions(self) -> tuple[Emission, ...]:
        """Every record, in order."""
        return tuple(emission for wave in self.waves for emission in wave.emissions)


def write_day(events: int, run: str, start: datetime) -> Day:
    """A day of about `events` records, never fewer than the stories need. `run` begins the ids."""
    writer = Writer(run, start)
    first = [emission for company in COMPANIES for emission in _opening(writer, company)]
    first += [*_stale(writer), *_norwegian_at_both(writer)]
    children, parents = _early(writer)
    stories = [*_changes(writer), *_twice(writer), *_credits(writer), *_refused(writer)]
    stories += [*_unreadable(writer), *_without_key(writer)]
    left = events - len(first) - len(children) - len(parents) - len(stories)
    bulk = list(_bulk(writer, max(0, left)))
    return Day(
        waves=(
            Wave("morning", tuple(first), settle=True),
            Wave("midday", tuple(children)),
            Wave("afternoon", (*parents, *_spread(bulk, stories))),
        )
    )


def _invoice(
    company: Company, number: int, customer: str, project: str | None = None, hours: str = "7.5"
) -> Invoice:
    """Hours, products with a discount, expenses with a surcharge: two rates of VAT."""
    work, goods, travel = items_of(company)
    lines = (
        line_of(company, work, Decimal(hours)),
        line_of(company, goods, Decimal(10), discount=Decimal(10)),
        line_of(company, travel, ONE, surcharge=Decimal(10)),
    )
    return invoice_of(company, number, customer, lines, project=project)


def _credit(company: Company, number: int, credited: int, customer: str) -> Invoice:
    """One unit of the first item given back."""
    lines = (line_of(company, items_of(company)[0], -ONE),)
    return invoice_of(company, number, customer, lines, credits_number=str(credited))


# --- morning ---------------------------------------------------------------------------------


def _opening(writer: Writer, company: Company) -> Story:
    customer = customer_of(company, 1)
    yield writer.event(customer, sequence=1)
    project = project_of(company, 1, customer.number)
    yield writer.event(project, sequence=1)
    yield writer.event(_invoice(company, 1001, customer.number, project.number))


def _stale(writer: Writer) -> Story:
    """The second state comes first; the first must not undo it."""
    for company in (FJORD, VIK):
        old = customer_of(company, 2)
        new = replace(old, name=f"{old.name} (nytt navn)", phone=None)
        yield writer.event(new, sequence=2, updated=True)
        yield writer.event(old, sequence=1, about=STALE)
    old_project = project_of(NORDLYS, 2, customer_of(NORDLYS, 1).number)
    yield writer.event(replace(old_project, name="Nytt tak"), sequence=7)
    yield writer.event(old_project, sequence=6, about=STALE)


def _norwegian_at_both(writer: Writer) -> Story:
    """A customer that SpareBank 1 Regnskap takes, and whose number is no kennitala for DK+."""
    customer = customer_of(HAV, 3, country="NO")
    yield writer.event(customer)
    yield writer.event(_invoice(HAV, 1003, customer.number), about=REFUSED)


# --- midday: children before their parents ---------------------------------------------------


def _early(writer: Writer) -> tuple[list[Emission], list[Emission]]:
    children: list[Emission] = []
    parents: list[Emission] = []
    for company in COMPANIES:
        customer = customer_of(company, 10)
        project = project_of(company, 10, customer.number)
        invoice = _invoice(company, 1010, customer.number, project.number)
        credit = replace(
            _credit(company, 1011, 1010, customer.number), project_number=project.number
        )
        children += [
            writer.event(credit, about=EARLY),
            writer.event(invoice, about=EARLY),
            writer.event(project, about=EARLY),
        ]
        parents.append(writer.event(customer))
    return children, parents


# --- afternoon: stories ----------------------------------------------------------------------


def _changes(writer: Writer) -> Story:
    for company in COMPANIES:
        customer = customer_of(company, 1)
        moved = replace(customer, name=f"{customer.name} & co.", phone=None)
        yield writer.event(moved, sequence=2, updated=True, about=CHANGE)
    both = replace(customer_of(HAV, 3, country="NO"), email="faktura@customer.example")
    yield writer.event(both, updated=True, about=CHANGE)
    for company in (FJORD, VIK, HAV):
        project = project_of(company, 1, customer_of(company, 1).number)
        renamed = replace(project, name=f"{project.name}, fase 2")
        yield writer.event(renamed, sequence=2, updated=True, about=CHANGE)


def _twice(writer: Writer) -> Story:
    for company in COMPANIES:
        customer = customer_of(company, 4)
        first = writer.event(customer)
        yield first
        yield writer.event(customer, again=first.id, about=TWICE)
        invoice = _invoice(company, 1004, customer.number)
        booked = writer.event(invoice)
        yield booked
        again = writer.event(invoice, again=booked.id, mode=Mode.STRUCTURED, about=TWICE)
        yield again
        yield writer.event(invoice, about=TWICE)  # a new event that says the same
    lines = (line_of(FJORD, items_of(FJORD)[0], Decimal(99)),)
    other = invoice_of(FJORD, 1004, customer_of(FJORD, 4).number, lines)
    yield writer.event(other, about=REFUSED)
    customer = customer_of(FJORD, 5)
    first = writer.event(customer)
    yield first
    other_name = replace(customer, name="Another name under the same id")
    yield writer.event(other_name, again=first.id, about=UNREADABLE)


def _credits(writer: Writer) -> Story:
    for company in COMPANIES:
        credit = _credit(company, 1005, 1001, customer_of(company, 1).number)
        yield writer.event(credit, about=CREDIT)


def _refused(writer: Writer) -> Story:
    def wrong(*entities: Entity) -> Story:
        yield from (writer.event(entity, about=REFUSED) for entity in entities)

    outside = customer_of(FJORD, 6, number="99999")
    yield from wrong(outside, project_of(FJORD, 6, outside.number, number="1006"))
    yield from wrong(_invoice(FJORD, 1006, outside.number, "1006"))
    for company in (FJORD, HAV):
        owner = customer_of(company, 1).number
        lettered = project_of(company, 7, owner, number="P-12")
        yield from wrong(lettered, _invoice(company, 1007, owner, lettered.number))
    line = line_of(NORDLYS, items_of(NORDLYS)[0], ONE, vat_code="99")
    yield from wrong(invoice_of(NORDLYS, 1008, customer_of(NORDLYS, 1).number, (line,)))
    nameless = replace(customer_of(VIK, 8), organisation_number=None)
    yield from wrong(nameless, _invoice(VIK, 1008, nameless.number))
    yield from wrong(_invoice(NORDLYS, 1009, "139999"))  # a customer that nobody announces
    yield from wrong(replace(customer_of(FJORD, 9), company="c-9999"))


def _unreadable(writer: Writer) -> Story:
    key = lane_key(FJORD.id, customer_of(FJORD, 1).number)
    plain = Outgoing(topic="moment.customers", key=key, value=b"name;number", headers=())
    yield Emission(record=plain, about=UNREADABLE)
    yield Emission(record=replace(plain, value=None), about=UNREADABLE)
    whole = writer.event(customer_of(VIK, 1))
    nobody = replace(whole.record, value=b'{"company":"c-2001","number":"501","status":"active"}')
    yield Emission(record=nobody, about=UNREADABLE)
    kinds = {"ce_type": b"team.moment.timesheet.approved"}
    headers = tuple((name, kinds.get(name, value)) for name, value in whole.record.headers)
    yield Emission(record=replace(whole.record, headers=headers), about=UNREADABLE)


def _without_key(writer: Writer) -> Story:
    """It is put under the right key, and not lost."""
    event = writer.event(customer_of(NORDLYS, 11))
    yield replace(event, record=replace(event.record, key=None))


# --- ordinary work ---------------------------------------------------------------------------


def _bulk(writer: Writer, events: int) -> Iterator[Emission]:
    """Ordinary customers, projects and invoices, company by company in turn."""
    chance = random.Random(SEED)  # noqa: S311 - it only has to be the same every time
    packages = (
        _package(writer, company, serial, chance)
        for serial in range(BULK_CUSTOMER, BULK_CUSTOMER + events)
        for company in COMPANIES
    )
    written = 0
    for package in packages:
        for emission in package:
            if written == events:
                return
            written += 1
            yield emission


def _package(writer: Writer, company: Company, serial: int, chance: random.Random) -> Story:
    customer = customer_of(company, serial)
    yield writer.event(customer, sequence=1)
    project = project_of(company, serial, customer.number)
    yield writer.event(project)
    first = BULK_INVOICE + 10 * serial
    for offset in range(3):
        hours = str(chance.randint(2, 60) / 2)
        of_project = project.number if chance.random() < 0.7 else None  # noqa: PLR2004 - most
        yield writer.event(_invoice(company, first + offset, customer.number, of_project, hours))
    if chance.random() < 0.3:  # noqa: PLR2004 - some
        moved = replace(customer, email=f"kontor{serial}@customer.example")
        yield writer.event(moved, sequence=2, updated=True)


def _spread(bulk: list[Emission], stories: list[Emission]) -> Iterator[Emission]:
    """The stories among the ordinary, each in its own order."""
    between = max(1, len(bulk) // max(1, len(stories)))
    rest = iter(bulk)
    for story in stories:
        yield story
        yield from (emission for _, emission in zip(range(between), rest, strict=False))
    yield from rest
