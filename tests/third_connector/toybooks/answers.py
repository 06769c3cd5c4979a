"""What the answers of Toy Books mean: which verdict each is, for reads and for writes."""

from http import HTTPStatus

from connectors.backoff import retry_after_seconds
from connectors.port import Answer, Dropped, Hold, Intent, NoAnswer, NoAnswerKind, Retry, Unsure
from connectors.redaction import excerpt
from schemas.failures import Failure, FailureCode


def failed_read(reply: Answer | NoAnswer) -> Hold | Retry | Dropped:
    """What a read means that brought nothing: it is asked again, or the integration is held."""
    if isinstance(reply, NoAnswer):
        return _unsent(reply)
    return _common(reply) or _unavailable(reply)


def failed_write(
    reply: Answer | NoAnswer, intent: Intent
) -> Hold | Retry | Dropped | Unsure | None:
    """What a write means that may not have succeeded; None for a 2xx and for a 4xx to judge.

    Only a 4xx proves that nothing was done; whatever else came after the bytes left is unsure.
    """
    if isinstance(reply, NoAnswer):
        return _unsure(reply.reason, intent) if reply.sent else _unsent(reply)
    if reply.ok or (_is_client_error(reply) and _common(reply) is None):
        return None
    return _common(reply) or _unsure(str(reply.status), intent)


def told(code: FailureCode, answer: Answer) -> Failure:
    """A failure that quotes what was answered."""
    quoted = excerpt(answer.body)
    parameters = {"status": str(answer.status), "answer": quoted}
    return Failure(code=code, parameters=parameters, answer=f"{answer.status} {quoted}")


def _is_client_error(answer: Answer) -> bool:
    status = answer.status
    return HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and (
        status != HTTPStatus.REQUEST_TIMEOUT
    )


def _common(answer: Answer) -> Hold | Retry | None:
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return Hold(failure=told(FailureCode.CREDENTIALS_REFUSED, answer))
        case HTTPStatus.FORBIDDEN:
            return Hold(failure=told(FailureCode.RIGHT_MISSING, answer))
        case HTTPStatus.TOO_MANY_REQUESTS:
            failure = Failure(code=FailureCode.TOO_MANY_REQUESTS)
            return Retry(failure=failure, retry_after=retry_after_seconds(answer, None))
    return None


def _unavailable(answer: Answer) -> Retry:
    status = {"status": str(answer.status)}
    return Retry(failure=Failure(code=FailureCode.SYSTEM_UNAVAILABLE, parameters=status))


def _unsent(reply: NoAnswer) -> Hold | Retry | Dropped:
    if reply.kind is NoAnswerKind.DROPPED:
        return Dropped()
    reason = {"reason": reply.reason or reply.kind.value}
    return reply.verdict or Retry(
        failure=Failure(code=FailureCode.CONNECTION_FAILED, parameters=reason)
    )


def _unsure(reason: str, intent: Intent) -> Unsure:
    failure = Failure(
        code=FailureCode.WRITE_UNCERTAIN, parameters={"number": intent.key}, answer=reason
    )
    return Unsure(failure=failure, intent=intent)
