"""PostgreSQL under trouble, failing over and refusing: nothing lost, nothing twice."""

import asyncio
import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from streams.ledger.engine import Ledger, Operation, make_engine
from streams.ledger.schema import migrate
from streams.local.postgresql_node import PostgresNode
from tests.conftest import BackgroundErrors
from tests.ledger.conftest import play
from tests.ledger.samples import applied, customer
from tests.ledger.stage import Stage

pytestmark = pytest.mark.postgresql

DEADLINE_S = 40.0
# What PostgreSQL calls it: a serialization failure, a deadlock, a server that goes or comes up,
# one that has become a standby, no memory, a full disk, a file that cannot be read, itself; a plan
# that a migration has made stale, and one that this server has never seen.
PASSING = (
    *("40001", "40P01", "57P01", "57P03", "25006", "53200", "53100", "58030", "XX000"),
    *("0A000", "26000"),
)


@pytest.fixture
def node() -> Iterator[PostgresNode]:
    """A server of this test's own, to be stopped and killed."""
    with (
        tempfile.TemporaryDirectory(prefix="postgresql-") as directory,
        PostgresNode(Path(directory)) as found,
    ):
        yield found


def failing(state: str, times: int) -> Operation[str, str]:
    """Writes a word an item; before that, so many times, PostgreSQL refuses with this state."""
    left = [times]

    def handler(connection: Connection, items: Sequence[str]) -> list[str]:
        for item in items:
            connection.execute(text("INSERT INTO meta VALUES (:w, :w)"), {"w": item})
        if left[0]:
            left[0] -= 1
            refuse = f"DO $$ BEGIN RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'; END $$"
            connection.exec_driver_sql(refuse)
        return list(items)

    return Operation("failing", 1, handler)


@pytest.mark.parametrize("state", PASSING)
def test_what_passes_is_tried_again_and_written_once(postgresql_url: str, state: str) -> None:
    async def story(s: Stage) -> None:
        operation = failing(state, 2)
        words = [f"w{n}" for n in range(5)]
        done = await asyncio.gather(*(s.ledger.submit(operation, word) for word in words))
        assert done == words
        assert sorted(row.key for row in s.rows("SELECT key FROM meta")) == words
        assert s.ledger.unwritable is None

    play(postgresql_url, story)


def test_an_item_that_postgresql_can_never_take_fails_alone(
    postgresql_url: str, background_errors: BackgroundErrors
) -> None:
    """Too large for an index is an operational error for drivers: it was tried for ever."""

    async def story(s: Stage) -> None:
        operation = failing("00000", 0)
        digits = "".join(f"{n * 7919:x}" for n in range(4_000))  # does not compress to fit
        poison = s.ledger.submit(operation, digits)
        others = [s.ledger.submit(operation, f"w{n}") for n in range(3)]
        assert await asyncio.wait_for(asyncio.gather(*others), DEADLINE_S) == ["w0", "w1", "w2"]
        with pytest.raises(Exception, match="index row"):
            await poison

    play(postgresql_url, story)
    assert background_errors.take("ledger_operation_failed") != []


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_server_that_goes_and_comes_back_under_load_costs_nothing(
    node: PostgresNode, *, kill: bool
) -> None:
    """As a fail-over of the same data: sessions end, nobody listens for a while, and it is back."""
    url = node.create_database("fails_over")
    migrate(url)

    async def story() -> None:
        ledgers = [Ledger(url), Ledger(url)]
        for ledger in ledgers:
            ledger.start()
        operation = failing("00000", 0)
        written: list[asyncio.Future[str]] = []

        async def load(ledger: Ledger, name: str, until: asyncio.Event) -> None:
            n = 0
            while not until.is_set():
                written.append(ledger.submit(operation, f"{name}{n}"))
                n += 1
                await asyncio.sleep(0.002)

        over = asyncio.Event()
        loads = [asyncio.create_task(load(one, f"l{n}-", over)) for n, one in enumerate(ledgers)]
        for _ in range(2):
            await asyncio.to_thread(node.restart, kill=kill)
            for one in ledgers:
                await one.committed()
        over.set()
        await asyncio.gather(*loads)
        # Of a commit whose answer was lost nothing is known: tried again, it breaks the key.
        done = await asyncio.gather(*written, return_exceptions=True)
        kept = [word for word in done if isinstance(word, str)]
        for ledger in ledgers:
            await ledger.stop()
        engine = make_engine(url)
        with engine.begin() as connection:
            found = {row.key for row in connection.execute(text("SELECT key FROM meta"))}
        engine.dispose()
        assert set(kept) <= found
        assert len(found) == len(written), "every item is there, once"
        assert len(written) > 20

    asyncio.run(asyncio.wait_for(story(), DEADLINE_S))


def test_a_delivery_goes_on_where_it_was_after_a_fail_over(node: PostgresNode) -> None:
    async def story(s: Stage) -> None:
        await s.take(c=customer())
        claimed = (await s.worker.claim())["c"]
        await asyncio.to_thread(node.kill)
        settling = asyncio.ensure_future(s.worker.settle(claimed, applied()))
        reading = asyncio.create_task(s.ledger.read(lambda c: c.execute(text("SELECT 1")).scalar()))
        await asyncio.to_thread(node.start)
        assert not (await settling).lost
        assert await reading == 1
        assert s.kinds("c") == ["applied"]

    play(node.create_database("goes_on"), story)


def test_a_standby_is_not_written_and_is_left_when_it_is_promoted(postgresql_url: str) -> None:
    """Sessions of a demoted server live on, and everything in them is refused as read-only."""

    async def story(s: Stage) -> None:
        url = s.ledger.engine.url
        admin = make_engine(url.set(database="postgres"))

        def read_only(answer: str) -> None:
            with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                words = f"SET default_transaction_read_only = {answer}"
                connection.exec_driver_sql(f"ALTER DATABASE {url.database} {words}")

        read_only("on")
        writer = s.ledger.submit(failing("25006", 1), "w")  # ends the old session
        taking = asyncio.create_task(s.take(c=customer()))
        both: list[asyncio.Future[Any]] = [taking, writer]
        done, _ = await asyncio.wait(both, timeout=0.5)
        assert done == set()
        read_only("off")
        admin.dispose()
        await asyncio.gather(*both)
        assert s.states() == {"c": "ready"}

    play(postgresql_url, story)


def test_a_host_that_never_answers_is_given_up_and_tried_again() -> None:
    """A connection that is taken, by a proxy or a frozen server, and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        engine = make_engine(f"postgresql://u@127.0.0.1:{port}/x?connect_timeout=2")
        with pytest.raises(OperationalError, match="timeout"):
            engine.connect()
        engine.dispose()


def test_a_connection_to_a_host_that_is_cut_off_is_not_believed_in_for_long(
    postgresql_url: str,
) -> None:
    """What libpq was told; that it does so is its own matter."""
    for url, seconds in ((postgresql_url, "15"), (f"{postgresql_url}&keepalives_idle=60", "60")):
        engine = make_engine(url)
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            told = driver.info.get_parameters()
        engine.dispose()
        assert told["keepalives_idle"] == seconds
        assert (told["connect_timeout"], told["tcp_user_timeout"]) == ("10", "30000")
