"""Section 5 of the interface, and the letters without an outcome of section 4."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import Shared
from tests.e2e.moment import customer, invoice, line, project
from tests.e2e.wire import Headers, Letter, as_json, binary

pytestmark = pytest.mark.kafka

ATTRIBUTES = {"source": "/moment/e2e", "type": "team.moment.customer.created"}
REPEATED: Headers = (("x-twice", b"1"), ("x-twice", b"\xff\x00"), ("x-empty", b""))
MEGABYTE = 1_000_000


def refused(
    scene: Shared, value: bytes | None, headers: Headers, topic: str = "moment.customers"
) -> Letter:
    """Send a record and wait for its letter, which must be byte for byte what was sent."""
    key = b"c-\xff\x00/odd"
    partition, offset = scene.wire.send(topic, key, value, headers)
    place = {
        "original-topic": scene.prefix + topic,
        "original-partition": str(partition),
        "original-offset": str(offset),
    }
    letter = scene.letter(lambda x: place.items() <= x.said.items(), f"a letter of {place}")
    assert (letter.key, letter.value, letter.came) == (key, value, headers)
    assert "delivery-id" not in letter.said
    assert int(letter.said["original-timestamp"]) > 1_700_000_000_000
    return letter


def data_event(scene: Shared, **members: object) -> Letter:
    """The letter of a customer whose data breaks the rules of section 2."""
    headers = binary({**ATTRIBUTES, "id": f"d-{len(scene.wire.letters)}-{sorted(members)}"})
    whole = {**customer("c-no-00", "100042"), **members}
    return refused(scene, as_json({n: v for n, v in whole.items() if v != "absent"}), headers)


def test_what_cannot_be_read_is_a_letter_byte_for_byte(scene: Shared) -> None:
    good = binary({**ATTRIBUTES, "id": "u-1"})
    structured = (("content-type", b"application/cloudevents+json"),)
    no_source = {"specversion": "1.0", "id": "u-2", "type": ATTRIBUTES["type"], "data": {}}
    cases: tuple[tuple[bytes | None, Headers], ...] = (
        (b"{not json", (*good, *REPEATED)),
        (b'{"name": "\xff\xfe"}', good),
        (b"", good),
        (None, (*good, *REPEATED)),
        (None, ()),
        (b"\x00\x01\x02", ()),
        (as_json(customer("c-no-00", "1")), ()),
        (as_json(customer("c-no-00", "1")), good[1:2]),
        (json.dumps(no_source).encode(), (*structured, *REPEATED)),
        (b"[]", structured),
    )
    for value, headers in cases:
        letter = refused(scene, value, headers)
        assert (letter.said["code"], letter.said["class"]) == ("event-unreadable", "data")


def test_data_that_breaks_its_shape_is_a_letter_with_the_field(scene: Shared) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"number": "absent"}, "$.number"),
        ({"number": 100042}, "$.number"),
        ({"number": None}, "$.number"),
        ({"status": "sleeping"}, "$.status"),
        ({"address": {"city": 7}}, "$.address.city"),
        ({"company": "absent"}, "$.company"),
    )
    for members, field in cases:
        letter = data_event(scene, **members)
        assert (letter.said["code"], letter.said.get("field")) == ("event-invalid", field)


def test_decimals_that_are_none_or_too_long_are_refused_with_their_path(scene: Shared) -> None:
    company = "c-no-00"
    for number, quantity in enumerate(("NaN", "Infinity", "1.0000001", "1" * 19, "1e30", "x", "")):
        whole = invoice(company, str(number), "100042")
        whole["lines"] = [line(), {**line(), "quantity": quantity}]
        attributes = {**ATTRIBUTES, "type": "team.moment.invoice.finalized"}
        headers = binary({**attributes, "id": f"decimal-{number}"})
        letter = refused(scene, as_json(whole), headers, "moment.invoices")
        assert (letter.said["code"], letter.said["field"]) == (
            "event-invalid",
            "$.lines[1].quantity",
        )


def test_an_unknown_type_or_company_is_a_letter_and_the_company_may_come_later(
    scene: Shared,
) -> None:
    headers = binary({**ATTRIBUTES, "id": "t-1", "type": "team.moment.customer.deleted"})
    letter = refused(scene, as_json(customer("c-no-00", "1")), headers)
    assert letter.said["code"] == "event-type-unknown"
    headers = binary({**ATTRIBUTES, "id": "t-2"})
    letter = refused(scene, as_json(customer("c-nobody", "1")), (*headers, *REPEATED))
    assert (letter.said["code"], letter.said["class"]) == ("company-unknown", "set-up")
    again = refused(scene, as_json(customer("c-nobody", "1")), headers)
    assert again.said["letter-id"] != letter.said["letter-id"]


def test_a_letter_produced_again_as_it_stands_keeps_what_it_came_with(scene: Shared) -> None:
    first = refused(scene, b"{", binary({**ATTRIBUTES, "id": "p-1"}))
    ours = tuple((f"moment-sync-{name}", v.encode()) for name, v in first.said.items())
    assert first.key is not None
    place = scene.wire.send("moment.customers", first.key, first.value, (*first.came, *ours))
    scene.letter(
        lambda x: x.said["original-offset"] == str(place[1]) and x.came == (*first.came, *ours),
        "the letter of a letter",
    )


def test_a_value_of_a_megabyte_goes_both_ways(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied({**customer(tenant.company, "100042"), "notes": "x" * (MEGABYTE - 1_500)})
    wide = {**project(tenant.company, "no-digits", "100042"), "notes": "y" * (MEGABYTE - 1_500)}
    dead = scene.dead(wide)
    assert scene.letter_of(dead).value == as_json(wide)
    whole = b"{" + b"x" * (MEGABYTE - 1_500)
    refused(scene, whole, binary({**ATTRIBUTES, "id": "m-1"}))


def test_a_letter_of_a_delivery_says_all_there_is_to_say(scene: Shared) -> None:
    tenant = scene.norway()
    scene.applied(customer(tenant.company, "100042"))
    sent = project(tenant.company, "no-digits", "100042")
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    dead = scene.dead(sent, extra=REPEATED, traceparent=trace, structured=True)
    letter = scene.letter_of(dead)
    said = letter.said
    assert letter.came[1:] == REPEATED
    assert said["letter-id"] == said["delivery-id"] == dead.data["deliveryId"]
    assert (said["company"], said["integration"]) == (tenant.company, tenant.id)
    assert (said["system"], said["entity"]) == ("sparebank1", "project/no-digits")
    assert said["original-offset"] == str(dead.data["event"]["offset"])
    assert said["original-topic"] == f"{scene.prefix}moment.projects"
    assert said["replay-count"] == "0"
    assert trace[3:35] in said["trace"]
    assert (said["code"], said["field"]) == ("project-number-not-numeric", "$.number")
    shown = scene.asked("deadletters", "show", said["letter-id"])
    assert "project-number-not-numeric" in json.dumps(shown)
