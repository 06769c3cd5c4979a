"""Customers and projects in the simulated platform (contract sparebank1-regnskap 2, 3)."""

from typing import Any

import pytest

from connectors.sparebank1.simulator.switches import ErrorShape, Switches
from tests.connectors.sparebank1.simulated_client import (
    KEY,
    Client,
    against,
    config,
    customer_body,
    guid,
)

CUSTOMERS, PROJECTS = "/api/biz/customers", "/api/biz/projects"


def test_a_new_customer_comes_with_a_sub_account_of_1500() -> None:
    async def story(c: Client) -> None:
        made = await c.customer(100_042)
        account = made["Account"]
        assert account["AccountNumber"] == 100_042
        assert account["CustomerID"] == made["ID"]
        assert account["AccountID"] == await c.account_id(1500)
        assert account["UsePostPost"] is True
        assert made["StatusCode"] == 30001
        assert c.kinds() == set()

    against(None, story)


def test_ids_of_different_things_and_companies_never_meet() -> None:
    """A mix-up of an id with a number, or of two kinds of id, must fail and not happen to work."""

    async def story(c: Client) -> None:
        tables = [b.tables.values() for b in c.running.server.simulator.books.values()]
        ids = [i for company in tables for t in company for i in t.rows if t.entity.space]
        assert len(ids) == len(set(ids))
        numbers = [r["AccountNumber"] for r in await c.get("/api/biz/accounts", top="99")]
        assert not set(ids) & set(numbers)

    against(None, story)


def test_an_account_may_come_later_than_its_customer() -> None:
    async def story(c: Client) -> None:
        assert (await c.customer())["Account"] is None

    against(config(Switches(account_after_seconds=60)), story)


@pytest.mark.parametrize("status", [200, 201])
def test_a_post_is_answered_as_the_switch_says(status: int) -> None:
    async def story(c: Client) -> None:
        assert (await c.send("POST", CUSTOMERS, customer_body(100_001))).status == status

    against(config(Switches(created_status=status)), story)


def test_the_answer_to_a_post_may_hold_no_nested_objects() -> None:
    async def story(c: Client) -> None:
        echoed = (await c.send("POST", CUSTOMERS, customer_body(100_001))).json
        assert "Info" not in echoed

    against(config(Switches(echo_nested=False)), story)


@pytest.mark.parametrize("number", [99_999, 200_000, 100_042])
def test_a_number_outside_the_series_or_taken_is_refused(number: int) -> None:
    async def story(c: Client) -> None:
        await c.customer(100_042)
        answer = await c.send("POST", CUSTOMERS, customer_body(number))
        assert answer.status == 400
        assert answer.json["Messages"][0]["PropertyName"] == "CustomerNumber"
        assert len(c.running.books(KEY)["customers"]) == 1

    against(None, story)


def test_the_series_tells_its_ends_and_gives_a_number_where_none_is_sent() -> None:
    async def story(c: Client) -> None:
        await c.customer(100_042)
        series = await c.get(
            "/api/biz/number-series",
            expand="NumberSeriesType,MainAccount",
            filter="NumberSeriesType.EntityType eq 'Customer'",
        )
        assert [(s["FromNumber"], s["ToNumber"], s["NextNumber"]) for s in series] == [
            (100_000, 199_999, 100_043)
        ]
        body = customer_body(1) | {"CustomerNumber": None}
        assert (await c.send("POST", CUSTOMERS, body)).json["CustomerNumber"] == 100_043
        assert c.kinds() == {"customer-number-missing"}

    against(None, story)


@pytest.mark.parametrize(
    ("shape", "finds"),
    [
        (ErrorShape.ENTITY, lambda j: j["_validationResults"]["CustomerNumber"][0]["Message"]),
        (ErrorShape.MESSAGES, lambda j: j["Messages"][0]["Message"]),
        (ErrorShape.MESSAGE, lambda j: j["Message"]),
    ],
)
def test_a_refusal_has_any_of_three_shapes(shape: ErrorShape, finds: Any) -> None:
    async def story(c: Client) -> None:
        answer = await c.send("POST", CUSTOMERS, customer_body(7))
        assert answer.status == 400
        assert "utenfor nummerserien" in finds(answer.json)

    against(config(Switches(error_shape=shape)), story)


def test_shapes_may_change_from_one_refusal_to_the_next() -> None:
    async def story(c: Client) -> None:
        answers = [await c.send("POST", CUSTOMERS, customer_body(7)) for _ in range(3)]
        assert len({tuple(sorted(a.json))[-1:] for a in answers}) == 3

    against(config(Switches(error_shape=ErrorShape.ROTATE)), story)


def test_a_foreign_key_of_nothing_is_a_500_with_database_text() -> None:
    async def story(c: Client) -> None:
        body = customer_body(100_001) | {"CurrencyCodeID": 1}
        answer = await c.send("POST", CUSTOMERS, body)
        assert answer.status == 500
        assert "FOREIGN KEY constraint" in answer.json["Message"]
        assert (await c.send("POST", CUSTOMERS, customer_body(100_001))).status == 201

    against(None, story)


def test_a_repeated_createguid_is_refused_but_a_refused_request_uses_none_up() -> None:
    async def story(c: Client) -> None:
        body = customer_body(7)
        assert (await c.send("POST", CUSTOMERS, body)).status == 400
        body["CustomerNumber"] = 100_001
        assert (await c.send("POST", CUSTOMERS, body)).status == 201
        body["CustomerNumber"] = 100_002
        again = await c.send("POST", CUSTOMERS, body)
        assert again.status == 400
        assert "_createguid" in again.json["Messages"][0]["Message"]
        assert len(c.running.books(KEY)["customers"]) == 1

    against(None, story)


def test_one_guid_in_two_places_is_one_row() -> None:
    async def story(c: Client) -> None:
        body = customer_body(100_001)
        address = {"_createguid": guid(), "AddressLine1": "Storgata 1"}
        body["Info"] |= {"InvoiceAddress": address, "ShippingAddress": address}
        made = (await c.send("POST", CUSTOMERS, body)).json["Info"]
        assert made["InvoiceAddressID"] == made["ShippingAddressID"] is not None

    against(None, story)


# --- PUT ---------------------------------------------------------------------------------------


def _whole(customer: Any) -> dict[str, Any]:
    return {name: value for name, value in customer.items() if name != "Account"}


@pytest.mark.parametrize(("clears", "left"), [(False, 14), (True, None)])
def test_a_put_keeps_or_clears_what_it_leaves_out(clears: bool, left: int | None) -> None:
    async def story(c: Client) -> None:
        made = await c.customer()
        body = _whole(made)
        del body["CreditDays"]
        body["Info"] = {"ID": made["BusinessRelationID"], "Name": "Nytt Navn AS"}
        answer = await c.send("PUT", f"{CUSTOMERS}/{made['ID']}", body)
        assert answer.status == 200
        after = await c.get(f"{CUSTOMERS}/{made['ID']}", expand="Info,Info.DefaultEmail,Account")
        assert (after["CreditDays"], after["OrgNumber"]) == (left, "123456785")
        assert after["Info"]["Name"] == after["Account"]["AccountName"] == "Nytt Navn AS"
        assert after["Info"]["DefaultEmail"]["EmailAddress"] == "faktura@nordlys.example"
        assert c.kinds() == {"member-left-out"}

    against(config(Switches(put_clears_left_out=clears)), story)


def test_a_put_of_everything_that_was_read_is_no_violation() -> None:
    async def story(c: Client) -> None:
        made = await c.customer()
        body = _whole(made)
        body["Info"]["Phones"][0]["Number"] = "11111111"
        assert (await c.send("PUT", f"{CUSTOMERS}/{made['ID']}", body)).status == 200
        after = await c.get(f"{CUSTOMERS}/{made['ID']}", expand="Info.Phones")
        assert [p["Number"] for p in after["Info"]["Phones"]] == ["11111111"]
        assert c.kinds() == set()

    against(config(Switches(put_clears_left_out=True)), story)


def test_a_new_child_in_a_put_needs_a_createguid() -> None:
    async def story(c: Client) -> None:
        made = await c.customer()
        body = _whole(made)
        body["Info"]["InvoiceAddress"] = {"ID": 0, "AddressLine1": "Nygata 2"}
        answer = await c.send("PUT", f"{CUSTOMERS}/{made['ID']}", body)
        assert answer.status == 400
        assert "unless _createguid" in answer.json["Messages"][0]["Message"]
        body["Info"]["InvoiceAddress"]["_createguid"] = guid()
        assert (await c.send("PUT", f"{CUSTOMERS}/{made['ID']}", body)).status == 200
        after = await c.get(f"{CUSTOMERS}/{made['ID']}", expand="Info.InvoiceAddress")
        assert after["Info"]["InvoiceAddress"]["AddressLine1"] == "Nygata 2"

    against(None, story)


def test_a_child_marked_as_deleted_goes_and_the_others_stay() -> None:
    async def story(c: Client) -> None:
        made = await c.customer()
        body = _whole(made)
        body["Info"]["Phones"][0]["Deleted"] = True
        await c.send("PUT", f"{CUSTOMERS}/{made['ID']}", body)
        after = await c.get(f"{CUSTOMERS}/{made['ID']}", expand="Info.Phones,Info.Emails")
        assert (after["Info"]["Phones"], len(after["Info"]["Emails"])) == ([], 1)

    against(None, story)


def test_one_object_in_two_places_with_different_content_is_noted() -> None:
    async def story(c: Client) -> None:
        made = await c.customer()
        body = _whole(made)
        email = body["Info"]["DefaultEmail"]
        body["Info"]["Emails"] = [email | {"EmailAddress": "annen@nordlys.example"}]
        await c.send("PUT", f"{CUSTOMERS}/{made['ID']}", body)
        assert "child-sent-twice" in c.kinds()

    against(None, story)


def test_a_second_fax_or_the_same_e_mail_again_is_noted() -> None:
    async def story(c: Client) -> None:
        made = await c.customer()
        for name, item in (
            ("Phones", {"Number": "99999999", "Type": 150103}),
            ("Emails", {"EmailAddress": "faktura@nordlys.example"}),
        ):
            body = _whole(made)
            body["Info"] = body["Info"] | {name: [item | {"ID": 0, "_createguid": guid()}]}
            answer = await c.send("PUT", f"{CUSTOMERS}/{made['ID']}", body)
            assert answer.status == 200
        assert [v.kind for v in c.running.violations] == ["contact-doubled"] * 2

    against(None, story)


def test_a_phone_type_in_text_is_refused() -> None:
    """The 2019 description calls it a string; the platform's own client sends a number."""

    async def story(c: Client) -> None:
        body = customer_body(100_001)
        body["Info"]["Phones"][0]["Type"] = "150103"
        assert (await c.send("POST", CUSTOMERS, body)).status == 400

    against(None, story)


@pytest.mark.parametrize(("honoured", "after"), [(True, 50001), (False, 30001)])
def test_a_customers_status_by_put_counts_only_by_switch(honoured: bool, after: int) -> None:
    async def story(c: Client) -> None:
        made = await c.customer()
        path = f"{CUSTOMERS}/{made['ID']}"
        answer = await c.send("PUT", path, _whole(made) | {"StatusCode": 50001})
        assert answer.json["StatusCode"] == after
        await c.send("PUT", CUSTOMERS, action="deactivate", ID=str(made["ID"]))
        assert (await c.get(path))["StatusCode"] == 50001

    against(config(Switches(customer_status_by_put=honoured)), story)


def test_a_deleted_customer_stays_in_lists_and_keeps_its_number() -> None:
    async def story(c: Client) -> None:
        await c.customer(100_042)
        await c.admin(f"companies/{KEY}/customers/delete", {"customerNumber": 100_042})
        rows = await c.get(CUSTOMERS, filter="CustomerNumber eq 100042")
        assert [(r["Deleted"], r["StatusCode"]) for r in rows] == [(True, 90001)]
        assert (await c.send("POST", CUSTOMERS, customer_body(100_042))).status == 400
        hard = {"customerNumber": 100_042, "hard": True}
        await c.admin(f"companies/{KEY}/customers/delete", hard)
        assert (await c.send("GET", f"{CUSTOMERS}/{rows[0]['ID']}")).status == 404
        assert (await c.send("POST", CUSTOMERS, customer_body(100_042))).status == 201

    against(None, story)


# --- projects ----------------------------------------------------------------------------------


def _project(number: str = "10023", **more: Any) -> dict[str, Any]:
    return {"Name": "Sentrumskvartalet", "ProjectNumber": number, "StartDate": "2026-01-05"} | more


def test_a_project_is_made_for_a_customer_by_id_never_by_number() -> None:
    async def story(c: Client) -> None:
        customer = await c.customer(100_042)
        wrong = await c.send("POST", PROJECTS, _project(ProjectCustomerID=100_042))
        assert (wrong.status, "FOREIGN KEY" in wrong.text) == (500, True)
        made = await c.send("POST", PROJECTS, _project(ProjectCustomerID=customer["ID"]))
        assert (made.status, made.json["StatusCode"]) == (201, 42201)
        rows = await c.get(PROJECTS, filter="ProjectNumber eq '10023'", expand="ProjectCustomer")
        assert rows[0]["ProjectCustomer"]["CustomerNumber"] == 100_042

    against(None, story)


def test_transitions_follow_the_table_and_others_are_refused() -> None:
    async def story(c: Client) -> None:
        made = (await c.send("POST", PROJECTS, _project())).json
        path = f"{PROJECTS}/{made['ID']}"
        assert (await c.send("POST", path, action="CompleteProject")).status == 400
        for action, state in [
            ("InitiateProject", 42202),
            ("StartProject", 42203),
            ("CompleteProject", 42204),
            ("ReactivateProject", 42203),
            ("DiscardProject", 42205),
        ]:
            assert (await c.send("POST", path, action=action)).status == 204
            assert (await c.get(path))["StatusCode"] == state

    against(None, story)


@pytest.mark.parametrize(("honoured", "state"), [(True, 42204), (False, 42201)])
def test_a_status_in_a_put_counts_only_by_switch(honoured: bool, state: int) -> None:
    async def story(c: Client) -> None:
        made = (await c.send("POST", PROJECTS, _project())).json
        body = made | {"StatusCode": 42204}
        answer = await c.send("PUT", f"{PROJECTS}/{made['ID']}", body)
        assert (answer.status, answer.json["StatusCode"]) == (200, state)

    against(config(Switches(project_status_by_put=honoured)), story)


def test_project_numbers_are_digits_and_unique_by_switch() -> None:
    async def strict(c: Client) -> None:
        assert (await c.send("POST", PROJECTS, _project("P-1"))).status == 400
        assert (await c.send("POST", PROJECTS, _project())).status == 201
        assert (await c.send("POST", PROJECTS, _project())).status == 400
        assert c.kinds() == set()

    async def loose(c: Client) -> None:
        assert (await c.send("POST", PROJECTS, _project())).status == 201
        assert (await c.send("POST", PROJECTS, _project())).status == 201
        assert c.kinds() == {"project-doubled"}

    against(None, strict)
    against(config(Switches(project_number_unique=False)), loose)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"Name": "x" * 256}, "Name"),
        ({"StartDate": "2026-02-30"}, "StartDate"),
        ({"StartDate": "05.01.2026"}, "StartDate"),
        ({"ProjectNumberNumeric": 2**31}, "ProjectNumberNumeric"),
        ({"ProjectNumberNumeric": "10023"}, "ProjectNumberNumeric"),
        ({"Name": 7}, "Name"),
        ({"Name": None}, "Name"),
        ({"StatusCode": 1}, "StatusCode"),
    ],
)
def test_a_member_of_the_wrong_kind_or_length_is_refused(body: Any, field: str) -> None:
    async def story(c: Client) -> None:
        answer = await c.send("POST", PROJECTS, _project() | body)
        assert answer.status == 400
        assert answer.json["Messages"][0]["PropertyName"] == field
        assert c.running.books(KEY)["projects"] == []

    against(None, story)
