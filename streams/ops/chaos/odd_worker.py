"""`moment-sync worker` in odd circumstances: on books known for long, with a clock that jumps.

A worker looks up every booking in books that are new to it; what it does on books that it has
known for long would otherwise be seen only after a month. Neither is a setting, on purpose.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from streams import app
from streams.clock import SystemClock
from streams.ledger import known_books
from streams.ops.cli import cli

KNOWN_BOOKS: Final = "CHAOS_KNOWN_BOOKS"  # set: no books count as new
CLOCK_FILE: Final = "CHAOS_CLOCK_FILE"  # holds the seconds that the wall clock is ahead


class JumpingClock(SystemClock):
    """The machine's clocks, the wall clock set forward or back by what a file says."""

    def now(self) -> datetime:
        """The wall clock, as somebody has set it."""
        return datetime.now(UTC) + timedelta(seconds=_ahead())


def _ahead() -> float:
    try:
        return float(Path(os.environ[CLOCK_FILE]).read_text(encoding="ascii"))
    except (KeyError, OSError, ValueError):
        return 0.0


def main() -> None:
    """Run `moment-sync` as it is, but for that."""
    app.SystemClock = JumpingClock  # type: ignore[attr-defined]  # the worker is given another clock
    if os.environ.get(KNOWN_BOOKS):
        known_books.LOOK_UP_IN_NEW_BOOKS_S = 0.0
    cli(prog_name="moment-sync")


if __name__ == "__main__":
    main()
