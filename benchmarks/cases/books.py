"""The missions that cost more than a PUT: SpareBank 1 customers, and invoices on both."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from benchmarks.cases.end_to_end import DONE
from benchmarks.cluster import Cluster
from benchmarks.contender import Plan, environment_of
from benchmarks.contenders.us import GUARANTEES, Us, write_integrations
from benchmarks.events import SOURCE, Event, company_id
from benchmarks.figures import CaseResult, Row
from benchmarks.rounds import Stand, drain
from benchmarks.simulated import (
    COMPANIES,
    DKPLUS,
    SPAREBANK1,
    SimulatorProcess,
    write_sparebank1,
)
from benchmarks.stage import Options, Stage, taken_down
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.events import (
    Account,
    Customer,
    CustomerStatus,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    ProductType,
)

TITLE: Final = "SpareBank 1 customers, and invoices on both, against the faithful simulators"
SHARE: Final = 20  # of the events of other cases: the simulators are slower than any client
IN_FLIGHT: Final = 300
DELAY_MS: Final = 50
SLOTS: Final = "100"  # bookings of one company at once: open, as the other bounds are
DAY: Final = date(2026, 3, 31)
DUE: Final = timedelta(days=14)
MANY: Final = 1_000_000  # between the numbers of two rounds' invoices
QUANTITY, PRICE = Decimal(2), Decimal(1000)
Make = Callable[[str, int, int], Event]


async def books(stage: Stage, options: Options) -> CaseResult:
    """Rounds of customer changes and of new invoices, one worker for each system."""
    result = CaseResult(case="books", title=TITLE)
    count = max(COMPANIES, options.events // SHARE)
    result.setting |= {"events": count, "in flight": IN_FLIGHT, "delay ms": DELAY_MS}
    result.notes.append(
        "stated: a simulator keeps real books and takes part in every second, so this is no "
        "ceiling of the worker"
    )
    async with stage.cluster() as cluster:
        for system in (SPAREBANK1, DKPLUS):
            stand = await _stand(stage, cluster, system)
            with taken_down([stand]):
                await drain(cluster, stand, _events(customer, system, 0, count), delay_ms=0)
                for number in range(1, options.runs + 1):
                    for what, make in (("customers", customer), ("invoices", invoice)):
                        events = _events(make, system, number, count)
                        await _round(stage, cluster, stand, events, result, f"{system} {what}")
    return result


def _events(make: Make, system: str, number: int, count: int) -> list[Event]:
    return [make(system, index, number) for index in range(count)]


async def _round(
    stage: Stage,
    cluster: Cluster,
    stand: Stand,
    events: list[Event],
    result: CaseResult,
    name: str,
) -> None:
    done = await drain(cluster, stand, events, delay_ms=DELAY_MS)
    found = next((one for one in result.rows if one.contender == name), None)
    if found is None:
        found = Row(contender=name, guarantees=GUARANTEES)
        result.rows.append(found)
    figures = done.figures()
    kept = {key: figures[key] for key in ("events/s", "CPU us/event", "calls/event")}
    found.add(kept, done.faults(events, done=DONE))
    stage.say(f"{name}: {kept}")


async def _stand(stage: Stage, cluster: Cluster, system: str) -> Stand:
    directory = stage.new_directory(system)
    simulator = SimulatorProcess(
        system, directory / "simulator", environment_of(stage.environ), DELAY_MS
    )
    try:
        plan = stage.plan(system, simulator, directory / "worker", IN_FLIGHT, COMPANIES)
        await cluster.make_topics(plan.prefix)

        def write(plan: Plan) -> object:
            sparebank1 = system == SPAREBANK1
            return write_sparebank1(plan, simulator.key) if sparebank1 else write_integrations(plan)

        bounds = {"SPAREBANK1_IN_FLIGHT": "1000", "SPAREBANK1_BOOKINGS": SLOTS}
        us = Us(f"moment-sync, {system}", settings=bounds, write=write)
        return Stand(us, plan, simulator, us.start(plan))
    except BaseException:
        simulator.stop()
        raise


def _number(system: str, index: int) -> str:
    """A customer's number: in Iceland a kennitala, in Norway within the series of customers."""
    return f"{1_000_000_000 + index}" if system == DKPLUS else f"{100_000 + index}"


def customer(system: str, index: int, serial: int) -> Event:
    """The `serial`-th state of a customer."""
    number = _number(system, index)
    data = Customer(
        company=company_id(index % COMPANIES),
        number=number,
        name=f"Customer {index} #{serial}",
        status=CustomerStatus.ACTIVE,
        organisation_number=number if system == DKPLUS else None,
        country_code="IS" if system == DKPLUS else "NO",
    )
    event_id, kind = f"{index}-{serial}", "team.moment.customer.updated"
    record = encode_event(Attributes(id=event_id, source=SOURCE, type=kind), data)
    return Event(event_id, index, serial, record)


def invoice(system: str, index: int, serial: int) -> Event:
    """An invoice of one line to a customer, another one each round."""
    iceland = system == DKPLUS
    total, rate = QUANTITY * PRICE, Decimal(24 if iceland else 25)
    vat = total * rate / 100
    line = InvoiceLine(
        product_type=ProductType.HOURS,
        quantity=QUANTITY,
        unit_price=PRICE,
        total_excl_vat=total,
        account=Account(number="3000"),
        product_number="hours",
        description="Work",
        vat_percent=rate,
        vat_code="24" if iceland else "3",
    )
    data = Invoice(
        company=company_id(index % COMPANIES),
        number=str(serial * MANY + index),
        kind=InvoiceKind.INVOICE,
        customer_number=_number(system, index),
        invoice_date=DAY,
        due_date=DAY + DUE,
        currency_code="ISK" if iceland else "NOK",
        lines=(line,),
        total_excl_vat=total,
        total_vat=vat,
        total_incl_vat=total + vat,
    )
    event_id, kind = f"{MANY + index}-{serial}", "team.moment.invoice.finalized"
    record = encode_event(Attributes(id=event_id, source=SOURCE, type=kind), data)
    return Event(event_id, index, serial, record)
