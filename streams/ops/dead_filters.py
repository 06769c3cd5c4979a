"""Which of the dead are meant: the options that list, tail, histogram, replay and discard share."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import click
import msgspec

from schemas.cloudevents import parse_time
from schemas.events import EntityType
from schemas.failures import FailureClass, FailureCode
from streams.clock import SystemClock
from streams.ledger.dead import Dead, Filter
from streams.ops.ledger_view import LedgerView
from streams.setting_values import duration

Function = TypeVar("Function", bound=Callable[..., Any])

_KINDS: Final = "|".join(kind.value for kind in EntityType)


class EntityName(click.ParamType):
    """`invoice/1001`."""

    name = "entity"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the type and that there is a number."""
        kind, slash, number = str(value).partition("/")
        if not slash or not number or kind.lower() not in set(EntityType):
            self.fail(f"{value!r} is not {_KINDS}, a slash and a number", param, ctx)
        return f"{kind.lower()}/{number}"


class Since(click.ParamType):
    """A duration back from now, a date or a time; seconds since 1970 come out."""

    name = "since"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it; a time without an offset is UTC."""
        if isinstance(value, float):
            return value
        back = duration(str(value))
        if back is not None:
            return SystemClock().now().timestamp() - back
        text = str(value)
        moment = parse_time(f"{text}T00:00:00Z" if len(text) == len("2026-01-31") else text)
        if moment is None:
            self.fail(
                f"{value!r} is not a duration (24h), a date (2026-01-31) or a time "
                "(2026-01-31T12:00:00Z)",
                param,
                ctx,
            )
        return moment.astimezone(UTC).timestamp()


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What the options name. None: not asked for."""

    code: str | None = None
    klass: str | None = None
    company: str | None = None
    integration: str | None = None
    entity: str | None = None
    since: float | None = None
    text: str | None = None

    @property
    def anything(self) -> bool:
        """Whether any of them was given."""
        return any(value is not None for value in msgspec.structs.astuple(self))

    @property
    def nothing(self) -> str:
        """What is said where none of the dead is meant."""
        return "nothing is dead that fits" if self.anything else "nothing is dead"

    def filter(self, view: LedgerView) -> Filter:
        """The filter for the ledger; `--text` is looked for in the words that a person sees."""
        text = self.text

        def holds(dead: Dead) -> bool:
            return text is None or _holds(view.shown(dead), text, dead.failure.answer)

        return Filter(
            code=None if self.code is None else FailureCode(self.code),
            klass=None if self.klass is None else FailureClass(self.klass),
            company=self.company,
            integration=self.integration,
            entity=self.entity,
            since=self.since,
            text=None if text is None else holds,
        )

    def fits(self, shown: Mapping[str, Any]) -> bool:
        """Whether one of the dead as lists show it is meant."""
        for name, value in (
            ("code", self.code),
            ("class", self.klass),
            ("company", self.company),
            ("integration", self.integration),
            ("entity", self.entity),
        ):
            if value is not None and shown.get(name) != value:
                return False
        failed_at = parse_time(shown.get("lastFailedAt"))
        since = None if self.since is None else datetime.fromtimestamp(self.since, UTC)
        if since is not None and (failed_at is None or failed_at < since):
            return False
        return self.text is None or _holds(shown, self.text, None)


def _holds(shown: Mapping[str, Any], text: str, answer: str | None) -> bool:
    looked_in = (shown.get("text"), shown.get("action"), shown.get("field"), answer)
    return any(text.lower() in found.lower() for found in looked_in if isinstance(found, str))


_OPTIONS: Final = (
    click.option("--code", type=click.Choice([c.value for c in FailureCode]), metavar="CODE"),
    click.option("--class", "klass", type=click.Choice([c.value for c in FailureClass])),
    click.option("--company", help="Of this company in Moment."),
    click.option("--integration", help="Of this integration."),
    click.option("--entity", type=EntityName(), metavar="TYPE/NUMBER", help="Like invoice/1001."),
    click.option("--since", type=Since(), help="Died since: 24h, 2026-01-31, 2026-01-31T12:00Z."),
    click.option("--text", help="With this in its text, action, field or answer."),
)


def filter_options(function: Function) -> Function:
    """The options of a filter, given to the command as `code`, `klass`, `company`, …."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
