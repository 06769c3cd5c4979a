"""The load must hold everything that a run claims to try, and be the same for the same seed."""

import pytest

from streams.ops.chaos.acts import KILLS, POWER_CUT, plan
from streams.ops.chaos.load import Planned, write_load
from streams.ops.demo.companies import EVERY_BOOKS

SEEDS = range(5)
SECONDS = 60.0


def load(seed: int) -> list[Planned]:
    return write_load(600, SECONDS, seed, clearing=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_gives_one_load(seed: int) -> None:
    assert load(seed) == load(seed)
    assert load(seed) != load(seed + 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_parent_is_announced(seed: int) -> None:
    """Else a child would wait for a person, and have no final outcome by right."""
    planned = load(seed)
    announced = {(one.company, one.entity) for one in planned}
    needed = {(one.company, parent) for one in planned for parent in one.parents}
    assert needed <= announced


@pytest.mark.parametrize("seed", SEEDS)
def test_some_children_come_before_their_parents_and_some_states_in_the_wrong_order(
    seed: int,
) -> None:
    first: dict[tuple[str, str], float] = {}
    newest: dict[tuple[str, str], int] = {}
    early, shuffled = 0, 0
    for one in load(seed):
        early += any((one.company, parent) not in first for parent in one.parents)
        first.setdefault((one.company, one.entity), one.after)
        if one.entity and not one.duplicate:
            shuffled += one.version < newest.get((one.company, one.entity), 0)
            newest[one.company, one.entity] = one.version
    assert early > 20
    assert shuffled > 5


@pytest.mark.parametrize("seed", SEEDS)
def test_states_without_sequence_come_in_their_order(seed: int) -> None:
    """Where only the order of receipt tells which is newer, that order must be right."""
    last: dict[tuple[str, str], int] = {}
    for one in load(seed):
        if one.entity.startswith(("customer", "project")) and not one.numbered:
            if one.duplicate:
                assert one.record.key is not None
                continue
            assert one.version > last.get((one.company, one.entity), 0)
            last[one.company, one.entity] = one.version


@pytest.mark.parametrize("seed", SEEDS)
def test_everything_that_can_go_wrong_is_in_it(seed: int) -> None:
    planned = load(seed)
    codes = {fate.code for one in planned for fate in one.fates.values()} - {None}
    assert codes == {
        "customer-number-out-of-range",
        "invoice-differs-from-booked",
        "kennitala-missing",
        "project-number-not-numeric",
        "vat-code-unknown",
    }
    assert {one.letter for one in planned} == {None, "event-unreadable", "company-unknown"}
    assert {name for one in planned for name in one.fates} == {books.id for books in EVERY_BOOKS}
    assert any(one.duplicate for one in planned)


@pytest.mark.parametrize("kills", [0, 1, 4, 40])
def test_a_plan_has_the_kills_that_were_asked_for(kills: int) -> None:
    for sqlite in (True, False):
        acts = plan(kills, SECONDS, 7, workers=3, sqlite=sqlite)
        worth = {POWER_CUT: 3, **dict.fromkeys(KILLS, 1)}
        assert sum(worth.get(act.kind, 0) for act in acts) == kills
        assert [act.at for act in acts] == sorted(act.at for act in acts)
        assert acts == plan(kills, SECONDS, 7, workers=3, sqlite=sqlite)
        kinds = {act.kind for act in acts}
        assert ("restore" in kinds) == ("switch-off" in kinds) == (kills > 1)
        assert "database-kill" not in kinds or not sqlite


def test_a_long_run_has_everything_and_puts_a_copy_back_that_is_minutes_old() -> None:
    acts = plan(260, 1200.0, 7, workers=2, sqlite=False)
    assert {act.kind for act in acts} == {
        *KILLS - {"worker-kill"},
        *("worker-kill", POWER_CUT, "worker-stop", "disk-full", "simulator-stop", "clock-jump"),
        *("command", "copy", "restore", "switch-off", "switch-on"),
    }
    copies = [act.at for act in acts if act.kind == "copy"]
    restores = [act.at for act in acts if act.kind == "restore"]
    assert len(copies) == len(restores) == 2
    assert all(later - earlier >= 120 for earlier, later in zip(copies, restores, strict=True))
