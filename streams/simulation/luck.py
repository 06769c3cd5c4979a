"""Chance that belongs to a name: small, quick to begin, and the same again."""

from collections.abc import MutableSequence, Sequence
from hashlib import blake2b
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # splitmix64: what it adds, and what it mixes with
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_FRACTION = 2.0**-53  # of the upper 53 bits


class Luck:
    """Draws from a name. A history makes dozens, so beginning one must cost next to nothing."""

    __slots__ = ("_state",)

    def __init__(self, name: str) -> None:
        self._state = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")

    def random(self) -> float:
        """From 0 up to, but not, 1."""
        self._state = state = (self._state + _GOLDEN) & _MASK
        state = ((state ^ (state >> 30)) * _MIX_1) & _MASK
        state = ((state ^ (state >> 27)) * _MIX_2) & _MASK
        return ((state ^ (state >> 31)) >> 11) * _FRACTION

    def uniform(self, least: float, most: float) -> float:
        """Between these."""
        return least + (most - least) * self.random()

    def randint(self, least: int, most: int) -> int:
        """One of these and all between them."""
        return least + int(self.random() * (most - least + 1))

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return self.random() < share

    def choice(self, of: Sequence[T]) -> T:
        """One of these."""
        return of[int(self.random() * len(of))]

    def shuffle(self, of: MutableSequence[T]) -> None:
        """Put these into another order."""
        for place in range(len(of) - 1, 0, -1):
            other = int(self.random() * (place + 1))
            of[place], of[other] = of[other], of[place]
