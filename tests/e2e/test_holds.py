"""Section 4 of the interface: what concerns a whole integration is held, told once, and goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Shared
from tests.e2e.moment import customer, icelander, icelandic_invoice, invoice
from tests.e2e.scene import Tenant

pytestmark = pytest.mark.kafka


def held_and_mended(
    scene: Shared,
    tenant: Tenant,
    code: str,
    klass: str,
    mend: Callable[[], object],
) -> None:
    """Two customers meet the refusal: each is told once, and after `resume` they go in order."""
    make = customer if tenant.system == "sparebank1" else icelander
    first = scene.send(make(tenant.company, "100042"))
    told = scene.outcome(first, "held")
    assert (told.code, told.data["failure"]["class"]) == (code, klass)
    second = scene.send(make(tenant.company, "100043", name="Second"))
    scene.outcome(second, "held")
    other = scene.norway() if tenant.system == "sparebank1" else scene.iceland()
    scene.applied(make(other.company, "100042"))
    assert reason(scene, tenant)["held"] is True
    assert reason(scene, tenant)["heldReason"]
    mend()
    resumed = scene.cli("resume", tenant.id, "--by", "kari", "--reason", "mended")
    assert resumed.code == 0, resumed.err
    scene.outcome(first, "applied")
    scene.outcome(second, "applied")
    for event in (first, second):
        assert [one.kind for one in scene.told(event)] == ["held", "applied"]
    assert reason(scene, tenant)["held"] is False


def reason(scene: Shared, tenant: Tenant) -> Any:
    status = scene.asked("status")["integrations"]
    return next(one for one in status if one["id"] == tenant.id)


def test_a_token_that_dkplus_refuses_holds_the_integration(scene: Shared) -> None:
    tenant = scene.iceland()
    scene.deed(tenant, "token", revoked=True)
    held_and_mended(
        scene,
        tenant,
        "credentials-refused",
        "access",
        lambda: scene.deed(tenant, "token", revoked=False),
    )


def test_a_right_that_is_missing_holds_the_integration(scene: Shared) -> None:
    tenant = scene.iceland()
    rules = [{"fault": "forbidden", "company": tenant.key}]
    scene.books.dk("faults", {"rules": rules})
    held_and_mended(
        scene, tenant, "right-missing", "access", lambda: scene.books.dk("faults", {"rules": []})
    )


def test_a_company_that_is_not_activated_holds_the_integration(scene: Shared) -> None:
    tenant = scene.norway()
    scene.deed(tenant, "active", active=False)
    held_and_mended(
        scene, tenant, "not-activated", "access", lambda: scene.deed(tenant, "active", active=True)
    )


def test_a_401_that_outlives_a_fresh_token_holds_the_integration(scene: Shared) -> None:
    """It means the path, a right or the company (contract sparebank1-regnskap 1.5)."""
    tenant = scene.norway()
    rules = [{"fault": "unauthorised", "path": "/api/biz/*", "company": tenant.key}]
    scene.books.sb1("faults", {"rules": rules})
    held_and_mended(
        scene, tenant, "right-missing", "access", lambda: scene.books.sb1("faults", {"rules": []})
    )


def test_a_single_401_is_answered_with_a_fresh_token_and_nobody_is_told(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    scene.books.sb1("tokens/revoke", {})
    told = scene.applied(customer(tenant.company, "100043"))
    assert [one.kind for one in scene.told(told.data["event"]["id"])] == ["applied"]


def test_an_unknown_sales_person_holds_the_integration_until_there_is_one(scene: Shared) -> None:
    tenant = scene.special("is-nobody")
    scene.applied(icelander(tenant.company, "500"))
    bills = [scene.send(icelandic_invoice(tenant.company, str(n), "500")) for n in (1, 2, 3)]
    told = scene.outcome(bills[0], "held")
    assert (told.code, told.data["failure"]["class"]) == ("sales-person-unknown", "set-up")
    assert told.data["failure"]["parameters"]["salesPerson"] == "nobody"
    scene.deed(tenant, "sales-persons", salesPersons=["web", "nobody"])
    assert scene.cli("resume", tenant.id, "--by", "kari").code == 0
    for number, event in enumerate(bills, start=1):
        scene.outcome(event, "applied")
        assert [one.kind for one in scene.told(event)].count("held") <= 1
        assert len(scene.booked(tenant, str(number))) == 1


def test_a_customer_with_an_open_invoice_goes_on_in_order_after_a_hold(scene: Shared) -> None:
    tenant = scene.norway()
    scene.deed(tenant, "active", active=False)
    child = scene.send(invoice(tenant.company, "1001", "100042"))
    parent = scene.send(customer(tenant.company, "100042"))
    scene.outcome(parent, "held")
    scene.deed(tenant, "active", active=True)
    assert scene.cli("resume", tenant.id, "--by", "kari").code == 0
    scene.outcome(child, "applied")
    assert scene.told(parent, "applied")


def test_to_resume_what_is_not_set_up_is_wrong_use(scene: Shared) -> None:
    done = scene.cli("resume", "nobodys", "--by", "kari")
    assert (done.code, done.out) == (2, "")
    assert "nobodys" in done.err
