"""The reference: the fastest that key order and at-least-once alone allow, without a ledger."""

import sys
from typing import Final

import msgspec

from benchmarks.contender import Plan, Running, environment_of
from benchmarks.contenders.worker_plan import WorkerPlan
from benchmarks.events import company_id, token_of
from streams.local.guarded import GuardedProcess

GUARANTEES: Final = "order of each key, at least once; no ledger, no dedupe, no retry"


class Reference:
    """aiokafka, queues by key, uvloop; see `benchmarks/contenders/reference_worker.py`."""

    name = "reference"
    guarantees = GUARANTEES

    def refusal(self) -> str | None:
        """It runs wherever the harness runs."""
        return None

    def start(self, plan: Plan) -> Running:
        """Start it and wait until it has its partitions."""
        return start_python_worker(plan, sys.executable, "benchmarks.contenders.reference_worker")


def start_python_worker(plan: Plan, python: str, module: str) -> Running:
    """Start a module with the plan as its argument; it makes a file when it is ready."""
    plan.directory.mkdir(parents=True, exist_ok=True)
    given = worker_plan(plan)
    log = plan.directory / "worker.log"
    process = GuardedProcess(
        [python, "-m", module, msgspec.json.encode(given).decode()],
        log=log,
        environment=environment_of(plan.environment),
    )
    ready = plan.directory / "ready"
    return Running([process], log).wait(ready.exists)


def worker_plan(plan: Plan) -> WorkerPlan:
    """The harness's plan as a worker needs it."""
    return WorkerPlan(
        bootstrap=plan.bootstrap,
        group=plan.prefix.rstrip("."),
        input=plan.input,
        results=plan.results,
        base_url=plan.base_url,
        tokens={company_id(number): token_of(number) for number in range(plan.companies)},
        in_flight=plan.in_flight,
        partitions=plan.partitions,
        ready=str(plan.directory / "ready"),
    )
