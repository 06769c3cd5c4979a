"""TLS and a login, with every client that we use: admin, producer, and Faust's consumer."""

import asyncio
import datetime as dt
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.faust_app import IngestApp
from streams.kafka_client import KafkaConnection, wait_for_kafka
from streams.local.guarded import free_port
from streams.local.kafka_node import KafkaNode
from tests.kafka.stage import Stage
from tests.kafka.test_records import TOPIC, Memory, running

pytestmark = pytest.mark.kafka

# The client library does not wait until a refused connection is closed.
TLS_FAREWELL_S = 0.2
JAAS = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="broker" password="b" user_broker="b" user_moment="s3cret";'
)


def write_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, its own authority: alone, and with its key for Kafka."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    trusted, both = directory / "ca.pem", directory / "broker.pem"
    trusted.write_bytes(pem)
    both.write_bytes(private + pem)
    return trusted, both


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[KafkaConnection]:
    """A broker that takes TLS with a login only, and the connection that it lets in."""
    trusted, both = write_certificate(tmp_path)
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    port, controller = free_port(), free_port()
    own = {
        "listeners": f"SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"SASL_SSL://127.0.0.1:{port}",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": JAAS,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(trusted),
    }
    with KafkaNode(tmp_path / "kafka", port=port, properties=own) as node:
        yield KafkaConnection(
            bootstrap=node.bootstrap,
            security="SASL_SSL",
            sasl_mechanism="PLAIN",
            username="moment",
            password_file=str(password),
            ca_file=str(trusted),
        )


def test_ingest_runs_over_tls_with_a_login_and_nobody_else_is_let_in(
    guarded: KafkaConnection, tmp_path: Path
) -> None:
    stage = Stage(guarded, "", tmp_path)
    stage.create_topics()
    memory = Memory()

    async def body(app: IngestApp, producer: AIOKafkaProducer) -> None:
        assert app.conf.broker_credentials is not None
        await producer.send_and_wait(stage.names.full(TOPIC), b"1")
        await memory.until(lambda: memory.records != [])

    assert running(stage, memory, body) is None
    assert stage.lag() == 0
    other = tmp_path / "other"
    other.write_text("guess")
    stranger = msgspec.structs.replace(guarded, password_file=str(other))
    trouble = asyncio.run(refused(stranger))
    assert trouble is not None
    assert "guess" not in trouble


async def refused(connection: KafkaConnection) -> str | None:
    trouble = await wait_for_kafka(connection, 0)
    await asyncio.sleep(TLS_FAREWELL_S)
    return trouble
