"""The identity server and the door of each company (contract sparebank1-regnskap 1)."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.sparebank1.simulator.settings import CompanyConfig
from connectors.sparebank1.simulator.switches import Switches
from tests.connectors.sparebank1.simulated_client import (
    CLIENT,
    KEY,
    Client,
    against,
    client,
    config,
)


def test_a_good_assertion_gets_a_token_that_opens_the_company() -> None:
    async def story(c: Client) -> None:
        answer = await c.ask_token()
        assert answer.json["token_type"] == "Bearer"
        assert answer.json["expires_in"] == 3600
        assert (await c.get("/api/biz/companysettings/1"))["CompanyName"].startswith("Fjordkraft")

    against(None, story)


_NOW = int(datetime.now(UTC).timestamp())


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://login.example/connect/token"},
        {"aud": ["a", "b"]},
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"exp": _NOW - 3600},
        {"exp": _NOW + 7200},
        {"nbf": _NOW + 3600},
        {"client_id": "somebody"},
        {"client_assertion_type": "password"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_an_assertion_that_is_not_exact_is_an_invalid_client(changed: dict[str, object]) -> None:
    async def story(c: Client) -> None:
        answer = await c.ask_token(**changed)
        assert (answer.status, answer.json) == (400, {"error": "invalid_client"})

    against(None, story)


def test_a_key_that_was_not_registered_is_an_invalid_client() -> None:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )

    async def story(c: Client) -> None:
        assert (await c.ask_token(private_key=private)).json == {"error": "invalid_client"}

    against(None, story)


def test_an_assertion_is_good_for_one_token_only() -> None:
    async def story(c: Client) -> None:
        assert (await c.ask_token(jti="once")).status == 200
        assert (await c.ask_token(jti="once")).json == {"error": "invalid_client"}

    against(None, story)


def test_a_scope_that_the_client_was_not_given_is_refused() -> None:
    async def story(c: Client) -> None:
        answer = await c.ask_token(scope="AppFramework offline_access")
        assert (answer.status, answer.json) == (400, {"error": "invalid_scope"})

    against(None, story)


def test_a_token_ends_with_its_time_and_when_it_is_revoked() -> None:
    times = [datetime.now(UTC)]

    async def story() -> None:
        async with client(config(token_seconds=60), clock=lambda: times[-1]) as c:
            assert (await c.send("GET", "/api/init/companies", key=None)).status == 200
            times.append(times[-1] + timedelta(seconds=61))
            late = await c.send("GET", "/api/init/companies", key=None)
            assert (late.status, late.json["Message"][:13]) == (401, "Authorization")
            times.append(datetime.now(UTC))
            await c.sign_in()
            assert await c.admin("tokens/revoke", {"client_id": CLIENT}) == {"revoked": 2}
            assert (await c.send("GET", "/api/init/companies", key=None)).status == 401

    asyncio.run(story())


def test_the_identity_server_is_found_through_endpoints() -> None:
    async def story(c: Client) -> None:
        c.token = ""
        assert (await c.get("/api/endpoints"))["Identity"] == c.base
        found = await c.get("/.well-known/openid-configuration")
        assert found["token_endpoint"] == f"{c.base}/connect/token"

    against(None, story)


def test_only_activated_companies_are_listed_and_let_in() -> None:
    async def story(c: Client) -> None:
        companies = await c.send("GET", "/api/init/companies", key=None)
        assert KEY in [x["Key"] for x in companies.json]
        await c.admin(f"companies/{KEY}/active", {"active": False})
        companies = await c.send("GET", "/api/init/companies", key=None)
        assert KEY not in [x["Key"] for x in companies.json]
        assert (await c.send("GET", "/api/biz/customers")).status == 401
        assert c.kinds() == set()
        await c.send("GET", "/api/init/companies")
        assert c.kinds() == {"company-key-on-init"}

    against(None, story)


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_or_unknown_company_key_gets_the_status_of_the_switch(status: int) -> None:
    async def story(c: Client) -> None:
        for key in (None, "nobody"):
            assert (await c.send("GET", "/api/biz/customers", key=key)).status == status

    against(config(Switches(company_refusal_status=status)), story)


def test_a_client_reaches_only_its_own_companies() -> None:
    setup = config()
    owner = msgspec.structs.replace(setup.clients[0], companies=(KEY,))
    setup = msgspec.structs.replace(setup, clients=(owner,))

    async def story(c: Client) -> None:
        companies = await c.send("GET", "/api/init/companies", key=None)
        assert [x["Key"] for x in companies.json] == [KEY]
        other = setup.companies[1].key
        assert (await c.send("GET", "/api/biz/customers", key=other)).status == 401

    against(setup, story)


@pytest.mark.parametrize("status", [401, 404])
def test_an_unknown_path_looks_like_a_token_fault_or_not(status: int) -> None:
    """The trap of section 1.5: 401 although the token is good."""

    async def story(c: Client) -> None:
        assert (await c.send("GET", "/api/biz/costumers")).status == status
        assert (await c.send("POST", "/api/biz/costumers", {})).status == status
        assert (await c.send("PUT", "/api/biz/projects/1", {}, action="StartProject")).status == (
            status
        )
        assert c.kinds() == {"unknown-route"}

    against(config(Switches(unknown_path_status=status)), story)


def test_a_base_currency_that_nobody_knows_stops_the_start() -> None:
    setup = config()
    wrong = CompanyConfig(key=KEY, name="x", base_currency="XYZ")

    async def story(_: Client) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match="XYZ"):
        against(msgspec.structs.replace(setup, companies=(wrong,)), story)
