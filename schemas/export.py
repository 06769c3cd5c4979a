"""The published schemas: JSON Schema of all data, and one AsyncAPI 3 document, from the structs.

Checked in under `schemas/published/`; `schemas/published/baseline/` holds what was promised first,
and a test fails when a struct changes in a way that breaks somebody who built on it.
"""

from pathlib import Path
from typing import Any

import msgspec
import orjson

from schemas.asyncapi import asyncapi_document
from schemas.checks import (
    ENTITIES,
    MAX_NUMBER_CHARACTERS,
    NUMBER_PATTERN,
    OPTIONAL_NUMBER_PATTERN,
)
from schemas.commands import MAX_DELIVERIES, CommandData
from schemas.compatibility import Direction
from schemas.events import Customer, Invoice, Project
from schemas.outcomes import Outcome

Schema = dict[str, Any]

# File name → the struct, and who must be able to go on when it changes.
PUBLISHED: dict[str, tuple[type[msgspec.Struct], Direction]] = {
    "customer.schema.json": (Customer, Direction.PRODUCER),
    "project.schema.json": (Project, Direction.PRODUCER),
    "invoice.schema.json": (Invoice, Direction.PRODUCER),
    "command.schema.json": (CommandData, Direction.PRODUCER),
    "outcome.schema.json": (Outcome, Direction.CONSUMER),
}
ASYNCAPI_FILE = "asyncapi.json"

_JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"
# What a decimal looks like as text; its size is checked by value (interface section 2).
_DECIMAL_PATTERN = r"^\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
_NUMBERS = {"company", "number", "customerNumber", "projectNumber", "creditedInvoiceNumber"}
# Sets of codes that may grow (interface section 4): readers must pass over what they do not know.
_OPEN_SETS = {"FailureCode", "WarningCode"}
_ENTITIES = {struct.__name__ for struct in ENTITIES}
_WHAT_WE_READ = {"Customer", "Project", "Invoice", "InvoiceLine", "Account", "CommandData"}


def documents() -> dict[str, Schema]:
    """Every published document by file name."""
    made = {name: json_schema(struct) for name, (struct, _) in PUBLISHED.items()}
    structs = [struct for struct, _ in PUBLISHED.values()]
    _, components = msgspec.json.schema_components(
        structs, ref_template="#/components/schemas/{name}"
    )
    return made | {ASYNCAPI_FILE: asyncapi_document(_finished(components))}


def json_schema(struct: type[msgspec.Struct]) -> Schema:
    """JSON Schema (2020-12) of a struct, with the rules that types alone do not say."""
    schema = msgspec.json.schema(struct)
    return {
        "$schema": _JSON_SCHEMA,
        "title": f"moment-sync {struct.__name__}",
        "$ref": schema["$ref"],
        "$defs": _finished(schema["$defs"]),
    }


def as_text(document: Schema) -> bytes:
    """A document as it is written to a file: the same bytes for the same document."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def export(directory: Path) -> list[Path]:
    """Write every document into a directory, which is made if need be. Returns the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, document in documents().items():
        path = directory / name
        path.write_bytes(as_text(document))
        paths.append(path)
    return paths


def _finished(definitions: dict[str, Schema]) -> dict[str, Schema]:
    return {name: _definition(name, definitions[name]) for name in sorted(definitions)}


def _definition(name: str, schema: Schema) -> Schema:
    schema = _described(schema)
    if name in _OPEN_SETS:
        values = schema.pop("enum")
        return {**schema, "type": "string", "x-extensible-enum": values}
    properties = schema.get("properties")
    if properties is None:
        return schema
    required = schema.get("required", ())
    members = {
        member: _member(member, found, strict=name in _WHAT_WE_READ and member in required)
        for member, found in properties.items()
    }
    if name in _ENTITIES:
        _say_of_numbers(members)
    if name == "Invoice":
        members["lines"]["minItems"] = 1
    if name == "CommandData":
        members["deliveries"]["maxItems"] = MAX_DELIVERIES
        members["edit"]["additionalProperties"] = {"type": ["string", "number", "null"]}
    return {**schema, "properties": members}


def _say_of_numbers(members: Schema) -> None:
    for member in _NUMBERS & members.keys():
        found = members[member]
        if "anyOf" not in found:
            found["pattern"] = NUMBER_PATTERN
            continue
        for option in found["anyOf"]:
            if option.get("type") == "string":
                option["pattern"] = OPTIONAL_NUMBER_PATTERN


def _described(schema: Schema) -> Schema:
    text = schema.get("description")
    return {**schema, "description": " ".join(text.split())} if text else dict(schema)


def _member(name: str, schema: Schema, *, strict: bool) -> Schema:
    if "anyOf" in schema:
        options = [_member(name, option, strict=False) for option in schema["anyOf"]]
        return {**schema, "anyOf": options}
    if schema.get("format") == "decimal":
        return {"type": ["string", "number"], "pattern": _DECIMAL_PATTERN}
    found = dict(schema)
    if strict and schema == {"type": "string"}:
        found |= {"minLength": 1, "pattern": r"\S"}
        if name in _NUMBERS:
            found["maxLength"] = MAX_NUMBER_CHARACTERS
    return found
