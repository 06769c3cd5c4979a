"""Sales invoices: refusals, numbers, amounts, look-ups, credits (contract dkplus A4, A9, A10)."""

from decimal import Decimal
from typing import Any

import pytest

from tests.connectors.dkplus.simulator_client import KENNITALA, Dk, line, simulate


def test_a_booked_invoice_is_answered_whole_under_dks_own_number() -> None:
    """The contract's example: 19 900 * 10 net, 24 % on top."""

    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.invoice()
        record = got.json
        assert got.status == 200
        assert record["Number"] == "20311"
        assert (record["TotalAmount"], record["TotalAmountWithTax"]) == (199000, 246760)
        assert (record["Reference"], record["CNumber"]) == ("10457", KENNITALA)
        assert (record["CSSNumber"], record["SalePerson"]) == (KENNITALA, "web")
        assert record["InvoiceDate"] == "2026-03-31T00:00:00Z"
        assert record["DueDate"] == "2026-04-30T00:00:00Z"
        assert record["Lines"][0]["UnitPriceWithTax"] == 24676
        assert '"TotalAmount":199000.0' in got.text  # a double, not an integer
        assert (await dk.call("GET", "/sales/invoice/20311")).json == record
        assert (await dk.call("GET", f"/customer/{KENNITALA}")).json["BalanceAmount"] == 246760
        assert dk.kinds() == []

    simulate(scenario)


def test_every_letter_of_the_contract_survives() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.invoice(Text1="ÁÐÉÍÓÚÝÞÆÖ áðéíóúýþæö")
        assert "ÁÐÉÍÓÚÝÞÆÖ áðéíóúýþæö" in got.text

    simulate(scenario)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"SalesPerson": "nobody"}, "Sölumaður er ekki til"),
        ({"SalesPerson": None}, "Sölumaður er ekki til"),
        ({"Customer": {"Number": "404"}}, "Value cannot be null. Parameter name: user"),
        ({"Lines": [line(), line(ItemCode="nothing")]}, "Product ItemCode not defined"),
        ({"Lines": [line(ItemCode=None)]}, "Product ItemCode not defined"),
        ({"Lines": []}, "Invoice has no lines"),
        ({"Project": "404"}, "Verk er ekki til"),
        ({"Currency": "EUR"}, "Gengi vantar"),
        ({"Currency": "XXX", "Exchange": 1}, "Currency er ekki til"),
        ({"Term": "zzz"}, "Term er ekki til"),
        ({"Text2": "x" * 2001}, "Text2 is too long"),
        ({"Customer": None}, "The request is invalid."),
        ({"SaleType": "Odd"}, "The request is invalid."),
        ({"Date": "31.3.2026"}, "The request is invalid."),
        ({"Lines": [line(Price=Decimal("1E+400"))]}, "The request is invalid."),
        ({"Lines": ["line"]}, "The request is invalid."),
    ],
)
def test_a_wrong_invoice_is_refused_and_leaves_nothing(
    changed: dict[str, Any], message: str
) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.invoice(**changed)
        assert (got.status, got.json["Message"]) == (400, message)
        assert dk.running.books("vik").invoices == []
        assert (await dk.invoice()).json["Number"] == "20311"  # no number was used up

    simulate(scenario)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (["sales-person", "customer", "lines"], "Sölumaður er ekki til"),
        (["customer", "lines"], "Value cannot be null. Parameter name: user"),
        (["lines", "customer"], "Product ItemCode not defined"),
    ],
)
def test_which_refusal_comes_first_is_a_switch(order: list[str], message: str) -> None:
    async def scenario(dk: Dk) -> None:
        got = await dk.invoice(SalesPerson="nobody", Lines=[line(ItemCode="nothing")])
        assert got.json["Message"] == message

    simulate(scenario, switches={"check_order": order})


def test_a_blocked_customer_and_a_closed_period_are_refused_only_by_switch() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer(Blocked=True)
        assert (await dk.invoice()).json["Message"] == "Viðskiptamaður er lokaður"
        await dk.admin("/switches", {"set": {"blocked_customer_refused": False}})
        await dk.admin("/books/vik/closed-period", {"until": "2026-03-31"})
        assert (await dk.invoice()).json["Message"] == "Bókhaldstímabil er lokað"
        await dk.admin("/switches", {"set": {"closed_period_refused": False}})
        assert (await dk.invoice()).status == 200

    simulate(scenario)


def test_a_project_is_kept_and_an_unknown_one_may_be_dropped() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.call("POST", "/project", {"Number": "1"})
        assert (await dk.invoice(Project="1")).json["Project"] == "1"
        assert (await dk.invoice(Reference="2", Project="404")).json["Project"] == ""
        of_project = (await dk.call("GET", "/project/1/invoice")).json
        assert [record["Reference"] for record in of_project] == ["10457"]

    simulate(scenario, switches={"unknown_project": "drop"})


def test_a_foreign_currency_without_exchange_may_become_one_to_one() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        assert (await dk.invoice(Currency="EUR")).json["Exchange"] == 1
        assert (await dk.invoice(Currency="EUR", Exchange=Decimal("142.5"))).json[
            "Exchange"
        ] == Decimal("142.5")

    simulate(scenario, switches={"missing_exchange": "one"})


def test_an_invoice_may_create_its_customer_by_switch() -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.invoice()).status == 200
        assert KENNITALA in dk.running.books("vik").customers

    simulate(scenario, switches={"invoice_creates_customer": True})


def test_dk_may_check_the_kennitala_of_an_invoice() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.invoice(Customer={"Number": KENNITALA, "SSN": "3112992050"})
        assert got.status == 400

    simulate(scenario, switches={"kennitala_checked": True})


@pytest.mark.parametrize(("form", "number"), [("null", None), ("empty", "")])
def test_a_draft_has_a_record_id_and_no_number(form: str, number: str | None) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        draft = (await dk.invoice("?post=false")).json
        assert draft["Number"] == number
        assert draft["RecordID"] > 0
        assert (await dk.invoice("")).json["Number"] == "20311"  # post is true by default
        found = (await dk.call("GET", "/sales/invoice/reference/10457")).json
        assert [record["Number"] for record in found] == [number, "20311"]

    simulate(scenario, switches={"draft_number": form})


def test_dks_series_drifts_from_moments() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.admin("/books/vik/series", {"nextNumber": 7})
        numbers = [(await dk.invoice(Reference=str(i))).json["Number"] for i in range(3)]
        assert numbers == ["7", "11", "15"]

    simulate(scenario, switches={"number_gap": 3})


# --- look-ups --------------------------------------------------------------------------------


def test_a_reference_is_not_unique_and_is_found_as_an_array() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        await dk.invoice()
        await dk.invoice(Reference="104571")
        found = (await dk.call("GET", "/Sales/Invoice/Reference/10457")).json
        assert [record["Number"] for record in found] == ["20311", "20312"]
        paged = await dk.call("GET", "/sales/invoice/reference/10457/2/1")
        assert [record["Number"] for record in paged.json] == ["20312"]
        typed = await dk.call("GET", "/sales/invoice/reference/10457?type=SalesOrder")
        assert typed.json == []

    simulate(scenario)


@pytest.mark.parametrize(("how", "status", "text"), [("empty-list", 200, "[]"), ("404", 404, "")])
def test_an_empty_look_up_is_an_empty_list_or_a_404(how: str, status: int, text: str) -> None:
    async def scenario(dk: Dk) -> None:
        got = await dk.call("GET", "/sales/invoice/reference/10457")
        assert (got.status, got.text) == (status, text)

    simulate(scenario, switches={"empty_look_up": how})


def test_a_loose_look_up_finds_more_than_was_asked_for() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice(Reference="A-1")
        await dk.invoice(Reference="a-10")
        found = (await dk.call("GET", "/sales/invoice/reference/A-1")).json
        assert [record["Reference"] for record in found] == ["A-1", "a-10"]
        assert found[0]["Lines"] is None

    simulate(scenario, switches={"look_up_is_loose": True, "look_up_lines": False})


def test_the_cache_lags_until_it_catches_up_or_is_refreshed() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        number = (await dk.invoice()).json["Number"]
        await dk.invoice(Reference="2")
        look, page = "/sales/invoice/reference/10457", "/sales/invoice/page/1/9"
        assert (await dk.call("GET", look)).json == []
        assert (await dk.call("GET", page)).json == []
        assert (await dk.call("GET", f"/sales/invoice/{number}")).status == 200
        await dk.call("PATCH", f"/sales/invoice/{number}/refresh")
        assert len((await dk.call("GET", look)).json) == 1
        dk.clock.pass_seconds(30)
        assert len((await dk.call("GET", page)).json) == 2

    simulate(scenario, switches={"look_up_lag_seconds": 30.0})


def test_filters_of_the_page_combine_and_lines_come_only_when_asked_for() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.customer("2")
        await dk.invoice()
        await dk.invoice(Reference="2")
        second = (await dk.invoice(Reference="2", Customer={"Number": "2"})).json
        page = "/sales/invoice/page/1/9"
        hits = (await dk.call("GET", f"{page}?reference=2&customer=2")).json
        assert [record["RecordID"] for record in hits] == [second["RecordID"]]
        assert hits[0]["Lines"] is None
        above = f"{page}?recordid={second['RecordID'] - 1}&includeLines=true"
        assert (await dk.call("GET", above)).json[0]["Lines"]
        later = f"{page}?createdAfter=2026-03-31T14:00:00Z"
        assert len((await dk.call("GET", later)).json) == 3
        await dk.admin("/switches", {"set": {"created_filter_means_invoice_date": True}})
        assert (await dk.call("GET", later)).json == []
        assert (await dk.call("GET", f"{page}?createdAfter=nonsense")).status == 400
        assert len((await dk.call("GET", "/sales/invoice/date/2026-03-31/1/9")).json) == 3
        of_customer = (await dk.call("GET", "/customer/2/invoice")).json
        assert [record["Number"] for record in of_customer] == [second["Number"]]

    simulate(scenario)


@pytest.mark.parametrize("what", ["cut", "refuse"])
def test_a_reference_over_dks_limit_is_cut_or_refused(what: str) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.invoice(Reference="1234567")
        assert got.json.get("Reference") == ("12345" if what == "cut" else None)

    simulate(scenario, switches={"limits": {"reference": 5}, "too_long": what})


def test_created_is_told_by_dks_own_clock() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        assert (await dk.invoice()).json["Created"] == "2026-03-31T13:22:10Z"

    simulate(scenario, switches={"clock_offset_seconds": -3600})


# --- credits ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("forced", "shown"), [(None, 2), (1, 1)])
def test_a_credit_is_a_sale_type_and_a_negative_quantity(forced: int | None, shown: int) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        credit = (await dk.invoice(SaleType=2, Reference="10458", Lines=[line(Quantity=-10)])).json
        assert (credit["SalesType"], credit["TotalAmountWithTax"]) == (shown, -246760)
        assert (await dk.call("GET", f"/customer/{KENNITALA}")).json["BalanceAmount"] == 0
        assert dk.kinds() == []

    simulate(scenario, switches={"credit_sales_type": forced})


@pytest.mark.parametrize("answers", [True, False])
def test_a_reversal_copies_the_reference_and_turns_the_sign(answers: bool) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        got = await dk.call("POST", "/sales/invoice/20311/reverse?post=true&date=2026-04-02")
        assert (got.status, bool(got.text)) == (200, answers)
        found = (await dk.call("GET", "/sales/invoice/reference/10457")).json
        credit = found[1]
        assert (credit["SalesType"], credit["TotalAmountWithTax"]) == (1, -246760)
        assert credit["Lines"][0]["Quantity"] == -10
        assert credit["InvoiceDate"] == "2026-04-02T00:00:00Z"
        again = await dk.call("POST", "/sales/invoice/20311/reverse?post=true")
        assert again.status == 400
        assert (await dk.call("POST", "/sales/invoice/1/reverse")).status == 404

    simulate(scenario, switches={"reverse_answers_invoice": answers})
