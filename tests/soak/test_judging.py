"""What counts as flat: noise and peaks do, a leak of any shape does not."""

import math
import random

import pytest

from streams.ops.soak.judging import Bound, Point, judge, judge_cost, slope

MEMORY = Bound(share=0.05, least=8.0)
HOUR = [float(second) for second in range(0, 3600, 15)]


def noisy(value: float, second: float, chance: random.Random) -> float:
    """A process's memory: it moves by some MiB, and sometimes jumps for a moment."""
    peak = 60.0 if chance.random() < 0.05 else 0.0
    return value + chance.gauss(0, 2.0) + peak + math.sin(second / 60)


@pytest.mark.parametrize("seed", range(8))
def test_noise_and_peaks_are_flat(seed: int) -> None:
    chance = random.Random(seed)
    points = [(second, noisy(120.0, second, chance)) for second in HOUR]
    found = judge("memory", "MiB", points, MEMORY)
    assert found is not None
    assert found.flat, found


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("leak", [12.0, 40.0])
def test_a_leak_is_not(seed: int, leak: float) -> None:
    """MiB an hour, beneath the same noise."""
    chance = random.Random(seed)
    points = [(second, noisy(120.0 + leak * second / 3600, second, chance)) for second in HOUR]
    found = judge("memory", "MiB", points, MEMORY)
    assert found is not None
    assert not found.flat, found
    assert found.growth == pytest.approx(leak, abs=3.0)


def test_file_descriptors_that_leak_one_by_one_are_seen() -> None:
    points = [(second, 30.0 + second // 120) for second in HOUR]
    found = judge("files", "", points, Bound(share=0.05, least=16.0))
    assert found is not None
    assert not found.flat


def test_what_shrinks_is_flat() -> None:
    points = [(second, 200.0 - second / 100) for second in HOUR]
    found = judge("memory", "MiB", points, MEMORY)
    assert found is not None
    assert found.flat


def test_too_little_is_not_judged() -> None:
    assert judge("memory", "MiB", [(0.0, 1.0), (1.0, 1.0)], MEMORY) is None
    assert judge_cost("ledger", "bytes", [(0.0, 1.0)], [(0.0, 1.0)], MEMORY) is None
    few = [(second, second / 10) for second in HOUR]
    assert judge_cost("ledger", "bytes", few, few, MEMORY) is None


def test_time_that_stands_still_has_no_slope() -> None:
    assert slope([(1.0, 1.0), (1.0, 9.0)]) == 0.0


def ledger(exponent: float) -> tuple[list[Point], list[Point]]:
    taken = [(second, second * 5) for second in HOUR]
    return taken, [(second, 4000.0 * many**exponent) for second, many in taken]


def test_a_ledger_that_grows_with_what_it_takes_is_flat_and_one_that_grows_faster_is_not() -> None:
    bound = Bound(share=0.5, least=2048.0)
    even = judge_cost("ledger", "bytes", *ledger(1.0), bound)
    faster = judge_cost("ledger", "bytes", *ledger(2.0), bound)
    assert even is not None
    assert faster is not None
    assert (even.flat, faster.flat) == (True, False)
    assert even.first == even.last == 4000.0
