"""The published schemas: up to date, true of real events, and breaking nobody."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.codec import EVENT_TYPES, Event, decode
from schemas.compatibility import Direction, breaking_changes
from schemas.export import ASYNCAPI_FILE, PUBLISHED, as_text, documents, export
from schemas.failures import FailureCode
from schemas.outcomes import OutcomeKind
from tests.schemas.samples import (
    CUSTOMER,
    INVOICE,
    LINE,
    SAMPLE,
    binary,
    odd_numbers,
    structured,
    without,
)
from tests.schemas.test_outcomes import BARE, FULL, encoded

CHECKED_IN = Path(__file__).parents[2] / "schemas" / "published"
SCHEMAS = {name: document for name, document in documents().items() if name in PUBLISHED}


def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[f"{kind}.schema.json"])


def resolved(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


@pytest.mark.parametrize("name", [*PUBLISHED, ASYNCAPI_FILE])
def test_what_is_checked_in_is_what_the_structs_say(name: str) -> None:
    """`moment-sync schemas export schemas/published` brings it up to date."""
    assert (CHECKED_IN / name).read_bytes() == as_text(documents()[name])


def test_an_export_writes_every_document(tmp_path: Path) -> None:
    written = export(tmp_path / "new" / "place")
    assert {path.name for path in written} == {*PUBLISHED, ASYNCAPI_FILE}
    assert all(json.loads(path.read_bytes()) for path in written)


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_change_breaks_who_built_on_the_baseline(name: str) -> None:
    """Break it on purpose only: with a new major version, and a new baseline."""
    baseline = json.loads((CHECKED_IN / "baseline" / name).read_bytes())
    assert breaking_changes(baseline, SCHEMAS[name], PUBLISHED[name][1]) == []


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_schemas_are_json_schemas(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("kind", SAMPLE)
def test_real_events_are_valid(kind: str) -> None:
    assert list(validator(kind).iter_errors(SAMPLE[kind])) == []
    assert list(validator(kind).iter_errors({**SAMPLE[kind], "unknown": 1})) == []


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("customer", without(CUSTOMER, "number")),
        ("customer", {**CUSTOMER, "number": 100042}),
        ("customer", {**CUSTOMER, "name": " "}),
        ("customer", {**CUSTOMER, "status": "gone"}),
        ("customer", {**CUSTOMER, "number": "1" * 101}),
        ("invoice", {**INVOICE, "lines": []}),
        ("invoice", {**INVOICE, "lines": [{**LINE, "quantity": "NaN"}]}),
        ("invoice", {**INVOICE, "lines": [{**LINE, "account": {}}]}),
        ("invoice", {**INVOICE, "totalVat": "1,5"}),
    ],
)
def test_what_is_refused_is_not_valid_either(kind: str, data: Any) -> None:
    assert list(validator(kind).iter_errors(data)) != []


NUMBERS = [*odd_numbers("100042"), "100042", "100 042", "Kd/7", "ÆØÅ", "a\u00a0b", ".", "", " "]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_is_valid_where_it_is_taken(number: str) -> None:
    """By the reader and by the schema alike, required and optional."""
    for kind, member in [("customer", "number"), ("invoice", "projectNumber")]:
        data = {**SAMPLE[kind], member: number}
        taken = isinstance(decode(binary(data, kind)), Event)
        assert (list(validator(kind).iter_errors(data)) == []) is taken, member


@pytest.mark.parametrize("quantity", [1, 1.5, "1.50", "1E+2", "-0.1", ".5"])
def test_decimals_are_valid_as_text_and_number(quantity: Any) -> None:
    data = {**INVOICE, "lines": [{**LINE, "quantity": quantity}]}
    assert list(validator("invoice").iter_errors(data)) == []


@pytest.mark.parametrize("outcome", [BARE, FULL])
def test_published_outcomes_are_valid(outcome: Any) -> None:
    assert list(validator("outcome").iter_errors(json.loads(encoded(outcome).value or b""))) == []


def test_commands_are_valid() -> None:
    data = {"by": "k", "deliveries": ["d"], "edit": {"email": None, "x": 1}}
    assert list(validator("command").iter_errors(data)) == []
    assert list(validator("command").iter_errors({"deliveries": ["d"] * 501})) != []


def test_the_asyncapi_document_hangs_together() -> None:
    document = documents()[ASYNCAPI_FILE]
    assert document["asyncapi"] == "3.0.0"
    assert {channel["address"] for channel in document["channels"].values()} == {
        *("moment.customers", "moment.projects", "moment.invoices", "moment-sync.commands"),
        *("moment-sync.results", "moment-sync.failures", "moment-sync.deadletters"),
    }
    messages = document["components"]["messages"]
    assert set(EVENT_TYPES) <= set(messages)
    assert {f"moment-sync.delivery.{kind.value}" for kind in OutcomeKind} <= set(messages)
    references = [
        line.split('"')[3] for line in as_text(document).decode().splitlines() if '"$ref"' in line
    ]
    assert len(references) > 50
    assert all(resolved(document, reference) for reference in references)


@pytest.mark.parametrize("kind", SAMPLE)
def test_real_records_match_the_asyncapi_messages(kind: str) -> None:
    document = documents()[ASYNCAPI_FILE]
    whole = {"components": document["components"]}
    record = binary(SAMPLE[kind], kind)
    headers = {name: value.decode() for name, value in record.headers}
    message = document["components"]["messages"][headers["ce_type"]]
    assert list(Draft202012Validator({**whole, **message["headers"]}).iter_errors(headers)) == []
    payload = document["components"]["messages"][f"{kind}.structured"]["payload"]
    value = json.loads(structured(SAMPLE[kind], kind).value or b"")
    assert list(Draft202012Validator({**whole, **payload}).iter_errors(value)) == []


def test_every_failure_code_is_published_as_an_open_set() -> None:
    codes = SCHEMAS["outcome.schema.json"]["$defs"]["FailureCode"]
    assert set(codes["x-extensible-enum"]) == {code.value for code in FailureCode}
    assert "enum" not in codes


# --- the checker itself: planted breaks are found ---------------------------------------------

INVOICE_SCHEMA = SCHEMAS["invoice.schema.json"]
OUTCOME_SCHEMA = SCHEMAS["outcome.schema.json"]


def planted(schema: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one place changed; a value of None takes the place away."""
    changed = copy.deepcopy(schema)
    *steps, last = path.split("/")
    place: Any = changed["$defs"]
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return changed


LINE_REQUIRED = INVOICE_SCHEMA["$defs"]["InvoiceLine"]["required"]


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("InvoiceLine/required", [*LINE_REQUIRED, "unit"], "$.lines[].unit: is now required"),
        ("InvoiceLine/properties/unit", None, "$.lines[].unit: is gone"),
        ("ProductType/enum", ["hours"], "$.lines[].productType: value expenses is gone"),
        ("Account/properties/number", {"type": "integer"}, "$.lines[].account.number: no longer"),
        (
            "InvoiceLine/properties/quantity/type",
            ["string"],
            "$.lines[].quantity: no longer takes number",
        ),
        ("Invoice/properties/dueDate/anyOf", [{"type": "string"}], "no longer takes null"),
        ("Invoice/properties/number/maxLength", 10, "$.number: maxLength is narrower"),
        ("Invoice/properties/lines/minItems", 2, "$.lines: minItems is narrower"),
        ("Invoice/properties/currencyCode/pattern", "^[A-Z]{3}$", "pattern is narrower"),
        ("Invoice/additionalProperties", False, "additionalProperties is narrower"),
    ],
)
def test_a_break_of_producers_is_found(path: str, value: Any, found: str) -> None:
    changed = planted(INVOICE_SCHEMA, path, value)
    messages = breaking_changes(INVOICE_SCHEMA, changed, Direction.PRODUCER)
    assert any(found in message for message in messages), messages


OUTCOME_REQUIRED = OUTCOME_SCHEMA["$defs"]["Outcome"]["required"]


@pytest.mark.parametrize(
    ("path", "value", "found"),
    [
        ("Outcome/properties/attempts", None, "$.attempts: is gone"),
        ("Outcome/properties/attempts/type", "string", "$.attempts: may now be string"),
        ("Outcome/required", OUTCOME_REQUIRED[1:], "$.deliveryId: may now be absent"),
        ("OutcomeKind/enum", [*OutcomeKind, "odd"], "$.outcome: value odd is new in a closed set"),
        ("FailureView/properties/class", None, "$.failure.class: is gone"),
        ("BlockedBy/properties/number", {"type": ["string", "null"]}, "may now be null"),
        ("FailureCode/x-extensible-enum", ["a"], "$.failure.code: value account-locked is gone"),
        ("Words/properties/text", None, "$.failure.languages{}.text: is gone"),
    ],
)
def test_a_break_of_consumers_is_found(path: str, value: Any, found: str) -> None:
    changed = planted(OUTCOME_SCHEMA, path, value)
    messages = breaking_changes(OUTCOME_SCHEMA, changed, Direction.CONSUMER)
    assert any(found in message for message in messages), messages


def test_what_is_only_added_breaks_nobody() -> None:
    more = planted(INVOICE_SCHEMA, "Invoice/properties/mood", {"type": "string"})
    assert breaking_changes(INVOICE_SCHEMA, more, Direction.PRODUCER) == []
    kinds = planted(INVOICE_SCHEMA, "ProductType/enum", ["hours", "expenses", "products", "rent"])
    assert breaking_changes(INVOICE_SCHEMA, kinds, Direction.PRODUCER) == []
    told = planted(OUTCOME_SCHEMA, "Outcome/properties/mood", {"type": "string"})
    assert breaking_changes(OUTCOME_SCHEMA, told, Direction.CONSUMER) == []
    codes = [*FailureCode, "new-code"]
    code = planted(OUTCOME_SCHEMA, "FailureCode/x-extensible-enum", codes)
    assert breaking_changes(OUTCOME_SCHEMA, code, Direction.CONSUMER) == []
