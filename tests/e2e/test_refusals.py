"""Sections 2 and 4 of the interface: what is refused, under which code, class and field."""

from typing import Any

import pytest

from tests.e2e.conftest import Shared
from tests.e2e.moment import (
    Data,
    customer,
    icelander,
    icelandic_invoice,
    icelandic_line,
    invoice,
    line,
    project,
)

pytestmark = pytest.mark.kafka

Case = tuple[str, dict[str, Any], str, str, str | None]
NORWAY: tuple[Case, ...] = (
    (
        "line total",
        {"lines": [line(totalExclVat="1000.02")], "totalExclVat": "1000.02"},
        "line-total-differs",
        "data",
        "$.lines[0].totalExclVat",
    ),
    ("sum of lines", {"totalExclVat": "1000.01"}, "totals-differ", "data", "$.totalExclVat"),
    ("sum of VAT", {"totalVat": "250.02"}, "totals-differ", "data", "$.totalVat"),
    ("sum with VAT", {"totalInclVat": "1250.02"}, "totals-differ", "data", "$.totalInclVat"),
    (
        "rate of the code",
        {"lines": [line(vatPercent=15)], "totalVat": "150", "totalInclVat": "1150"},
        "vat-rate-differs",
        "set-up",
        "$.lines[0].vatPercent",
    ),
    (
        "account unknown",
        {"lines": [line(account={"number": "3999", "vatCode": "3"})]},
        "account-unknown",
        "set-up",
        "$.lines[0].account.number",
    ),
    (
        "VAT code of the account unknown",
        {"lines": [line(account={"number": "3000", "vatCode": "99"})]},
        "vat-code-unknown",
        "set-up",
        "$.lines[0].account.vatCode",
    ),
    (
        "the line's own VAT code wins, and is unknown",
        {"lines": [line(vatCode="98")]},
        "vat-code-unknown",
        "set-up",
        "$.lines[0].vatCode",
    ),
    ("currency unknown", {"currencyCode": "XTS"}, "currency-unknown", "set-up", "$.currencyCode"),
    ("no rate", {"currencyCode": "EUR"}, "currency-rate-missing", "data", "$.currencyRate"),
    ("positive credit note", {"kind": "creditNote"}, "credit-sign", "data", None),
)


def test_an_invoice_that_cannot_be_booked_is_dead_under_its_code(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    sent = [
        (scene.send({**invoice(tenant.company, str(n), "100042"), **case[1]}), case)
        for n, case in enumerate(NORWAY, start=1)
    ]
    for event, (name, _, code, klass, field) in sent:
        told = scene.outcome(event, "dead")
        failure = told.data["failure"]
        assert (name, told.code, failure["class"]) == (name, code, klass)
        if field is not None:
            assert (name, failure.get("field")) == (name, field)
        letter = scene.letter_of(told).said
        assert (letter["code"], letter["text"]) == (code, failure["text"])
        assert letter.get("field") == failure.get("field")
    assert scene.shown(tenant)["vouchers"] == []
    listed = scene.asked("deadletters", "list", "--company", tenant.company)["deadletters"]
    assert {one["deliveryId"] for one in listed} == {
        scene.told(event)[0].data["deliveryId"] for event, _ in sent
    }


def test_sums_within_a_cent_a_line_are_booked_and_a_foreign_currency_at_its_rate(
    scene: Shared,
) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    near = invoice(tenant.company, "1", "100042", totalVat="250.01", totalInclVat="1250.01")
    told = scene.applied(near)
    assert [one["code"] for one in told.data["warnings"]] == ["amount-differs"]
    euros = invoice(tenant.company, "2", "100042", currencyCode="EUR", currencyRate="11.5")
    scene.applied(euros)
    (voucher,) = scene.booked(tenant, "2")
    (owed,) = [row for row in voucher["lines"] if row["account"] == 1500]
    assert (owed["amount"], owed["amountCurrency"], owed["currency"]) == (14375, 1250, "EUR")


def test_only_a_warning_where_a_check_digit_fails(scene: Shared) -> None:
    tenant = scene.norway()
    for number, country, expected in (("100042", "NO", True), ("100043", "SE", False)):
        told = scene.applied(
            customer(tenant.company, number, organisationNumber="123456784", countryCode=country)
        )
        codes = [one["code"] for one in told.data.get("warnings", [])]
        assert codes == ["organisation-number-check-digit"] * expected
    told = scene.applied(invoice(tenant.company, "1001", "100042", paymentId="10018"))
    assert [one["code"] for one in told.data["warnings"]] == ["kid-check-digit"]


def test_numbers_that_the_books_cannot_hold_are_dead_with_their_field(scene: Shared) -> None:
    norway, iceland = scene.norway(), scene.iceland()
    scene.applied(customer(norway.company, "100042"))
    scene.applied(icelander(iceland.company, "500"))
    cases: tuple[tuple[Data, str, str, str], ...] = (
        (customer(norway.company, "99"), "customer-number-out-of-range", "data", "$.number"),
        (customer(norway.company, "K-1"), "customer-number-not-numeric", "data", "$.number"),
        (project(norway.company, "P1", "100042"), "project-number-not-numeric", "data", "$.number"),
        (
            icelandic_invoice(iceland.company, "ÁÐ 1", "500"),
            "reference-invalid",
            "data",
            "$.number",
        ),
        (
            icelandic_invoice(iceland.company, "5", "500", icelandic_line(productNumber="x" * 21)),
            "item-code-too-long",
            "data",
            "$.lines[0].productNumber",
        ),
        (
            icelandic_invoice(
                iceland.company,
                "6",
                "500",
                icelandic_line(productNumber=None, account={"number": "1"}),
            ),
            "item-code-missing",
            "set-up",
            "$.lines[0]",
        ),
    )
    sent = [(scene.send(data), *expected) for data, *expected in cases]
    for event, code, klass, field in sent:
        told = scene.outcome(event, "dead")
        assert (told.code, told.data["failure"]["class"]) == (code, klass)
        assert str(told.data["failure"].get("field")).startswith(field)


def test_an_existing_product_with_another_rate_and_a_blocked_customer_are_set_up(
    scene: Shared,
) -> None:
    tenant = scene.iceland()
    scene.deed(tenant, "products", ItemCode="bok", TaxPercent=11)
    scene.applied(icelander(tenant.company, "500"))
    scene.applied(icelander(tenant.company, "501", status="blocked", name="B"))
    book = icelandic_line(productNumber="BOK")
    rate = scene.dead(icelandic_invoice(tenant.company, "1", "500", book))
    blocked = scene.dead(icelandic_invoice(tenant.company, "2", "501"))
    assert (rate.code, rate.data["failure"]["class"]) == ("product-vat-differs", "set-up")
    assert (blocked.code, blocked.data["failure"]["class"]) == ("customer-blocked", "set-up")
    assert "response" in scene.letter_of(blocked).said


def test_a_locked_period_names_its_date_in_the_integrations_language(scene: Shared) -> None:
    tenant = scene.special("no-nb")
    scene.applied(customer(tenant.company, "100042"))
    scene.deed(tenant, "locks", AccountingLockedDate="2026-03-31")
    dead = scene.dead(invoice(tenant.company, "1", "100042"))
    failure = dead.data["failure"]
    assert (failure["code"], failure["class"]) == ("period-locked", "set-up")
    assert "2026-03-31" in failure["text"]
    assert failure["languages"]["nb"] == {"text": failure["text"], "action": failure["action"]}
    assert scene.letter_of(dead).said["text"] == failure["text"]


def test_what_dkplus_refuses_for_no_reason_that_can_be_read_is_told_with_its_answer(
    scene: Shared,
) -> None:
    """A closed period shows nowhere but in a text that is no stable key (contract dkplus A6)."""
    tenant = scene.special("is-is")
    scene.applied(icelander(tenant.company, "500"))
    scene.deed(tenant, "closed-period", until="2026-03-31")
    dead = scene.dead(icelandic_invoice(tenant.company, "1", "500"))
    failure = dead.data["failure"]
    assert failure["code"] == "refused-by-system"
    assert failure["languages"]["is"]["text"] == failure["text"]
    said = scene.letter_of(dead).said
    assert "400" in said["response"]
    assert "Bókhaldstímabil er lokað" in said["response"]


def test_credit_notes_are_booked_negative_and_name_what_they_credit(scene: Shared) -> None:
    norway, iceland = scene.norway(), scene.iceland()
    credit = {"kind": "creditNote", "creditedInvoiceNumber": "1001"}
    scene.applied(customer(norway.company, "100042"))
    scene.applied(icelander(iceland.company, "500"))
    scene.applied(invoice(norway.company, "1001", "100042"))
    scene.applied(icelandic_invoice(iceland.company, "1001", "500"))
    scene.applied(invoice(norway.company, "1002", "100042", line(quantity="-1"), **credit))
    scene.applied(
        icelandic_invoice(iceland.company, "1002", "500", icelandic_line(quantity="-1"), **credit)
    )
    (voucher,) = scene.booked(norway, "1002")
    (owed,) = [row for row in voucher["lines"] if row["account"] == 1500]
    assert (owed["amount"], owed["type"]) == (-1250, 11)
    assert "1001" in voucher["description"]
    (sale,) = scene.booked(iceland, "1002")
    assert (sale["totalWithTax"], sale["record"]["SalesType"]) == (-1240, 2)
    assert "1001" in f"{sale['record']['Text1']} {sale['record']['Text2']}"
