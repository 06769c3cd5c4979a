"""Change events of Moment: the whole state of a customer, a project or an invoice.

Shapes, units and names are those of the published interface. Money, quantities and percents
are exact decimals from the wire on. What is absent or null is empty in Moment.
"""

from datetime import date
from decimal import Decimal
from enum import StrEnum

import msgspec


class EntityType(StrEnum):
    """What can change in Moment. The order of the members is the order of the gates."""

    CUSTOMER = "customer"
    PROJECT = "project"
    INVOICE = "invoice"


class CustomerStatus(StrEnum):
    """A customer's status in Moment."""

    ACTIVE = "active"
    POTENTIAL = "potential"
    BLOCKED = "blocked"
    INACTIVE = "inactive"


class ProjectState(StrEnum):
    """A project's state in Moment."""

    REGISTERED = "registered"
    OFFER = "offer"
    IN_PROGRESS = "inProgress"
    COMPLETED = "completed"
    DISCARDED = "discarded"


class InvoiceKind(StrEnum):
    """Whether money is asked for or given back."""

    INVOICE = "invoice"
    CREDIT_NOTE = "creditNote"


class ProductType(StrEnum):
    """What an invoice line charges for."""

    HOURS = "hours"
    EXPENSES = "expenses"
    PRODUCTS = "products"


class _Data(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """Base of all event data: frozen, camelCase on the wire, unknown fields pass."""


class Address(_Data, frozen=True):
    """A postal address; `country_code` is ISO 3166 alpha-2 and wins over the customer's."""

    line1: str | None = None
    line2: str | None = None
    postal_code: str | None = None
    city: str | None = None
    country_code: str | None = None


class Customer(_Data, frozen=True):
    """A customer of a company, whole."""

    company: str
    number: str
    name: str
    status: CustomerStatus
    organisation_number: str | None = None
    email: str | None = None
    website: str | None = None
    phone: str | None = None
    fax: str | None = None
    currency_code: str | None = None
    country_code: str | None = None
    address: Address | None = None


class Project(_Data, frozen=True):
    """A project of a company, whole."""

    company: str
    number: str
    name: str
    customer_number: str
    state: ProjectState
    start_date: date | None = None
    end_date: date | None = None


class Account(_Data, frozen=True):
    """The financial account of an invoice line, as Moment has it."""

    number: str
    name: str | None = None
    vat_code: str | None = None
    external_revenue_class: str | None = None


class InvoiceLine(_Data, frozen=True):
    """One line of an invoice. `total_excl_vat` is after surcharge and discount."""

    product_type: ProductType
    quantity: Decimal
    unit_price: Decimal
    total_excl_vat: Decimal
    account: Account
    product_number: str | None = None
    product_name: str | None = None
    description: str | None = None
    unit: str | None = None
    discount_percent: Decimal | None = None
    surcharge_percent: Decimal | None = None
    vat_percent: Decimal | None = None
    vat_code: str | None = None

    @property
    def effective_vat_code(self) -> str | None:
        """The line's own VAT code, else its account's (interface section 2)."""
        return self.vat_code or self.account.vat_code

    @property
    def book_text(self) -> str:
        """The text that names the line in the books: its description, else its product's name."""
        return self.description or self.product_name or ""


class Invoice(_Data, frozen=True):
    """A finalised invoice or credit note, whole and immutable."""

    company: str
    number: str
    kind: InvoiceKind
    customer_number: str
    invoice_date: date
    currency_code: str
    lines: tuple[InvoiceLine, ...]
    credited_invoice_number: str | None = None
    description: str | None = None
    project_number: str | None = None
    due_date: date | None = None
    currency_rate: Decimal | None = None
    payment_id: str | None = None
    sales_person_number: str | None = None
    order_reference: str | None = None
    customer_reference: str | None = None
    total_excl_vat: Decimal | None = None
    total_vat: Decimal | None = None
    total_incl_vat: Decimal | None = None


Entity = Customer | Project | Invoice


def type_of(entity: Entity) -> EntityType:
    """The entity type that a piece of event data describes."""
    if isinstance(entity, Customer):
        return EntityType.CUSTOMER
    if isinstance(entity, Project):
        return EntityType.PROJECT
    return EntityType.INVOICE


def customer_number_of(entity: Entity) -> str:
    """The number of the customer in whose lane the entity lives."""
    return entity.number if isinstance(entity, Customer) else entity.customer_number
