"""Pages and look-ups as dkPlus serves them: bare arrays, 1-based, a Link header (dkplus A1)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from connectors.dkplus.simulator.books import Books, Record
from connectors.dkplus.simulator.members import as_moment
from connectors.dkplus.simulator.replies import BAD_PAGE, NO_BODY, Reply, refused
from connectors.dkplus.simulator.switches import NotFoundBody

DEFAULT_COUNT = 100  # where a count is optional (S-SW20)


def not_found(books: Books) -> Reply:
    """The 404 of an unknown record, with the body that the switch says."""
    if books.switches.not_found_body is NotFoundBody.EMPTY:
        return Reply(status=404, body=NO_BODY)
    return refused("Not found", 404)


def paged(
    records: Sequence[Record], params: Mapping[str, str], query: Mapping[str, str], url: str
) -> Reply:
    """One page of `records`. `params` may hold `page` and `count`; `url` is without the page.

    Page 0, or what is no number, is a 400. Past the end is an empty array.
    """
    try:
        page, count = int(params.get("page", "1")), int(params.get("count", DEFAULT_COUNT))
    except ValueError:
        return refused(BAD_PAGE)
    if page < 1 or count < 1:
        return refused(BAD_PAGE)
    shown = [included(record, query) for record in records[(page - 1) * count : page * count]]
    last = max(1, -(-len(records) // count))
    links = [f'<{url}/1/{count}>; rel="first"', f'<{url}/{last}/{count}>; rel="last"']
    if page < last:
        links.append(f'<{url}/{page + 1}/{count}>; rel="next"')
    if page > 1:
        links.append(f'<{url}/{page - 1}/{count}>; rel="prev"')
    return Reply(body=shown, headers={"Link": ", ".join(links)})


def included(record: Record, query: Mapping[str, str]) -> Record:
    """The record cut to the members of `?include=`."""
    wanted = query.get("include", "")
    if not wanted:
        return record
    names = {name.strip().lower() for name in wanted.split(",")}
    return {name: value for name, value in record.items() if name.lower() in names}


# query parameter (lower case) -> member and how it is compared
Filters = Mapping[str, tuple[str, str]]
MODIFIED: Filters = {
    "modifiedafter": ("Modified", "after"),
    "modifiedbefore": ("Modified", "before"),
}


def filtered(
    records: Iterable[Record], query: Mapping[str, str], filters: Filters
) -> list[Record] | Reply:
    """The records that every filter in the query lets through, or the 400 for a wrong date."""
    kept = list(records)
    for name, value in query.items():
        if name not in filters or not value:
            continue
        member, how = filters[name]
        bound = as_moment(value) if how in ("after", "before") else None
        if how in ("after", "before") and bound is None:
            return refused(f"The value '{value}' is not valid for {name}.")
        kept = [record for record in kept if _passes(record.get(member), how, value, bound)]
    return kept


def _passes(held: Any, how: str, value: str, bound: datetime | None) -> bool:
    if how == "flag":
        return bool(held) == (value.lower() == "true")
    if how == "above":
        return isinstance(held, int) and value.isdecimal() and held > int(value)
    if bound is not None:
        moment = as_moment(held)
        return moment is not None and (moment > bound if how == "after" else moment < bound)
    return str(held if held is not None else "") == value
