"""Asking and writing: flows that turn every answer into a value or a verdict."""

from collections.abc import Callable, Generator
from datetime import datetime
from typing import Any, Final

import msgspec

from connectors.backoff import retry_after_seconds
from connectors.integrations import Integration
from connectors.port import (
    Answer,
    Call,
    Forget,
    Hold,
    Intent,
    NoAnswer,
    NoAnswerKind,
    Refused,
    Request,
    Step,
    Write,
)
from connectors.sparebank1 import requests
from connectors.sparebank1.responses import (
    FORBIDDEN,
    NOT_FOUND,
    REQUEST_TIMEOUT,
    TOO_MANY_REQUESTS,
    UNAUTHORISED,
    ForeignKeyFault,
    Refusal,
    Stop,
    answered,
    is_transient,
    names_foreign_key,
    not_json,
    not_understood,
    unanswered,
    unavailable,
    uncertain,
)
from connectors.sparebank1.wire import Row, Unreadable, decode, integer, row_of, rows_of, text
from schemas.failures import Failure, FailureCode

PAGES_MAX: Final = 100
"""Pages read of a list whose filter was ignored: 5,000 rows, then it proves nothing."""


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """What every question needs: the integration, and the time where there is one."""

    integration: Integration
    now: datetime | None = None


class Listing(msgspec.Struct, frozen=True):
    """The rows of a list that code judged to be meant.

    `whole`: nothing that is meant can be missing from it: the filter was seen to be obeyed, or
    the list was read to its end.
    """

    rows: tuple[Row, ...]
    whole: bool


Pages = Callable[[int], Request]


def read(books: Books, request: Request) -> Generator[Step, Any, Answer | Stop]:
    """An answer that is 2xx or 404, else the verdict that follows."""
    answer: Answer | NoAnswer = yield Call(request)
    if isinstance(answer, NoAnswer):
        if answer.kind is NoAnswerKind.TOO_LARGE:
            parameters = {"status": "", "answer": answer.reason}
            code = FailureCode.ANSWER_NOT_UNDERSTOOD
            return Refused(failure=Failure(code=code, parameters=parameters))
        return unanswered(answer)
    if answer.ok or answer.status == NOT_FOUND:
        return answer
    if answer.status in (UNAUTHORISED, FORBIDDEN):
        return (yield from access(books, answer))
    if is_transient(answer.status):
        return unavailable(answer, books.now)
    return Refusal(answer).verdict


def read_row(books: Books, request: Request) -> Generator[Step, Any, Row | Stop | None]:
    """One record; None where it is not there (404)."""
    answer = yield from read(books, request)
    if not isinstance(answer, Answer):
        return answer
    if answer.status == NOT_FOUND:
        return None
    value = decode(answer.body)
    if isinstance(value, Unreadable):
        return not_json(answer)
    row = row_of(value)
    return not_understood(answer) if row is None or integer(row, "ID") is None else row


def read_page(books: Books, request: Request) -> Generator[Step, Any, list[Row] | Stop]:
    """The rows of one page; a wrapped answer of the statistics is unwrapped (contract 6.1)."""
    answer = yield from read(books, request)
    if not isinstance(answer, Answer):
        return answer
    value = decode(answer.body)
    if isinstance(value, Unreadable) and answer.ok:
        return not_json(answer)
    if isinstance(value, dict) and value.get("Success") is True:
        value = value.get("Data")
    rows = rows_of(value) if answer.ok else None
    if rows is None or any(integer(row, "ID") is None for row in rows):
        return not_understood(answer)
    return rows


def listing(
    books: Books,
    pages: Pages,
    meant: Callable[[Row], bool],
    judged_by: str = "ID",
) -> Generator[Step, Any, Listing | Stop]:
    """All rows that are meant. `pages` makes the request for the rows after so many.

    An unknown filter field gives the unfiltered list (contract sparebank1-regnskap 6.1): a page
    with a row that is not meant, or a full one, is followed by the next. Where no row has the
    member `judged_by`, further pages would prove nothing either and are not read.
    """
    kept: dict[int | None, Row] = {}
    seen: set[int | None] = set()
    skip = 0
    for _ in range(PAGES_MAX):
        page = yield from read_page(books, pages(skip))
        if not isinstance(page, list):
            return page
        fresh = [row for row in page if integer(row, "ID") not in seen]
        seen.update(integer(row, "ID") for row in fresh)
        kept.update((integer(row, "ID"), row) for row in fresh if meant(row))
        short = len(page) < requests.PAGE_ROWS
        if short and (not fresh or all(meant(row) for row in page)):
            return Listing(tuple(kept.values()), whole=True)
        if not fresh or not any(judged_by in row for row in page):
            break
        skip += len(page)
    return Listing(tuple(kept.values()), whole=False)


def access(books: Books, answer: Answer) -> Generator[Step, Any, Hold]:
    """Which hold a 401 that outlived a fresh token, or a 403, stands for (contract 1.5, 12.9).

    A company that our client does not reach is not activated. Where the list of companies is
    answered, the token is good, and it is a right that is missing.
    """
    listed: Answer | NoAnswer = yield Call(requests.companies())
    companies = rows_of(decode(listed.body)) if isinstance(listed, Answer) and listed.ok else None
    if companies is None:
        refused = answer.status == UNAUTHORISED
        code = FailureCode.CREDENTIALS_REFUSED if refused else FailureCode.RIGHT_MISSING
        return Hold(failure=_access(code, answer))
    key = books.integration.company_key.lower()
    if not any(text(company, "Key").lower() == key for company in companies):
        return Hold(failure=Failure(code=FailureCode.NOT_ACTIVATED))
    return Hold(failure=_access(FailureCode.RIGHT_MISSING, answer))


def _access(code: FailureCode, answer: Answer) -> Failure:
    said = answered(code, answer)
    return Failure(code=code, parameters={"answer": said.parameters["answer"]}, answer=said.answer)


def write(
    books: Books, request: Request, intent: Intent
) -> Generator[Step, Any, Answer | Refusal | ForeignKeyFault | Stop]:
    """A 2xx, a refusal that proves nothing was done, or the verdict that follows.

    After a 500 that names a foreign key all cached ids are dropped (contract 12.9).
    """
    answer: Answer | NoAnswer = yield Write(request, intent)
    if isinstance(answer, NoAnswer):
        unsent = not answer.sent or answer.kind is NoAnswerKind.DROPPED
        return unanswered(answer) if unsent else uncertain(intent, answer)
    if answer.ok:
        return answer
    if answer.status == TOO_MANY_REQUESTS:
        return unavailable(answer, books.now)
    if answer.status in (UNAUTHORISED, FORBIDDEN):
        return (yield from access(books, answer))
    if answer.status == REQUEST_TIMEOUT or is_transient(answer.status):
        wait = retry_after_seconds(answer, books.now)
        unsure = uncertain(intent, answer, retry_after=wait)
        if not names_foreign_key(answer):
            return unsure
        yield Forget("")
        return ForeignKeyFault(answer, unsure)
    return Refusal(answer)
