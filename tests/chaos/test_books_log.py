"""The log of operations, as the simulators really write it."""

import asyncio
from pathlib import Path

import pytest

from connectors.dkplus.simulator import serve as dkplus
from connectors.dkplus.simulator import settings as dkplus_settings
from connectors.http import HttpSession
from connectors.port import Answer
from connectors.sparebank1.simulator import serve as sparebank1
from connectors.sparebank1.simulator.settings import CompanyConfig, SimulatorConfig
from streams.ops.chaos.books_log import operations_of
from streams.ops.chaos.record import Operation
from streams.ops.demo.companies import FJORD, VIK, Kind

SB1, DK = FJORD.books[0], VIK.books[0]


async def _post(root: str, path: str, body: bytes) -> None:
    place = root.removeprefix("http://")
    async with HttpSession(frozenset({place}), frozenset({place, "127.0.0.1"})) as session:
        answer = await session.send(
            root + path,
            method="POST",
            headers={"Content-Type": "application/json"},
            body=body,
            deadline_s=10.0,
            may_send=lambda: True,
        )
    assert isinstance(answer, Answer)
    assert answer.status == 200, answer.body


async def _sparebank1(state: Path) -> None:
    company = CompanyConfig(key=SB1.key, name="Fjord")
    config = SimulatorConfig(companies=(company,), state_path=str(state))
    async with sparebank1.running_simulator(config) as running:
        root, there = running.base_url, f"/_simulator/companies/{SB1.key}"
        customer = b'{"CustomerNumber": 120101, "Info": {"Name": "Bakken v2"}}'
        await _post(root, f"{there}/customers", customer)
        project = b'{"ProjectNumber": "1101", "Name": "Tak v1", "ProjectCustomerID": null}'
        await _post(root, f"{there}/projects", project)
        voucher = (
            b'{"date": "2026-03-02", "customerNumber": 120101, "invoiceNumber": "52021",'
            b' "lines": [{"account": 3000, "amount": -100}]}'
        )
        await _post(root, f"{there}/vouchers", voucher)


async def _dkplus(state: Path) -> None:
    company = dkplus_settings.CompanyConfig(token="t", name="V", key=DK.key)
    config = dkplus_settings.SimulatorConfig(companies=(company,), state_path=str(state))
    async with dkplus.running_simulator(config) as running:
        root, there = f"http://127.0.0.1:{running.port}", f"/_simulator/books/{DK.key}"
        await _post(root, f"{there}/customers", b'{"Number": "601", "Name": "Hekla v2"}')
        await _post(root, f"{there}/projects", b'{"Number": "1101", "Name": "Tak v1"}')


def of(kind: Kind, path: Path) -> list[Operation]:
    return list(operations_of(kind, path.read_bytes().splitlines(keepends=True), [SB1, DK]))


def test_sparebank1_tells_of_customers_projects_and_vouchers_once(tmp_path: Path) -> None:
    state = tmp_path / "books.jsonl"
    asyncio.run(_sparebank1(state))
    found = of(Kind.SPAREBANK1, state)
    assert [(one.entity, one.version) for one in found] == [
        ("customer/120101", 2),
        ("project/1101", 1),
        ("invoice/52021", None),
    ]
    assert {one.integration for one in found} == {SB1.id}
    assert [one.place for one in found] == sorted(one.place for one in found)


def test_dkplus_tells_of_customers_and_projects(tmp_path: Path) -> None:
    state = tmp_path / "books.jsonl"
    asyncio.run(_dkplus(state))
    assert [(one.entity, one.version) for one in of(Kind.DKPLUS, state)] == [
        ("customer/601", 2),
        ("project/1101", 1),
    ]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_line_that_was_cut_off_is_no_operation(kind: Kind) -> None:
    """A simulator that is killed may leave half a line."""
    assert list(operations_of(kind, [b'{"company":"vik","kind":"cust'], [SB1, DK])) == []
