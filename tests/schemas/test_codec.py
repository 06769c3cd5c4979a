"""What a record of an input topic is read as."""

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.cloudevents import Attributes, Mode
from schemas.codec import DEFECT, Event, Unreadable, decode, encode_event
from schemas.events import Customer, EntityType, Invoice, Project, ProjectState
from schemas.failures import FailureCode
from schemas.wire import Record
from tests.schemas.samples import (
    CUSTOMER,
    INVOICE,
    LINE,
    PROJECT,
    SAMPLE,
    attributes,
    binary,
    invoice_with_line,
    odd_numbers,
    record,
    structured,
    without,
)


def event(found: Record) -> Event:
    result = decode(found)
    assert isinstance(result, Event), result
    return result


def refused(found: Record) -> tuple[str, str | None]:
    result = decode(found)
    assert isinstance(result, Unreadable), result
    assert DEFECT not in result.failure.parameters.get("reason", "")
    return result.failure.code.value, result.failure.field


def as_event(data: bytes | dict[str, Any], kind: str) -> Event:
    return event(binary(data, kind))


def test_a_binary_event_is_read_whole() -> None:
    found = event(binary(CUSTOMER))
    assert (found.id, found.source, found.type) == (
        "e-1",
        "/moment/crm",
        "team.moment.customer.updated",
    )
    assert found.entity_type is EntityType.CUSTOMER
    assert found.time == datetime(2026, 11, 2, 9, tzinfo=UTC)
    assert found.sequence == 17
    assert found.correlation_id == "corr-1"
    assert found.key == b"c-1001/100042"
    assert isinstance(found.data, Customer)
    assert found.data.name == "Fjordkraft Rådgivning AS"
    assert len(found.digest) == 16


@pytest.mark.parametrize("kind", ["customer", "project", "invoice"])
def test_structured_and_binary_mode_give_the_same_event(kind: str) -> None:
    assert event(structured(SAMPLE[kind], kind)) == event(binary(SAMPLE[kind], kind))


def test_a_structured_event_needs_no_content_type() -> None:
    value = structured(CUSTOMER).value
    assert event(record(value)) == event(binary(CUSTOMER))


def test_structured_data_may_be_base64() -> None:
    data = base64.b64encode(json.dumps(CUSTOMER).encode()).decode()
    value = json.dumps({**attributes(), "data_base64": data}).encode()
    assert event(record(value)) == event(binary(CUSTOMER))


def test_header_names_count_in_any_letter_case_and_the_last_of_repeated_ones() -> None:
    found = binary(CUSTOMER)
    shouted = tuple((name.upper(), value) for name, value in found.headers)
    headers = (("ce_id", b"first"), *shouted, ("Ce_Id", b"last"))
    assert event(record(found.value, headers)).id == "last"


def test_the_subject_is_made_from_the_data_where_there_is_none() -> None:
    assert event(binary(CUSTOMER, subject=None)).subject == "customer/100042"


def test_a_subject_that_contradicts_the_data_does_not_decide() -> None:
    found = event(binary(CUSTOMER, subject="invoice/9"))
    assert (found.entity_type, found.data.number) == (EntityType.CUSTOMER, "100042")


@pytest.mark.parametrize("time", ["yesterday", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_a_bad_time_does_not_cost_the_event(time: str) -> None:
    """It decides nothing, and a customer would miss an invoice for it."""
    assert event(binary(CUSTOMER, time=time)).time is None


def test_a_blank_optional_number_is_none_and_a_financial_account_may_stand_between_blanks() -> None:
    data = invoice_with_line(account={"number": " 3000\u00a0"})
    found = as_event({**data, "projectNumber": " \u00a0", "creditedInvoiceNumber": ""}, "invoice")
    assert isinstance(found.data, Invoice)
    assert (found.data.project_number, found.data.credited_invoice_number) == (None, None)
    assert found.data.lines[2].account.number == " 3000\u00a0"


@pytest.mark.parametrize("number", ["100 042", "Kd/7", "ÆØÅ", "2026-014", "a\u00a0b", ".", "-"])
def test_numbers_are_kept_as_they_are(number: str) -> None:
    assert event(binary({**CUSTOMER, "number": number})).data.number == number


def test_decimals_are_exact_from_text_numbers_and_exponents() -> None:
    line = json.dumps(LINE)
    for text, expected in [
        ('"0.1"', "0.1"),
        ("0.10", "0.10"),
        ("1E+2", "1E+2"),
        ('"1e2"', "1E+2"),
        ("123456789012.123456", "123456789012.123456"),
        ("-0.000001", "-0.000001"),
        ('"100.0000000000"', "100.0000000000"),
    ]:
        lines = line.replace('"quantity": "2"', f'"quantity": {text}')
        data = json.dumps({**INVOICE, "lines": ["L"]}).replace('"L"', lines).encode()
        for found in (as_event(data, "invoice").data, structured_invoice(data)):
            assert isinstance(found, Invoice)
            assert str(found.lines[0].quantity) == expected


def structured_invoice(data: bytes) -> Any:
    whole = json.dumps({**attributes("invoice"), "data": "D"}).replace('"D"', data.decode())
    return event(record(whole.encode())).data


@pytest.mark.parametrize(
    ("kind", "member", "text", "expected"),
    [
        ("project", "state", "INPROGRESS", "inProgress"),
        ("customer", "status", "Active", "active"),
        ("invoice", "kind", "CreditNote", "creditNote"),
    ],
)
def test_enums_count_in_any_letter_case(kind: str, member: str, text: str, expected: str) -> None:
    found = as_event({**SAMPLE[kind], member: text}, kind).data
    assert getattr(found, member) == expected


def test_an_enum_in_another_case_costs_no_exactness() -> None:
    data = json.dumps(invoice_with_line(productType="HOURS", quantity="Q"))
    found = as_event(data.replace('"Q"', "123456789012.123456").encode(), "invoice").data
    assert isinstance(found, Invoice)
    assert found.lines[2].quantity == Decimal("123456789012.123456")
    assert found.lines[2].product_type == "hours"


def test_unknown_fields_pass_and_empty_optional_texts_are_none() -> None:
    address = {"line1": "  ", "city": "Oslo", "x": 1}
    found = event(binary({**CUSTOMER, "email": "", "address": address, "new": {"a": [1e5]}})).data
    assert isinstance(found, Customer)
    assert found.email is None
    assert found.address is not None
    assert (found.address.line1, found.address.city) == (None, "Oslo")
    line = invoice_with_line(unit="", account={"number": "3000", "vatCode": ""})
    invoice = as_event(line, "invoice").data
    assert isinstance(invoice, Invoice)
    assert (invoice.lines[2].unit, invoice.lines[2].account.vat_code) == (None, None)


def test_of_repeated_members_the_last_counts() -> None:
    value = json.dumps(CUSTOMER).replace('"number"', '"number": "1", "number"', 1).encode()
    assert event(binary(value)).data.number == "100042"


def test_dates_are_dates() -> None:
    found = as_event(PROJECT, "project").data
    assert isinstance(found, Project)
    assert (found.start_date, found.state) == (date(2026, 1, 1), ProjectState.IN_PROGRESS)


ODD_QUANTITIES: list[Any] = [
    "NaN",
    "sNaN",
    "-Infinity",
    "",
    "1,5",
    "1_000",
    "\u0661",
    "1e999999",
    "1e-999999",
    "0e999999",
    "1e99999999999999999999999",
    "1234567890123456789",
    "1234567890123.123456",
    10**18,
    1e300,
    int("9" * 4000),
    None,
    [],
]
INVALID: list[tuple[str, dict[str, Any] | list[Any] | None, str]] = [
    ("customer", without(CUSTOMER, "number"), "$.number"),
    ("customer", {**CUSTOMER, "number": None}, "$.number"),
    ("customer", {**CUSTOMER, "number": 100042}, "$.number"),
    ("customer", {**CUSTOMER, "number": "n" * 101}, "$.number"),
    ("customer", {**CUSTOMER, "name": " \t"}, "$.name"),
    ("customer", {**CUSTOMER, "name": "a\0b"}, "$.name"),
    ("customer", {**CUSTOMER, "status": "gone"}, "$.status"),
    ("customer", {**CUSTOMER, "status": None}, "$.status"),
    ("customer", {**CUSTOMER, "address": "Oslo"}, "$.address"),
    ("customer", {**CUSTOMER, "address": {"city": 5}}, "$.address.city"),
    ("customer", {**CUSTOMER, "address": {"city": "a\0"}}, "$.address.city"),
    ("customer", [], "$"),
    ("customer", None, "$"),
    ("project", without(PROJECT, "customerNumber"), "$.customerNumber"),
    ("project", {**PROJECT, "startDate": "2026-02-30"}, "$.startDate"),
    ("project", {**PROJECT, "startDate": ""}, "$.startDate"),
    ("project", {**PROJECT, "endDate": "01.02.2026"}, "$.endDate"),
    ("project", {**PROJECT, "endDate": "2026-01-01T00:00:00Z"}, "$.endDate"),
    ("invoice", {**INVOICE, "lines": []}, "$.lines"),
    ("invoice", without(INVOICE, "lines"), "$.lines"),
    ("invoice", {**INVOICE, "lines": [LINE, None]}, "$.lines[1]"),
    ("invoice", {**INVOICE, "currencyCode": ""}, "$.currencyCode"),
    ("invoice", {**INVOICE, "totalVat": "1.0000001"}, "$.totalVat"),
    ("invoice", {**INVOICE, "totalVat": True}, "$.totalVat"),
    ("invoice", {**INVOICE, "projectNumber": "p" * 101}, "$.projectNumber"),
    *(("customer", {**CUSTOMER, "number": number}, "$.number") for number in odd_numbers("100042")),
    ("customer", {**CUSTOMER, "company": "c-1001\u00a0"}, "$.company"),
    ("project", {**PROJECT, "customerNumber": "\t100042"}, "$.customerNumber"),
    ("invoice", {**INVOICE, "number": "1001\u001f"}, "$.number"),
    ("invoice", {**INVOICE, "customerNumber": " 100042"}, "$.customerNumber"),
    ("invoice", {**INVOICE, "projectNumber": "2026-014\u3000"}, "$.projectNumber"),
    ("invoice", {**INVOICE, "creditedInvoiceNumber": "10\u001f01"}, "$.creditedInvoiceNumber"),
    ("invoice", invoice_with_line(account={}), "$.lines[2].account.number"),
    ("invoice", invoice_with_line(account={"number": " "}), "$.lines[2].account.number"),
    (
        "invoice",
        invoice_with_line(account={"number": "1", "vatCode": 3}),
        "$.lines[2].account.vatCode",
    ),
    ("invoice", invoice_with_line(vatCode=3), "$.lines[2].vatCode"),
    ("invoice", invoice_with_line(productType="gifts"), "$.lines[2].productType"),
    *(
        ("invoice", invoice_with_line(quantity=quantity), "$.lines[2].quantity")
        for quantity in ODD_QUANTITIES
    ),
]


@pytest.mark.parametrize(("kind", "data", "path"), INVALID)
def test_wrong_data_is_refused_at_its_path(kind: str, data: Any, path: str) -> None:
    assert refused(binary(data, kind)) == ("event-invalid", path)
    assert refused(structured(data, kind)) == ("event-invalid", path)


def test_wrong_data_behind_an_enum_in_another_case_keeps_its_own_path() -> None:
    data = {**invoice_with_line(quantity="x"), "kind": "INVOICE"}
    assert refused(binary(data, "invoice")) == ("event-invalid", "$.lines[2].quantity")


@pytest.mark.parametrize("number", ["9" * 6000, "1e99999999999999999999999"])
@pytest.mark.parametrize("kind", ["invoice", "INVOICE"])
def test_numbers_beyond_every_type_are_refused_cheaply(number: str, kind: str) -> None:
    data = json.dumps({**invoice_with_line(quantity="Q"), "kind": kind}).replace('"Q"', number)
    code, path = refused(binary(data.encode(), "invoice"))
    assert code == "event-invalid"
    assert path in {"$.lines[2].quantity", "$.kind"}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        None,
        b"   ",
        b"not json",
        b"\x00\x01\x02",
        b'{"company": "c-1001", "number": 1, "name": tru',
        b'{"company": "c-1001", "number": "1", "name": "n", "status": "active"} x',
        b'{"status": "ACTIVE", "number": "1',
        json.dumps(CUSTOMER, ensure_ascii=False).encode("latin-1"),
        b'{"company":"c","number":"1","name":"n","status":"active","x":"\xff"}',
        b'{"company":"c","number":"1","name":"\\ud800","status":"active"}',
        b'{"company":"c","number":"1","name":"n","status":"active","x":NaN}',
        b"[" * 100_000,
        b'{"x":' * 100_000,
        b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
)
def test_what_is_no_json_is_unreadable(value: bytes | None) -> None:
    headers = binary(CUSTOMER).headers
    found = decode(record(value, headers))
    assert isinstance(found, Unreadable)
    assert found.failure.code is FailureCode.EVENT_UNREADABLE
    assert (found.event_id, found.source) == ("e-1", "/moment/crm")
    assert found.company is not None
    assert refused(record(value))[0] == "event-unreadable"


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
@pytest.mark.parametrize("make", [binary, structured])
def test_without_a_cloudevents_attribute_there_is_no_event(name: str, make: Any) -> None:
    assert refused(make(CUSTOMER, **{name: None})) == ("event-unreadable", None)
    assert refused(make(CUSTOMER, **{name: " "})) == ("event-unreadable", None)
    assert refused(make(CUSTOMER, **{name: "x" * 256})) == ("event-unreadable", None)
    assert refused(make(CUSTOMER, **{name: "a\0b"})) == ("event-unreadable", None)


def test_plain_json_without_an_envelope_is_unreadable() -> None:
    found = decode(record(json.dumps(CUSTOMER).encode()))
    assert isinstance(found, Unreadable)
    assert found.failure.code is FailureCode.EVENT_UNREADABLE
    assert found.company == "c-1001"


@pytest.mark.parametrize(
    "changes",
    [{"specversion": "0.3"}, {"id": 5}, {"source": {}}, {"type": None}, {"data_base64": "%%"}],
)
def test_a_bent_envelope_is_unreadable(changes: dict[str, Any]) -> None:
    value = json.dumps({**attributes(), **changes}).encode()
    assert refused(record(value))[0] == "event-unreadable"


def test_an_unknown_type_is_told_before_its_data_is_looked_at() -> None:
    found = decode(binary(b"\xff not json", type="team.moment.supplier.created"))
    assert isinstance(found, Unreadable)
    assert found.failure.code is FailureCode.EVENT_TYPE_UNKNOWN
    assert found.failure.parameters == {"type": "team.moment.supplier.created"}
    assert found.company == "c-1001"


@pytest.mark.parametrize("text", ["-1", "1.0", "0x1", "\u0661", "+1", "1 ", "9" * 19, "9" * 65])
@pytest.mark.parametrize("make", [binary, structured])
def test_a_sequence_that_is_no_number_is_refused(text: str, make: Any) -> None:
    """Order would have to be guessed."""
    assert refused(make(CUSTOMER, sequence=text)) == ("event-invalid", "sequence")


def test_a_sequence_may_be_padded_or_a_json_number() -> None:
    assert event(binary(CUSTOMER, sequence="0" * 40 + "7")).sequence == 7
    assert event(structured(CUSTOMER, sequence=7)).sequence == 7
    assert event(binary(CUSTOMER, sequence=str(2**63 - 1))).sequence == 2**63 - 1
    assert event(binary(CUSTOMER, sequence=None)).sequence is None


def test_carried_attributes_that_cannot_be_carried_are_left_out() -> None:
    found = event(binary(CUSTOMER, tracestate="x" * 2000, correlationid="a\nb"))
    assert (found.tracestate, found.correlation_id) == (None, None)
    value = binary(CUSTOMER)
    assert event(record(value.value, (*value.headers, ("ce_traceparent", b"\xff")))).id == "e-1"


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        (b'{"company":"c-9"}', b"c-1/2", "c-9"),
        (b"nothing", b"c-1/2", "c-1"),
        (b"nothing", b"a/b/2", "a/b"),
        (b"nothing", b"\xff/2", None),
        (b"nothing", b"no slash", None),
        (b"nothing", None, None),
        (b'{"company": 5}', b"c-1/2", "c-1"),
    ],
)
def test_the_company_of_a_letter_is_guessed(
    value: bytes, key: bytes | None, expected: str | None
) -> None:
    found = decode(record(value, key=key))
    assert isinstance(found, Unreadable)
    assert found.company == expected


@pytest.mark.parametrize("kind", ["customer", "project", "invoice"])
@pytest.mark.parametrize("mode", list(Mode))
def test_what_a_producer_writes_is_what_is_read(kind: str, mode: Mode) -> None:
    original = as_event(SAMPLE[kind], kind)
    written = encode_event(
        Attributes(
            id=original.id,
            source=original.source,
            type=original.type,
            time=original.time,
            sequence=original.sequence,
            traceparent=original.traceparent,
            correlation_id=original.correlation_id,
        ),
        original.data,
        mode=mode,
    )
    found = event(record(written.value, written.headers, written.key))
    assert found == msgspec.structs.replace(original, partition_key="c-1001/100042")
    assert written.topic == f"moment.{kind}s"
    assert written.key == original.key
