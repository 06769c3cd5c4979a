"""What operators may ask for."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from schemas.cloudevents import Attributes, Mode
from schemas.codec import Unreadable, decode_command
from schemas.commands import Command, CommandData, CommandKind, encode_command
from tests.schemas.samples import attributes, record

IDS = ["d-1", "d-2"]


def sent(kind: str, data: Any) -> Command | Unreadable:
    headers = attributes(type=f"moment-sync.command.{kind}", sequence=None)
    value = data if isinstance(data, bytes) else json.dumps(data).encode()
    return decode_command(
        record(value, tuple((f"ce_{name}", text.encode()) for name, text in headers.items()))
    )


def taken(kind: str, **data: Any) -> Command:
    found = sent(kind, {"by": "kari", **data})
    assert isinstance(found, Command), found
    return found


def refused(kind: str, data: Any) -> tuple[str, str | None]:
    found = sent(kind, data)
    assert isinstance(found, Unreadable), found
    return found.failure.code.value, found.failure.field


def test_a_replay_is_read_whole() -> None:
    edit = {"$.lines[2].account.vatCode": "3", "email": None, "lines[0].vatPercent": 25.50}
    found = taken("replay", reason="mended", deliveries=IDS, edit=edit, force=True)
    assert found.kind is CommandKind.REPLAY
    assert (found.data.by, found.data.reason) == ("kari", "mended")
    assert found.data.deliveries == ("d-1", "d-2")
    assert found.data.edit["lines[0].vatPercent"] == Decimal("25.5")
    assert (found.id, found.source) == ("e-1", "/moment/crm")


def test_discard_resume_and_resync_are_read() -> None:
    assert taken("discard", deliveries=IDS).data.deliveries == ("d-1", "d-2")
    assert taken("discard", integration="vik-dk").data.integration == "vik-dk"
    assert taken("resume", integration="vik-dk").kind is CommandKind.RESUME
    resync = taken("resync", integration="vik-dk", invoicesFrom="2026-01-01")
    assert resync.data.invoices_from == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("kind", "data", "path"),
    [
        ("replay", {"deliveries": IDS}, "$.by"),
        ("replay", {"by": " ", "deliveries": IDS}, "$.by"),
        ("replay", {"by": 5, "deliveries": IDS}, "$.by"),
        ("replay", {"by": "k" * 1001, "deliveries": IDS}, "$.by"),
        ("replay", {"by": "k", "reason": "\0", "deliveries": IDS}, "$.reason"),
        ("replay", {"by": "k"}, "$.deliveries"),
        ("replay", {"by": "k", "deliveries": []}, "$.deliveries"),
        ("replay", {"by": "k", "deliveries": ["d"] * 501}, "$.deliveries"),
        ("replay", {"by": "k", "deliveries": ["d", ""]}, "$.deliveries[1]"),
        ("replay", {"by": "k", "deliveries": ["d", 5]}, "$.deliveries[1]"),
        ("replay", {"by": "k", "deliveries": IDS, "company": "c"}, "$.company"),
        ("replay", {"by": "k", "integration": "i", "company": "c"}, "$.company"),
        ("resume", {"by": "k"}, "$.integration"),
        ("resume", {"by": "k", "deliveries": IDS}, "$.deliveries"),
        ("resume", {"by": "k", "integration": " "}, "$.integration"),
        ("resync", {"by": "k", "integration": "i", "invoicesFrom": "soon"}, "$.invoicesFrom"),
        ("resume", {"by": "k", "integration": "i", "invoicesFrom": "2026-01-01"}, "$.invoicesFrom"),
        ("discard", {"by": "k", "deliveries": IDS, "force": True}, "$.force"),
        ("discard", {"by": "k", "deliveries": IDS, "edit": {"a": "b"}}, "$.edit"),
        ("replay", {"by": "k", "company": "c", "edit": {"a": "b"}}, "$.edit"),
        ("replay", {"by": "k", "deliveries": IDS, "edit": {"a..b": "c"}}, "$.a..b"),
        ("replay", {"by": "k", "deliveries": IDS, "edit": {"a": {}}}, "$.a"),
        ("replay", {"by": "k", "deliveries": IDS, "edit": {"a": True}}, "$.a"),
        ("replay", {"by": "k", "deliveries": IDS, "edit": []}, "$.edit"),
        ("replay", [], "$"),
    ],
)
def test_a_wrong_command_is_refused_at_its_path(kind: str, data: Any, path: str) -> None:
    assert refused(kind, data) == ("event-invalid", path)


def test_what_is_no_command_is_refused() -> None:
    assert refused("replay", b"{")[0] == "event-unreadable"
    assert refused("replay", b"\xff")[0] == "event-unreadable"
    assert refused("replay", b"")[0] == "event-unreadable"
    assert refused("replay", b'{"x":' * 50_000)[0] == "event-unreadable"
    assert refused("erase", {"by": "k", "deliveries": IDS})[0] == "event-type-unknown"


def test_500_deliveries_are_taken() -> None:
    assert len(taken("replay", deliveries=[f"d-{n}" for n in range(500)]).data.deliveries) == 500


def test_the_same_command_has_the_same_digest() -> None:
    one = taken("replay", deliveries=IDS, edit={"lines[0].vatPercent": 25})
    same = taken("replay", edit={"lines[0].vatPercent": 25}, deliveries=IDS, reason=None)
    assert one.digest == same.digest
    assert one.digest != taken("replay", deliveries=IDS).digest


@pytest.mark.parametrize("mode", list(Mode))
def test_a_command_that_we_write_is_one_that_we_read(mode: Mode) -> None:
    data = CommandData(by="kari", deliveries=("d-1",), edit={"email": None, "vatPercent": "25"})
    written = encode_command(
        Attributes(id="c-1", source="/moment-sync/cli", type="moment-sync.command.replay"),
        data,
        key=b"c-1001/100042",
        mode=mode,
    )
    assert (written.topic, written.key) == ("moment-sync.commands", b"c-1001/100042")
    found = decode_command(record(written.value, written.headers))
    assert isinstance(found, Command)
    assert found.data == data
