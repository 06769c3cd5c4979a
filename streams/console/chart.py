"""Outcomes by hour, as a drawing: whole numbers in, the places of bars out. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

HOURS: Final = 24
DAY_HOURS: Final = 24
HOUR_S: Final = 3_600
WIDTH: Final = 960
HEIGHT: Final = 220
LEFT: Final = 48  # room for the numbers of the scale
BOTTOM: Final = 26  # and for the hours
TOP: Final = 10
GAP: Final = 6
LEAST_BAR: Final = 2.0  # what is there at all can be seen
TICKS: Final = (1, 2, 5)

# The kinds of outcomes that a bar is made of, from below; each is a class in the style sheet.
SERIES: Final[dict[str, tuple[str, frozenset[str]]]] = {
    "done": ("In the books", frozenset({"applied", "unchanged"})),
    "aside": ("Set aside", frozenset({"superseded", "stale", "discarded"})),
    "manual": ("By hand", frozenset({"manual"})),
    "dead": ("Dead", frozenset({"dead"})),
}
_SERIES_OF: Final = {kind: name for name, (_, kinds) in SERIES.items() for kind in kinds}


class Bar(msgspec.Struct, frozen=True):
    """One part of one hour's column."""

    series: str
    x: float
    y: float
    width: float
    height: float


class Column(msgspec.Struct, frozen=True):
    """One hour. `label` is empty where there is no room for one."""

    at: int
    x: float
    middle: float
    label: str
    counts: dict[str, int]
    total: int
    bars: tuple[Bar, ...]


class Chart(msgspec.Struct, frozen=True):
    """The drawing: its columns, and the lines of its scale with their heights."""

    columns: tuple[Column, ...]
    scale: tuple[tuple[int, float], ...]
    totals: dict[str, int]
    column_width: float
    known_since: float | None  # hours before are not known; None: all are

    @property
    def empty(self) -> bool:
        """Whether nothing happened."""
        return not any(self.totals.values())


def series_of(outcome: str) -> str | None:
    """The part of a bar that an outcome belongs to; None where it is not final."""
    return _SERIES_OF.get(outcome)


def draw(
    counts: Mapping[int, Mapping[str, int]], now: float, known_since: float | None = None
) -> Chart:
    """`counts`: by the hour's beginning (seconds since 1970) and series."""
    last = int(now) // HOUR_S * HOUR_S
    hours = [last - HOUR_S * (HOURS - 1 - n) for n in range(HOURS)]
    most = max((sum(counts.get(hour, {}).values()) for hour in hours), default=0)
    scale = _scale(most)
    top = max(scale[-1], 1)
    width = (WIDTH - LEFT) / HOURS
    columns = tuple(_column(n, hour, counts.get(hour, {}), top) for n, hour in enumerate(hours))
    return Chart(
        columns=columns,
        scale=tuple((value, _y(value, top)) for value in scale),
        totals={s: sum(column.counts.get(s, 0) for column in columns) for s in SERIES},
        column_width=width,
        known_since=known_since if known_since is not None and known_since > hours[0] else None,
    )


def _column(place: int, hour: int, counts: Mapping[str, int], top: int) -> Column:
    width = (WIDTH - LEFT) / HOURS
    x = LEFT + place * width
    bars: list[Bar] = []
    below = _y(0, top)
    for series in SERIES:
        count = counts.get(series, 0)
        if count:
            height = max(LEAST_BAR, _y(0, top) - _y(count, top))
            below -= height
            bars.append(
                Bar(series, round(x + GAP / 2, 1), round(below, 1), width - GAP, round(height, 1))
            )
    return Column(
        at=hour,
        x=round(x, 1),
        middle=round(x + width / 2, 1),
        label=datetime.fromtimestamp(hour, UTC).strftime("%H") if place % 3 == 2 else "",  # noqa: PLR2004 - every third, the last one among them
        counts={series: counts.get(series, 0) for series in SERIES},
        total=sum(counts.values()),
        bars=tuple(bars),
    )


def _y(value: float, top: int) -> float:
    return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top), 1)


def _scale(most: int) -> Sequence[int]:
    """Round numbers from 0 to at least the largest, four steps at most."""
    power = 1
    while True:
        for tick in TICKS:
            step = tick * power
            if step * 4 >= most:
                return [step * n for n in range(max(1, -(-most // step)) + 1)]
        power *= 10
