"""How to reach the Kafka cluster: one value, and what each client library makes of it."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from streams.settings import Settings

# A single look at one address: a broker that is there answers within milliseconds.
CONNECT_S = 3.0
# Between two looks while waiting: short, since people and tests wait for it.
LOOK_AGAIN_S = 0.2
# A request other than a fetch; also how long a produced batch is tried before it is given back.
REQUEST_TIMEOUT_MS = 30_000

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaConnection(msgspec.Struct, frozen=True, kw_only=True):
    """Where the cluster is and how to log in (interface section 6, `KAFKA…`).

    `bootstrap` is `host:port`, several with commas. Files are named, never read ahead of use, so
    that no secret is ever in here.
    """

    bootstrap: str
    security: Security = "PLAINTEXT"
    sasl_mechanism: Mechanism = "PLAIN"
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    def servers(self) -> list[str]:
        """Each `host:port`, in the order given."""
        return [server.strip() for server in self.bootstrap.split(",") if server.strip()]

    def ssl_context(self) -> ssl.SSLContext | None:
        """A verifying TLS context from the files named, or None without TLS. May raise OSError."""
        if self.security not in {"SSL", "SASL_SSL"}:
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context

    def password(self) -> str | None:
        """The password, without the line end that editors add. May raise OSError."""
        if self.password_file is None:
            return None
        return Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments that any aiokafka client takes. Reads secrets: not for logs."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.servers(),
            "security_protocol": self.security,
            "ssl_context": self.ssl_context(),
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
        }
        if self.security.startswith("SASL_"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password()
        return options


def connection_of(settings: Settings) -> KafkaConnection:
    """The connection that the settings name. Their values have been checked already."""
    given = {
        "bootstrap": ",".join(settings.kafka),
        "security": settings.kafka_security,
        "sasl_mechanism": settings.kafka_sasl_mechanism,
        "username": settings.kafka_username,
        "password_file": settings.kafka_password_file,
        "ca_file": settings.kafka_ca_file,
        "cert_file": settings.kafka_cert_file,
        "key_file": settings.kafka_key_file,
    }
    return msgspec.convert(given, KafkaConnection)


async def wait_for_kafka(
    connection: KafkaConnection,
    seconds: float,
    say: Callable[[str], None] = lambda _: None,
) -> str | None:
    """Wait until a broker answers, at most `seconds`. Returns None then, else what was wrong.

    `say` is told once when there is something to wait for. Faust ends at once when it is started
    without a broker, so this comes first.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    told = False
    while (trouble := await _look(connection)) is not None:
        if loop.time() >= deadline:
            return f"Kafka at {connection.bootstrap} cannot be reached: {trouble}"
        if not told:
            say(f"waiting for Kafka at {connection.bootstrap} ({trouble})")
            told = True
        await asyncio.sleep(LOOK_AGAIN_S)
    return None


async def _look(connection: KafkaConnection) -> str | None:
    """What is wrong with every server, or None when one of them speaks Kafka with us."""
    trouble = "no server is named"
    for server in connection.servers():
        refused = await _refused(server)
        if refused is None:
            return await _spoken(connection)
        trouble = f"{server}: {refused}"
    return trouble


async def _refused(server: str) -> str | None:
    """A plain connection first: quiet and quick where the client library is neither."""
    host, _, port = server.rpartition(":")
    if not host or not port.isdigit():
        return "is not host:port"
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except TimeoutError:
        return f"no connection within {CONNECT_S:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    return None


async def _spoken(connection: KafkaConnection) -> str | None:
    client = AIOKafkaClient(**connection.client_options())
    try:
        await client.bootstrap()
    except (KafkaError, OSError) as error:
        return f"no answer to the first request ({type(error).__name__})"
    finally:
        await client.close()
    return None
