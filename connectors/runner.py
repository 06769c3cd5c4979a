"""The shell that drives the connectors' flows: credentials, intents, caches, deadlines.

A flow decides, this does: it sends what a flow yields and tells it what came of it. Before a
write leaves, its intent is on disk and the clock has been read for the last time.

Cancelling a call here is safe at any moment. Before a write has left nothing has happened; after
that the intent on disk has no verdict, which the ledger takes as uncertain.
"""

import logging
import re
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from connectors.attempts import Attempt, Exchange, Intend, SendPermit
from connectors.credentials import Credentials
from connectors.http import HttpSender
from connectors.integrations import Integration
from connectors.port import (
    Answer,
    Call,
    Clock,
    Connector,
    Finding,
    Flow,
    Forget,
    Hold,
    Identification,
    Intent,
    Job,
    Look,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Request,
    Resolution,
    Retry,
    Step,
    Unsure,
    Verdict,
    Write,
)
from connectors.redaction import cleared, excerpt
from connectors.reference_cache import Fetched, ReferenceCache
from schemas.events import EntityType
from schemas.failures import Failure, FailureCode

STEPS_MAX: Final = 2_000
"""Steps of one flow. Reading every voucher of a year takes some hundreds; more is a loop."""

EXCHANGES_KEPT: Final = 40
"""Per attempt, the latest; a delivery has two to ten."""

UNAUTHORISED: Final = 401
_READ: Final = "read"

_PATH: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
"""RFC 3986 `path-absolute`: encoded already, so nothing is left to do but to look."""

_LOG = logging.getLogger(__name__)

T = TypeVar("T")
Reply = Answer | NoAnswer


class _Run:
    """What one run of a flow remembers."""

    __slots__ = ("asked_at", "exchanges", "integration", "intend", "left", "secrets")

    def __init__(
        self,
        integration: Integration,
        intend: Intend | None = None,
        asked_at: float | None = None,
    ) -> None:
        self.integration = integration
        self.intend = intend
        self.asked_at = asked_at
        self.exchanges: list[Exchange] = []
        self.left: Intent | None = None  # the last write whose bytes may have left
        self.secrets = {integration.company_key}  # what was sent and must not be told

    def keep(self, *exchanges: Exchange) -> None:
        self.exchanges.extend(exchanges)
        del self.exchanges[:-EXCHANGES_KEPT]


class Runner:
    """Drives one connector for all its integrations. Safe for any number of calls at once.

    `deadline_s` is the longest a single request may take (setting `…_TIMEOUT`). No method raises
    because of what a remote system does; a bug in a flow is logged and becomes a verdict.
    """

    def __init__(
        self,
        connector: Connector,
        http: HttpSender,
        credentials: Credentials,
        cache: ReferenceCache,
        clock: Clock,
        deadline_s: float,
        heard: Callable[[Integration, Exchange], None] = lambda _whose, _what: None,
    ) -> None:
        """`heard` is told of every call that has ended; it must neither block nor raise."""
        self._heard = heard
        self._connector = connector
        self._http = http
        self._credentials = credentials
        self._cache = cache
        self._clock = clock
        self._deadline_s = deadline_s

    async def deliver(self, job: Job, intend: Intend) -> Attempt[Verdict]:
        """Bring the books to the job's state; `intend` is awaited before every write."""
        run = _Run(job.integration, intend, self._clock.elapsed() - job.waited_s)
        attempt = await self._attempt(lambda: self._connector.deliver(job), run, _broken_delivery)
        if isinstance(attempt.verdict, Hold):
            # Whoever ends the hold has mended something: what was read before says nothing.
            self._cache.forget(job.integration.id, "")
        return attempt

    async def resolve(self, job: Job, intent: Intent) -> Attempt[Resolution]:
        """Look for an uncertain write. Writes nothing."""
        run = _Run(job.integration)
        return await self._attempt(
            lambda: self._connector.resolve(job, intent), run, _broken_look_up
        )

    async def find(
        self, entity_type: EntityType, number: str, integration: Integration
    ) -> Attempt[Finding]:
        """Ask whether a customer, project or invoice is in the books."""
        run = _Run(integration)
        return await self._attempt(
            lambda: self._connector.find(entity_type, number, integration), run, _broken_question
        )

    async def identify(self, integration: Integration) -> Attempt[Identification]:
        """Ask whose books these are."""
        run = _Run(integration)
        return await self._attempt(
            lambda: self._connector.identify(integration), run, _broken_look_up
        )

    async def ask(self, begin: Callable[[], Flow], integration: Integration) -> Attempt[Any]:
        """Run any flow that only asks. A bug in it is `Refused`; a write of it never leaves."""
        return await self._attempt(begin, _Run(integration), _broken_question)

    async def _attempt(
        self, begin: Callable[[], Flow], run: _Run, broken: Callable[[_Run, Exception], T]
    ) -> Attempt[T]:
        try:
            verdict: T = await self._drive(begin(), run)
        except Exception as bug:  # a flow must not take the worker down, nor be lost
            _LOG.exception(
                "a flow failed",
                extra={"action": "flow_failed", "integration": run.integration.id},
            )
            verdict = broken(run, bug)
        return Attempt(verdict=_cleared(verdict, run.secrets), exchanges=tuple(run.exchanges))

    async def _drive(self, flow: Flow, run: _Run) -> Any:
        with closing(flow):
            reply: Any = None
            for _ in range(STEPS_MAX):
                ended, step = _advance(flow, reply)
                if ended:
                    return step
                reply = await self._do(step, run)
        raise RuntimeError("a flow took too many steps")

    async def _do(self, step: Step, run: _Run) -> Any:
        match step:
            case Call(request):
                return await self._call(request, run)
            case Write(request, intent):
                return await self._write(request, intent, run)
            case Look():
                return await self._look(step, run)
            case Forget(prefix):
                return self._cache.forget(run.integration.id, prefix)
        raise TypeError(f"not a step: {type(step).__name__}")

    async def _look(self, step: Look, run: _Run) -> Any:
        async def fetch() -> Fetched:
            # A run of its own: the read belongs to all who wait, and may not write.
            own = _Run(run.integration)
            read: Attempt[Any] = await self._attempt(step.fetch, own, _broken_question)
            return Fetched(read.verdict, read.exchanges)

        found = await self._cache.look(
            run.integration.id, step.key, step.suits, fetch, asked_at=run.asked_at
        )
        run.keep(*found.trail)
        return found.value

    async def _call(self, request: Request, run: _Run) -> Reply:
        token = await self._bearer(request, run)
        if isinstance(token, NoAnswer):
            return token
        return await self._exchange(request, token, run, None, _always)

    async def _write(self, request: Request, intent: Intent, run: _Run) -> Reply:
        if run.intend is None:
            raise TypeError("a flow that only asks wants to write")
        # Before the intent: waiting for a token must not use up the time in which it may leave.
        token = await self._bearer(request, run)
        if isinstance(token, NoAnswer):
            return token
        permit = await run.intend(intent)
        if permit is None:
            return NoAnswer(kind=NoAnswerKind.DROPPED, sent=False, reason="not ours any more")
        return await self._exchange(request, token, run, intent, self._until(permit))

    def _until(self, permit: SendPermit) -> Callable[[], bool]:
        return lambda: self._clock.elapsed() < permit.send_by

    async def _bearer(self, request: Request, run: _Run) -> str | NoAnswer | None:
        if not request.authorised:
            return None
        return await self._credentials.bearer(run.integration)

    async def _exchange(
        self,
        request: Request,
        token: str | None,
        run: _Run,
        intent: Intent | None,
        may_send: Callable[[], bool],
    ) -> Reply:
        """Send, and once more where a 401 may have been the token's fault (contract 1.5)."""
        reply = await self._send(request, token, run, intent, may_send)
        if token is None or isinstance(reply, NoAnswer):
            return reply
        if reply.status != UNAUTHORISED:
            # That the client may list its companies does not say that it may enter this one.
            if request.company_scoped:
                self._credentials.heard(run.integration, token, accepted=True)
            return reply
        newer = await self._credentials.bearer(run.integration, refused=token)
        if isinstance(newer, NoAnswer):
            return newer
        if newer == token:
            return reply
        reply = await self._send(request, newer, run, intent, may_send)
        if isinstance(reply, Answer):
            accepted = reply.status != UNAUTHORISED
            self._credentials.heard(run.integration, newer, accepted=accepted)
        return reply

    async def _send(
        self,
        request: Request,
        token: str | None,
        run: _Run,
        intent: Intent | None,
        may_send: Callable[[], bool],
    ) -> Reply:
        target = encoded_target(request)
        before, begun = run.left, self._clock.elapsed()
        if intent is not None:
            run.left = intent
        reply = await self._http.send(
            run.integration.base_url + target,
            method=request.method,
            headers=_headers(request, run.integration, token),
            body=request.body,
            deadline_s=self._deadline_s,
            may_send=may_send,
        )
        left = isinstance(reply, Answer) or reply.sent
        if not left:
            run.left = before
        run.secrets.add(token or "")
        exchange = _told(request, cleared(target, run.secrets), reply, run.secrets)
        exchange = msgspec.structs.replace(
            exchange,
            kind=_READ if intent is None else intent.kind,
            seconds=self._clock.elapsed() - begun,
            written=intent is not None and left,
        )
        run.keep(exchange)
        self._heard(run.integration, exchange)
        return reply


def encoded_target(request: Request) -> str:
    """Path and query as they go on the wire: the path as it is, the query escaped as UTF-8.

    Raises ValueError for a path that is not percent-encoded, or that leads to another one.
    """
    path = request.path
    if not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValueError("a path starts with /, is percent-encoded and has no dot segments")
    return f"{path}?{urlencode(request.query, quote_via=quote)}" if request.query else path


def _advance(flow: Generator[Step, Any, Any], reply: Any) -> tuple[bool, Any]:
    """The flow's next step, or (True, its verdict)."""
    try:
        return False, flow.send(reply)
    except StopIteration as end:
        return True, end.value


def _headers(request: Request, integration: Integration, token: str | None) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if request.company_scoped and integration.company_key:
        headers["CompanyKey"] = integration.company_key
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


def _cleared(verdict: T, secrets: set[str]) -> T:
    """The verdict without secrets: a flow quotes answers, and knows no token to look for."""
    if isinstance(verdict, tuple):
        return tuple(_cleared(one, secrets) for one in verdict)  # type: ignore[return-value]  # a tuple again
    failure = getattr(verdict, "failure", None)
    if not isinstance(failure, Failure) or not isinstance(verdict, msgspec.Struct):
        return verdict
    told = msgspec.structs.replace(
        failure,
        parameters={name: cleared(text, secrets) for name, text in failure.parameters.items()},
        answer=cleared(failure.answer, secrets) if failure.answer else failure.answer,
    )
    return msgspec.structs.replace(verdict, failure=told)


def _told(request: Request, target: str, reply: Reply, secrets: set[str]) -> Exchange:
    if isinstance(reply, NoAnswer):
        return Exchange(
            kind=_READ,
            method=request.method,
            target=target,
            no_answer=reply.kind,
            reason=reply.reason,
            request=excerpt(request.body, secrets),
        )
    return Exchange(
        kind=_READ,
        method=request.method,
        target=target,
        status=reply.status,
        request=excerpt(request.body, secrets),
        answer=excerpt(reply.body, secrets),
    )


def _always() -> bool:
    return True


def _not_understood(bug: Exception) -> Failure:
    return Failure(
        code=FailureCode.ANSWER_NOT_UNDERSTOOD,
        parameters={"status": "-", "answer": type(bug).__name__},
    )


def _broken_delivery(run: _Run, bug: Exception) -> Refused | Unsure:
    if run.left is None:
        return Refused(failure=_not_understood(bug))
    # It may be in the books, whatever our flow made of the answer.
    number = {"number": run.left.key}
    return Unsure(
        failure=Failure(code=FailureCode.WRITE_UNCERTAIN, parameters=number), intent=run.left
    )


def _broken_question(_run: _Run, bug: Exception) -> Refused:
    return Refused(failure=_not_understood(bug))


def _broken_look_up(_run: _Run, bug: Exception) -> Retry:
    # A question that could not be asked says nothing of the books, and must end no delivery.
    return Retry(failure=_not_understood(bug))
