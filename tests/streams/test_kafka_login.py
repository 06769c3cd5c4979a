"""Which settings of Kafka's login go together, and what is told where they do not."""

import asyncio
from pathlib import Path

import jwt
import pytest

from streams.clock import SystemClock
from streams.kafka_client import connection_of
from streams.kafka_token import ClientToken, FileToken, TokenUnavailableError
from streams.settings import SettingsError, load

TOKEN_URL = "https://login.example/token"
CLIENT = {"CLIENT_ID": "moment-sync", "CLIENT_SECRET_FILE": "/run/secrets/kafka"}
BY_FILE = {"SECURITY": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER", "TOKEN_FILE": "/run/token"}
BY_CLIENT = {"SECURITY": "SASL_SSL", "SASL_MECHANISM": "oauthbearer", "TOKEN_URL": TOKEN_URL}
PASSWORD = {"USERNAME": "u", "PASSWORD_FILE": "/run/p"}


def refused(settings: dict[str, str]) -> set[str]:
    """The names of the settings that are refused."""
    try:
        load({f"MOMENT_SYNC_KAFKA_{name}": value for name, value in settings.items()})
    except SettingsError as error:
        return {one.name.removeprefix("MOMENT_SYNC_KAFKA_") for one in error.refusals}
    return set()


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (BY_FILE, set()),
        ({**BY_CLIENT, **CLIENT}, set()),
        ({**BY_CLIENT, **CLIENT, "SCOPE": "kafka"}, set()),
        ({**BY_CLIENT}, {"CLIENT_ID", "CLIENT_SECRET_FILE"}),
        ({**BY_FILE, **BY_CLIENT, **CLIENT}, {"TOKEN_FILE"}),
        ({"SECURITY": "SASL_SSL", "SASL_MECHANISM": "OAUTHBEARER"}, {"TOKEN_FILE"}),
        ({"SECURITY": "SASL_SSL", "SASL_MECHANISM": "GSSAPI"}, {"SASL_MECHANISM"}),
        ({"SECURITY": "SASL_SSL"}, {"USERNAME", "PASSWORD_FILE"}),
        ({"SECURITY": "SASL_SSL", "SASL_MECHANISM": "SCRAM-SHA-512", **PASSWORD}, set()),
        ({"SECURITY": "SSL", "CERT_FILE": "/run/c"}, {"CERT_FILE"}),
        ({**BY_CLIENT, **CLIENT, "TOKEN_URL": "http://login.example/token"}, {"TOKEN_URL"}),
        ({**BY_CLIENT, **CLIENT, "TOKEN_URL": "https://u:p@login.example/t"}, {"TOKEN_URL"}),
        ({**BY_CLIENT, **CLIENT, "TOKEN_URL": "http://127.0.0.1:8080/token"}, set()),
    ],
)
def test_what_goes_together(settings: dict[str, str], wrong: set[str]) -> None:
    assert refused(settings) == wrong


def test_the_settings_become_the_way_to_get_tokens(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hush-hush")
    by_file = connection_of(load(_named({**BY_FILE, "TOKEN_FILE": str(file)})))
    assert isinstance(by_file.token_provider(), FileToken)
    by_client = {**BY_CLIENT, **CLIENT, "CLIENT_SECRET_FILE": str(file)}
    assert isinstance(connection_of(load(_named(by_client))).token_provider(), ClientToken)
    missing = connection_of(load(_named(BY_FILE)))
    with pytest.raises(OSError, match="/run/token"):
        missing.client_options()


def _named(settings: dict[str, str]) -> dict[str, str]:
    return {f"MOMENT_SYNC_KAFKA_{name}": value for name, value in settings.items()}


def token_in(file: Path) -> str:
    return asyncio.run(FileToken(str(file), SystemClock()).token())


def test_a_token_file_is_read_again_and_one_that_has_ended_is_not_sent(tmp_path: Path) -> None:
    file = tmp_path / "token"
    provider = FileToken(str(file), SystemClock())
    key = "a key that nobody needs, of more than 32 bytes"
    with pytest.raises(TokenUnavailableError, match="cannot be read"):
        asyncio.run(provider.token())
    for text in ("opaque-1", "opaque-two", jwt.encode({"exp": 2**33}, key), jwt.encode({}, key)):
        file.write_text(f"{text}\n")
        assert asyncio.run(provider.token()) == text
    file.write_text(jwt.encode({"exp": 1}, key))
    with pytest.raises(TokenUnavailableError, match="has ended") as raised:
        token_in(file)
    assert "eyJ" not in str(raised.value)


def test_no_provider_shows_what_it_gives(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("opaque-token")
    provider = FileToken(str(file), SystemClock())
    asyncio.run(provider.token())
    client = ClientToken(TOKEN_URL, "client", str(file), None, SystemClock())
    assert "opaque" not in repr(provider) + repr(client)
