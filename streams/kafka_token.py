"""Tokens for Kafka's OAUTHBEARER: from a file that somebody renews, or asked for by ourselves."""

import base64
from datetime import datetime
from typing import Final
from urllib.parse import quote_plus, urlencode, urlsplit

import jwt
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import KafkaError

from connectors.http import HttpSession
from connectors.integrations import Secret
from connectors.port import Clock
from connectors.secrets import SecretStore, Unreadable
from connectors.tokens import Token, read_token, renewal_due, usable

ASK_DEADLINE_S: Final = 20.0
"""An identity server answers within a second; a client's own request timeout is longer."""

_PORTS: Final = {"https": 443, "http": 80}


class TokenUnavailableError(KafkaError):  # type: ignore[misc] # aiokafka has no types
    """No token can be had now. A KafkaError, so that clients try again as with any connection."""


class FileToken(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no types
    """The token that a file holds, read anew whenever the file has changed.

    Asked at every new connection, which brokers enforce when a token ends (KIP-368): whoever
    renews the file in time needs no restart.
    """

    def __init__(self, path: str, clock: Clock) -> None:
        self._secret = Secret(file=path)
        self._secrets = SecretStore({})
        self._clock = clock

    async def token(self) -> str:
        """Return the token. Raises TokenUnavailableError; blocks for a small read at most."""
        found = _had(self._secrets.read(self._secret), "the file of KAFKA_TOKEN_FILE")
        # Here, since clients do not hear a broker's refusal of a token.
        if _ended(found, self._clock.now()):
            raise TokenUnavailableError("the token in the file of KAFKA_TOKEN_FILE has ended")
        return found

    def __repr__(self) -> str:
        return "FileToken(…)"


class ClientToken(AbstractTokenProvider):  # type: ignore[misc] # aiokafka has no types
    """A token by OAuth 2 client credentials (RFC 6749 section 4.4), renewed before its end.

    The client names itself by HTTP basic authentication, which every server must know
    (section 2.3.1). May be asked from several event loops.
    """

    def __init__(
        self, url: str, client_id: str, secret_file: str, scope: str | None, clock: Clock
    ) -> None:
        self._url = url
        self._client_id = client_id
        self._secret = Secret(file=secret_file)
        self._scope = scope
        self._clock = clock
        self._secrets = SecretStore({})
        self._token: Token | None = None

    async def token(self) -> str:
        """Return a token that may be used now. Raises TokenUnavailableError."""
        now = self._clock.elapsed()
        known = self._token
        if known is not None and usable(known, now) and not renewal_due(known, now):
            return known.value
        self._token = fresh = await self._asked()
        return fresh.value

    async def _asked(self) -> Token:
        secret = _had(self._secrets.read(self._secret), "the file of KAFKA_CLIENT_SECRET_FILE")
        host = _host(self._url)
        asked_at = self._clock.elapsed()
        # A session for each question: sessions belong to a loop, and there is one an hour.
        async with HttpSession(
            frozenset({host}), frozenset({host, host.rpartition(":")[0]})
        ) as http:
            answer = await http.send(
                self._url,
                method="POST",
                headers={
                    "Accept": "application/json",
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Authorization": _basic(self._client_id, secret),
                },
                body=self._form(),
                deadline_s=ASK_DEADLINE_S,
                may_send=lambda: True,
            )
        found = read_token(answer, asked_at=asked_at, now=self._clock.now())
        if isinstance(found, Token):
            return found
        # Its words may quote what was sent; the kind of failure is enough to look for it.
        raise TokenUnavailableError(
            f"no token from {host}: {getattr(answer, 'status', found.kind)}"
        )

    def _form(self) -> bytes:
        scope = {"scope": self._scope} if self._scope else {}
        return urlencode({"grant_type": "client_credentials", **scope}).encode()

    def __repr__(self) -> str:
        return "ClientToken(…)"


def _had(secret: str | Unreadable, what: str) -> str:
    if isinstance(secret, Unreadable):
        raise TokenUnavailableError(f"{what}: {secret.reason}")
    return secret


def _ended(token: str, now: datetime) -> bool:
    """Whether a JWT says so of itself. Of any other token nothing is known."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return False
    end = claims.get("exp")
    return isinstance(end, int | float) and end <= now.timestamp()


def _basic(client_id: str, secret: str) -> str:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
