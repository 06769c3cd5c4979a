"""What is refused before anything is written: code, class and path (interface section 4)."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

import msgspec
import pytest

from connectors.port import Applied, GateClosed, Hold, Refused
from schemas.events import Account, Entity, EntityType
from tests.contracts.carrier import Carrier
from tests.contracts.dkplus_world import KENNITALA, DkPlusWorld
from tests.contracts.sparebank1_world import Sparebank1World
from tests.contracts.world import Place, World

changed = msgspec.structs.replace
D: Final = Decimal


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is refused, and with what. `mend` prepares the books."""

    id: str
    event: Callable[[Any], Entity]
    code: str
    klass: str
    field: str | None
    mend: Callable[[Any], object] = lambda _world: None
    parameters: dict[str, str] = {}


def _case(id_: str, code: str, klass: str, field: str | None, event: Any, **more: Any) -> Case:
    return Case(id=id_, code=code, klass=klass, field=field, event=event, **more)


OF_BOTH: Final = (
    _case("line-total", "line-total-differs", "data", "$.lines[1].totalExclVat",
          lambda w: w.invoice(w.line("100"), w.line("100", unit_price=D(98)))),
    _case("total-net", "totals-differ", "data", "$.totalExclVat",
          lambda w: w.invoice(w.line("100"), total_excl_vat=D("100.01"))),
    _case("total-vat", "totals-differ", "data", "$.totalVat",
          lambda w: w.invoice(w.line("100"), total_vat=D(28))),
    _case("total-gross", "totals-differ", "data", "$.totalInclVat",
          lambda w: w.invoice(w.line("100"), total_incl_vat=D(130))),
    _case("credit-sign-total", "credit-sign", "data", "$.totalExclVat",
          lambda w: w.credit_note(w.line("100"), total_excl_vat=D(100))),
    _case("credit-sign-line", "credit-sign", "data", "$.lines[1].totalExclVat",
          lambda w: w.credit_note(w.line("-10"), w.line("100"))),
    _case("rate-missing", "currency-rate-missing", "data", "$.currencyRate",
          lambda w: w.invoice(w.line("100"), currency_code="EUR")),
)  # fmt: skip

_LOCKED: Final = {"AccountNumber": 3010, "Locked": True}

OF_SPAREBANK1: Final = (
    _case("number-low", "customer-number-out-of-range", "data", "$.number",
          lambda w: w.customer(number="99999"),
          parameters={"number": "99999", "from": "100000", "to": "199999"}),
    _case("number-high", "customer-number-out-of-range", "data", "$.number",
          lambda w: w.customer(number="200000")),
    _case("number-huge", "customer-number-out-of-range", "data", "$.number",
          lambda w: w.customer(number="99999999999999999999")),
    _case("number-letters", "customer-number-not-numeric", "data", "$.number",
          lambda w: w.customer(number="K100042")),
    _case("number-foreign-digits", "customer-number-not-numeric", "data", "$.number",
          lambda w: w.customer(number="١٠٠٠٤٢")),
    _case("customer-currency", "currency-unknown", "set-up", "$.currencyCode",
          lambda w: w.customer(currency_code="XYZ"), parameters={"currency": "XYZ"}),
    _case("name-long", "too-long", "data", "$.name", lambda w: w.customer(name="x" * 256),
          parameters={"limit": "255", "length": "256"}),
    _case("line1-long", "too-long", "data", "$.address.line1",
          lambda w: w.customer(address=changed(w.customer().address, line1="x" * 256))),
    _case("project-letters", "project-number-not-numeric", "data", "$.number",
          lambda w: w.project(number="P-1"), parameters={"number": "P-1"}),
    _case("project-name-long", "too-long", "data", "$.name",
          lambda w: w.project(name="x" * 256)),
    _case("account-unknown", "account-unknown", "set-up", "$.lines[1].account.number",
          lambda w: w.invoice(w.line("1"), w.line("1", account=Account(number="3999"))),
          parameters={"account": "3999"}),
    _case("account-letters", "account-unknown", "set-up", "$.lines[0].account.number",
          lambda w: w.invoice(w.line("1", account=Account(number="Salg")))),
    _case("account-of-a-customer", "account-unknown", "set-up", "$.lines[0].account.number",
          lambda w: w.invoice(w.line("1", account=Account(number="100042")))),
    _case("account-locked", "account-locked", "set-up", "$.lines[0].account.number",
          lambda w: w.invoice(w.line("1", account=Account(number="3010"))),
          mend=lambda w: w.deed("accounts", _LOCKED), parameters={"account": "3010"}),
    _case("vat-code-unknown", "vat-code-unknown", "set-up", "$.lines[0].vatCode",
          lambda w: w.invoice(w.line("1", vat_code="99")), parameters={"vatCode": "99"}),
    _case("vat-code-of-account", "vat-code-unknown", "set-up", "$.lines[0].account.vatCode",
          lambda w: w.invoice(
              w.line("1", vat_code=None, account=Account(number="3000", vat_code="98")))),
    _case("vat-code-none", "vat-code-unknown", "set-up", "$.lines[0].vatCode",
          lambda w: w.invoice(w.line("1", vat_code=None))),
    _case("vat-rate", "vat-rate-differs", "set-up", "$.lines[0].vatPercent",
          lambda w: w.invoice(w.line("1", vat_percent=D(24))),
          parameters={"vatCode": "3", "vatPercent": "24", "booksPercent": "25",
                      "date": "2026-03-10"}),
    _case("invoice-currency", "currency-unknown", "set-up", "$.currencyCode",
          lambda w: w.invoice(currency_code="XYZ", currency_rate=D(2))),
    _case("period", "period-locked", "set-up", "$.invoiceDate", lambda w: w.invoice(),
          mend=lambda w: w.deed("locks", {"AccountingLockedDate": "2026-03-31"}),
          parameters={"lockDate": "2026-03-31", "date": "2026-03-10"}),
    _case("vat-period", "period-locked", "set-up", "$.invoiceDate", lambda w: w.invoice(),
          mend=lambda w: w.deed("locks", {"VatLockedDate": "2026-03-10"})),
    _case("invoice-number-long", "too-long", "data", "$.number",
          lambda w: w.invoice(number="1" * 101)),
)  # fmt: skip

OF_DKPLUS: Final = (
    _case("reference-slash", "reference-invalid", "data", "$.number",
          lambda w: w.invoice(number="10/457"), parameters={"number": "10/457", "limit": "20"}),
    _case("reference-long", "reference-invalid", "data", "$.number",
          lambda w: w.invoice(number="1" * 21)),
    _case("reference-dots", "reference-invalid", "data", "$.number",
          lambda w: w.invoice(number="..")),
    _case("code-missing", "item-code-missing", "set-up", "$.lines[0].productNumber",
          lambda w: w.invoice(w.line("1", product_number=None))),
    _case("code-long", "item-code-too-long", "data", "$.lines[0].productNumber",
          lambda w: w.invoice(w.line("1", product_number="x" * 21)),
          parameters={"itemCode": "x" * 21, "limit": "20"}),
    _case("code-long-class", "item-code-too-long", "data",
          "$.lines[0].account.externalRevenueClass",
          lambda w: w.invoice(w.line("1", product_number=None, account=Account(
              number="1", external_revenue_class="x" * 21)))),
    _case("percent-missing", "vat-percent-missing", "data", "$.lines[1].vatPercent",
          lambda w: w.invoice(
              w.line("1"), w.line("1", product_number="nýtt", vat_percent=None))),
    _case("product-vat", "product-vat-differs", "set-up", "$.lines[0].vatPercent",
          lambda w: w.invoice(w.line("1", vat_percent=D(11))),
          parameters={"itemCode": "Raðgjof", "vatPercent": "11", "booksPercent": "24"}),
    _case("two-rates-of-a-new-product", "product-vat-differs", "set-up", "$.lines[1].vatPercent",
          lambda w: w.invoice(
              w.line("1", product_number="nýtt"),
              w.line("1", product_number="NÝTT", vat_percent=D(11)))),
)  # fmt: skip


async def _refused(world: World, case: Case) -> None:
    carrier = Carrier(world)
    await carrier.applied(world.customer())
    case.mend(world)
    before = len(world.writes())
    attempt = await carrier.deliver(case.event(world))
    verdict = attempt.verdict
    assert isinstance(verdict, Refused), verdict
    failure = verdict.failure
    assert failure.code.value == case.code, failure
    assert (failure.failure_class.value, failure.field) == (case.klass, case.field)
    assert case.parameters.items() <= failure.parameters.items(), failure.parameters
    assert len(world.writes()) == before, "something was written"


@pytest.mark.parametrize("case", OF_BOTH, ids=lambda case: case.id)
def test_what_cannot_be_right_is_refused_before_anything_is_written(
    place: Place, case: Case
) -> None:
    place.run(lambda world: _refused(world, case))


@pytest.mark.parametrize("case", OF_SPAREBANK1, ids=lambda case: case.id)
def test_what_sparebank1_cannot_take_is_refused_before_anything_is_written(
    sparebank1: Place, case: Case
) -> None:
    sparebank1.run(lambda world: _refused(world, case))


@pytest.mark.parametrize("case", OF_DKPLUS, ids=lambda case: case.id)
def test_what_dkplus_cannot_take_is_refused_before_anything_is_written(
    dkplus: Place, case: Case
) -> None:
    dkplus.run(lambda world: _refused(world, case))


def test_a_vat_code_that_is_not_valid_on_the_day_is_refused(sparebank1: Place) -> None:
    """The 2019 model keeps no dates of validity: then the server has the last word."""

    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        world.deed("vattypes", {"VatCode": "3", "VatPercent": D(25), "ValidFrom": "2027-01-01"})
        verdict = (await carrier.deliver(world.invoice())).verdict
        assert isinstance(verdict, Refused)
        code = "refused-by-system" if world.hostile else "vat-code-not-valid"
        assert verdict.failure.code.value == code
        assert world.bookings("1001") == []

    sparebank1.run(story)


def test_a_mended_set_up_is_seen_at_once(sparebank1: Place) -> None:
    """Design section 7: a failure is never declared from a remembered no, nor a lock."""

    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        world.deed("locks", {"AccountingLockedDate": "2026-03-31"})
        world.deed("accounts", {"AccountNumber": 3000, "Locked": True})
        for code in ("account-locked", "period-locked"):
            verdict = (await carrier.deliver(world.invoice())).verdict
            assert isinstance(verdict, Refused)
            assert verdict.failure.code.value == code
            world.deed("accounts", {"AccountNumber": 3000, "Locked": False})
        world.deed("locks", {"AccountingLockedDate": None})
        await carrier.applied(world.invoice())

    sparebank1.run(story)


def test_a_set_up_that_changed_behind_the_cache_is_named_as_before(sparebank1: Place) -> None:
    """The server's own words are only for what has no name of ours."""

    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.invoice())  # everything is cached now
        world.deed("locks", {"AccountingLockedDate": "2026-03-31"})
        verdict = (await carrier.deliver(world.invoice(number="1003"))).verdict
        assert isinstance(verdict, Refused)
        assert verdict.failure.code.value == "period-locked"
        world.deed("locks", {"AccountingLockedDate": None})
        world.deed("accounts", {"AccountNumber": 3000, "LockManualPosts": True})
        verdict = (await carrier.deliver(world.invoice(number="1004"))).verdict
        assert isinstance(verdict, Refused)
        assert verdict.failure.code.value == "account-locked"
        assert verdict.failure.field == "$.lines[0].account.number"

    sparebank1.run(story)


def test_a_customer_series_of_its_own_decides_over_the_usual_one(sparebank1: Place) -> None:
    """Contract sparebank1-regnskap 2.4, 12.7."""

    async def story(world: Sparebank1World) -> None:
        books = world.raw()
        (series,) = [
            row
            for row in books.table("NumberSeries").rows.values()
            if row["Name"] == "Customer number series"
        ]
        books.change("NumberSeries", series, {"FromNumber": 50_000, "ToNumber": 60_000})
        await Carrier(world).applied(world.customer(number="55555"))
        verdict = (await Carrier(world).deliver(world.customer())).verdict
        assert isinstance(verdict, Refused)
        expected = {"number": "100042", "from": "50000", "to": "60000"}
        assert verdict.failure.parameters == expected

    sparebank1.run(story)


# --- DK+: what hangs on the customer, the sales person, the project ----------------------------


def test_a_customer_without_kennitala_stops_its_invoices_only(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        for number, given, code in (
            ("100042", None, "kennitala-missing"),
            ("100043", "12345", "kennitala-invalid"),
        ):
            carrier = Carrier(world)
            await carrier.applied(world.customer(number=number, organisation_number=given))
            invoice = world.invoice(customer_number=number, invoice_date=date(2026, 3, 1))
            verdict = (await carrier.deliver(invoice)).verdict
            assert isinstance(verdict, Refused)
            assert verdict.failure.code.value == code
            assert verdict.failure.failure_class.value == "data"
            assert world.bookings(invoice.number) == []

    dkplus.run(story)


def test_an_unknown_sales_person_holds_the_integration(dkplus: Place) -> None:
    """Interface section 4: it concerns every invoice, and is a matter of set-up."""

    async def story(world: DkPlusWorld) -> None:
        carrier = Carrier(world, changed(world.here, sales_person="nobody"))
        await carrier.applied(world.customer())
        verdict = (await carrier.deliver(world.invoice())).verdict
        assert isinstance(verdict, Hold)
        assert verdict.failure.code.value == "sales-person-unknown"
        assert verdict.failure.failure_class.value == "set-up"
        assert verdict.failure.parameters == {"salesPerson": "nobody"}
        assert world.shape.booking not in world.writes()

    dkplus.run(story)


def test_a_blocked_customer_is_named_as_such(dkplus: Place) -> None:
    async def story(world: DkPlusWorld) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        books = world.raw()
        books.put("customer", KENNITALA, {**books.customers[KENNITALA], "Blocked": True})
        verdict = (await carrier.deliver(world.invoice())).verdict
        assert isinstance(verdict, Refused)
        assert verdict.failure.code.value == "customer-blocked"
        assert verdict.failure.failure_class.value == "set-up"

    dkplus.run(story)


def test_a_project_that_the_books_lack_closes_the_gate_or_is_told_as_dropped(
    dkplus: Place,
) -> None:
    """Contract dkplus A10: whether an unknown project is refused or dropped is not known."""

    async def story(world: DkPlusWorld) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        verdict = (await carrier.deliver(world.invoice(project_number="2026-099"))).verdict
        if world.hostile:
            assert isinstance(verdict, Applied)
            codes = [warning.code.value for warning in verdict.warnings]
            assert codes == ["invoice-number-differs", "project-not-kept"]
        else:
            gate = GateClosed(parent_type=EntityType.PROJECT, parent_number="2026-099")
            assert verdict == gate

    dkplus.run(story)


def test_a_project_that_the_books_lack_closes_the_gate(sparebank1: Place) -> None:
    async def story(world: Sparebank1World) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        verdict = (await carrier.deliver(world.invoice(project_number="10099"))).verdict
        assert verdict == GateClosed(parent_type=EntityType.PROJECT, parent_number="10099")

    sparebank1.run(story)


def test_a_product_that_somebody_deleted_is_made_again_and_the_invoice_booked(
    dkplus: Place,
) -> None:
    """A cached product that is gone costs one refused post, and no delivery."""

    async def story(world: DkPlusWorld) -> None:
        carrier = Carrier(world)
        await carrier.applied(world.customer())
        await carrier.applied(world.invoice())
        world.raw().take_away("product", "raðgjof")
        await carrier.applied(world.invoice(number="10459"))
        assert len(world.bookings("10459")) == 1

    dkplus.run(story)
