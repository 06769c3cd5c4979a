"""Templates to pages. Everything that is put into one is escaped, wherever it came from."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from streams.console import wording
from streams.console.addresses import BASE, dead_address, entity_address, letter_address

STATIC: Final = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@cache
def static_bytes(name: str) -> bytes:
    """One of our own files. Raises KeyError where there is none of this name."""
    if name not in STATIC:
        raise KeyError(name)
    return Path(str(files("streams.console") / "static" / name)).read_bytes()


@cache
def static_address(name: str) -> str:
    """Its address, which changes with what is in it: browsers keep it for good."""
    digest = hashlib.blake2b(static_bytes(name), digest_size=6).hexdigest()
    return f"{BASE}/static/{digest}/{name}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("streams.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": wording.number,
        "age": wording.age,
        "utc": wording.utc,
        "machine": wording.machine,
        "entity": wording.entity_words,
        "counted": wording.counted,
        "system": wording.name_of_system,
    }
    environment.globals |= {
        "base": BASE,
        "static": static_address,
        "dead_address": dead_address,
        "entity_address": entity_address,
        "letter_address": letter_address,
    }
    return environment


def page(template: str, **values: Any) -> str:
    """A whole page. Raises what Jinja2 does where a template names what it was not given."""
    return _environment().get_template(template).render(**values)


def warm() -> None:
    """Read and compile every template, so that the first page waits for none."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)
