"""The failures that reading a record can end in, and the paths that they name."""

import re

from schemas.failures import Failure, FailureCode

# Longest reason, path or type quoted in a failure, in characters: it goes into Kafka headers.
MAX_QUOTED_CHARACTERS = 200

_MISSING = re.compile(r"Object missing required field `([^`]+)`")
_AT = re.compile(r" - at `(?:key in )?(\$[^`]*)`$")


def unreadable(reason: str) -> Failure:
    """`event-unreadable`: no event can be made out (interface section 4)."""
    return Failure(
        code=FailureCode.EVENT_UNREADABLE, parameters={"reason": reason[:MAX_QUOTED_CHARACTERS]}
    )


def invalid(path: str, reason: str) -> Failure:
    """`event-invalid`: an event whose data breaks interface section 2, at `path`."""
    path = path[:MAX_QUOTED_CHARACTERS]
    return Failure(
        code=FailureCode.EVENT_INVALID,
        parameters={"path": path, "reason": reason[:MAX_QUOTED_CHARACTERS]},
        field=path,
    )


def unknown_type(name: str) -> Failure:
    """`event-type-unknown`: an event, but none of those taken on this topic."""
    return Failure(
        code=FailureCode.EVENT_TYPE_UNKNOWN, parameters={"type": name[:MAX_QUOTED_CHARACTERS]}
    )


def invalid_by(error: Exception) -> Failure:
    """`event-invalid` from what msgspec says. A missing member is named itself, not its parent."""
    text = str(error)
    at = _AT.search(text)
    path = at[1] if at else "$"
    reason = text[: at.start()] if at else text
    missing = _MISSING.match(reason)
    return invalid(f"{path}.{missing[1]}", "missing") if missing else invalid(path, reason)
