"""Which settings of Kafka's login go together. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

OAUTH: Final = "OAUTHBEARER"
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", OAUTH)
SASL: Final = frozenset({"SASL_PLAINTEXT", "SASL_SSL"})
_BY_CLIENT: Final = ("KAFKA_CLIENT_ID", "KAFKA_CLIENT_SECRET_FILE")


def problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Every setting that is missing or one too many, and what it must be.

    `values` by field, None where a setting is not set.
    """
    security = values["kafka_security"]
    if security in SASL and values["kafka_sasl_mechanism"] == OAUTH:
        yield from _token_problems(values)
    elif security in SASL:
        for name in ("KAFKA_USERNAME", "KAFKA_PASSWORD_FILE"):
            if values[name.lower()] is None:
                yield name, f"must be set with KAFKA_SECURITY {security}"
    if (values["kafka_cert_file"] is None) != (values["kafka_key_file"] is None):
        yield "KAFKA_CERT_FILE", "goes together with KAFKA_KEY_FILE: set both or neither"


def _token_problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    by_file, by_url = (values[name] is not None for name in ("kafka_token_file", "kafka_token_url"))
    if by_file == by_url:
        way = "KAFKA_TOKEN_URL (with KAFKA_CLIENT_ID and KAFKA_CLIENT_SECRET_FILE)"
        yield (
            "KAFKA_TOKEN_FILE",
            f"set it or {way} with KAFKA_SASL_MECHANISM {OAUTH}, one of the two",
        )
    for name in _BY_CLIENT:
        if by_url and values[name.lower()] is None:
            yield name, "must be set with KAFKA_TOKEN_URL"
