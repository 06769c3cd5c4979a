"""Check digits, on every value of the contracts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import luhn

from schemas.identifiers import (
    digits_of,
    has_kennitala_check_digit,
    is_kid,
    is_organisation_number,
    kennitala_of,
)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("000506701000172", True),
        ("000100101000428", True),
        ("000100101000421", True),
        ("10017", True),
        ("10014", True),
        ("12344", True),
        ("12343", True),
        ("10015", False),
        ("12345", False),
        ("1001", False),
        ("6-", True),
        ("10-", False),
        ("-6", False),
        ("1", False),
        ("", False),
        ("1001 7", False),
        ("\u0661\u0660\u0660\u0661\u0667", False),
        ("10017\n", False),
        ("0" * 25, True),
        ("0" * 26, False),
    ],
)
def test_payment_ids_by_contract(text: str, *, valid: bool) -> None:
    """Contract sparebank1-regnskap section 7; 6 x 2 leaves 1, whose check is 10: a hyphen."""
    assert is_kid(text) is valid


@given(st.text("0123456789", min_size=1, max_size=24))
def test_a_payload_with_its_luhn_digit_is_a_payment_id(payload: str) -> None:
    assert is_kid(payload + luhn.calc_check_digit(payload))


@pytest.mark.parametrize("number", ["123456785", "999888771", "812345672", "971234563"])
def test_organisation_numbers_of_the_contract_pass(number: str) -> None:
    assert is_organisation_number(number)
    assert is_organisation_number(f"NO {number[:3]} {number[3:6]} {number[6:]} MVA")
    wrong = number[:8] + str((int(number[8]) + 1) % 10)
    assert not is_organisation_number(wrong)


@pytest.mark.parametrize("last", range(10))
def test_a_prefix_without_check_digit_never_passes(last: int) -> None:
    assert not is_organisation_number(f"91234567{last}")


@pytest.mark.parametrize("text", ["", "12345678", "1234567850", "abc", "١٢٣٤٥٦٧٨٥"])
def test_other_texts_are_no_organisation_number(text: str) -> None:
    assert not is_organisation_number(text)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("7112992030", True),
        ("3112992040", True),
        ("3112992050", False),
        ("3112992200", True),
        ("120160-3389", True),
        *((f"31129928{check}0", False) for check in range(10)),
    ],
)
def test_kennitala_check_digits_by_contract(text: str, *, valid: bool) -> None:
    """Contract dkplus A7: serial 28 of that day would need the check digit 10."""
    assert has_kennitala_check_digit(text) is valid
    assert kennitala_of(text) == text.replace("-", "")


def test_a_company_born_on_no_day_of_the_calendar_has_a_kennitala() -> None:
    """31 February 1969 is a live company's (contract dkplus A7)."""
    digits = next(f"71026901{c}9" for c in range(10) if has_kennitala_check_digit(f"71026901{c}9"))
    assert kennitala_of(f"{digits[:6]}-{digits[6:]}") == digits


@pytest.mark.parametrize("text", ["", "311299205", "31129920500", "311299205x", "٣١١٢٩٩٢٠٥٠"])
def test_what_is_not_ten_digits_is_no_kennitala(text: str) -> None:
    assert kennitala_of(text) is None
    assert not has_kennitala_check_digit(text)


def test_digits_are_taken_out_of_a_text() -> None:
    assert digits_of(" NO 971-234 563MVA ٣") == "971234563"
