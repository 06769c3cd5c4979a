"""What an answer means. Pure; the flows that ask stand in `exchange`."""

from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.backoff import retry_after_seconds
from connectors.port import (
    Answer,
    Dropped,
    GateClosed,
    Hold,
    Intent,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Retry,
    Unsure,
)
from connectors.redaction import excerpt
from connectors.sparebank1.wire import Unreadable, decode
from schemas.failures import Failure, FailureClass, FailureCode

QUOTE_MAX: Final = 500
"""Characters of an answer that a failure quotes: enough for any message, small in a header."""

GUID_REFUSED: Final = "guidRefused"
"""In the detail of an intent: the status of an answer that refused a guid."""

Stop = Retry | Hold | Refused | Dropped | GateClosed | Unsure
"""Verdicts that end a flow before the books are as asked."""

MOVED: Final = range(300, 400)
UNAUTHORISED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
REQUEST_TIMEOUT: Final = 408
TOO_MANY_REQUESTS: Final = 429
SERVER_FAULTS: Final = range(500, 600)


class Refusal(msgspec.Struct, frozen=True):
    """A 4xx to a write that is neither access nor a limit: this request was not carried out."""

    answer: Answer

    @property
    def names_guid(self) -> bool:
        """Whether a `_createguid` was refused, which proves nothing (contract 12.5)."""
        return b"createguid" in self.answer.body.lower()

    @property
    def verdict(self) -> Refused:
        """Dead, in the accounting system's own words."""
        return Refused(failure=answered(FailureCode.REFUSED_BY_SYSTEM, self.answer))


class ForeignKeyFault(msgspec.Struct, frozen=True):
    """A 500 that blames an id which the books do not have: `unsure`, and our ids are stale."""

    answer: Answer
    unsure: Unsure


def messages(body: bytes) -> list[str]:
    """What an error body says (contract sparebank1-regnskap 6.2), each text once, in order.

    `Messages[]`, `Message`, and `_validationResults` on any nested object are all understood.
    """
    found: dict[str, None] = {}
    pending: list[Any] = [decode(body)]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            said = value.get("Message")
            if isinstance(said, str) and said.strip():
                found.setdefault(said.strip())
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))
    return list(found)


def answered(code: FailureCode, answer: Answer, *, klass: FailureClass | None = None) -> Failure:
    """A failure that quotes the answer: its messages where it has any, else its body."""
    said = "; ".join(messages(answer.body)).encode() or answer.body
    quote = excerpt(said, limit=QUOTE_MAX)
    return Failure(
        code=code,
        parameters={"status": str(answer.status), "answer": quote},
        klass=klass,
        answer=f"HTTP {answer.status} {excerpt(answer.body, limit=QUOTE_MAX)}".rstrip(),
    )


def not_understood(answer: Answer) -> Refused:
    """JSON of a shape that the contract does not allow: dead, loud."""
    return Refused(failure=answered(FailureCode.ANSWER_NOT_UNDERSTOOD, answer))


def not_json(answer: Answer) -> Retry:
    """A 2xx to a read that is no JSON at all: a proxy's page, or an answer cut short."""
    failure = answered(FailureCode.ANSWER_NOT_UNDERSTOOD, answer, klass=FailureClass.TRANSIENT)
    return Retry(failure=failure)


def unavailable(answer: Answer, now: datetime | None) -> Retry:
    """A server that cannot answer now; its Retry-After is for the whole company (12.9)."""
    if answer.status == TOO_MANY_REQUESTS:
        failure = Failure(code=FailureCode.TOO_MANY_REQUESTS)
    else:
        failure = Failure(
            code=FailureCode.SYSTEM_UNAVAILABLE,
            parameters={"status": str(answer.status)},
            answer=answered(FailureCode.SYSTEM_UNAVAILABLE, answer).answer,
        )
    return Retry(failure=failure, retry_after=retry_after_seconds(answer, now))


def is_transient(status: int) -> bool:
    """Whether the same read may well succeed later."""
    return (
        status in SERVER_FAULTS
        or status in MOVED
        or status in (REQUEST_TIMEOUT, TOO_MANY_REQUESTS)
        or status < 200  # noqa: PLR2004 - an interim status is no answer
    )


def unanswered(nothing: NoAnswer) -> Retry | Hold | Dropped:
    """No usable answer to a read, or to a write of which no byte left."""
    if nothing.kind is NoAnswerKind.DROPPED:
        return Dropped()
    if nothing.verdict is not None:
        return nothing.verdict
    reason = nothing.reason or nothing.kind.value
    return Retry(failure=Failure(code=FailureCode.CONNECTION_FAILED, parameters={"reason": reason}))


def undropped(verdict: Stop) -> Stop:
    """A verdict that all who wait may share: a drop concerns one attempt alone."""
    if not isinstance(verdict, Dropped):
        return verdict
    reason = "given up before it was asked"
    return Retry(failure=Failure(code=FailureCode.CONNECTION_FAILED, parameters={"reason": reason}))


def unlearnt(verdict: Stop) -> Retry | Hold | Refused:
    """What a look-up that failed comes to: it says nothing, so it is tried again.

    Only two hits are a refusal: they are for a person.
    """
    shared = undropped(verdict)
    if isinstance(shared, Refused) and shared.failure.code is not FailureCode.FOUND_TWICE:
        return Retry(failure=shared.failure)
    if isinstance(shared, Retry | Hold | Refused):
        return shared
    raise AssertionError("a look-up neither writes nor has parents")


def uncertain(
    intent: Intent, answer: Answer | NoAnswer, *, retry_after: float | None = None
) -> Unsure:
    """The write may have happened. `retry_after`: seconds that were asked for."""
    if isinstance(answer, Answer):
        said = answered(FailureCode.WRITE_UNCERTAIN, answer).answer
    else:
        said = f"{answer.kind.value} {answer.reason}".rstrip()
    failure = Failure(
        code=FailureCode.WRITE_UNCERTAIN, parameters={"number": intent.key}, answer=said
    )
    return Unsure(failure=failure, intent=intent, retry_after=retry_after)


def unexplained(intent: Intent, refusal: Refusal, look_up: object = None) -> Unsure:
    """A refused write that its look-up did not explain.

    `look_up` is what came of that. A refused guid is noted, and not sent again before a look-up
    has explained it: it is never proof (contract 12.5).
    """
    if refusal.names_guid:
        detail = {**intent.detail, GUID_REFUSED: str(refusal.answer.status)}
        intent = msgspec.structs.replace(intent, detail=detail, repeatable=False)
    wait = look_up.retry_after if isinstance(look_up, Retry) else None
    return uncertain(intent, refusal.answer, retry_after=wait)


def guid_refusal(intent: Intent) -> Retry | None:
    """What `unexplained` noted, as the verdict of a look-up that found nothing."""
    status = intent.detail.get(GUID_REFUSED)
    if status is None:
        return None
    said = "a _createguid was refused, and what it was used for is not there"
    parameters = {"status": status, "answer": said}
    return Retry(failure=Failure(code=FailureCode.REFUSED_BY_SYSTEM, parameters=parameters))


def names_foreign_key(answer: Answer | NoAnswer) -> bool:
    """Whether a 500 blames an id that the books do not have (contract sparebank1-regnskap 6.2)."""
    return (
        isinstance(answer, Answer)
        and answer.status in SERVER_FAULTS
        and b"foreign key" in answer.body.lower()
    )


def written(answer: Answer) -> Any | None:
    """The JSON of a 2xx to a write; an empty body is an empty object; None if unreadable."""
    if not answer.body.strip():
        return {}
    value = decode(answer.body)
    return None if isinstance(value, Unreadable) else value
