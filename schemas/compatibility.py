"""Whether a changed JSON Schema breaks somebody who built on the old one.

Covers the keywords that `schemas/export.py` writes: type, enum, anyOf, $ref, properties, required,
items, additionalProperties, pattern and the lengths.
"""

from enum import StrEnum
from typing import Any

Schema = dict[str, Any]

# Keywords that only narrow: any change of one may refuse what was taken before.
_LOWER_BOUNDS = ("minLength", "minItems", "minimum")
_UPPER_BOUNDS = ("maxLength", "maxItems", "maximum")


class Direction(StrEnum):
    """Who must be able to go on: those who write such documents, or those who read them."""

    PRODUCER = "producer"  # we read: what they wrote yesterday must still be taken
    CONSUMER = "consumer"  # we write: what we write tomorrow must still be understood


def breaking_changes(old: Schema, new: Schema, direction: Direction) -> list[str]:
    """Every change from `old` to `new` that breaks somebody, as `path: what`; empty when none.

    Producers break by a new required member, a removed member or enum value, a narrower type or
    bound. Consumers break by a removed member, one that may now be absent, a wider type, a new
    value in a closed set. Enums marked `x-extensible-enum` are open: they only lose values.
    """
    return _Comparison(old, new, direction).of(old, new, "$", frozenset())


class _Comparison:
    def __init__(self, old: Schema, new: Schema, direction: Direction) -> None:
        self._roots = (old, new)
        self._direction = direction

    def of(self, old: Schema, new: Schema, path: str, seen: frozenset[str]) -> list[str]:
        place = f"{old.get('$ref')}|{new.get('$ref')}"
        if "$ref" in old and place in seen:
            return []
        seen |= {place}
        old, new = self._resolved(old, 0), self._resolved(new, 1)
        return [
            *self._types(old, new, path),
            *self._values(old, new, path),
            *self._bounds(old, new, path),
            *self._members(old, new, path, seen),
            *self._inside(old, new, path, seen),
        ]

    def _resolved(self, schema: Schema, side: int) -> Schema:
        while "$ref" in schema:
            found: Any = self._roots[side]
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        options = [o for o in schema.get("anyOf", ()) if "$ref" in o]
        if len(options) == 1:  # an optional object: compare the object, keep the null
            inner = self._resolved(options[0], side)
            return {**inner, "type": sorted({*_types_of(inner), *_types_of(schema)})}
        return schema

    def _types(self, old: Schema, new: Schema, path: str) -> list[str]:
        before, after = _types_of(old), _types_of(new)
        if self._direction is Direction.PRODUCER:
            return [f"{path}: no longer takes {name}" for name in sorted(before - after)]
        return [f"{path}: may now be {name}" for name in sorted(after - before)]

    def _values(self, old: Schema, new: Schema, path: str) -> list[str]:
        before, after = set(old.get("enum", ())), set(new.get("enum", ()))
        open_before = set(old.get("x-extensible-enum", ()))
        found = [
            f"{path}: value {value} is gone"
            for value in sorted(open_before - set(new.get("x-extensible-enum", ())))
        ]
        if self._direction is Direction.PRODUCER:
            if after and not before:
                found.append(f"{path}: is now a closed set")
            return found + [f"{path}: value {v} is gone" for v in sorted(before - after) if after]
        if before and not after:
            found.append(f"{path}: is no longer a closed set")
        return found + [f"{path}: value {v} is new in a closed set" for v in sorted(after - before)]

    def _bounds(self, old: Schema, new: Schema, path: str) -> list[str]:
        if self._direction is Direction.CONSUMER:
            return []
        infinite = float("inf")
        tighter = [n for n in _LOWER_BOUNDS if new.get(n, -infinite) > old.get(n, -infinite)]
        tighter += [n for n in _UPPER_BOUNDS if new.get(n, infinite) < old.get(n, infinite)]
        for name in ("pattern", "format"):
            if new.get(name) not in {None, old.get(name)}:
                tighter.append(name)
        if old.get("additionalProperties", True) and new.get("additionalProperties") is False:
            tighter.append("additionalProperties")
        return [f"{path}: {name} is narrower" for name in tighter]

    def _members(self, old: Schema, new: Schema, path: str, seen: frozenset[str]) -> list[str]:
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, needed_now = set(old.get("required", ())), set(new.get("required", ()))
        found = [f"{path}.{name}: is gone" for name in before if name not in after]
        if self._direction is Direction.PRODUCER:
            found += [f"{path}.{n}: is now required" for n in sorted(needed_now - needed)]
        else:
            may_lack = sorted((needed - needed_now) & set(after))
            found += [f"{path}.{name}: may now be absent" for name in may_lack]
        for name in before.keys() & after.keys():
            found += self.of(before[name], after[name], f"{path}.{name}", seen)
        return found

    def _inside(self, old: Schema, new: Schema, path: str, seen: frozenset[str]) -> list[str]:
        found = []
        for name, mark in (("items", "[]"), ("additionalProperties", "{}")):
            before, after = old.get(name), new.get(name)
            if isinstance(before, dict) and isinstance(after, dict):
                found += self.of(before, after, path + mark, seen)
        return found


def _types_of(schema: Schema) -> set[str]:
    """The JSON types that a schema takes, from `type`, `enum` and `anyOf`; empty for any."""
    if "anyOf" in schema:
        return {name for option in schema["anyOf"] for name in _types_of(option)}
    if "$ref" in schema:
        return {"object"}
    found = schema.get("type", [])
    if not found and "enum" in schema:
        return {"null" if value is None else "string" for value in schema["enum"]}
    return {found} if isinstance(found, str) else set(found)
