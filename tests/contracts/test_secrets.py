"""No token, key or assertion in anything that people or machines may read afterwards."""

import logging
from typing import Any

import msgspec
import pytest

from connectors.attempts import Attempt
from connectors.simulation_faults import FaultKind, FaultRule
from tests.contracts.carrier import Carrier
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, World


def _told(*values: object) -> str:
    json = [msgspec.json.encode(value, enc_hook=repr).decode() for value in values]
    return "\n".join([*json, *map(repr, values)])


def test_nothing_that_is_told_holds_a_secret(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """The accounting system says back to us, wherever it can, every secret that we sent it."""
    caplog.set_level(logging.DEBUG)

    async def story(world: World) -> None:
        carrier = Carrier(world)
        attempts: list[Attempt[Any]] = [await carrier.deliver(world.customer())]
        said = " ".join(world.sent_secrets())
        for status in (400, 401, 403, 404, 409, 429, 500, 503, 200):
            body = msgspec.json.encode({"Message": f"Bearer {said}"}).decode()
            for text in (body, said, f"<html>{said}</html>"):
                rule = FaultRule(fault=FaultKind.ANSWER, path="/api/*", status=status, body=text)
                world.set_faults(rule)
                world.cache.forget(world.here.id, "")
                attempts += [
                    await carrier.deliver(world.customer(name="Annar")),
                    await carrier.deliver(world.invoice(), look_up_first=True),
                ]
                attempts.append(await world.runner().identify(world.here))
        told = _told(*attempts)
        shell = (world.http, world.credentials, world.cache, world.runner(), world.here)
        everything = told + caplog.text + "\n".join(map(repr, shell))
        own = [secret for secret in world.secrets if secret not in _named_in_settings(world)]
        assert own
        for secret in own:
            assert secret not in everything, secret
        for secret in world.secrets:
            assert secret not in told + caplog.text, secret

    place.run(story, lawful=False, cold=True)


def _named_in_settings(world: World) -> tuple[str, ...]:
    """A company key is told by whoever shows the integration itself; nothing else is."""
    return (world.here.company_key, world.there.company_key)


def test_a_token_server_that_says_the_assertion_back_is_not_quoted(
    sparebank1: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(world: Sparebank1World) -> None:
        assertion = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJjbGllbnQifQ.c2lnbmF0dXJl"
        body = f'{{"error":"invalid_client","client_assertion":"{assertion}"}}'
        rule = FaultRule(fault=FaultKind.ANSWER, path="/connect/token", status=400, body=body)
        world.set_faults(rule)
        attempt = await Carrier(world).deliver(world.customer())
        told = _told(attempt) + caplog.text
        assert "invalid_client" in told
        assert "eyJ" not in told

    sparebank1.run(story, cold=True)
