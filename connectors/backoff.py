"""How long to wait before a transient failure is tried again. Pure."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from connectors.port import Answer

RETRY_AFTER_MAX_S: Final = 86_400.0
"""Longest Retry-After that is obeyed, a day: what asks for more is a mistaken date."""

_DOUBLINGS_MAX: Final = 62
"""Beyond this a pause has long reached any maximum; a float must not overflow on the way."""


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Settings `RETRY_BASE`, `RETRY_MAX` and `RETRY_FOR` (interface section 6), in seconds."""

    base_s: float = 1.0
    max_s: float = 300.0
    for_s: float = 72 * 3600.0


def pause(attempt: int, policy: RetryPolicy, random: float) -> float:
    """Seconds to wait after the `attempt`-th failure in a row (the first is 1).

    Doubles from `base_s` up to `max_s`; half of it is certain and half is jitter, so that those
    who failed together do not come back together. `random` is in [0, 1).
    """
    doublings = min(max(attempt - 1, 0), _DOUBLINGS_MAX)
    longest = min(policy.max_s, policy.base_s * 2.0**doublings)
    return longest / 2 + random * longest / 2


def exhausted(policy: RetryPolicy, spent_s: float) -> bool:
    """Whether a delivery has been tried for so long that it is dead.

    `spent_s` counts only the time in which attempts were made: no holds, no open breakers.
    """
    return spent_s >= policy.for_s


def retry_after_seconds(answer: Answer, now: datetime | None) -> float | None:
    """What the answer's Retry-After asks for, in seconds; None where it asks for nothing.

    Takes seconds and HTTP dates (contract sparebank1-regnskap 12.9, dkplus A11.11), never less
    than 0 nor more than `RETRY_AFTER_MAX_S`. A date counts from the answer's own `Date`, which
    is of the same clock, else from `now`. What cannot be read counts as not said.
    """
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    seconds = _seconds(text)
    if seconds is None:
        until, since = _http_date(text), _http_date(answer.headers.get("date", "")) or now
        seconds = (until - since).total_seconds() if until and since else None
    return None if seconds is None else min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def _seconds(text: str) -> float | None:
    whole = text.partition(".")[0]
    if not (whole.isascii() and whole.isdigit()):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _http_date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # A date with zone -0000 is naive here; HTTP dates are in UTC.
    return at if at.tzinfo else at.replace(tzinfo=UTC)
