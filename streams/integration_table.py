"""One `[[integrations]]` or `[clients.…]` table: interface section 6, design section 6.

What is wrong is gathered in the table's refusals; None comes back then.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from connectors.integrations import (
    DataType,
    Integration,
    ItemCodeSource,
    Language,
    PlatformClient,
    System,
    VoucherNumber,
)
from connectors.platforms import BANKS, DKPLUS_BASE_URL, PLATFORMS, SPAREBANK1_CLIENT, Platform
from connectors.secrets import SecretStore
from connectors.systems import SYSTEMS
from streams.toml_table import GUID, TomlTable

COMMON_KEYS: Final = ("id", "company", "system", "data", "notify", "language", "base_url")
_KEYS: Final[dict[System, tuple[str, ...]]] = {
    System.SPAREBANK1: (
        "bank",
        "platform",
        "company_key",
        "client",
        "identity_url",
        "rounding_account",
        "voucher_number",
    ),
    System.DKPLUS: ("token_file", "token_env", "sales_person", "item_code_sources"),
}
CLIENT_KEYS: Final = ("client_id", "key_file", "key_env", "scope")

CLIENT_KEY: Final = "the client's private key (PEM)"
TOKEN: Final = "the token made in DK+"  # noqa: S105 - words, not a secret
KEY_WAY: Final = "name the file that holds the key (PEM) as key_file, or a variable as key_env"
INTEGRATION_WAY: Final = (
    "DK+: name the file that holds the token as token_file, or a variable as token_env; "
    "SpareBank 1: the key belongs to [clients.<name>], as key_file or key_env"
)
DKPLUS_PATH: Final = "/api/v1"

# The id is a Kafka key, a header and a label of metrics.
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TEXT: Final = re.compile(r"(?=.*\S)[^\x00-\x1f\x7f]{1,200}")
_EMAIL: Final = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]{1,189}")
_ACCOUNT: Final = re.compile(r"[0-9]{1,10}")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Surroundings(msgspec.Struct, frozen=True):
    """What a table may refer to. A client that is None is there, but wrong: told already."""

    allow_hosts: frozenset[str]
    clients: Mapping[str, PlatformClient | None]
    secrets: SecretStore


def read_client(table: TomlTable, secrets: SecretStore) -> PlatformClient | None:
    """One client of the Unimicro platform."""
    table.only(CLIENT_KEYS, elsewhere={}, secret_way=KEY_WAY)
    client_id = table.text("client_id", _TEXT, "the client's id at the platform", need=True)
    scope = table.text("scope", _TEXT, "a scope that the client was given", need=False)
    key = table.secret("key", secrets, need=CLIENT_KEY)
    if client_id is None or key is None:
        return None
    client = PlatformClient(client_id=client_id, key=key)
    return client if scope is None else msgspec.structs.replace(client, scope=scope)


def read_integration(table: TomlTable, around: Surroundings) -> Integration | None:
    """One integration, or None where anything at all is wrong with it."""
    before = table.refusal_count
    system = table.choice("system", System, need=True)
    if system is None:
        return None
    table.only(
        (*COMMON_KEYS, *_keys(system)),
        elsewhere={
            key: f'belongs to an integration of system "{other}"'
            for other in System
            for key in _keys(other)
        },
        secret_way=INTEGRATION_WAY,
    )
    common = _common(table) | {"system": system}
    own = _OWN.get(system, _registered)(table, around)
    if table.refusal_count > before:
        return None
    given = {key: value for key, value in (common | own).items() if value is not None}
    return Integration(**given)


def _keys(system: System) -> tuple[str, ...]:
    registration = SYSTEMS[system]
    token = ("token_file", "token_env") if registration.token else ()
    return _KEYS.get(system, (*token, *registration.options))


def _common(table: TomlTable) -> dict[str, Any]:
    data = table.choices("data", DataType, need=True)
    return {
        "id": table.text("id", _ID, "1 to 100 letters, digits and . _ -", need=True),
        "company": table.text("company", _TEXT, "the company's id in Moment", need=True),
        "data": None if data is None else frozenset(data),
        "notify": table.text("notify", _EMAIL, "one e-mail address", need=True),
        "language": table.choice("language", Language, need=False),
    }


# --- SpareBank 1 -----------------------------------------------------------------------------


def _sparebank1(table: TomlTable, around: Surroundings) -> dict[str, Any]:
    key = table.text("company_key", GUID, "a GUID, shown under “?” → Systeminformasjon", need=True)
    place = _place(table)
    base = _url(table, "base_url", around, path="")
    identity = _url(table, "identity_url", around, path="")
    if place is None and ("base_url" not in table or "identity_url" not in table):
        table.refuse(
            "bank",
            "one of bank and platform is needed, or base_url and identity_url together",
        )
    elif place is not None and place.identity_url is None and "identity_url" not in table:
        table.refuse(
            "identity_url",
            "is missing: this platform's identity server is not known; list it in allow_hosts too",
        )
    if place is not None:
        base, identity = base or place.base_url, identity or place.identity_url
    return {
        "base_url": base,
        "identity_url": identity,
        "company_key": key and key.lower(),
        "client": _client(table, place, around),
        "rounding_account": table.text(
            "rounding_account", _ACCOUNT, 'an account number in quotes, like "7740"', need=False
        ),
        "voucher_number": table.choice("voucher_number", VoucherNumber, need=False),
    }


def _place(table: TomlTable) -> Platform | None:
    """The bank or the platform. None where neither is named, or a wrong one: that is refused."""
    if "bank" in table and "platform" in table:
        table.refuse("platform", "stands instead of bank, not beside it")
    for key, places in (("bank", BANKS), ("platform", PLATFORMS)):
        if key in table:
            name = table.word(key, places)
            return None if name is None else places[name]
    return None


def _client(
    table: TomlTable, place: Platform | None, around: Surroundings
) -> PlatformClient | None:
    given = table.text("client", _TEXT, "the name of a [clients.<name>] table", need=False)
    if "client" in table and given is None:
        return None
    name = given or (place.client if place else SPAREBANK1_CLIENT)
    if name not in around.clients:
        known = ", ".join(around.clients) or "none"
        table.refuse("client", f"needs a table [clients.{name}]; there are: {known}")
        return None
    return around.clients[name]


# --- DK+ -------------------------------------------------------------------------------------


def _dkplus(table: TomlTable, around: Surroundings) -> dict[str, Any]:
    invoices = table.lists("data", DataType.INVOICES)
    return {
        "base_url": _url(table, "base_url", around, path=DKPLUS_PATH) or DKPLUS_BASE_URL,
        "token": table.secret("token", around.secrets, need=TOKEN),
        "sales_person": table.text(
            "sales_person",
            _TEXT,
            "the number of a sales person in DK+, put on every invoice",
            need=invoices,
        ),
        "item_code_sources": table.choices("item_code_sources", ItemCodeSource, need=False),
    }


# --- any other -------------------------------------------------------------------------------


def _registered(table: TomlTable, around: Surroundings) -> dict[str, Any]:
    """What the registration of a system says that its integrations have."""
    system = table.choice("system", System, need=True)
    registration = SYSTEMS[system] if system is not None else None
    if registration is None:
        return {}
    base = _url(table, "base_url", around, path=registration.base_path) or registration.base_url
    if base is None and "base_url" not in table:
        table.refuse("base_url", "is missing: where the accounting system is")
    told = {
        key: table.text(key, re.compile(form), f"a text of the form {form}", need=True)
        for key, form in registration.options.items()
    }
    found: dict[str, Any] = {"base_url": base, "options": {k: v for k, v in told.items() if v}}
    if registration.token:
        found["token"] = table.secret("token", around.secrets, need=registration.token)
    return found


_OWN: Final = {System.SPAREBANK1: _sparebank1, System.DKPLUS: _dkplus}


# --- URLs ------------------------------------------------------------------------------------


def _url(table: TomlTable, key: str, around: Surroundings, *, path: str) -> str | None:
    """A URL that replaces the contract's, without a final slash. Only to hosts that are listed."""
    text = table.text(key, _TEXT, "a URL", need=False)
    if text is None:
        return None
    form = f"scheme://host:port{path}"
    try:
        parts = urlsplit(text)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        parts, port = SplitResult("", "", "", "", ""), None
    host = parts.hostname
    web = parts.scheme in _DEFAULT_PORTS
    if not web or not host or not port or parts.path.rstrip("/") != path or _has_more(parts):
        table.refuse(key, f"a URL of the form {form}", show="@" not in text)
        return None
    if parts.scheme == "http" and not _is_loopback(host):
        table.refuse(key, "https, since plain http is for loopback only")
        return None
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if place not in around.allow_hosts:
        table.refuse(
            key, f'its host must stand in allow_hosts = ["{place}"] at the top of the file'
        )
        return None
    return f"{parts.scheme}://{parts.netloc}{path}"


def _has_more(parts: SplitResult) -> bool:
    return bool(parts.query or parts.fragment or "@" in parts.netloc)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
