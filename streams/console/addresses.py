"""The addresses of pages. Pure."""

from typing import Final
from urllib.parse import quote, urlencode

BASE: Final = "/console"

# The filters of the dead, as addresses and forms name them.
FILTERS: Final = (
    "code",
    "class",
    "company",
    "integration",
    "entity",
    "since",
    "until",
    "text",
    "cause",
)


def dead_address(page: str = "dead", **filters: str | float | None) -> str:
    """The list of the dead (or another page of them) under these filters; `klass` for class."""
    named = {"class" if name == "klass" else name: value for name, value in filters.items()}
    given = {name: str(value) for name, value in named.items() if value not in (None, "")}
    query = urlencode(given)
    return f"{BASE}/{page}{'?' if query else ''}{query}"


def letter_address(delivery_id: str) -> str:
    """The page of one dead letter, or of any delivery."""
    return f"{BASE}/dead/{quote(delivery_id, safe='')}"


def entity_address(company: str, entity: str) -> str:
    """The story of an entity; `entity` is `invoice/1001`."""
    kind, _, number = entity.partition("/")
    return f"{BASE}/story/{quote(company, safe='')}/{quote(kind, safe='')}/{quote(number, safe='')}"
