"""Bugs put in on purpose are found: else the silence of the simulation means nothing."""

from collections.abc import Iterator

import pytest

from streams.ledger.memory import MemoryLedger
from streams.simulation.history import draw
from streams.simulation.run import play
from tests.conftest import BackgroundErrors
from tests.simulation.planted import PLANTED, planted

HISTORIES = 250  # each bug is found within so many, from seed 0

# A seed that has found it, tried first: without it the tests would take minutes.
FOUND_BY = {
}


@pytest.fixture(scope="module")
def ledger() -> Iterator[MemoryLedger]:
    found = MemoryLedger()
    yield found
    found.close()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(
    name: str, ledger: MemoryLedger, background_errors: BackgroundErrors
) -> None:
    seeds = [FOUND_BY[name], *range(HISTORIES)]
    with planted(name):
        found = any(play(draw(seed), ledger).violations for seed in seeds)
    background_errors.take()
    assert found
    assert play(draw(FOUND_BY[name]), ledger).violations == (), "it was not the bug"
    background_errors.take()
