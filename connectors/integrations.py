"""One accounting system set up for one company, as its settings say it.

Only the shape; reading and refusing a file is `streams/integrations_file.py`'s. Secrets are
named here by where they are kept (a file or an environment variable), never held.
"""

from enum import StrEnum

import msgspec

from connectors.systems import System as System  # noqa: PLC0414 - part of an integration's shape
from schemas.events import EntityType


class DataType(StrEnum):
    """What an integration may carry; each can be switched off."""

    CUSTOMERS = "customers"
    PROJECTS = "projects"
    INVOICES = "invoices"


# The data type that switches an entity type on or off.
DATA_TYPE = {
    EntityType.CUSTOMER: DataType.CUSTOMERS,
    EntityType.PROJECT: DataType.PROJECTS,
    EntityType.INVOICE: DataType.INVOICES,
}


class Language(StrEnum):
    """The languages that failures are told in."""

    EN = "en"
    NB = "nb"
    IS = "is"


class VoucherNumber(StrEnum):
    """Who numbers a voucher (contract sparebank1-regnskap section 12.3)."""

    SERVER = "server"
    PAYMENT_ID = "payment-id"


class ItemCodeSource(StrEnum):
    """Where the item code of an invoice line in DK+ is taken from."""

    PRODUCT_NUMBER = "productNumber"
    EXTERNAL_REVENUE_CLASS = "externalRevenueClass"
    VAT_CODE = "vatCode"


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """Where a secret is kept: exactly one of the two is set. Read anew when it rotates."""

    file: str | None = None
    env: str | None = None


class PlatformClient(msgspec.Struct, frozen=True, kw_only=True):
    """Our client at the Unimicro platform: its id and where its private key (PEM) is kept."""

    client_id: str
    key: Secret
    scope: str = "AppFramework"


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[integrations]]` table, checked. `base_url` and `identity_url` carry no final slash.

    SpareBank 1: `base_url` is `scheme://host[:port]` without `/api`; DK+: it includes `/api/v1`.
    """

    id: str
    company: str
    system: System
    base_url: str
    data: frozenset[DataType]
    notify: str
    language: Language = Language.EN
    identity_url: str = ""  # SpareBank 1
    company_key: str = ""  # SpareBank 1: the CompanyKey header
    client: PlatformClient | None = None  # SpareBank 1
    rounding_account: str | None = None  # SpareBank 1: where a difference of øre goes
    voucher_number: VoucherNumber = VoucherNumber.SERVER  # SpareBank 1
    token: Secret | None = None  # DK+
    sales_person: str = ""  # DK+: put on every invoice
    item_code_sources: tuple[ItemCodeSource, ...] = (  # DK+
        ItemCodeSource.PRODUCT_NUMBER,
        ItemCodeSource.EXTERNAL_REVENUE_CLASS,
        ItemCodeSource.VAT_CODE,
    )

    options: dict[str, str] = {}  # of systems whose settings are told by their registration

    def carries(self, data_type: DataType) -> bool:
        """Whether this data type is switched on."""
        return data_type in self.data
