"""The entities of the simulated platform: their fields, relations and routes.

Field names come from the vendor's 2019 description and, where that lacks them, from contract
sparebank1-regnskap 2.2, 3, 4.2, 5 and 12.11. A test compares them with a table of names.
"""

import msgspec

# Ids of different entities never meet, nor any printed number: a mix-up always fails (section 10).
ID_SPACE = 1_000_000
# Companies of one simulator do not share ids either.
COMPANY_SPACE = 50_000


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """How one entity reaches another. Forward: our `fk` holds its ID. Back: its `fk` holds ours.

    `owned` relations may be written through the parent, as nested objects.
    """

    entity: str
    fk: str
    back: bool = False
    many: bool = False
    owned: bool = False


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One entity. `fields` maps names to `int`, `text`, `bool`, `date`, `time`, `money`, `number`.

    `keys` are foreign keys that writers may send, with the entity they must exist in.
    """

    name: str
    space: int
    fields: dict[str, str]
    relations: dict[str, Relation] = {}
    route: str | None = None
    keys: dict[str, str] = {}
    indexed: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


# Set by the platform, whatever a writer sends.
SYSTEM_FIELDS = frozenset({"ID", "CreatedAt", "CreatedBy", "UpdatedAt", "UpdatedBy", "Deleted"})
_COMMON = (
    "ID:int Deleted:bool StatusCode:int CreatedAt:time CreatedBy:text UpdatedAt:time UpdatedBy:text"
)


def _fields(**names: str) -> dict[str, str]:
    fields = dict(pair.split(":") for pair in _COMMON.split())
    fields.update({name: kind for kind, group in names.items() for name in group.split()})
    return fields


def _one(entity: str, fk: str, *, owned: bool = False) -> Relation:
    return Relation(entity=entity, fk=fk, owned=owned)


def _many(entity: str, fk: str, *, owned: bool = False) -> Relation:
    return Relation(entity=entity, fk=fk, back=True, many=True, owned=owned)


_CUSTOMER = Entity(
    name="Customer",
    space=2,
    route="customers",
    fields=_fields(
        int="CustomerNumber CurrencyCodeID CreditDays PaymentTermsID DeliveryTermsID DimensionsID "
        "DefaultSellerID DefaultDistributionsID VatTypeID SubAccountNumberSeriesID "
        "BusinessRelationID FactoringNumber",
        text="OrgNumber WebUrl GLN PeppolAddress Localization ReminderEmailAddress "
        "CustomerNumberKidAlias SocialSecurityNumber EfakturaIdentifier EInvoiceAgreementReference",
        bool="IsPrivate AvtaleGiro DontSendReminders",
    ),
    relations={
        "Info": _one("BusinessRelation", "BusinessRelationID", owned=True),
        "Account": Relation(entity="Account", fk="CustomerID", back=True),
        "Dimensions": _one("Dimensions", "DimensionsID"),
    },
    keys={
        "CurrencyCodeID": "CurrencyCode",
        "VatTypeID": "VatType",
        "SubAccountNumberSeriesID": "NumberSeries",
        "PaymentTermsID": "Terms",
        "DeliveryTermsID": "Terms",
        "DefaultSellerID": "Seller",
        "BusinessRelationID": "BusinessRelation",
        "DimensionsID": "Dimensions",
    },
    indexed=("CustomerNumber", "OrgNumber"),
    required=("CustomerNumber",),
)
_BUSINESS_RELATION = Entity(
    name="BusinessRelation",
    space=3,
    fields=_fields(
        text="Name",
        int="DefaultEmailID DefaultPhoneID InvoiceAddressID ShippingAddressID",
    ),
    relations={
        "DefaultEmail": _one("Email", "DefaultEmailID", owned=True),
        "DefaultPhone": _one("Phone", "DefaultPhoneID", owned=True),
        "InvoiceAddress": _one("Address", "InvoiceAddressID", owned=True),
        "ShippingAddress": _one("Address", "ShippingAddressID", owned=True),
        "Emails": _many("Email", "BusinessRelationID", owned=True),
        "Phones": _many("Phone", "BusinessRelationID", owned=True),
        "Addresses": _many("Address", "BusinessRelationID", owned=True),
    },
    keys={
        "DefaultEmailID": "Email",
        "DefaultPhoneID": "Phone",
        "InvoiceAddressID": "Address",
        "ShippingAddressID": "Address",
    },
    required=("Name",),
)
_EMAIL = Entity(
    name="Email",
    space=4,
    fields=_fields(text="EmailAddress Type Description", int="BusinessRelationID"),
    indexed=("BusinessRelationID",),
)
_PHONE = Entity(
    name="Phone",
    space=5,
    fields=_fields(text="CountryCode Number Description", int="Type BusinessRelationID"),
    indexed=("BusinessRelationID",),
)
_ADDRESS = Entity(
    name="Address",
    space=6,
    fields=_fields(
        text="AddressLine1 AddressLine2 AddressLine3 PostalCode City Country CountryCode Region",
        int="BusinessRelationID",
    ),
    indexed=("BusinessRelationID",),
)
_PROJECT = Entity(
    name="Project",
    space=7,
    route="projects",
    fields=_fields(
        text="Name ProjectNumber Description ProjectLeadName",
        int="ProjectNumberNumeric ProjectNumberSeriesID ProjectCustomerID DimensionsID "
        "WorkPlaceAddressID ProjectApproverID AGAZoneID",
        date="StartDate EndDate PlannedStartdate PlannedEnddate",
        number="Amount Price CostPrice Total",
        bool="Visible",
    ),
    relations={"ProjectCustomer": _one("Customer", "ProjectCustomerID")},
    keys={
        "ProjectCustomerID": "Customer",
        "ProjectNumberSeriesID": "NumberSeries",
        "DimensionsID": "Dimensions",
        "WorkPlaceAddressID": "Address",
    },
    indexed=("ProjectNumber", "ProjectCustomerID"),
    required=("Name", "ProjectNumber"),
)
_ACCOUNT = Entity(
    name="Account",
    space=8,
    route="accounts",
    fields=_fields(
        int="AccountNumber AccountID CustomerID SupplierID EmployeeID VatTypeID "
        "UseVatDeductionGroupID CurrencyCodeID SaftMappingAccountID",
        text="AccountName",
        bool="Active Visible SystemAccount UsePostPost Locked LockManualPosts",
    ),
    relations={
        "MainAccount": _one("Account", "AccountID"),
        "VatType": _one("VatType", "VatTypeID"),
        "Customer": _one("Customer", "CustomerID"),
        "SubAccounts": _many("Account", "AccountID"),
    },
    indexed=("AccountNumber", "CustomerID", "AccountID"),
)
_VAT_TYPE = Entity(
    name="VatType",
    space=9,
    route="vattypes",
    fields=_fields(
        text="VatCode Name Alias VatCodeGroupingValue",
        int="OutgoingAccountID IncomingAccountID VatCodeGroupID",
        bool="OutputVat Locked Visible DirectJournalEntryOnly InUse ReversedTaxDutyVat",
        number="VatPercent",
    ),
    relations={
        "VatTypePercentages": _many("VatTypePercentage", "VatTypeID"),
        "OutgoingAccount": _one("Account", "OutgoingAccountID"),
        "IncomingAccount": _one("Account", "IncomingAccountID"),
    },
    indexed=("VatCode",),
)
_VAT_TYPE_PERCENTAGE = Entity(
    name="VatTypePercentage",
    space=10,
    fields=_fields(int="VatTypeID", number="VatPercent", date="ValidFrom ValidTo"),
    indexed=("VatTypeID",),
)
_CURRENCY_CODE = Entity(
    name="CurrencyCode",
    space=11,
    route="currencycodes",
    fields={
        name: kind
        for name, kind in _fields(text="Code Name ShortCode Description").items()
        if name != "StatusCode"  # the one entity without
    },
    indexed=("Code",),
)
_NUMBER_SERIES_TYPE = Entity(
    name="NumberSeriesType",
    space=12,
    fields=_fields(text="Name EntityType EntityField EntitySeriesIDField", bool="System Yearly"),
)
_NUMBER_SERIES = Entity(
    name="NumberSeries",
    space=13,
    route="number-series",
    fields=_fields(
        text="Name DisplayName Comment",
        int="FromNumber ToNumber NextNumber AccountYear MainAccountID NumberSeriesTypeID "
        "NumberSeriesTaskID UseNumbersFromNumberSeriesID",
        bool="Disabled Empty IsDefaultForTask System NumberLock",
    ),
    relations={
        "NumberSeriesType": _one("NumberSeriesType", "NumberSeriesTypeID"),
        "MainAccount": _one("Account", "MainAccountID"),
    },
)
_COMPANY_SETTINGS = Entity(
    name="CompanySettings",
    space=0,
    route="companysettings",
    fields=_fields(
        text="CompanyName OrganizationNumber WebAddress",
        int="BaseCurrencyCodeID CustomerAccountID CustomerCreditDays DefaultSalesAccountID "
        "SupplierAccountID RoundingType RoundingNumberOfDecimals ShowNumberOfDecimals",
        date="AccountingLockedDate VatLockedDate",
        bool="TaxMandatory UseFinancialDateToCalculateVatPercent",
    ),
)
_DIMENSIONS = Entity(
    name="Dimensions",
    space=14,
    fields=_fields(int="ProjectID DepartmentID ProjectTaskID RegionID ResponsibleID"),
    keys={"ProjectID": "Project", "DepartmentID": "Department"},
)
_FINANCIAL_YEAR = Entity(
    name="FinancialYear",
    space=15,
    fields=_fields(int="Year", date="ValidFrom ValidTo"),
    indexed=("Year",),
)
_JOURNAL_ENTRY = Entity(
    name="JournalEntry",
    space=16,
    route="journalentries",
    fields=_fields(
        text="JournalEntryNumber Description ExternalReference ExternalSource",
        int="JournalEntryNumberNumeric FinancialYearID NumberSeriesID NumberSeriesTaskID",
    ),
    relations={
        "Lines": _many("JournalEntryLine", "JournalEntryID"),
        "DraftLines": _many("JournalEntryLineDraft", "JournalEntryID"),
    },
    keys={"NumberSeriesID": "NumberSeries"},
    indexed=("JournalEntryNumber", "ExternalReference"),
)
_LINE_TEXT = "Description InvoiceNumber PaymentID JournalEntryNumber"
_LINE_INT = (
    "AccountID SubAccountID CurrencyCodeID VatTypeID JournalEntryTypeID DimensionsID "
    "JournalEntryID JournalEntryNumberNumeric PeriodID VatPeriodID CustomerInvoiceID"
)
_LINE_KEYS = {
    "AccountID": "Account",
    "CurrencyCodeID": "CurrencyCode",
    "VatTypeID": "VatType",
    "SubAccountID": "Account",
    "DimensionsID": "Dimensions",
    "CustomerInvoiceID": "CustomerInvoice",
}
_LINE_MONEY = "Amount AmountCurrency TaxBasisAmount TaxBasisAmountCurrency"
_LINE_DATES = "FinancialDate VatDate DueDate RegisteredDate"
_LINE = Entity(
    name="JournalEntryLine",
    space=17,
    route="journalentrylines",
    fields=_fields(
        text=_LINE_TEXT,
        int=_LINE_INT
        + " VatJournalEntryPostID ReferenceCreditPostID OriginalReferencePostID"
        + " JournalEntryLineDraftID",
        money=_LINE_MONEY + " RestAmount RestAmountCurrency",
        number="CurrencyExchangeRate VatPercent",
        date=_LINE_DATES,
    ),
    relations={
        "SubAccount": _one("Account", "SubAccountID"),
        "JournalEntry": _one("JournalEntry", "JournalEntryID"),
        "Dimensions": _one("Dimensions", "DimensionsID"),
    },
    indexed=("InvoiceNumber", "JournalEntryID", "SubAccountID", "JournalEntryNumber"),
)
_DRAFT = Entity(
    name="JournalEntryLineDraft",
    space=18,
    fields=_fields(
        text=_LINE_TEXT,
        int=_LINE_INT,
        money=_LINE_MONEY,
        number="CurrencyExchangeRate VatPercent",
        date=_LINE_DATES,
        bool="IsExternal",
    ),
    relations={"Dimensions": _one("Dimensions", "DimensionsID", owned=True)},
    keys=_LINE_KEYS,
    indexed=("JournalEntryID",),
)

ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        _CUSTOMER,
        _BUSINESS_RELATION,
        _EMAIL,
        _PHONE,
        _ADDRESS,
        _PROJECT,
        _ACCOUNT,
        _VAT_TYPE,
        _VAT_TYPE_PERCENTAGE,
        _CURRENCY_CODE,
        _NUMBER_SERIES_TYPE,
        _NUMBER_SERIES,
        _COMPANY_SETTINGS,
        _DIMENSIONS,
        _FINANCIAL_YEAR,
        _JOURNAL_ENTRY,
        _LINE,
        _DRAFT,
    )
}
ROUTES: dict[str, Entity] = {e.route: e for e in ENTITIES.values() if e.route is not None}

# Longest texts, in characters (sections 2.2, 3, 4.3); what is longer is refused.
MAX_LENGTHS: dict[tuple[str, str], int] = {
    ("Customer", "OrgNumber"): 100,
    ("Customer", "WebUrl"): 255,
    ("BusinessRelation", "Name"): 255,
    **{("Address", f"AddressLine{n}"): 255 for n in (1, 2, 3)},
    **{("Address", name): 100 for name in ("PostalCode", "City", "Country", "CountryCode")},
    ("Project", "Name"): 255,
    ("Project", "ProjectNumber"): 255,
    ("Project", "Description"): 500,
    ("JournalEntry", "Description"): 200,
    ("JournalEntryLineDraft", "Description"): 500,
    ("JournalEntryLineDraft", "InvoiceNumber"): 100,
    ("JournalEntryLineDraft", "PaymentID"): 255,
}

# Statuses (sections 2.2, 3, 4.7).
CUSTOMER_ACTIVE, CUSTOMER_INACTIVE, CUSTOMER_DELETED = 30001, 50001, 90001
REGISTERED, OFFER, IN_PROGRESS, COMPLETED, DISCARDED = 42201, 42202, 42203, 42204, 42205
DRAFT_JOURNALED, DRAFT_CREDITED = 34001, 34002
LINE_OPEN, LINE_CREDITED = 31001, 31004
INT32_MAX = 2**31 - 1  # the platform's integers
