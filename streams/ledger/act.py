"""One operator's command while it is carried out: what it may touch, and what it leaves behind."""

from typing import Any

import msgspec
from sqlalchemy import Connection

from schemas.commands import Command
from streams.ledger.directory import Directory
from streams.ledger.rules import Moment, Rules
from streams.ledger.tables import audit

REFUSED = "refused"  # in `audit.what`, beside replayed, discarded, resumed, resynced, failed


class Act:
    """One transaction's share of one command. `own`: the lanes that may be written."""

    def __init__(
        self,
        connection: Connection,
        rules: Rules,
        directory: Directory,
        command: Command,
        *,
        own: frozenset[int],
        now: Moment,
        partly: int = 0,
    ) -> None:
        self.connection = connection
        self.rules = rules
        self.directory = directory
        self.command = command
        self.own = own
        self.now = now
        self.progress = partly  # where the next transaction goes on
        self.done = True  # whether nothing is left for another transaction
        self.lane: int | None = None  # where it goes on, if not here
        self.woken: set[str] = set()
        self.resumed: set[str] = set()
        self._audit: list[dict[str, Any]] = []

    def tell(
        self,
        what: str,
        *,
        delivery_id: str | None = None,
        integration: str | None = None,
        **detail: Any,
    ) -> None:
        """Keep in the audit what became of a delivery or an integration."""
        command = {"source": self.command.source, "id": self.command.id}
        known = {name: value for name, value in detail.items() if value is not None}
        self._audit.append(
            {
                "at": self.now.wall,
                "who": self.command.data.by,
                "why": self.command.data.reason or "",
                "what": what,
                "delivery_id": delivery_id,
                "integration": integration,
                "detail": msgspec.json.encode({"command": command, **known}),
            }
        )

    def go_on_in(self, lane: int) -> None:
        """Leave the rest to the owner of another lane."""
        self.done, self.lane = False, lane
        self.progress += 1

    def flush(self) -> None:
        """Write the audit."""
        if self._audit:
            self.connection.execute(audit.insert(), self._audit)
            self._audit.clear()
