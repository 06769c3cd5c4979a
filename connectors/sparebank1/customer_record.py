"""A customer as a record of the books: a new one, or one that was read and is changed. Pure."""

from copy import deepcopy
from typing import Final

from connectors.sparebank1.guids import Guids
from connectors.sparebank1.mapping import CustomerContent
from connectors.sparebank1.wire import Row, child, children, integer, text

PHONE_TYPE: Final = 150101
FAX_TYPE: Final = 150103
# Contract sparebank1-regnskap 2.2: there is no fax field, a fax is a phone of this type.

_ADDRESS: Final = (
    ("AddressLine1", "line1"),
    ("AddressLine2", "line2"),
    ("PostalCode", "postal_code"),
    ("City", "city"),
    ("CountryCode", "country"),
)


def new_customer(content: CustomerContent, currency_id: int | None, guids: Guids) -> Row:
    """The body that creates a customer (contract sparebank1-regnskap 2.3)."""
    body: Row = {"_createguid": guids.at("Customer"), "CustomerNumber": int(content.number)}
    if content.organisation_number:
        body["OrgNumber"] = content.organisation_number
    if content.website:
        body["WebUrl"] = content.website
    if currency_id is not None:
        body["CurrencyCodeID"] = currency_id
    info: Row = {"_createguid": guids.at("Info"), "Name": content.name}
    if content.email:
        info["DefaultEmail"] = _new_email(content, guids)
    if content.phone:
        info["DefaultPhone"] = _new_phone(content, guids)
    if content.fax:
        info["Phones"] = [_new_fax(content, guids)]
    address = _new_address(content, guids)
    if address is not None:
        info["InvoiceAddress"] = address
    body["Info"] = info
    return body


def changed_customer(
    read: Row,
    content: CustomerContent,
    applied: CustomerContent | None,
    currency_id: int | None,
    guids: Guids,
) -> Row:
    """What was read, whole, with Moment's fields as they shall be; equal where they already are.

    A field that is empty now is cleared only where `applied` had a value in it. Existing rows
    are changed by their id, new ones are made only where there is none (contract 12.4).
    `read` has its `Info`, and is not changed itself.
    """
    row = deepcopy(read)
    _put(row, "OrgNumber", content.organisation_number, _had(applied, "organisation_number"))
    _put(row, "WebUrl", content.website, _had(applied, "website"))
    if currency_id is not None:
        if integer(row, "CurrencyCodeID") != currency_id:
            row["CurrencyCodeID"] = currency_id
    elif _had(applied, "currency") and row.get("CurrencyCodeID"):
        row["CurrencyCodeID"] = None
    info: Row = row["Info"]
    _put(info, "Name", content.name, clear=False)
    _change_email(info, content, applied, guids)
    _change_phone(info, content, applied, guids)
    _change_fax(info, content, applied, guids)
    _change_address(info, content, applied, guids)
    return row


def _had(applied: CustomerContent | None, field: str) -> bool:
    return applied is not None and bool(getattr(applied, field))


def _put(row: Row, name: str, wanted: str, clear: bool) -> None:
    if wanted:
        if text(row, name) != wanted:
            row[name] = wanted
    elif clear and text(row, name):
        # An empty text, since a null may be taken for a member that was left out (contract 2.6).
        row[name] = ""


def _change_email(
    info: Row, content: CustomerContent, applied: CustomerContent | None, guids: Guids
) -> None:
    email = child(info, "DefaultEmail")
    if email is not None:
        _put(email, "EmailAddress", content.email, _had(applied, "email"))
        _repeat(info, "Emails", email, "EmailAddress")
    elif content.email:
        info["DefaultEmail"] = {"ID": 0, **_new_email(content, guids)}


def _change_phone(
    info: Row, content: CustomerContent, applied: CustomerContent | None, guids: Guids
) -> None:
    phone = child(info, "DefaultPhone")
    if phone is not None:
        _put(phone, "Number", content.phone, _had(applied, "phone"))
        _repeat(info, "Phones", phone, "Number")
    elif content.phone:
        info["DefaultPhone"] = {"ID": 0, **_new_phone(content, guids)}


def _repeat(info: Row, name: str, row: Row, field: str) -> None:
    """A row that stands in a list too must say the same there."""
    for other in children(info, name):
        if integer(other, "ID") == integer(row, "ID") and other.get(field) != row.get(field):
            other[field] = row.get(field)


def _change_fax(
    info: Row, content: CustomerContent, applied: CustomerContent | None, guids: Guids
) -> None:
    default = child(info, "DefaultPhone")
    default_id = integer(default, "ID") if default is not None else None
    for phone in children(info, "Phones"):
        if integer(phone, "Type") == FAX_TYPE and integer(phone, "ID") != default_id:
            _put(phone, "Number", content.fax, _had(applied, "fax"))
            return
    if not content.fax:
        return
    if "Phones" not in info and applied is not None and applied.fax == content.fax:
        return  # The list was not answered: it is there already, and must not be made anew.
    phones = info.get("Phones")
    fax = {"ID": 0, **_new_fax(content, guids)}
    info["Phones"] = [*phones, fax] if isinstance(phones, list) else [fax]


def _change_address(
    info: Row, content: CustomerContent, applied: CustomerContent | None, guids: Guids
) -> None:
    address = child(info, "InvoiceAddress")
    if address is None:
        fresh = _new_address(content, guids)
        if fresh is not None:
            info["InvoiceAddress"] = {"ID": 0, **fresh}
        return
    for name, field in _ADDRESS:
        _put(address, name, getattr(content, field), _had(applied, field))
    for name, _field in _ADDRESS:
        _repeat(info, "Addresses", address, name)


def _new_email(content: CustomerContent, guids: Guids) -> Row:
    return {"_createguid": guids.at("Info.DefaultEmail"), "EmailAddress": content.email}


def _new_phone(content: CustomerContent, guids: Guids) -> Row:
    guid = guids.at("Info.DefaultPhone")
    return {"_createguid": guid, "Number": content.phone, "Type": PHONE_TYPE}


def _new_fax(content: CustomerContent, guids: Guids) -> Row:
    return {"_createguid": guids.at("Info.Phones"), "Number": content.fax, "Type": FAX_TYPE}


def _new_address(content: CustomerContent, guids: Guids) -> Row | None:
    values = {name: getattr(content, field) for name, field in _ADDRESS}
    filled = {name: value for name, value in values.items() if value}
    return {"_createguid": guids.at("Info.InvoiceAddress"), **filled} if filled else None
