"""Sections 3, 4 and 7 of the interface: what a person does about what is dead."""

import json
import select
import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import Shared
from tests.e2e.moment import customer, invoice, line, project
from tests.e2e.scene import Tenant
from tests.e2e.wire import Headers, Told, as_json, binary

pytestmark = pytest.mark.kafka

MISSING = "00000000-0000-0000-0000-000000000000"


def dead_invoice(scene: Shared, number: str = "1001", code: str = "99") -> tuple[Tenant, Told]:
    """A company with a customer in its books and an invoice whose VAT code they do not have."""
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    return tenant, scene.dead(invoice(tenant.company, number, "100042", line(vatCode=code)))


def test_replayed_with_an_edit_it_is_applied_and_names_what_it_replaces(scene: Shared) -> None:
    tenant, dead = dead_invoice(scene)
    delivery = dead.data["deliveryId"]
    words = ("deadletters", "replay", delivery, "--edit", "lines[0].vatCode=3")
    assert scene.cli(*words).code == 2, "nobody asks for it"
    why = ("--by", "kari", "--reason", "wrong code")
    dry = scene.asked(*words, *why, "--dry-run")
    (group,) = dry.pop("groups")
    assert (group["code"], group["count"]) == ("vat-code-unknown", 1)
    assert dry == {"replayed": [delivery], "refused": [], "dryRun": True}
    assert scene.booked(tenant, "1001") == []
    done = scene.asked(*words, *why)
    assert done == {"replayed": [delivery], "refused": [], "dryRun": False}
    event = dead.data["event"]["id"]
    told = _replayed(scene, event, "applied")
    assert told.data["deliveryId"] == delivery
    assert told.data["replayOf"] == dead.header("ce_id")
    assert len(scene.booked(tenant, "1001")) == 1
    again = scene.asked("deadletters", "replay", delivery, *why, code=1)
    (refused,) = again["refused"]
    assert (again["replayed"], refused["deliveryId"]) == ([], delivery)
    assert refused["reference"]["number"] == told.data["reference"]["number"]
    story = scene.asked("show", tenant.company, "invoice", "1001")
    assert story["entity"]["number"] == "1001"
    assert "kari" in json.dumps(story)
    assert [one["at"] for one in story["story"]] == sorted(one["at"] for one in story["story"])
    assert all(one["what"] for one in story["story"])


def _replayed(scene: Shared, event: str, kind: str) -> Told:
    """Waits for an outcome that replaces another."""

    def look() -> Told | None:
        return next((t for t in scene.told(event, kind) if "replayOf" in t.data), None)

    return scene.wire.wait(look, f"{event} is {kind} after a replay")


def test_a_replay_in_vain_is_dead_again_and_counts_in_its_letter(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    dead = scene.dead(project(tenant.company, "P7", "100042"))
    delivery = dead.data["deliveryId"]
    filters = ("--code", "project-number-not-numeric", "--company", tenant.company)
    done = scene.asked("deadletters", "replay", *filters, "--by", "kari", "--canary", code=1)
    assert done["replayed"] == [delivery]
    again = _replayed(scene, dead.data["event"]["id"], "dead")
    assert again.data["replayOf"] == dead.header("ce_id")
    letter = scene.wire.wait(
        lambda: next(
            (
                x
                for x in scene.wire.letters
                if x.said.get("delivery-id") == delivery and x.said["replay-count"] == "1"
            ),
            None,
        ),
        "a second letter",
    )
    first = scene.letter_of(dead)
    assert (letter.key, letter.value, letter.came) == (first.key, first.value, first.came)


def test_what_cannot_be_replayed_or_edited_is_refused(scene: Shared) -> None:
    tenant, dead = dead_invoice(scene)
    by = ("--by", "kari")
    unknown = scene.asked("deadletters", "replay", MISSING, *by, code=2)
    assert unknown["refused"][0]["deliveryId"] == MISSING
    delivery = dead.data["deliveryId"]
    for edit in ("lines[0].quantity=2", "customerNumber=100043", "$.currencyCode=EUR"):
        done = scene.cli("deadletters", "replay", delivery, "--edit", edit, *by, "--json")
        assert done.code in (1, 2), edit
    assert scene.booked(tenant, "1001") == []
    booked = scene.applied(invoice(tenant.company, "1001", "100042"))
    assert booked.data["withdraws"] == [delivery]
    refused = scene.asked("deadletters", "replay", delivery, *by, code=1)["refused"]
    assert refused[0]["deliveryId"] == delivery
    nothing = scene.asked("deadletters", "list", "--code", "vat-code-unknown", "--company", "none")
    assert nothing["deadletters"] == []


def test_an_older_state_is_not_replayed_over_a_newer_one(scene: Shared) -> None:
    tenant = scene.norway()
    old = scene.dead(customer(tenant.company, "100042", currencyCode="XTS"))
    scene.deed(tenant, "active", active=False)
    newer = scene.send(customer(tenant.company, "100042"), type="team.moment.customer.updated")
    scene.outcome(newer, "held")
    delivery = old.data["deliveryId"]
    refused = scene.asked("deadletters", "replay", delivery, "--by", "kari", code=1)["refused"]
    assert (refused[0]["deliveryId"], refused[0]["reason"]) == (delivery, "stale")
    scene.deed(tenant, "active", active=True)
    assert scene.cli("resume", tenant.id, "--by", "kari").code == 0
    assert scene.outcome(newer, "applied").data["withdraws"] == [delivery]


def test_discarded_it_says_so_and_what_waited_for_it_goes_on_waiting(scene: Shared) -> None:
    tenant, dead = dead_invoice(scene)
    delivery = dead.data["deliveryId"]
    words = ("deadletters", "discard", delivery, "--reason", "written anew")
    assert scene.cli(*words).code == 2
    scene.cli(*words, "--by", "kari", "--dry-run")
    assert len(scene.told(dead.data["event"]["id"])) == 1
    done = scene.cli(*words, "--by", "kari", "--json")
    assert done.code == 0, done.err
    told = _replayed(scene, dead.data["event"]["id"], "discarded")
    assert told.data["replayOf"] == dead.header("ce_id")
    listed = scene.asked("deadletters", "list", "--company", tenant.company)
    assert listed["deadletters"] == []


def test_filters_histogram_and_list_agree(scene: Shared) -> None:
    tenant, first = dead_invoice(scene)
    second = scene.dead(invoice(tenant.company, "1002", "100042", totalVat="1"))
    third = scene.dead(customer(tenant.company, "99"))
    ids = [one.data["deliveryId"] for one in (first, second, third)]
    mine = ("--integration", tenant.id)
    listed = scene.asked("deadletters", "list", *mine)["deadletters"]
    assert [one["deliveryId"] for one in listed] == ids
    fields = {
        *("deliveryId", "code", "class", "company", "integration", "entity", "text", "action"),
        *("attempts", "lastFailedAt"),
    }
    assert all(fields <= set(one) for one in listed)
    cases: tuple[tuple[tuple[str, ...], list[str]], ...] = (
        (("--code", "totals-differ"), ids[1:2]),
        (("--class", "data"), ids[1:]),
        (("--entity", "invoice/1002"), ids[1:2]),
        (("--since", "1h"), ids),
        (("--since", "2999-01-01"), []),
        (("--text", "100000"), ids[2:]),
    )
    for words, expected in cases:
        found = scene.asked("deadletters", "list", *mine, *words)["deadletters"]
        assert (words, [one["deliveryId"] for one in found]) == (words, expected)
    page = scene.asked("deadletters", "list", *mine, "--limit", "2")
    rest = scene.asked("deadletters", "list", *mine, "--after", str(page["next"]))
    both = [*page["deadletters"], *rest["deadletters"]]
    assert [one["deliveryId"] for one in both] == ids
    groups = scene.asked("deadletters", "histogram", *mine)["groups"]
    assert {(g["code"], g["class"], g["count"]) for g in groups} == {
        ("vat-code-unknown", "set-up", 1),
        ("totals-differ", "data", 1),
        ("customer-number-out-of-range", "data", 1),
    }
    assert {"integration", "oldest", "newest", "text"} <= set(groups[0])


def test_a_letter_that_became_no_delivery_is_listed_and_replayed_by_its_id(scene: Shared) -> None:
    headers: Headers = (("x", b"1"),)
    value = as_json({"by hand": "no event"})
    scene.wire.send("moment.customers", b"k", value, headers)
    letter = scene.letter(lambda x: x.value == value, "the letter")
    shown = scene.asked("deadletters", "show", letter.said["letter-id"])
    assert letter.said["code"] in json.dumps(shown)
    done = scene.asked("deadletters", "replay", letter.said["letter-id"], "--by", "kari", code=1)
    (refused,) = done["refused"]
    assert refused["deliveryId"] == letter.said["letter-id"]
    gone = scene.cli("deadletters", "discard", letter.said["letter-id"], "--by", "kari", "--json")
    assert gone.code == 0, gone.err
    listed = scene.asked("deadletters", "list", "--code", letter.said["code"])["deadletters"]
    assert letter.said["letter-id"] not in {one["deliveryId"] for one in listed}


def test_the_tail_prints_what_dies_from_now_on_one_object_a_line(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    words = ("deadletters", "tail", "--company", tenant.company, "--json")
    with subprocess.Popen(
        [sys.executable, "-m", "streams.ops.cli", *words],
        cwd=scene.directory,
        env=scene.environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as tail:
        assert tail.stdout is not None
        lines: list[str] = []
        for number in range(2000, 2100):
            dead = scene.dead(invoice(tenant.company, str(number), "100042", totalVat="1"))
            if _line_within(tail, lines, 0.3):
                break
        found = json.loads(lines[0])
        tail.send_signal(signal.SIGTERM)
        assert tail.wait(20) == 0
    assert (found["code"], found["company"]) == ("totals-differ", tenant.company)
    assert int(found["entity"].removeprefix("invoice/")) <= int(dead.data["entity"]["number"])


def _line_within(process: "subprocess.Popen[str]", lines: list[str], seconds: float) -> bool:
    """Whether a line came; it is read then."""
    assert process.stdout is not None
    if select.select([process.stdout], [], [], seconds)[0]:
        lines.append(process.stdout.readline())
    return bool(lines)


def test_a_command_is_an_event_like_any_other(scene: Shared) -> None:
    """Structured or binary, and a duplicate is taken once."""
    tenant, dead = dead_invoice(scene)
    data = {
        "by": "kari",
        "reason": "by hand",
        "deliveries": [dead.data["deliveryId"]],
        "edit": {"$.lines[0].vatCode": "3"},
    }
    attributes = {"id": "cmd-1", "source": "/ops/e2e", "type": "moment-sync.command.replay"}
    key = f"{tenant.company}/100042".encode()
    for _ in range(2):
        scene.wire.send("moment-sync.commands", key, as_json(data), binary(attributes))
    _replayed(scene, dead.data["event"]["id"], "applied")
    scene.applied(project(tenant.company, "1", "100042"))
    assert len(scene.told(dead.data["event"]["id"])) == 2
    nobody = {**data, "by": ""}
    scene.wire.send(
        "moment-sync.commands", key, as_json(nobody), binary({**attributes, "id": "cmd-2"})
    )
    letter = scene.letter(
        lambda x: x.said["original-topic"].endswith("commands"), "the letter of a wrong command"
    )
    assert (letter.said["code"], letter.said["field"]) == ("event-invalid", "$.by")


def test_resync_brings_over_what_is_known_and_books_nothing_twice(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042", name="Known"))
    scene.applied(project(tenant.company, "7", "100042"))
    scene.applied(invoice(tenant.company, "1001", "100042"))
    done = scene.cli("resync", tenant.id, "--by", "kari", "--invoices-from", "2026-01-01", "--json")
    assert done.code == 0, done.err

    def settled() -> bool | None:
        mine = [t for t in scene.wire.told if t.data["integration"] == tenant.id]
        return True if len([t for t in mine if t.data["final"]]) == 6 else None

    scene.wire.wait(settled, "three more final outcomes")
    assert len(scene.booked(tenant, "1001")) == 1
    assert scene.cli("resync", "nobodys", "--by", "kari").code == 2


def test_check_and_verify_say_what_is_wrong_and_where(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    scene.applied(invoice(tenant.company, "1001", "100042"))
    mine = ("--integration", tenant.id)
    assert scene.asked("check", *mine) == {"findings": []}
    assert scene.asked("verify", *mine, "--rate", "50")["findings"] == []
    wrong = scene.asked("check", *mine, "--accounts", "3999", "--vat-codes", "77", code=1)
    assert {one["code"] for one in wrong["findings"]} == {"account-unknown", "vat-code-unknown"}
    scene.deed(tenant, "credit", journalEntryNumber="1-2026")
    ours = "moment:invoice:7777"
    scene.deed(
        tenant,
        "vouchers",
        date="2026-03-10",
        invoiceNumber="7777",
        customerNumber=100042,
        type=8,
        ExternalReference=ours,
        lines=[{"account": 3000, "amount": "-125", "vatCode": "3"}],
    )
    days = ("--from", "2026-03-01", "--to", "2026-03-31", "--rate", "50")
    found = scene.asked("verify", *mine, *days, code=1)["findings"]
    assert {(one["kind"], one.get("entity")) for one in found} == {
        ("different", "invoice/1001"),
        ("unknown", "invoice/7777"),
    }
    assert all({"integration", "kind", "code", "text", "action"} <= set(one) for one in found)
    for command in ("check", "verify"):
        assert scene.cli(command, "--integration", "nobodys").code == 2
