"""Which call is which: verb and path to a name and a rule (contract dkplus A2 to A5).

Literal parts of a path match in any letter case, as on IIS. Names are what fault rules, counts
and the judge speak of. Pure.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from connectors.dkplus.simulator import customers, invoices, look_ups, products, projects, replies
from connectors.dkplus.simulator.books import Books, Record
from connectors.dkplus.simulator.paging import not_found, paged
from connectors.dkplus.simulator.replies import Reply


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call ready to be acted on. `query` names are lower case; `url` is below which pages lie.

    `seen_at` is the time that the cache speaks of; it is `now` unless a fault makes it lag.
    """

    books: Books
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    url: str
    now: datetime
    seen_at: datetime


Rule = Callable[[Call], Reply]


class Route(msgspec.Struct, frozen=True):
    """One line of the contract."""

    method: str
    pattern: str
    kind: str
    rule: Rule

    @property
    def parts(self) -> tuple[str, ...]:
        """The pattern, part by part; `{name}` takes any part."""
        return tuple(self.pattern.split("/"))


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A route and what its path said."""

    route: Route
    params: dict[str, str]


def _company(call: Call) -> Reply:
    config = call.books.config
    company = {
        "Number": config.identity,
        "Name": config.name,
        "SSNumber": config.own_kennitala,
        "Country": "IS",
    }
    return Reply(
        body={
            "Information": {
                "Owner": config.identity,
                "OwnerName": config.name,
                "License": config.license,
                "Company": company,
            },
            "Customer": {"Enabled": True},
            "Product": {"Enabled": True},
            "Project": {"Enabled": True, "PhaseEnabled": False},
            "Sale": {"Enabled": True},
            "Dimmension": {"Dim1Enabled": False, "Dim2Enabled": False, "Dim3Enabled": False},
            "General": {"CurrencyEnabled": True, "DefaultCurrency": config.currency},
        }
    )


def _sales_person(number: str, name: str) -> Record:
    return {"Number": number, "Employee": number, "NameOnSalesOrders": name, "PriceGroup": 1}


def _sales_persons(call: Call) -> Reply:
    persons = call.books.standing.sales_persons
    rows = [_sales_person(number, name) for number, name in persons.items()]
    return paged(rows, call.params, call.query, call.url)


def _one_sales_person(call: Call) -> Reply:
    name = call.books.standing.sales_persons.get(call.params["number"])
    if name is None:
        return not_found(call.books)
    return Reply(body=_sales_person(call.params["number"], name))


def _terms(call: Call) -> Reply:
    return Reply(
        body=[{"ID": code, "Description": code} for code in call.books.config.payment_terms]
    )


def _item_code(call: Call) -> str | None:
    code = call.params["code"]
    if call.query.get("isbase64", "").lower() != "true":
        return code
    try:
        return base64.b64decode(code + "=" * (-len(code) % 4), altchars=b"-_").decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _product(call: Call) -> Reply:
    code = _item_code(call)
    return not_found(call.books) if code is None else products.read_product(call.books, code)


def _book(call: Call) -> Reply:
    post = call.query.get("post", "true").lower() != "false"
    return invoices.create(call.books, call.body, call.now, post=post)


def _projects_of(call: Call) -> Reply:
    number = call.params["number"]
    if number not in call.books.customers:
        return not_found(call.books)
    held = call.books.projects.values()
    return Reply(body=[record for record in held if record["CustomerToBill"] == number])


def _nothing(_: Call) -> Reply:
    return Reply()


ROUTES: tuple[Route, ...] = (
    Route("GET", "company", "company.read", _company),
    Route("GET", "company/connection", "company.connection", lambda _: Reply(body=True)),
    Route("GET", "permission", "company.permission", lambda _: Reply(body={"Enabled": 0})),
    Route("GET", "customer/page/{page}/{count}", "customer.page",
          lambda c: customers.page(c.books, c.params, c.query, c.url)),
    Route("GET", "customer/search/{value}/{max}", "customer.search",
          lambda c: customers.search(c.books, c.params["value"], c.params["max"])),
    Route("GET", "customer/info/count", "customer.count",
          lambda c: Reply(body=len(c.books.customers))),
    Route("GET", "customer/{number}", "customer.read",
          lambda c: customers.read(c.books, c.params["number"])),
    Route("GET", "customer/{number}/invoice", "customer.invoices",
          lambda c: look_ups.of_customer(c.books, c.params["number"], c.seen_at)),
    Route("GET", "customer/{number}/project", "customer.projects", _projects_of),
    Route("POST", "customer", "customer.create",
          lambda c: customers.create(c.books, c.body, c.now)),
    Route("PUT", "customer/{number}", "customer.update",
          lambda c: customers.update(c.books, c.params["number"], c.body, c.now)),
    Route("DELETE", "customer/{number}", "customer.delete",
          lambda c: customers.remove(c.books, c.params["number"], c.now)),
    Route("GET", "project", "project.list",
          lambda c: Reply(body=list(c.books.projects.values()))),
    Route("GET", "project/page/{page}/{count}", "project.page",
          lambda c: projects.page_projects(c.books, c.params, c.query, c.url)),
    Route("GET", "project/{number}", "project.read",
          lambda c: projects.read_project(c.books, c.params["number"])),
    Route("GET", "project/{number}/invoice", "project.invoices",
          lambda c: look_ups.of_project(c.books, c.params["number"], c.seen_at)),
    Route("POST", "project", "project.create",
          lambda c: projects.create_project(c.books, c.body, c.now)),
    Route("GET", "product/page/{page}/{count}", "product.page",
          lambda c: products.page_products(c.books, c.params, c.query, c.url)),
    Route("GET", "product/{code}", "product.read", _product),
    Route("POST", "product", "product.create",
          lambda c: products.create_product(c.books, c.body, c.now)),
    Route("PUT", "product/{code}", "product.update",
          lambda c: products.update_product(c.books, c.params["code"], c.body, c.now)),
    Route("GET", "sales/person/page/{page}/{count}", "sales-person.page", _sales_persons),
    Route("GET", "sales/person/{number}", "sales-person.read", _one_sales_person),
    Route("GET", "general/payment/term", "payment.terms", _terms),
    Route("GET", "general/payment/mode", "payment.modes", lambda _: Reply(body=[])),
    Route("GET", "sales/payment/type", "payment.types", lambda _: Reply(body=[])),
    Route("GET", "sales/invoice/reference/{reference}", "invoice.by-reference",
          lambda c: look_ups.by_reference(c.books, c.params, c.query, c.url, c.seen_at)),
    Route("GET", "sales/invoice/reference/{reference}/{page}/{count}", "invoice.by-reference",
          lambda c: look_ups.by_reference(c.books, c.params, c.query, c.url, c.seen_at)),
    Route("GET", "sales/invoice/page/{page}/{count}", "invoice.page",
          lambda c: look_ups.page(c.books, c.params, c.query, c.url, c.seen_at)),
    Route("GET", "sales/invoice/date/{date}/{page}/{count}", "invoice.by-date",
          lambda c: look_ups.from_date(c.books, c.params, c.query, c.url, c.seen_at)),
    Route("GET", "sales/invoice/{number}", "invoice.read",
          lambda c: look_ups.by_number(c.books, c.params["number"])),
    Route("POST", "sales/invoice", "invoice.create", _book),
    Route("PATCH", "sales/invoice/calculate", "invoice.calculate",
          lambda c: invoices.calculate(c.books, c.body, c.now)),
    Route("PATCH", "sales/invoice/{number}/refresh", "invoice.refresh",
          lambda c: look_ups.refresh(c.books, c.params["number"], c.now)),
    Route("POST", "sales/invoice/{number}/reverse", "invoice.reverse",
          lambda c: invoices.reverse(c.books, c.params["number"], c.query, c.now)),
    # these would destroy: they answer as if they had, do nothing, and the judge notes it
    Route("DELETE", "sales/invoice", "invoice.delete", _nothing),
    Route("PUT", "general/table/{table}/{key}", "table.write", _nothing),
)  # fmt: skip


def match(method: str, path: str) -> Match | Reply:
    """The route of a decoded path below `/api/v1`, or the 404 or 405 that ASP.NET gives.

    Where several patterns fit, the one with the most literal parts wins.
    """
    parts = tuple(path.strip("/").split("/"))
    fits = [(route, params) for route in ROUTES if (params := _fit(route.parts, parts)) is not None]
    if not fits:
        return replies.no_route(path)
    literal = max(_literals(route) for route, _ in fits)
    offered = [(r, params) for r, params in fits if _literals(r) == literal and r.method == method]
    if not offered:
        return replies.wrong_verb(method)
    return Match(route=offered[0][0], params=offered[0][1])


def _literals(route: Route) -> int:
    return sum(1 for part in route.parts if not part.startswith("{"))


def _fit(pattern: tuple[str, ...], parts: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    params = {}
    for wanted, part in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            if not part:
                return None
            params[wanted[1:-1]] = part
        elif wanted != part.lower():
            return None
    return params


def page_url(route: Route, path: str) -> str:
    """The path without its page and count, for the Link header."""
    parts = path.strip("/").split("/")
    return "/".join(parts[:-2] if "{page}" in route.pattern else parts)
