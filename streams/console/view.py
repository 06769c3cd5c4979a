"""The ledger and the set-up as pages see them; what the command line uses works on it too."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from connectors.integrations import Integration
from connectors.port import Clock
from streams.book_rules import BookRules
from streams.directory import LiveDirectory
from streams.integrations_file import IntegrationsError
from streams.integrations_file import read as read_integrations
from streams.ledger.console_reader import ConsoleReader
from streams.ops.ledger_view import LedgerView
from streams.settings import Settings

Answer = TypeVar("Answer")


class ConsoleView(LedgerView):
    """A view that waits for nothing and ends nothing.

    `ask` raises `LedgerAwayError` where the ledger is away. `set_up` gives the integrations that
    are in force now, by id.
    """

    def __init__(
        self,
        settings: Settings,
        reader: ConsoleReader,
        set_up: Callable[[], Mapping[str, Integration]],
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.reader = reader
        self.clock = clock
        self._set_up = set_up
        # Partitions count for nothing here: nothing is opened, only looked at.
        self.directory = LiveDirectory(self._in_force, 1)
        self.rules = BookRules(
            integrations=self._in_force,
            connectors={},
            group=settings.group,
            version="",
            topic_prefix=settings.topic_prefix,
        )

    @property
    def integrations(self) -> dict[str, Integration]:  # type: ignore[override]  # always today's
        """Those set up now, by id."""
        return dict(self._set_up())

    def _in_force(self) -> Mapping[str, Integration]:
        return self._set_up()

    def ask(self, query: Callable[[Any], Answer]) -> Answer:
        """Run a query here and wait. Blocks; raises `LedgerAwayError`."""
        return self.reader.ask_now(query)

    def now(self) -> float:
        """Wall time, in seconds since 1970."""
        return self.clock.now().timestamp()

    def system_of(self, integration: str | None) -> str | None:
        """The accounting system of an integration that is set up."""
        one = self._set_up().get(integration or "")
        return None if one is None else one.system.value


class IntegrationsFile:
    """The integrations of a file, read again when it changes; a wrong one changes nothing."""

    def __init__(self, path: str, environ: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self._path = path
        self._environ = environ
        self._tell = tell
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, Integration] = {}

    def __call__(self) -> Mapping[str, Integration]:
        """Those in force, by id. Reads the file where it has changed."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - one call, for its stamp
            stamp = (found.st_mtime_ns, found.st_size)
        except OSError:
            stamp = (0, 0)
        if stamp != self._stamp:
            self._stamp = stamp
            self._read()
        return self._known

    def _read(self) -> None:
        try:
            found = read_integrations(self._path, self._environ)
        except IntegrationsError as error:
            self._tell(f"{Path(self._path).name} was not taken: {error}")
            return
        self._known = {one.id: one for one in found.integrations}
