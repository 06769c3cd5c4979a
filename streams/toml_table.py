"""One table of a settings file, read key by key; what is wrong is gathered, not raised.

No value is ever shown that could be a secret: not under an unknown key, not under a key that
names a secret, and not where the value itself looks like one.
"""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final, TypeVar

import msgspec

from connectors.integrations import Secret
from connectors.secrets import SecretStore, Unreadable
from streams.setting_values import nearest

Choice = TypeVar("Choice", bound=StrEnum)

VALUE_SHOWN_MAX: Final = 100  # characters of a wrong value that are shown

_SECRET_KEYS: Final = re.compile(
    r"(?i)(.*_)?(token|key|password|passwd|passphrase|secret|pem|assertion|certificate)"
)
GUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
# A PEM, a DK+ token (a GUID), a JWT.
_SECRET_LIKE: Final = re.compile(
    rf"(?s).*-----BEGIN.*|\s*\{{?{GUID.pattern}\}}?\s*|\s*ey[\w-]{{20,}}.*"
)


class TableRefusal(msgspec.Struct, frozen=True):
    """One key that is wrong. `value` is None where it must not be shown, or there is none."""

    table: str
    key: str
    value: str | None
    allowed: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" = {self.value}"
        key = f"{self.key}{shown}: " if self.key else ""
        return f"{self.table}: {key}{self.allowed}"


class TomlTable:
    """Readers of one table's values. Each returns None where the value is missing or wrong."""

    def __init__(self, name: str, data: Mapping[str, Any], refusals: list[TableRefusal]) -> None:
        self.name = name
        self._data = data
        self._refusals = refusals

    @property
    def refusal_count(self) -> int:
        """How many refusals there are, of all tables that share the list."""
        return len(self._refusals)

    def __contains__(self, key: str) -> bool:
        return key in self._data

    def refuse(self, key: str, allowed: str, *, show: bool = True) -> None:
        """Note that this key is wrong, showing its value where that gives away nothing."""
        value = self._data.get(key)
        hidden = not show or value is None or looks_secret(value)
        shown = None if hidden else repr(value)[:VALUE_SHOWN_MAX]
        self._refusals.append(TableRefusal(self.name, key, shown, allowed))

    def only(
        self, known: Collection[str], *, elsewhere: Mapping[str, str], secret_way: str
    ) -> None:
        """Refuse keys that are not known.

        `elsewhere`: key → where it does belong. `secret_way`: how a secret is given here, told
        where one is written out under a key of its own.
        """
        for key, value in self._data.items():
            if key in known:
                continue
            if key in elsewhere:
                allowed = elsewhere[key]
            elif _is_secret_key(key) or looks_secret(value):
                allowed = f"a secret is never written into this file: {secret_way}"
            else:
                meant = nearest(key, known)
                hint = f"did you mean {meant}?" if meant else f"known are {', '.join(known)}"
                allowed = f"there is no such key; {hint}"
            self.refuse(key, allowed, show=False)

    def secret(self, name: str, secrets: SecretStore, *, need: str) -> Secret | None:
        """`<name>_file` or `<name>_env`, exactly one, and one that can be read now.

        `need` says what the secret is. Reads the file; its content goes nowhere.
        """
        file, env = f"{name}_file", f"{name}_env"
        given = [key for key in (file, env) if key in self._data]
        if len(given) != 1:
            self.refuse(file, f"exactly one of {file} and {env} is needed: {need}", show=False)
            return None
        key = given[0]
        value = self._data[key]
        if looks_secret(value) or not isinstance(value, str) or not value.strip():
            kind = "the path of a file" if key == file else "the name of an environment variable"
            self.refuse(key, f"{kind} that holds {need}, never the secret itself", show=False)
            return None
        found = Secret(file=value) if key == file else Secret(env=value)
        answer = secrets.read(found)
        if isinstance(answer, Unreadable):
            self.refuse(key, answer.reason)
            return None
        return found

    def text(self, key: str, form: re.Pattern[str], allowed: str, *, need: bool) -> str | None:
        """A string of this form; missing is refused where it is needed."""
        value = self._data.get(key)
        if value is None:
            if need:
                self.refuse(key, f"is missing: {allowed}")
            return None
        if not isinstance(value, str) or form.fullmatch(value) is None:
            self.refuse(key, allowed)
            return None
        return value

    def word(self, key: str, known: Collection[str]) -> str | None:
        """One of the known words."""
        value = self._data.get(key)
        if isinstance(value, str) and value in known:
            return value
        self.refuse(key, f"one of {', '.join(known)}")
        return None

    def choice(self, key: str, kind: type[Choice], *, need: bool) -> Choice | None:
        """One of the words of an enumeration, as it is written there."""
        if key not in self._data and not need:
            return None
        word = self.word(key, [*kind])
        return None if word is None else kind(word)

    def choices(self, key: str, kind: type[Choice], *, need: bool) -> tuple[Choice, ...] | None:
        """A list of such words, at least one, none twice."""
        value = self._data.get(key)
        if value is None and not need:
            return None
        words = value if isinstance(value, list) else []
        once = words and all(word in [*kind] and words.count(word) == 1 for word in words)
        if not once:
            self.refuse(key, f"a list of at least one of {', '.join(kind)}, none twice")
            return None
        return tuple(kind(word) for word in words)

    def lists(self, key: str, word: str) -> bool:
        """Whether the value is a list with this word in it."""
        value = self._data.get(key)
        return isinstance(value, list) and word in value


def looks_secret(value: object) -> bool:
    """Whether a value looks like a secret, whatever its key."""
    return isinstance(value, str) and _SECRET_LIKE.fullmatch(value) is not None


def _is_secret_key(key: str) -> bool:
    """Whether a key by its name would hold a secret itself, rather than say where it is kept."""
    return _SECRET_KEYS.fullmatch(key) is not None
