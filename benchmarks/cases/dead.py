"""1,000,000 dead letters: how long the command line takes to look at them, and what it holds."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final

from sqlalchemy import func, select

from benchmarks.cloning import Clone, clone, delivery_pattern
from benchmarks.cluster import Cluster
from benchmarks.contender import environment_of
from benchmarks.contenders.us import GUARANTEES, Us
from benchmarks.events import SOURCE, Event, company_id, token_of
from benchmarks.figures import CaseResult, Goal, Row
from benchmarks.stage import COMPANIES, PARTITIONS, Options, Stage, own_postgresql, taken_down
from benchmarks.stub import Orders, Rule
from schemas.cloudevents import Attributes
from schemas.codec import encode_event
from schemas.events import Customer, CustomerStatus
from schemas.lane import lane_key, partition_of
from streams.intake import delivery_id
from streams.ledger import tables
from streams.ledger.engine import make_engine
from streams.ledger.schema import is_sqlite, migrate

TITLE: Final = "1,000,000 dead letters: the command line's time and memory, both ledgers"
DEAD: Final = 1_000_000
FIRST: Final = 900_000_000  # nine digits: no kennitala, and no customer of other loads
IN_FLIGHT: Final = 8
ANSWER_S, MEMORY_MB = 2.0, 200.0  # what a person at a terminal waits for, and may spare
WAIT_S: Final = 60.0
LOOK_AGAIN_S: Final = 0.1
UNIT: Final = "\x1f"


async def dead_letters(stage: Stage, options: Options) -> CaseResult:
    """`deadletters list` (first page), `histogram` and `show`, each as a process of its own."""
    result = CaseResult(case="dead-letters", title=TITLE)
    count = max(COMPANIES, int(DEAD * options.scale))
    result.setting |= {"dead": count, "integrations": COMPANIES}
    with own_postgresql() as node:
        url = node.create_database("dead")
        migrate(url)
        await _one(stage, options, result, "SQLite", None, count)
        await _one(stage, options, result, "PostgreSQL", url, count)
    result.goals = [
        Goal(
            text=f"{name}: {what} <= {limit:g}",
            contender=name,
            figure=what,
            limit=limit,
            at_least=False,
        )
        for name in ("SQLite", "PostgreSQL")
        for command in ("list", "histogram", "show")
        for what, limit in ((f"{command} s", ANSWER_S), (f"{command} MB", MEMORY_MB))
    ]
    return result


async def _one(
    stage: Stage, options: Options, result: CaseResult, name: str, url: str | None, count: int
) -> None:
    us = Us(name, ledger=url)
    result.rows.append(Row(contender=name, guarantees=GUARANTEES))
    async with stage.cluster() as cluster:
        stand = await stage.stand(cluster, us, IN_FLIGHT)
        with taken_down([stand]):
            settings = us.settings(stand.plan)
            stand.stub.order(Orders(rules={token_of(0): Rule(refuses=True)}))
            await _die(cluster, stand.plan.prefix, settings["LEDGER"])
            stand.running.stop()
            begun = time.monotonic()
            _fill(settings["LEDGER"], count)
            filled = time.monotonic() - begun
            stage.say(f"{name}: {count:,} dead, filled in {filled:.1f} s")
            result.rows[-1].add({"fill s": filled}, {})
            environment = environment_of(stage.environ, **settings)
            for number in range(1, options.runs + 1):
                figures: dict[str, float] = {}
                for words in _commands(count):
                    seconds, megabytes = _ran(words, environment)
                    label = words[1] if words[0] == "deadletters" else words[0]
                    figures |= {f"{label} s": seconds, f"{label} MB": megabytes}
                result.rows[-1].add(figures, {})
                stage.say(f"round {number} {name}: {figures}")


def _commands(count: int) -> tuple[tuple[str, ...], ...]:
    middle = count // 2
    return (
        ("deadletters", "list", "--json"),
        ("deadletters", "histogram", "--json"),
        ("show", company_id(middle % COMPANIES), "customer", _number(middle), "--json"),
    )


def _ran(words: tuple[str, ...], environment: dict[str, str]) -> tuple[float, float]:
    """Run a command to its end: seconds, and the most memory it held. Raises where it fails."""
    command = [sys.executable, "-m", "streams.ops.cli", *words]
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "benchmarks.measured_command", *command],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"moment-sync {' '.join(words)} failed:\n{done.stderr}")
    seconds, megabytes = done.stdout.split()
    return float(seconds), float(megabytes)


def _number(index: int) -> str:
    return str(FIRST + index)


def _event_id(index: int) -> str:
    return f"dead-{_number(index)}"


async def _die(cluster: Cluster, prefix: str, url: str) -> None:
    """Let one real delivery die, and its outcome go out: the pattern of all."""
    data = Customer(
        company=company_id(0),
        number=_number(0),
        name="A customer that is refused",
        status=CustomerStatus.ACTIVE,
    )
    kind = "team.moment.customer.created"
    record = encode_event(Attributes(id=_event_id(0), source=SOURCE, type=kind), data)
    await cluster.put(prefix, Event(_event_id(0), 0, 0, record))
    engine = make_engine(url)
    told = select(func.count()).where(tables.outbox.c.published)
    deadline = time.monotonic() + WAIT_S
    while True:
        with engine.connect() as connection:
            if (connection.scalar(told) or 0) >= 2:  # noqa: PLR2004 - the outcome and the letter
                return
        if time.monotonic() > deadline:
            raise TimeoutError("the pattern did not die")
        await asyncio.sleep(LOOK_AGAIN_S)


def _fill(url: str, count: int) -> None:
    company, number = company_id(0), _number(0)
    key = UNIT.join((f"{company}-dk", "customer", number))
    clone(url, delivery_pattern(url, key, (company, number)), _clones(count))
    if is_sqlite(url):
        return
    engine = make_engine(url)
    with engine.connect() as connection:
        # As autovacuum leaves it some minutes after so many rows have come.
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _clones(count: int) -> Iterator[Clone]:
    for index in range(1, count):
        company, number = company_id(index % COMPANIES), _number(index)
        letter = delivery_id(SOURCE, _event_id(index), f"{company}-dk")
        lane = partition_of(lane_key(company, number), PARTITIONS)
        yield Clone(lane, (company, number, letter))
