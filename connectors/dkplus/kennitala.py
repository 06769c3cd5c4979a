"""The kennitala of a customer: ten digits, or none (contract dkplus A7)."""

from connectors.dkplus import wire
from schemas.events import Customer
from schemas.failures import Notable, WarningCode
from schemas.identifiers import has_kennitala_check_digit
from schemas.identifiers import kennitala_of as kennitala_digits

ICELAND = "IS"
_DATE_DIGITS = 6  # before the dash, as it is written for people: DDMMYY-NNXC


def digits_of(text: str) -> str | None:
    """The ten digits of a text, dash and spaces taken out; None where it has not just those."""
    return kennitala_digits(text)


def country_of(customer: Customer) -> str:
    """The country of the address, else the customer's own, in upper case; empty where unsaid."""
    address = customer.address.country_code if customer.address else None
    return (address or customer.country_code or "").strip().upper()


def kennitala_of(customer: Customer) -> str | None:
    """The ten digits of the organisation number; None where it is no kennitala."""
    return kennitala_digits(customer.organisation_number or "")


def doubts(customer: Customer) -> tuple[Notable, ...]:
    """A warning where the check digit of an Icelandic customer fails; it is never a refusal."""
    digits = kennitala_of(customer)
    if digits is None or country_of(customer) not in {"", ICELAND}:
        return ()
    return check_digit(digits)


def check_digit(digits: str) -> tuple[Notable, ...]:
    """A warning where the check digit of ten digits fails (contract dkplus A7)."""
    if has_kennitala_check_digit(digits):
        return ()
    return (Notable(code=WarningCode.KENNITALA_CHECK_DIGIT, parameters={"number": digits}),)


def written_otherwise(number: str) -> tuple[str, ...]:
    """The other usual forms of a ten-digit number: with a dash, and without (contract A11.7)."""
    digits = kennitala_digits(number)
    if digits is None:
        return ()
    dashed = f"{digits[:_DATE_DIGITS]}-{digits[_DATE_DIGITS:]}"
    return tuple(form for form in (digits, dashed) if form != number)


def same_number(one: str, other: str) -> bool:
    """Whether two customer numbers are one: to the letter, or the same ten digits."""
    digits = kennitala_digits(one)
    return one == other or (digits is not None and digits == kennitala_digits(other))


def of_record(record: wire.CustomerRecord) -> str:
    """What the books have for a kennitala: `SSNumber`, else a `Number` of ten digits, else empty.

    Not checked: it may be no kennitala.
    """
    ss_number = wire.text_of(record.ss_number)
    if ss_number:
        return ss_number
    return kennitala_digits(wire.text_of(record.number)) or ""


def all_of(record: wire.CustomerRecord) -> frozenset[str]:
    """Every kennitala that a record shows, as ten digits."""
    shown = (wire.text_of(record.ss_number), wire.text_of(record.number))
    return frozenset(digits for text in shown if (digits := kennitala_digits(text)) is not None)
