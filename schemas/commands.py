"""What operators ask for through Kafka (interface section 3)."""

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec

from schemas.checks import decimal_refusal
from schemas.cloudevents import Attributes, Mode, parts
from schemas.content import exact
from schemas.edits import MAX_EDITS, canonical_path, parse_path
from schemas.failures import Failure
from schemas.refusals import invalid, invalid_by, unreadable
from schemas.wire import Outgoing

COMMANDS_TOPIC = "moment-sync.commands"
TYPE_PREFIX = "moment-sync.command."

MAX_DELIVERIES = 500  # of one command (interface section 3)
MAX_TEXT_CHARACTERS = 1_000  # of `by` and `reason`: they go into the audit and into lists
MAX_ID_CHARACTERS = 255  # of a delivery, an integration or a company


class CommandKind(StrEnum):
    """What is asked for."""

    REPLAY = "replay"
    DISCARD = "discard"
    RESUME = "resume"
    RESYNC = "resync"


COMMAND_TYPES = {f"{TYPE_PREFIX}{kind.value}": kind for kind in CommandKind}


class CommandData(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The data of a command. Exactly one of `deliveries`, `integration`, `company` is set.

    `edit` only with replay: by path, a text, a number (Decimal) or None. `invoices_from` only
    with resync: bring invoices over from that date too. `force` replays what was replayed in
    vain five times. `replays`, only with replay: one for each of `deliveries`, how often it had
    been replayed when this was asked for; what was replayed since is left as it is.
    """

    by: str
    reason: str | None = None
    deliveries: tuple[str, ...] = ()
    integration: str | None = None
    company: str | None = None
    edit: dict[str, Any] = {}  # of EditValue: msgspec takes no union of text and Decimal
    invoices_from: date | None = None
    force: bool = False
    replays: tuple[int, ...] = ()


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command as it came: its attributes, its data and what makes it the same command."""

    id: str
    source: str
    type: str
    kind: CommandKind
    data: CommandData
    digest: bytes
    digest_version: int
    subject: str | None = None
    time: datetime | None = None
    traceparent: str | None = None
    tracestate: str | None = None
    correlation_id: str | None = None
    partition_key: str | None = None


_decoder = msgspec.json.Decoder(CommandData, float_hook=exact)


def decode_command_data(kind: CommandKind, data: bytes) -> CommandData | Failure:
    """The data of a command, or a refusal that names the path. Never raises."""
    try:
        data.decode()
        command = _decoder.decode(data)
    except UnicodeDecodeError:
        return unreadable("not UTF-8")
    except msgspec.ValidationError as error:
        return invalid_by(error)
    except msgspec.DecodeError as error:
        return unreadable(f"not JSON: {error}")
    except RecursionError:
        return unreadable("nested too deeply")
    return command_refusal(kind, command) or command


def command_refusal(kind: CommandKind, command: CommandData) -> Failure | None:
    """Why a command is refused, or None. What it names is not looked up here."""
    return (
        _refuse_texts(command)
        or _refuse_target(kind, command)
        or _refuse_deliveries(command)
        or _refuse_edit(kind, command)
        or _refuse_options(kind, command)
    )


def encode_command(
    attributes: Attributes, data: CommandData, *, key: bytes | None, mode: Mode = Mode.BINARY
) -> Outgoing:
    """The record of a command. `attributes.type` is `TYPE_PREFIX` and the kind."""
    value, headers = parts(attributes, msgspec.json.encode(data), mode)
    return Outgoing(topic=COMMANDS_TOPIC, key=key, value=value, headers=headers)


def command_tree(data: CommandData) -> dict[str, Any]:
    """The data as dicts and lists; decimals stay Decimal."""
    tree: dict[str, Any] = msgspec.to_builtins(data, builtin_types=(Decimal,))
    return tree


def _refuse_texts(command: CommandData) -> Failure | None:
    if not command.by.strip():
        return invalid("$.by", "empty")
    for path, text in (("$.by", command.by), ("$.reason", command.reason)):
        if text is not None and len(text) > MAX_TEXT_CHARACTERS:
            return invalid(path, f"longer than {MAX_TEXT_CHARACTERS} characters")
        if text is not None and "\0" in text:
            return invalid(path, "holds the character U+0000")
    return None


def _refuse_target(kind: CommandKind, command: CommandData) -> Failure | None:
    named = [
        name
        for name, value in (
            ("deliveries", command.deliveries),
            ("integration", command.integration),
            ("company", command.company),
        )
        if value
    ]
    about_deliveries = kind in {CommandKind.REPLAY, CommandKind.DISCARD}
    if not named:
        return invalid("$.deliveries" if about_deliveries else "$.integration", "missing")
    if len(named) > 1:
        return invalid(f"$.{named[1]}", f"{named[0]} is given already: one of them")
    if not about_deliveries and named == ["deliveries"]:
        return invalid("$.deliveries", f"{kind.value} takes an integration or a company")
    name = command.integration or command.company or ""
    if not command.deliveries and not _is_id(name):
        return invalid(f"$.{named[0]}", "is not an id")
    return None


def _refuse_deliveries(command: CommandData) -> Failure | None:
    if len(command.deliveries) > MAX_DELIVERIES:
        return invalid("$.deliveries", f"more than {MAX_DELIVERIES} deliveries")
    for index, delivery in enumerate(command.deliveries):
        if not _is_id(delivery):
            return invalid(f"$.deliveries[{index}]", "is not an id")
    return None


def _refuse_edit(kind: CommandKind, command: CommandData) -> Failure | None:
    if not command.edit:
        return None
    if kind is not CommandKind.REPLAY or not command.deliveries:
        return invalid("$.edit", "goes only with a replay of named deliveries")
    if len(command.edit) > MAX_EDITS:
        return invalid("$.edit", f"more than {MAX_EDITS} members")
    for path, value in command.edit.items():
        if parse_path(path) is None:
            return invalid(canonical_path(path), "is not a path like $.lines[2].account.vatCode")
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal | None):
            return invalid(canonical_path(path), "takes a text, a number or null")
        if isinstance(value, Decimal) and (why := decimal_refusal(value)) is not None:
            return invalid(canonical_path(path), why)
    return None


def _refuse_options(kind: CommandKind, command: CommandData) -> Failure | None:
    if command.invoices_from is not None and kind is not CommandKind.RESYNC:
        return invalid("$.invoicesFrom", "goes only with resync")
    if command.force and kind is not CommandKind.REPLAY:
        return invalid("$.force", "goes only with replay")
    if command.replays and kind is not CommandKind.REPLAY:
        return invalid("$.replays", "goes only with replay")
    if command.replays and len(command.replays) != len(command.deliveries):
        return invalid("$.replays", "not one for each of deliveries")
    return None


def _is_id(text: str) -> bool:
    return 0 < len(text.strip()) <= len(text) <= MAX_ID_CHARACTERS and text.isprintable()
