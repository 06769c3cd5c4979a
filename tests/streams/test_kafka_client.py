"""The connection to Kafka: what the libraries are given, and waiting for a broker."""

import asyncio
import socket
from pathlib import Path

import faust
import pytest

from streams.faust_app import faust_credentials
from streams.kafka_client import KafkaConnection, connection_of, wait_for_kafka
from streams.settings import load


def test_plain_text_needs_nothing_but_the_servers() -> None:
    connection = KafkaConnection(bootstrap="a:1, b:2")
    assert connection.client_options()["bootstrap_servers"] == ["a:1", "b:2"]
    assert connection.client_options()["ssl_context"] is None
    assert faust_credentials(connection) is None


def test_a_password_comes_from_its_file_and_is_in_no_repr(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    connection = connection_of(
        load(
            {
                "MOMENT_SYNC_KAFKA": "a:1",
                "MOMENT_SYNC_KAFKA_SECURITY": "SASL_SSL",
                "MOMENT_SYNC_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
                "MOMENT_SYNC_KAFKA_USERNAME": "u",
                "MOMENT_SYNC_KAFKA_PASSWORD_FILE": str(secret),
            }
        )
    )
    options = connection.client_options()
    assert options["sasl_plain_password"] == "s3cret"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    credentials = faust_credentials(connection)
    assert isinstance(credentials, faust.SASLCredentials)
    assert (credentials.username, credentials.password) == ("u", "s3cret")
    assert credentials.protocol.value == "SASL_SSL"
    assert "s3cret" not in repr(connection) + repr(credentials)


def test_tls_verifies_the_broker() -> None:
    context = KafkaConnection(bootstrap="a:1", security="SSL").ssl_context()
    assert context is not None
    assert context.check_hostname


@pytest.mark.parametrize("server", ["127.0.0.1:1", "nothing"])
def test_waiting_for_a_broker_is_bounded_and_says_what_is_wrong(server: str) -> None:
    said: list[str] = []
    trouble = asyncio.run(wait_for_kafka(KafkaConnection(bootstrap=server), 0.5, said.append))
    assert trouble is not None
    assert server in trouble
    assert len(said) == 1


def test_a_port_that_does_not_speak_kafka_is_no_broker() -> None:
    """It takes the connection and closes it, as something else behind that port would."""

    async def main() -> tuple[str, str | None]:
        async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        server = await asyncio.start_server(close, "127.0.0.1", 0, family=socket.AF_INET)
        async with server:
            port = server.sockets[0].getsockname()[1]
            place = f"127.0.0.1:{port}"
            return place, await wait_for_kafka(KafkaConnection(bootstrap=place), 0)

    place, trouble = asyncio.run(main())
    assert trouble is not None
    assert place in trouble


@pytest.mark.kafka
def test_a_broker_that_answers_is_found(kafka: KafkaConnection) -> None:
    assert asyncio.run(wait_for_kafka(kafka, 10)) is None
