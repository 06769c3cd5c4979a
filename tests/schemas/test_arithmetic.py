"""Which invoices add up."""

from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.arithmetic import gross, refuse_invoice, round_money
from schemas.content import convert_data
from schemas.events import EntityType, Invoice
from schemas.failures import FACTS
from tests.schemas.samples import INVOICE, LINE


def invoice(lines: list[dict[str, Any]], **changes: Any) -> Invoice:
    bare = {n: v for n, v in INVOICE.items() if not n.startswith("total")}
    found = convert_data(
        EntityType.INVOICE, {**bare, "lines": [{**LINE, **line} for line in lines], **changes}
    )
    assert isinstance(found, Invoice), found
    return found


def refusal(lines: list[dict[str, Any]], **changes: Any) -> tuple[str, str | None] | None:
    failure = refuse_invoice(invoice(lines, **changes))
    if failure is None:
        return None
    assert tuple(failure.parameters) == FACTS[failure.code][1]
    return failure.code.value, failure.field


def line(quantity: str, price: str, total: str, **more: str) -> dict[str, Any]:
    return {"quantity": quantity, "unitPrice": price, "totalExclVat": total, **more}


@pytest.mark.parametrize(
    ("value", "units", "expected"),
    [
        ("0.005", 2, "0.01"),
        ("-0.005", 2, "-0.01"),
        ("0.0049", 2, "0.00"),
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("123456789012345678.125", 2, "123456789012345678.13"),
    ],
)
def test_money_is_rounded_half_away_from_zero(value: str, units: int, expected: str) -> None:
    assert str(round_money(Decimal(value), units)) == expected


def test_gross_is_net_with_vat_rounded() -> None:
    assert str(gross(Decimal("0.10"), Decimal(25))) == "0.13"
    assert str(gross(Decimal(10), Decimal(24), 0)) == "12"


def test_what_adds_up_passes() -> None:
    assert (
        refuse_invoice(invoice([{}, {}], **{n: INVOICE[n] for n in INVOICE if "total" in n}))
        is None
    )


@pytest.mark.parametrize(
    ("found", "passes"),
    [("33.33", True), ("33.34", True), ("33.32", True), ("33.35", False), ("33.31", False)],
)
def test_a_line_may_differ_by_one_cent(found: str, *, passes: bool) -> None:
    result = refusal([{}, line("1", "33.33", found)])
    assert result == (None if passes else ("line-total-differs", "$.lines[1].totalExclVat"))


@pytest.mark.parametrize(("found", "passes"), [("34", True), ("32.5", True), ("35", False)])
def test_a_line_in_icelandic_kronur_may_differ_by_one(found: str, *, passes: bool) -> None:
    result = refusal([line("1", "33.33", found)], currencyCode="isk")
    assert (result is None) is passes


def test_surcharge_comes_before_discount_and_both_are_exact() -> None:
    more = {"surchargePercent": "12.5", "discountPercent": "33.333333"}
    assert refusal([line("3", "999.999999", "2250.00", **more)]) is None
    failure = refuse_invoice(invoice([line("3", "999.999999", "2250.02", **more)]))
    assert failure is not None
    assert failure.parameters == {"line": "1", "expected": "2250", "found": "2250.02"}


def test_the_largest_decimals_multiply_exactly() -> None:
    """Also where the caller computes with little precision of its own."""
    big = "999999999999.999999"
    assert refusal([line(big, big, "1", surchargePercent="1", discountPercent="100")]) == (
        "line-total-differs",
        "$.lines[0].totalExclVat",
    )
    assert refusal([line(big, "1", "999999999999.99")]) is None
    with localcontext(Context(prec=6)):
        assert refusal([line(big, "1", "999999999999.98")]) == (
            "line-total-differs",
            "$.lines[0].totalExclVat",
        )


@pytest.mark.parametrize(
    ("totals", "field"),
    [
        ({"totalExclVat": "2000.00"}, None),
        ({"totalExclVat": "2000.01"}, "$.totalExclVat"),
        ({"totalVat": "500.02"}, None),
        ({"totalVat": "499.98"}, None),
        ({"totalVat": "500.03"}, "$.totalVat"),
        ({"totalVat": "-500"}, "$.totalVat"),
        ({"totalInclVat": "2500.02"}, None),
        ({"totalInclVat": "2500.03"}, "$.totalInclVat"),
        ({"totalInclVat": "2000"}, "$.totalInclVat"),
    ],
)
def test_totals_must_fit_the_lines(totals: dict[str, str], field: str | None) -> None:
    """Two lines: two cents for the VAT, nothing for the sum of the lines."""
    assert refusal([{}, {}], **totals) == (field and ("totals-differ", field))


def test_vat_may_be_rounded_per_line_or_per_rate() -> None:
    lines = [line("1", "0.10", "0.10", vatPercent="15")] * 10
    assert refusal(lines, totalVat="0.20") is None  # per line: 10 x 0.02 (0.015 away from zero)
    assert refusal(lines, totalVat="0.15") is None  # per rate
    assert refusal(lines, totalVat="0.31") == ("totals-differ", "$.totalVat")
    assert refusal(lines, totalVat="0.05") is None  # ten cents off the sum per rate
    assert refusal(lines, totalVat="0.04") == ("totals-differ", "$.totalVat")


def test_without_a_percent_on_every_line_the_totals_must_fit_each_other() -> None:
    bare = [{}, {"vatPercent": None}]
    assert refusal(bare, totalVat="123", totalInclVat="2123.02") is None
    assert refusal(bare, totalVat="123", totalInclVat="2123.03") == (
        "totals-differ",
        "$.totalInclVat",
    )
    assert refusal(bare, totalVat="123") is None
    assert refusal(bare, totalExclVat="1") == ("totals-differ", "$.totalExclVat")


def test_a_credit_note_is_not_positive_in_sum() -> None:
    minus, plus = line("-1", "100", "-100"), line("1", "100", "100")
    credit = {"kind": "creditNote"}
    assert refusal([minus], **credit) is None
    assert refusal([line("1", "-100", "-100")], **credit) is None
    assert refusal([minus, plus], **credit) is None
    assert refusal([minus, plus, plus], **credit) == ("credit-sign", "$.lines[1].totalExclVat")
    assert refusal([plus], totalExclVat="100", **credit) == ("credit-sign", "$.totalExclVat")
    assert refusal([minus], kind="invoice") is None


money = st.decimals(min_value=-10_000, max_value=10_000, places=2)
rate = st.sampled_from([Decimal(r) for r in ("0", "11.11", "12", "15", "24", "25")])


@given(
    lines=st.lists(st.tuples(money, rate), min_size=1, max_size=12),
    per_line=st.booleans(),
)
def test_any_honest_rounding_of_vat_passes(
    lines: list[tuple[Decimal, Decimal]], *, per_line: bool
) -> None:
    total = sum((net for net, _ in lines), Decimal(0))
    if per_line:
        vat = sum((round_money(net * r / 100) for net, r in lines), Decimal(0))
    else:
        rates = {r for _, r in lines}
        vat = sum(
            (round_money(sum(n for n, of in lines if of == r) * r / 100) for r in rates),
            Decimal(0),
        )
    found = refusal(
        [line("1", str(net), str(net), vatPercent=str(r)) for net, r in lines],
        totalExclVat=str(total),
        totalVat=str(vat),
        totalInclVat=str(total + vat),
    )
    assert found is None
