"""Set-ups that are wrong on purpose, in both systems, and what `check` says before any invoice."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.simulation_faults import FaultKind, FaultRule
from schemas.events import Account, InvoiceLine
from streams.ops.command_base import Exit
from tests.contracts.dkplus_world import DkPlusWorld
from tests.contracts.places import (
    DKPLUS,
    DKPLUS_HOSTILE,
    EVERYWHERE,
    SPAREBANK1,
    SPAREBANK1_HOSTILE,
)
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place
from tests.ops.books_stage import Stage, staged, told
from tests.ops.running import run

everywhere = pytest.mark.parametrize("place", EVERYWHERE, ids=lambda place: place.id)
in_sparebank1 = pytest.mark.parametrize(
    "place", [SPAREBANK1, SPAREBANK1_HOSTILE], ids=lambda place: place.id
)
in_dkplus = pytest.mark.parametrize("place", [DKPLUS, DKPLUS_HOSTILE], ids=lambda place: place.id)


def at_account(number: str, line: InvoiceLine, **changes: Any) -> InvoiceLine:
    return msgspec.structs.replace(line, account=Account(number=number), **changes)


@everywhere
def test_a_right_set_up_has_no_findings(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        await stage.have_seen(world.customer(), world.project(), world.invoice())
        before = world.snapshot()
        assert await stage.found("check") == []
        assert (await stage.run("check")).stdout == "nothing is wrong\n"
        assert world.snapshot() == before
        assert world.writes() == []

    staged(place, tmp_path, story)


@everywhere
def test_without_a_ledger_the_set_up_itself_is_looked_at(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        result = await stage.run("check", "--json")
        assert json.loads(result.stdout) == {"findings": []}
        assert result.exit_code == Exit.DONE
        assert "no events are looked at" in result.stderr
        assert not (tmp_path / "ledger.db").exists()

    staged(place, tmp_path, story)


@everywhere
def test_a_token_that_is_refused_is_one_finding(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.have_seen(stage.world.invoice())
        stage.world.set_faults(FaultRule(fault=FaultKind.UNAUTHORISED))
        (finding,) = await stage.found("check")
        assert (finding["kind"], finding["code"]) == ("token", "credentials-refused")
        assert finding["integration"] == stage.here.id
        assert finding["action"]

    staged(place, tmp_path, story)


@everywhere
def test_a_missing_right_is_told(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        dkplus = isinstance(stage.world, DkPlusWorld)
        kind = "invoice.page" if dkplus else "voucher.list"
        stage.world.set_faults(FaultRule(fault=FaultKind.FORBIDDEN, kind=kind))
        assert told(await stage.found("check")) == [("company", "right-missing", None)]

    staged(place, tmp_path, story)


@everywhere
def test_an_answer_that_quotes_our_secrets_is_told_without_them(
    place: Place, tmp_path: Path
) -> None:
    """The stage looks for them in all that a command prints."""

    async def story(stage: Stage) -> None:
        kind = "invoice.page" if isinstance(stage.world, DkPlusWorld) else "voucher.list"
        said = json.dumps({"Message": f"no right for {stage.secrets[0]} here"})
        fault = FaultRule(fault=FaultKind.ANSWER, kind=kind, status=403, body=said)
        stage.world.set_faults(fault)
        (finding,) = await stage.found("check")
        assert "no right for [hidden] here" in finding["text"]

    staged(place, tmp_path, story)


@everywhere
def test_a_data_type_that_is_off_needs_nothing(place: Place, tmp_path: Path) -> None:
    """Neither a right to it, nor what only it would use."""

    async def story(stage: Stage) -> None:
        world = stage.world
        dkplus = isinstance(world, DkPlusWorld)
        kind = "invoice.page" if dkplus else "voucher.list"
        world.set_faults(FaultRule(fault=FaultKind.FORBIDDEN, kind=kind))
        await stage.have_seen(world.invoice(at_account("3999", world.line("1"), vat_code="99")))
        stage.write_file(data=["customers", "projects"])
        assert await stage.found("check") == []

    staged(place, tmp_path, story)


@in_sparebank1
def test_a_company_that_is_not_activated_is_told(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        assert isinstance(stage.world, Sparebank1World)
        stage.world.deed("active", {"active": False})
        assert told(await stage.found("check")) == [("company", "not-activated", None)]

    staged(place, tmp_path, story)


@in_sparebank1
def test_accounts_that_events_name_are_looked_for(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        assert isinstance(world, Sparebank1World)
        world.deed("accounts", {"AccountNumber": 3010, "Locked": True})
        lines = [at_account(number, world.line("1")) for number in ("3000", "3010", "3999")]
        newer = world.invoice(*lines[:2], number="1002")
        await stage.have_seen(world.invoice(*lines), newer)
        findings = await stage.found("check")
        assert sorted(told(findings)) == [
            ("account", "account-locked", "invoice/1002"),
            ("account", "account-unknown", "invoice/1001"),
        ]
        unknown = next(one for one in findings if one["code"] == "account-unknown")
        assert unknown["text"] == (
            "SpareBank 1 Regnskap: account 3999 is not in the chart of accounts there."
        )
        assert "3999" in unknown["action"]

    staged(place, tmp_path, story)


@in_sparebank1
def test_vat_codes_and_rates_that_events_name_are_looked_for(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        lines = [
            world.line("1", vat_code="3"),
            world.line("1", vat_code="99"),
            world.line("1", vat_code="33", vat_percent=Decimal(15)),
            world.line("1", vat_code=None, vat_percent=None),
        ]
        await stage.have_seen(world.invoice(*lines))
        assert sorted(told(await stage.found("check"))) == [
            ("vat-code", "vat-code-unknown", "invoice/1001"),
            ("vat-code", "vat-code-unknown", "invoice/1001"),
            ("vat-code", "vat-rate-differs", "invoice/1001"),
        ]

    staged(place, tmp_path, story)


@in_sparebank1
def test_what_is_named_by_hand_is_looked_for_and_nothing_else(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        await stage.have_seen(world.invoice(at_account("3998", world.line("1"))))
        named = ("--accounts", "3000, 3999", "--vat-codes", "3,98")
        assert told(await stage.found("check", *named)) == [
            ("account", "account-unknown", None),
            ("vat-code", "vat-code-unknown", None),
        ]

    staged(place, tmp_path, story)


@in_sparebank1
def test_customer_numbers_outside_the_series_are_told(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        numbers = ("100042", "200001", "A17")
        await stage.have_seen(*(stage.world.customer(number=number) for number in numbers))
        assert told(await stage.found("check")) == [
            ("number-series", "customer-number-out-of-range", "customer/200001"),
            ("number-series", "customer-number-not-numeric", "customer/A17"),
        ]

    staged(place, tmp_path, story)


@in_sparebank1
def test_a_locked_period_is_told_where_today_is_in_it(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        assert isinstance(world, Sparebank1World)
        world.deed("locks", {"VatLockedDate": "2020-12-31"})
        assert await stage.found("check") == []
        world.deed("locks", {"VatLockedDate": "2099-12-31"})
        (finding,) = await stage.found("check")
        assert (finding["kind"], finding["code"]) == ("period", "period-locked")
        assert "2099-12-31" in finding["text"]

    staged(place, tmp_path, story)


@in_sparebank1
def test_a_rounding_account_is_looked_for_too(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write_file(rounding_account="7749")
        (finding,) = await stage.found("check")
        assert (finding["kind"], finding["code"]) == ("account", "account-unknown")

    staged(place, tmp_path, story)


@everywhere
def test_a_currency_without_a_rate_is_told(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        rated = world.invoice(number="77", currency_code="EUR", currency_rate=Decimal(150))
        unrated = world.invoice(number="78", currency_code="EUR")
        await stage.have_seen(rated)
        assert await stage.found("check") == []
        await stage.have_seen(unrated)
        assert told(await stage.found("check")) == [
            ("currency", "currency-rate-missing", "invoice/78")
        ]

    staged(place, tmp_path, story)


@in_sparebank1
def test_a_currency_that_the_books_lack_is_told(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        await stage.have_seen(stage.world.customer(currency_code="XAU"))
        assert told(await stage.found("check")) == [
            ("currency", "currency-unknown", "customer/100042")
        ]

    staged(place, tmp_path, story)


@in_dkplus
def test_a_sales_person_that_is_not_there_is_told(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write_file(sales_person="nobody")
        assert told(await stage.found("check")) == [("sales-person", "sales-person-unknown", None)]

    staged(place, tmp_path, story)


@in_dkplus
def test_item_codes_that_events_name_are_looked_for(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        new = {"product_number": "ný", "vat_percent": Decimal(11)}
        lines = [
            world.line("1"),
            world.line("1", **new),  # it would be created
            world.line("1", vat_percent=Decimal(11)),
            world.line("1", product_number="óþekkt", vat_percent=None),
            world.line("1", product_number="x" * 21),
            world.line("1", product_number=None),
        ]
        await stage.have_seen(world.invoice(*lines))
        assert sorted(code for _, code, _ in told(await stage.found("check"))) == [
            "item-code-missing",
            "item-code-too-long",
            "product-vat-differs",
            "vat-percent-missing",
        ]

    staged(place, tmp_path, story)


@in_dkplus
def test_a_customer_without_vat_may_have_products_at_no_rate(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        world = stage.world
        assert isinstance(world, DkPlusWorld)
        world.have_customer("7112992030")
        await stage.have_seen(world.invoice(world.line("1", vat_percent=Decimal(0))))
        assert told(await stage.found("check")) == [
            ("item-code", "product-vat-differs", "invoice/10457")
        ]
        held = world.raw().customers["7112992030"]
        world.raw().put("customer", "7112992030", {**held, "NoVat": True})
        assert await stage.found("check") == []

    staged(place, tmp_path, story)


@in_dkplus
def test_item_codes_named_by_hand_are_looked_for(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        findings = await stage.found("check", "--item-codes", "RAÐGJOF,akstur")
        (finding,) = findings
        assert finding["kind"] == "item-code"
        assert "akstur" in finding["text"]

    staged(place, tmp_path, story)


def test_words_are_in_the_language_of_the_integration(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write_file(language="nb")
        (finding,) = await stage.found("check", "--accounts", "3999")
        assert finding["text"].startswith("SpareBank 1 Regnskap: Konto 3999 finnes ikke")

    staged(SPAREBANK1, tmp_path, story)


def test_an_address_that_no_mail_can_reach_is_told(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.write_file(notify="bokhald@vik")
        (finding,) = await stage.found("check")
        assert finding["kind"] == "mail"
        assert "bokhald@vik" in finding["text"]

    staged(DKPLUS, tmp_path, story)


@everywhere
def test_books_that_are_away_are_exit_3(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.world.set_faults(FaultRule(fault=FaultKind.UNAVAILABLE))
        result = await stage.run("check", "--wait", "0.1", "--json")
        assert result.exit_code == Exit.AWAY
        assert json.loads(result.stdout) == {"findings": []}
        assert f"{stage.here.id}: " in result.stderr

    staged(place, tmp_path, story)


@everywhere
def test_books_that_were_busy_for_a_moment_are_asked_again(place: Place, tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        stage.world.set_faults(FaultRule(fault=FaultKind.UNAVAILABLE, limit=1))
        assert await stage.found("check") == []

    staged(place, tmp_path, story)


def test_an_integration_that_is_not_set_up_is_wrong_use(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        result = await stage.run("check", "--integration", "nope")
        assert result.exit_code == Exit.WRONG
        assert "'nope' is not set up" in result.stderr

    staged(SPAREBANK1, tmp_path, story)


def test_nobody_listening_is_exit_3_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0b9c1c0e-9c42-4a5a-8f5e-0d3c1f6f2a01")
    (tmp_path / "token").chmod(0o600)
    (tmp_path / "integrations.toml").write_text(
        'allow_hosts = ["127.0.0.1:9"]\n[[integrations]]\nid = "vik"\ncompany = "c"\n'
        'system = "dkplus"\nbase_url = "http://127.0.0.1:9/api/v1"\ntoken_file = "token"\n'
        'sales_person = "web"\ndata = ["customers"]\nnotify = "bokhald@vik.example"\n'
    )
    result = run(tmp_path, "check", "--wait", "0")
    assert result.returncode == Exit.AWAY, result.stderr
    assert "vik: " in result.stderr
    assert "0b9c1c0e" not in result.stdout + result.stderr
