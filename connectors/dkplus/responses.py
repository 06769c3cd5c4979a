"""What an answer of DK+ means: sorted by what has to be done (contract dkplus A6, A11.1).

Text of an answer is quoted for people and never decides anything.
"""

import re
from datetime import datetime
from http import HTTPStatus
from typing import Any

import msgspec

from connectors.backoff import retry_after_seconds
from connectors.dkplus import wire
from connectors.port import (
    Answer,
    Call,
    Dropped,
    Flow,
    Hold,
    Intent,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Request,
    Retry,
    Unsure,
)
from connectors.redaction import HIDDEN, cleared
from schemas.failures import Failure, FailureCode

QUOTE_LIMIT = 500  # characters of an answer that a person gets to see

ReadFailure = Retry | Hold | Refused | Dropped
WriteFailure = Retry | Hold | Unsure | Dropped

# A token is a GUID (contract dkplus A1), so nothing of that shape leaves in a quotation.
_TOKEN = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b", re.IGNORECASE)


# --- for people ------------------------------------------------------------------------------


def message_of(answer: Answer) -> str:
    """The `Message` of an error body, else the body itself; cut and cleared of secrets."""
    error = wire.decoded(answer.body, wire.ERROR)
    message = error.get("Message") if error is not None else None
    text = message if isinstance(message, str) else answer.body.decode("utf-8", "replace")
    return _fit(text)


def quoted(answer: Answer) -> str:
    """Status and body of an answer, cut and cleared of secrets."""
    return _fit(f"{answer.status} {answer.body.decode('utf-8', 'replace')}")


def _fit(text: str) -> str:
    return _TOKEN.sub(HIDDEN, cleared(" ".join(text.split())))[:QUOTE_LIMIT]


def _told(code: FailureCode, answer: Answer) -> Failure:
    parameters = {"status": str(answer.status), "answer": message_of(answer)}
    return Failure(code=code, parameters=parameters, answer=quoted(answer))


def refused_by_system(answer: Answer) -> Refused:
    """A refusal that no read explains."""
    return Refused(failure=_told(FailureCode.REFUSED_BY_SYSTEM, answer))


def not_understood(answer: Answer) -> Retry:
    """A read that succeeded with something that the contract does not allow: asked again."""
    return Retry(failure=_told(FailureCode.ANSWER_NOT_UNDERSTOOD, answer))


def unavailable(answer: Answer, now: datetime | None) -> Retry:
    """DK+, or something before it, cannot answer now."""
    failure = Failure(
        code=FailureCode.SYSTEM_UNAVAILABLE,
        parameters={"status": str(answer.status)},
        answer=quoted(answer),
    )
    return Retry(failure=failure, retry_after=retry_after_seconds(answer, now))


def uncertain(
    intent: Intent, answer: Answer | NoAnswer, *, retry_after: float | None = None
) -> Unsure:
    """The write may have happened. `retry_after`: seconds that DK+ asked for."""
    said = quoted(answer) if isinstance(answer, Answer) else answer.reason or answer.kind.value
    failure = Failure(
        code=FailureCode.WRITE_UNCERTAIN, parameters={"number": intent.key}, answer=said
    )
    return Unsure(failure=failure, intent=intent, retry_after=retry_after)


def unlearnt(verdict: Any) -> Any:
    """What a look-up came to: one that DK+ refuses says nothing of the books and is asked again.

    Only two hits stay a refusal: they are for a person.
    """
    if isinstance(verdict, Refused) and verdict.failure.code is not FailureCode.FOUND_TWICE:
        return Retry(failure=verdict.failure)
    return verdict


# --- for us ----------------------------------------------------------------------------------


def says_none(answer: Answer) -> bool:
    """Whether a 404 is DK+'s own: HTML is a gateway speaking (contract dkplus A11.2)."""
    return answer.status == HTTPStatus.NOT_FOUND and (
        not answer.body.strip() or wire.is_json(answer.body)
    )


def _of_everything(answer: Answer, now: datetime | None) -> Hold | Retry | None:
    """What a read and a write have in common: 401, 403, 429, and the 404 of a gateway."""
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return Hold(failure=_told(FailureCode.CREDENTIALS_REFUSED, answer))
        case HTTPStatus.FORBIDDEN:
            return Hold(failure=_told(FailureCode.RIGHT_MISSING, answer))
        case HTTPStatus.TOO_MANY_REQUESTS:
            failure = Failure(code=FailureCode.TOO_MANY_REQUESTS, answer=quoted(answer))
            return Retry(failure=failure, retry_after=retry_after_seconds(answer, now))
        case HTTPStatus.NOT_FOUND if not says_none(answer):
            return unavailable(answer, now)
    return None


def _not_sent(answer: NoAnswer) -> Retry | Hold | Dropped:
    if answer.kind is NoAnswerKind.DROPPED:
        return Dropped()
    if answer.verdict is not None:
        return answer.verdict
    reason = answer.reason or answer.kind.value
    return Retry(failure=Failure(code=FailureCode.CONNECTION_FAILED, parameters={"reason": reason}))


def _is_client_error(answer: Answer) -> bool:
    """A 4xx that is an answer to the request; 408 says that the request was not read whole."""
    return (
        HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
        and answer.status != HTTPStatus.REQUEST_TIMEOUT
    )


def failed_read(answer: Answer | NoAnswer, now: datetime | None) -> ReadFailure:
    """What a read means that brought no record and did not say that there is none."""
    if isinstance(answer, NoAnswer):
        return _not_sent(answer)
    common = _of_everything(answer, now)
    if common is not None:
        return common
    if answer.ok:
        return not_understood(answer)
    return refused_by_system(answer) if _is_client_error(answer) else unavailable(answer, now)


def failed_write(
    answer: Answer | NoAnswer, intent: Intent, now: datetime | None
) -> WriteFailure | None:
    """What a write means whose answer needs no reading; None for a 2xx and for a 4xx to judge.

    Only a 4xx proves that nothing was done (contract dkplus A11.1).
    """
    if isinstance(answer, NoAnswer):
        unsent = not answer.sent or answer.kind is NoAnswerKind.DROPPED
        return _not_sent(answer) if unsent else uncertain(intent, answer)
    common = _of_everything(answer, now)
    if common is not None:
        return common
    if answer.ok or _is_client_error(answer):
        return None
    return uncertain(intent, answer, retry_after=retry_after_seconds(answer, now))


def is_complete(answer: Answer) -> bool:
    """Whether a 2xx without a promised body was DK+'s: empty, or JSON (contract dkplus A2)."""
    return answer.ok and (not answer.body.strip() or wire.is_json(answer.body))


def read(request: Request, decoder: msgspec.json.Decoder[Any], now: datetime | None) -> Flow:
    """Read one record, or one list: the record, None where there is none, or a `ReadFailure`."""
    answer = yield Call(request)
    if isinstance(answer, Answer):
        if says_none(answer):
            return None
        record = wire.decoded(answer.body, decoder) if answer.ok else None
        if record is not None:
            return record
    return failed_read(answer, now)


def question(flow: Flow) -> Flow:
    """The flow's answer; a read that was given up is simply asked again, and is no attempt."""
    answer = yield from flow
    if isinstance(answer, Dropped):
        failure = Failure(code=FailureCode.CONNECTION_FAILED, parameters={"reason": "given up"})
        return Retry(failure=failure)
    return answer


def look_up(flow: Flow) -> Flow:
    """The answer of a flow that asks whether something is in the books (`question`, `unlearnt`)."""
    answer = yield from question(flow)
    return unlearnt(answer)
