"""The connector against the simulated platform: two readings of one contract must meet.

Every story runs under the likeliest answers to what is unknown, and under the hardest. The
simulator's judge writes down what a client must not do; nothing may be on its list.
"""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from connectors.integrations import VoucherNumber
from connectors.port import Absent, Answer, Applied, Found, Manual, Request
from connectors.sparebank1.simulator.api import Simulator
from connectors.sparebank1.simulator.calls import classify
from connectors.sparebank1.simulator.identity import Granted
from connectors.sparebank1.simulator.switches import Switches
from schemas.events import Address, CustomerStatus, Entity, EntityType, ProjectState
from schemas.failures import Reference, WarningCode
from tests.connectors.sparebank1.fake_books import CONNECTOR, INTEGRATION, NOW, FakeBooks, job
from tests.connectors.sparebank1.moment_events import credit_note, customer, invoice, line, project
from tests.connectors.sparebank1.simulated_client import CLIENT, KEY, config

BASE = "https://regnskap.example"
PROPOSING = msgspec.structs.replace(INTEGRATION, voucher_number=VoucherNumber.PAYMENT_ID)


class Platform(FakeBooks):
    """The driver of the fake books, with the simulated platform behind it."""

    def __init__(self, switches: Switches) -> None:
        super().__init__()
        self.simulator = Simulator(config(switches), NOW)
        granted = Granted(client_id=CLIENT, until=NOW + timedelta(hours=1))
        self.simulator.identity.tokens["token"] = granted
        self.rule(self._platform)

    def _platform(self, request: Request) -> Answer:
        headers = {"authorization": "Bearer token"}
        if request.company_scoped:
            headers["companykey"] = KEY
        if request.body is not None:
            headers["content-type"] = "application/json"
        call = classify(
            request.method, request.path, dict(request.query), headers, request.body or b"", BASE
        )
        reply = self.simulator.answer(call, NOW)
        return Answer(status=reply.status, body=reply.body)

    def applied(self, event: Entity, **facts: Any) -> Reference:
        """Deliver what must come to be in the books."""
        verdict = self.deliver(event, **facts)
        assert isinstance(verdict, Applied), verdict
        return verdict.reference

    def customer(self) -> Any:
        """Customer 100042 as the platform shows it."""
        query = {"filter": "CustomerNumber eq 100042", "top": "50"}
        query["expand"] = "Info,Info.DefaultEmail,Info.DefaultPhone,Info.InvoiceAddress,Info.Phones"
        rows = msgspec.json.decode(
            self._platform(
                Request(method="GET", path="/api/biz/customers", query=tuple(query.items()))
            ).body
        )
        (row,) = [row for row in rows if row["CustomerNumber"] == 100042]
        return row


@pytest.fixture(params=[Switches, Switches.hostile], ids=["likely", "hostile"])
def platform(request: Any) -> Any:
    make: Callable[[], Switches] = request.param
    platform = Platform(make())
    yield platform
    assert platform.simulator.judge.violations == []


def test_a_customer_is_made_kept_changed_and_cleared(platform: Platform) -> None:
    first = customer(website="https://nordlys.example")
    reference = platform.applied(first)
    before = CONNECTOR.content(first, INTEGRATION)
    platform.applied(first, itself=reference, applied=before, delivery_id="d-2")
    assert platform.writes == ["POST customers"]
    changed = customer(
        name="Nordlys AS",
        email=None,
        fax=None,
        organisation_number=None,
        currency_code="EUR",
        address=Address(line1="Nygata 2", city="Bergen", country_code="SE"),
    )
    platform.applied(changed, itself=reference, applied=before, delivery_id="d-3")
    row = platform.customer()
    assert row["Info"]["Name"] == "Nordlys AS"
    assert not row["OrgNumber"]
    assert not row["WebUrl"]
    assert not row["Info"]["DefaultEmail"]["EmailAddress"]
    assert row["Info"]["DefaultPhone"]["Number"] == "22334455"
    assert {phone["Number"] for phone in row["Info"]["Phones"]} == {"22334455", ""}
    address = row["Info"]["InvoiceAddress"]
    assert (address["City"], address["CountryCode"]) == ("Bergen", "SE")
    assert not address["PostalCode"]
    after = CONNECTOR.content(changed, INTEGRATION)
    written = len(platform.writes)
    platform.applied(changed, itself=reference, applied=after, delivery_id="d-4")
    assert len(platform.writes) == written


def test_what_a_bare_customer_gets_later_is_made_once(platform: Platform) -> None:
    bare = customer(email=None, phone=None, fax=None, address=None, country_code=None)
    reference = platform.applied(bare)
    platform.applied(customer(), itself=reference, delivery_id="d-2")
    platform.applied(customer(), itself=reference, delivery_id="d-3")
    assert platform.writes == ["POST customers", "PUT customers"]
    assert len(platform.customer()["Info"]["Phones"]) == 2


def test_a_customer_whose_first_answer_was_lost_is_not_made_twice(platform: Platform) -> None:
    reference = platform.applied(customer())
    platform.script("GET customers", Answer(status=200, body=b"[]"))
    assert platform.applied(customer()) == reference


@pytest.mark.parametrize("start", list(ProjectState))
@pytest.mark.parametrize("goal", list(ProjectState))
def test_a_project_goes_from_any_state_to_any_that_can_be_reached(
    platform: Platform, start: ProjectState, goal: ProjectState
) -> None:
    platform.applied(customer())
    made = platform.deliver(project(state=start))
    assert isinstance(made, Applied)
    verdict = platform.deliver(project(state=goal), itself=made.reference, delivery_id="d-2")
    if not isinstance(verdict, Manual):
        assert isinstance(verdict, Applied)
        written = len(platform.writes)
        platform.applied(project(state=goal), itself=made.reference, delivery_id="d-3")
        assert len(platform.writes) == written
    else:
        assert goal in (ProjectState.REGISTERED, ProjectState.OFFER)


def test_an_invoice_and_its_credit_note_are_booked_and_found(platform: Platform) -> None:
    known = platform.applied(customer())
    platform.applied(project(), customer=known)
    lines = (line("99.99"), line("0.02", vat_code="31"), line("50", vat_code="6"))
    event = invoice(*lines, project_number="10024", payment_id="10017")
    booked = platform.deliver(event, customer=known)
    assert isinstance(booked, Applied)
    back = credit_note(*(line(str(-entry.total_excl_vat)) for entry in lines))
    credited = platform.applied(back, customer=known, delivery_id="d-2")
    assert credited != booked.reference
    for again in (event, back):
        looked_up = platform.deliver(again, customer=known, look_up_first=True, delivery_id="d-3")
        assert looked_up.reference in (booked.reference, credited)
    assert len(platform.asked("POST journalentries?book-journal-entries")) == 2
    for intent in platform.intents:
        if intent.booking:
            resolved = platform.run(CONNECTOR.resolve(job(event), intent))
            assert isinstance(resolved, Applied)
    found = platform.run(CONNECTOR.find(EntityType.INVOICE, "1001", INTEGRATION))
    assert found == Found(reference=booked.reference)
    assert platform.run(CONNECTOR.find(EntityType.INVOICE, "7", INTEGRATION)) == Absent()


def test_a_foreign_invoice_is_booked_in_both_currencies(platform: Platform) -> None:
    known = platform.applied(customer())
    event = invoice(
        line("33.33"), line("0.01"), currency_code="EUR", currency_rate=Decimal("11.4567")
    )
    assert platform.applied(event, customer=known).number == "1-2026"


def test_a_proposed_number_ends_with_one_voucher_and_a_word(platform: Platform) -> None:
    known = platform.applied(customer())
    verdict = platform.deliver(invoice(), customer=known, integration=PROPOSING)
    assert isinstance(verdict, Applied)
    assert [w.code for w in verdict.warnings] == [WarningCode.VOUCHER_NUMBER_NOT_TAKEN]
    assert platform.run(CONNECTOR.find(EntityType.INVOICE, "1001", INTEGRATION)) == Found(
        reference=verdict.reference
    )


def test_a_blocked_customer_is_adopted(platform: Platform) -> None:
    reference = platform.applied(customer())
    books = platform.simulator.books[KEY]
    books.change("Customer", books.table("Customer").rows[int(reference.id)], {"StatusCode": 90001})
    assert platform.applied(customer(status=CustomerStatus.BLOCKED)) == reference
