"""Reading one setting's text: each reader returns the value, or None where it is not allowed.

What is allowed is said beside the setting, in one place, so that a refusal can tell it.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

Reader = Callable[[str], Any]

_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PORT_MAX: Final = 65535
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_TOPIC_WORD: Final = re.compile(r"[A-Za-z0-9._-]*")
# Kafka allows 249 characters; the longest of our names has 24.
TOPIC_WORD_LENGTH_MAX: Final = 200
# How near an unknown name must be to a known one to be suggested (difflib's ratio).
NEAR_ENOUGH: Final = 0.6
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LEDGER_SCHEMES: Final = frozenset({"postgresql", "postgresql+psycopg"})


class Address(msgspec.Struct, frozen=True):
    """A host and a port; an IPv6 host stands without brackets. Port 0: any that is free."""

    host: str
    port: int


class SmtpServer(msgspec.Struct, frozen=True, kw_only=True):
    """Where notices are handed over. Without a user there is no login."""

    host: str
    port: int
    user: str | None = None


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant, or None."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=NEAR_ENOUGH)
    return found[0] if found else None


def duration(text: str) -> float | None:
    """Seconds, from `500ms` `30s` `15m` `24h` `7d`."""
    match = _DURATION.fullmatch(text)
    return None if match is None else int(match[1]) * _UNIT_S[match[2]]


def duration_from(least_s: float) -> Reader:
    """A reader of durations of at least so many seconds."""

    def read(text: str) -> float | None:
        seconds = duration(text)
        return None if seconds is None or seconds < least_s else seconds

    return read


def number_between(least: int, most: int, *also: int) -> Reader:
    """A reader of whole numbers within the bounds, or one of `also`."""

    def read(text: str) -> int | None:
        if re.fullmatch(r"-?[0-9]{1,9}", text) is None:
            return None
        number = int(text)
        return number if least <= number <= most or number in also else None

    return read


def one_of(*words: str) -> Reader:
    """A reader of one of these words, in any letter case; the word as written here comes out."""

    def read(text: str) -> str | None:
        return next((word for word in words if word.lower() == text.lower()), None)

    return read


def some_text(text: str) -> str | None:
    """Any text without control characters."""
    return text if text and text.isprintable() else None


def header_name(text: str) -> str | None:
    """The name of an HTTP header."""
    return text if re.fullmatch(r"[A-Za-z0-9-]{1,64}", text) is not None else None


def topic_word(text: str) -> str | None:
    """What may stand in a topic's name; may be empty."""
    if len(text) > TOPIC_WORD_LENGTH_MAX or _TOPIC_WORD.fullmatch(text) is None:
        return None
    return text


def group(text: str) -> str | None:
    """A consumer group: it also stands in the source of outcomes, hence the same characters."""
    return topic_word(text) or None


def address(text: str) -> Address | None:
    """`host:port`."""
    host, colon, port = text.rpartition(":")
    if not colon or _HOST.fullmatch(host) is None or re.fullmatch(r"[0-9]{1,5}", port) is None:
        return None
    if int(port) > _PORT_MAX:
        return None
    return Address(host.strip("[]"), int(port))


def servers(text: str) -> tuple[str, ...] | None:
    """One or more `host:port` with commas, as they were written."""
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    good = parts and all((found := address(part)) and found.port for part in parts)
    return parts if good else None


def smtp(text: str) -> SmtpServer | None:
    """`smtp://user@host:port`. A password in it is refused: it has a file of its own."""
    scheme, _, rest = text.partition("://")
    user, at, place = rest.rstrip("/").rpartition("@")
    found = address(place)
    if scheme != "smtp" or found is None or not found.port or ":" in user or (at and not user):
        return None
    return SmtpServer(host=found.host, port=found.port, user=unquote(user) or None)


def token_url(text: str) -> str | None:
    """Where tokens are asked for: https, or plain http on this machine; no user, no fragment."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    plain = text.isascii() and text.isprintable() and " " not in text
    good = safe and plain and parts.hostname and "@" not in parts.netloc and not parts.fragment
    return text if good else None


def ledger(text: str) -> str | None:
    """`sqlite:///path` or `postgresql://…/database`. A database in memory would lose everything."""
    if text.startswith("sqlite:///"):
        path = text.removeprefix("sqlite:///")
        return text if path and path.isprintable() and not path.startswith(":") else None
    try:
        parts = urlsplit(text)
        has_place = bool(parts.hostname) or "host=" in parts.query
        _ = parts.port
    except ValueError:
        return None
    good = parts.scheme in _LEDGER_SCHEMES and has_place and len(parts.path) > 1
    return text if good else None


def passwords_in(url: str) -> tuple[str, ...]:
    """Every password of a ledger's URL, as it stands there and as it is sent."""
    parts = urlsplit(url)
    given = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    return tuple(text for one in given if one for text in (one, unquote(one)))


def without_password(text: str) -> str:
    """A URL with its password masked, wherever in it a password may stand; other text as it is."""
    # Up to the last @: users and passwords may hold one. Masking too much does no harm.
    masked = re.sub(r"(://[^/:\s]*):\S*@", r"\1:***@", text)
    return re.sub(r"(?i)(password=)[^&\s]*", r"\1***", masked)
