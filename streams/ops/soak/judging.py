"""Whether a series is flat: pure, so that it is tried without an hour's run.

A slope is Theil and Sen's, the median of the slopes between all pairs of samples: single peaks
(a collection of garbage, a rebalance) move it hardly.
"""

from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

Point = tuple[float, float]
"""Seconds since the start, and the value."""

POINTS_MAX: Final = 240
"""Samples that a slope is made of: 28,680 pairs; more are thinned out evenly."""


class Bound(msgspec.Struct, frozen=True):
    """How much a series may grow over what is judged: a share of its median, or `least`."""

    share: float
    least: float

    def allowed(self, values: Sequence[float]) -> float:
        """The growth that still counts as flat."""
        return max(self.share * median(values), self.least)


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One series: its median at the beginning and the end, and its growth by its slope."""

    what: str
    unit: str
    first: float
    last: float
    growth: float
    allowed: float
    flat: bool


def judge(what: str, unit: str, points: Sequence[Point], bound: Bound) -> Judged | None:
    """Judge what came after the warm-up; None where there is too little to say anything."""
    if len(points) < 4:  # noqa: PLR2004 - two pairs
        return None
    values = [value for _, value in points]
    quarter = max(1, len(values) // 4)
    growth = slope(points) * (points[-1][0] - points[0][0])
    allowed = bound.allowed(values)
    return Judged(
        what=what,
        unit=unit,
        first=round(median(values[:quarter]), 1),
        last=round(median(values[-quarter:]), 1),
        growth=round(growth, 1),
        allowed=round(allowed, 1),
        flat=growth <= allowed,
    )


def slope(points: Sequence[Point]) -> float:
    """Growth a second; 0 where time has not moved."""
    thinned = points[:: -(-len(points) // POINTS_MAX)]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for index, earlier in enumerate(thinned)
        for later in thinned[index + 1 :]
        if later[0] > earlier[0]
    ]
    return median(slopes) if slopes else 0.0


TAKEN_LEAST: Final = 400
"""In each half: of fewer, retries and half-filled pages say more than what one costs."""


def judge_cost(
    what: str, unit: str, taken: Sequence[Point], size: Sequence[Point], bound: Bound
) -> Judged | None:
    """Judge what one more costs: growth of `size` for each that was `taken`, half against half.

    A ledger grows with what it takes until RETENTION is over: what one costs must not grow.
    None where too few were taken to say anything.
    """
    middle = len(size) // 2
    if middle < 2:  # noqa: PLR2004 - a stretch needs two ends
        return None
    first, last = (
        _cost(taken[begin:end], size[begin:end])
        for begin, end in ((0, middle + 1), (middle, len(size)))
    )
    if first is None or last is None:
        return None
    allowed = bound.allowed([first])
    return Judged(
        what=what,
        unit=unit,
        first=round(first, 1),
        last=round(last, 1),
        growth=round(last - first, 1),
        allowed=round(allowed, 1),
        flat=last - first <= allowed,
    )


def _cost(taken: Sequence[Point], size: Sequence[Point]) -> float | None:
    many = taken[-1][1] - taken[0][1]
    return (size[-1][1] - size[0][1]) / many if many >= TAKEN_LEAST else None
