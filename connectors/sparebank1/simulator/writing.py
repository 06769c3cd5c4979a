"""Writing entities with their nested objects: checks, `_createguid`, and what a PUT does.

Contract sparebank1-regnskap 2.3, 2.6, 6.2. Nothing here knows customers or projects.
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

import msgspec

from connectors.sparebank1.simulator.answers import Refusal, no_such_key
from connectors.sparebank1.simulator.books import Books, Row
from connectors.sparebank1.simulator.model import (
    ENTITIES,
    INT32_MAX,
    MAX_LENGTHS,
    SYSTEM_FIELDS,
    Entity,
    Relation,
)
from connectors.sparebank1.simulator.switches import Switches

ORE = Decimal("0.01")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T.*)?")
_NEVER_FIELDS = frozenset({"_createguid", "CustomValues"})
# Contact details may stand in two places under one guid, which makes one row (section 2.3).
_ONE_ROW = frozenset({"Email", "Phone", "Address"})
_SAME_CONTACT = {"Email": ("EmailAddress",), "Phone": ("Number", "Type")}
FAX = 150103  # a Phones item of this Type is the fax (section 2.2)
# What a PUT keeps although it leaves it out: keys that tie rows together, and states.
_KEPT = SYSTEM_FIELDS | {"BusinessRelationID", "StatusCode"}


def round_ore(amount: Decimal) -> Decimal:
    """To two decimals, half away from zero (section 12.6)."""
    return amount.quantize(ORE, rounding=ROUND_HALF_UP)


def checked(entity: str, field: str, kind: str, value: object) -> object:
    """The value as the books keep it; raises Refusal where it is not of its kind."""
    if value is None:
        return None
    refusal = Refusal(f"Error converting value {value!r} ({kind})", entity, field)
    if kind in {"text", "time"}:
        if not isinstance(value, str):
            raise refusal
        longest = MAX_LENGTHS.get((entity, field))
        if longest is not None and len(value) > longest:
            raise Refusal(f"{field} kan ikke være lengre enn {longest} tegn", entity, field)
        return value
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "date":
        return _checked_date(value, refusal)
    if isinstance(value, bool) or kind == "bool":
        raise refusal
    return _checked_number(kind, value, refusal)


def _checked_number(kind: str, value: object, refusal: Refusal) -> int | Decimal:
    if kind == "int":
        if not isinstance(value, int) or abs(value) > INT32_MAX:
            raise refusal
        return value
    if not isinstance(value, int | Decimal):
        raise refusal
    return round_ore(Decimal(value)) if kind == "money" else Decimal(value)


def _checked_date(value: object, refusal: Refusal) -> str:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise refusal
    try:
        return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        raise refusal from None


class Writer(msgspec.Struct, kw_only=True):
    """One write request at work within a transaction of the books."""

    books: Books
    switches: Switches
    now: datetime
    note: Callable[[str, str], None]
    updating: bool = False  # a PUT: new nested objects must carry a `_createguid`
    made: dict[str, Row] = {}  # by `_createguid`: the same guid twice in one body is one row
    child_contents: dict[int, Row] = {}

    def values(self, entity: Entity, body: Row) -> Row:
        """The scalars of the body, checked; system fields are ignored, unknown ones noted."""
        values: Row = {}
        for field, value in body.items():
            if field in entity.relations or field in _NEVER_FIELDS or field in SYSTEM_FIELDS:
                continue
            if field not in entity.fields:
                self.note("unknown-field", f"{entity.name}.{field}")
                continue
            kind = entity.fields[field]
            if kind in {"money", "number"} and _decimals(value) > 2 and kind == "money":  # noqa: PLR2004 - øre
                self.note("amount-decimals", f"{entity.name}.{field} = {value}")
            values[field] = checked(entity.name, field, kind, value)
        self._check_keys(entity, values)
        return values

    def _check_keys(self, entity: Entity, values: Row) -> None:
        for field, target in entity.keys.items():
            value = values.get(field)
            if value == 0:
                values[field] = value = None
            if value is None:
                continue
            exists = target in ENTITIES and self.books.row(target, value) is not None
            if not exists:
                raise no_such_key(entity.name, field, value)

    def create(self, entity: Entity, body: Row, extra: Row, *, nested: bool) -> Row:
        """A new row with its nested objects. `extra` wins over the body."""
        guid = self._guid(entity, body, nested=nested)
        if guid is not None and guid in self.made and entity.name in _ONE_ROW:
            return self.made[guid]
        if guid is not None:
            if guid in self.books.guids:
                raise Refusal(f"An entity with _createguid {guid} exists", entity.name, "ID")
            self.books.use_guid(guid)
        row = self.books.make(entity.name, self.values(entity, body) | extra, self.now)
        row = self._children(entity, row, body)
        self._check_required(entity, row)
        if guid is not None:
            self.made[guid] = row
        return row

    def _guid(self, entity: Entity, body: Row, *, nested: bool) -> str | None:
        guid = body.get("_createguid")
        if guid is None:
            if nested:
                self.note("createguid-missing", entity.name)
            if nested and self.updating:
                raise Refusal(
                    "creating new entities in a PUT is not allowed unless _createguid property "
                    "is specified",
                    entity.name,
                    "ID",
                )
            return None
        try:
            return str(UUID(guid))
        except (ValueError, AttributeError, TypeError):
            self.note("createguid-malformed", f"{entity.name}: {guid!r}")
            raise Refusal("Unrecognized Guid format.", entity.name, "_createguid") from None

    def update(self, entity: Entity, row: Row, body: Row) -> Row:
        """The row as a PUT leaves it, nested objects too (section 2.6)."""
        values = self.values(entity, body)
        kept = _KEPT | {r.fk for r in entity.relations.values() if r.owned and not r.back}
        for field, kind in entity.fields.items():
            if field in body or field in kept or row.get(field) in (None, False):
                continue
            self.note("member-left-out", f"PUT {entity.name}.{field} ({kind})")
            if self.switches.put_clears_left_out:
                values[field] = False if kind == "bool" else None
        row = self.books.change(entity.name, row, values, self.now)
        row = self._children(entity, row, body)
        self._check_required(entity, row)
        return row

    def _check_required(self, entity: Entity, row: Row) -> None:
        for field in entity.required:
            if row.get(field) in (None, ""):
                raise Refusal(f"{field} må fylles ut", entity.name, field)

    # --- nested objects -----------------------------------------------------------------------

    def _children(self, entity: Entity, row: Row, body: Row) -> Row:
        for name, relation in entity.relations.items():
            sent = body.get(name)
            if not relation.owned or sent is None:
                continue
            items = sent if relation.many else [sent]
            if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
                raise Refusal(f"Error converting value ({name})", entity.name, name)
            for item in items:
                child = self._child(entity, row, relation, item)
                if not relation.back:
                    row = self._tie(entity, row, relation, child)
        return row

    def _tie(self, entity: Entity, row: Row, relation: Relation, child: Row) -> Row:
        value = None if child["Deleted"] else child["ID"]
        if row.get(relation.fk) == value:
            return row
        return self.books.change(entity.name, row, {relation.fk: value})

    def _child(self, entity: Entity, parent: Row, relation: Relation, item: Row) -> Row:
        target = ENTITIES[relation.entity]
        owner = "BusinessRelationID" if entity.name == "BusinessRelation" else None
        child_id = item.get("ID") or 0
        if child_id == 0:
            extra = {owner: parent["ID"]} if owner else {}
            known = len(self.made)
            made = self.create(target, item, extra, nested=True)
            if owner and len(self.made) > known:
                self._judge_contact(target.name, parent, made)
            return made
        child = self.books.row(relation.entity, child_id)
        tied = child is not None and (
            child.get(owner) == parent["ID"] if owner else parent.get(relation.fk) == child_id
        )
        if child is None or not tied:
            raise no_such_key(entity.name, relation.fk, child_id)
        self._compare_twice(target, item)
        if item.get("Deleted"):
            return self.books.change(relation.entity, child, {"Deleted": True}, self.now)
        return self.update(target, child, item)

    def _judge_contact(self, name: str, parent: Row, made: Row) -> None:
        """An existing row is to be changed, not joined by a second one (section 12.4)."""
        siblings = self.books.table(name).where("BusinessRelationID", parent["ID"])
        for row in siblings if name in _SAME_CONTACT else ():
            if row["ID"] == made["ID"] or row["Deleted"]:
                continue
            both_fax = made.get("Type") == row.get("Type") == FAX
            if both_fax or all(row[f] == made[f] for f in _SAME_CONTACT[name]):
                self.note("contact-doubled", f"{name} {row['ID']} and {made['ID']}")

    def _compare_twice(self, target: Entity, item: Row) -> None:
        """The rule of section 2.3 is broken where one object comes twice and differs."""
        content = {k: v for k, v in item.items() if k in target.fields}
        before = self.child_contents.setdefault(item["ID"], content)
        if before != content:
            self.note("child-sent-twice", f"{target.name} {item['ID']}")


def _decimals(value: Any) -> int:
    if not isinstance(value, Decimal):
        return 0
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) and exponent < 0 else 0
