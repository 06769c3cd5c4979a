"""Faults, limits, the admin side, and books that survive a restart (contract dkplus A9 item 8)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from connectors.dkplus.simulator.serve import read_config
from connectors.dkplus.simulator.settings import SimulatorConfig
from connectors.dkplus.simulator.switches import EVERY_CHECK, Switches
from connectors.simulation_faults import FaultKind, FaultRule, RetryAfterForm
from tests.connectors.dkplus.simulator_client import (
    KENNITALA,
    OTHER_TOKEN,
    TOKEN,
    Dk,
    company,
    line,
    simulate,
)

DEADLINE_SECONDS = 5.0


def on_booking(fault: FaultKind, **members: Any) -> tuple[FaultRule, ...]:
    """The fault, once, on the booking of an invoice."""
    return (FaultRule(fault=fault, kind="invoice.create", limit=1, **members),)


async def until(dk: Dk, holds: Callable[[], bool]) -> None:
    """Ask the admin side until it holds, within the deadline."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not holds():
            await dk.admin("/books")


@pytest.mark.parametrize(
    ("fault", "members", "booked"),
    [
        (FaultKind.COMMIT_NO_ANSWER, {"seconds": 0.05}, 1),
        (FaultKind.RESET_AFTER, {}, 1),
        (FaultKind.RESET_BEFORE, {}, 0),
        (FaultKind.BROKEN_OFF, {}, 1),
    ],
)
def test_a_cut_line_may_or_may_not_have_booked(
    fault: FaultKind, members: dict[str, Any], booked: int
) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await dk.invoice()
        assert len(dk.running.books("vik").invoices) == booked

    simulate(scenario, faults=on_booking(fault, **members))


def test_an_invoice_may_be_booked_long_after_the_line_was_cut() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        with pytest.raises(aiohttp.ClientError):
            await dk.invoice()
        books = dk.running.books("vik")
        assert (await dk.call("GET", "/sales/invoice/reference/10457")).json == []
        await until(dk, lambda: len(books.invoices) == 1)
        assert len((await dk.call("GET", "/sales/invoice/reference/10457")).json) == 1

    simulate(scenario, faults=on_booking(FaultKind.COMMIT_LATER, seconds=0.2))


def test_a_client_that_gave_up_on_a_slow_booking_is_told_nothing_and_it_is_booked() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await dk.invoice()
        books = dk.running.books("vik")
        await until(dk, lambda: "10457" in books.conduct.unproved)
        assert len(books.invoices) == 1

    simulate(scenario, faults=on_booking(FaultKind.SLOW, seconds=0.2))


@pytest.mark.parametrize(
    ("fault", "members", "status"),
    [
        (FaultKind.SERVER_ERROR, {"status": 502}, 502),
        (FaultKind.UNAVAILABLE, {}, 503),
        (FaultKind.TOO_MANY, {"retry_after": RetryAfterForm.SECONDS}, 429),
        (FaultKind.UNAUTHORISED, {}, 401),
        (FaultKind.ANSWER, {"status": 404, "body": "<html>", "content_type": "text/html"}, 404),
    ],
)
def test_an_answer_of_a_gateway_books_nothing(
    fault: FaultKind, members: dict[str, Any], status: int
) -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        got = await dk.invoice()
        assert got.status == status
        assert got.headers.get("Retry-After") == ("1" if status == 429 else None)
        assert dk.running.books("vik").invoices == []

    simulate(scenario, faults=on_booking(fault, **members))


def test_an_error_may_hide_a_booking_and_an_answer_may_be_half() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        assert (await dk.invoice()).status == 500
        half = await dk.invoice(Reference="2")
        with pytest.raises(msgspec.DecodeError):
            _ = half.json
        assert half.status == 200
        assert len(dk.running.books("vik").invoices) == 2

    hidden = on_booking(FaultKind.SERVER_ERROR, commit=True)
    simulate(scenario, faults=hidden + on_booking(FaultKind.TRUNCATED_JSON))


def test_one_look_up_may_lag_behind_the_others() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        look = "/sales/invoice/reference/10457"
        assert (await dk.call("GET", look)).json == []
        assert len((await dk.call("GET", look)).json) == 1

    rule = FaultRule(fault=FaultKind.LAGGING, kind="invoice.by-reference", seconds=60, limit=1)
    simulate(scenario, faults=(rule,))


def test_faults_meet_one_company_alone_and_change_while_it_runs() -> None:
    async def scenario(dk: Dk) -> None:
        assert (await dk.call("GET", "/company")).status == 500
        assert (await dk.call("GET", "/company", token=OTHER_TOKEN)).status == 200
        assert (await dk.admin("/faults"))["met"] == [1]
        await dk.admin("/faults", {"rules": []})
        assert (await dk.call("GET", "/company")).status == 200
        calls = (await dk.admin("/calls?company=vik"))["calls"]
        assert [(call["kind"], call["status"], call["fault"]) for call in calls] == [
            ("company.read", 500, "server-error"),
            ("company.read", 200, None),
        ]

    other = company(token=OTHER_TOKEN, name="Annað", key="annad")
    rule = FaultRule(fault=FaultKind.SERVER_ERROR, company="vik")
    simulate(scenario, companies=(company(), other), faults=(rule,))


@pytest.mark.parametrize("form", ["none", "seconds", "date"])
def test_a_rate_limit_turns_calls_away_for_a_second(form: str) -> None:
    async def scenario(dk: Dk) -> None:
        statuses = [(await dk.call("GET", "/company")).status for _ in range(2)]
        assert statuses == [200, 200]
        turned_away = await dk.call("GET", "/company")
        assert turned_away.status == 429
        after = turned_away.headers.get("Retry-After")
        if form == "date":
            assert after is not None
            moment = parsedate_to_datetime(after)
            assert moment == datetime(2026, 3, 31, 14, 22, 13, tzinfo=UTC)
        else:
            assert after == (None if form == "none" else "3")
        dk.clock.pass_seconds(2)
        assert (await dk.call("GET", "/company")).status == 200

    simulate(
        scenario,
        switches={
            "calls_per_second": 2,
            "rate_limit_retry_after": form,
            "rate_limit_seconds": 3,
        },
    )


def test_the_books_can_be_read_and_prepared_from_the_admin_side() -> None:
    async def scenario(dk: Dk) -> None:
        vik = "/books/vik"
        await dk.admin(f"{vik}/customers", {"Number": KENNITALA, "Name": "Fyrst"})
        await dk.admin(f"{vik}/customers", {"Number": KENNITALA, "Name": "Breytt"})
        await dk.admin(f"{vik}/projects", {"Number": "1", "Name": "a"})
        await dk.admin(f"{vik}/projects", {"Number": "1", "Name": "b"})
        await dk.admin(f"{vik}/products", {"ItemCode": "A", "TaxPercent": 11})
        await dk.admin(f"{vik}/products", {"ItemCode": "A", "TaxPercent": 24})
        body = {"Customer": {"Number": KENNITALA}, "SalesPerson": "web", "Lines": [line()]}
        await dk.admin(f"{vik}/invoices", {**body, "Reference": "9"})
        await dk.admin(f"{vik}/remove", {"kind": "product", "key": "bok"})
        await dk.call("GET", "/company")
        books = await dk.admin(vik)
        assert books["customers"][KENNITALA]["Name"] == "Breytt"
        assert books["projects"]["1"]["Name"] == "b"
        assert books["products"]["a"]["TaxPercent"] == 24
        assert "bok" not in books["products"]
        (invoice,) = books["invoices"]
        assert (invoice["reference"], invoice["viaApi"], invoice["posted"]) == ("9", False, True)
        assert books["counts"] == {"company.read": 1}
        assert books["violations"] == []
        assert TOKEN not in str(books)
        (summary,) = (await dk.admin("/books"))["companies"]
        assert (summary["company"], summary["invoices"]) == ("vik", 1)

    simulate(scenario)


def test_violations_of_all_companies_are_read_together_and_can_be_forgiven() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.admin("/companies", {"token": OTHER_TOKEN, "name": "Annað"})
        for token in (TOKEN, OTHER_TOKEN):
            await dk.call("POST", "/customer", {"Number": "1"}, token=token)
        found = (await dk.admin("/violations"))["violations"]
        assert [(one["company"], one["kind"]) for one in found] == [
            ("vik", "post-first"),
            ("Annað", "post-first"),
        ]
        await dk.admin("/books/vik/forgive", {})
        assert len((await dk.admin("/violations"))["violations"]) == 1

    simulate(scenario)


def test_switches_are_set_for_all_or_for_one_company() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.admin("/switches", {"preset": "hostile", "set": {"number_gap": 9}})
        switches = dk.running.books("vik").switches
        assert (switches.number_gap, switches.binary_tails) == (9, True)
        await dk.admin("/books/vik/switches", {"set": {"limits": {"reference": 7}}})
        assert dk.running.books("vik").switches.limits.reference == 7
        assert dk.running.books("vik").switches.limits.customer_name == 60

    simulate(scenario)


def test_a_wrong_request_of_the_admin_side_says_why() -> None:
    async def scenario(dk: Dk) -> None:
        async with aiohttp.ClientSession(dk.running.admin_url + "/") as session:
            for path, body, status in (
                ("switches", {"set": {"nonsense": 1}}, 400),
                ("switches", {"preset": "nonsense"}, 400),
                ("faults", {"rules": [{"fault": "nonsense"}]}, 400),
                ("books/vik/reverse", {}, 400),
                ("books/nobody/reverse", {"number": "1"}, 404),
                ("books/vik/reverse", {"number": "1"}, 404),
                ("companies", {"token": TOKEN, "name": "x", "key": "vik"}, 400),
            ):
                async with session.post(path, json=body) as response:
                    assert response.status == status, (path, body)
                    assert (await response.json())["error"]

    simulate(scenario)


def test_books_survive_a_restart(tmp_path: Path) -> None:
    state = str(tmp_path / "dk.jsonl")

    async def first(dk: Dk) -> None:
        await dk.customer()
        await dk.invoice()
        await dk.call("GET", "/customer/2")
        await dk.admin("/books/vik/closed-period", {"until": "2026-01-31"})
        await dk.call("PUT", "/project/1", {})

    async def second(dk: Dk) -> None:
        books = dk.running.books("vik")
        assert dk.kinds() == ["write-outside-contract"]
        assert books.standing.closed_until == "2026-01-31"
        assert set(books.products) == {"raðgjof", "bok"}
        await dk.call("POST", "/customer", {"Number": "2"})  # it was asked for before
        assert '"TotalAmount":199000.0' in (await dk.call("GET", "/sales/invoice/20311")).text
        assert '"Quantity":10.0' in (await dk.call("GET", "/sales/invoice/20311")).text
        assert (await dk.invoice(Reference="2")).json["Number"] == "20312"
        await dk.invoice()
        assert dk.kinds() == ["write-outside-contract", "double-booking"]

    simulate(first, state_path=state)
    with Path(state).open("ab") as file:
        file.write(b'{"company":"vik","kind":"inv')  # the process died here
    simulate(second, state_path=state)


def test_a_configuration_is_read_from_toml_and_json(tmp_path: Path) -> None:
    toml = tmp_path / "dk.toml"
    toml.write_text(
        f"""
        preset = "hostile"
        delay_ms = 5
        seed = 3
        [switches]
        look_up_lag_seconds = 2
        [[faults]]
        fault = "commit-no-answer"
        kind = "invoice.create"
        probability = 0.05
        seconds = 10.0
        [[companies]]
        token = "{TOKEN}"
        name = "Vík ehf."
        key = "vik"
        sales_persons = ["web"]
        first_invoice_number = 500
        switches = {{ number_gap = 0 }}
        products = [{{ item_code = "akstur", tax_percent = 24 }}]
        """
    )
    config = read_config(toml)
    switches = config.switches_of(config.companies[0])
    assert (switches.look_up_lag_seconds, switches.number_gap) == (2, 0)
    assert switches.binary_tails
    assert TOKEN not in repr(config)
    as_json = tmp_path / "dk.json"
    as_json.write_bytes(msgspec.json.encode(config))
    assert read_config(as_json) == config


def test_two_companies_on_one_token_are_refused() -> None:
    with pytest.raises(ValueError, match="same token"):
        SimulatorConfig(companies=(company(), company(key="annad")))


def test_the_hostile_preset_still_lets_a_right_client_through() -> None:
    async def scenario(dk: Dk) -> None:
        await dk.customer()
        assert (await dk.invoice()).status == 200
        assert dk.kinds() == []

    simulate(scenario, preset="hostile")
    assert set(Switches.hostile().check_order) == set(EVERY_CHECK)


def test_a_delay_is_spent_on_every_call() -> None:
    async def scenario(dk: Dk) -> None:
        loop = asyncio.get_running_loop()
        await dk.admin("/delay", {"delayMs": 50})
        start = loop.time()
        await dk.call("GET", "/company")
        assert loop.time() - start >= 0.05

    simulate(scenario)
