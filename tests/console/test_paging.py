"""Pages of the dead: all of them, each once, the same that the command line finds."""

import random
import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from schemas.failures import FailureClass, FailureCode
from streams.ledger import console_lists, console_queries
from streams.ledger.console_dead import (
    BadPlaceError,
    DeadPage,
    Sought,
    all_sought,
    place_of,
    sought_page,
)
from streams.ledger.dead import Filter, all_dead
from streams.ledger.engine import make_engine
from streams.ledger.queries import ask
from tests.console.conftest import Client, visit
from tests.console.serving import settings_for
from tests.console.world import ALL
from tests.ledger.test_query_plans import GROWS

WHOLE = re.compile(rf"SCAN (?:{'|'.join(sorted(GROWS))})")  # and no word of an index
INTEGRATIONS = tuple(one.id for one in ALL)


def walk(url: str, sought: Sought, limit: int, *, newest: bool = True) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:

        def query(connection: Connection, after: str | None = after) -> DeadPage:
            return sought_page(connection, sought, after=after, limit=limit, newest=newest)

        page = ask(url, query)
        found += [one.delivery_id for one in page.dead]
        after = page.next
        if after is None:
            return found


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("limit", [1, 7, 50])
def test_every_dead_one_is_on_exactly_one_page(world_url: str, limit: int, newest: bool) -> None:
    """Most of them failed in the same moment, and letters stand among them."""
    everything = ask(world_url, lambda c: [d.delivery_id for d in all_dead(c, Filter())])
    found = walk(world_url, Sought(), limit, newest=newest)
    assert sorted(found) == sorted(everything)
    assert len(set(found)) == len(found) == 47


FILTERS: dict[str, dict[str, Any]] = {
    "code": {"code": FailureCode.VAT_CODE_UNKNOWN},
    "code of letters": {"code": FailureCode.EVENT_UNREADABLE},
    "class": {"klass": FailureClass.DATA},
    "company": {"company": "c-1002"},
    "integration": {"integration": "fjord-sb1"},
    "entity": {"entity": "invoice/1003"},
    "both": {"integration": "fjord-sb1", "code": FailureCode.FOUND_TWICE},
    "nothing": {"integration": "nord-sb1", "code": FailureCode.FOUND_TWICE},
    "since": {"since": 1_795_352_400.0},
    "since never": {"since": 1_795_354_300.0},
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_find_what_the_command_line_finds(world_url: str, name: str) -> None:
    given = FILTERS[name]
    wanted = ask(world_url, lambda c: {d.delivery_id for d in all_dead(c, Filter(**given))})
    sought = Sought(**given, integrations=INTEGRATIONS)
    assert set(walk(world_url, sought, 7)) == wanted
    found, whole = ask(world_url, lambda c: all_sought(c, sought, 1_000))
    assert whole
    assert {one.delivery_id for one in found} == wanted


def test_the_groups_add_up_to_all_that_is_dead(world_url: str) -> None:
    causes = ask(world_url, console_queries.dead_causes)
    letters = ask(world_url, console_queries.letters_by_code)
    codes = ask(world_url, console_queries.dead_by_code)
    assert [(c.code, c.count, c.customers) for c in causes[:2]] == [
        ("vat-code-unknown", 40, 12),
        ("period-locked", 3, 1),
    ]
    assert sum(c.count for c in causes) == sum(codes.values()) == 45
    assert [(one.sample.code, one.count) for one in letters] == [("event-unreadable", 2)]
    (first, *_) = causes
    code = FailureCode(first.code)
    sought = Sought(integration=first.integration, code=code, cause=first.cause)
    assert len(walk(world_url, sought, 7)) == 40


def test_a_place_that_no_page_gave_is_refused() -> None:
    chance = random.Random(1)
    for text in ("", "1", "x~d~1", "1~d~x", "1~z~1", "1~d~1;--", "nan~d~1", "1~d~" + "1" * 99):
        with pytest.raises(BadPlaceError):
            place_of(text)
    for _ in range(50):
        at = chance.uniform(0, 2e9)
        place = place_of(f"{at!r}~d~{chance.randrange(10**9)}")
        assert place is not None
        assert place.at == at


def test_no_query_of_a_page_reads_a_table_from_end_to_end(sqlite_world: str) -> None:
    """Counting reads indexes of the dead; pages read a few rows, however many there are."""
    seen: list[tuple[str, Any]] = []
    engine = make_engine(sqlite_world)
    event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _k, statement, parameters, *_: seen.append((statement, parameters)),
    )

    def pages(c: Connection) -> None:
        for given in FILTERS.values():
            sought_page(c, Sought(**given, integrations=INTEGRATIONS), after=None, limit=5)
            sought_page(c, Sought(**given), after="1795352400.0~l~a", limit=5)
        console_queries.change_mark(c)
        console_queries.open_work(c)
        console_queries.dead_by_code(c)
        console_queries.dead_causes(c)
        console_lists.outcomes_after(c, 3)
        console_lists.outcomes_before(c, None)
        console_lists.parked(c, integration="fjord-sb1", after=("a", 1), limit=5)
        console_lists.parked(c, integration=None, after=None, limit=5)
        console_lists.acts_before(c, 5, integrations=["a"], limit=5)
        console_lists.entities_named(c, ["c-1001", "c-1002"], "1001")

    bad = []
    reading = engine.connect().execution_options(ledger_read_only=True)
    with reading as connection, connection.begin():
        pages(connection)
        asked = [(s, p) for s, p in seen if s.startswith("SELECT")]
        for statement, parameters in asked:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            # What is read in the order of its key ends with the limit of the page.
            limited = "LIMIT" in statement
            details = [row.detail for row in plan]
            sorted_whole = any("TEMP B-TREE FOR ORDER BY" in one for one in details)
            if not limited or sorted_whole:
                bad += [(statement, one) for one in details if WHOLE.fullmatch(one)]
    engine.dispose()
    assert bad == []


def test_a_ledger_that_is_away_is_told_and_comes_back(tmp_path: Path, sqlite_world: str) -> None:
    """The file is moved and put back, as a restore does."""
    path, aside = Path(sqlite_world.removeprefix("sqlite:///")), tmp_path / "aside"

    def move(here: Path, there: Path) -> None:
        assert not there.exists(), "looking must not make a ledger"
        for suffix in ("-wal", "-shm"):
            Path(f"{here}{suffix}").unlink(missing_ok=True)
        here.rename(there)

    async def story(client: Client) -> None:
        assert (await client.get("/console/dead")).status == 200
        move(path, aside)
        first = await client.get("/console/dead")
        text = await first.text()
        assert first.status == 503
        assert first.headers["Retry-After"] == "5"
        assert "Since 2026-11-22 13:30:00 UTC" in text
        assert '<noscript><meta http-equiv="refresh"' in text
        move(aside, path)
        assert (await client.get("/console/dead")).status == 200

    visit(settings_for(sqlite_world), story)


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    async def story(client: Client) -> None:
        answer = await client.get("/console/dead")
        assert answer.status == 503
        assert "hunter2" not in await answer.text()

    visit(settings_for("postgresql://me:hunter2@127.0.0.1:1/ledger"), story)
