"""The members of dkPlus' models, spelt as the contract spells them (dkplus A2 to A5).

A body is read leniently, as Json.NET does: unknown members fall away, numbers may come as text.
What a member must be is one word: text, flag, number, date, list, object, code (text or number).
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any


def _table(**kinds: str) -> dict[str, str]:
    return {name: kind for kind, names in kinds.items() for name in names.split()}


# SSNumber and City are not in the documented model, yet running connectors send them.
CUSTOMER = _table(
    text=(
        "Number Name Alias Address1 Address2 Address3 ZipCode Phone PhoneLocal PhoneMobile"
        " PhoneFax CountryCode OriginCountryCode Email Password Group SalesPerson PaymentTerm"
        " PaymentMode CurrencyCode LedgerCode SSNumber City"
    ),
    number="RecordID BalanceAmount Discount PriceGroup BillingFee",
    flag="UseItemRecivers NoVat Blocked Deleted",
    code="Gender",
    date="Modified",
    list="Contacts Recivers Memos Properties Changes Attachments",
    object="Conditions SendTo",
)
PROJECT = _table(
    text=(
        "Number Name CustomerToBill CustomerNameToBill CustomerToRecieve Group MasterJobNumber"
        " Owner Supervisor Worker Dim1 Dim2 Dim3 LedgerCode"
    ),
    number="JobDiscountPercent QuotationAmount QuotationAmountWithVAT",
    flag="SkipTaxOnInvoice",
    code="JobType JobStatus JobBillingMode DiscountType",
    date=(
        "FoundingDate EstimatedBeginingDate EstimatedFinishDate ActualBeginingDate"
        " ActualFinishDate Modified"
    ),
    list="LinkedPhases LinkedTasks",
)
INVOICE = _table(
    text="Reference Text1 Text2 Term Mode Currency SalesPerson Project",
    number="Exchange",
    code="SaleType",
    date="Date DueDate",
    list="Lines Payments",
    object="Customer Options Attachment Receiver Contact Properties",
)
INVOICE_CUSTOMER = _table(
    text="Number Name SSN Phone Address1 Address2 Address3 Address4 ZipCode Country Email",
    code="OrderNumber",
    date="OrderDate",
)
INVOICE_LINE = _table(
    text="ItemCode Warehouse Text Text2 Reference Dim1 Memo",
    number="Quantity Price Discount DiscountAmount Total",
    flag="IncludingVAT",
    list="Variations",
    object="Properties",
)
INVOICE_PARTS: Mapping[str, dict[str, str]] = {
    "Options": _table(flag="OriginalPrices IsPrescription"),
    "Attachment": _table(text="Name Content"),
    "Receiver": _table(
        text=(
            "Number Name Address1 Address2 Address3 ZipCode Phone Mobile CountryCode City Contact"
        )
    ),
    "Contact": _table(text="Number Name"),
    "Customer": INVOICE_CUSTOMER,
}
PRODUCT = _table(
    text=(
        "ItemCode Description Description2 Group UnitCode SalesTaxCode SalesLedgerCode"
        " PurchaseTaxCode PurchaseLedgerCode CurrencyCode Dim1 Dim2 Dim3"
    ),
    number=(
        "RecordID TaxPercent UnitPrice1 UnitPrice2 UnitPrice3 UnitPrice1WithTax UnitPrice2WithTax"
        " UnitPrice3WithTax CostPrice PurchasePrice MaxDiscountAllowed Discount"
    ),
    flag="Inactive AllowDiscount ShowItemInWebShop AllowNegativeInventiry Deleted",
    code="ItemClass CostMethod",
    list="Warehouses CurrencyPrices Units",
    object="Price1 Price2 Price3",
)

SALE_TYPES = ("Debit", "Credit", "ReturnSale", "DebitComputation", "CreditComputation")
PROJECT_ENUMS: Mapping[str, tuple[str, ...]] = {
    "JobType": ("_cbTimeJob", "_cbServiceJob", "_cbQuotationJob", "_cbInHouseJob"),
    "JobStatus": ("NotStarted", "InProgress", "InWaiting", "Finished", "Ready"),
    "JobBillingMode": ("Monthly", "Finished", "Irregulary", "Bill", "Warranty"),
    "DiscountType": ("CustomerDiscount", "JobDiscount", "NoDiscount"),
}

NUMBER_LIMIT = Decimal(10) ** 12  # so that quantity * price keeps to the 28 digits of Decimal

ModelState = dict[str, list[str]]


def enum_number(names: tuple[str, ...], value: Any) -> int | None:
    """The integer of an enum written by name or as integer; None where it is neither."""
    if isinstance(value, str) and value in names:
        return names.index(value)
    number = as_decimal(value)
    if number is None or number not in range(len(names)):
        return None
    return int(number)


def as_decimal(value: Any) -> Decimal | None:
    """A JSON number or a text that reads as one; None for anything else, NaN included."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < NUMBER_LIMIT else None


def as_moment(value: Any) -> datetime | None:
    """An ISO 8601 date or time, taken as UTC where it says nothing; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def as_day(value: Any) -> date | None:
    """The day of an ISO 8601 date or time; None for anything else."""
    moment = as_moment(value)
    return None if moment is None else moment.date()


def _read(kind: str, value: Any) -> Any:
    if kind == "text":
        return value if isinstance(value, str) else str(value) if _plain(value) else None
    if kind == "number":
        return as_decimal(value)
    if kind == "flag":
        return value if isinstance(value, bool) else None
    if kind == "date":
        return value if as_moment(value) else None
    if kind == "list":
        return value if isinstance(value, list | dict) else None  # Properties is an object at times
    if kind == "object":
        return value if isinstance(value, dict) else None
    return value if isinstance(value, str) or _plain(value) else None


def _plain(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def read_body(
    body: Mapping[str, Any], table: Mapping[str, str], path: str
) -> tuple[dict[str, Any], ModelState]:
    """The known members of a body and what ASP.NET would say of the ones it cannot read.

    Members that are null are left out: Json.NET leaves the model's default. Pure.
    """
    known: dict[str, Any] = {}
    wrong: ModelState = {}
    for name, value in body.items():
        if name not in table or value is None:
            continue
        read = _read(table[name], value)
        if read is None:
            wrong[f"{path}.{name}"] = [f"The value is not valid for {name}."]
        else:
            known[name] = read
    return known, wrong


def unknown_members(body: Mapping[str, Any], table: Mapping[str, str]) -> list[str]:
    """The names in a body that the contract does not have, as they were written."""
    return [name for name in body if name not in table]


def kennitala_digits(text: str) -> str:
    """The text without dashes and spaces."""
    return text.replace("-", "").replace(" ", "")


KENNITALA_LENGTH = 10
_KENNITALA_WEIGHTS = (3, 2, 7, 6, 5, 4, 3, 2)
_ELEVEN = 11


def kennitala_holds(text: str) -> bool:
    """Whether ten digits carry the check digit of the old rule (contract dkplus A7)."""
    digits = kennitala_digits(text)
    if len(digits) != KENNITALA_LENGTH or not digits.isdecimal():
        return False
    total = sum(w * int(d) for w, d in zip(_KENNITALA_WEIGHTS, digits, strict=False))
    return (_ELEVEN - total % _ELEVEN) % _ELEVEN == int(digits[8])
