"""What a person sees of the dead, and what is refused before anything is sent."""

import json
from pathlib import Path

import msgspec
import pytest

from schemas.failures import Failure, FailureCode
from streams.ops.command_base import Exit
from tests.ledger.samples import customer, invoice
from tests.ledger.stage import Stage
from tests.ops.mending_stage import Place, kill, three_dead


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def ids(found: object) -> list[str]:
    assert isinstance(found, dict)
    return [one["entity"] or one["code"] for one in found["deadletters"]]


def test_a_list_shows_each_with_its_words_in_the_language_of_its_integration(
    place: Place,
) -> None:
    place.play(three_dead)
    found = place.ask("deadletters", "list")
    assert ids(found) == ["customer/100043", "invoice/1001", "invoice/1002"]
    assert "next" not in found
    one = found["deadletters"][1]
    assert (one["code"], one["class"]) == ("account-unknown", "set-up")
    assert (one["company"], one["integration"], one["attempts"]) == ("c-1001", "fjord-sb1", 1)
    assert "finnes ikke" in one["text"], "in Norwegian"
    assert one["lastFailedAt"].endswith("Z")
    assert one["action"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--entity", "invoice/1001"], ["invoice/1001"]),
        (["--code", "period-locked"], ["invoice/1003"]),
        (["--class", "data"], ["event-unreadable"]),
        (["--company", "c-1001", "--integration", "fjord-sb1", "--entity", "INVOICE/1002"], [1]),
        (["--company", "c-9"], []),
        (["--text", "2026-10-31"], ["invoice/1003"]),
        (["--since", "2000d"], [1, 2, 3, 4, 5]),
        (["--since", "2099-01-01"], []),
        (["--since", "2026-01-01T10:00:00+01:00"], [1, 2, 3, 4, 5]),
    ],
)
def test_filters_choose(place: Place, options: list[str], expected: list[object]) -> None:
    async def story(stage: Stage) -> None:
        await three_dead(stage)
        await stage.take(k=invoice("1003"))
        locked = {"lockDate": "2026-10-31", "date": "2026-10-02"}
        await kill(stage, "k", failure=Failure(code=FailureCode.PERIOD_LOCKED, parameters=locked))
        bad = msgspec.structs.replace(stage.record("x", customer()), value=b"{")
        await stage.take_records(bad)

    place.play(story)
    found = ids(place.ask("deadletters", "list", *options))
    assert len(found) == len(expected)
    if expected and isinstance(expected[0], str):
        assert found == expected


def test_a_wrong_filter_is_wrong_use(place: Place) -> None:
    place.play(three_dead)
    for wrong in (
        ["--code", "no-such-code"],
        ["--entity", "invoice"],
        ["--since", "yesterday"],
        ["--after", "x"],
    ):
        assert place.invoke("deadletters", "list", *wrong).exit_code == Exit.WRONG


def test_pages_are_followed_by_their_cursor_to_the_end(place: Place) -> None:
    async def story(stage: Stage) -> None:
        await three_dead(stage)
        stage.integrations = {}
        await stage.take(**{f"u{n}": customer(str(100100 + n)) for n in range(3)})

    place.play(story)
    seen: list[str] = []
    after: list[str] = []
    for _ in range(10):
        found = place.ask("deadletters", "list", "--limit", "2", *after)
        seen += [one["deliveryId"] for one in found["deadletters"]]
        if "next" not in found:
            break
        after = ["--after", found["next"]]
    everything = place.ask("deadletters", "list")["deadletters"]
    assert seen == [one["deliveryId"] for one in everything]
    assert len(set(seen)) == 6


def test_a_histogram_counts_by_cause(place: Place) -> None:
    place.play(three_dead)
    (group,) = place.ask("deadletters", "histogram")["groups"]
    assert group["count"] == 3
    assert (group["code"], group["integration"]) == ("account-unknown", "fjord-sb1")
    assert group["oldest"] <= group["newest"]
    assert place.ask("deadletters", "histogram", "--company", "c-9") == {"groups": []}


def test_one_is_shown_whole(place: Place) -> None:
    place.play(three_dead)
    dead = place.ask("deadletters", "list", "--entity", "invoice/1001")["deadletters"][0]
    found = place.ask("deadletters", "show", dead["deliveryId"])
    letter = found["deadletter"]
    assert json.loads(letter["original"]["value"])["number"] == "1001"
    assert letter["state"] == "dead"
    assert [line["what"] for line in found["story"]][:2] == ["event", "delivery"]
    assert place.invoke("deadletters", "show", "nothing").exit_code == Exit.WRONG
    assert "account-unknown" in place.invoke("deadletters", "show", dead["deliveryId"]).stdout


def test_what_has_no_terminal_gets_no_escapes(place: Place) -> None:
    """A producer's text must not steer a person's terminal."""

    async def story(stage: Stage) -> None:
        await stage.take(c=customer(name="\x1b[31mred"))
        await kill(stage, "c")

    place.play(story)
    dead = place.ask("deadletters", "list")["deadletters"][0]["deliveryId"]
    for arguments in (["list"], ["histogram"], ["show", dead]):
        assert "\x1b" not in place.invoke("deadletters", *arguments).stdout


# --- refused before anything is sent: Kafka is away in all of these --------------------------


def test_a_dry_run_says_what_would_go_and_what_not(place: Place) -> None:
    place.play(three_dead)
    found = place.ask(
        "deadletters", "replay", "--integration", "fjord-sb1", "--by", "k", "--dry-run"
    )
    assert len(found["replayed"]) == 3
    assert (found["refused"], found["dryRun"]) == ([], True)
    (group,) = found["groups"]
    assert (group["code"], group["integration"], group["count"]) == (
        "account-unknown",
        "fjord-sb1",
        3,
    )
    assert len(place.ask("deadletters", "list")["deadletters"]) == 3, "nothing was done"


def test_nobody_replays_without_a_name_or_without_saying_what(place: Place) -> None:
    place.play(three_dead)
    assert place.invoke("deadletters", "replay", "--code", "vat-code-unknown").exit_code == 2
    assert place.invoke("deadletters", "replay", "--by", "kari").exit_code == Exit.WRONG
    both = ["some-id", "--code", "vat-code-unknown", "--by", "kari"]
    assert place.invoke("deadletters", "replay", *both).exit_code == Exit.WRONG
    blank = ["--all", "--by", " "]
    assert place.invoke("deadletters", "replay", *blank).exit_code == Exit.WRONG


def test_a_filter_that_fits_nothing_does_nothing(place: Place) -> None:
    place.play(three_dead)
    found = place.ask("deadletters", "replay", "--company", "c-9", "--by", "kari")
    assert found == {"replayed": [], "refused": [], "dryRun": False}
    found = place.ask("deadletters", "discard", "--company", "c-9", "--by", "kari")
    assert found == {"discarded": [], "refused": [], "dryRun": False}


def test_an_unknown_id_stops_all_of_it(place: Place) -> None:
    place.play(three_dead)
    dead = place.ask("deadletters", "list")["deadletters"][0]["deliveryId"]
    found = place.ask("deadletters", "replay", dead, "nobody", "--by", "kari", code=Exit.WRONG)
    assert [(one["deliveryId"], one["reason"]) for one in found["refused"]] == [
        ("nobody", "unknown")
    ]
    assert found["replayed"] == []


@pytest.mark.parametrize("command", ["replay", "discard", "show"])
def test_an_unknown_id_is_answered_with_what_may_have_been_meant(
    place: Place, command: str
) -> None:
    place.play(three_dead)
    first, *_ = (one["deliveryId"] for one in place.ask("deadletters", "list")["deadletters"])
    by = [] if command == "show" else ["--by", "kari"]
    slip = first[:-1] + ("0" if first[-1] != "0" else "1")
    for wrong in (slip, first[:8], first.upper() + "0"):
        found = place.invoke("deadletters", command, wrong, *by)
        assert found.exit_code == Exit.WRONG
        assert f"did you mean {first}" in found.output, wrong
    found = place.invoke("deadletters", command, "nothing like it", *by)
    assert "deadletters list" in found.output


def test_a_path_that_cannot_be_edited_is_refused_with_those_that_can(place: Place) -> None:
    place.play(three_dead)
    select = ["--entity", "invoice/1001", "--by", "kari", "--dry-run"]
    for edit in ("totalExclVat=7", "nonsense=1", "no path", "customerNumber=1"):
        found = place.invoke("deadletters", "replay", *select, "--edit", edit)
        assert found.exit_code == Exit.WRONG, edit
    assert "lines[0].account.vatCode" in found.stderr
    assert "totalExclVat\n" not in found.stderr
    good = ["--edit", "lines[0].account.vatCode=3"]
    assert len(place.ask("deadletters", "replay", *select, *good)["replayed"]) == 1


def test_an_edit_that_does_not_fit_one_delivery_is_refused_for_it_alone(place: Place) -> None:
    place.play(three_dead)
    select = ["--entity", "invoice/1001", "--by", "kari", "--dry-run"]
    found = place.ask(
        "deadletters", "replay", *select, "--edit", "lines[9].vatCode=3", code=Exit.FOUND
    )
    assert [one["reason"] for one in found["refused"]] == ["edit-refused"]


def test_what_is_booked_is_refused_with_its_number(place: Place) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c", "i")
        await stage.take(other=invoice(amount=2000))
        await stage.worker.claim_all()

    place.play(story)
    found = place.ask("deadletters", "replay", "--all", "--by", "kari", code=Exit.FOUND)
    (refused,) = found["refused"]
    assert refused["reason"] == "booked"
    assert refused["reference"]["number"] == "1001"


def test_without_a_ledger_none_is_made(place: Place) -> None:
    found = place.invoke("deadletters", "list")
    assert found.exit_code == Exit.WRONG
    assert "there is no ledger" in found.stderr
    assert not (place.directory / "ledger.db").exists()
