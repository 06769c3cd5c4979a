"""What may be mended in a dead event."""

from decimal import Decimal
from typing import Any

import pytest

from schemas.content import convert_data
from schemas.edits import EditValue, apply_edits, edit_refusal, parse_path
from schemas.events import Customer, Entity, EntityType, Invoice, Project
from schemas.failures import Failure
from tests.schemas.samples import CUSTOMER, INVOICE, PROJECT, SAMPLE


def entity(kind: str) -> Entity:
    found = convert_data(EntityType(kind), {**SAMPLE[kind]})
    assert not isinstance(found, Failure), found
    return found


def path_of_refusal(kind: str, edits: dict[str, Any]) -> str | None:
    found = apply_edits(entity(kind), edits)
    return found.field if isinstance(found, Failure) else None


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$.lines[2].account.vatCode", ("lines", 2, "account", "vatCode")),
        ("lines[2].vatCode", ("lines", 2, "vatCode")),
        ("email", ("email",)),
        ("$.email", ("email",)),
        *(
            (wrong, None)
            for wrong in (
                *("", "$", "$.", ".email", "$email", "$[0]", "[0]", "a..b", "a.", "a[b]", "a[-1]"),
                *("a[1", "a]", "a b", "a.[0]", "a[0]b", "$.$.a", "a[9999999]", "a" * 201, "é"),
            )
        ),
    ],
)
def test_paths(path: str, steps: tuple[str | int, ...] | None) -> None:
    assert parse_path(path) == steps


def test_members_are_replaced_emptied_and_added() -> None:
    customer = apply_edits(
        entity("customer"),
        {"organisationNumber": "971234563", "$.address.line1": None, "email": "a@b.example"},
    )
    assert isinstance(customer, Customer)
    assert customer.organisation_number == "971234563"
    assert customer.email == "a@b.example"
    assert customer.address is not None
    assert (customer.address.line1, customer.address.city) == (None, "Oslo")
    bare = convert_data(EntityType.CUSTOMER, {**CUSTOMER, "address": None})
    assert isinstance(bare, Customer)
    housed = apply_edits(bare, {"address.city": "Bergen"})
    assert isinstance(housed, Customer)
    assert housed.address is not None
    assert housed.address.city == "Bergen"


def test_an_account_and_a_rate_of_a_line_can_be_mended() -> None:
    edits: dict[str, EditValue] = {
        "$.lines[1].account.number": "3100",
        "lines[1].account.vatCode": "31",
        "lines[1].vatPercent": Decimal(15),
        "projectNumber": "8",
    }
    found = apply_edits(entity("invoice"), edits)
    assert isinstance(found, Invoice)
    assert found.lines[1].account.number == "3100"
    assert found.lines[1].vat_percent == 15
    assert found.lines[0] == entity("invoice").lines[0]  # type: ignore[union-attr]  # it is an invoice
    assert found.project_number == "8"


def test_the_event_itself_stays_as_it_is() -> None:
    before = entity("invoice")
    apply_edits(before, {"lines[0].account.number": "1"})
    assert before == entity("invoice")


def test_a_project_may_move_to_another_customer() -> None:
    found = apply_edits(entity("project"), {"customerNumber": "100043", "state": "COMPLETED"})
    assert isinstance(found, Project)
    assert (found.customer_number, found.state) == ("100043", "completed")


KEPT = {
    "customer": ["company", "number", "currencyCode"],
    "project": ["company", "number", "startDate", "endDate"],
    "invoice": [
        *("company", "number", "kind", "customerNumber", "invoiceDate", "dueDate"),
        *("currencyCode", "currencyRate", "totalExclVat", "totalVat", "totalInclVat", "lines"),
        *("lines[0]", "lines[0].quantity", "lines[0].unitPrice", "lines[0].totalExclVat"),
    ],
}


@pytest.mark.parametrize(("kind", "path"), [(k, p) for k, paths in KEPT.items() for p in paths])
def test_what_went_out_cannot_be_edited(kind: str, path: str) -> None:
    for spelled in (path, f"$.{path}"):
        assert path_of_refusal(kind, {spelled: "1"}) == f"$.{path}"
        assert edit_refusal(spelled, EntityType(kind)) is not None


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("customer", "colour"),
        ("customer", "address.street"),
        ("customer", "email.city"),
        ("customer", "address[0]"),
        ("invoice", "lines[2].vatCode"),
        ("invoice", "lines.vatCode"),
        ("invoice", "lines[0][0]"),
        ("invoice", "lines[0].account[0]"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(kind: str, path: str) -> None:
    assert path_of_refusal(kind, {path: "1"}) == f"$.{path}"


@pytest.mark.parametrize(
    ("kind", "path", "value", "field"),
    [
        ("customer", "name", "", "$.name"),
        ("customer", "name", None, "$.name"),
        ("customer", "status", "gone", "$.status"),
        ("customer", "address", "Oslo", "$.address"),
        ("customer", "email", "a\0", "$.email"),
        ("invoice", "lines[0].vatPercent", "1_0", "$.lines[0].vatPercent"),
        ("invoice", "lines[0].vatPercent", "NaN", "$.lines[0].vatPercent"),
        ("invoice", "lines[0].account", None, "$.lines[0].account"),
        ("invoice", "lines[0].account.number", None, "$.lines[0].account.number"),
    ],
)
def test_the_edited_whole_is_checked_like_an_event(
    kind: str, path: str, value: Any, field: str
) -> None:
    assert path_of_refusal(kind, {path: value}) == field


def test_every_member_is_either_kept_or_can_be_edited() -> None:
    """A new member of the structs is open to edits: this list is to be looked at then."""
    members = {
        EntityType.CUSTOMER: {*CUSTOMER, "email", "website", "phone", "fax", "countryCode"},
        EntityType.PROJECT: set(PROJECT),
        EntityType.INVOICE: {*INVOICE, "description", "paymentId", "salesPersonNumber"},
    }
    for kind, names in members.items():
        open_ = {name for name in names if edit_refusal(name, kind) is None}
        assert open_ == names - set(KEPT[kind.value])
