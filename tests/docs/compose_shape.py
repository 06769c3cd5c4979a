"""The parts of the compose specification that our files use, as a JSON Schema.

Narrower than the specification on purpose: a member that is not here is one that nobody looked at.
"""

from typing import Any, Final

_TEXT: Final = {"type": "string", "minLength": 1}
_WORDS: Final = {"type": "array", "items": _TEXT}
_SECONDS: Final = {"type": "string", "pattern": r"^[1-9][0-9]*s$"}

_HEALTH: Final[dict[str, Any]] = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"disable": {"const": True}},
            "required": ["disable"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "test": {"type": "array", "prefixItems": [{"const": "CMD"}], "minItems": 2}
                | {"items": _TEXT},
                "interval": _SECONDS,
                "timeout": _SECONDS,
                "start_period": _SECONDS,
                "retries": {"type": "integer", "minimum": 1},
            },
            "required": ["test", "interval", "timeout", "retries"],
            "additionalProperties": False,
        },
    ]
}
_DEPENDS_ON: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "condition": {"enum": ["service_healthy", "service_completed_successfully"]},
            "restart": {"type": "boolean"},
        },
        "required": ["condition"],
        "additionalProperties": False,
    },
}
_SERVICE: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "image": _TEXT,
        "build": {"const": "."},
        "platform": {"const": "linux/amd64"},
        "init": {"type": "boolean"},
        "hostname": _TEXT,
        "entrypoint": _WORDS,
        "command": _WORDS,
        "environment": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^[\w./-]+:/\S+$"}},
        "secrets": _WORDS,
        "ports": {
            "type": "array",
            # Only the machine itself may come in: none of this asks for a password.
            "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"},
        },
        "network_mode": {"type": "string", "pattern": r"^(none|service:[\w-]+)$"},
        "depends_on": _DEPENDS_ON,
        "healthcheck": _HEALTH,
        "restart": {"enum": ["no", "unless-stopped"]},
        "stop_grace_period": _SECONDS,
    },
    "required": ["image", "restart"],
    "additionalProperties": False,
    # Who shares a network has no ports of its own.
    "not": {"required": ["network_mode", "ports"]},
}
COMPOSE: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "name": _TEXT,
        "services": {"type": "object", "additionalProperties": _SERVICE, "minProperties": 1},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
        "secrets": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {"file": {"type": "string", "pattern": r"^\./"}},
                "required": ["file"],
                "additionalProperties": False,
            },
        },
    },
    "patternProperties": {"^x-": {}},
    "required": ["services"],
    "additionalProperties": False,
}
