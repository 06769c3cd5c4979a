"""What one worker of several takes of an integration's bound."""

import pytest

from connectors.attempts import Exchange
from schemas.failures import Reference
from streams.core.conclude import Result, What
from streams.settings import load
from streams.tenants import Tenant, Tenants
from tests.ledger.samples import SB1

CEILING = 16
PARTITIONS = 12
ANSWERED = (Exchange(kind="read", method="GET", target="/", status=200),)
DONE = Result(what=What.APPLIED, reference=Reference(id="1", number="1"))


def tenants() -> Tenants:
    settings = load({"MOMENT_SYNC_SPAREBANK1_IN_FLIGHT": str(CEILING)})
    found = Tenants(settings)
    found.set_up({SB1.id: SB1})
    return found


def grown(tenant: Tenant, rounds: int = 200) -> int:
    """How many go side by side after many quick answers, with always more to send."""
    now = 0.0
    for _ in range(rounds):
        while tenant.room(1_000, others_wait=False, elapsed=0.0):
            tenant.started(now)
        now += 0.01
        tenant.ended("customer", ANSWERED, DONE, 0.01, now)
    while tenant.room(1_000, others_wait=False, elapsed=0.0):
        tenant.started(now)
    return tenant.in_flight


@pytest.mark.parametrize(("lanes", "bound"), [(12, 16), (6, 8), (4, 6), (1, 2), (0, 1)])
def test_a_worker_takes_as_much_of_a_bound_as_it_has_of_the_lanes(lanes: int, bound: int) -> None:
    found = tenants()
    found.own(lanes, PARTITIONS)
    assert grown(found.by_id[SB1.id]) == bound


def test_workers_together_stay_near_the_ceiling() -> None:
    total = 0
    for lanes in (5, 4, 3):
        found = tenants()
        found.own(lanes, PARTITIONS)
        total += grown(found.by_id[SB1.id])
    assert CEILING <= total < CEILING + 3


def test_who_owns_fewer_lanes_than_before_starts_nothing_until_it_fits() -> None:
    found = tenants()
    found.own(12, PARTITIONS)
    tenant = found.by_id[SB1.id]
    assert grown(tenant) == CEILING
    found.own(3, PARTITIONS)
    assert tenant.room(1_000, others_wait=False, elapsed=0.0) == 0
    for _ in range(CEILING - 3):
        tenant.ended("customer", ANSWERED, DONE, 0.01, 9.0)
    assert tenant.room(1_000, others_wait=False, elapsed=0.0) == 1


def test_an_integration_that_comes_later_has_the_same_share() -> None:
    found = tenants()
    found.own(3, PARTITIONS)
    found.set_up({"late": SB1})
    assert grown(found.by_id["late"]) == CEILING // 4
