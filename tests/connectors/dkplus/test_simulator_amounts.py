"""How the simulator of DK+ prices and rounds."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.dkplus.simulator.pricing import price_invoice, price_line
from connectors.dkplus.simulator.switches import Switches
from tests.connectors.dkplus.simulator_client import Dk, invoice_body, line, simulate

# --- amounts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "net", "gross"),
    [
        ({"Discount": 10}, 179100, 222084),
        ({"DiscountAmount": 1000}, 198000, 245520),
        ({"IncludingVAT": True, "Price": 124}, 1000, 1240),
        ({"ItemCode": "BOK"}, 199000, 220890),
        ({"ItemCode": "bok", "Discount": 10}, 179100, 198801),
        ({"Quantity": -10}, -199000, -246760),
        ({"Total": 5}, 199000, 246760),
        ({"Price": None}, 0, 0),
    ],
)
def test_a_line_is_priced_by_product_and_discount(
    sent: dict[str, Any], net: int, gross: int
) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        record = (await dk.invoice(Lines=[line(**sent)])).json
        assert (record["TotalAmount"], record["TotalAmountWithTax"]) == (net, gross)

    simulate(scenario)


@pytest.mark.parametrize(
    ("rule", "outcome"), [("keep", 179100), ("drop", 199000), ("refuse", None)]
)
def test_a_discount_that_a_product_does_not_allow(rule: str, outcome: int | None) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.invoice(Lines=[line(ItemCode="bok", Discount=10)])
        assert got.json.get("TotalAmount") == outcome

    simulate(scenario, switches={"discount_not_allowed": rule})


def test_no_vat_of_the_customer_and_of_the_project_take_the_vat_away() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer("1", NoVat=True)
        await dk.customer()
        await dk.call("POST", "/project", {"Number": "1", "SkipTaxOnInvoice": True})
        free = (await dk.invoice(Customer={"Number": "1"})).json
        skipped = (await dk.invoice(Project="1")).json
        assert free["TotalAmountWithTax"] == skipped["TotalAmountWithTax"] == 199000
        off = {"no_vat_customer_counts": False, "skip_tax_project_counts": False}
        await dk.admin("/switches", {"set": off})
        assert (await dk.invoice(Customer={"Number": "1"})).json["TotalAmountWithTax"] == 246760
        assert (await dk.invoice(Project="1")).json["TotalAmountWithTax"] == 246760

    simulate(scenario)


@pytest.mark.parametrize(
    ("rounding", "total"), [("line", "12"), ("invoice", "11"), ("none", "11.16")]
)
def test_kronur_are_whole_by_line_or_by_invoice(rounding: str, total: str) -> None:
    """Three lines of 3.72 with VAT: 4 + 4 + 4, or 11.16."""

    async def scenario(dk: Dk) -> None:
        await dk.customer()
        record = (await dk.invoice(Lines=[line(Quantity=1, Price=3)] * 3)).json
        assert record["TotalAmountWithTax"] == Decimal(total)

    simulate(scenario, switches={"rounding": rounding})


def test_total_may_override_and_term_may_win_over_the_due_date() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        record = (await dk.invoice(Term="d15", Lines=[line(Total=1000)])).json
        assert (record["TotalAmount"], record["DueDate"][:10]) == (1000, "2026-04-15")

    simulate(scenario, switches={"total_overrides": True, "due_date_wins": False})


def test_list_prices_are_dks_own_where_no_price_is_sent() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.call("POST", "/product", {"ItemCode": "a", "TaxPercent": 24, "UnitPrice1": 7})
        lines = [line(ItemCode="a", Price=None)]
        record = (await dk.invoice(Lines=lines, Options={"OriginalPrices": True})).json
        assert record["TotalAmount"] == 70

    simulate(scenario)


def test_doubles_may_carry_binary_tails() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        total = (await dk.invoice()).json["TotalAmountWithTax"]
        assert total != 246760
        assert abs(total - 246760) < Decimal("1E-9")

    simulate(scenario, switches={"binary_tails": True})


@given(
    st.lists(
        st.tuples(
            st.decimals("-1000", "1000", places=2),
            st.decimals("0", "100000", places=2),
            st.decimals("0", "100", places=2),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([Decimal(24), Decimal(11), Decimal(0)]),
)
def test_rounding_by_line_stays_within_half_a_krona_a_line(
    sent: list[tuple[Decimal, Decimal, Decimal]], percent: Decimal
) -> None:
    """What contract A11.3 allows for: totals equal within the number of lines."""
    product = {"ItemCode": "a", "TaxPercent": percent}
    switches = Switches()
    lines = tuple(
        price_line(
            {"Quantity": quantity, "Price": price, "Discount": discount},
            product,
            switches,
            untaxed=False,
            original_prices=False,
            currency="ISK",
        )
        for quantity, price, discount in sent
    )
    priced = price_invoice(lines, switches, "ISK")
    exact = sum(
        (q * p * (1 - d / 100) * (1 + percent / 100) for q, p, d in sent),
        Decimal(0),
    )
    assert priced.total_with_tax == int(priced.total_with_tax)
    assert abs(priced.total_with_tax - exact) <= Decimal("0.5") * len(sent)


def test_calculate_prices_and_writes_nothing() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.call("PATCH", "/sales/invoice/calculate", invoice_body())
        assert got.json["TotalAmountWithTax"] == 246760
        assert dk.running.books("vik").invoices == []
        assert (await dk.invoice()).json["Number"] == "20311"

    simulate(scenario)
