"""How the demo writes events, as a producer would: entities of Moment, and records of them."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import msgspec

from schemas.cloudevents import Attributes, Mode
from schemas.codec import encode_event
from schemas.events import (
    Account,
    Address,
    Customer,
    CustomerStatus,
    Entity,
    EntityType,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
    Project,
    ProjectState,
    type_of,
)
from schemas.wire import Outgoing
from streams.ops.demo.companies import CURRENCY_RATE, HAV, VIK, Company, Item

SOURCE: Final = "/moment/demo"
DAY: Final = date(2026, 3, 2)  # the day of the demo: every invoice is of it
DUE_DAYS: Final = 14
_HUNDRED: Final = Decimal(100)
_ORGANISATION_WEIGHTS: Final = (3, 2, 7, 6, 5, 4, 3, 2)
_KENNITALA_WEIGHTS: Final = (3, 2, 7, 6, 5, 4, 3, 2)
_ELEVEN: Final = 11
_NO_CHECK_DIGIT: Final = 10

_NAMES: Final = {
    "NO": ("Solberg", "Bakken", "Lunde", "Haugen", "Moen", "Strand", "Vik", "Dahl", "Nygård"),
    "IS": ("Hekla", "Katla", "Askja", "Esja", "Snæfell", "Keilir", "Herðubreið", "Krafla"),
}
_TRADES: Final = {
    "NO": ("Eiendom AS", "Rør AS", "Elektro AS", "Barnehage SA", "Transport AS"),
    "IS": ("fasteignir ehf.", "verktakar ehf.", "hótel ehf.", "bakarí ehf."),
}
_PLACES: Final = {
    "NO": (
        ("Storgata", "0155", "Oslo"),
        ("Bryggen", "5003", "Bergen"),
        ("Sjøgata", "9008", "Tromsø"),
    ),
    "IS": (("Laugavegur", "101", "Reykjavík"), ("Hafnarstræti", "600", "Akureyri")),
}


class Emission(msgspec.Struct, frozen=True, kw_only=True):
    """One record to be sent, and what was meant by it. `entity` is None where it is no event.

    `about` is what the record is there to show; empty for ordinary ones.
    """

    record: Outgoing
    about: str = ""
    entity: Entity | None = None
    id: str = ""
    source: str = SOURCE
    sequence: int | None = None


class Writer:
    """Writes events one after another: ids are counted, and each is a second after the last."""

    def __init__(self, run: str, start: datetime) -> None:
        self._run = run
        self._now = start
        self._count = 0

    def event(
        self,
        entity: Entity,
        *,
        about: str = "",
        sequence: int | None = None,
        updated: bool = False,
        mode: Mode = Mode.BINARY,
        again: str | None = None,
    ) -> Emission:
        """The event of an entity. `again`: the id of an event that was sent before."""
        self._count += 1
        self._now += timedelta(seconds=1)
        kind = type_of(entity)
        verb = "updated" if updated else "created"
        attributes = Attributes(
            id=again or f"{self._run}-{self._count:05d}",
            source=SOURCE,
            type=f"team.moment.{kind}.{'finalized' if kind is EntityType.INVOICE else verb}",
            time=self._now,
            sequence=sequence,
        )
        return Emission(
            record=encode_event(attributes, entity, mode=mode),
            about=about,
            entity=entity,
            id=attributes.id,
            sequence=sequence,
        )


def customer_of(company: Company, serial: int, *, number: str = "", country: str = "") -> Customer:
    """An ordinary customer; the same one for the same serial."""
    country = country or company.country
    names, trades, places = _NAMES[country], _TRADES[country], _PLACES[country]
    street, postal_code, city = places[serial % len(places)]
    name = f"{names[serial % len(names)]} {serial} {trades[serial % len(trades)]}"
    return Customer(
        company=company.id,
        number=number or str(_first_number(company) + serial),
        name=name,
        status=CustomerStatus.ACTIVE,
        organisation_number=kennitala(serial) if country == "IS" else organisation_number(serial),
        email=f"post{serial}@customer.example",
        website=f"https://customer{serial}.example",
        phone=f"{'+354' if country == 'IS' else '+47'}{2_000_000 + serial}",
        currency_code=company.currency,
        country_code=country,
        address=Address(line1=f"{street} {serial}", postal_code=postal_code, city=city),
    )


def project_of(company: Company, serial: int, customer: str, *, number: str = "") -> Project:
    """An ordinary project of a customer, under way."""
    word = "Verkefni" if company.country == "IS" else "Prosjekt"
    return Project(
        company=company.id,
        number=number or str(1000 + serial),
        name=f"{word} {serial}",
        customer_number=customer,
        state=ProjectState.IN_PROGRESS,
        start_date=DAY - timedelta(days=30),
    )


def line_of(
    company: Company,
    item: Item,
    quantity: Decimal,
    *,
    discount: Decimal | None = None,
    surcharge: Decimal | None = None,
    vat_code: str | None = None,
) -> InvoiceLine:
    """A line that adds up. `vat_code` replaces that of the item's account."""
    factor = (1 + (surcharge or 0) / _HUNDRED) * (1 - (discount or 0) / _HUNDRED)
    return InvoiceLine(
        product_type=ProductType(item.type),
        product_number=item.product,
        product_name=item.text,
        description=f"{item.text}, {quantity} {item.unit}",
        unit=item.unit,
        quantity=quantity,
        unit_price=item.price,
        discount_percent=discount,
        surcharge_percent=surcharge,
        total_excl_vat=rounded(company, quantity * item.price * factor),
        vat_percent=item.vat_percent,
        vat_code=vat_code,
        account=Account(number=item.account, vat_code=item.vat_code),
    )


def invoice_of(
    company: Company,
    number: int,
    customer: str,
    lines: Sequence[InvoiceLine],
    *,
    project: str | None = None,
    credits_number: str | None = None,
) -> Invoice:
    """An invoice of the day; a credit note where `credits_number` names what it credits."""
    net = sum((line.total_excl_vat for line in lines), Decimal(0))
    vat = sum((vat_of(company, line) for line in lines), Decimal(0))
    return Invoice(
        company=company.id,
        number=str(number),
        kind=InvoiceKind.CREDIT_NOTE if credits_number else InvoiceKind.INVOICE,
        credited_invoice_number=credits_number,
        customer_number=customer,
        project_number=project,
        invoice_date=DAY,
        due_date=DAY + timedelta(days=DUE_DAYS),
        currency_code=company.currency,
        currency_rate=CURRENCY_RATE if company is HAV else None,
        payment_id=None if company is VIK else payment_id(number),
        lines=tuple(lines),
        total_excl_vat=net,
        total_vat=vat,
        total_incl_vat=net + vat,
    )


def vat_of(company: Company, line: InvoiceLine) -> Decimal:
    """The VAT of one line, in whole units of the currency's smallest coin."""
    return rounded(company, line.total_excl_vat * (line.vat_percent or 0) / _HUNDRED)


def rounded(company: Company, amount: Decimal) -> Decimal:
    """Half away from zero: whole krónur, else two digits."""
    coin = Decimal(1) if company.currency == "ISK" else Decimal("0.01")
    return amount.quantize(coin, ROUND_HALF_UP)


def organisation_number(serial: int) -> str:
    """A Norwegian organisation number with its check digit."""
    while True:
        digits = f"{91_000_000 + serial:08d}"
        check = _check_digit(digits, _ORGANISATION_WEIGHTS)
        if check != _NO_CHECK_DIGIT:
            return f"{digits}{check}"
        serial += 500_000


def kennitala(serial: int) -> str:
    """The kennitala of an Icelandic company (day plus 40) with its check digit."""
    while True:
        day, month, year = 41 + serial % 28, 1 + serial % 12, 60 + serial // 336 % 40
        digits = f"{day:02d}{month:02d}{year:02d}{20 + serial % 80:02d}"
        check = _check_digit(digits, _KENNITALA_WEIGHTS)
        if check != _NO_CHECK_DIGIT:
            return f"{digits}{check}9"
        serial += 1


def payment_id(number: int) -> str:
    """A KID with a mod 10 check digit."""
    doubled = [
        sum(divmod(int(digit) * (2 - place % 2), 10))
        for place, digit in enumerate(reversed(str(number)))
    ]
    return f"{number}{-sum(doubled) % 10}"


def _check_digit(digits: str, weights: Sequence[int]) -> int:
    total = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True))
    return -total % _ELEVEN


def _first_number(company: Company) -> int:
    return 500 if company is VIK else 100_000 + 20_000 * int(company.id[-1])
