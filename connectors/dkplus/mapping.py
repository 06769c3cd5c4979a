"""Customers and projects of Moment as members of DK+ (contract moment, DK+; dkplus A2, A3).

Only what Moment owns is written: its name, number, status, kennitala, phone and address. E-mail,
payment term and everything else on a customer belong to the accountant.
"""

from typing import Any

import msgspec

from connectors.dkplus.kennitala import country_of, kennitala_of
from schemas.events import Customer, CustomerStatus, Project

MAPPING_VERSION = 1  # grows when the same event would be written otherwise

Members = dict[str, Any]

_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(dict[str, Any])


def customer_members(customer: Customer) -> Members:
    """Every member that Moment owns, `""` where it is empty there; without `Number`.

    The town goes into `City` and, since DK+ may ignore that member, into `Address3` as well
    (contract dkplus A2). What is not ten digits is no kennitala and is not written.
    """
    address = customer.address
    town = (address and address.city) or ""
    return {
        "Name": customer.name,
        "Blocked": customer.status is CustomerStatus.BLOCKED,
        "SSNumber": kennitala_of(customer) or "",
        "Phone": customer.phone or "",
        "Address1": (address and address.line1) or "",
        "Address2": (address and address.line2) or "",
        "Address3": town,
        "ZipCode": (address and address.postal_code) or "",
        "City": town,
        "CountryCode": country_of(customer),
    }


def new_customer(customer: Customer) -> Members:
    """The body that creates a customer: what is empty is left out."""
    return {"Number": customer.number, **_without_empty(customer_members(customer))}


def changed_customer(customer: Customer, applied: bytes | None) -> Members:
    """The body that updates a customer: `""` clears only what an applied state had written.

    Null is never sent, and what is left out is kept (contract dkplus A11.7).
    """
    before = _members_of(applied)
    members = customer_members(customer)
    return {name: value for name, value in members.items() if value != "" or before.get(name)}


def customer_content(customer: Customer) -> bytes:
    """Canonical JSON of a customer; it is also what `changed_customer` takes as applied."""
    return canonical("customer", {"Number": customer.number, **customer_members(customer)})


def project_members(project: Project, customer_number: str) -> Members:
    """The body that creates a project for a customer, by the customer's number in the books."""
    return {"Number": project.number, "Name": project.name, "CustomerToBill": customer_number}


def project_content(project: Project) -> bytes:
    """Canonical JSON of what DK+ carries of a project."""
    return canonical("project", project_members(project, project.customer_number))


def canonical(what: str, members: Any) -> bytes:
    """JSON with sorted members, and the version of the mapping that made it."""
    return _encoder.encode({"mapping": MAPPING_VERSION, what: members})


def _without_empty(members: Members) -> Members:
    return {name: value for name, value in members.items() if value != ""}


def _members_of(applied: bytes | None) -> Members:
    """The members of applied content; none where nothing was applied, or it cannot be read."""
    if applied is None:
        return {}
    try:
        members = _decoder.decode(applied).get("customer")
    except msgspec.MsgspecError:
        return {}
    return members if isinstance(members, dict) else {}
