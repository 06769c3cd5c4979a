"""The identity server: client_credentials with private_key_jwt (contract sparebank1-regnskap 1.2).

`aud` must be exactly the token endpoint, `iss` and `sub` the client id, `jti` never seen before.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import jwt
import msgspec
from jwt.types import Options

from connectors.simulation_faults import Reply
from connectors.sparebank1.simulator.answers import json_reply
from connectors.sparebank1.simulator.settings import ClientConfig

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFE_MAX = timedelta(seconds=300)  # the longest that any client is known to use
SKEW = timedelta(seconds=30)  # clocks of client and server may differ by this much
_CLAIMS = ("iss", "sub", "aud", "jti", "exp", "iat")
# Times are judged by our own clock, the audience to the letter: both below.
_OPTIONS: Options = {
    "require": list(_CLAIMS),
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
}
# Only that tokens look like the platform's; they are judged by the list of those given out.
_SIGNING_KEY = "not a secret: the simulator's tokens open nothing but the simulator"


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was given out."""

    client_id: str
    until: datetime


class Identity:
    """Clients, the assertions they have used, and the tokens they hold. In memory only."""

    def __init__(self, clients: tuple[ClientConfig, ...], token_seconds: int) -> None:
        self.clients = {client.client_id: client for client in clients}
        self.token_seconds = token_seconds
        self.tokens: dict[str, Granted] = {}
        self.used: set[tuple[str, str]] = set()  # (client id, jti)
        self.refused: list[str] = []  # why, for whoever runs the simulator; never sent
        self._made = 0

    def token(self, body: bytes, endpoint: str, now: datetime) -> Reply:
        """Answer POST /connect/token."""
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        if form.get("grant_type") != "client_credentials":
            return json_reply({"error": "unsupported_grant_type"}, 400)
        client = self.clients.get(form.get("client_id", ""))
        why = "unknown client" if client is None else self._judge(client, form, endpoint, now)
        if client is None or why is not None:
            self.refused.append(str(why))
            return json_reply({"error": "invalid_client"}, 400)
        scope = form.get("scope", "")
        if not scope or not set(scope.split()) <= set(client.scopes):
            return json_reply({"error": "invalid_scope"}, 400)
        token = self._grant(client, endpoint, now)
        answer = {"access_token": token, "expires_in": self.token_seconds}
        return json_reply(answer | {"token_type": "Bearer", "scope": scope})

    def _judge(
        self, client: ClientConfig, form: Mapping[str, str], endpoint: str, now: datetime
    ) -> str | None:
        """Why the assertion is refused; None where it holds. A `jti` is used up by holding."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            return "client_assertion_type"
        try:
            claims = jwt.decode(
                form.get("client_assertion", ""),
                client.public_key,
                algorithms=["RS256"],
                options=_OPTIONS,
            )
        except jwt.PyJWTError as error:
            return f"{type(error).__name__}"
        if claims["aud"] != endpoint:
            return f"aud is {claims['aud']!r}, not {endpoint!r}"
        if not claims["iss"] == claims["sub"] == client.client_id:
            return "iss and sub must both be the client id"
        why = _judge_times(claims, now)
        if why is None and (client.client_id, str(claims["jti"])) in self.used:
            why = "jti was used before"
        if why is None:
            self.used.add((client.client_id, str(claims["jti"])))
        return why

    def _grant(self, client: ClientConfig, endpoint: str, now: datetime) -> str:
        self._made += 1
        issuer = endpoint.removesuffix("/connect/token")
        until = now + timedelta(seconds=self.token_seconds)
        claims: dict[str, Any] = {
            "iss": issuer,
            "aud": ["AppFramework"],
            "client_id": client.client_id,
        }
        claims |= {"exp": int(until.timestamp()), "jti": str(self._made)}
        token = jwt.encode(claims, _SIGNING_KEY, algorithm="HS256")
        self.tokens[token] = Granted(client_id=client.client_id, until=until)
        return token

    def client_of(self, authorisation: str, now: datetime) -> ClientConfig | None:
        """Whose token the Authorization header holds; None where it holds none that is good."""
        scheme, _, token = authorisation.partition(" ")
        granted = self.tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if granted is None or granted.until <= now:
            return None
        return self.clients.get(granted.client_id)

    def revoke(self, client_id: str | None = None) -> int:
        """Forget all tokens, or one client's; says how many."""
        gone = [t for t, g in self.tokens.items() if client_id in (None, g.client_id)]
        for token in gone:
            del self.tokens[token]
        return len(gone)


def _judge_times(claims: Mapping[str, Any], now: datetime) -> str | None:
    at = now.timestamp()
    times = {name: claims.get(name, at) for name in ("iat", "nbf", "exp")}
    if not all(isinstance(value, int | float) for value in times.values()):
        return "times must be numbers"
    if times["exp"] + SKEW.total_seconds() <= at:
        return "exp has passed"
    if max(times["nbf"], times["iat"]) > at + SKEW.total_seconds():
        return "nbf or iat is yet to come"
    if times["exp"] - at > (ASSERTION_LIFE_MAX + SKEW).total_seconds():
        return "exp is too far away"
    return None
