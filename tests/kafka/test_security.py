"""TLS and logins, with every client that we use: admin, producer, and Faust's consumer."""

import asyncio
import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer

from streams.faust_app import IngestApp
from streams.kafka_client import KafkaConnection, wait_for_kafka
from tests.connectors.loopback import web_server
from tests.kafka.guarded_broker import PASSWORD, USER, Authority, GuardedBroker
from tests.kafka.stage import Stage
from tests.kafka.test_records import TOPIC, Memory, running

pytestmark = pytest.mark.kafka

# The client library does not wait until a refused connection is closed.
TLS_FAREWELL_S = 0.2
HOUR_S = 3600.0
# Long enough for a login on a busy machine, short enough to wait for.
SHORT_LIFE_S = 8.0
Login = Callable[[GuardedBroker], KafkaConnection]
changed = msgspec.structs.replace


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    made = GuardedBroker(tmp_path_factory.mktemp("guarded"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


def by_certificate(broker: GuardedBroker) -> KafkaConnection:
    chain, key = broker.authority.issue("client")
    return broker.connection("mutual", "SSL", cert_file=str(chain), key_file=str(key))


def by_token(broker: GuardedBroker) -> KafkaConnection:
    file = broker.authority.file.with_name("token")
    file.write_text(broker.tokens.token(HOUR_S) + "\n")
    return broker.connection("sasl_ssl", "SASL_SSL", "OAUTHBEARER", token_file=str(file))


def without_tls(broker: GuardedBroker) -> KafkaConnection:
    return broker.connection(
        "sasl_plain", "SASL_PLAINTEXT", "SCRAM-SHA-512", username=USER,
        password_file=str(broker.password_file),
    )  # fmt: skip


LOGINS: dict[str, Login] = {
    "PLAIN": lambda broker: broker.by_password("PLAIN"),
    "SCRAM-SHA-256": lambda broker: broker.by_password("SCRAM-SHA-256"),
    "SCRAM-SHA-512": lambda broker: broker.by_password("SCRAM-SHA-512"),
    "SCRAM-SHA-512 without TLS": without_tls,
    "OAUTHBEARER": by_token,
    "certificate": by_certificate,
}


@pytest.mark.parametrize("login", LOGINS)
def test_ingest_runs_over_every_login(
    login: str, broker: GuardedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    stage = Stage(LOGINS[login](broker), topic_prefix, tmp_path)
    stage.create_topics()
    memory = Memory()

    async def body(app: IngestApp, producer: AIOKafkaProducer) -> None:
        assert app.conf.broker_credentials is not None
        await producer.send_and_wait(stage.names.full(TOPIC), b"1")
        await memory.until(lambda: memory.records != [])

    assert running(stage, memory, body) is None
    assert stage.lag() == 0


def wrong_password(broker: GuardedBroker, mechanism: str) -> KafkaConnection:
    file = broker.password_file.with_name("guess")
    file.write_text("guess")
    good = LOGINS[mechanism](broker)
    return changed(good, password_file=str(file))


def token_of(broker: GuardedBroker, token: str) -> KafkaConnection:
    good = by_token(broker)
    file = broker.password_file.with_name("other-token")
    file.write_text(token)
    return changed(good, token_file=str(file))


def foreign_certificate(broker: GuardedBroker) -> KafkaConnection:
    stranger = Authority(broker.password_file.parent, "stranger")
    chain, key = stranger.issue("foreign")
    return changed(by_certificate(broker), cert_file=str(chain), key_file=str(key))


def foreign_authority(broker: GuardedBroker) -> KafkaConnection:
    stranger = Authority(broker.password_file.parent, "impostor")
    return changed(LOGINS["PLAIN"](broker), ca_file=str(stranger.file))


REFUSALS: dict[str, tuple[Login, str]] = {
    "PLAIN": (lambda b: wrong_password(b, "PLAIN"), "Authentication"),
    "SCRAM-SHA-256": (lambda b: wrong_password(b, "SCRAM-SHA-256"), "Authentication"),
    "SCRAM-SHA-512": (lambda b: wrong_password(b, "SCRAM-SHA-512"), "Authentication"),
    "token of before": (lambda b: token_of(b, b.tokens.token(-HOUR_S)), "has ended"),
    "token for others": (lambda b: token_of(b, b.tokens.token(60, aud="x")), "login was refused"),
    "token of a stranger": (lambda b: token_of(b, "eyJhbGciOiJub25lIn0.e30."), "login was refused"),
    "no token at all": (lambda b: token_of(b, "junk"), "login was refused"),
    "no token": (lambda b: changed(by_token(b), token_file=os.devnull), "its file is empty"),
    "foreign certificate": (foreign_certificate, ""),
    "no certificate": (lambda b: changed(by_certificate(b), cert_file=None, key_file=None), ""),
    "a broker that nobody vouches for": (foreign_authority, "CERTIFICATE_VERIFY_FAILED"),
    "plain text to TLS": (lambda b: changed(without_tls(b), bootstrap=tls(b)), ""),
}


def tls(broker: GuardedBroker) -> str:
    return f"127.0.0.1:{broker.ports['sasl_ssl']}"


@pytest.mark.parametrize("who", REFUSALS)
def test_nobody_else_is_let_in_and_why_is_said_without_the_secret(
    who: str, broker: GuardedBroker
) -> None:
    login, reason = REFUSALS[who]
    trouble = asyncio.run(refused(login(broker)))
    assert trouble is not None
    assert reason in trouble
    for secret in ("guess", PASSWORD, "eyJ"):
        assert secret not in trouble


async def refused(connection: KafkaConnection) -> str | None:
    trouble = await wait_for_kafka(connection, 0)
    await asyncio.sleep(TLS_FAREWELL_S)
    return trouble


def test_a_token_that_ends_is_followed_by_the_one_that_its_file_holds_then(
    broker: GuardedBroker, topic_prefix: str, tmp_path: Path
) -> None:
    """The broker closes a connection whose token has ended; the next one reads the file again."""
    login = by_token(broker)
    assert login.token_file is not None
    file = Path(login.token_file)
    stage = Stage(login, topic_prefix, tmp_path)
    stage.create_topics()
    file.write_text(broker.tokens.token(SHORT_LIFE_S))
    memory = Memory()

    async def body(_app: IngestApp, producer: AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + SHORT_LIFE_S
        await producer.send_and_wait(stage.names.full(TOPIC), b"1")
        await memory.until(lambda: len(memory.records) == 1)
        await asyncio.to_thread(file.write_text, broker.tokens.token(HOUR_S))
        while loop.time() < ends + 1:  # noqa: ASYNC110 - time itself is what is waited for
            await asyncio.sleep(0.1)
        await producer.send_and_wait(stage.names.full(TOPIC), b"2")
        await memory.until(lambda: len(memory.records) == 2)

    assert running(stage, memory, body) is None
    assert stage.lag() == 0


def test_a_token_is_asked_for_by_client_credentials_and_lets_us_in(
    broker: GuardedBroker, tmp_path: Path
) -> None:
    asked: list[tuple[str, str]] = []

    async def handle(request: web.Request) -> web.Response:
        asked.append((request.headers["Authorization"], await request.text()))
        token = broker.tokens.token(HOUR_S) if len(asked) > 1 else "refused-token"
        return web.json_response({"access_token": token, "expires_in": 3600})

    async def main() -> tuple[str | None, str | None]:
        async with web_server(web.post("/token", handle)) as url:
            login = changed(
                broker.connection("sasl_ssl", "SASL_SSL", "OAUTHBEARER"),
                token_url=f"{url}/token",
                client_id="moment sync",
                client_secret_file=str(secret),
                scope="kafka",
            )
            return await refused(login), await refused(login)

    secret = tmp_path / "secret"
    secret.write_text("hush:hush")
    first, second = asyncio.run(main())
    assert first is not None
    assert "refused-token" not in first
    assert second is None
    basic = base64.b64encode(b"moment+sync:hush%3Ahush").decode()
    assert asked[0] == (f"Basic {basic}", "grant_type=client_credentials&scope=kafka")
