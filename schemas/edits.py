"""Edits of a dead event before it is replayed: `$.lines[2].account.vatCode` = `3`.

What went out to the customer cannot be edited: company, number, kind, dates, currency,
quantities, amounts, and an invoice's customer (interface section 3).
"""

import re
import types
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, get_args, get_origin

import msgspec

from schemas.content import DATA_TYPES, convert_data, data_tree
from schemas.events import Entity, EntityType, type_of
from schemas.failures import Failure
from schemas.refusals import invalid

EditValue = str | int | Decimal | None
Step = str | int

MAX_EDITS = 100  # members of one command's edit: more is another event, not a mended one
MAX_PATH_CHARACTERS = 200

_STEP = re.compile(r"\.?([A-Za-z][A-Za-z0-9]*)|\[([0-9]{1,6})\]")
_KEPT_EVERYWHERE = frozenset({"company", "currencyCode", "currencyRate"})
_KEPT_AMOUNTS = frozenset({"quantity", "unitPrice", "totalExclVat", "totalVat", "totalInclVat"})
_KEPT_OF_ENTITY = {"number", "kind"}


def parse_path(path: str) -> tuple[Step, ...] | None:
    """The steps of `$.lines[2].account.vatCode` (`$.` may be left out); None if it is no path."""
    if len(path) > MAX_PATH_CHARACTERS:
        return None
    rest = path.removeprefix("$")
    if not rest or (path.startswith("$") and not rest.startswith(".")) or path.startswith("."):
        return None
    steps: list[Step] = []
    position = 0
    while position < len(rest):
        match = _STEP.match(rest, position)
        if match is None:
            return None
        if match[1] is not None and position > 0 and rest[position] != ".":
            return None
        steps.append(match[1] if match[1] is not None else int(match[2]))
        position = match.end()
    return tuple(steps) if isinstance(steps[0], str) else None


def canonical_path(path: str) -> str:
    """The path as failures write it, with `$.` in front."""
    return path if path.startswith("$") else f"$.{path}"


def apply_edits(entity: Entity, edits: Mapping[str, EditValue]) -> Entity | Failure:
    """The entity with members replaced (None empties one), checked like an event.

    `event-invalid` at the path of an edit that names no member, a line that is not there, a
    member that is kept, or at the member that is wrong afterwards.
    """
    kind = type_of(entity)
    tree = data_tree(entity)
    for path, value in edits.items():
        refusal = _apply(kind, tree, path, value)
        if refusal is not None:
            return refusal
    return convert_data(kind, tree)


def edit_refusal(path: str, kind: EntityType) -> Failure | None:
    """Why a path cannot be edited in any entity of this kind, or None."""
    steps = parse_path(path)
    if steps is None:
        return invalid(canonical_path(path), "is not a path like $.lines[2].account.vatCode")
    found = _member_type(kind, steps)
    if found is None:
        return invalid(canonical_path(path), f"is no member of {kind.value} data")
    if _is_kept(kind, steps, found):
        return invalid(canonical_path(path), "cannot be edited")
    return None


def _is_kept(kind: EntityType, steps: tuple[Step, ...], found: Any) -> bool:
    name = steps[-1]
    if found in {date, date | None} or name in _KEPT_EVERYWHERE or name in _KEPT_AMOUNTS:
        return True
    if len(steps) == 1 and name in _KEPT_OF_ENTITY:
        return True
    if kind is not EntityType.INVOICE:
        return False
    # A line or all lines hold quantities and amounts.
    return steps == ("customerNumber",) or name == "lines" or isinstance(name, int)


def _apply(kind: EntityType, tree: dict[str, Any], path: str, value: EditValue) -> Failure | None:
    refusal = edit_refusal(path, kind)
    steps = parse_path(path)
    if refusal is not None or steps is None:
        return refusal
    place: Any = tree
    for step in steps[:-1]:
        if isinstance(step, int):
            if step >= len(place):
                return invalid(canonical_path(path), f"there is no line {step}")
            place = place[step]
        else:
            place = place.setdefault(step, {})
    place[steps[-1]] = value
    return None


def _member_type(kind: EntityType, steps: tuple[Step, ...]) -> Any:
    """The type of a member by the structs, or None where there is no such member."""
    found: Any = DATA_TYPES[kind]
    for step in steps:
        if isinstance(step, int):
            if get_origin(found) is not tuple:
                return None
            found = get_args(found)[0]
            continue
        struct = _struct_in(found)
        if struct is None:
            return None
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(struct)}
        found = fields.get(step)
    return found


def _struct_in(found: Any) -> type[msgspec.Struct] | None:
    options = get_args(found) if isinstance(found, types.UnionType) else (found,)
    structs = (o for o in options if isinstance(o, type) and issubclass(o, msgspec.Struct))
    return next(structs, None)
