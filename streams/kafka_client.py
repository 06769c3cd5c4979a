"""How to reach the Kafka cluster: one value, and what each client library makes of it."""

import asyncio
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from connectors.known_secrets import remember, remembered
from connectors.redaction import cleared
from streams.clock import SystemClock
from streams.kafka_token import ClientToken, FileToken
from streams.settings import Settings

# A single look at one address: a broker that is there answers within milliseconds.
CONNECT_S = 3.0
# TLS and a login besides: slow on a broker that is just starting, else a matter of milliseconds.
FIRST_WORDS_S = 10.0
# Between two looks while waiting: short, since people and tests wait for it.
LOOK_AGAIN_S = 0.2
# A request other than a fetch; also how long a produced batch is tried before it is given back.
REQUEST_TIMEOUT_MS = 30_000

Security = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


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
    token_file: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret_file: str | None = None
    scope: str | None = None

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
        password = Path(self.password_file).read_text(encoding="utf-8").rstrip("\r\n")
        remember(password)
        return password

    def token_provider(self) -> AbstractTokenProvider | None:
        """What gives tokens with OAUTHBEARER, else None. Raises OSError where its file is not."""
        if self.sasl_mechanism != "OAUTHBEARER" or not self.security.startswith("SASL_"):
            return None
        if self.token_url is not None:
            secret_file = self.client_secret_file or ""
            Path(secret_file).stat()
            url, client = self.token_url, self.client_id or ""
            return ClientToken(url, client, secret_file, self.scope, SystemClock())
        Path(self.token_file or "").stat()
        return FileToken(self.token_file or "", SystemClock())

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
            options["sasl_oauth_token_provider"] = self.token_provider()
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
        "token_file": settings.kafka_token_file,
        "token_url": settings.kafka_token_url,
        "client_id": settings.kafka_client_id,
        "client_secret_file": settings.kafka_client_secret_file,
        "scope": settings.kafka_scope,
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
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit():
            trouble = f"{server}: is not host:port"
            continue
        refused = await _refused(host.strip("[]"), int(port))
        refused = refused or await _spoken(connection, host.strip("[]"), int(port))
        if refused is None:
            return None
        trouble = f"{server}: {refused}"
    return trouble


async def _refused(host: str, port: int) -> str | None:
    """A plain connection first: quiet and quick where the client library is neither."""
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no connection within {CONNECT_S:.0f} s"
    except OSError as error:
        return error.strerror or str(error)
    writer.close()
    return None


async def _spoken(connection: KafkaConnection, host: str, port: int) -> str | None:
    """The first steps that every client takes: TLS, versions, login. None when all went well."""
    options = connection.client_options()
    del options["bootstrap_servers"]
    try:
        async with asyncio.timeout(FIRST_WORDS_S):
            spoken = await create_conn(host, port, **options)
            try:
                cluster = await spoken.send(MetadataRequest([]))
            finally:
                spoken.close()
    except TimeoutError:
        return f"no answer within {FIRST_WORDS_S:.0f} s"
    except (KafkaError, OSError, EOFError, struct.error) as error:
        text = cleared(str(error), remembered())
        return f"{type(error).__name__}: {text}" if text else type(error).__name__
    # A refused token is told in words that the client library takes for consent (RFC 7628 3.2.2);
    # the broker then answers with nothing.
    return None if cluster.brokers else "the login was refused"
