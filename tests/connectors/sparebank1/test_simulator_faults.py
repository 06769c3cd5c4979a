"""Faults on purpose, the side door, and books that outlive the process."""

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from connectors.simulation_faults import FaultKind, FaultPlan, FaultRule, Sighting
from connectors.sparebank1.simulator.serve import load, running_simulator
from connectors.sparebank1.simulator.settings import SimulatorConfig
from connectors.sparebank1.simulator.switches import Switches
from tests.connectors.sparebank1.simulated_client import (
    CLIENT,
    KEY,
    PUBLIC_PEM,
    Client,
    against,
    client,
    config,
    customer_body,
    until,
)

BOOK = Sighting(method="POST", path="/api/biz/journalentries", company=KEY, kind="voucher.book")


def _vouchers(c: Client) -> int:
    return len(c.running.books(KEY)["vouchers"])


def _rules(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"rules": list(rules)}


# --- the rules ---------------------------------------------------------------------------------


def test_a_rule_meets_only_what_it_names() -> None:
    rules = [
        FaultRule(fault=FaultKind.TOO_MANY, kind="customer.*"),
        FaultRule(fault=FaultKind.FORBIDDEN, method="get"),
        FaultRule(fault=FaultKind.UNAUTHORISED, company="other"),
        FaultRule(fault=FaultKind.SLOW, path="/api/biz/*"),
    ]
    rule = FaultPlan(rules).decide(BOOK)
    assert rule is rules[3]


def test_a_rule_skips_the_first_and_ends_with_its_limit() -> None:
    plan = FaultPlan([FaultRule(fault=FaultKind.SLOW, skip=1, limit=2)])
    assert [plan.decide(BOOK) is not None for _ in range(5)] == [False, True, True, False, False]
    assert plan.met == [2]


def test_chance_follows_the_seed() -> None:
    def draw(seed: int) -> list[bool]:
        plan = FaultPlan([FaultRule(fault=FaultKind.SLOW, probability=0.5)], seed)
        return [plan.decide(BOOK) is not None for _ in range(200)]

    assert draw(1) == draw(1) != draw(2)
    assert 60 < sum(draw(1)) < 140


# --- each fault --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "committed"),
    [
        ({"fault": "commit-no-answer", "seconds": 0.05}, 1),
        ({"fault": "reset-before"}, 0),
        ({"fault": "reset-after"}, 1),
        ({"fault": "broken-off"}, 1),
    ],
    ids=lambda value: value["fault"] if isinstance(value, dict) else None,
)
def test_a_line_is_cut_before_or_after_the_commit(rule: dict[str, Any], committed: int) -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        await c.admin("faults", _rules(rule | {"kind": "voucher.book", "limit": 1}))
        with pytest.raises(aiohttp.ClientError):
            await c.book(body)
        assert _vouchers(c) == committed
        assert (await c.admin("faults"))[0]["met"] == 1

    against(None, story)


def test_a_held_answer_lets_the_client_run_into_its_timeout() -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        await c.admin("faults", _rules({"fault": "commit-no-answer", "seconds": 60}))
        with pytest.raises(TimeoutError):
            await c.send(
                "POST",
                "/api/biz/journalentries",
                [body],
                seconds=0.2,
                action="book-journal-entries",
            )
        assert _vouchers(c) == 1

    against(None, story)


def test_a_commit_may_come_after_the_answer_was_lost() -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        await c.admin("faults", _rules({"fault": "commit-later", "seconds": 0.2, "limit": 1}))
        with pytest.raises(aiohttp.ClientError):
            await c.book(body)
        assert _vouchers(c) == 0
        await until(lambda: _vouchers(c) == 1)

    against(None, story)


@pytest.mark.parametrize(
    ("rule", "status", "committed"),
    [
        ({"fault": "server-error"}, 500, 0),
        ({"fault": "server-error", "status": 504, "commit": True}, 504, 1),
        ({"fault": "unavailable"}, 503, 0),
        ({"fault": "too-many", "commit": True}, 429, 0),
        ({"fault": "unauthorised"}, 401, 0),
        ({"fault": "forbidden"}, 403, 0),
        ({"fault": "answer", "status": 302, "body": "", "commit": True}, 302, 1),
    ],
)
def test_an_answer_may_be_another_than_the_platforms(
    rule: dict[str, Any], status: int, committed: int
) -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        await c.admin("faults", _rules(rule | {"limit": 1}))
        answer = await c.book(body)
        assert (answer.status, _vouchers(c)) == (status, committed)
        if status in (500, 504):
            assert answer.text.startswith("<!DOCTYPE html>")

    against(None, story)


def test_retry_after_comes_as_seconds_or_as_a_date() -> None:
    async def story(c: Client) -> None:
        late = {"fault": "too-many", "limit": 1, "retry_after_seconds": 7}
        forms = [late | {"retry_after": form} for form in ("seconds", "http-date", "none")]
        await c.admin("faults", _rules(*forms))
        answers = [await c.send("GET", "/api/biz/customers") for _ in range(3)]
        assert answers[0].headers["Retry-After"] == "7"
        wait = parsedate_to_datetime(answers[1].headers["Retry-After"]) - datetime.now(UTC)
        assert 3 < wait.total_seconds() <= 7
        assert "Retry-After" not in answers[2].headers

    against(None, story)


def test_half_the_json_comes_as_a_whole_answer() -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        await c.admin("faults", _rules({"fault": "truncated-json", "limit": 1}))
        answer = await c.book(body)
        assert (answer.status, answer.json, _vouchers(c)) == (200, None, 1)
        assert answer.text.startswith('[{"ID"')

    against(None, story)


def test_a_slow_answer_commits_even_when_the_client_has_gone() -> None:
    async def story(c: Client) -> None:
        body = await c.voucher("1001")
        await c.admin("faults", _rules({"fault": "slow", "seconds": 0.3, "limit": 1}))
        with pytest.raises(TimeoutError):
            await c.send(
                "POST",
                "/api/biz/journalentries",
                [body],
                seconds=0.1,
                action="book-journal-entries",
            )
        assert _vouchers(c) == 0
        await until(lambda: _vouchers(c) == 1)

    against(None, story)


def test_a_lagging_look_up_does_not_see_what_is_new() -> None:
    async def story(c: Client) -> None:
        await c.book(await c.voucher("1001"))
        rule = {"fault": "lagging", "seconds": 60, "method": "GET", "limit": 1}
        await c.admin("faults", _rules(rule))
        query: dict[str, Any] = {"filter": "InvoiceNumber eq '1001'"}
        assert await c.get("/api/biz/journalentrylines", **query) == []
        assert len(await c.get("/api/biz/journalentrylines", **query)) == 3

    against(None, story)


def test_statistics_fail_inside_a_200() -> None:
    async def story(c: Client) -> None:
        await c.admin("faults", _rules({"fault": "error-in-answer", "kind": "statistics"}))
        answer = await c.get("/api/statistics", model="JournalEntryLine", select="ID as ID")
        assert (answer["Success"], answer["Data"]) == (False, None)

    against(None, story)


# --- the side door -------------------------------------------------------------------------------


def test_switches_change_while_it_runs() -> None:
    async def story(c: Client) -> None:
        changed = await c.admin("switches", {"created_status": 200})
        assert (changed["created_status"], changed["unknown_path_status"]) == (200, 401)
        assert (await c.send("POST", "/api/biz/customers", customer_body(100_001))).status == 200
        assert (await c.admin("switches", {"hostile": True}))["voucher_number"] == "refused"
        assert c.running.server.simulator.switches == Switches.hostile()
        wrong = await c.send("POST", "/_simulator/switches", {"typo": 1})
        assert (wrong.status, "typo" in wrong.text) == (400, True)

    against(None, story)


def test_the_books_and_the_requests_are_shown() -> None:
    async def story(c: Client) -> None:
        await c.book(await c.voucher("1001"))
        books = await c.admin(f"companies/{KEY}")
        assert books["customers"][0]["Info"]["Name"] == "Nordlys Byggrådgivning AS"
        assert books["vouchers"][0]["number"] == "1-2026"
        assert books["requests"]["voucher.book"] == 1
        assert books["violations"] == []
        log = await c.admin("requests")
        assert [x["status"] for x in log if x["kind"] == "voucher.book"] == [200]

    against(None, story)


def test_what_was_there_before_is_put_in_by_hand() -> None:
    async def story(c: Client) -> None:
        base = f"companies/{KEY}"
        await c.admin(f"{base}/customers", {"CustomerNumber": 100_007, "Info": {"Name": "Før AS"}})
        await c.admin(f"{base}/projects", {"Name": "Før", "ProjectNumber": "7"})
        account = {"AccountNumber": 3999, "AccountName": "Ny", "vatCode": "3"}
        await c.admin(f"{base}/accounts", account)
        vat = {"VatCode": "34", "Name": "Ny sats", "VatPercent": 10, "OutputVat": True}
        await c.admin(f"{base}/vattypes", vat | {"account": 2701})
        books = await c.admin(base)
        assert [x["madeBy"] for x in books["customers"] + books["projects"]] == ["person"] * 2
        assert await c.account_id(3999)
        assert await c.vat_id("34")
        assert c.kinds() == set()

    against(None, story)


def test_the_hostile_preset_still_lets_a_careful_client_book() -> None:
    async def story(c: Client) -> None:
        assert (await c.book(await c.voucher("1001"))).status == 200
        assert c.kinds() == set()

    against(config(hostile=True), story)


# --- books on disk -------------------------------------------------------------------------------


def test_the_books_outlive_the_process(tmp_path: Path) -> None:
    setup = config(state_path=str(tmp_path / "books.jsonl"))
    body: dict[str, Any] = {}

    async def first() -> dict[str, Any]:
        async with client(setup) as c:
            body.update(await c.voucher("1001"))
            await c.book(body)
            await c.book(await c.voucher("1001"))
            await c.admin(f"companies/{KEY}/locks", {"VatLockedDate": "2026-01-31"})
            await c.admin(f"companies/{KEY}/credit", {"journalEntryNumber": "2-2026"})
            await c.customer(100_099)
            gone = {"customerNumber": 100_099, "hard": True}
            await c.admin(f"companies/{KEY}/customers/delete", gone)
            return c.running.books(KEY)

    async def second() -> dict[str, Any]:
        async with client(setup) as c:
            books = c.running.books(KEY)
            again = await c.book(body)
            assert (again.status, "_createguid" in again.text) == (400, True)
            number = (await c.book(await c.voucher("1002"))).json[0]["JournalEntryNumber"]
            assert number == "4-2026"
            return books

    before, after = asyncio.run(first()), asyncio.run(second())
    for part in ("customers", "projects", "vouchers", "settings", "violations"):
        assert after[part] == before[part]
    assert [v.kind for v in after["violations"]] == ["double-booking"]


def test_a_refused_write_leaves_nothing_on_disk(tmp_path: Path) -> None:
    setup = config(state_path=str(tmp_path / "books.jsonl"))
    body = customer_body(7)

    async def status(number: int) -> int:
        async with client(setup) as c:
            body["CustomerNumber"] = number
            return (await c.send("POST", "/api/biz/customers", body)).status

    assert asyncio.run(status(7)) == 400
    assert asyncio.run(status(200_000)) == 400
    body["CurrencyCodeID"] = 1
    assert asyncio.run(status(100_001)) == 500
    del body["CurrencyCodeID"]
    assert asyncio.run(status(100_001)) == 201


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    setup = config(state_path=str(path))

    async def number() -> str:
        async with client(setup) as c:
            answer = await c.book(await c.voucher("1001"))
            return str(answer.json[0]["JournalEntryNumber"])

    assert asyncio.run(number()) == "1-2026"
    path.write_bytes(path.read_bytes() + b'{"company":"x","ent')
    assert asyncio.run(number()) == "2-2026"
    assert asyncio.run(number()) == "3-2026"


def test_a_configuration_is_read_from_toml_and_json(tmp_path: Path) -> None:
    pem = PUBLIC_PEM.replace("\n", "\\n")
    text = f"""
delay_ms = 1
[switches]
unknown_field = "drop-filter"
[[companies]]
key = "{KEY}"
name = "Fjord"
accounts = [{{ number = 3995, name = "Egen", vat_code = "3" }}]
[[clients]]
client_id = "{CLIENT}"
public_key = "{pem}"
[[faults]]
fault = "too-many"
kind = "voucher.*"
probability = 0.1
retry_after = "http-date"
"""
    path = tmp_path / "simulator.toml"
    path.write_text(text)
    setup = load(str(path))
    assert setup.faults[0].fault is FaultKind.TOO_MANY
    json_path = tmp_path / "simulator.json"
    json_path.write_bytes(msgspec.json.encode(setup))
    assert load(str(json_path)) == setup

    async def story(c: Client) -> None:
        assert await c.account_id(3995)

    against(setup, story)


def test_a_second_simulator_does_not_share_books() -> None:
    async def both() -> None:
        setup: SimulatorConfig = config()
        async with running_simulator(setup) as one, running_simulator(setup) as two:
            assert one.base_url != two.base_url
            assert one.server.simulator.books is not two.server.simulator.books

    asyncio.run(both())
