"""What many histories came to, added up: what happened in them, and what did not hold."""

from collections.abc import Iterator

import msgspec

from streams.core.states import TRANSITIONS
from streams.simulation.history import History
from streams.simulation.run import Report

Transition = tuple[str, str]


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A history in which something did not hold."""

    seed: int
    rule: str
    detail: str
    history: History


class Tally(msgspec.Struct, kw_only=True):
    """The sum of some histories. `seen`: in how many of them a thing happened, and how often."""

    histories: int = 0
    steps: int = 0
    cpu_s: float = 0.0
    sizes: dict[str, int] = {}
    seen: dict[str, tuple[int, int]] = {}
    moves: set[Transition] = set()
    found: list[Found] = []

    def count(self, history: History, size: str, report: Report) -> None:
        """Add one history."""
        self.histories += 1
        self.steps += report.steps
        self.sizes[size] = self.sizes.get(size, 0) + 1
        self.moves |= {(old.value, new.value) for old, new in report.moves}
        for name, many in report.seen.items():
            histories, times = self.seen.get(name, (0, 0))
            self.seen[name] = (histories + 1, times + many)
        self.found += [
            Found(seed=history.seed, rule=one.rule, detail=one.detail, history=history)
            for one in report.violations[:1]
        ]

    def add(self, other: "Tally") -> None:
        """Add what others came to."""
        self.histories += other.histories
        self.steps += other.steps
        self.cpu_s += other.cpu_s
        self.moves |= other.moves
        self.found += other.found
        for size, many in other.sizes.items():
            self.sizes[size] = self.sizes.get(size, 0) + many
        for name, (histories, times) in other.seen.items():
            had = self.seen.get(name, (0, 0))
            self.seen[name] = (had[0] + histories, had[1] + times)

    @property
    def never(self) -> list[Transition]:
        """The transitions of the core's table that no delivery took."""
        return [one for one in _table() if one not in self.moves]

    @property
    def rate(self) -> float:
        """Histories a second of one core."""
        return self.histories / self.cpu_s if self.cpu_s else 0.0


def _table() -> Iterator[Transition]:
    for old, nexts in TRANSITIONS.items():
        for new in sorted(nexts):
            yield old.value, new.value
