"""A connector's verdicts, in the words of the core."""

from connectors import port
from connectors.port import Finding, Resolution, Verdict
from schemas.failures import Failure, FailureCode
from streams.core.conclude import Result, What
from streams.core.model import entity_key


def result_of(  # noqa: C901, PLR0911 - one return a verdict
    verdict: Verdict | Resolution | Finding, integration: str
) -> Result:
    """Translate one verdict. `integration` names whose parent a closed gate is."""
    match verdict:
        case port.Applied(reference=reference, warnings=warnings):
            return Result(what=What.APPLIED, reference=reference, warnings=warnings)
        case port.Unchanged(reference=reference, warnings=warnings):
            return Result(what=What.UNCHANGED, reference=reference, warnings=warnings)
        case port.Manual(changes=changes, reference=reference, warnings=warnings):
            return Result(what=What.MANUAL, changes=changes, reference=reference, warnings=warnings)
        case port.Refused(failure=failure, warnings=warnings):
            return Result(what=What.REFUSED, failure=failure, warnings=warnings)
        case port.Hold(failure=failure):
            return Result(what=What.HOLD, failure=failure)
        case port.Retry(failure=failure, retry_after=retry_after):
            return Result(what=What.RETRY, failure=failure, retry_after=retry_after)
        case port.Unsure(failure=failure, intent=intent, retry_after=retry_after):
            return Result(
                what=What.UNSURE,
                failure=failure,
                retry_after=retry_after,
                repeatable=intent.repeatable,
                booking=intent.booking,
            )
        case port.GateClosed(parent_type=parent_type, parent_number=number):
            key = entity_key(integration, parent_type, number)
            return Result(what=What.GATE_CLOSED, parent_key=key)
        case port.Absent():
            return Result(what=What.ABSENT)
        case port.Settled(reference=reference) | port.Found(reference=reference):
            return Result(what=What.SETTLED, reference=reference)
        case _:
            return Result(what=What.DROPPED)


def never_answered(number: str) -> Failure:
    """What an interrupted write says of itself while nobody has looked for it yet."""
    return Failure(code=FailureCode.WRITE_UNCERTAIN, parameters={"number": number})
