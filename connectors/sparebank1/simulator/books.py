"""The books of one simulated company: tables of rows, with indexes, undo and a record of changes.

Rows are plain dicts of JSON values with Decimals for numbers. Names that begin with `_` are the
simulator's own and never shown: `_made_at` (seconds since the epoch; a row is seen from then on)
and `_made_by` (`api` or `person`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from connectors.sparebank1.simulator.model import COMPANY_SPACE, ENTITIES, ID_SPACE, Entity

Row = dict[str, Any]


def _index_key(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


class Table:
    """The rows of one entity, by ID. Look-ups by an indexed field do not depend on letter case."""

    def __init__(self, entity: Entity, company_index: int) -> None:
        self.entity = entity
        self.rows: dict[int, Row] = {}
        # odd, and past every printed number (section 10); company settings are ID 1 (section 5)
        self._last_id = entity.space * ID_SPACE + company_index * COMPANY_SPACE + 11
        self._index: dict[str, dict[object, dict[int, None]]] = {
            field: {} for field in entity.indexed
        }

    def new_id(self) -> int:
        """An ID that no row has had."""
        self._last_id += 2
        return self._last_id

    def put(self, row: Row) -> None:
        """Add the row, or put it in the place of the one with its ID."""
        self.drop(row["ID"])
        self.rows[row["ID"]] = row
        if self.entity.space:
            self._last_id = max(self._last_id, row["ID"])
        for field, entries in self._index.items():
            entries.setdefault(_index_key(row.get(field)), {})[row["ID"]] = None

    def drop(self, row_id: int) -> None:
        """Take the row out, as if it had never been."""
        row = self.rows.pop(row_id, None)
        if row is None:
            return
        for field, entries in self._index.items():
            entries.get(_index_key(row.get(field)), {}).pop(row_id, None)

    def where(self, field: str, value: object) -> list[Row]:
        """Rows whose `field` is `value`, by ID. Texts that differ in case only are among them."""
        if field in self._index:
            return [self.rows[i] for i in sorted(self._index[field].get(_index_key(value), {}))]
        return [row for _, row in sorted(self.rows.items()) if row.get(field) == value]


class Books:
    """All tables of one company. Changes are made through `save` within a `transaction`."""

    def __init__(self, key: str, index: int) -> None:
        self.key = key
        self.active = True
        self.guids: set[str] = set()
        self.tables = {name: Table(entity, index) for name, entity in ENTITIES.items()}
        self.changed: list[tuple[str, int]] = []  # (entity, ID) since the last journal entry
        self.new_guids: list[str] = []  # the same for guids
        self._undo: list[tuple[str, int, Row | None]] = []
        self._undo_guids: list[str] = []

    def table(self, name: str) -> Table:
        """The table of the entity `name`."""
        return self.tables[name]

    def row(self, name: str, row_id: object) -> Row | None:
        """The row with this ID, or None."""
        return self.tables[name].rows.get(row_id) if isinstance(row_id, int) else None

    def save(self, name: str, row: Row) -> Row:
        """Put a row in its table; undone where the transaction fails."""
        before = self.tables[name].rows.get(row["ID"])
        self._undo.append((name, row["ID"], before))
        self.tables[name].put(row)
        self.changed.append((name, row["ID"]))
        return row

    def remove(self, name: str, row: Row) -> None:
        """Take a row out for good; undone where the transaction fails."""
        self._undo.append((name, row["ID"], row))
        self.tables[name].drop(row["ID"])
        self.changed.append((name, row["ID"]))

    def make(self, name: str, values: Row, now: datetime) -> Row:
        """A new row with every field of its entity, saved. `values` win over the blanks."""
        row: Row = {
            field: False if kind == "bool" else None
            for field, kind in self.tables[name].entity.fields.items()
        }
        row |= {"CreatedAt": stamp(now), "CreatedBy": "simulator", "_made_at": now.timestamp()}
        row |= values
        row.setdefault("ID", None)
        if row["ID"] is None:
            row["ID"] = self.tables[name].new_id()
        return self.save(name, row)

    def change(self, name: str, row: Row, values: Row, now: datetime | None = None) -> Row:
        """The row with `values` in it, saved as a new dict. With `now` it counts as updated."""
        touched = {} if now is None else {"UpdatedAt": stamp(now), "UpdatedBy": "simulator"}
        return self.save(name, {**row, **values, **touched})

    def use_guid(self, guid: str) -> None:
        """Remember a `_createguid`; forgotten where the transaction fails (section 12.5)."""
        self.guids.add(guid)
        self._undo_guids.append(guid)
        self.new_guids.append(guid)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing: whatever is raised inside leaves the books as they were."""
        self._undo.clear()
        self._undo_guids.clear()
        changes, guids = len(self.changed), len(self.new_guids)
        try:
            yield
        except BaseException:
            for name, row_id, before in reversed(self._undo):
                self.tables[name].drop(row_id)
                if before is not None:
                    self.tables[name].put(before)
            self.guids.difference_update(self._undo_guids)
            del self.changed[changes:]
            del self.new_guids[guids:]
            raise


def stamp(now: datetime) -> str:
    """A moment as the platform writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def seen(row: Row, horizon: float) -> bool:
    """Whether the row was there at `horizon` (seconds since the epoch)."""
    return bool(row.get("_made_at", 0.0) <= horizon)
