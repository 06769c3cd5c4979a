"""Telling people: gathers what was noted, decides what is told, hands it over, marks it.

Told at least once: the mark is set after the server has taken the mail, and a repeat has the same
Message-ID. Whatever fails here is tried again with growing pauses and holds up nothing else.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Protocol

import msgspec

from connectors.integrations import Integration
from connectors.port import Clock
from schemas.outcomes import OutcomeKind
from streams.ledger.engine import Ledger, LedgerClosedError
from streams.ledger.notice_causes import Closed, Gather, Told, close, end, gather, mark_told
from streams.ledger.notices import Seen, Stand, Things, look, stands, things
from streams.ledger.pruning import alarm_age_s
from streams.notices.causes import Cause, Say
from streams.notices.compose import LISTED_MOST, Facts, Page, as_text, compose
from streams.notices.mail import build, recipient_of, sender_of
from streams.notices.plan import Rest, decide
from streams.notices.send import Failed, SmtpPost
from streams.settings import Settings

log = logging.getLogger(__name__)

STEP_S = 1.0  # between two looks: the least that a window can be kept to
CAUSES_A_STEP = 50  # looked at in one step; the others have their turn in the next
RETRY_FIRST_S = 5.0  # a server that restarts is back within this
RETRY_MOST_S = 900.0  # 15 min: one that comes back is noticed within this
MOST_DOUBLINGS = 20


class Post(Protocol):
    """Where mails are handed over."""

    async def send(self, message: EmailMessage, sender: str, recipient: str) -> Failed | None:
        """Hand over one mail; None when it was taken."""


class Pause(msgspec.Struct, frozen=True):
    """After so many failures, nothing is tried before `until` (seconds since boot)."""

    failures: int
    until: float


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How notices leave: without a post they go to the log. `group`: the consumer group."""

    post: Post | None
    sender: Address
    group: str
    window_s: float
    kept_s: float = math.inf  # how long the input topics keep an event
    retry_first_s: float = RETRY_FIRST_S
    retry_most_s: float = RETRY_MOST_S


def way_of(settings: Settings, host: str) -> Way:
    """The way that the settings describe; `host` is the name of this host."""
    server = settings.smtp
    return Way(
        post=SmtpPost(server, settings.smtp_password_file, host) if server is not None else None,
        sender=sender_of(settings.smtp_from, server.user if server is not None else None, host),
        group=settings.group,
        window_s=settings.notice_window_s,
        kept_s=settings.topic_retention_s,
    )


class Notices:
    """The notices of one worker: those of the integrations whose lane it owns (design 8)."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        way: Way,
        owner: str,
        partitions: int,
        clock: Clock,
        integrations: Callable[[], Mapping[str, Integration]],
        noticed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`noticed` is told of each notice: `sent`, `logged` or `failed`."""
        self._noticed = noticed
        self._ledger = ledger
        self._way = way
        self._owner = owner
        self._partitions = partitions
        self._clock = clock
        self._integrations = integrations
        self._turn = 0
        self._failing = False
        self._server_pause = Pause(0, 0.0)
        self._pauses: dict[int, Pause] = {}

    async def run(self) -> None:
        """Tell people until cancelled. A mail that is broken off is sent again by whoever is next.

        A bug, or a ledger that cannot be read, ends nothing: it is logged, once until it is over.
        """
        while True:
            try:
                await self.step()
                self._failing = False
            except LedgerClosedError:
                return
            except Exception:
                # Whatever happens to notices, deliveries must go on.
                if not self._failing:
                    log.exception("notices fail", extra={"action": "notices_failed"})
                self._failing = True
            await asyncio.sleep(STEP_S)

    async def step(self) -> None:
        """Look once, and do all that is to be done now."""
        seen = await self._look()
        if seen.to_gather:
            while await self._ledger.submit(gather, self._gathering()):
                pass
            seen = await self._look()
        if not seen.causes:
            self._pauses.clear()
            return
        causes = self._in_turn(seen)
        found = await self._ledger.read(lambda c: stands(c, causes, seen.holds))
        now = self._clock.now().timestamp()
        for cause in causes:
            try:
                await self._mind(cause, found[cause.cause_pk], now)
            except LedgerClosedError:
                raise
            except Exception:
                # A bug that one cause meets must not keep the others from being told.
                log.exception(
                    "a notice fails",
                    extra={"action": "notices_failed", "integration": cause.integration},
                )
                longest = self._clock.elapsed() + self._way.retry_most_s
                self._pauses[cause.cause_pk] = Pause(1, longest)

    async def _mind(self, cause: Cause, stand: Stand, now: float) -> None:
        """Do what is to be done about one cause now."""
        if stand.ended:
            await self._ledger.submit(end, cause.cause_pk)
            return
        doing = decide(
            cause,
            stand.standing,
            now=now,
            window_s=self._way.window_s,
            lasting_s=alarm_age_s(self._way.kept_s),
        )
        if doing is Rest.CLOSE:
            await self._ledger.submit(close, Closed(cause=cause, now=now))
        elif isinstance(doing, Say) and not self._pausing(cause):
            await self._say(cause, doing, self._lasting(stand, now))

    def _lasting(self, stand: Stand, now: float) -> tuple[date, date] | None:
        since, kept = stand.standing.oldest_at, self._way.kept_s
        if since is None or not stand.standing.lasts(now, alarm_age_s(kept)):
            return None
        days = (datetime.fromtimestamp(at, UTC).date() for at in (since, since + kept))
        return next(days), next(days)

    async def _look(self) -> Seen:
        owner, partitions = self._owner, self._partitions
        set_up = self._integrations()
        return await self._ledger.read(lambda c: look(c, owner, partitions, set_up))

    def _gathering(self) -> Gather:
        return Gather(
            owner=self._owner,
            partitions=self._partitions,
            now=self._clock.now().timestamp(),
            integrations=self._integrations(),
        )

    def _in_turn(self, seen: Seen) -> list[Cause]:
        start = self._turn % len(seen.causes)
        self._turn = start + CAUSES_A_STEP if len(seen.causes) > CAUSES_A_STEP else 0
        return [*seen.causes[start:], *seen.causes[:start]][:CAUSES_A_STEP]

    # -- one notice -----------------------------------------------------------------------------

    async def _say(self, cause: Cause, say: Say, lasting: tuple[date, date] | None) -> None:
        found = await self._ledger.read(lambda c: things(c, cause, LISTED_MOST))
        nobody = not found.counts and cause.kind is not OutcomeKind.HELD
        if nobody and say is not Say.SOLVED:
            return  # mended since it was looked at
        integration = self._integrations().get(cause.integration)
        facts = self._facts(cause, say, found, integration)
        page = compose(msgspec.structs.replace(facts, lasting=lasting))
        if integration is None or self._way.post is None:
            _log_notice(cause, say, page)
            self._noticed("logged")
        else:
            failed = await self._hand_over(self._way.post, cause, page, integration)
            self._note_pause(cause, failed)
            self._noticed("sent" if failed is None else "failed")
            if failed is not None:
                return
            log.info(
                "a notice was sent: %s",
                page.subject,
                extra={"action": "notice_sent", "integration": cause.integration},
            )
        now = self._clock.now().timestamp()
        done = Told(cause=cause, say=say, newest_pk=found.newest_pk, now=now)
        await self._ledger.submit(mark_told, done)

    @staticmethod
    def _facts(cause: Cause, say: Say, found: Things, integration: Integration | None) -> Facts:
        return Facts(
            cause=cause,
            say=say,
            language=integration.language.value if integration is not None else "en",
            counts=found.counts,
            listed=found.listed,
            waiting=found.waiting,
        )

    async def _hand_over(
        self, post: Post, cause: Cause, page: Page, integration: Integration
    ) -> Failed | None:
        recipient = recipient_of(integration.notify)
        message = build(
            page,
            cause,
            sender=self._way.sender,
            recipient=recipient,
            group=self._way.group,
            at=self._clock.now(),
        )
        return await post.send(message, self._way.sender.addr_spec, recipient.addr_spec)

    # -- what fails -----------------------------------------------------------------------------

    def _pausing(self, cause: Cause) -> bool:
        now = self._clock.elapsed()
        pause = self._pauses.get(cause.cause_pk)
        return now < self._server_pause.until or (pause is not None and now < pause.until)

    def _note_pause(self, cause: Cause, failed: Failed | None) -> None:
        """Put off what failed: this mail alone, or all of them where the server is away."""
        if failed is None or not failed.only_this:
            self._pauses.pop(cause.cause_pk, None)
            self._server_pause = self._after(self._server_pause, failed)
        else:
            self._server_pause = Pause(0, 0.0)
            before = self._pauses.get(cause.cause_pk, Pause(0, 0.0))
            self._pauses[cause.cause_pk] = self._after(before, failed)
        if failed is not None:
            log.warning(
                "a notice could not be sent and will be tried again: %s",
                failed.reason,
                extra={"action": "notice_not_sent", "integration": cause.integration},
            )

    def _after(self, before: Pause, failed: Failed | None) -> Pause:
        if failed is None:
            return Pause(0, 0.0)
        longest = self._way.retry_most_s
        doubled = self._way.retry_first_s * float(2 ** min(before.failures, MOST_DOUBLINGS))
        return Pause(before.failures + 1, self._clock.elapsed() + min(longest, doubled))


def _log_notice(cause: Cause, say: Say, page: Page) -> None:
    log.log(
        logging.INFO if say is Say.SOLVED else logging.WARNING,
        "%s",
        " | ".join(part for part in as_text(page).splitlines() if part),
        extra={
            "action": "notice",
            "integration": cause.integration,
            "kind": cause.kind.value,
            "code": cause.code.value if cause.code is not None else "",
        },
    )
