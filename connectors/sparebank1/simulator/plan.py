"""What a new company's books hold: a few NS 4102 accounts, VAT types, currencies, series.

Contract sparebank1-regnskap 2.4, 4.4, 5.
"""

from datetime import datetime
from decimal import Decimal

from connectors.sparebank1.simulator.books import Books, Row
from connectors.sparebank1.simulator.settings import CompanyConfig

RECEIVABLES = 1500
VALID_FROM = "2016-01-01"  # the day of the last change of the low rate in the built-in table

# number, name, VAT code that the account suggests
ACCOUNTS: tuple[tuple[int, str, str | None], ...] = (
    (1500, "Kundefordringer", None),
    (1920, "Bankinnskudd", None),
    (2400, "Leverandørgjeld", None),
    (2700, "Utgående merverdiavgift, høy sats", None),
    (2701, "Utgående merverdiavgift, middels sats", None),
    (2702, "Utgående merverdiavgift, lav sats", None),
    (2710, "Inngående merverdiavgift", None),
    (3000, "Salgsinntekt handelsvarer, avgiftspliktig", "3"),
    (3010, "Salgsinntekt timer, avgiftspliktig", "3"),
    (3020, "Viderefakturerte utlegg, avgiftspliktig", "3"),
    (3030, "Salgsinntekt, middels sats", "31"),
    (3040, "Salgsinntekt, lav sats", "33"),
    (3100, "Salgsinntekt, avgiftsfri", "5"),
    (3200, "Salgsinntekt, utenfor avgiftsområdet", "6"),
    (3900, "Annen driftsrelatert inntekt", None),
    (4300, "Varekostnad", "1"),
    (7740, "Øreavrunding", None),
    (8160, "Valutatap", None),
)
# code, name, rate, output?, VAT account
VAT_TYPES: tuple[tuple[str, str, str, bool, int | None], ...] = (
    ("0", "Ingen avgiftsbehandling (anskaffelser)", "0", False, None),
    ("1", "Inngående avgift, høy sats", "25", False, 2710),
    ("11", "Inngående avgift, middels sats", "15", False, 2710),
    ("12", "Inngående avgift, råfisk", "11.11", False, 2710),
    ("13", "Inngående avgift, lav sats", "12", False, 2710),
    ("3", "Utgående avgift, høy sats", "25", True, 2700),
    ("31", "Utgående avgift, middels sats", "15", True, 2701),
    ("32", "Utgående avgift, råfisk", "11.11", True, 2701),
    ("33", "Utgående avgift, lav sats", "12", True, 2702),
    ("5", "Avgiftsfri innenlands omsetning", "0", True, None),
    ("51", "Innenlands omsetning med omvendt avgiftsplikt", "0", True, None),
    ("52", "Utførsel av varer og tjenester", "0", True, None),
    ("6", "Omsetning utenfor avgiftsloven", "0", True, None),
    ("7", "Ingen avgiftsbehandling (inntekter)", "0", True, None),
)
CURRENCIES = (
    ("SEK", "Svenske kroner"),
    ("NOK", "Norske kroner"),
    ("EUR", "Euro"),
    ("USD", "Amerikanske dollar"),
    ("DKK", "Danske kroner"),
    ("GBP", "Britiske pund"),
    ("ISK", "Islandske kroner"),
)
_SERIES_TYPES = ("Customer", "Supplier", "Project", "JournalEntry")


def set_up(books: Books, config: CompanyConfig, now: datetime) -> None:
    """Fill empty books as a company has them on its first day."""
    for code, name in CURRENCIES:
        books.make("CurrencyCode", {"Code": code, "ShortCode": code, "Name": name}, now)
    types = {t: _series_type(books, t, now) for t in _SERIES_TYPES}
    for number, name, _ in ACCOUNTS:
        mend_account(books, {"AccountNumber": number, "AccountName": name}, now)
    for code, name, rate, output, account in VAT_TYPES:
        values = {"VatCode": code, "Name": name, "OutputVat": output, "VatPercent": Decimal(rate)}
        mend_vat_type(books, values | {"account": account}, now)
    for number, _, vat_code in ACCOUNTS:
        mend_account(books, {"AccountNumber": number, "vatCode": vat_code}, now)
    for extra in config.accounts:
        values = {"AccountNumber": extra.number, "AccountName": extra.name or str(extra.number)}
        values |= {"Locked": extra.locked, "LockManualPosts": extra.lock_manual_posts}
        mend_account(books, values | {"vatCode": extra.vat_code}, now)
    _customer_series(books, config, types, now)
    _settings(books, config, now)


def _series_type(books: Books, entity_type: str, now: datetime) -> Row:
    values = {"Name": f"{entity_type} number series", "EntityType": entity_type, "System": True}
    return books.make("NumberSeriesType", values | {"Yearly": entity_type == "JournalEntry"}, now)


def _customer_series(
    books: Books, config: CompanyConfig, types: dict[str, Row], now: datetime
) -> None:
    receivables = account(books, RECEIVABLES)
    rows = (
        ("Supplier", 200_000, 299_999, account(books, 2400)),
        ("Project", 1, 999_999_999, None),
        ("Customer", config.customers_from, config.customers_to, receivables),
    )
    for entity_type, first, last, main in rows:
        values = {
            "Name": f"{entity_type} number series",
            "FromNumber": first,
            "ToNumber": last,
            "NextNumber": first,
            "NumberSeriesTypeID": types[entity_type]["ID"],
            "MainAccountID": main["ID"] if main else None,
            "System": True,
        }
        books.make("NumberSeries", values, now)


def _settings(books: Books, config: CompanyConfig, now: datetime) -> None:
    base = books.table("CurrencyCode").where("Code", config.base_currency)
    if not base:
        raise ValueError(f"base_currency {config.base_currency} is not in the simulator's list")
    receivables, sales = account(books, RECEIVABLES), account(books, 3000)
    values = {
        "ID": 1,
        "CompanyName": config.name,
        "OrganizationNumber": config.organisation_number,
        "BaseCurrencyCodeID": base[0]["ID"],
        "CustomerAccountID": receivables["ID"] if receivables else None,
        "DefaultSalesAccountID": sales["ID"] if sales else None,
        "CustomerCreditDays": 14,
        "AccountingLockedDate": config.accounting_locked_date,
        "VatLockedDate": config.vat_locked_date,
        "TaxMandatory": True,
        "RoundingNumberOfDecimals": 2,
        "ShowNumberOfDecimals": 2,
    }
    books.make("CompanySettings", values, now)


def account(books: Books, number: int) -> Row | None:
    """The account with this printed number, sub-accounts too; None where there is none."""
    rows = books.table("Account").where("AccountNumber", number)
    return rows[0] if rows else None


def mend_account(books: Books, values: Row, now: datetime) -> Row:
    """Make the account AccountNumber, or change the one there is. `vatCode` names its VAT type."""
    values = dict(values)
    vat_code = values.pop("vatCode", None)
    if vat_code is not None:
        values["VatTypeID"] = vat_type(books, vat_code)["ID"]
    found = account(books, values["AccountNumber"])
    if found is not None:
        return books.change("Account", found, values, now)
    blanks = {"AccountName": str(values["AccountNumber"]), "Active": True, "Visible": True}
    open_items = {"UsePostPost": values["AccountNumber"] in {RECEIVABLES, 2400}}
    return books.make("Account", blanks | open_items | values, now)


def vat_type(books: Books, code: str) -> Row:
    """The VAT type with this code; KeyError where there is none."""
    for row in books.table("VatType").where("VatCode", code):
        return row
    raise KeyError(f"no VAT type {code}")


def mend_vat_type(books: Books, values: Row, now: datetime) -> Row:
    """Make the VAT type VatCode, or change the one there is.

    `account` is the printed number of its VAT account; `VatPercent` with `ValidFrom` and
    `ValidTo` becomes its one period of validity.
    """
    values = dict(values)
    valid = {
        "ValidFrom": values.pop("ValidFrom", VALID_FROM),
        "ValidTo": values.pop("ValidTo", None),
    }
    main = account(books, values.pop("account", None) or 0)
    if main is not None:
        values |= {"OutgoingAccountID": main["ID"], "IncomingAccountID": main["ID"]}
    found = books.table("VatType").where("VatCode", values["VatCode"])
    if found:
        row = books.change("VatType", found[0], values, now)
    else:
        row = books.make("VatType", {"Visible": True} | values, now)
    periods = books.table("VatTypePercentage").where("VatTypeID", row["ID"])
    if "VatPercent" in values or not periods:
        percent = Decimal(str(row["VatPercent"] or 0))
        period = valid | {"VatTypeID": row["ID"], "VatPercent": percent}
        if periods:
            books.change("VatTypePercentage", periods[0], period, now)
        else:
            books.make("VatTypePercentage", period, now)
    return row
