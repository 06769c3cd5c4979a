"""The AsyncAPI 3 document: every topic, its messages, their headers, seen from moment-sync."""

from typing import Any

from schemas.cloudevents import MAX_ATTRIBUTE_CHARACTERS, STRUCTURED_CONTENT_TYPE
from schemas.codec import EVENT_TYPES, TOPIC_OF
from schemas.commands import COMMAND_TYPES, COMMANDS_TOPIC
from schemas.deadletters import DEADLETTERS_TOPIC, PREFIX
from schemas.events import EntityType
from schemas.outcomes import FAILURES_TOPIC, RESULTS_TOPIC, TYPE_PREFIX, OutcomeKind
from schemas.outcomes import TOPIC_OF as TOPIC_OF_OUTCOME

Schema = dict[str, Any]

# Raised with every published change of a shape; the first number when it breaks somebody.
INTERFACE_VERSION = "1.0.0"

_LANE_KEY = {"type": "string", "description": "company/customerNumber in UTF-8"}
_LETTER_HEADERS = {
    "letter-id": "taken wherever a delivery id is",
    "code": "failure code",
    "class": "transient, uncertain, data, set-up, access or defect",
    "text": "what happened, in the integration's language",
    "action": "what to do, and where",
    "field": "path of the member, like $.lines[2].vatCode",
    "delivery-id": "absent for what never became a delivery",
    "company": "company in Moment",
    "integration": "id of the integration",
    "system": "sparebank1 or dkplus",
    "entity": "for example invoice/1001",
    "attempts": "attempts made",
    "first-failed-at": "RFC 3339, UTC",
    "last-failed-at": "RFC 3339, UTC",
    "original-topic": "where the record came from",
    "original-partition": "decimal digits",
    "original-offset": "decimal digits",
    "original-timestamp": "milliseconds since 1970",
    "blocked-by": "the parent, for example customer/100042",
    "replay-count": "replays so far",
    "response": "status and body of the last answer, cut and cleared of secrets",
    "trace": "traceparent of the event",
    "version": "version of moment-sync",
}


def asyncapi_document(schemas: dict[str, Schema]) -> Schema:
    """The document around component schemas whose references point at `#/components/schemas/`."""
    channels = _channels()
    messages = _messages()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "moment-sync",
            "version": INTERFACE_VERSION,
            "description": (
                "Change events of Moment on their way into accounting systems. A topic prefix, "
                "where one is set, stands before every address as it is, without a separator."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            name: {
                "address": address,
                "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in names},
            }
            for name, (address, _, names) in channels.items()
        },
        "operations": {
            f"{action}{name[0].upper()}{name[1:]}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{name}"},
            }
            for name, (_, action, _) in channels.items()
        },
        "components": {"messages": messages, "schemas": schemas},
    }


def _channels() -> dict[str, tuple[str, str, list[str]]]:
    """Name → address, what moment-sync does there, names of messages."""
    events = {
        f"{kind.value}s": (
            TOPIC_OF[kind],
            "receive",
            [name for name, of in EVENT_TYPES.items() if of is kind] + [f"{kind.value}.structured"],
        )
        for kind in EntityType
    }
    outcomes = {
        name: (topic, "send", [TYPE_PREFIX + k.value for k in OutcomeKind if _goes_to(k, topic)])
        for name, topic in (("results", RESULTS_TOPIC), ("failures", FAILURES_TOPIC))
    }
    return {
        **events,
        "commands": (COMMANDS_TOPIC, "receive", list(COMMAND_TYPES)),
        **outcomes,
        "deadletters": (DEADLETTERS_TOPIC, "send", ["deadletter"]),
    }


def _goes_to(kind: OutcomeKind, topic: str) -> bool:
    return TOPIC_OF_OUTCOME[kind] == topic


def _messages() -> dict[str, Schema]:
    messages: dict[str, Schema] = {}
    for name, kind in EVENT_TYPES.items():
        messages[name] = _binary(name, kind.value.capitalize(), _LANE_KEY)
    for kind in EntityType:
        messages[f"{kind.value}.structured"] = _structured(kind)
    command_key = {"type": "string", "description": "company/customerNumber or integration id"}
    for name in COMMAND_TYPES:
        messages[name] = _binary(name, "CommandData", command_key)
    for outcome in OutcomeKind:
        name = TYPE_PREFIX + outcome.value
        messages[name] = _binary(name, "Outcome", _LANE_KEY)
    messages["deadletter"] = _letter()
    return messages


def _binary(event_type: str, schema: str, key: Schema) -> Schema:
    headers = _attributes("ce_", event_type)
    headers["properties"]["content-type"] = {"type": "string", "const": "application/json"}
    return {
        "name": event_type,
        "summary": "CloudEvents 1.0, binary mode",
        "contentType": "application/json",
        "headers": headers,
        "payload": {"$ref": f"#/components/schemas/{schema}"},
        "bindings": {"kafka": {"key": key}},
    }


def _structured(kind: EntityType) -> Schema:
    payload = _attributes("", None)
    payload["properties"]["type"] = {
        "enum": [name for name, found in EVENT_TYPES.items() if found is kind]
    }
    payload["properties"]["datacontenttype"] = {"type": "string", "const": "application/json"}
    payload["properties"]["data"] = {"$ref": f"#/components/schemas/{kind.value.capitalize()}"}
    payload["required"].append("data")
    return {
        "name": f"{kind.value}.structured",
        "summary": "CloudEvents 1.0, structured mode",
        "contentType": STRUCTURED_CONTENT_TYPE,
        "payload": payload,
        "bindings": {"kafka": {"key": _LANE_KEY}},
    }


def _attributes(prefix: str, event_type: str | None) -> Schema:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE_CHARACTERS}
    digits = {"type": "string", "pattern": "^[0-9]+$"}
    members = {
        "specversion": {"type": "string", "const": "1.0"},
        "id": text,
        "source": text,
        "type": {"type": "string", "const": event_type} if event_type else text,
        "subject": {"type": "string", "examples": ["customer/100042"]},
        "time": {"type": "string", "format": "date-time"},
        "sequence": digits | {"description": "grows with each version of the entity"},
        "partitionkey": {"type": "string"},
        "traceparent": {"type": "string"},
        "tracestate": {"type": "string"},
        "correlationid": {"type": "string"},
    }
    return {
        "type": "object",
        "properties": {f"{prefix}{name}": found for name, found in members.items()},
        "required": [f"{prefix}{name}" for name in ("specversion", "id", "source", "type")],
    }


def _letter() -> Schema:
    always = ("letter-id", "code", "class", "text", "action")
    return {
        "name": "deadletter",
        "summary": "The record as it came, byte for byte, with these headers after its own",
        "contentType": "application/octet-stream",
        "headers": {
            "type": "object",
            "properties": {
                f"{PREFIX}{name}": {"type": "string", "description": what}
                for name, what in _LETTER_HEADERS.items()
            },
            "required": [f"{PREFIX}{name}" for name in always],
        },
        "payload": {"description": "the original value"},
        "bindings": {"kafka": {"key": {"description": "the original key"}}},
    }
