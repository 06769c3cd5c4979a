"""How it stands, and how an entity came to where it is."""

from pathlib import Path

import pytest

from streams.core.conclude import Result, What
from streams.ops import inspect
from streams.ops.command_base import CommandEnds, Exit
from streams.settings import Settings
from tests.ledger.samples import ACCESS, REFUSAL, applied, customer, invoice, project
from tests.ledger.stage import Stage
from tests.ops.mending_stage import Place, refused, three_dead


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def _with_lag(lag: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(_settings: Settings) -> int:
        if lag is None:
            raise CommandEnds(Exit.AWAY, "away")
        return lag

    monkeypatch.setattr(inspect, "_lag", found)


def test_status_counts_by_integration_and_state(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(stage: Stage) -> None:
        await three_dead(stage)
        await stage.take(p=project("8", "100099"))

    place.play(story)
    _with_lag(7, monkeypatch)
    found = place.ask("status")
    dk, sb1 = found["integrations"]
    assert (dk["id"], dk["states"], dk["oldestAgeSeconds"]) == ("fjord-dk", {}, 0.0)
    assert sb1["states"] == {"applied": 1, "dead": 3, "ready": 1}
    assert (sb1["company"], sb1["system"], sb1["held"]) == ("c-1001", "sparebank1", False)
    assert sb1["oldestAgeSeconds"] > 0
    assert found["lag"] == 7
    assert "fjord-sb1" in place.invoke("status").stdout


def test_status_says_why_an_integration_is_held_and_what_to_do(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer())
        claimed = (await stage.worker.claim())["c"]
        await stage.worker.settle(claimed, Result(what=What.HOLD, failure=ACCESS))

    place.play(story)
    _with_lag(0, monkeypatch)
    held = place.ask("status")["integrations"][1]
    assert (held["held"], held["heldReason"]) == (True, "credentials-refused")
    assert held["heldText"]
    assert held["heldAction"]


def test_where_kafka_is_away_the_ledger_is_shown_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.play(three_dead)
    _with_lag(None, monkeypatch)
    found = place.ask("status", code=Exit.AWAY)
    assert found["lag"] is None
    assert found["integrations"][1]["states"]["dead"] == 3


def test_a_story_is_told_in_order_of_time(place: Place) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(c=customer(), i=invoice())
        stage.go_on(1)
        await stage.worker.deliver("c")
        stage.go_on(1)
        claimed = (await stage.worker.claim())["i"]
        exchanges = b'[{"kind":"read","method":"GET","target":"/api/x","status":200}]'
        await stage.worker.settle(claimed, refused(REFUSAL), exchanges=exchanges)

    place.play(story)
    found = place.ask("show", "c-1001", "invoice", "1001")
    assert found["entity"] == {
        "company": "c-1001",
        "type": "invoice",
        "number": "1001",
        "customerNumber": "100042",
        "integrations": [{"integration": "fjord-sb1", "inBooks": False, "reference": None}],
    }
    whats = [line["what"] for line in found["story"]]
    assert whats == ["event", "delivery", "released", "attempt", "outcome"]
    assert [line["at"] for line in found["story"]] == sorted(line["at"] for line in found["story"])
    attempt, outcome = found["story"][3:]
    assert attempt["exchanges"][0]["target"] == "/api/x"
    assert outcome["failure"]["code"] == "account-unknown"
    shown = place.invoke("show", "c-1001", "invoice", "1001").stdout
    assert "GET /api/x → 200" in shown


def test_a_story_names_the_parent_that_is_waited_for_and_the_reference_in_the_books(
    place: Place,
) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(p=project())
        await stage.worker.claim_all()
        await stage.take(c=customer("100050"), i=invoice("7", "100050"))
        await stage.worker.deliver("c")
        await stage.worker.deliver("i", result=applied("128-2026"))

    place.play(story)
    waiting = place.ask("show", "c-1001", "project", "7")["story"][1]
    assert (waiting["state"], waiting["waitsFor"]) == ("waiting", "customer/100042")
    booked = place.ask("show", "c-1001", "invoice", "7")
    assert booked["entity"]["integrations"][0]["reference"]["number"] == "128-2026"
    assert "booked" in [line["what"] for line in booked["story"]]


def test_a_story_says_what_was_waited_for_also_when_it_is_over(place: Place) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(i=invoice("7", "100050"))
        await stage.worker.claim_all()
        stage.go_on(90)
        await stage.take(c=customer("100050"), j=invoice("8", "100050"))
        await stage.worker.deliver("c")
        await stage.worker.tick()
        stage.go_on(1)
        await stage.worker.deliver("i", "j")

    place.play(story)
    told = place.ask("show", "c-1001", "invoice", "7")["story"]
    (released,) = (line for line in told if line["what"] == "released")
    assert (released["waitedFor"], released["parkedSeconds"]) == ("customer/100050", 90.0)
    assert "customer/100050" in place.invoke("show", "c-1001", "invoice", "7").stdout
    other = place.ask("show", "c-1001", "customer", "100050")["story"]
    assert "released" not in [line["what"] for line in other]


def test_what_the_ledger_does_not_know_has_an_empty_story(place: Place) -> None:
    place.play(three_dead)
    assert place.ask("show", "c-1001", "invoice", "9")["story"] == []
    assert place.invoke("show", "c-1001", "voucher", "9").exit_code == Exit.WRONG
