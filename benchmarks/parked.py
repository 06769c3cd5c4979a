"""Ledgers with a great many projects that wait for customers that are not there yet."""

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from sqlalchemy import func, select

from benchmarks.cloning import Clone, clone, delivery_pattern, entity_pattern
from benchmarks.cluster import Cluster
from benchmarks.contenders.us import Us
from benchmarks.events import SOURCE, Event, company_id
from benchmarks.rounds import Stand
from benchmarks.stage import COMPANIES, PARTITIONS, Stage
from benchmarks.stub import Orders
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.events import Customer, CustomerStatus, Project, ProjectState
from schemas.lane import lane_key, partition_of
from streams.intake import delivery_id
from streams.ledger import tables
from streams.ledger.engine import make_engine

CHILDREN: Final = 10  # projects that wait for one customer
FIRST_PARENT: Final = 800_000_000  # nine digits: no kennitala, and no customer of other loads
ABSENT: Final = "8"  # how the numbers of customers begin that are not in the books
UNIT: Final = "\x1f"  # between the parts of an entity's key
IN_FLIGHT: Final = 300
WAIT_S: Final = 60.0
LOOK_AGAIN_S: Final = 0.1
SETTINGS: Final = {"PARENT_WAIT": "7d", "NOTICE_WINDOW": "1h"}  # what is parked stays so


def parent_number(index: int) -> str:
    """The number of a customer that others wait for."""
    return str(FIRST_PARENT + index)


def child_number(index: int) -> str:
    """The number of a project that waits; one length for all."""
    return f"P7{index:08d}"


def company_of_parent(index: int) -> str:
    """The company of a parent and its children."""
    return company_id(index % COMPANIES)


def parent_event(index: int) -> Event:
    """The event that lets the children of a parent go."""
    company, number = company_of_parent(index), parent_number(index)
    data = Customer(company=company, number=number, name="Late", status=CustomerStatus.ACTIVE)
    kind = "team.moment.customer.created"
    record = encode_event(Attributes(id=f"late-{number}", source=SOURCE, type=kind), data)
    return Event(f"late-{number}", index, 0, record)


def child_event(index: int) -> Event:
    """The event of a project, as the pattern of all that wait is made from it."""
    parent = index // CHILDREN
    data = Project(
        company=company_of_parent(parent),
        number=child_number(index),
        name="A project that waits",
        customer_number=parent_number(parent),
        state=ProjectState.IN_PROGRESS,
    )
    event_id = _event_id(index)
    kind = "team.moment.project.created"
    record = encode_event(Attributes(id=event_id, source=SOURCE, type=kind), data)
    return Event(event_id, index, 0, record)


def _event_id(index: int) -> str:
    return f"waits-{child_number(index)}"


def _integration(index: int) -> str:
    return f"{company_of_parent(index)}-dk"


async def parked_stand(
    stage: Stage, cluster: Cluster, count: int, name: str = "moment-sync"
) -> tuple[Stand, float]:
    """A worker whose ledger holds `count` parked projects, ready; and how long the filling took.

    Parent 0 and its child are the pattern, and count among them.
    """
    stand = await stage.stand(cluster, Us(name, settings=dict(SETTINGS)), IN_FLIGHT)
    try:
        stand.stub.order(Orders(absent=ABSENT))
        await cluster.put(stand.plan.prefix, child_event(0))
        url = ledger_of(stand)
        await _wait_until_asked(url)
        stand.running.stop()
        begun = time.monotonic()
        _fill(url, count)
        seconds = time.monotonic() - begun
        stage.say(f"{name}: {count:,} parked, filled in {seconds:.1f} s")
        stand.running = stand.contender.start(stand.plan)
    except BaseException:
        stand.stop()
        raise
    return stand, seconds


def ledger_of(stand: Stand) -> str:
    """The URL of a stand's ledger on SQLite."""
    return f"sqlite:///{stand.plan.directory / 'ledger.db'}"


async def _wait_until_asked(url: str) -> None:
    """Until the pattern is parked and its parent was asked for in vain."""
    engine = make_engine(url)
    wanted = select(func.count()).where(tables.deliveries.c.state == "waiting")
    asked = select(func.count()).where(tables.entities.c.asked_no_at.is_not(None))
    deadline = time.monotonic() + WAIT_S
    while True:
        with engine.connect() as connection:
            if connection.scalar(wanted) and connection.scalar(asked):
                return
        if time.monotonic() > deadline:
            raise TimeoutError("the pattern was not parked")
        await asyncio.sleep(LOOK_AGAIN_S)


def _fill(url: str, count: int) -> None:
    integration = _integration(0)
    company, parent, child = company_of_parent(0), parent_number(0), child_number(0)
    children = delivery_pattern(
        url, UNIT.join((integration, "project", child)), (company, parent, child)
    )
    parents = entity_pattern(url, UNIT.join((integration, "customer", parent)), (company, parent))
    clone(url, parents, _parents(count // CHILDREN))
    clone(url, children, _children(count))


def _parents(count: int) -> Iterator[Clone]:
    for index in range(1, count):
        company, number = company_of_parent(index), parent_number(index)
        yield Clone(_lane(company, number), (company, number))


def _children(count: int) -> Iterator[Clone]:
    for index in range(1, count):
        parent = index // CHILDREN
        company, number = company_of_parent(parent), parent_number(parent)
        letter = delivery_id(SOURCE, _event_id(index), _integration(parent))
        yield Clone(_lane(company, number), (company, number, child_number(index), letter))


def _lane(company: str, number: str) -> int:
    return partition_of(lane_key(company, number), PARTITIONS)
