"""What the judge notes, and what it lets pass (contract dkplus A9 item 9, A11)."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from connectors.simulation_faults import FaultKind, FaultRule
from tests.connectors.dkplus.simulator_client import (
    KENNITALA,
    Dk,
    line,
    simulate,
)

Step = Callable[[Dk], Awaitable[Any]]


def test_a_double_booking_is_a_violation_and_a_credit_or_a_reversed_one_is_not() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.customer("2")
        await dk.invoice()
        await dk.invoice("?post=false")  # a draft
        await dk.invoice(Customer={"Number": "2", "SSN": KENNITALA})  # another customer
        await dk.invoice(SaleType=2, Lines=[line(Quantity=-1)])  # another sign
        await dk.admin("/books/vik/reverse", {"number": "20311"})
        await dk.invoice()
        assert dk.kinds() == []
        await dk.invoice()
        assert dk.kinds() == ["double-booking"]
        (found,) = dk.running.violations()
        assert (found.company, found.at) == ("vik", "2026-03-31T14:22:10.000+00:00")
        assert found.text == f"10457 of customer {KENNITALA} is booked as 20315, 20316"

    simulate(scenario)


def test_an_invoice_that_was_there_before_is_no_double_booking() -> None:
    """Somebody booked it by hand: adopting or not is the client's decision, not a second post."""

    async def scenario(dk: Dk) -> None:
        await dk.customer()
        body = {
            "Customer": {"Number": KENNITALA},
            "Reference": "10457",
            "SalesPerson": "web",
            "Lines": [line()],
        }
        await dk.admin("/books/vik/invoices", body)
        await dk.invoice()
        assert dk.kinds() == []

    simulate(scenario)


def test_a_cut_reference_does_not_hide_a_double_booking() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice(Reference="1234567")
        await dk.invoice(Reference="1234568")
        assert dk.kinds() == []
        await dk.invoice(Reference="1234567")
        assert dk.kinds() == ["double-booking"]

    simulate(scenario, switches={"limits": {"reference": 5}})


SENT: list[tuple[str, dict[str, Any]]] = [
    ("unknown-member", {"Salesperson": "web"}),
    ("unknown-member", {"Customer": {"Number": KENNITALA, "SSN": KENNITALA, "SSNumber": ""}}),
    ("unknown-member", {"Lines": [line(IncludingVat=True)]}),
    ("total-sent", {"Lines": [line(Total=199000)]}),
    ("both-discounts", {"Lines": [line(Discount=0, DiscountAmount=5)]}),
    ("term-sent", {"Term": "d30"}),
    ("binary-tail", {"Lines": [line(Price=Decimal("19900.00000000001"))]}),
    ("reference-form", {"Reference": "a/b"}),
    ("reference-form", {"Reference": "x" * 21}),
    ("reference-form", {"Reference": None}),
    ("kennitala-missing", {"Customer": {"Number": KENNITALA}}),
    ("exchange-missing", {"Currency": "EUR"}),
    ("credit-form", {"Lines": [line(Quantity=-1)]}),
    ("credit-form", {"SaleType": 2, "Lines": [line(Quantity=1, Price=-5)]}),
]


@pytest.mark.parametrize(("kind", "changed"), SENT)
def test_an_invoice_that_is_written_wrong_is_noted(kind: str, changed: dict[str, Any]) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice(**changed)
        assert dk.kinds() == [kind]

    simulate(scenario)


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("post-not-explicit", lambda dk: dk.invoice("")),
        ("post-first", lambda dk: dk.call("POST", "/customer", {"Number": "2"})),
        ("null-in-put", lambda dk: dk.call("PUT", f"/customer/{KENNITALA}", {"Phone": None})),
        ("unknown-member", lambda dk: dk.call("PUT", f"/customer/{KENNITALA}", {"Fax": "1"})),
        ("unknown-member", lambda dk: dk.call("POST", "/project", {"Number": "1", "State": 1})),
        (
            "unknown-member",
            lambda dk: dk.call("POST", "/product", {"ItemCode": "a", "TaxPercent": 1, "Vat": 1}),
        ),
        ("term-sent", lambda dk: dk.customer("2", PaymentTerm="d30")),
        ("product-without-vat", lambda dk: dk.call("POST", "/product", {"ItemCode": "a"})),
        (
            "too-long",
            lambda dk: dk.call("POST", "/product", {"ItemCode": "a" * 21, "TaxPercent": 24}),
        ),
        ("destructive-call", lambda dk: dk.call("DELETE", "/sales/invoice?reference=10457")),
        ("destructive-call", lambda dk: dk.call("DELETE", "/sales/invoice/20311")),
        ("destructive-call", lambda dk: dk.call("GET", "/sales/invoice/page/1/9?delete=true")),
        ("destructive-call", lambda dk: dk.call("PUT", "/general/table/pjjob/Number", {})),
        ("write-outside-contract", lambda dk: dk.call("POST", "/sales/invoice/20311/reverse")),
        ("write-outside-contract", lambda dk: dk.call("PUT", "/project/1", {})),
        ("write-outside-contract", lambda dk: dk.call("PUT", "/product/bok", {})),
        ("write-outside-contract", lambda dk: dk.call("DELETE", f"/customer/{KENNITALA}")),
        ("write-outside-contract", lambda dk: dk.call("POST", "/sales/invoice/bulk", {})),
    ],
)
def test_a_call_that_no_right_client_makes_is_noted(kind: str, step: Step) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await step(dk)
        assert dk.kinds() == [kind]

    simulate(scenario)


def test_a_destructive_call_destroys_nothing() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        assert (await dk.call("DELETE", "/sales/invoice?reference=10457")).status == 200
        assert len(dk.running.books("vik").invoices) == 1

    simulate(scenario)


def test_each_post_of_a_customer_needs_its_own_question() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.call("POST", "/customer", {"Number": KENNITALA})
        assert dk.kinds() == ["post-first"]

    simulate(scenario)


def test_a_post_that_was_turned_away_leaves_the_question_standing() -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.customer()).status == 429
        again = await dk.call("POST", "/customer", {"Number": KENNITALA})
        assert again.status == 200
        assert dk.kinds() == []

    rule = FaultRule(fault=FaultKind.TOO_MANY, kind="customer.create", limit=1)
    simulate(scenario, faults=(rule,))


@pytest.mark.parametrize(
    ("look_ups", "kinds"),
    [(0, ["repost-without-look-up"]), (1, ["repost-after-one-look-up"]), (2, [])],
)
def test_a_post_without_a_usable_answer_needs_two_look_ups_before_the_next(
    look_ups: int, kinds: list[str]
) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        assert (await dk.invoice()).status == 503
        for _ in range(look_ups):
            await dk.call("GET", "/sales/invoice/reference/10457")
        await dk.invoice()
        assert dk.kinds() == kinds
        await dk.invoice(Reference="2")  # another one is not concerned
        assert dk.kinds() == kinds

    rule = FaultRule(fault=FaultKind.UNAVAILABLE, kind="invoice.create", limit=1)
    simulate(scenario, faults=(rule,))


def test_a_look_up_that_fails_proves_nothing() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        for _ in range(2):
            await dk.call("GET", "/sales/invoice/reference/10457")
        await dk.invoice()
        assert dk.kinds() == ["repost-after-one-look-up"]

    rules = (
        FaultRule(fault=FaultKind.SERVER_ERROR, kind="invoice.create", limit=1),
        FaultRule(fault=FaultKind.SERVER_ERROR, kind="invoice.by-reference", limit=1),
    )
    simulate(scenario, faults=rules)


def test_a_look_up_that_is_refused_proves_nothing() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        for _ in range(2):
            assert (await dk.call("GET", "/sales/invoice/reference/10457/0/9")).status == 400
        await dk.invoice()
        assert dk.kinds() == ["repost-without-look-up"]

    rule = FaultRule(fault=FaultKind.SERVER_ERROR, kind="invoice.create", limit=1)
    simulate(scenario, faults=(rule,))


def test_a_4xx_proves_that_nothing_was_booked() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        assert (await dk.invoice()).status == 429
        assert (await dk.invoice(SalesPerson="x")).status == 400
        assert (await dk.invoice()).status == 200
        assert dk.kinds() == []

    rule = FaultRule(fault=FaultKind.TOO_MANY, kind="invoice.create", limit=1)
    simulate(scenario, faults=(rule,))
