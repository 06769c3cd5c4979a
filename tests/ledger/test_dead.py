"""What is dead: filtered, paged and counted, in both databases alike."""

from functools import partial
from typing import Any

import msgspec
import pytest

from schemas.failures import Failure, FailureClass, FailureCode
from streams.core.conclude import Result, What
from streams.ledger import mend_queries
from streams.ledger.dead import Dead, Filter, Page, all_dead, dead_page
from streams.ledger.dead_counts import Group, dead_groups
from streams.ledger.mend_queries import ids_near, look
from tests.ledger.conftest import Tell
from tests.ledger.operating import Desk, die
from tests.ledger.samples import SB1, customer, invoice
from tests.ledger.stage import Stage

LOCKED = Failure(
    code=FailureCode.PERIOD_LOCKED, parameters={"lockDate": "2026-10-31", "date": "2026-10-02"}
)
# A class that is not the code's own.
IN_DOUBT = Failure(code=FailureCode.ACCOUNT_UNKNOWN, klass=FailureClass.UNCERTAIN)
FILTERS = (
    Filter(),
    Filter(code=FailureCode.PERIOD_LOCKED),
    Filter(klass=FailureClass.UNCERTAIN),
    Filter(klass=FailureClass.DATA),
    Filter(company="c-1001"),
    Filter(company="c-9"),
    Filter(integration=SB1.id),
    Filter(entity="customer/100101"),
    Filter(since=1_790_000_005.0),
    Filter(code=FailureCode.PERIOD_LOCKED, since=1_790_000_005.0, company="c-1001"),
)


async def many_dead(stage: Stage) -> None:
    """Nine deliveries of three causes, and two letters at the same place of two topics."""
    for number in range(9):
        name = f"c{number}"
        await stage.take(**{name: customer(str(100100 + number))})
        await die(stage, name, (LOCKED, IN_DOUBT, _account(number))[number % 3])
        stage.go_on(1)
    broken = msgspec.structs.replace(stage.record("x", customer()), value=b"{", offset=0)
    await stage.take_records(broken)
    await stage.take_records(msgspec.structs.replace(broken, value=b"["))


def _all(wanted: Filter, connection: Any) -> list[Dead]:
    return list(all_dead(connection, wanted))


def _account(number: int) -> Failure:
    return Failure(code=FailureCode.ACCOUNT_UNKNOWN, parameters={"account": str(number)})


def counted(groups: list[Group]) -> dict[tuple[str, str, str | None], tuple[int, float, float]]:
    return {(g.code, g.klass, g.integration): (g.count, g.oldest_at, g.newest_at) for g in groups}


def test_the_counts_of_an_index_are_those_of_looking_at_each(tell: Tell) -> None:
    """With a text every one is looked at: that way is the measure of the other."""

    async def story(stage: Stage) -> None:
        await many_dead(stage)
        for wanted in FILTERS:
            looked_at = msgspec.structs.replace(wanted, text=lambda _: True)
            fast = stage.ledger.read_now(partial(dead_groups, wanted=wanted))
            slow = stage.ledger.read_now(partial(dead_groups, wanted=looked_at))
            assert counted(fast) == counted(slow), wanted
            assert [g.count for g in fast] == sorted((g.count for g in fast), reverse=True)
            for group in fast:
                newest = group.newest
                assert (newest.failure.code.value, newest.last_failed_at) == (
                    group.code,
                    group.newest_at,
                )
        groups = counted(stage.ledger.read_now(lambda c: dead_groups(c, Filter())))
        assert {key: found[0] for key, found in groups.items()} == {
            ("account-unknown", "set-up", SB1.id): 3,
            ("account-unknown", "uncertain", SB1.id): 3,
            ("period-locked", "set-up", SB1.id): 3,
            ("event-unreadable", "data", None): 2,
        }

    tell(story)


def test_pages_of_any_size_come_to_all_of_it_once_and_in_order(tell: Tell) -> None:
    async def story(stage: Stage) -> None:
        await many_dead(stage)
        for wanted in FILTERS:
            everything = stage.ledger.read_now(partial(_all, wanted))
            for limit in (1, 2, 5, 100):
                found: list[Any] = []
                after: str | None = None
                while True:
                    page: Page = stage.ledger.read_now(
                        partial(dead_page, wanted=wanted, after=after, limit=limit)
                    )
                    found += page.dead
                    after = page.next
                    if after is None:
                        break
                assert found == everything, (wanted, limit)
        everything = stage.ledger.read_now(lambda c: list(all_dead(c, Filter())))
        assert len({dead.delivery_id for dead in everything}) == 11

    tell(story)


def test_a_look_sees_what_was_carried_out_and_what_waits_in_front_of_the_books(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(stage: Stage) -> None:
        desk = Desk(stage)
        await stage.take(c=customer(), i=invoice())
        await stage.worker.deliver("c", result=Result(what=What.REFUSED, failure=LOCKED))
        name = stage.delivery("c").delivery_id
        command = await desk.send("replay", deliveries=(name,), replays=(0,))
        ask = (["/ops"], [command], [name], [SB1.id])
        before = stage.ledger.read_now(lambda c: look(c, ask[0][0], *ask[1:]))
        assert (before.ended, before.ready) == ((), {})
        await desk.run()
        after = stage.ledger.read_now(lambda c: look(c, ask[0][0], *ask[1:]))
        assert after.ended == (command,)
        assert [said.what for said in after.said[command]] == ["replayed"]
        assert after.ready == {SB1.id: 1}
        monkeypatch.setattr(mend_queries, "OLDEST", 0)
        assert stage.ledger.read_now(lambda c: look(c, ask[0][0], *ask[1:])).ready == {SB1.id: 0}
        monkeypatch.setattr(mend_queries, "OLDEST", 1)
        await stage.take(n=customer("100001"), m=customer("100002"))
        assert stage.ledger.read_now(lambda c: look(c, ask[0][0], *ask[1:])).ready == {SB1.id: 1}
        near = stage.ledger.read_now(lambda c: ids_near(c, name[:6]))
        assert name in near

    tell(story)
