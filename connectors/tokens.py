"""Access tokens of SpareBank 1: asking, reading the answer, keeping, renewing. Pure.

OAuth 2 client credentials with `private_key_jwt` (contract sparebank1-regnskap 1.2, 12.9, 12.10).
Who waits for whom is `connectors/credentials.py`'s business.
"""

import re
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

import jwt
import msgspec

from connectors.backoff import retry_after_seconds
from connectors.integrations import PlatformClient
from connectors.known_secrets import remember
from connectors.port import Answer, Hold, NoAnswer, NoAnswerKind, Retry
from connectors.redaction import excerpt
from schemas.failures import Failure, FailureCode

ASSERTION_LIFE_S: Final = 60
"""Contract sparebank1-regnskap 1.2: one minute, as most clients do."""

LIFE_WHEN_UNSAID_S: Final = 300.0
"""Where `expires_in` is missing: short of any life seen, long enough not to ask all the time."""

RENEW_BEFORE_S: Final = 60.0
"""A token is renewed this long before its end, or at 90 % of a life shorter than ten minutes."""

UNUSABLE_BEFORE_S: Final = 5.0
"""A token this close to its end is not sent any more: it may end on the way."""

FRESH_S: Final = 60.0
"""A token younger than this that was refused before it was ever accepted is not renewed for
that: the refusal is about access, and renewing would go round in a circle."""

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]+")
_TRANSIENT_ERRORS: Final = ("temporarily_unavailable", "slow_down", "server_error")
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TRANSIENT_STATUSES: Final = (408, 425, 429)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token. Times are `Clock.elapsed`, counted from before it was asked for.

    `proven`: some request with it got another answer than 401. `refused`: integrations that got
    a 401 with it although it had just been renewed for them.
    """

    value: str
    issued_at: float
    renew_at: float
    ends_at: float
    proven: bool = False
    refused: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Token(issued_at={self.issued_at}, ends_at={self.ends_at})"


class _TokenAnswer(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: float = LIFE_WHEN_UNSAID_S


class _TokenRefusal(msgspec.Struct, frozen=True):
    error: str


def token_url(identity_url: str) -> str:
    """The token endpoint, which is also the assertion's audience (contract 12.10)."""
    return f"{identity_url}/connect/token"


def signed_assertion(
    client: PlatformClient, url: str, key_pem: str, *, now: datetime, jti: str
) -> str | None:
    """The JWT that proves who we are; None where the key is no RSA key in PEM."""
    issued = int(now.timestamp())
    claims = {
        "jti": jti,
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": url,
        "iat": issued,
        "nbf": issued,
        "exp": issued + ASSERTION_LIFE_S,
    }
    try:
        return jwt.encode(claims, key_pem, algorithm="RS256")
    except (jwt.PyJWTError, ValueError, TypeError):
        return None


def token_form(client: PlatformClient, assertion: str) -> bytes:
    """The form that asks for a token."""
    return urlencode(
        (
            ("grant_type", "client_credentials"),
            ("scope", client.scope),
            ("client_id", client.client_id),
            ("client_assertion_type", _ASSERTION_TYPE),
            ("client_assertion", assertion),
        )
    ).encode()


def read_token(answer: Answer | NoAnswer, *, asked_at: float, now: datetime) -> Token | NoAnswer:
    """The token in an identity server's answer, or what its refusal means.

    `asked_at` is `Clock.elapsed` from before the question. A refusal of the client, its scope or
    its key holds the integration; what may pass by itself is tried again.
    """
    if isinstance(answer, NoAnswer):
        return _retry(FailureCode.CONNECTION_FAILED, {"reason": f"identity server: {answer.kind}"})
    if not answer.ok:
        return _refusal(answer, now)
    try:
        found = msgspec.json.decode(answer.body, type=_TokenAnswer, strict=False)
    except _UNREADABLE:
        return _not_understood(answer)
    if not _HEADER_SAFE.fullmatch(found.access_token):
        return _not_understood(answer)
    remember(found.access_token)
    life = max(found.expires_in, 1.0)
    return Token(
        value=found.access_token,
        issued_at=asked_at,
        renew_at=asked_at + life - min(RENEW_BEFORE_S, life / 10),
        ends_at=asked_at + life - min(UNUSABLE_BEFORE_S, life / 20),
    )


def usable(token: Token, now: float) -> bool:
    """Whether the token may still be sent."""
    return now < token.ends_at


def renewal_due(token: Token, now: float) -> bool:
    """Whether a new token should be asked for."""
    return now >= token.renew_at


def worth_renewing(token: Token, integration_id: str, now: float) -> bool:
    """Whether a 401 with this token may mean that the token is bad.

    Not where it is fresh and was never accepted, nor where it was renewed for this integration
    and refused at once: those are about access (contract sparebank1-regnskap 1.5, 12.9).
    """
    if now - token.issued_at >= FRESH_S:
        return True
    return token.proven and integration_id not in token.refused


def refused_by_credentials(reason: str) -> NoAnswer:
    """No token can be had until somebody mends it: the whole integration is held."""
    failure = Failure(
        code=FailureCode.CREDENTIALS_REFUSED, parameters={"answer": reason}, answer=reason
    )
    return _no_token(Hold(failure=failure), reason)


def _refusal(answer: Answer, now: datetime) -> NoAnswer:
    status = answer.status
    wait = retry_after_seconds(answer, now)
    if status in _TRANSIENT_STATUSES or _error_of(answer) in _TRANSIENT_ERRORS:
        return _retry(FailureCode.TOO_MANY_REQUESTS, {}, wait)
    if status >= 500:  # noqa: PLR2004 - the definition of a server's fault
        return _retry(FailureCode.SYSTEM_UNAVAILABLE, {"status": str(status)}, wait)
    return refused_by_credentials(f"{status} {excerpt(answer.body)}".rstrip())


def _error_of(answer: Answer) -> str:
    try:
        return msgspec.json.decode(answer.body, type=_TokenRefusal).error
    except _UNREADABLE:
        return ""


def _not_understood(answer: Answer) -> NoAnswer:
    status = str(answer.status)
    parameters = {"status": status, "answer": excerpt(answer.body)}
    return _retry(FailureCode.ANSWER_NOT_UNDERSTOOD, parameters)


def _retry(code: FailureCode, parameters: dict[str, str], wait: float | None = None) -> NoAnswer:
    verdict = Retry(failure=Failure(code=code, parameters=parameters), retry_after=wait)
    return _no_token(verdict, code.value)


def _no_token(verdict: Hold | Retry, reason: str) -> NoAnswer:
    return NoAnswer(kind=NoAnswerKind.TOKEN, sent=False, reason=reason, verdict=verdict)
