"""Section 2 of the interface: what an event says, and what the books make of it."""

from decimal import Decimal
from typing import Any

import pytest

from tests.e2e.conftest import Shared
from tests.e2e.moment import (
    customer,
    icelander,
    icelandic_invoice,
    icelandic_line,
    invoice,
    line,
    project,
)
from tests.e2e.scene import Tenant
from tests.e2e.wire import as_json, binary

pytestmark = pytest.mark.kafka

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def person(scene: Shared, tenant: Tenant, number: str) -> Any:
    """A customer as SpareBank 1 Regnskap shows it."""
    rows = scene.shown(tenant)["customers"]
    return next(row for row in rows if str(row["CustomerNumber"]) == number)


def test_customer_project_and_invoice_reach_sparebank1_with_all_they_carry(scene: Shared) -> None:
    tenant = scene.norway()
    told = scene.applied(
        customer(
            tenant.company,
            "100042",
            organisationNumber="123456785",
            website="https://nordlys.example",
            fax="22334456",
            currencyCode="NOK",
        ),
        traceparent=TRACE,
        tracestate="a=b",
        correlationid="c-7",
        sequence="007",
    )
    assert told.data["reference"]["number"] == "100042"
    assert told.data["entity"] == {
        "type": "customer",
        "number": "100042",
        "customerNumber": "100042",
    }
    assert told.data["event"]["time"] == "2026-03-10T08:00:00Z"
    assert told.data["event"]["topic"] == f"{scene.prefix}moment.customers"
    assert str(told.header("ce_traceparent"))[3:35] == TRACE[3:35]
    assert told.header("ce_correlationid") == "c-7"
    row = person(scene, tenant, "100042")
    assert (row["OrgNumber"], row["WebUrl"]) == ("123456785", "https://nordlys.example")
    assert row["Info"]["InvoiceAddress"]["City"] == "Oslo"
    assert {phone["Number"] for phone in row["Info"]["Phones"]} >= {"22334456"}
    scene.applied(project(tenant.company, "10023", "100042", endDate="2026-12-18"))
    (kept,) = scene.shown(tenant)["projects"]
    assert (kept["ProjectNumber"], kept["StatusCode"]) == ("10023", 42203)
    two = (
        line(quantity="7.5", unitPrice="1450", unit="timer"),
        line(
            quantity=2,
            unitPrice="100",
            discountPercent="10",
            surchargePercent="5",
            totalExclVat="189",
            description=None,
            productName="Fuktsensor",
            unit="stk",
        ),
    )
    event = invoice(
        tenant.company, "1001", "100042", *two, projectNumber="10023", paymentId="10017"
    )
    booked = scene.applied(event)
    (voucher,) = scene.booked(tenant, "1001")
    assert booked.data["reference"]["number"] == voucher["number"]
    amounts = {row["account"]: Decimal(str(row["amount"])) for row in voucher["lines"]}
    assert amounts[1500] == Decimal(13830)
    (owed,) = [row for row in voucher["lines"] if row["account"] == 1500]
    assert (owed["paymentId"], owed["dueDate"][:10]) == ("10017", "2026-03-24")
    texts = " ".join(row["description"] for row in voucher["lines"])
    assert "7.5 timer" in texts.replace("7,5", "7.5")
    assert "Fuktsensor" in texts
    assert "2 stk" in texts
    assert {r["projectNumber"] for r in voucher["lines"] if r["account"] == 3000} == {"10023"}


def test_customer_project_and_invoice_reach_dkplus_with_all_they_carry(scene: Shared) -> None:
    tenant = scene.iceland()
    scene.applied(icelander(tenant.company, "500", status="BLOCKED"))
    assert scene.shown(tenant)["customers"]["500"]["Blocked"] is True
    scene.applied(icelander(tenant.company, "500", address={"city": "Vík", "countryCode": "FO"}))
    row = scene.shown(tenant)["customers"]["500"]
    assert (row["Blocked"], row["CountryCode"], row["SSNumber"]) == (False, "FO", "7112992030")
    scene.applied(project(tenant.company, "2026-014", "500"))
    lines = (
        icelandic_line(quantity="2", unitPrice="1000", surchargePercent="10", totalExclVat="2200"),
        icelandic_line(productNumber=None, account={"number": "1", "externalRevenueClass": "s1"}),
    )
    event = icelandic_invoice(tenant.company, "20311", "500", *lines, projectNumber="2026-014")
    told = scene.applied(event)
    (sale,) = scene.booked(tenant, "20311")
    assert told.data["reference"]["number"] == sale["number"] == "20311"
    assert "warnings" not in told.data
    first, second = sale["record"]["Lines"]
    assert (first["Quantity"], first["UnitPrice"]) == (2, 1100)
    assert (first["ItemCode"].lower(), second["ItemCode"].lower()) == ("honnun", "s1")
    assert (sale["record"]["SalePerson"], sale["record"]["Project"]) == ("web", "2026-014")
    assert sale["record"]["DueDate"].startswith("2026-03-24")


def test_what_is_absent_is_cleared_only_where_we_had_put_it(scene: Shared) -> None:
    tenant = scene.norway()
    scene.deed(
        tenant,
        "customers",
        CustomerNumber=100050,
        CreditDays=30,
        WebUrl="https://by.hand.example",
        Info={"Name": "By hand", "DefaultPhone": {"Number": "11111111", "Type": 150101}},
    )
    scene.applied(customer(tenant.company, "100050", phone=None, website=None))
    adopted = person(scene, tenant, "100050")
    assert adopted["Info"]["DefaultPhone"]["Number"] == "11111111"
    assert adopted["WebUrl"] == "https://by.hand.example"
    scene.applied(customer(tenant.company, "100050", phone="22222222"))
    changed = customer(tenant.company, "100050", email="ny@customer.example")
    del changed["phone"]
    scene.applied(changed, type="team.moment.customer.updated")
    row = person(scene, tenant, "100050")
    assert not (row["Info"]["DefaultPhone"] or {}).get("Number")
    assert row["Info"]["DefaultEmail"]["EmailAddress"] == "ny@customer.example"
    assert (row["CreditDays"], row["WebUrl"]) == (30, "https://by.hand.example")


def test_the_same_event_again_in_either_mode_has_no_outcome_of_its_own(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    for structured in (False, True):
        number = f"10{structured:d}1"
        event = invoice(tenant.company, number, "100042", line(quantity=100, unitPrice="1E+1"))
        first = scene.send(event, structured=structured)
        scene.outcome(first, "applied")
        again = dict(reversed(event.items()))
        again["lines"] = [{**event["lines"][0], "quantity": "100.00", "unitPrice": Decimal("10.0")}]
        for other in (structured, not structured):
            scene.send(again, id=first, structured=other, time="2027-01-01T00:00:00Z")
        attributes = {"id": first, "source": "/moment/e2e", "type": "team.moment.invoice.finalized"}
        headers = binary({**attributes, "subject": f"invoice/{number}"})
        spaced = as_json(event).replace(b", ", b" ,\n\t").replace(b'"1E+1"', b"10.00")
        scene.wire.send("moment.invoices", None, spaced, headers)
        scene.applied(invoice(tenant.company, f"{number}1", "100042"))
        assert [one.kind for one in scene.told(first)] == ["applied"]
        assert len(scene.booked(tenant, number)) == 1
    assert [x for x in scene.wire.letters if x.said.get("company") == tenant.company] == []


def test_an_id_used_again_for_other_data_is_a_letter_without_an_outcome(scene: Shared) -> None:
    tenant = scene.norway()
    event = customer(tenant.company, "100042")
    told = scene.applied(event)
    first = told.data["event"]["id"]
    scene.send({**event, "name": "Another"}, id=first, extra=(("x-a", b"1"), ("x-a", b"2")))
    letter = scene.letter(
        lambda x: x.said["code"] == "event-id-reused" and x.said.get("company") == tenant.company,
        "the letter of a reused id",
    )
    assert letter.came[-2:] == (("x-a", b"1"), ("x-a", b"2"))
    scene.applied(customer(tenant.company, "100043"))
    assert [one.kind for one in scene.told(first)] == ["applied"]
    assert person(scene, tenant, "100042")["Info"]["Name"] == event["name"]


def test_under_a_wrong_key_or_none_it_is_taken_and_its_letter_keeps_that_key(
    scene: Shared,
) -> None:
    tenant = scene.norway()
    right = f"{tenant.company}/100042".encode()
    told = scene.applied(customer(tenant.company, "100042"), key=None)
    assert told.key == right
    told = scene.applied(project(tenant.company, "7", "100042"), key=b"elsewhere/9")
    assert told.key == right
    for key in (None, b"elsewhere/9", b"\xff\x00"):
        wrong = invoice(tenant.company, "9", "100042", totalVat="1", totalInclVat="1001")
        dead = scene.dead({**wrong, "number": f"9{len(key or b'')}"}, key=key)
        assert dead.key == right
        assert scene.letter_of(dead).key == key


def test_a_data_type_that_is_switched_off_has_no_delivery_and_no_outcome(scene: Shared) -> None:
    tenant = scene.special("no-projects-off")
    number = "100042"
    scene.applied(customer(tenant.company, number))
    off = scene.send(project(tenant.company, "77", number))
    unknown = scene.applied(invoice(tenant.company, "1", number, projectNumber="77"))
    scene.deed(tenant, "projects", ProjectNumber="78", Name="By hand")
    scene.applied(invoice(tenant.company, "2", number, projectNumber="78"))
    assert scene.told(off) == []
    assert "failure" not in unknown.data
    (first,), (second,) = scene.booked(tenant, "1"), scene.booked(tenant, "2")
    assert {row["projectNumber"] for row in first["lines"]} == {None}
    assert "78" in {row["projectNumber"] for row in second["lines"]}


def test_with_customers_off_they_are_found_in_the_books_or_told_at_once(scene: Shared) -> None:
    tenant = scene.special("no-customers-off")
    scene.deed(tenant, "customers", CustomerNumber=100060, Info={"Name": "By hand"})
    scene.applied(invoice(tenant.company, "1", "100060"))
    assert len(scene.booked(tenant, "1")) == 1
    dead = scene.dead(invoice(tenant.company, "2", "100061"))
    assert (dead.code, dead.data["failure"]["class"]) == ("customer-missing", "set-up")


def test_the_kennitala_comes_from_the_event_else_from_dk_else_the_invoice_is_dead(
    scene: Shared,
) -> None:
    tenant = scene.special("is-customers-off")
    for number in ("601", "602", "603"):
        kennitala = "7112992030" if number == "602" else ""
        scene.deed(tenant, "customers", Number=number, Name="By hand", SSNumber=kennitala)
    scene.books.dk(f"books/{tenant.key}/forgive", {})
    waits = scene.send(icelandic_invoice(tenant.company, "3", "603"))
    off = scene.send(icelander(tenant.company, "601", organisationNumber="311299-2040"))
    scene.applied(icelandic_invoice(tenant.company, "1", "601"))
    scene.applied(icelandic_invoice(tenant.company, "2", "602"))
    (sale,) = scene.booked(tenant, "1")
    assert sale["record"]["CSSNumber"] == "3112992040"
    assert scene.told(off) == []
    assert scene.outcome(waits, "dead").code == "kennitala-missing"


def test_a_kennitala_that_fails_its_check_warns_and_one_that_is_none_stops_the_invoice(
    scene: Shared,
) -> None:
    tenant = scene.iceland()
    told = scene.applied(icelander(tenant.company, "1", organisationNumber="3112992050"))
    assert [w["code"] for w in told.data["warnings"]] == ["kennitala-check-digit"]
    scene.applied(icelander(tenant.company, "2", organisationNumber="12345"))
    dead = scene.dead(icelandic_invoice(tenant.company, "9", "2"))
    assert dead.code == "kennitala-invalid"
