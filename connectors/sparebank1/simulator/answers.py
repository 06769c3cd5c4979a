"""How the simulated platform answers: JSON with exact decimals, and its ways to refuse.

A `Refusal` is raised from any depth of a write and becomes an answer in one place; nothing of the
write is kept (contract sparebank1-regnskap 6.2).
"""

from decimal import Decimal
from typing import Any

import msgspec

from connectors.simulation_faults import Reply
from connectors.sparebank1.simulator.switches import ErrorShape

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(Any, float_hook=Decimal)
DENIED = {"Message": "Authorization has been denied for this request."}
_ERROR_LEVEL = 30
_IN_TURN = (ErrorShape.ENTITY, ErrorShape.MESSAGES, ErrorShape.MESSAGE)


class Refusal(Exception):  # noqa: N818 - an answer of the platform, not a fault of ours
    """A write that the platform will not do."""

    def __init__(self, message: str, entity: str, field: str, status: int = 400) -> None:
        super().__init__(message)
        self.message, self.entity, self.field, self.status = message, entity, field, status


def no_such_key(entity: str, field: str, value: object) -> Refusal:
    """The 500 that an id of something that does not exist gets (sections 4.3, 6.2)."""
    return Refusal(
        "The INSERT statement conflicted with the FOREIGN KEY constraint "
        f"\"FK_{entity}_{field}\". The conflict occurred in column 'ID' ({value}).",
        entity,
        field,
        status=500,
    )


def encode(value: object) -> bytes:
    """JSON with Decimals as numbers, digit for digit."""
    return _ENCODER.encode(value)


def decode(body: bytes) -> Any:
    """JSON with every fraction as a Decimal; raises msgspec.DecodeError."""
    return _DECODER.decode(body)


def json_reply(value: object, status: int = 200) -> Reply:
    """A plain answer."""
    return Reply(status=status, body=encode(value))


def refusal_reply(refusal: Refusal, shape: ErrorShape, turn: int, sent: object) -> Reply:
    """The refusal in one of the platform's three shapes; `turn` picks one under ROTATE."""
    if refusal.status != 400:  # noqa: PLR2004 - only validation has shapes
        return json_reply({"Message": refusal.message}, refusal.status)
    if shape is ErrorShape.ROTATE:
        shape = _IN_TURN[turn % len(_IN_TURN)]
    if shape is ErrorShape.MESSAGE:
        return json_reply({"Message": refusal.message}, 400)
    item = {
        "ID": 0,
        "Level": _ERROR_LEVEL,
        "Message": refusal.message,
        "PropertyName": refusal.field,
        "EntityType": refusal.entity,
        "EntityID": 0,
    }
    if shape is ErrorShape.MESSAGES:
        return json_reply({"Messages": [item]}, 400)
    return json_reply(_with_results(sent, refusal, item), 400)


def _with_results(sent: object, refusal: Refusal, item: dict[str, Any]) -> object:
    """The entity echoed; a batch is told of in its first entry (results may sit in arrays)."""
    results = {"_validationResults": {refusal.field: [item]}}
    if isinstance(sent, list):
        first = sent[0] if sent and isinstance(sent[0], dict) else {}
        return [{**first, **results}, *sent[1:]]
    return {**(sent if isinstance(sent, dict) else {}), **results}
