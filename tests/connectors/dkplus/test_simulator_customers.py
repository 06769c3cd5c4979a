"""Customers, projects, products and the manner of answers (contract dkplus A1-A3, A5, A6)."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.dkplus.simulator.members import kennitala_holds
from tests.connectors.dkplus.simulator_client import (
    KENNITALA,
    OTHER_TOKEN,
    TOKEN,
    Dk,
    company,
    simulate,
)


@pytest.mark.parametrize(("token", "scheme"), [("nobody", "Bearer"), (TOKEN, "Basic"), ("", "")])
def test_a_token_that_opens_nothing_is_a_401_in_json(token: str, scheme: str) -> None:
    async def scenario(dk: Dk) -> None:
        got = await dk.call("GET", "/company", token=token, scheme=scheme)
        assert got.status == 401
        assert got.json == {"Message": "Authorization has been denied for this request."}

    simulate(scenario)


def test_scheme_and_paths_match_in_any_letter_case() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        for path in (f"/Customer/{KENNITALA}", f"/CUSTOMER/{KENNITALA}"):
            assert (await dk.call("GET", path, scheme="bearer")).status == 200

    simulate(scenario)


def test_a_token_opens_its_own_company_alone() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        assert (await dk.call("GET", f"/customer/{KENNITALA}", token=OTHER_TOKEN)).status == 404
        other = await dk.call("GET", "/company", token=OTHER_TOKEN)
        assert other.json["Information"]["Company"]["Name"] == "Annað ehf."
        assert other.json["General"]["DefaultCurrency"] == "EUR"

    other = company(token=OTHER_TOKEN, name="Annað ehf.", key="annad", currency="EUR")
    simulate(scenario, companies=(company(), other))


def test_a_revoked_token_is_a_401_until_it_is_given_back() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.admin("/books/vik/token", {"revoked": True})
        assert (await dk.call("GET", "/company")).status == 401
        await dk.admin("/books/vik/token", {"revoked": False})
        assert (await dk.call("GET", "/company/connection")).json is True

    simulate(scenario)


def test_a_token_may_have_a_life() -> None:
    async def scenario(dk: Dk) -> None:
        dk.clock.pass_seconds(59)
        assert (await dk.call("GET", "/company")).status == 200
        dk.clock.pass_seconds(2)
        assert (await dk.call("GET", "/company")).status == 401

    simulate(scenario, switches={"token_life_seconds": 60.0})


def test_a_right_that_the_user_lacks_is_a_403() -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.customer()).status == 403
        assert dk.running.books("vik").customers == {}

    simulate(scenario, switches={"forbidden": ["customer.create"]})


def test_creating_and_changing_a_customer_answers_200_without_a_body() -> None:
    async def scenario(dk: Dk) -> None:
        made = await dk.customer(Email="bokhald@example.is")
        assert (made.status, made.text) == (200, "")
        change = {"Name": "Ærslabelgur hf.", "Blocked": True, "Email": ""}
        changed = await dk.call("PUT", f"/customer/{KENNITALA}", change)
        assert (changed.status, changed.text) == (200, "")
        got = await dk.call("GET", f"/customer/{KENNITALA}")
        assert "Ærslabelgur hf." in got.text  # UTF-8, unescaped
        assert got.json["Blocked"] is True
        assert got.json["Email"] == ""
        assert got.json["SSNumber"] == KENNITALA  # left out of the PUT: kept
        assert dk.kinds() == []

    simulate(scenario)


@pytest.mark.parametrize("path", ["/customer/1", "/project/1", "/sales/invoice/1", "/product/1"])
def test_what_is_unknown_is_a_404_with_an_empty_body(path: str) -> None:
    async def scenario(dk: Dk) -> None:
        got = await dk.call("GET", path)
        assert (got.status, got.text) == (404, "")
        await dk.admin("/switches", {"set": {"not_found_body": "json"}})
        assert "Message" in (await dk.call("GET", path)).json

    simulate(scenario)


def test_an_unknown_route_is_a_404_that_says_so() -> None:
    async def scenario(dk: Dk) -> None:
        got = await dk.call("GET", "/nothing/here")
        assert got.status == 404
        assert got.json["Message"].startswith("No HTTP resource was found")

    simulate(scenario)


def test_unknown_members_are_ignored_and_ssnumber_and_city_come_back_only_by_switch() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer(City="Reykjavík", Nonsense="x")
        got = (await dk.call("GET", f"/customer/{KENNITALA}")).json
        assert "Nonsense" not in got
        assert got["City"] == "Reykjavík"
        await dk.admin("/switches", {"set": {"returns_ss_number": False, "returns_city": False}})
        got = (await dk.call("GET", f"/customer/{KENNITALA}")).json
        assert {"SSNumber", "City"}.isdisjoint(got)

    simulate(scenario)


@pytest.mark.parametrize(("how", "status"), [("409", 409), ("400", 400), ("200-empty", 200)])
@pytest.mark.parametrize("kind", ["customer", "project", "product"])
def test_a_key_that_exists_is_refused_as_the_switch_says(kind: str, how: str, status: int) -> None:
    async def scenario(dk: Dk) -> None:
        body = {"Number": "1", "ItemCode": "1", "Name": "fyrst", "Description": "fyrst"}
        first = await dk.call("POST", f"/{kind}", body)
        assert first.status == 200
        again = await dk.call("POST", f"/{kind}", {**body, "Name": "b", "Description": "b"})
        assert again.status == status
        held = dk.running.books("vik").shelf(kind)["1"]
        assert "fyrst" in (held.get("Name"), held.get("Description"))

    simulate(scenario, switches={f"duplicate_{kind}": how})


@pytest.mark.parametrize("raw", [b"{", b"[1]", b'{"Number": "1", "Blocked": "perhaps"}', b"{}"])
def test_a_body_that_cannot_be_read_is_the_400_of_the_model_binder(raw: bytes) -> None:
    async def scenario(dk: Dk) -> None:
        got = await dk.call("POST", "/customer", raw=raw)
        assert got.status == 400
        assert got.json["Message"] == "The request is invalid."
        assert "ModelState" in got.json

    simulate(scenario)


@pytest.mark.parametrize("member", ["PaymentTerm", "CurrencyCode", "SalesPerson"])
def test_an_unknown_code_is_refused_dropped_or_kept(member: str) -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.customer("1", **{member: "zzz"})).status == 400
        await dk.admin("/switches", {"set": {"unknown_codes": "drop"}})
        assert (await dk.customer("1", **{member: "zzz"})).status == 200
        assert dk.running.books("vik").customers["1"][member] != "zzz"
        await dk.admin("/switches", {"set": {"unknown_codes": "keep"}})
        assert (await dk.customer("2", **{member: "zzz"})).status == 200
        assert dk.running.books("vik").customers["2"][member] == "zzz"

    simulate(scenario)


def test_dk_may_refuse_a_kennitala_whose_check_digit_fails() -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.customer("1", SSNumber="3112992050")).status == 400
        assert (await dk.customer("1", SSNumber="311299-2040")).status == 200

    simulate(scenario, switches={"kennitala_checked": True})


@pytest.mark.parametrize("good", ["7112992030", "3112992040", "3112992200", "1201603389"])
def test_the_old_rule_of_the_check_digit_holds_for_the_contracts_numbers(good: str) -> None:
    assert kennitala_holds(good)
    assert not kennitala_holds(good[:8] + str((int(good[8]) + 1) % 10) + good[9])


def test_a_name_over_its_limit_is_cut_or_refused() -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.customer("1", Name="Ærslabelgur")).status == 200
        assert dk.running.books("vik").customers["1"]["Name"] == "Ærsla"
        await dk.admin("/switches", {"set": {"too_long": "refuse"}})
        assert (await dk.customer("2", Name="Ærslabelgur")).status == 400

    simulate(scenario, switches={"limits": {"customer_name": 5}})


def test_a_put_with_a_number_renames_only_by_switch() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer("1")
        await dk.call("PUT", "/customer/1", {"Number": "2"})
        assert (await dk.call("GET", "/customer/1")).json["Number"] == "1"
        await dk.admin("/switches", {"set": {"renumbers_by_put": True}})
        await dk.call("PUT", "/customer/1", {"Number": "2"})
        assert (await dk.call("GET", "/customer/2")).json["Number"] == "2"
        assert (await dk.call("GET", "/customer/1")).status == 404
        assert (await dk.call("PUT", "/customer/1", {"Name": "x"})).status == 404

    simulate(scenario)


def test_pages_are_arrays_from_one_with_a_link_to_the_last() -> None:
    async def scenario(dk: Dk) -> None:
        for number in ("1", "2", "3"):
            await dk.customer(number, Blocked=number == "2")
        first = await dk.call("GET", "/customer/page/1/2?include=Number,Name")
        assert [list(record) for record in first.json] == [["Name", "Number"]] * 2
        assert '/customer/page/2/2>; rel="last"' in first.headers["Link"]
        assert 'rel="next"' in first.headers["Link"]
        assert len((await dk.call("GET", "/customer/page/2/2")).json) == 1
        assert (await dk.call("GET", "/customer/page/9/2")).json == []
        assert (await dk.call("GET", "/customer/page/0/2")).status == 400
        blocked = (await dk.call("GET", "/customer/page/1/9?blocked=true")).json
        assert [record["Number"] for record in blocked] == ["2"]

    simulate(scenario)


def test_a_search_finds_a_twin_written_with_a_dash() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.admin("/books/vik/customers", {"Number": "711299-2030", "Name": "Tvífari"})
        found = (await dk.call("GET", f"/customer/search/{KENNITALA}/10")).json
        assert [record["Number"] for record in found] == ["711299-2030"]

    simulate(scenario)


def test_a_customer_in_use_cannot_be_deleted_and_another_is_only_marked() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.customer("2")
        await dk.invoice()
        used = await dk.call("DELETE", f"/customer/{KENNITALA}")
        assert (used.status, used.json["Message"]) == (400, "Cannot be deleted!")
        assert (await dk.call("DELETE", "/customer/2")).status == 200
        assert (await dk.call("GET", "/customer/2")).json["Deleted"] is True

    simulate(scenario)


# --- projects --------------------------------------------------------------------------------


@pytest.mark.parametrize("never", ["1899-12-30T00:00:00Z", "0001-01-01T00:00:00"])
def test_a_project_is_answered_whole_with_integers_and_empty_dates(never: str) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        body = {"Number": "2026-014", "Name": "Brúarhönnun, Ölfusá", "CustomerToBill": KENNITALA}
        made = await dk.call("POST", "/project", {**body, "JobStatus": "InProgress"})
        assert made.status == 200
        record = made.json
        assert record["CustomerNameToBill"] == "Ærslabelgur ehf."
        assert record["JobStatus"] == 1
        assert record["ActualFinishDate"] == never
        assert (await dk.call("GET", "/project/2026-014")).json == record
        assert (await dk.call("GET", f"/customer/{KENNITALA}/project")).json == [record]

    simulate(scenario, switches={"empty_date": never})


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_project_cannot_be_changed(method: str) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.call("POST", "/project", {"Number": "1"})
        got = await dk.call(method, "/project/1", {"Name": "x"})
        expected = f"The requested resource does not support http method '{method}'."
        assert (got.status, got.json) == (405, {"Message": expected})

    simulate(scenario)


def test_a_project_without_number_or_with_an_unknown_customer_is_refused() -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.call("POST", "/project", {"Name": "x"})).status == 400
        unknown = {"Number": "1", "CustomerToBill": "404"}
        assert (await dk.call("POST", "/project", unknown)).status == 400
        assert (await dk.call("POST", "/project", {"Number": "1", "JobType": "odd"})).status == 400
        assert dk.running.books("vik").projects == {}

    simulate(scenario)


# --- products --------------------------------------------------------------------------------


def test_a_product_is_kept_in_lower_case_and_cut_without_a_word() -> None:
    async def scenario(dk: Dk) -> None:
        sent = {"ItemCode": "Akstur-Á-Langri-Leið-22", "Description": "x" * 41}
        made = (await dk.call("POST", "/product", sent)).json
        assert made["ItemCode"] == "akstur-á-langri-leið"
        assert len(made["Description"]) == 40
        assert made["TaxPercent"] == 24
        assert (await dk.call("GET", "/product/AKSTUR-Á-langri-leið")).json == made

    simulate(scenario)


@pytest.mark.parametrize(
    ("sent", "net"),
    [
        ({"UnitPrice1": 100}, 100),
        ({"UnitPrice1WithTax": 124}, 100),
        ({"Price1": {"UnitPrice": 100}}, 100),
    ],
)
def test_a_price_is_taken_flat_or_nested_net_or_with_tax(sent: dict[str, Any], net: int) -> None:
    async def scenario(dk: Dk) -> None:
        body = {"ItemCode": "a", "TaxPercent": 24, **sent}
        made = (await dk.call("POST", "/product", body)).json
        assert (made["UnitPrice1"], made["UnitPrice1WithTax"]) == (net, Decimal(124))

    simulate(scenario)


def test_a_bare_product_has_the_vat_of_the_switch() -> None:
    async def scenario(dk: Dk) -> None:
        made = await dk.call("POST", "/product", {"ItemCode": "a"})
        assert made.json["TaxPercent"] == 11

    simulate(scenario, switches={"bare_product_vat": 11})


def test_an_odd_item_code_travels_in_base64() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.call("POST", "/product", {"ItemCode": "a/b"})
        assert (await dk.call("GET", "/product/a%2Fb")).status == 404  # breaks the route
        assert (await dk.call("GET", "/product/YS9i?isBase64=true")).json["ItemCode"] == "a/b"

    simulate(scenario)


def test_sales_persons_come_in_pages_and_can_be_changed_while_it_runs() -> None:
    async def scenario(dk: Dk) -> None:
        assert [row["Number"] for row in (await dk.call("GET", "/sales/person/page/1/9")).json] == [
            "web"
        ]
        await dk.admin("/books/vik/sales-persons", {"salesPersons": ["010", "008"]})
        numbers = [row["Number"] for row in (await dk.call("GET", "/sales/person/page/1/9")).json]
        assert numbers == ["010", "008"]
        assert (await dk.call("GET", "/sales/person/web")).status == 404
        assert (await dk.call("GET", "/general/payment/term")).json[0]["ID"] == "stgr"

    simulate(scenario)
