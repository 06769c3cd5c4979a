"""Customers in DK+: found, twins included, then created or updated (contract dkplus A2, A11.7)."""

from datetime import datetime
from http import HTTPStatus

import msgspec

from connectors.dkplus import kennitala, requests, responses, wire
from connectors.dkplus.mapping import changed_customer, new_customer
from connectors.port import Answer, Applied, Flow, Intent, Job, Refused, Retry, Write
from schemas.events import Customer
from schemas.failures import FailureCode, Notable, Reference, WarningCode

UPDATE = "customer.update"
CREATE = "customer.create"

Warnings = tuple[Notable, ...]


class Located(msgspec.Struct, frozen=True, kw_only=True):
    """A customer in the books: its number there, and whether it is ours written otherwise."""

    number: str
    record: wire.CustomerRecord
    warnings: Warnings = ()

    @property
    def reference(self) -> Reference:
        """DK+ knows a customer by its number alone."""
        return reference_of(self.number)


def reference_of(number: str) -> Reference:
    """What DK+ calls a customer: its number in the books is its key."""
    return Reference(id=number, number=number)


def twin(number: str, other: str) -> Warnings:
    """A warning that another record is, or may be, the same customer."""
    return (Notable(code=WarningCode.CUSTOMER_TWIN, parameters={"number": number, "twin": other}),)


def locate(number: str, now: datetime | None) -> Flow:
    """Look for a customer by number, then by the same ten digits written otherwise.

    Returns `Located`, None where the books have neither, or a `ReadFailure`.
    """
    for form in (number, *kennitala.written_otherwise(number)):
        record = yield from responses.read(requests.get_customer(form), wire.CUSTOMER, now)
        if isinstance(record, wire.CustomerRecord):
            return _located(number, record, wire.text_of(record.number))
        if record is not None:
            return record
    return None


def _located(number: str, record: wire.CustomerRecord, found: str) -> Located | Retry:
    """The record under its own number; another customer's record is no answer to the question."""
    if found.casefold() != number.casefold() and not kennitala.same_number(found, number):
        return responses.not_understood(Answer(status=HTTPStatus.OK, body=found.encode()))
    other = twin(number, found) if found != number else ()
    return Located(number=found, record=record, warnings=other)


def deliver_customer(job: Job, customer: Customer) -> Flow:
    """Bring the books to a customer's state. Returns a `Verdict`.

    A known customer takes one PUT. A 404 forgets it and looks again; a customer that the ledger
    does not know is looked for first, and nothing of it is cleared.
    """
    warnings = kennitala.doubts(customer)
    if job.itself is not None:
        known = job.itself.number
        verdict = yield from _update(job, customer, known, job.applied, warnings)
        if verdict is not None:
            return verdict
    located = yield from locate(customer.number, job.now)
    if isinstance(located, Located):
        return (yield from _adopt(job, customer, located, warnings))
    if located is not None:
        return located
    others = yield from _of_same_kennitala(customer, job.now)
    if isinstance(others, Located):
        return (yield from _adopt(job, customer, others, warnings))
    if not isinstance(others, tuple):
        return others
    return (yield from _create(job, customer, warnings + others))


def _adopt(job: Job, customer: Customer, located: Located, warnings: Warnings) -> Flow:
    told = warnings + located.warnings
    verdict = yield from _update(job, customer, located.number, None, told)
    if verdict is None:  # read a moment ago, and gone: its cache and dk disagree
        return responses.unavailable(Answer(status=HTTPStatus.NOT_FOUND), job.now)
    return verdict


def _update(
    job: Job, customer: Customer, number: str, applied: bytes | None, warnings: Warnings
) -> Flow:
    """PUT what Moment owns. Returns a `Verdict`, None where DK+ has no such customer."""
    intent = Intent(kind=UPDATE, key=number, repeatable=True)
    request = requests.update_customer(number, changed_customer(customer, applied))
    answer = yield Write(request, intent)
    failure = responses.failed_write(answer, intent, job.now)
    if failure is not None:
        return failure
    if responses.says_none(answer):
        return None
    if not answer.ok:
        return responses.refused_by_system(answer)
    if not responses.is_complete(answer):
        return responses.uncertain(intent, answer)
    return Applied(reference=reference_of(number), warnings=warnings)


def _create(job: Job, customer: Customer, warnings: Warnings) -> Flow:
    intent = Intent(kind=CREATE, key=customer.number)
    answer = yield Write(requests.create_customer(new_customer(customer)), intent)
    failure = responses.failed_write(answer, intent, job.now)
    if failure is not None:
        return failure
    if answer.ok:
        if not responses.is_complete(answer):
            return responses.uncertain(intent, answer)
        return Applied(reference=reference_of(customer.number), warnings=warnings)
    located = yield from locate(customer.number, job.now)
    if isinstance(located, Located):
        return (yield from _adopt(job, customer, located, warnings))
    return responses.refused_by_system(answer) if located is None else responses.unlearnt(located)


def _of_same_kennitala(customer: Customer, now: datetime | None) -> Flow:
    """What else has the customer's kennitala.

    Returns warnings of other numbers, `Located` where a number is ours in a form that nobody
    guesses, or a `ReadFailure`.
    """
    digits = kennitala.kennitala_of(customer)
    if digits is None:
        return ()
    records: list[wire.CustomerRecord] = []
    for form in (digits, *kennitala.written_otherwise(digits)):
        if kennitala.same_number(form, customer.number):
            continue  # looked for already
        record = yield from responses.read(requests.get_customer(form), wire.CUSTOMER, now)
        if isinstance(record, wire.CustomerRecord):
            records.append(record)
        elif record is not None:
            return record
    hits = yield from _search(digits, now)
    if not isinstance(hits, list):
        return hits
    numbers: dict[str, None] = {}
    for record in (*records, *hits):
        number = wire.text_of(record.number)
        if number and kennitala.same_number(number, customer.number):
            return _located(customer.number, record, number)
        if number and digits in kennitala.all_of(record):
            numbers[number] = None
    return tuple(notable for number in numbers for notable in twin(customer.number, number))


def _search(value: str, now: datetime | None) -> Flow:
    """Hits of a search, or a `ReadFailure`.

    Only warnings hang on it: that DK+ refuses it, or answers it oddly, is no reason to stop.
    """
    found = yield from responses.read(requests.search_customers(value), wire.CUSTOMERS, now)
    odd = isinstance(found, Retry) and found.failure.code is FailureCode.ANSWER_NOT_UNDERSTOOD
    return [] if found is None or odd or isinstance(found, Refused) else found
