"""What keeps a page to itself: headers, and proof that a form is one of ours."""

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from streams.clock import new_id

FORM_COOKIE: Final = "moment-sync-form"
FORM_FIELD: Final = "form"

# Nothing comes from elsewhere, nothing is inline, nobody frames it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def is_https(request: web.Request) -> bool:
    """Whether the reader's browser spoke TLS, with us or with a proxy before us."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "") == "https"


def secure(request: web.Request, response: web.StreamResponse) -> None:
    """Set the headers of every answer. Pages hold customers' data: no cache keeps them."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    if is_https(request):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"


def form_token(request: web.Request) -> str:
    """The token that this browser's forms carry, new where it has none."""
    found = request.cookies.get(FORM_COOKIE, "")
    return found if _is_token(found) else new_id() + new_id()


def keep_form_token(request: web.Request, response: web.StreamResponse, token: str) -> None:
    """Have the browser keep it, for us alone."""
    response.set_cookie(
        FORM_COOKIE,
        token,
        httponly=True,
        samesite="Strict",
        secure=is_https(request),
        path="/console",
    )


def is_ours(request: web.Request, sent: str) -> bool:
    """Whether a form was sent from one of our pages by the browser that got it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    if site is None and origin is not None and urlsplit(origin).netloc != request.host:
        return False
    kept = request.cookies.get(FORM_COOKIE, "")
    return _is_token(kept) and hmac.compare_digest(kept.encode(), sent.encode())


def _is_token(text: str) -> bool:
    return len(text) == 64 and text.isalnum() and text.isascii()  # noqa: PLR2004 - two ids
