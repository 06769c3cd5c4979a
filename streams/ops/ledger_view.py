"""What commands that look into the ledger share: getting at it, and speaking of what is in it."""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from connectors.integrations import Integration
from schemas.catalogue.catalogue import render
from schemas.cloudevents import rfc3339
from schemas.failures import Failure
from streams.book_rules import BookRules
from streams.directory import LiveDirectory
from streams.integrations_file import IntegrationsError
from streams.integrations_file import read as read_integrations
from streams.ledger.dead import Dead
from streams.ledger.queries import ask
from streams.ledger.schema import is_sqlite, problems
from streams.ops import console_output as out
from streams.ops.command_base import CommandEnds, Exit
from streams.ops.reach import UNREACHABLE, ledger_within_reach
from streams.setting_values import without_password
from streams.settings import Settings

Answer = TypeVar("Answer")

SPEAKS_ENGLISH = "en"  # of what belongs to no integration, or to one that is not set up here


class LedgerView:
    """The ledger of these settings, read only. Making one waits for it, at most 30 seconds.

    Ends the command: 2 where there is none or its schema is another version's, 3 where its
    server cannot be reached.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        _refuse_missing_file(settings.ledger)
        ledger_within_reach(settings.ledger)
        trouble = problems(settings.ledger)
        if trouble is not None:
            raise CommandEnds(Exit.WRONG, trouble)
        self.integrations = _integrations(settings)
        # Partitions count for nothing here: nothing is opened, only looked at.
        self.directory = LiveDirectory(lambda: self.integrations, 1)
        self.rules = BookRules(
            integrations=lambda: self.integrations,
            connectors={},
            group=settings.group,
            version="",
            topic_prefix=settings.topic_prefix,
        )

    def ask(self, query: Callable[[Any], Answer]) -> Answer:
        """Run a query of `streams.ledger`. Ends the command (3) where the database goes away."""
        try:
            return ask(self.settings.ledger, query)
        except Exception as error:
            if type(error).__name__ not in UNREACHABLE:
                raise
            place = without_password(self.settings.ledger)
            raise CommandEnds(Exit.AWAY, f"the ledger {place} went away") from None

    def words(self, failure: Failure, integration: str | None, entity: str | None) -> Any:
        """What happened and what to do, in the integration's language."""
        return words(self.integrations, failure, integration, entity)

    def shown(self, dead: Dead) -> dict[str, Any]:
        """One of the dead as lists show it (interface section 7)."""
        told = self.words(dead.failure, dead.integration, dead.entity)
        return {
            "deliveryId": dead.delivery_id,
            "code": dead.failure.code.value,
            "class": dead.failure.failure_class.value,
            "company": dead.company,
            "integration": dead.integration,
            "entity": dead.entity,
            "text": told.text,
            "action": told.action,
            "field": dead.failure.field,
            "attempts": dead.attempts,
            "replays": dead.replays,
            "lastFailedAt": at(dead.last_failed_at),
        }


def words(
    integrations: Mapping[str, Integration],
    failure: Failure,
    integration: str | None,
    entity: str | None,
) -> Any:
    """What happened and what to do, in the language of an integration that may not be set up."""
    one = integrations.get(integration or "")
    kind, _, number = (entity or "").partition("/")
    return render(
        failure,
        language=one.language.value if one is not None else SPEAKS_ENGLISH,
        system=one.system.value if one is not None else "",
        entity_type=kind,
        number=number,
    )


def at(seconds: float) -> str:
    """Seconds since 1970 as documents show a time."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


def _refuse_missing_file(url: str) -> None:
    """Looking must not make an empty ledger where there is none."""
    if not is_sqlite(url):
        return
    path = url.partition(":///")[2].partition("?")[0]
    if path and not Path(path).exists():
        raise CommandEnds(
            Exit.WRONG,
            f"there is no ledger at {Path(path).absolute()}: MOMENT_SYNC_LEDGER is {url}, a path "
            "that is relative to the working directory, and `moment-sync worker` makes it",
        )


def _integrations(settings: Settings) -> dict[str, Integration]:
    """Those set up here; a file that cannot be used is told, and costs words, not the answer."""
    try:
        found = read_integrations(settings.integrations, os.environ)
    except IntegrationsError as error:
        out.say(f"the integrations are not known here, so texts are in English: {error}")
        return {}
    return {one.id: one for one in found.integrations}
