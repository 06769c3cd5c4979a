"""Numbers with check digits. A failing check digit is a warning, never a refusal."""

import re

from stdnum import luhn
from stdnum.no import orgnr

KID_MIN_DIGITS = 2  # contract sparebank1-regnskap section 7: commonly quoted 2-25
KID_MAX_DIGITS = 25
ORGANISATION_NUMBER_DIGITS = 9
KENNITALA_DIGITS = 10

_KID = re.compile(rf"[0-9]{{{KID_MIN_DIGITS - 1},{KID_MAX_DIGITS - 1}}}[0-9-]")
_KENNITALA_WEIGHTS = (3, 2, 7, 6, 5, 4, 3, 2)
_ELEVEN = 11
_NOT_USED = 10  # a remainder that would need the check digit 10 (contract dkplus A7)


def digits_of(text: str) -> str:
    """The digits 0-9 of a text, in order; everything else is dropped."""
    return "".join(character for character in text if character in "0123456789")


def is_kid(text: str) -> bool:
    """Whether a Norwegian payment id has the right length and a mod 10 or mod 11 check digit.

    Contract sparebank1-regnskap section 7. In mod 11 the last character may be a hyphen (10).
    """
    if not _KID.fullmatch(text):
        return False
    return luhn.is_valid(text) or _mod11_kid_check(text[:-1]) == text[-1]


def is_organisation_number(text: str) -> bool:
    """Whether the digits of a text are a Norwegian organisation number with its check digit.

    `NO 971 234 563 MVA` is read as its nine digits. Contract sparebank1-regnskap section 7.
    """
    digits = digits_of(text)
    return len(digits) == ORGANISATION_NUMBER_DIGITS and bool(orgnr.is_valid(digits))


def kennitala_of(text: str) -> str | None:
    """The ten digits of a kennitala, hyphen and white space removed; None if it is not that.

    This is the only hard rule: dates and check digits prove nothing (contract dkplus A7).
    """
    digits = re.sub(r"[-\s]", "", text)
    plain = len(digits) == KENNITALA_DIGITS and digits.isascii() and digits.isdigit()
    return digits if plain else None


def has_kennitala_check_digit(text: str) -> bool:
    """Whether a text is a kennitala whose ninth digit is its check digit (contract dkplus A7).

    python-stdnum's check is not used: it refuses dates that are not in the calendar, which
    companies have.
    """
    digits = kennitala_of(text)
    if digits is None:
        return False
    total = sum(weight * int(d) for weight, d in zip(_KENNITALA_WEIGHTS, digits, strict=False))
    check = -total % _ELEVEN
    return check != _NOT_USED and check == int(digits[8])


def _mod11_kid_check(payload: str) -> str:
    total = sum(int(d) * (2 + place % 6) for place, d in enumerate(reversed(payload)))
    check = -total % _ELEVEN
    return "-" if check == _NOT_USED else str(check)
