"""The mission as every contender in Python does it: an event in, a PUT, an outcome out.

Only msgspec and orjson, so that a peer's own environment needs nothing of the project.
"""

from typing import Any, Final
from urllib.parse import quote

import msgspec
import orjson

FIRST_NUMBER: Final = 100_000  # of the load's customers


class Address(msgspec.Struct, rename="camel"):
    """The address of a customer event, as far as it is written."""

    line1: str | None = None
    line2: str | None = None
    postal_code: str | None = None
    city: str | None = None


class CustomerEvent(msgspec.Struct, rename="camel"):
    """The data of a customer event, as far as it is written."""

    company: str
    number: str
    name: str
    status: str
    phone: str | None = None
    country_code: str | None = None
    address: Address | None = None


_DECODER: Final = msgspec.json.Decoder(CustomerEvent)


def decode(value: bytes) -> CustomerEvent:
    """The event's data. Raises msgspec.MsgspecError where it is none."""
    return _DECODER.decode(value)


def event_id(headers: Any) -> str:
    """The id of a CloudEvent in binary mode; `headers` as Kafka's clients give them."""
    for name, value in headers:
        if name == "ce_id":
            return str(value, "utf-8")
    return ""


def id_by_content(event: CustomerEvent) -> str:
    """The id of an event of the load, for peers that hand no headers on (`benchmarks.events`)."""
    serial = event.name.rpartition("#")[2]
    return f"{int(event.number) - FIRST_NUMBER}-{serial}"


def url_of(base_url: str, event: CustomerEvent) -> str:
    """Where a customer of DK+ is changed."""
    return f"{base_url}/customer/{quote(event.number, safe='')}"


def body_of(event: CustomerEvent) -> bytes:
    """The members of a customer that are written, as moment-sync writes them."""
    address = event.address or Address()
    members = {
        "Name": event.name,
        "Blocked": event.status == "blocked",
        "Phone": event.phone,
        "Address1": address.line1,
        "Address2": address.line2,
        "Address3": address.city,
        "ZipCode": address.postal_code,
        "City": address.city,
        "CountryCode": event.country_code,
    }
    return orjson.dumps({name: value for name, value in members.items() if value not in {None, ""}})


def outcome_of(
    event: CustomerEvent, ce_id: str, topic: str, partition: int, offset: int, *, done: bool
) -> bytes:
    """An outcome with the members that moment-sync's has of an applied customer."""
    return orjson.dumps(
        {
            "deliveryId": ce_id,
            "outcome": "applied" if done else "dead",
            "final": True,
            "company": event.company,
            "integration": f"{event.company}-dk",
            "system": "dkplus",
            "entity": {"type": "customer", "number": event.number},
            "event": {"id": ce_id, "topic": topic, "partition": partition, "offset": offset},
            "reference": {"id": event.number, "number": event.number},
            "attempts": 1,
        }
    )
