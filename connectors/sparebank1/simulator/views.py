"""Reading the books: rows as the platform shows them, lists, and statistics.

Contract sparebank1-regnskap 2.5, 4.5, 6.1. Related objects are absent without `expand`; a filter
reaches only into what is expanded; what is unknown is ignored, and noted by the judge.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from typing import Any

import msgspec

from connectors.sparebank1.simulator import filters
from connectors.sparebank1.simulator.books import Books, Row, seen
from connectors.sparebank1.simulator.model import ENTITIES, Entity, Relation
from connectors.sparebank1.simulator.switches import (
    ExternalReference,
    Switches,
    UnknownField,
    VatPercentAt,
)

Tree = dict[str, "Tree"]
Note = Callable[[str, str], None]  # kind, text

# Relations that exist on the platform and are always empty here (sections 2.2, 3).
_EMPTY_HERE = frozenset(
    word.lower()
    for word in (
        *("PaymentTerms", "DeliveryTerms", "Distributions", "DefaultSeller", "Sellers"),
        *("Companies", "CustomValues", "Contacts", "BankAccounts", "DefaultContact"),
        *("DefaultBankAccount", "ProjectTasks", "ProjectResources", "WorkPlaceAddress"),
        *("NumberSeriesTask", "UseNumbersFromNumberSeries", "Project", "VatCodeGroup"),
        *("VatReportReferences", "Accrual", "VatType", "CurrencyCode", "Account"),
    )
)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader sees: the books at a `horizon` (seconds since the epoch) under the switches."""

    books: Books
    switches: Switches
    horizon: float
    note: Note

    # --- one row ------------------------------------------------------------------------------

    def expand(self, entity: Entity, text: str) -> Tree:
        """`Info,Info.DefaultEmail` as a tree of the relations' own names."""
        tree: Tree = {}
        for path in filter(None, (p.strip() for p in text.split(","))):
            here, at = tree, entity
            for word in path.split("."):
                name = _named(at.relations, word)
                if name is None:
                    if word.lower() not in _EMPTY_HERE:
                        self.note("expand-unknown", f"{entity.name}: {path}")
                    break
                here = here.setdefault(name, {})
                at = ENTITIES[at.relations[name].entity]
        return tree

    def show(self, entity: Entity, row: Row, tree: Tree) -> dict[str, Any]:
        """The row with what `tree` expands, and nothing else that is related."""
        shown = {field: row.get(field) for field in entity.fields if self._visible(entity, field)}
        shown["CustomValues"] = {}
        for name, below in tree.items():
            relation = entity.relations[name]
            target = ENTITIES[relation.entity]
            rows = [self.show(target, r, below) for r in self.related(entity, row, relation)]
            if entity.name == "VatType" and self.switches.vat_percent_at is VatPercentAt.DIRECT:
                rows = [] if name == "VatTypePercentages" else rows
            shown[name] = rows if relation.many else (rows[0] if rows else None)
        return shown

    def related(self, entity: Entity, row: Row, relation: Relation) -> list[Row]:
        """The rows that a relation leads to; deleted ones are not shown as related."""
        table = self.books.table(relation.entity)
        if relation.back:
            rows = table.where(relation.fk, row["ID"])
        else:
            found = self.books.row(relation.entity, row.get(relation.fk))
            rows = [found] if found else []
        keep_deleted = entity.name not in {"Customer", "BusinessRelation"}
        return [r for r in rows if seen(r, self.horizon) and (keep_deleted or not r["Deleted"])]

    def _visible(self, entity: Entity, field: str) -> bool:
        if entity.name == "VatType" and field == "VatPercent":
            return self.switches.vat_percent_at is not VatPercentAt.PERCENTAGES
        if field in {"ExternalReference", "ExternalSource"}:
            return self.switches.external_reference is not ExternalReference.DROPPED
        return True

    # --- filters ------------------------------------------------------------------------------

    def kind_of(self, entity: Entity, tree: Tree, path: tuple[str, ...]) -> str | None:
        """The kind of the field at the end of `path`, reaching only into what is expanded."""
        at, below = entity, tree
        for word in path[:-1]:
            name = _named(at.relations, word)
            if name is None or name not in below or at.relations[name].many:
                return None
            below, at = below[name], ENTITIES[at.relations[name].entity]
        field = _named(at.fields, path[-1])
        if field is None or not self._visible(at, field):
            return None
        if field == "ExternalReference":
            filterable = self.switches.external_reference is ExternalReference.FILTERABLE
            return "text" if filterable else None
        return at.fields[field]

    def value_at(self, entity: Entity, row: Row | None, path: tuple[str, ...]) -> object:
        """The value at the end of a known path; None where a relation leads nowhere."""
        at = entity
        for word in path[:-1]:
            name = _named(at.relations, word)
            if row is None or name is None:
                return None
            found = self.related(at, row, at.relations[name])
            row, at = (found[0] if found else None), ENTITIES[at.relations[name].entity]
        field = _named(at.fields, path[-1])
        return None if row is None or field is None else row.get(field)

    def readable(self, entity: Entity, tree: Tree, text: str) -> filters.Node | None:
        """The filter, less what the platform ignores in it; None: everything matches."""
        node = filters.read(text)
        if node is None:
            if text.strip():
                self.note("filter-unreadable", text)
            return None

        def known(compare: filters.Compare) -> bool:
            kind = self.kind_of(entity, tree, compare.path)
            if kind is None:
                self._note_unknown(entity, compare.path)
            return filters.fits(compare, kind)

        unknown = [c for c in filters.comparisons(node) if not known(c)]
        if unknown and self.switches.unknown_field is UnknownField.DROP_FILTER:
            return None
        return filters.prune(node, lambda compare: compare not in unknown)

    def _note_unknown(self, entity: Entity, path: tuple[str, ...]) -> None:
        at, text = entity, ".".join(path)
        for word in path[:-1]:
            name = _named(at.relations, word)
            if name is None:
                self.note("filter-field-unknown", f"{entity.name}: {text}")
                return
            at = ENTITIES[at.relations[name].entity]
        if _named(at.fields, path[-1]) is None:
            self.note("filter-field-unknown", f"{entity.name}: {text}")
        elif len(path) > 1:
            self.note("filter-without-expand", f"{entity.name}: {text}")

    # --- lists --------------------------------------------------------------------------------

    def rows(self, entity: Entity, node: filters.Node | None) -> list[Row]:
        """Every row that matches, by ID."""

        def matching(row: Row) -> bool:
            if not seen(row, self.horizon):
                return False
            if row["Deleted"] and not self.switches.deleted_listed:
                return False
            return node is None or bool(
                filters.matches(
                    node,
                    lambda path: self.value_at(entity, row, path),
                    ignore_case=self.switches.text_ignores_case,
                )
            )

        return [row for row in self._candidates(entity, node) if matching(row)]

    def _candidates(self, entity: Entity, node: filters.Node | None) -> Iterable[Row]:
        table = self.books.table(entity.name)
        for compare in filters.equalities(node) if node else ():
            field = _named(entity.fields, compare.path[0])
            if field in entity.indexed:
                return table.where(field, compare.value)
        return [row for _, row in sorted(table.rows.items())]

    def listed(self, entity: Entity, params: Mapping[str, str]) -> list[dict[str, Any]]:
        """A list answer: filtered, ordered, paged, expanded, with the fields of `select`."""
        tree = self.expand(entity, params.get("expand", ""))
        node = self.readable(entity, tree, params.get("filter", ""))
        rows = self.ordered(entity, tree, self.rows(entity, node), params)
        skip = _count(params.get("skip"), 0)
        if self.switches.strange_row_first and params.get("filter") and skip == 0:
            rows = self._stranger(entity, rows) + rows
        top = min(_count(params.get("top"), self.switches.default_top), self.switches.max_top)
        shown = [self.show(entity, row, tree) for row in rows[skip : skip + top]]
        return [_selected(entity, item, params.get("select", ""), tree) for item in shown]

    def _stranger(self, entity: Entity, rows: list[Row]) -> list[Row]:
        """One row that was not asked for, where there is one."""
        wanted = {row["ID"] for row in rows}
        strangers = (
            row
            for row_id, row in self.books.table(entity.name).rows.items()
            if row_id not in wanted and seen(row, self.horizon)
        )
        found = next(strangers, None)
        return [found] if found else []

    def ordered(
        self, entity: Entity, tree: Tree, rows: list[Row], params: Mapping[str, str]
    ) -> list[Row]:
        """The rows by `orderby`; what it names and nobody knows is ignored."""
        for part in reversed(
            [p.split() for p in params.get("orderby", "").split(",") if p.strip()]
        ):
            path = tuple(part[0].split("."))
            if self.kind_of(entity, tree, path) is None:
                continue
            down = len(part) > 1 and part[1].lower() == "desc"
            keyed = [(_key(self.value_at(entity, row, path)), row) for row in rows]
            rows = [row for _, row in sorted(keyed, key=itemgetter(0), reverse=down)]
        return rows


def _key(value: object) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


def _count(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() else otherwise


def _named(names: Iterable[str], word: str) -> str | None:
    """The one of `names` that `word` means; letter case does not matter (section 6.1)."""
    if word in names:
        return word
    return next((name for name in names if name.lower() == word.lower()), None)


def _selected(entity: Entity, item: dict[str, Any], select: str, tree: Tree) -> dict[str, Any]:
    """`select` always adds ID, Deleted and CustomValues; unknown names are ignored."""
    wanted = {w.strip().split(".")[0].lower() for w in select.split(",") if w.strip()}
    if not wanted or not wanted & {name.lower() for name in (*entity.fields, *tree)}:
        return item
    wanted |= {"id", "deleted", "customvalues"} | {name.lower() for name in tree}
    return {name: value for name, value in item.items() if name.lower() in wanted}
