"""Clearing text of secrets before anybody reads it, and cutting it to size. Pure."""

import re
from collections.abc import Iterable
from typing import Final

TEXT_MAX: Final = 2_000
"""Characters kept of a body: enough for any error seen, small enough for a header of a letter."""

_WINDOW: Final = 4 * TEXT_MAX
"""Characters that are searched: more than is kept, since clearing makes a text shorter."""

HIDDEN: Final = "[hidden]"

_PEM: Final = re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL)
_JWT: Final = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}")
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")
_NAME: Final = (
    r"(?:access_token|refresh_token|id_token|client_assertion|client_secret|authorization"
    r"|company_?key|password|token)"
)
_MEMBER: Final = re.compile(rf'(?i)("{_NAME}"\s*:\s*")(?:[^"\\]|\\.)*')
_FIELD: Final = re.compile(rf"(?i)\b({_NAME})(=|:\s*)[^\s&\"',;]+")

# A text without any of these has nothing for the patterns: most bodies are told so in a moment.
_HINTS: Final = ("eyJ", "BEGIN", "earer", "EARER", "asic", "ASIC")
_HINTS_ANY_CASE: Final = ("token", "assertion", "secret", "authorization", "key", "password")


def cleared(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with everything that is or looks like a secret replaced by `[hidden]`.

    `secrets` are values known to be secret; empty ones are passed over. Besides these: bearer
    and basic credentials, JWTs, PEM blocks, and the values of names like `access_token`,
    `client_assertion`, `CompanyKey`, in JSON, forms and headers.
    """
    for secret in secrets:
        if secret and secret in text:
            text = text.replace(secret, HIDDEN)
    if _may_hold_secrets(text):
        text = _PEM.sub(HIDDEN, text)
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        text = _MEMBER.sub(rf"\1{HIDDEN}", text)
        text = _FIELD.sub(_hide_field, text)
        text = _JWT.sub(HIDDEN, text)
    return text


def excerpt(body: bytes | None, secrets: Iterable[str] = (), limit: int = TEXT_MAX) -> str:
    """At most `limit` characters of a body, cleared. Bytes that are not UTF-8 are replaced."""
    if not body:
        return ""
    known = tuple(secrets)
    text = cleared(body[:_WINDOW].decode("utf-8", errors="replace"), known)
    if len(body) > _WINDOW:
        # A secret that runs over the window's edge was not recognised: its beginning goes too.
        text = text[: len(text) - max((len(secret) for secret in known), default=0)]
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _may_hold_secrets(text: str) -> bool:
    if any(hint in text for hint in _HINTS):
        return True
    folded = text.lower()
    return any(hint in folded for hint in _HINTS_ANY_CASE)


def _hide_field(match: re.Match[str]) -> str:
    # `Authorization: Bearer …` has been dealt with; its scheme may stay.
    return f"{match[1]}{match[2]}{HIDDEN}"
