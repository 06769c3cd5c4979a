"""Who looks at the console, what they may read, and whether they may act."""

import hashlib
import hmac
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from streams.setting_values import Address
from streams.settings import Settings

NAME_CHARACTERS_MAX: Final = 200  # of a name that a proxy gives: it goes into the audit
DIGEST_DIGITS: Final = 64  # of SHA-256, in hexadecimal
TOKEN_CHARACTERS_MIN: Final = 24  # of a token: whoever makes one up is told to make it long
LOOPBACK: Final = frozenset({"localhost", "::1"})

# Of the settings, as a page tells it to whoever runs the console.
CLOSED: Final = (
    "This console is on an address that other machines reach, and nothing says who may look. "
    "Name a reverse proxy's header with MOMENT_SYNC_CONSOLE_USER_HEADER, or a file of people with "
    "MOMENT_SYNC_CONSOLE_PEOPLE; or serve it on 127.0.0.1."
)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at the console. `companies` None: all. `name` empty: nobody asked who it is."""

    name: str = ""
    may_act: bool = False
    companies: frozenset[str] | None = None

    def sees(self, company: str | None) -> bool:
        """Whether what belongs to a company (None: to nobody known) may be shown."""
        return self.companies is None or company in self.companies


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    token_sha256: str = ""
    act: bool = False
    companies: list[str] | None = None


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    people: list[_Entry]


class PeopleError(Exception):
    """The file of people cannot be used; the text says what to change."""


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """How people are told apart, from the settings."""

    acting: bool
    header: str | None
    people: str | None
    open_to_all: bool  # nobody is asked: only this machine reaches the console


def door_of(settings: Settings, listens: Address) -> Door:
    """The door that these settings make."""
    loopback = is_loopback(listens.host)
    named = settings.console_user_header is not None or settings.console_people is not None
    return Door(
        acting=settings.console == "act",
        header=settings.console_user_header,
        people=settings.console_people,
        open_to_all=loopback and not named,
    )


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own, and nobody else's."""
    return host in LOOPBACK or re.fullmatch(r"127(?:\.[0-9]{1,3}){3}", host) is not None


class People:
    """The file of people, read again when it changes. Without one, a proxy's word is enough."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._read_at: tuple[int, int] | None = None
        self._entries: tuple[_Entry, ...] = ()

    @property
    def has_tokens(self) -> bool:
        """Whether signing in with a token is possible. May raise `PeopleError`."""
        return any(entry.token_sha256 for entry in self._known())

    def named(self, header: str | None) -> Person | None:
        """Whom a proxy names; None where it names nobody, or nobody that we know."""
        name = (header or "").strip()
        if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
            return None
        if self.door.people is None:
            return Person(name=name, may_act=self.door.acting)
        return next((self._person(e) for e in self._known() if e.name == name), None)

    def with_token(self, token: str | None) -> Person | None:
        """Whose token it is, or None. Takes as long whoever it is. May raise `PeopleError`."""
        if not token or self.door.people is None:
            return None
        digest = hashlib.sha256(token.encode()).hexdigest()
        found = None
        for entry in self._known():
            if hmac.compare_digest(entry.token_sha256, digest):
                found = entry
        return None if found is None else self._person(found)

    def _person(self, entry: _Entry) -> Person:
        companies = None if entry.companies is None else frozenset(entry.companies)
        may_act = entry.act and self.door.acting
        return Person(name=entry.name, may_act=may_act, companies=companies)

    def _known(self) -> tuple[_Entry, ...]:
        path = self.door.people
        if path is None:
            return ()
        try:
            stat = os.stat(path)  # noqa: PTH116 - one call, for its stamp
        except OSError as error:
            raise PeopleError(f"{path} cannot be read: {error.strerror}") from None
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._read_at:
            self._entries = read_people(Path(path))
            self._read_at = stamp
        return self._entries


def read_people(path: Path) -> tuple[_Entry, ...]:
    """The people of a file. Raises `PeopleError` with what is wrong and where."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = msgspec.convert(table, _File).people
    except OSError as error:
        raise PeopleError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PeopleError(f"{path} is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise PeopleError(f"{path}: {error}") from None
    for number, entry in enumerate(entries):
        trouble = _trouble(entry, [one.name for one in entries[:number]])
        if trouble is not None:
            raise PeopleError(f"{path}: people[{number}].{trouble}")
    return tuple(entries)


def _trouble(entry: _Entry, before: list[str]) -> str | None:
    name = entry.name
    if not name.strip() or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        return f"name: 1 to {NAME_CHARACTERS_MAX} printable characters"
    if name in before:
        return f"name: {name} is there twice"
    digest = entry.token_sha256
    if digest and (len(digest) != DIGEST_DIGITS or set(digest) - set("0123456789abcdef")):
        return "token_sha256: 64 hexadecimal digits; `moment-sync console --new-token` makes one"
    return None


def bearer(headers: Mapping[str, str]) -> str | None:
    """The token of an `Authorization: Bearer` header."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None
