"""What a request is: its kind, for the routes, the faults and the counts alike. Pure.

Kinds: `token` `discovery` `endpoints` `companies` `statistics` `customer.create` `customer.block`
`project.StartProject` `voucher.book` `voucher.list` `line.list` … and `unknown`.
"""

import re
from collections.abc import Mapping

import msgspec

from connectors.sparebank1.simulator.model import ROUTES

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
NOUNS = {
    "customers": "customer",
    "projects": "project",
    "accounts": "account",
    "vattypes": "vattype",
    "currencycodes": "currency",
    "number-series": "series",
    "companysettings": "settings",
    "journalentries": "voucher",
    "journalentrylines": "line",
}
# Actions that this simulator knows: (method, route, with an id?) → names.
ACTIONS: dict[tuple[str, str, bool], tuple[str, ...]] = {
    ("PUT", "customers", False): ("activate", "deactivate", "block"),
    ("POST", "projects", True): (
        "InitiateProject",
        "StartProject",
        "CompleteProject",
        "DiscardProject",
        "ReactivateProject",
    ),
    ("POST", "journalentries", False): (
        "book-journal-entries",
        "credit-journal-entry",
        "nextjournalentrynumber",
    ),
    ("PUT", "journalentries", False): ("update-external-reference",),
    ("GET", "number-series", False): ("get-active-numberseries",),
    ("GET", "vattypes", False): ("valid", "valid-with-hidden"),
    ("GET", "accounts", False): ("valid", "valid-with-hidden"),
}
_SHORT = {
    "book-journal-entries": "book",
    "credit-journal-entry": "credit",
    "valid": "list",
    "valid-with-hidden": "list",
    "get-active-numberseries": "list",
}
_PLAIN = {
    ("GET", False): "list",
    ("GET", True): "get",
    ("POST", False): "create",
    ("PUT", True): "update",
    ("DELETE", True): "delete",
}
_BIZ = re.compile(r"/api/biz/([\w-]+)(?:/(\d+))?/?")
_FIXED = {
    ("POST", "/connect/token"): "token",
    ("GET", "/.well-known/openid-configuration"): "discovery",
    ("GET", "/api/endpoints"): "endpoints",
    ("GET", "/api/init/companies"): "companies",
    ("GET", "/api/statistics"): "statistics",
}
OPEN_KINDS = frozenset({"token", "discovery", "endpoints"})  # no bearer token needed


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the platform reads it. Names of headers are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    kind: str
    route: str = ""
    row_id: int | None = None
    action: str = ""
    origin: str = ""  # scheme://host:port that the client called

    @property
    def company(self) -> str:
        """The CompanyKey that was sent; empty without one."""
        return self.headers.get("companykey", "").strip().lower()

    @property
    def booking(self) -> bool:
        """Whether money would be booked."""
        return self.kind == "voucher.book"


def classify(
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    origin: str,
) -> Call:
    """The request as a `Call`; its kind is `unknown` where no route fits."""
    common = {"method": method, "path": path, "query": query, "headers": headers}
    fixed = _FIXED.get((method, path.lower()))
    if fixed is not None:
        return Call(**common, body=body, kind=fixed, origin=origin)  # type: ignore[arg-type]  # the four above
    found = _BIZ.fullmatch(path)
    route = found[1].lower() if found else ""
    row_id = int(found[2]) if found and found[2] else None
    action = query.get("action", "")
    kind = _kind(method, route, row_id is not None, action) if route in ROUTES else "unknown"
    return Call(
        method=method,
        path=path,
        query=query,
        headers=headers,
        body=body,
        kind=kind,
        route=route,
        row_id=row_id,
        action=action,
        origin=origin,
    )


def _kind(method: str, route: str, with_id: bool, action: str) -> str:
    if action:
        known = ACTIONS.get((method, route, with_id), ())
        name = next((a for a in known if a.lower() == action.lower()), None)
        return f"{NOUNS[route]}.{_SHORT.get(name, name)}" if name else "unknown"
    plain = _PLAIN.get((method, with_id))
    return f"{NOUNS[route]}.{plain}" if plain else "unknown"
