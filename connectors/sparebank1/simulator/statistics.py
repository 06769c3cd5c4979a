"""`GET /api/statistics` (contract sparebank1-regnskap 4.5, 6.1).

Unlike lists it refuses what is unknown: with HTTP 200 and `Success: false`, or with 400 where the
caller said `wrap=false`. Equal rows become one unless the caller said `distinct=false`.
"""

from collections.abc import Mapping
from typing import Any

from connectors.simulation_faults import Reply
from connectors.sparebank1.simulator import filters
from connectors.sparebank1.simulator.answers import encode, json_reply
from connectors.sparebank1.simulator.model import ENTITIES, Entity
from connectors.sparebank1.simulator.views import Tree, View

_FAULT = "Statistics query failed: timeout expired."


def answer(view: View, params: Mapping[str, str], *, fail: bool) -> Reply:
    """The rows asked for, or why not. `fail`: refuse for no reason, as a fault."""
    wrap = params.get("wrap", "true").lower() != "false"
    entity = ENTITIES.get(params.get("model", ""))
    if entity is None or fail:
        return _failed(_FAULT if fail else f"Unknown model {params.get('model')}", wrap=wrap)
    tree = view.expand(entity, params.get("expand", ""))
    columns = _columns(entity, params.get("select", "ID as ID"))
    unknown = [path for path, _ in columns if view.kind_of(entity, tree, path) is None]
    node = filters.read(params.get("filter", ""))
    if params.get("filter", "").strip() and node is None:
        return _failed("Cannot read filter", wrap=wrap)
    unknown += [
        compare.path
        for compare in (filters.comparisons(node) if node else ())
        if not filters.fits(compare, view.kind_of(entity, tree, compare.path))
    ]
    if unknown:
        return _failed(f"Invalid column name '{'.'.join(unknown[0])}'", wrap=wrap)
    found = _rows(view, entity, tree, node, columns, params)
    if not wrap:
        return json_reply(found)
    return json_reply({"Success": True, "Message": None, "Data": found})


def _failed(message: str, *, wrap: bool) -> Reply:
    if not wrap:
        return json_reply({"Message": message}, 400)
    return json_reply({"Success": False, "Message": message, "Data": None})


def _columns(entity: Entity, select: str) -> list[tuple[tuple[str, ...], str]]:
    """`Amount as Amount,SubAccount.ID as Sub` as paths and names; the model's name may lead."""
    columns = []
    for part in filter(None, (p.strip() for p in select.split(","))):
        words = part.split()
        path = tuple(words[0].split("."))
        if len(path) > 1 and path[0].lower() == entity.name.lower():
            path = path[1:]
        named = len(words) == 3 and words[1].lower() == "as"  # noqa: PLR2004 - `field as name`
        columns.append((path, words[2] if named else "".join(path)))
    return columns


def _rows(
    view: View,
    entity: Entity,
    tree: Tree,
    node: filters.Node | None,
    columns: list[tuple[tuple[str, ...], str]],
    params: Mapping[str, str],
) -> list[dict[str, Any]]:
    rows = view.ordered(entity, tree, view.rows(entity, node), params)
    found = [{name: view.value_at(entity, row, path) for path, name in columns} for row in rows]
    if params.get("distinct", "true").lower() != "false":
        found = list({encode(item): item for item in found}.values())
    skip = int(params["skip"]) if params.get("skip", "").isdecimal() else 0
    top = int(params["top"]) if params.get("top", "").isdecimal() else len(found)
    return found[skip : skip + top]
