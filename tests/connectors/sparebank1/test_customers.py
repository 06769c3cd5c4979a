"""Customers: refused before anything is sent, found before created."""

from typing import Any

import pytest

from connectors.port import Answer, Applied, NoAnswer, NoAnswerKind, Refused, Retry, Unsure
from schemas.events import Address, Customer
from schemas.failures import Reference
from tests.connectors.sparebank1.fake_books import (
    FakeBooks,
    answer,
    body_of,
)
from tests.connectors.sparebank1.moment_events import customer

KNOWN = Reference(id="812", number="100042")
UNKNOWN = "100077"


# --- refused before anything is sent -----------------------------------------------------------


@pytest.mark.parametrize("number", ["10004X", "", " ", "-100042", "1e5", "٣", "0100042"])
def test_a_number_that_is_not_numeric_is_refused_without_a_call(number: str) -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(number=number))
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "customer-number-not-numeric"
    assert verdict.failure.field == "$.number"
    assert books.sent == []


@pytest.mark.parametrize("number", ["99999", "200000", "99999999999999999999"])
def test_a_number_outside_the_series_is_refused_before_a_write(number: str) -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(number=number))
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "customer-number-out-of-range"
    assert verdict.failure.parameters == {"number": number, "from": "100000", "to": "199999"}
    assert books.writes == []


def test_the_series_of_the_books_decides_not_the_default() -> None:
    books = FakeBooks()
    books.tables["number-series"][0] |= {"FromNumber": 500, "ToNumber": 600}
    assert isinstance(books.deliver(customer(number="555")), Applied)
    assert isinstance(books.deliver(customer(number="100077")), Refused)


@pytest.mark.parametrize(
    "change",
    [{"Disabled": True}, {"NumberSeriesType": {"EntityType": "Supplier"}}, {"Deleted": True}],
)
def test_another_series_gives_no_customer_numbers(change: dict[str, Any]) -> None:
    books = FakeBooks()
    other = {**books.tables["number-series"][0], "ID": 4, "FromNumber": 300000, "ToNumber": 399999}
    books.tables["number-series"].append({**other, **change})
    assert isinstance(books.deliver(customer(number="300001")), Refused)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_where_the_series_cannot_be_read_the_default_range_counts(status: int) -> None:
    books = FakeBooks()
    books.script("GET number-series", *[answer({"Message": "no"}, status)] * 2)
    assert isinstance(books.deliver(customer(number=UNKNOWN)), Applied)
    assert isinstance(books.deliver(customer(number="200000")), Refused)


def test_a_range_that_grew_is_read_again_before_a_number_is_refused() -> None:
    books = FakeBooks()
    books.deliver(customer())
    books.tables["number-series"][0]["ToNumber"] = 299999
    assert isinstance(books.deliver(customer(number="250000")), Applied)


@pytest.mark.parametrize(
    ("change", "field", "limit"),
    [
        ({"name": "x" * 256}, "$.name", "255"),
        ({"organisation_number": "1" * 101}, "$.organisationNumber", "100"),
        ({"website": "w" * 256}, "$.website", "255"),
        ({"address": Address(line1="x" * 256)}, "$.address.line1", "255"),
        ({"address": Address(line2="x" * 256)}, "$.address.line2", "255"),
        ({"address": Address(postal_code="x" * 101)}, "$.address.postalCode", "100"),
        ({"address": Address(city="x" * 101)}, "$.address.city", "100"),
    ],
)
def test_what_is_too_long_is_refused_with_its_field(
    change: dict[str, Any], field: str, limit: str
) -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(**change))
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "too-long"
    assert verdict.failure.field == field
    assert verdict.failure.parameters["limit"] == limit
    assert books.sent == []


def test_a_currency_that_the_books_do_not_have_is_refused() -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(currency_code="XXX"))
    assert isinstance(verdict, Refused)
    assert (verdict.failure.code, verdict.failure.field) == ("currency-unknown", "$.currencyCode")
    assert books.writes == []


# --- created -----------------------------------------------------------------------------------


def test_a_customer_that_is_not_there_is_created_whole() -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(number=UNKNOWN, website="https://nordlys.example"))
    assert isinstance(verdict, Applied)
    assert verdict.reference.number == UNKNOWN
    body = body_of(books.asked("POST customers")[0])
    assert body["CustomerNumber"] == 100077
    assert body["CurrencyCodeID"] == 7
    assert body["WebUrl"] == "https://nordlys.example"
    info = body["Info"]
    assert info["DefaultEmail"]["EmailAddress"] == "post@nordlys.example"
    assert info["DefaultPhone"]["Type"] == 150101
    assert [(p["Number"], p["Type"]) for p in info["Phones"]] == [("22334456", 150103)]
    assert info["InvoiceAddress"]["CountryCode"] == "NO"


def test_every_new_object_carries_a_guid_of_its_own() -> None:
    books = FakeBooks()
    books.deliver(customer(number=UNKNOWN))
    body = body_of(books.asked("POST customers")[0])
    info = body["Info"]
    nested = (info["DefaultEmail"], info["DefaultPhone"], info["InvoiceAddress"], *info["Phones"])
    guids = [row["_createguid"] for row in (body, info, *nested)]
    assert len(set(guids)) == len(guids) == 6


def test_a_repeat_carries_the_same_guids_and_a_replay_others() -> None:
    """An edited replay has other content, which must not meet the old guids (contract 12.5)."""

    def guid(**facts: Any) -> str:
        books = FakeBooks()
        books.deliver(customer(number=UNKNOWN), **facts)
        made: str = body_of(books.asked("POST customers")[0])["Info"]["_createguid"]
        return made

    assert guid() == guid()
    assert guid() != guid(replay=1)
    assert guid() != guid(delivery_id="d-2")


def test_a_country_without_an_address_is_an_address_of_the_country_alone() -> None:
    books = FakeBooks()
    books.deliver(customer(number=UNKNOWN, address=None))
    address = body_of(books.asked("POST customers")[0])["Info"]["InvoiceAddress"]
    assert set(address) == {"_createguid", "CountryCode"}


def test_a_customer_of_a_name_alone_is_created_without_empty_objects() -> None:
    books = FakeBooks()
    bare = Customer(company="c-1001", number=UNKNOWN, name="Ola", status=customer().status)
    books.deliver(bare)
    body = body_of(books.asked("POST customers")[0])
    assert set(body) == {"_createguid", "CustomerNumber", "Info"}
    assert set(body["Info"]) == {"_createguid", "Name"}


def test_an_answer_with_another_number_is_not_taken() -> None:
    books = FakeBooks()
    books.script("POST customers", answer({"ID": 9, "CustomerNumber": 100001}, 201))
    verdict = books.deliver(customer(number=UNKNOWN))
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "answer-not-understood"


# --- found before created ----------------------------------------------------------------------


def test_a_known_customer_costs_one_read_where_nothing_changed() -> None:
    books = FakeBooks()
    books.deliver(customer(), itself=KNOWN)
    books.sent.clear()
    verdict = books.deliver(customer(), itself=KNOWN)
    assert isinstance(verdict, Applied)
    assert [r.path for r in books.sent] == ["/api/biz/customers/812"]


def test_a_customer_that_somebody_made_is_adopted() -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(name="Nordlys AS"))
    assert isinstance(verdict, Applied)
    assert verdict.reference.id == "812"
    assert books.writes == ["PUT customers"]


@pytest.mark.parametrize(
    "change", [{"StatusCode": 90001}, {"Deleted": True}, {"StatusCode": 50001}]
)
def test_a_blocked_or_deleted_customer_is_adopted_not_doubled(change: dict[str, Any]) -> None:
    books = FakeBooks()
    books.tables["customers"][0] |= change
    verdict = books.deliver(customer())
    assert isinstance(verdict, Applied)
    assert books.writes == []


def test_a_known_id_that_is_gone_is_forgotten_and_the_number_asked_for() -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(), itself=Reference(id="999", number="100042"))
    assert isinstance(verdict, Applied)
    assert verdict.reference.id == "812"


def test_a_known_id_that_is_another_customer_by_now_is_not_written_to() -> None:
    books = FakeBooks()
    verdict = books.deliver(customer(number=UNKNOWN), itself=KNOWN)
    assert isinstance(verdict, Applied)
    assert verdict.reference.id != "812"
    assert books.writes == ["POST customers"]


def test_an_ignored_filter_does_not_make_row_zero_the_customer() -> None:
    """The worst trap: an unknown field gives the whole list (contract sparebank1-regnskap 8.1)."""
    books = FakeBooks()
    books.unknown_fields = {"CustomerNumber"}
    filler = [{"ID": n, "CustomerNumber": 150_000 + n, "Info": {}} for n in range(1, 121)]
    books.tables["customers"][:0] = filler
    verdict = books.deliver(customer())
    assert isinstance(verdict, Applied)
    assert verdict.reference.id == "812"
    assert len(books.asked("GET customers")) == 4


def test_two_living_customers_of_one_number_are_for_a_person() -> None:
    books = FakeBooks()
    books.tables["customers"].append({**books.tables["customers"][0], "ID": 813})
    verdict = books.deliver(customer())
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "found-twice"
    books.tables["customers"][0]["Deleted"] = True
    assert books.deliver(customer()).reference.id == "813"


# --- what answers to writes mean ---------------------------------------------------------------


def test_a_refused_create_is_looked_up_and_what_is_there_is_brought_to_state() -> None:
    """The first answer may have been lost: the number is taken by ourselves."""
    books = FakeBooks()
    books.script("GET customers", answer([]))
    books.script("POST customers", answer({"Message": "taken"}, 400))
    verdict = books.deliver(customer(name="Nordlys AS"))
    assert isinstance(verdict, Applied)
    assert books.writes == ["POST customers", "PUT customers"]


def test_a_refused_create_of_what_the_ledger_knows_is_in_doubt_and_refused_only_the_next_time() -> (
    None
):
    """Right after its creation reads may not show it yet: its own number is what is taken."""
    books = FakeBooks()
    for post, kind in ((0, Unsure), (1, Refused)):
        gone = answer({"Message": "not found"}, 404)
        books.script("GET customers", gone, answer([]), answer([]))
        books.script("POST customers", answer({"Message": "taken"}, 400))
        known = Reference(id="999", number="100042")
        assert isinstance(books.deliver(customer(name="Nordlys AS"), itself=known, post=post), kind)


@pytest.mark.parametrize(
    "body",
    [
        {"Messages": [{"Message": "Kundenummer er i bruk", "Level": 30}]},
        {"Message": "Kundenummer er i bruk"},
        {
            "ID": 0,
            "Info": {"_validationResults": {"Name": [{"Message": "Kundenummer er i bruk"}]}},
        },
    ],
)
def test_a_refusal_quotes_what_the_books_say_in_any_shape(body: object) -> None:
    books = FakeBooks()
    books.script("POST customers", answer(body, 400))
    verdict = books.deliver(customer(number=UNKNOWN))
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "refused-by-system"
    assert verdict.failure.parameters == {"status": "400", "answer": "Kundenummer er i bruk"}


def test_a_refused_guid_proves_nothing() -> None:
    books = FakeBooks()
    books.script("POST customers", answer({"Message": "_createguid exists"}, 400))
    verdict = books.deliver(customer(number=UNKNOWN))
    assert isinstance(verdict, Unsure)
    assert verdict.intent.kind == "customer.create"
    assert not verdict.intent.repeatable


@pytest.mark.parametrize(
    "reply",
    [
        NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True),
        NoAnswer(kind=NoAnswerKind.BROKEN, sent=True),
        NoAnswer(kind=NoAnswerKind.TOO_LARGE, sent=True),
        *(answer({}, status) for status in (302, 408, 500, 502, 503, 504)),
        Answer(status=201, body=b"<html>"),
        Answer(status=201, body=b'{"Name":'),
        Answer(status=201),
        answer([], 201),
    ],
)
def test_a_create_whose_end_is_not_known_is_unsure(reply: Any) -> None:
    books = FakeBooks()
    books.script("POST customers", reply)
    verdict = books.deliver(customer(number=UNKNOWN))
    assert isinstance(verdict, Unsure)
    assert verdict.intent.key == UNKNOWN
    assert verdict.failure.parameters == {"number": UNKNOWN}


def test_an_update_whose_end_is_not_known_may_be_repeated() -> None:
    books = FakeBooks()
    books.script("PUT customers", NoAnswer(kind=NoAnswerKind.TIMEOUT, sent=True))
    verdict = books.deliver(customer(name="Nordlys AS"), itself=KNOWN)
    assert isinstance(verdict, Unsure)
    assert verdict.intent.repeatable


def test_too_many_requests_is_no_attempt_of_unknown_end() -> None:
    books = FakeBooks()
    books.script("POST customers", answer({}, 429, **{"retry-after": "7"}))
    verdict = books.deliver(customer(number=UNKNOWN))
    assert isinstance(verdict, Retry)
    assert verdict.retry_after == 7


def test_a_foreign_key_fault_drops_the_cached_ids_and_is_a_defect_the_second_time() -> None:
    fault = answer({"Message": "conflicted with the FOREIGN KEY constraint"}, 500)
    books = FakeBooks()
    books.script("POST customers", fault, fault)
    assert isinstance(books.deliver(customer(number=UNKNOWN)), Unsure)
    assert books.forgotten == [""]
    verdict = books.deliver(customer(number=UNKNOWN), post=1)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "answer-not-understood"


def test_a_foreign_key_fault_of_an_update_is_tried_once_more_with_fresh_ids_then_a_defect() -> None:
    fault = answer({"Message": "conflicted with the FOREIGN KEY constraint"}, 500)
    books = FakeBooks()
    books.script("PUT customers", fault, fault)
    first = books.deliver(customer(name="Nordlys AS"), itself=KNOWN)
    assert isinstance(first, Unsure)
    assert first.intent.repeatable
    books.forgotten.clear()
    verdict = books.deliver(customer(name="Nordlys AS"), itself=KNOWN, post=1)
    assert isinstance(verdict, Refused)
    assert verdict.failure.code == "answer-not-understood"
    assert verdict.failure.failure_class == "defect"
    assert books.forgotten[0] == ""


def test_a_later_write_goes_with_fresh_ids() -> None:
    """The cache of another worker knows nothing of the fault."""
    books = FakeBooks()
    books.deliver(customer(name="A", currency_code="EUR"), itself=KNOWN)
    books.tables["currencycodes"][1]["ID"] = 19
    event = customer(name="B", currency_code="EUR")
    assert isinstance(books.deliver(event, itself=KNOWN, post=1), Applied)
    assert body_of(books.asked("PUT customers")[-1])["CurrencyCodeID"] == 19
