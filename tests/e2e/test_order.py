"""Sections 4 and 5 of the interface: parents and children, newer and older, blocked and freed."""

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

UPDATED = "team.moment.customer.updated"


def test_children_that_come_first_go_when_their_parents_come(scene: Shared) -> None:
    for tenant, make, bill in (
        (scene.norway(), customer, invoice),
        (scene.iceland(), icelander, icelandic_invoice),
    ):
        last = scene.send(bill(tenant.company, "1001", "100042", projectNumber="7"))
        middle = scene.send(project(tenant.company, "7", "100042"))
        blocked = scene.outcome(middle, "blocked")
        assert blocked.code == "parent-absent"
        assert blocked.data["failure"]["blockedBy"] == {"type": "customer", "number": "100042"}
        waits = scene.outcome(last, "blocked")
        assert waits.code == "parent-absent"
        first = scene.send(make(tenant.company, "100042"))
        for event in (first, middle, last):
            scene.outcome(event, "applied")
        at = [scene.told(event, "applied")[0].data["settledAt"] for event in (first, middle, last)]
        assert at == sorted(at)
        assert [one.kind for one in scene.told(middle)] == ["blocked", "applied"]
        assert len(scene.booked(tenant, "1001")) == 1


def test_behind_a_dead_parent_a_child_is_told_at_once_and_goes_by_itself_when_it_is_mended(
    scene: Shared,
) -> None:
    tenant = scene.norway()
    scene.deed(tenant, "customers", CustomerNumber=100042, Info={"Name": "By hand"})
    scene.applied(customer(tenant.company, "100042"))
    dead = scene.dead(project(tenant.company, "P7", "100042"))
    bill = invoice(tenant.company, "1001", "100042", projectNumber="P7")
    child = scene.send(bill)
    blocked = scene.outcome(child, "blocked")
    assert blocked.code == "parent-dead"
    assert blocked.data["failure"]["blockedBy"] == {
        "type": "project",
        "number": "P7",
        "deliveryId": dead.data["deliveryId"],
        "code": "project-number-not-numeric",
    }
    other = scene.applied(invoice(tenant.company, "1002", "100042"))
    assert other.data["outcome"] == "applied"
    assert [one.kind for one in scene.told(child)] == ["blocked"]
    status = scene.asked("status")["integrations"]
    (mine,) = [one for one in status if one["id"] == tenant.id]
    assert (mine["states"]["blocked"], mine["states"]["dead"]) == (1, 1)
    assert mine["oldestAgeSeconds"] > 0


def test_a_dead_customer_blocks_until_a_newer_state_of_it_withdraws_the_dead_one(
    scene: Shared,
) -> None:
    tenant = scene.norway()
    wrong = customer(tenant.company, "100042", currencyCode="XTS")
    dead = scene.dead(wrong)
    child = scene.send(invoice(tenant.company, "1001", "100042"))
    assert scene.outcome(child, "blocked").code == "parent-dead"
    mended = scene.applied(customer(tenant.company, "100042"), type=UPDATED)
    assert mended.data["withdraws"] == [dead.data["deliveryId"]]
    scene.outcome(child, "applied")
    assert len(scene.told(dead.data["event"]["id"])) == 1
    listed = scene.asked("deadletters", "list", "--company", tenant.company)
    assert listed["deadletters"] == []


def test_a_dead_update_of_a_parent_in_the_books_does_not_block_its_children(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    scene.dead(customer(tenant.company, "100042", currencyCode="XTS"), type=UPDATED)
    told = scene.applied(invoice(tenant.company, "1001", "100042"))
    assert "parent-stale" in [one["code"] for one in told.data["warnings"]]


def test_an_older_sequence_is_stale_and_of_several_open_states_only_the_newest_goes(
    scene: Shared,
) -> None:
    tenant = scene.norway()
    new = customer(tenant.company, "100042", name="Newest")
    scene.applied(new, sequence="10", type=UPDATED)
    old = scene.send(customer(tenant.company, "100042", name="Older"), sequence="9")
    assert scene.outcome(old, "stale").data["final"] is True
    waiting = [
        scene.send(project(tenant.company, "7", "100099", name=f"State {n}"), sequence=str(n))
        for n in (1, 3, 2)
    ]
    scene.outcome(waiting[1], "blocked")
    last = scene.send(project(tenant.company, "7", "100099", name="State 4"), sequence="4")
    scene.applied(customer(tenant.company, "100099"))
    told = scene.outcome(last, "applied")
    kinds = [_final(scene, event) for event in waiting]
    assert kinds == ["superseded", "superseded", "stale"]
    by = scene.told(waiting[1], "superseded")[0].data["supersededBy"]
    assert by == {"id": told.data["event"]["id"], "source": "/moment/e2e"}
    (kept,) = scene.shown(tenant)["projects"]
    assert kept["Name"] == "State 4"


def _final(scene: Shared, event: str) -> str:
    def look() -> str | None:
        return next((one.kind for one in scene.told(event) if one.data["final"]), None)

    return scene.wire.wait(look, f"{event} is settled")


def test_what_says_nothing_new_is_unchanged_and_calls_nobody(scene: Shared) -> None:
    for tenant, make in ((scene.norway(), customer), (scene.iceland(), icelander)):
        event = make(tenant.company, "100042")
        first = scene.applied(event)
        counts = "requests" if tenant.system == "sparebank1" else "counts"
        before = scene.shown(tenant)[counts]
        told = scene.outcome(scene.send(event, type=UPDATED), "unchanged")
        assert told.data.get("reference") in (None, first.data["reference"])
        assert scene.shown(tenant)[counts] == before


def test_a_changed_project_in_dkplus_is_manual_and_says_what_to_change(scene: Shared) -> None:
    tenant = scene.iceland()
    scene.applied(icelander(tenant.company, "500"))
    scene.applied(icelander(tenant.company, "501", name="Another"))
    scene.applied(project(tenant.company, "7", "500", name="Before"))
    moved = project(tenant.company, "7", "501", name="After")
    told = scene.outcome(scene.send(moved, type="team.moment.project.updated"), "manual")
    changes = {change["field"]: change for change in told.data["manual"]["changes"]}
    assert changes["name"] == {"field": "name", "from": "Before", "to": "After"}
    assert (changes["customerNumber"]["from"], changes["customerNumber"]["to"]) == ("500", "501")
    assert "After" in told.data["manual"]["text"]
    scene.deed(tenant, "projects", Number="7", Name="After", CustomerToBill="501")
    scene.applied({**moved, "endDate": "2026-11-01"}, type="team.moment.project.updated")
    ended = {**moved, "endDate": "2026-12-01", "state": "completed"}
    scene.outcome(scene.send(ended, type="team.moment.project.updated"), "unchanged")


def test_the_same_number_again_is_unchanged_or_dead_with_the_number_in_the_books(
    scene: Shared,
) -> None:
    for tenant, make, bill, item in (
        (scene.norway(), customer, invoice, line),
        (scene.iceland(), icelander, icelandic_invoice, icelandic_line),
    ):
        scene.applied(make(tenant.company, "100042"))
        event: Data = bill(tenant.company, "20311", "100042")
        booked = scene.applied(event)
        scene.outcome(scene.send(event), "unchanged")
        other = scene.dead(bill(tenant.company, "20311", "100042", item(unitPrice="2000")))
        assert other.code == "invoice-differs-from-booked"
        assert booked.data["reference"]["number"] in other.data["failure"]["text"]
        assert len(scene.booked(tenant, "20311")) == 1


def test_an_invoice_without_an_amount_has_nothing_to_book(scene: Shared) -> None:
    for tenant, make, bill, item in (
        (scene.norway(), customer, invoice, line),
        (scene.iceland(), icelander, icelandic_invoice, icelandic_line),
    ):
        scene.applied(make(tenant.company, "100042"))
        event = bill(tenant.company, "1001", "100042", item(unitPrice="0"))
        told = scene.outcome(scene.send(event), "unchanged")
        assert [one["code"] for one in told.data["warnings"]] == ["nothing-to-book"]
        assert scene.booked(tenant, "1001") == []


def test_a_credit_note_waits_for_the_invoice_that_it_credits(scene: Shared) -> None:
    tenant = scene.norway()
    credit = {"kind": "creditNote", "creditedInvoiceNumber": "1001"}
    scene.applied(customer(tenant.company, "100042"))
    dead = scene.dead(invoice(tenant.company, "1001", "100042", line(vatCode="99")))
    minus = line(quantity="-1")
    child = scene.send(invoice(tenant.company, "1002", "100042", minus, **credit))
    blocked = scene.outcome(child, "blocked")
    assert blocked.data["failure"]["blockedBy"]["type"] == "invoice"
    assert blocked.data["failure"]["blockedBy"]["deliveryId"] == dead.data["deliveryId"]
    unknown = {**credit, "creditedInvoiceNumber": "999"}
    scene.applied(invoice(tenant.company, "1003", "100042", minus, **unknown))
    newer = scene.applied(invoice(tenant.company, "1001", "100042"))
    assert newer.data["withdraws"] == [dead.data["deliveryId"]]
    scene.outcome(child, "applied")
    assert len(scene.booked(tenant, "1002")) == 1
