"""An integration that only its pace keeps from starting is looked at when that lets it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.attempts import Exchange
from connectors.limiter import TOO_MANY_REQUESTS
from streams.core.conclude import Result, What
from streams.dispatch import Dispatcher
from streams.ledger.rules import Moment
from streams.tenants import Tenant
from tests.ledger.samples import SB1
from tests.streams.test_identity_race import SETTINGS

PATIENCE_S = 10.0
LET_IN = 50  # in half a second: a pace of ninety, and the next may start after some 11 ms


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def elapsed(self) -> float:
        return self.at

    def now(self) -> Moment:
        return Moment(wall=1_790_000_000.0, elapsed=self.at, boot="host/1")


def dispatcher(clock: Clock) -> tuple[Dispatcher, Tenant]:
    performer: Any = SimpleNamespace(now=clock.now, timing=lambda _: SimpleNamespace(bookings=1))
    nothing: Any = None
    made = Dispatcher(
        ledger=nothing,
        rules=nothing,
        settings=SETTINGS,
        clock=clock,  # type: ignore[arg-type]  # as much of it as is asked for
        owner="w1",
        partitions=1,
        performer=performer,
    )
    made.desk.active[0] = 1
    made.desk.sought = True
    made.set_up({SB1.id: SB1})
    tenant = made.desk.tenants.by_id[SB1.id]
    tenant.books, tenant.identify_at = "books", float("inf")
    return made, tenant


def one(tenant: Tenant, clock: Clock, status: int, what: What) -> None:
    tenant.started(clock.at)
    clock.at += 0.01
    said = (Exchange(kind="update", method="PUT", target="/", status=status),)
    tenant.ended("customer", said, Result(what=what), 0.01, clock.at)


def paced() -> tuple[Dispatcher, Tenant, Clock]:
    clock = Clock()
    made, tenant = dispatcher(clock)
    for _ in range(LET_IN):
        one(tenant, clock, 200, What.APPLIED)
    one(tenant, clock, TOO_MANY_REQUESTS, What.RETRY)
    return made, tenant, clock


def test_after_a_429_nothing_is_asked_for_until_the_pace_allows() -> None:
    made, tenant, clock = paced()
    assert tenant.pace(clock.at) == pytest.approx(0.9 * LET_IN / 0.51, rel=0.01)
    assert made._wants() == ((), False)
    assert made._paced_until == pytest.approx(clock.at + 1 / tenant.pace(clock.at))
    clock.at = made._paced_until
    wants, _ = made._wants()
    assert [want.sends for want in wants] == [1]
    assert tenant.hungry


def test_the_loop_is_woken_when_it_does() -> None:
    async def story() -> None:
        made, _, _ = paced()
        made.desk.work.clear()
        made._wants()
        made._set_alarm()
        await asyncio.wait_for(made.desk.work.wait(), PATIENCE_S)

    asyncio.run(story())


def test_nobody_is_woken_where_nobody_is_paced() -> None:
    async def story() -> None:
        made, tenant = dispatcher(Clock())
        while tenant.room(1_000, others_wait=False, elapsed=1_000.0):
            tenant.started(1_000.0)
        assert made._wants() == ((), False)
        made._set_alarm()
        assert made._alarm is None

    asyncio.run(story())
