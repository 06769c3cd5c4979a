"""A real broker that lets nobody in unproven: one listener for each way to log in."""

import datetime as dt
import ipaddress
import subprocess
from pathlib import Path

import jwt
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from jwt.algorithms import RSAAlgorithm

from streams.kafka_client import KafkaConnection, Mechanism, Security
from streams.local.guarded import free_port
from streams.local.kafka_node import KafkaNode, class_path, java_command

USER, PASSWORD = "moment", "s3cret-of-moment"
AUDIENCE, ISSUER = "kafka", "https://identity.example"
COMMAND_S = 60
LISTENERS = ("sasl_ssl", "sasl_plain", "mutual")
# Faust's consumer, an admin and a producer: none may need more rights than these tests give.
PLAIN_LOGIN = (
    f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
)
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
TOKEN_LOGIN = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
VALIDATOR = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler"


class Authority:
    """A certificate authority of this test's own."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        usage = x509.KeyUsage(
            digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
            key_encipherment=False, data_encipherment=False, key_agreement=False,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        made = self._builder(self._name, self._key.public_key())
        made = made.add_extension(constraints, critical=True).add_extension(usage, critical=True)
        self.certificate = made.sign(self._key, hashes.SHA256())
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(_pem(self.certificate))

    def issue(self, name: str) -> tuple[Path, Path]:
        """A certificate with its chain, and its key, for 127.0.0.1: files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = (
            self._builder(subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName([address]), critical=False)
            .add_extension(x509.ExtendedKeyUsage(both), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain, own = self._directory / f"{name}.crt", self._directory / f"{name}.key"
        chain.write_bytes(_pem(made) + _pem(self.certificate))
        own.write_bytes(private)
        return chain, own

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )


class Tokens:
    """An identity server's key, known to the broker by its JWKS."""

    def __init__(self, directory: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        jwks = {"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]}
        self.jwks = directory / "jwks.json"
        self.jwks.write_bytes(msgspec.json.encode(jwks))

    def token(self, seconds: float, **claims: object) -> str:
        """A token that holds for so long."""
        now = dt.datetime.now(dt.UTC)
        whole = {
            "sub": USER,
            "aud": AUDIENCE,
            "iss": ISSUER,
            "scope": "kafka",
            "iat": now,
            "exp": now + dt.timedelta(seconds=seconds),
            **claims,
        }
        return jwt.encode(whole, self._key, algorithm="RS256", headers={"kid": "k1"})


class GuardedBroker:
    """The broker, and connections that it lets in."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.authority = Authority(directory, "authority")
        self.tokens = Tokens(directory)
        self.ports = {name: free_port() for name in (*LISTENERS, "plaintext")}
        self.password_file = directory / "password"
        self.password_file.write_text(f"{PASSWORD}\n")
        self.node = KafkaNode(
            directory / "kafka", port=self.ports["plaintext"], properties=self._properties()
        )

    def start(self) -> None:
        # Else the Java that runs the broker may not read the JWKS from a file.
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.tokens.jwks.as_uri()}"
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("JAVA_TOOL_OPTIONS", allowed)
            self.node.start()
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
            entry = f"{mechanism}=[iterations=4096,password={PASSWORD}]"
            where = ("--bootstrap-server", self.node.bootstrap, "--alter")
            what = ("--add-config", entry, "--entity-type", "users", "--entity-name", USER)
            command = [*java_command(), "-cp", class_path(), "kafka.admin.ConfigCommand"]
            subprocess.run([*command, *where, *what], check=True, timeout=COMMAND_S)

    def stop(self) -> None:
        self.node.stop()

    def connection(
        self, listener: str, security: Security, mechanism: Mechanism = "PLAIN", **more: str
    ) -> KafkaConnection:
        """A connection to a listener; `more` are members of `KafkaConnection`."""
        return KafkaConnection(
            bootstrap=f"127.0.0.1:{self.ports[listener]}",
            security=security,
            sasl_mechanism=mechanism,
            ca_file=str(self.authority.file) if security.endswith("SSL") else None,
            **more,
        )

    def by_password(self, mechanism: Mechanism) -> KafkaConnection:
        """Over TLS with user and password."""
        return self.connection(
            "sasl_ssl", "SASL_SSL", mechanism, username=USER, password_file=str(self.password_file)
        )

    def _properties(self) -> dict[str, str]:
        chain, key = self.authority.issue("broker")
        both = self._directory / "broker.pem"
        both.write_bytes(key.read_bytes() + chain.read_bytes())
        protocols = {
            "sasl_ssl": "SASL_SSL", "sasl_plain": "SASL_PLAINTEXT", "mutual": "SSL",
            "plaintext": "PLAINTEXT",
        }  # fmt: skip
        places = [f"{name.upper()}://127.0.0.1:{self.ports[name]}" for name in protocols]
        controller = free_port()
        named = [f"{name.upper()}:{protocol}" for name, protocol in protocols.items()]
        mechanisms = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
        found = {
            "listeners": ",".join([*places, f"CONTROLLER://127.0.0.1:{controller}"]),
            "advertised.listeners": ",".join(places),
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "listener.security.protocol.map": ",".join([*named, "CONTROLLER:PLAINTEXT"]),
            "group.min.session.timeout.ms": "1000",
            "sasl.enabled.mechanisms": ",".join(mechanisms),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.file),
            "listener.name.mutual.ssl.client.auth": "required",
        }
        for listener in ("sasl_ssl", "sasl_plain"):
            own = f"listener.name.{listener}"
            found[f"{own}.plain.sasl.jaas.config"] = PLAIN_LOGIN
            for scram in ("scram-sha-256", "scram-sha-512"):
                found[f"{own}.{scram}.sasl.jaas.config"] = SCRAM_LOGIN
            found |= {
                f"{own}.oauthbearer.sasl.jaas.config": TOKEN_LOGIN,
                f"{own}.oauthbearer.sasl.server.callback.handler.class": VALIDATOR,
                f"{own}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": self.tokens.jwks.as_uri(),
                f"{own}.oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
                f"{own}.oauthbearer.sasl.oauthbearer.expected.issuer": ISSUER,
                # A connection lives as long as its token (KIP-368).
                f"{own}.oauthbearer.connections.max.reauth.ms": "3600000",
            }
        return found


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
