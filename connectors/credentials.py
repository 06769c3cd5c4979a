"""Who may call: one bearer token per accounting system, had once for all who wait."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from connectors.http import HttpSender
from connectors.integrations import Integration, PlatformClient
from connectors.port import Clock, NoAnswer
from connectors.secrets import SecretStore, Unreadable
from connectors.tokens import (
    Token,
    read_token,
    refused_by_credentials,
    renewal_due,
    signed_assertion,
    token_form,
    token_url,
    usable,
    worth_renewing,
)

TOKEN_DEADLINE_S: Final = 20.0
"""An identity server answers within a second; all deliveries of a bank wait for it."""

RENEWAL_PAUSE_S: Final = 5.0
"""Between two tries to renew a token that can still be used."""

_FORM: Final = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "application/json",
}


class Credentials(Protocol):
    """What the runner needs to put into `Authorization`."""

    async def bearer(self, integration: Integration, refused: str | None = None) -> str | NoAnswer:
        """A token for this integration, or `NoAnswer` of kind `TOKEN` with its verdict.

        `refused` is a token that was just answered with 401: a newer one is had if that may help,
        else the same one comes back.
        """

    def heard(self, integration: Integration, token: str, *, accepted: bool) -> None:
        """Say how a request with this token was answered.

        `accepted`: with anything but 401. Not accepted: with 401 although the token had just been
        renewed for this integration; the first 401 is told by `bearer(refused=…)`.
        """


class _Key(msgspec.Struct, frozen=True):
    """What a token of SpareBank 1 is shared by."""

    identity_url: str
    client: PlatformClient


class TokenCredentials:
    """Static tokens of DK+ and OAuth tokens of SpareBank 1, kept in memory only.

    However many ask, one request at a time is made per identity server, client and scope; it is
    not cancelled with those who wait for it. A token is renewed before its end while the old one
    still serves.
    """

    def __init__(
        self, http: HttpSender, secrets: SecretStore, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._http = http
        self._secrets = secrets
        self._clock = clock
        self._new_id = new_id
        self._tokens: dict[_Key, Token] = {}
        self._flights: dict[_Key, asyncio.Task[Token | NoAnswer]] = {}
        self._begun: dict[_Key, float] = {}

    async def bearer(self, integration: Integration, refused: str | None = None) -> str | NoAnswer:
        """See `Credentials.bearer`."""
        if integration.client is None:
            return self._static(integration, refused)
        key = _key(integration)
        if key is None:
            return refused_by_credentials("no platform client is set up")
        token = self._tokens.get(key)
        now = self._clock.elapsed()
        if (
            token is not None
            and usable(token, now)
            and not self._spent(token, integration, refused)
        ):
            if renewal_due(token, now) and now - self._begun.get(key, 0.0) >= RENEWAL_PAUSE_S:
                self._flight(key)
            return token.value
        # Shielded: who gives up waiting does not take the token from the others.
        had = await asyncio.shield(self._flight(key))
        return had if isinstance(had, NoAnswer) else had.value

    def heard(self, integration: Integration, token: str, *, accepted: bool) -> None:
        """See `Credentials.heard`."""
        key = _key(integration)
        known = self._tokens.get(key) if key is not None else None
        if key is None or known is None or known.value != token:
            return
        if accepted and known.proven and integration.id not in known.refused:
            return
        if accepted:
            refused, proven = known.refused - {integration.id}, True
        else:
            refused, proven = known.refused | {integration.id}, known.proven
        self._tokens[key] = msgspec.structs.replace(known, refused=refused, proven=proven)

    async def close(self) -> None:
        """End requests for tokens that are under way."""
        flights = tuple(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _static(self, integration: Integration, refused: str | None) -> str | NoAnswer:
        if integration.token is None:
            return refused_by_credentials("no token is set up")
        found = self._secrets.read(integration.token, anew=refused is not None)
        if isinstance(found, Unreadable):
            return refused_by_credentials(f"token: {found.reason}")
        if not (found.isascii() and found.isprintable()) or " " in found:
            return refused_by_credentials("token: it holds characters that no token has")
        return found

    def _spent(self, token: Token, integration: Integration, refused: str | None) -> bool:
        """Whether this very token was refused and another may do better."""
        return token.value == refused and worth_renewing(
            token, integration.id, self._clock.elapsed()
        )

    def _flight(self, key: _Key) -> asyncio.Task[Token | NoAnswer]:
        flight = self._flights.get(key)
        if flight is None:
            self._begun[key] = self._clock.elapsed()
            flight = asyncio.create_task(self._ask(key), name="token")
            self._flights[key] = flight
            flight.add_done_callback(lambda _done: self._flights.pop(key, None))
        return flight

    async def _ask(self, key: _Key) -> Token | NoAnswer:
        url = token_url(key.identity_url)
        asked_at, now = self._clock.elapsed(), self._clock.now()
        pem = self._secrets.read(key.client.key)
        if isinstance(pem, Unreadable):
            return refused_by_credentials(f"private key: {pem.reason}")
        assertion = signed_assertion(key.client, url, pem, now=now, jti=self._new_id())
        if assertion is None:
            return refused_by_credentials("private key: it is not an RSA key in PEM")
        answer = await self._http.send(
            url,
            method="POST",
            headers=_FORM,
            body=token_form(key.client, assertion),
            deadline_s=TOKEN_DEADLINE_S,
            may_send=lambda: True,
        )
        token = read_token(answer, asked_at=asked_at, now=now)
        if isinstance(token, Token):
            self._tokens[key] = token
        return token

    def __repr__(self) -> str:
        return "TokenCredentials(…)"


def _key(integration: Integration) -> _Key | None:
    if integration.client is None:
        return None
    return _Key(integration.identity_url, integration.client)
