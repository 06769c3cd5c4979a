"""Reading the integrations file: the rules of interface section 6, with every refusal at once."""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from connectors.integrations import Integration
from connectors.secrets import SecretStore
from streams.integration_table import KEY_WAY, Surroundings, read_client, read_integration
from streams.toml_table import TableRefusal, TomlTable

TOP_KEYS: Final = ("clients", "integrations", "allow_hosts")

_HOST_PORT: Final = re.compile(r"[^\s/@]+:[0-9]{1,5}")


class Integrations(msgspec.Struct, frozen=True, kw_only=True):
    """A checked file. `digest` is equal for files that say the same, whatever their order."""

    integrations: tuple[Integration, ...]
    by_company: dict[str, tuple[Integration, ...]]
    digest: str

    def by_id(self, integration_id: str) -> Integration | None:
        """The integration of this id, or None."""
        return next((one for one in self.integrations if one.id == integration_id), None)


class IntegrationsError(Exception):
    """A file that cannot be used: every refusal, each on a line of its own, without secrets."""

    def __init__(self, refusals: tuple[TableRefusal, ...]) -> None:
        self.refusals = refusals
        super().__init__("\n".join(str(refusal) for refusal in refusals))


def read(path: str, environ: Mapping[str, str]) -> Integrations:
    """Read and check the file; blocks for it and for the small files of secrets that it names.

    A secret that cannot be had now is refused too. Raises `IntegrationsError`.
    """
    refusals: list[TableRefusal] = []
    data = _parse(path, refusals)
    found = _read_all(path, data, SecretStore(environ), refusals) if data else ()
    if refusals:
        raise IntegrationsError(tuple(refusals))
    return gather(found)


def gather(integrations: tuple[Integration, ...]) -> Integrations:
    """Checked integrations with their index and digest."""
    by_company: dict[str, tuple[Integration, ...]] = {}
    for one in integrations:
        by_company[one.company] = (*by_company.get(one.company, ()), one)
    ordered = sorted(integrations, key=lambda one: one.id)
    text = msgspec.json.encode(ordered, order="deterministic")
    return Integrations(
        integrations=integrations,
        by_company=by_company,
        digest=hashlib.sha256(text).hexdigest(),
    )


def what_opens(integrations: Integrations) -> str:
    """A digest of what decides which deliveries an event becomes, and of nothing else."""
    what = [(i.id, i.company, i.system, sorted(i.data)) for i in integrations.integrations]
    return hashlib.sha256(msgspec.json.encode(sorted(what))).hexdigest()


def _parse(path: str, refusals: list[TableRefusal]) -> dict[str, Any]:
    try:
        data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror or 'unknown error'}"
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        # Only the place is told: the parser's words may quote the line, and with it a secret.
        place = re.search(r"\(at [^)]*\)", str(error))
        reason = f"is not TOML {place[0] if place else ''}".rstrip()
    else:
        if isinstance(data.get("integrations"), list):
            return data
        reason = "has no [[integrations]] table; write integrations = [] where none is to be served"
    refusals.append(TableRefusal(path, "", None, reason))
    return {}


def _read_all(
    path: str, data: dict[str, Any], secrets: SecretStore, refusals: list[TableRefusal]
) -> tuple[Integration, ...]:
    top = TomlTable(path, data, refusals)
    top.only(TOP_KEYS, elsewhere={}, secret_way=KEY_WAY)
    clients = {
        name: read_client(TomlTable(f"clients.{name}", entry, refusals), secrets)
        for name, entry in _tables(top, data.get("clients", {})).items()
    }
    around = Surroundings(_allow_hosts(top, data.get("allow_hosts", [])), clients, secrets)
    found: dict[str, Integration] = {}
    books: dict[tuple[str, ...], str] = {}
    for index, entry in enumerate(data["integrations"]):
        if not isinstance(entry, dict):
            refusals.append(TableRefusal(f"integrations[{index}]", "", None, "must be a table"))
            continue
        table = TomlTable(_name(index, entry), entry, refusals)
        one = read_integration(table, around)
        if one is None:
            continue
        if one.id in found:
            table.refuse("id", "must be an id that no other integration has")
        if (same := books.setdefault(_books(one, secrets), table.name)) != table.name:
            table.refuse(
                "", f"writes to the same books as {same}; one integration a company's books"
            )
        found[one.id] = one
    return tuple(found.values())


def _name(index: int, entry: dict[str, Any]) -> str:
    """The table as a person finds it: its place, from 0, and its id."""
    given = entry.get("id")
    shown = isinstance(given, str) and re.fullmatch(r"[\w.-]{1,100}", given)
    return f"integrations[{index}] ({given})" if shown else f"integrations[{index}]"


def _tables(top: TomlTable, value: object) -> dict[str, dict[str, Any]]:
    if isinstance(value, dict) and all(isinstance(entry, dict) for entry in value.values()):
        return value
    top.refuse("clients", "tables like [clients.sparebank1]", show=False)
    return {}


def _allow_hosts(top: TomlTable, value: object) -> frozenset[str]:
    if isinstance(value, list) and all(
        isinstance(host, str) and _HOST_PORT.fullmatch(host) for host in value
    ):
        return frozenset(host.lower() for host in value)
    top.refuse("allow_hosts", 'a list of "host:port"')
    return frozenset()


def _books(one: Integration, secrets: SecretStore) -> tuple[str, ...]:
    """What names the books before anybody has asked. Holds a secret: compared, never shown.

    A DK+ token belongs to one company, so equal tokens are equal books, wherever they are kept.
    """
    if one.company_key:
        return (one.system, one.base_url, one.company_key)
    token = secrets.read(one.token) if one.token else ""
    return (one.system, one.base_url, token if isinstance(token, str) else one.id)
