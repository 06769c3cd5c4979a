"""What the books may hold of ours while it is not known which of two states stands in them."""

from typing import Any

import msgspec

_EMPTY = (None, "")


def maybe_written(before: bytes | None, sent: bytes) -> bytes:
    """The content of `sent`, and every value of `before` that is empty in it.

    Contents are JSON objects. An attempt whose answer never came may have been written or not; the
    state that comes after it has to clear what either of them put into the books (interface
    section 2), so it must find both in what was applied.
    """
    if before is None or before == sent:
        return sent
    old, new = _members(before), _members(sent)
    if old is None or new is None:
        return sent
    return msgspec.json.encode(_both(old, new))


def _members(content: bytes) -> dict[str, Any] | None:
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _both(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    both = dict(new)
    for name, value in old.items():
        there = new.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            both[name] = _both(value, there)
        elif there in _EMPTY:
            both[name] = value
    return both
