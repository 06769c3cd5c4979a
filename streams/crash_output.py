"""What is written when something nobody expected ends a thread or the process: no secrets."""

import logging
import resource
import sys
import threading
import traceback
from types import TracebackType
from typing import Final

from connectors.known_secrets import remembered
from connectors.redaction import cleared
from streams.setting_values import without_password

log = logging.getLogger(__name__)

ACTION: Final = "crashed"


def listen() -> None:
    """Tell of what nobody caught through the log, else cleared on stderr; write no core files.

    A core file holds the memory of the process: every token, and customers' data.
    """
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def safe(text: str) -> str:
    """The text without any secret that is known or looks like one."""
    return cleared(without_password(text), remembered())


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    _tell("nobody caught this", (kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        _tell("a thread ended", (args.exc_type, args.exc_value, args.exc_traceback))


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    if args.exc_value is not None:
        _tell("nobody could be told", (args.exc_type, args.exc_value, args.exc_traceback))


def _tell(
    what: str, error: tuple[type[BaseException], BaseException, TracebackType | None]
) -> None:
    if logging.getLogger().handlers:
        log.critical("%s", what, exc_info=error, extra={"action": ACTION})
    else:
        sys.stderr.write(safe("".join(traceback.format_exception(*error))))
