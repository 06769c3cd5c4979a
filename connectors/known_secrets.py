"""Every secret that this process has read or been given, so that none of them is told.

State of the process on purpose: whoever writes a line does not know whose secret may be in it.
"""

from typing import Final

KEPT_MAX: Final = 20_000
"""Far above the integrations of a worker; hourly access tokens push out the oldest."""

LENGTH_MIN: Final = 6
"""Shorter ones are words of every text: hiding them would hide the text."""

_known: dict[str, None] = {}


def remember(secret: str | None) -> None:
    """Never tell this from now on, nor any of its lines."""
    for line in (secret or "").splitlines():
        text = line.strip()
        if len(text) < LENGTH_MIN or text.startswith("-----"):
            continue  # the frame of a PEM says nothing
        _known.pop(text, None)
        _known[text] = None
        if len(_known) > KEPT_MAX:
            del _known[next(iter(_known))]


def remembered() -> tuple[str, ...]:
    """All that must not be told; the longest first, since one may hold another."""
    return tuple(sorted(_known, key=len, reverse=True))
