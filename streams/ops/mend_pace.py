"""How fast what is mended is sent: by the clock, and never more than the books take. Pure."""

from collections.abc import Mapping
from typing import Final

from schemas.commands import MAX_DELIVERIES

READY_MOST: Final = 32
"""Replayed deliveries of one integration that wait to be sent. A live event that comes meanwhile
waits behind these at most: they are older, and the older goes first."""

COMMANDS_A_SECOND: Final = 4  # of one lane under a rate: each is then at most a quarter second's
BEHIND_MOST_S: Final = 30.0  # what was missed for longer is not caught up: nobody worked then


class Pace:
    """When so many deliveries may be sent, at `rate` a second; None: as fast as they are taken.

    Times are seconds of one steady clock.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._due = now

    def wait(self, now: float) -> float:
        """Seconds until something may be sent; 0 or less: now."""
        return 0.0 if self._rate is None else self._due - now

    def sent(self, many: int, now: float) -> None:
        """So many were sent now."""
        if self._rate is not None:
            self._due = max(self._due, now - BEHIND_MOST_S) + many / self._rate


def most_a_command(rate: float | None, *, into_books: bool) -> int:
    """How many deliveries of one lane go into one command."""
    most = READY_MOST if into_books else MAX_DELIVERIES
    return most if rate is None else max(1, min(most, int(rate / COMMANDS_A_SECOND)))


def fits(wanted: Mapping[str, int], ready: Mapping[str, int], on_way: Mapping[str, int]) -> bool:
    """Whether the books have room for so many more deliveries, by integration.

    `ready`: replayed and not sent yet; `on_way`: asked for, and not replayed yet.
    """
    return all(
        many + ready.get(name, 0) + on_way.get(name, 0) <= READY_MOST
        for name, many in wanted.items()
    )
