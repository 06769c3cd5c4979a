"""The settings: interface section 6. Read once at start; wrong ones stop it, all told at once."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from streams import kafka_login
from streams.setting_values import (
    Address,
    Reader,
    SmtpServer,
    address,
    duration_from,
    group,
    header_name,
    ledger,
    nearest,
    number_between,
    one_of,
    servers,
    smtp,
    some_text,
    token_url,
    topic_word,
    without_password,
)

PREFIX: Final = "MOMENT_SYNC_"
CONFIG: Final = "MOMENT_SYNC_CONFIG"
FOREIGN_PREFIX: Final = "MOMENT_SYNC_FAUST_"  # settings of Faust itself, read by Faust

DURATION: Final = "a duration like 500ms 30s 15m 24h 7d"
PATH: Final = "the path of a file"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: `field` is its name in `Settings`, `default` the text in force."""

    name: str
    field: str
    default: str
    read: Reader
    allowed: str
    shown_default: str = ""


def _duration(name: str, default: str, least_s: float = 0.0) -> Setting:
    least = f", at least {least_s:g}s" if least_s else ""
    return Setting(
        name=name,
        field=f"{name.lower()}_s",
        default=default,
        read=duration_from(least_s),
        allowed=DURATION + least,
    )


def _number(name: str, default: str, least: int, most: int, *also: int) -> Setting:
    extra = "".join(f", or {number}" for number in also)
    return Setting(
        name=name,
        field=name.lower(),
        default=default,
        read=number_between(least, most, *also),
        allowed=f"a whole number from {least} to {most}{extra}",
    )


def _text(name: str, default: str, read: Reader, allowed: str, shown: str = "") -> Setting:
    return Setting(
        name=name,
        field=name.lower(),
        default=default,
        read=read,
        allowed=allowed,
        shown_default=shown,
    )


def _words(name: str, default: str, *words: str, shown: str = "") -> Setting:
    return _text(name, default, one_of(*words), "one of " + ", ".join(words), shown)


# An empty default is "none": the reader is not asked.
SETTINGS: Final[tuple[Setting, ...]] = (
    _text("KAFKA", "127.0.0.1:9092", servers, "host:port, several with commas"),
    _words("KAFKA_SECURITY", "PLAINTEXT", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    _words("KAFKA_SASL_MECHANISM", "PLAIN", *kafka_login.MECHANISMS),
    _text("KAFKA_USERNAME", "", some_text, "text"),
    _text("KAFKA_PASSWORD_FILE", "", some_text, PATH),
    _text("KAFKA_CA_FILE", "", some_text, PATH),
    _text("KAFKA_CERT_FILE", "", some_text, PATH),
    _text("KAFKA_KEY_FILE", "", some_text, PATH),
    _text("KAFKA_TOKEN_FILE", "", some_text, PATH),
    _text("KAFKA_TOKEN_URL", "", token_url, "https://host/path, or http to loopback"),
    _text("KAFKA_CLIENT_ID", "", some_text, "text"),
    _text("KAFKA_CLIENT_SECRET_FILE", "", some_text, PATH),
    _text("KAFKA_SCOPE", "", some_text, "text"),
    _text(
        "LEDGER",
        "sqlite:///moment-sync.db",
        ledger,
        "sqlite:///relative.db, sqlite:////absolute.db, postgresql://user@host/database or "
        "postgresql://user@/database?host=/socket/directory",
    ),
    _text("INTEGRATIONS", "integrations.toml", some_text, PATH),
    _text("GROUP", "moment-sync", group, "1 to 200 letters, digits and . _ -"),
    _text("TOPIC_PREFIX", "", topic_word, "up to 200 letters, digits and . _ -", "empty"),
    # A lane is a partition; far more than this is slow to assign and serves nobody.
    _number("TOPIC_PARTITIONS", "12", 1, 1000),
    _number("TOPIC_REPLICATION", "-1", 1, 15, -1),
    _duration("TOPIC_RETENTION", "30d", 1.0),
    _text("WEB", "127.0.0.1:8080", address, "host:port"),
    _words("CONSOLE", "read", "off", "read", "act"),
    _text(
        "CONSOLE_USER_HEADER", "", header_name, "the name of an HTTP header, like X-Forwarded-User"
    ),
    _text("CONSOLE_PEOPLE", "", some_text, PATH),
    _text(
        "SMTP",
        "",
        smtp,
        "smtp://host:port or smtp://user@host:port, the password in a file that "
        "MOMENT_SYNC_SMTP_PASSWORD_FILE names",
    ),
    _text("SMTP_PASSWORD_FILE", "", some_text, PATH),
    _text("SMTP_FROM", "", some_text, "an e-mail address"),
    _duration("NOTICE_WINDOW", "30s"),
    _words("LOG", "", "text", "json", shown="text on a terminal, else json"),
    _words("TRACES", "off", "off", "otlp", "console"),
    _duration("PARENT_WAIT", "15m"),
    _duration("RETRY_BASE", "1s", 0.001),
    _duration("RETRY_MAX", "5m", 0.001),
    _duration("RETRY_FOR", "72h"),
    _duration("HOLD_PROBE", "30s", 0.001),
    _duration("HOLD_PROBE_MAX", "15m", 0.001),
    _duration("BREAKER_OPEN", "30s", 0.001),
    _duration("SPAREBANK1_TIMEOUT", "60s", 0.001),
    _duration("DKPLUS_TIMEOUT", "180s", 0.001),
    _duration("SPAREBANK1_SETTLE", "30s"),
    _duration("DKPLUS_SETTLE", "150s"),
    _number("SPAREBANK1_BOOKINGS", "1", 1, 100),
    _number("DKPLUS_BOOKINGS", "4", 1, 100),
    # Calls in flight of a worker: each holds a socket and an answer in memory.
    _number("IN_FLIGHT", "300", 1, 10_000),
    # The ceiling of an integration's adaptive bound. Neither vendor publishes a limit; the busiest
    # client seen in the wild sends five at a time, and 8 leave a slow system able to answer people.
    _number("SPAREBANK1_IN_FLIGHT", "8", 1, 1000),
    _number("DKPLUS_IN_FLIGHT", "8", 1, 1000),
    _duration("DRAIN", "20s"),
    _duration("RETENTION", "90d", 1.0),
)

_BY_NAME: Final = {setting.name: setting for setting in SETTINGS}


class Refusal(msgspec.Struct, frozen=True):
    """One setting that is wrong. `value` is never a secret; None where it must not be shown."""

    name: str
    value: str | None
    allowed: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" = {self.value!r}"
        return f"{self.name}{shown}: {self.allowed}"


class SettingsError(Exception):
    """Settings that cannot be used: every refusal, each on a line of its own."""

    def __init__(self, refusals: tuple[Refusal, ...]) -> None:
        self.refusals = refusals
        super().__init__("\n".join(str(refusal) for refusal in refusals))


class Described(msgspec.Struct, frozen=True):
    """One line of `moment-sync config`. Secrets are masked in `value`."""

    name: str
    value: str
    default: str
    source: str  # "default", the name of the environment variable, or the file's path


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of interface section 6. Durations are seconds; None means none."""

    kafka: tuple[str, ...]
    kafka_security: str
    kafka_sasl_mechanism: str
    kafka_username: str | None
    kafka_password_file: str | None
    kafka_ca_file: str | None
    kafka_cert_file: str | None
    kafka_key_file: str | None
    kafka_token_file: str | None
    kafka_token_url: str | None
    kafka_client_id: str | None
    kafka_client_secret_file: str | None
    kafka_scope: str | None
    ledger: str
    integrations: str
    group: str
    topic_prefix: str
    topic_partitions: int
    topic_replication: int
    topic_retention_s: float
    web: Address
    console: str  # off, read or act
    console_user_header: str | None
    console_people: str | None
    smtp: SmtpServer | None
    smtp_password_file: str | None
    smtp_from: str | None
    notice_window_s: float
    log: str | None  # None: text on a terminal, else json
    traces: str
    parent_wait_s: float
    retry_base_s: float
    retry_max_s: float
    retry_for_s: float
    hold_probe_s: float
    hold_probe_max_s: float
    breaker_open_s: float
    sparebank1_timeout_s: float
    dkplus_timeout_s: float
    sparebank1_settle_s: float
    dkplus_settle_s: float
    sparebank1_bookings: int
    dkplus_bookings: int
    in_flight: int
    sparebank1_in_flight: int
    dkplus_in_flight: int
    drain_s: float
    retention_s: float
    described: tuple[Described, ...] = ()

    def __repr__(self) -> str:
        """Only what may be shown: a ledger's URL may carry a password."""
        return "Settings(" + ", ".join(f"{row.name}={row.value}" for row in self.described) + ")"


def load(environ: Mapping[str, str], *, config_path: str | None = None) -> Settings:
    """Read the settings. The environment wins over the file, the file over the defaults.

    The file is `config_path`, else the one that `MOMENT_SYNC_CONFIG` names; blocks for reading it.
    Raises `SettingsError` with every refusal there is.
    """
    path = config_path or environ.get(CONFIG) or None
    from_file, refusals = _read_file(path) if path else ({}, [])
    refusals += _unknown_variables(environ)
    values: dict[str, Any] = {}
    rows: list[Described] = []
    for setting in SETTINGS:
        text, source = _text_in_force(setting, environ, from_file, path)
        shown = without_password(text)
        value = setting.read(text) if text or setting.name == "TOPIC_PREFIX" else None
        if value is None and (text or setting.default):
            refusals.append(Refusal(_shown_name(setting, source), shown, setting.allowed))
        values[setting.field] = value
        rows.append(
            Described(setting.name, shown, setting.shown_default or setting.default, source)
        )
    refusals += [] if refusals else _contradictions(values)
    if refusals:
        raise SettingsError(tuple(refusals))
    return msgspec.convert({**values, "described": tuple(rows)}, Settings)


def describe(settings: Settings) -> list[Described]:
    """What is in force, in the order of the table, secrets masked."""
    return list(settings.described)


def _text_in_force(
    setting: Setting, environ: Mapping[str, str], from_file: Mapping[str, str], path: str | None
) -> tuple[str, str]:
    variable = PREFIX + setting.name
    # An empty variable is one that was not set: compose files write them so.
    if environ.get(variable, "").strip():
        return environ[variable].strip(), variable
    if setting.name in from_file:
        return from_file[setting.name], path or ""
    return setting.default, "default"


def _shown_name(setting: Setting, source: str) -> str:
    """As a person wrote it, so that it can be searched for."""
    return source if source.startswith(PREFIX) else f"{setting.name.lower()} in {source}"


def _read_file(path: str) -> tuple[dict[str, str], list[Refusal]]:
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "unknown error"
        return {}, [Refusal(CONFIG, path, f"a TOML file that can be read ({reason})")]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        place = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        return {}, [Refusal(CONFIG, path, f"a TOML file ({place})")]
    texts: dict[str, str] = {}
    refusals: list[Refusal] = []
    for key, value in table.items():
        setting = _BY_NAME.get(key.upper())
        text = _as_text(value)
        if setting is None:
            refusals.append(Refusal(f"{key} in {path}", None, _unknown(key.upper(), "")))
        elif text is None:
            refusals.append(Refusal(f"{key} in {path}", None, setting.allowed))
        else:
            texts[setting.name] = text
    return texts, refusals


def _as_text(value: object) -> str | None:
    """TOML's strings and whole numbers, and lists of strings as they stand in the environment."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ",".join(value)
    return None


def _unknown_variables(environ: Mapping[str, str]) -> list[Refusal]:
    # The value is never shown: it may be a password under a name that does not exist.
    return [
        Refusal(name, None, _unknown(name.removeprefix(PREFIX), PREFIX))
        for name in sorted(environ)
        if name.startswith(PREFIX)
        and name != CONFIG
        and not name.startswith(FOREIGN_PREFIX)
        and name.removeprefix(PREFIX) not in _BY_NAME
    ]


def _unknown(name: str, prefix: str) -> str:
    meant = nearest(name, _BY_NAME)
    if meant is None:
        return "there is no such setting"
    return f"there is no such setting; did you mean {prefix}{meant if prefix else meant.lower()}?"


def _contradictions(values: Mapping[str, Any]) -> list[Refusal]:
    """Settings that are each allowed, but not together."""
    found: list[Refusal] = []

    def check(wrong: bool, name: str, value: object, allowed: str) -> None:
        if wrong:
            found.append(Refusal(PREFIX + name, None if value is None else str(value), allowed))

    retention, topics = values["retention_s"], values["topic_retention_s"]
    check(
        retention < topics,
        "RETENTION",
        f"{retention:g}s",
        f"not shorter than TOPIC_RETENTION ({topics:g}s): else an event read again is taken twice",
    )
    for least, most in (("RETRY_BASE", "RETRY_MAX"), ("HOLD_PROBE", "HOLD_PROBE_MAX")):
        low, high = values[f"{least.lower()}_s"], values[f"{most.lower()}_s"]
        check(low > high, least, f"{low:g}s", f"not longer than {most} ({high:g}s)")
    for name, allowed in kafka_login.problems(values):
        check(True, name, None, allowed)
    nobody = values["console_user_header"] is None and values["console_people"] is None
    who = "off or read: who acts must be known, by CONSOLE_USER_HEADER or CONSOLE_PEOPLE"
    check(values["console"] == "act" and nobody, "CONSOLE", "act", who)
    server = values["smtp"]
    no_password = server is not None and server.user and values["smtp_password_file"] is None
    check(bool(no_password), "SMTP_PASSWORD_FILE", None, "must be set where SMTP has a user")
    return found
