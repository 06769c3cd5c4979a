"""Figures of a run: values of rounds, their median and range, ratios within a round."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """Values of several rounds: median, least, most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        if self.least == self.most:
            return written(self.median)
        return f"{written(self.median)} ({written(self.least)}-{written(self.most)})"


def spread(values: Sequence[float]) -> Spread:
    """Median and range of at least one value."""
    return Spread(median(values), min(values), max(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of them do not exceed."""
    ordered = sorted(values)
    index = max(0, min(len(ordered) - 1, -int(-share * len(ordered) // 1) - 1))
    return ordered[index]


def written(value: float) -> str:
    """A figure for people: three digits that matter, thousands apart."""
    if value == 0:
        return "0"
    if abs(value) >= 100:  # noqa: PLR2004 - from here on whole numbers have three digits
        return f"{value:,.0f}"
    return f"{value:.3g}"


class Row(msgspec.Struct, kw_only=True, rename="camel"):
    """What one contender showed in one case. `figures`: a value of each round, by name.

    `faults`: what went wrong, as counts by name (lost, doubled, out of order); all zero is right.
    `skipped`: why there are no figures.
    """

    contender: str
    guarantees: str = ""
    figures: dict[str, list[float]] = {}
    faults: dict[str, int] = {}
    skipped: str | None = None

    def add(self, figures: Mapping[str, float], faults: Mapping[str, int]) -> None:
        """Add one round."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)
        for name, count in faults.items():
            self.faults[name] = self.faults.get(name, 0) + count

    def spread(self, name: str) -> Spread | None:
        """Median and range of one figure."""
        values = self.figures.get(name)
        return spread(values) if values else None


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What a case is to reach: `figure` of `contender` against `limit`.

    `against`: another contender, whose figure of the same round divides, or with `difference` is
    taken off; None: the value itself.
    """

    text: str
    contender: str
    figure: str
    limit: float
    at_least: bool
    against: str | None = None
    difference: bool = False

    def values(self, rows: Sequence[Row]) -> list[float]:
        """The value of each round; empty where a row is missing."""
        mine = _figures(rows, self.contender, self.figure)
        if self.against is None:
            return mine
        theirs = _figures(rows, self.against, self.figure)
        if self.difference:
            return [one - other for one, other in zip(mine, theirs, strict=False)]
        return [one / other for one, other in zip(mine, theirs, strict=False) if other]

    def reached(self, rows: Sequence[Row]) -> bool | None:
        """Whether the median reaches it; None where it was not measured."""
        values = self.values(rows)
        if not values:
            return None
        return median(values) >= self.limit if self.at_least else median(values) <= self.limit


class CaseResult(msgspec.Struct, kw_only=True, rename="camel"):
    """One case: what was done, its rows, and its goals with what came of them."""

    case: str
    title: str
    setting: dict[str, Any] = {}
    rows: list[Row] = []
    goals: list[Goal] = []
    notes: list[str] = []
    failed: str | None = None  # why there are no figures


def _figures(rows: Sequence[Row], contender: str, figure: str) -> list[float]:
    for row in rows:
        if row.contender == contender:
            return row.figures.get(figure, [])
    return []
