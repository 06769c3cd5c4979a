"""The console before a million dead letters: how long its pages take, on both ledgers.

Served in this process to a client in it, so that what is measured is the page and its queries.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, web
from sqlalchemy import text

from streams.clock import SystemClock
from streams.console.app import add_console
from streams.ledger.engine import make_engine
from streams.ledger.schema import is_sqlite, migrate
from streams.local.postgresql_node import PostgresNode
from streams.settings import Settings, load

DEAD: Final = 1_000_000
INTEGRATIONS: Final = 50
CAUSES: Final = 20  # of each integration
WITH_EVENTS: Final = 100  # of the newest, so that a letter can be opened
ROUNDS: Final = 20
BUDGET_MS: Final = 200.0  # of every first page
COUNT_WAIT_S: Final = 120.0

Say = Callable[[str], None]


def run(dead: int = DEAD, *, rounds: int = ROUNDS, say: Say = print) -> dict[str, Any]:
    """Fill both ledgers and time the pages: milliseconds by ledger and page, and the verdict.

    `withinBudget` is whether no first page of any kind took longer than 200 ms in the median.
    """
    found: dict[str, Any] = {"dead": dead, "budgetMs": BUDGET_MS, "ledgers": {}}
    with tempfile.TemporaryDirectory(prefix="console-pages-") as directory:
        url = f"sqlite:///{Path(directory) / 'ledger.db'}"
        found["ledgers"]["sqlite"] = _one(url, dead, rounds, say)
    with tempfile.TemporaryDirectory(prefix="console-pages-") as directory:
        node = PostgresNode(Path(directory))
        node.start()
        try:
            url = node.create_database("console_pages")
            found["ledgers"]["postgresql"] = _one(url, dead, rounds, say)
        finally:
            node.stop()
    medians = [
        page["p50"] for ledger in found["ledgers"].values() for page in ledger["pages"].values()
    ]
    found["withinBudget"] = max(medians) <= BUDGET_MS
    return found


def _one(url: str, dead: int, rounds: int, say: Say) -> dict[str, Any]:
    migrate(url)
    begun = time.monotonic()
    fill(url, dead)
    say(f"{url.partition(':')[0]}: {dead:,} dead, filled in {time.monotonic() - begun:.0f} s")
    settings = load({"MOMENT_SYNC_LEDGER": url, "MOMENT_SYNC_KAFKA": "127.0.0.1:1"})
    found = asyncio.run(_timed(settings, dead, rounds))
    for name, page in found["pages"].items():
        say(f"  {name:<24} p50 {page['p50']:7.1f} ms   max {page['max']:7.1f} ms")
    return found


# --- filling ---------------------------------------------------------------------------------


def fill(url: str, dead: int) -> None:
    """Dead deliveries of many integrations and causes, as a bad day would leave them."""
    engine = make_engine(url)
    sqlite = is_sqlite(url)
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) "
        if sqlite
        else "WITH n AS (SELECT i FROM generate_series({first}, {last}) AS i) "
    )
    with engine.begin() as connection:
        connection.execute(text(_deliveries(numbers.format(first=1, last=dead), sqlite=sqlite)))
        first = max(1, dead - WITH_EVENTS)
        connection.execute(text(_events(numbers.format(first=first, last=dead), sqlite=sqlite)))
    with engine.connect() as connection:
        plain = connection.execution_options(isolation_level="AUTOCOMMIT")
        if not sqlite:
            plain.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def _blob(expression: str, *, sqlite: bool) -> str:
    return f"CAST({expression} AS BLOB)" if sqlite else f"convert_to({expression}, 'UTF8')"


def _deliveries(numbers: str, *, sqlite: bool) -> str:
    """All of it is our own text and whole numbers of ours."""
    cause = f"((i / {INTEGRATIONS}) % {CAUSES})"
    failure = (
        '\'{"code"\\:"vat-code-unknown","parameters"\\:{"vatCode"\\:"\' || '
        f'{cause} || \'"}},"field"\\:"$.lines[0].vatCode","answer"\\:"400 it is not '
        "there\"}'"
    ).replace("}},", "},")
    shape = "printf('%032x', {})" if sqlite else "lpad(to_hex({}), 32, '0')"
    digest = shape.format(cause)
    company = f"'c-' || (i % {INTEGRATIONS})"
    name = f"'int-' || (i % {INTEGRATIONS})"
    return (
        f"{numbers} INSERT INTO deliveries (ordinal, delivery_id, event_pk, integration, system, "  # noqa: S608 - our own words
        "company, entity_key, entity_type, number, customer_number, lane, state, attempts, "
        "failure, failure_code, failure_class, cause, received_at, first_failed_at, "
        "last_failed_at, settled_at) "
        f"SELECT i, 'd-' || i, i, {name}, 'sparebank1', {company}, "
        f"{name} || '/' || i, 'invoice', '' || i, '' || (100000 + i % 9000), i % 12, 'dead', 1, "
        f"{_blob(failure, sqlite=sqlite)}, 'vat-code-unknown', 'set-up', {digest}, "
        "1790000000.0 + i, 1790000000.0 + i, 1790000000.0 + i, 1790000000.0 + i FROM n"
    )


def _events(numbers: str, *, sqlite: bool) -> str:
    value = _blob("'{\"number\"\\:\"' || i || '\"}'", sqlite=sqlite)
    digest = _blob("'' || i", sqlite=sqlite)
    headers = "x'90'" if sqlite else "'\\x90'\\:\\:bytea"  # an empty list, packed
    return (
        f"{numbers} INSERT INTO inbox (event_pk, source, ce_id, ce_type, digest, digest_version, "  # noqa: S608 - our own words
        'topic, "partition", "offset", timestamp_ms, value, headers, company, entity_type, '
        "number, customer_number, received_at) "
        f"SELECT i, '/moment/crm', 'e-' || i, 'team.moment.invoice.finalized', {digest}, 1, "
        f"'moment.invoices', 0, i, 0, {value}, {headers}, 'c-' || (i % {INTEGRATIONS}), "
        "'invoice', '' || i, '100000', 1790000000.0 + i FROM n"
    )


# --- timing ----------------------------------------------------------------------------------


async def _timed(settings: Settings, dead: int, rounds: int) -> dict[str, Any]:
    pages = {
        "dead letters": "/console/dead",
        "by code": "/console/dead?code=vat-code-unknown",
        "by integration": "/console/dead?integration=int-7",
        "by company": "/console/dead?company=c-7",
        "by cause": f"/console/dead?integration=int-7&code=vat-code-unknown&cause={3:032x}",
        "since": "/console/dead?since=2026-09-30",
        "far back": f"/console/dead?after={1790000000.0 + dead / 2!r}~d~{dead // 2}",
        "one letter": f"/console/dead/d-{dead}",
        "overview": "/console/",
    }
    found: dict[str, Any] = {"pages": {}}
    app = web.Application()
    add_console(app, settings, set_up=dict, clock=SystemClock(), ask_lag=_no_lag)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with ClientSession() as client:
            found["firstPageMs"] = await _asked(client, base + "/console/dead")
            found["countedAfterS"] = await _counted(client, base)
            for name, address in pages.items():
                taken = [await _asked(client, base + address) for _ in range(rounds)]
                found["pages"][name] = {
                    "p50": round(statistics.median(taken), 1),
                    "max": round(max(taken), 1),
                }
    finally:
        await runner.cleanup()
    return found


async def _no_lag(_settings: Settings) -> int:
    return 0


async def _asked(client: ClientSession, address: str) -> float:
    begun = time.monotonic()
    async with client.get(address) as answer:
        await answer.read()
        if not answer.ok:
            raise RuntimeError(f"{address} answered {answer.status}")
    return (time.monotonic() - begun) * 1_000


async def _counted(client: ClientSession, base: str) -> float:
    """Seconds until the first count of everything was there."""
    begun = time.monotonic()
    async with asyncio.timeout(COUNT_WAIT_S):
        while True:
            async with client.get(f"{base}/console/") as answer:
                if "<h1>Counting</h1>" not in await answer.text():
                    return round(time.monotonic() - begun, 2)
