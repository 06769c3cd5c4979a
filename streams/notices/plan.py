"""When a cause is told, told again, or told as solved. Pure."""

import math
from enum import StrEnum

import msgspec

from schemas.outcomes import OutcomeKind
from streams.notices.causes import Cause, Say

# More of a cause that is known is no hurry: mails of it come ever further apart.
AGAIN_WINDOWS = 30  # 15 min with the default window
AGAIN_MOST_S = 4 * 3600.0  # but within half a working day what is new is told
REMINDER_S = 24 * 3600.0
REMINDER_MOST_S = (
    8 * REMINDER_S
)  # a cause that nobody minds is told once in so long, not for ever daily
MOST_DOUBLINGS = 10  # beyond these every longest pause is reached
CLOCKS_DIFFER_S = 60.0  # between hosts; what lies further ahead comes from a clock that was wrong


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a cause is now. `over`: nobody is in its trouble; `mended`: and that is good news.

    `oldest_at`: when the oldest came that is in its trouble, in seconds since 1970.
    """

    over: bool
    mended: bool = False
    oldest_at: float | None = None

    def lasts(self, now: float, lasting_s: float) -> bool:
        """Whether it has lasted for so long that the topics will soon have its events no more."""
        return self.oldest_at is not None and now - self.oldest_at >= lasting_s


class Rest(StrEnum):
    """What is done where nobody is told anything."""

    NOTHING = "nothing"
    CLOSE = "close"


def decide(
    cause: Cause,
    standing: Standing,
    *,
    now: float,
    window_s: float,
    lasting_s: float = math.inf,
) -> Say | Rest:
    """What is to be done about a cause now, in seconds since 1970.

    What ends before its window does is not told at all, but for what is to be done by hand. What
    has been open for `lasting_s` is told of daily.
    """
    if standing.over:
        return Say.SOLVED if cause.told and standing.mended else Rest.CLOSE
    if cause.fresh_since is not None:
        if _since(cause.fresh_since, now) < window_s or _pausing(cause, now, window_s):
            return Rest.NOTHING
        return Say.AGAIN if cause.told else Say.FIRST
    reminded = cause.told_at is not None and cause.kind is not OutcomeKind.MANUAL
    pause = REMINDER_S if standing.lasts(now, lasting_s) else _reminder_pause(cause)
    if reminded and _since(cause.told_at or 0.0, now) >= pause:
        return Say.REMINDER
    return Rest.NOTHING


def _pausing(cause: Cause, now: float, window_s: float) -> bool:
    if cause.told_at is None:
        return False
    doubled = AGAIN_WINDOWS * window_s * float(2 ** min(max(cause.mails - 1, 0), MOST_DOUBLINGS))
    return _since(cause.told_at, now) < min(AGAIN_MOST_S, doubled)


def _reminder_pause(cause: Cause) -> float:
    return min(REMINDER_MOST_S, REMINDER_S * float(2 ** min(cause.reminders, MOST_DOUBLINGS)))


def _since(then: float, now: float) -> float:
    return now - then if then <= now + CLOCKS_DIFFER_S else float("inf")
