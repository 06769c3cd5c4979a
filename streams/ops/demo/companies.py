"""Who takes part in the demo: four companies of Moment, five integrations, and what they sell."""

from decimal import Decimal
from enum import StrEnum
from typing import Final

import msgspec

# What SpareBank 1 Regnskap takes (contract moment).
CUSTOMER_NUMBER_FROM: Final = 100_000
CUSTOMER_NUMBER_TO: Final = 199_999
SALES_PERSON: Final = "web"
CLIENT_ID: Final = "moment-sync-demo"


class Kind(StrEnum):
    """An accounting system, as the integrations file names it."""

    SPAREBANK1 = "sparebank1"
    DKPLUS = "dkplus"


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """One integration and the books that it writes to.

    `key` is what the simulator calls the books; a SpareBank 1 company key, or a word for DK+.
    """

    id: str
    company: str
    kind: Kind
    key: str
    language: str
    currency: str
    bank: str = ""
    first_invoice_number: int = 1


class Company(msgspec.Struct, frozen=True, kw_only=True):
    """A company of Moment. `currency` is what it invoices in."""

    id: str
    name: str
    currency: str
    country: str
    books: tuple[Books, ...]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is invoiced: how Moment says it, its account, its VAT code and its rate."""

    type: str
    product: str
    text: str
    unit: str
    account: str
    vat_code: str
    vat_percent: Decimal
    price: Decimal


FJORD: Final = Company(
    id="c-1001",
    name="Fjord Rådgivning AS",
    currency="NOK",
    country="NO",
    books=(
        Books(
            id="fjord-sb1",
            company="c-1001",
            kind=Kind.SPAREBANK1,
            key="3f0c2a52-0a5e-4d0e-9d32-3f2a1f8d8b11",
            language="nb",
            currency="NOK",
            bank="sb1ostlandet",
        ),
    ),
)
NORDLYS: Final = Company(
    id="c-1002",
    name="Nordlys Bygg AS",
    currency="NOK",
    country="NO",
    books=(
        Books(
            id="nordlys-sb1",
            company="c-1002",
            kind=Kind.SPAREBANK1,
            key="7a1d9c04-51b2-4c77-8e1f-0c6b8a2d4e22",
            language="en",
            currency="NOK",
            bank="smn",
        ),
    ),
)
VIK: Final = Company(
    id="c-2001",
    name="Vík hönnun ehf.",
    currency="ISK",
    country="IS",
    books=(
        Books(
            id="vik-dk",
            company="c-2001",
            kind=Kind.DKPLUS,
            key="vik",
            language="is",
            currency="ISK",
            first_invoice_number=20_311,
        ),
    ),
)
HAV: Final = Company(
    id="c-3001",
    name="Hav & Hraun AS",
    currency="NOK",
    country="IS",
    books=(
        Books(
            id="hav-sb1",
            company="c-3001",
            kind=Kind.SPAREBANK1,
            key="c58e61b7-2f4b-4a0d-b1c9-6d3e9f7a5c33",
            language="en",
            currency="NOK",
            bank="sb1ostlandet",
        ),
        Books(
            id="hav-dk",
            company="c-3001",
            kind=Kind.DKPLUS,
            key="hav",
            language="en",
            currency="ISK",
            first_invoice_number=7_001,
        ),
    ),
)
COMPANIES: Final = (FJORD, NORDLYS, VIK, HAV)
EVERY_BOOKS: Final = tuple(books for company in COMPANIES for books in company.books)

# Krónur for one krone: what Hav & Hraun invoices in NOK is told in ISK to DK+.
CURRENCY_RATE: Final = Decimal("13.25")

_HIGH: Final = Decimal(25)
_LOW: Final = Decimal(12)
_NORWAY: Final = (
    Item(
        type="hours",
        product="RADG",
        text="Rådgivning",
        unit="timer",
        account="3010",
        vat_code="3",
        vat_percent=_HIGH,
        price=Decimal(1450),
    ),
    Item(
        type="products",
        product="SENSOR",
        text="Fuktsensor",
        unit="stk",
        account="3000",
        vat_code="3",
        vat_percent=_HIGH,
        price=Decimal("389.90"),
    ),
    Item(
        type="expenses",
        product="REISE",
        text="Reise Oslo-Bergen",
        unit="stk",
        account="3040",
        vat_code="33",
        vat_percent=_LOW,
        price=Decimal("2240.50"),
    ),
)
_ICELAND: Final = (
    Item(
        type="hours",
        product="HONNUN",
        text="Hönnun",
        unit="klst",
        account="1010",
        vat_code="24",
        vat_percent=Decimal(24),
        price=Decimal(18_500),
    ),
    Item(
        type="products",
        product="PAPPIR",
        text="Teikningar á pappír",
        unit="stk",
        account="1020",
        vat_code="24",
        vat_percent=Decimal(24),
        price=Decimal(1_990),
    ),
    Item(
        type="expenses",
        product="FERD",
        text="Ferð til Akureyrar",
        unit="stk",
        account="1030",
        vat_code="11",
        vat_percent=Decimal(11),
        price=Decimal(42_600),
    ),
)


def items_of(company: Company) -> tuple[Item, ...]:
    """What a company invoices: hours first, then products, then expenses."""
    return _ICELAND if company is VIK else _NORWAY


# The VAT codes that the simulated books of SpareBank 1 Regnskap know and that are sales.
SALES_VAT_CODES: Final = frozenset({"3", "31", "32", "33", "5", "51", "52", "6", "7"})
