"""What dkPlus answers: 200 for every success, ASP.NET's words for the rest (contract dkplus A6)."""

from collections.abc import Mapping
from typing import Any

import msgspec

NO_BODY = object()

# Seen live (S-BRU); matched on by nobody who is careful.
NO_SALES_PERSON = "Sölumaður er ekki til"
NO_ITEM = "Product ItemCode not defined"
NO_CUSTOMER = "Value cannot be null. Parameter name: user"
CANNOT_BE_DELETED = "Cannot be deleted!"
# Unknown texts; these stand in for them.
CUSTOMER_BLOCKED = "Viðskiptamaður er lokaður"
PERIOD_CLOSED = "Bókhaldstímabil er lokað"
NO_PROJECT = "Verk er ekki til"
NO_CODE = "{what} er ekki til"
NO_EXCHANGE = "Gengi vantar"
BAD_KENNITALA = "Kennitala er ekki rétt"
NO_LINES = "Invoice has no lines"
NO_DISCOUNT = "Discount not allowed on product"
TOO_LONG = "{what} is too long"
BAD_PAGE = "Page must be greater than zero"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer before it is written. `body` is JSON to be, or NO_BODY."""

    status: int = 200
    body: Any = NO_BODY
    headers: Mapping[str, str] = {}

    def with_headers(self, headers: Mapping[str, str]) -> "Reply":
        """The same answer with these headers added."""
        return msgspec.structs.replace(self, headers={**self.headers, **headers})


def refused(text: str, status: int = 400) -> Reply:
    """A business error with its one `Message`."""
    return Reply(status=status, body={"Message": text})


def invalid(state: Mapping[str, list[str]]) -> Reply:
    """The 400 of ASP.NET's model binder."""
    return Reply(status=400, body={"Message": "The request is invalid.", "ModelState": dict(state)})


def missing(path: str) -> Reply:
    """The 400 for a required member that is not there."""
    return invalid({path: [f"The {path.rpartition('.')[2]} field is required."]})


def wrong_verb(method: str) -> Reply:
    """The 405 of a path that has other verbs."""
    return refused(f"The requested resource does not support http method '{method}'.", 405)


def no_route(url: str) -> Reply:
    """The 404 of a path that nothing serves."""
    return refused(f"No HTTP resource was found that matches the request URI '{url}'.", 404)


UNAUTHORISED = Reply(
    status=401,
    body={"Message": "Authorization has been denied for this request."},
    headers={"WWW-Authenticate": "Bearer"},
)
