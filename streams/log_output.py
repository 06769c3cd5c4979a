"""Logging: one line a record on stderr, for people (`text`) or machines (`json`).

Every line has time, level, logger, message, `action` and whatever was given as `extra`; secrets
are cleared from all of it.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import IO, Any, Final

from connectors.known_secrets import remembered
from connectors.redaction import cleared
from streams.setting_values import without_password
from streams.shown_text import as_json_shows, lines, one_line

# Libraries that tell every step they take.
QUIET: Final = ("faust", "mode", "aiokafka", "kafka", "alembic", "aiohttp")
# They log under the names of the classes of ours that build on theirs.
_THEIR_CODE: Final = re.compile(r"[\\/]site-packages[\\/](?:faust|mode)[\\/]")
# The action of a record that names none: most come from libraries.
NO_ACTION: Final = "log"
# What every record has by itself is no extra of ours.
_OWN: Final = frozenset(
    {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "action"}
    | {"taskName", "data"}  # Faust and mode hang an object on theirs
)
# PostgreSQL quotes the whole row that it refuses, in as many lines as it has.
_DETAIL: Final = re.compile(
    r"^DETAIL:.*?(?=^(?:HINT|CONTEXT):|^\[SQL|^\(Background|^The above |^During handling |\Z)",
    re.MULTILINE | re.DOTALL,
)
_LEFT_OUT: Final = "DETAIL:  (left out: it quotes what is stored)\n"


def set_up(form: str | None = None, *, stream: IO[str] | None = None) -> None:
    """Send every record from INFO up to stderr (or `stream`), and nowhere else.

    `form` is the setting LOG: `text`, `json`, or None for text on a terminal and json elsewhere.
    Warnings of Python are records too.
    """
    out = sys.stderr if stream is None else stream
    chosen = form or ("text" if out.isatty() else "json")
    handler = logging.StreamHandler(out)
    handler.addFilter(_worth_a_line)
    handler.setFormatter(JsonLine() if chosen == "json" else TextLine())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)


class JsonLine(logging.Formatter):
    """One JSON object a record: `time level logger message action`, extras, `error`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _safe(_message(record)),
            "action": getattr(record, "action", NO_ACTION),
            **{name: _plain(value) for name, value in _extras(record).items()},
        }
        trace = _trace(self, record)
        if trace:
            fields["error"] = _safe(trace)
        return as_json_shows(json.dumps(fields, ensure_ascii=False, default=str))


class TextLine(logging.Formatter):
    """`time LEVEL logger message action=… name=value`; a traceback follows on its own lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        extras = {"action": getattr(record, "action", NO_ACTION), **_extras(record)}
        named = " ".join(f"{name}={one_line(_safe(str(value)))}" for name, value in extras.items())
        message = one_line(_safe(_message(record)))
        line = f"{_time(record)} {record.levelname:<7} {record.name}: {message}  {named}"
        trace = _trace(self, record)
        return f"{line}\n{lines(_safe(trace))}" if trace else line


def _worth_a_line(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _THEIR_CODE.search(record.pathname)


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    """Never raises: a line with wrong arguments is still worth reading."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _OWN}


def _plain(value: Any) -> Any:
    """Numbers, truth and nothing as they are; all else as cleared text."""
    return value if value is None or isinstance(value, bool | int | float) else _safe(str(value))


def _safe(text: str) -> str:
    return cleared(without_password(_DETAIL.sub(_LEFT_OUT, text)), remembered())


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info and record.exc_info[0] is not None:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)
