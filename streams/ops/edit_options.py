"""`--edit path=value`: read, and refused with what could be edited instead."""

import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec

from schemas.content import DATA_TYPES
from schemas.edits import EditValue, edit_refusal, parse_path
from schemas.events import EntityType
from streams.ops.command_base import CommandEnds, Exit


def read_edits(texts: Iterable[str]) -> dict[str, EditValue]:
    """Paths and values; an empty value empties the member. Ends the command (2) for a bad one."""
    edits: dict[str, EditValue] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        path = path.strip()
        if not equals or parse_path(path) is None:
            raise CommandEnds(
                Exit.WRONG,
                f"--edit {text!r} is not path=value; a path is like lines[2].account.vatCode",
            )
        edits[path] = value or None
    return edits


def refuse_bad_paths(edits: Mapping[str, EditValue], kinds: Iterable[EntityType]) -> None:
    """End the command (2) where a path cannot be edited in entities of one of these kinds."""
    for kind in kinds:
        for path in edits:
            refusal = edit_refusal(path, kind)
            if refusal is not None:
                reason = refusal.parameters.get("reason", "")
                choices = "\n".join(f"  {choice}" for choice in editable(kind))
                raise CommandEnds(
                    Exit.WRONG,
                    f"--edit {path}: {reason}; what can be edited of a {kind.value}:\n{choices}",
                )


def editable(kind: EntityType) -> list[str]:
    """Every path that can be edited in entities of a kind; `[0]` stands for any line."""
    return [path for path in _paths(DATA_TYPES[kind], "") if edit_refusal(path, kind) is None]


def _paths(found: Any, prefix: str) -> Iterator[str]:
    for field in msgspec.structs.fields(found):
        path = f"{prefix}{field.encode_name}"
        struct = _struct(field.type)
        if struct is None:
            yield path
        else:
            is_list = get_origin(field.type) is tuple
            yield from _paths(struct, f"{path}[0]." if is_list else f"{path}.")


def _struct(found: Any) -> Any:
    """The struct that a member is, or is a list of; None where it is neither."""
    options: tuple[Any, ...] = (found,)
    if get_origin(found) is tuple or isinstance(found, types.UnionType):
        options = get_args(found)
    structs = (o for o in options if isinstance(o, type) and issubclass(o, msgspec.Struct))
    return next(structs, None)
