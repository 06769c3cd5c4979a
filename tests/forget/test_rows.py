"""What is erased from the ledger, on both databases, down to the bytes of its files."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Connection, insert
from sqlalchemy.exc import IntegrityError

from schemas.failures import Change, Failure, FailureCode
from schemas.wire import Record
from streams.core import conclude
from streams.core.conclude import What
from streams.directory import LiveDirectory
from streams.ledger.commands import RunCommands, commands_operation
from streams.ledger.engine import Operation
from streams.ledger.notice_causes import Gather, gather
from streams.ledger.outbox import mark_published
from streams.ledger.tables import inbox
from streams.ops.cli import cli
from streams.topics import COMMANDS
from tests.conftest import BackgroundErrors
from tests.forget.planted import (
    ANSWER,
    EDIT,
    LETTER,
    NAME,
    bill,
    files_of,
    in_files,
    in_rows,
    person,
    work,
)
from tests.ledger.conftest import play
from tests.ledger.samples import PARTITIONS, applied, customer, invoice
from tests.ledger.stage import Stage

ANSWERED = b'[{"kind":"read","answer":"%s"}]' % ANSWER.encode()
QUOTING = Failure(
    code=FailureCode.REFUSED_BY_SYSTEM,
    parameters={"status": "400", "answer": f"{ANSWER} is not known"},
    answer=f"400 {ANSWER}",
)
Story = Callable[[Stage], Awaitable[None]]


class Desk:
    """The command beside a story's ledger."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def forget(self, *words: str, code: int = 0) -> Any:
        found = await asyncio.to_thread(self._invoke, "forget", *words, "--json")
        assert found.exit_code == code, (found.output, found.exception)
        return json.loads(found.stdout) if code < 2 else found.stderr

    def _invoke(self, *words: str) -> Result:
        settings = {"LEDGER": self.url, "INTEGRATIONS": "none.toml", "KAFKA": "127.0.0.1:1"}
        given = {f"MOMENT_SYNC_{name}": value for name, value in settings.items()}
        return CliRunner().invoke(cli, words, env=given)


@pytest.fixture
def desk(ledger_url: str) -> Desk:
    return Desk(ledger_url)


async def publish(s: Stage) -> None:
    positions = [row.position for row in s.rows("SELECT position FROM outbox")]
    await s.ledger.submit(mark_published, positions)


async def command(s: Stage, kind: str, delivery: str, **more: Any) -> None:
    """A command of an operator, carried out."""
    data = {"by": "kari", "reason": "mended", "deliveries": [delivery], **more}
    headers = {"specversion": "1.0", "id": f"{kind}-{delivery}", "source": "/ops"}
    headers["type"] = f"moment-sync.command.{kind}"
    record = Record(
        topic=COMMANDS,
        partition=0,
        offset=len(s.rows("SELECT 1 FROM commands")),
        timestamp_ms=1_790_000_000_000,
        key=b"c-1001/100042",
        value=json.dumps(data).encode(),
        headers=(
            ("content-type", b"application/json"),
            *((f"ce_{name}", value.encode()) for name, value in headers.items()),
        ),
    )
    await s.take_records(record)
    directory = LiveDirectory(lambda: s.integrations, PARTITIONS)
    item = RunCommands(epochs=dict(s.worker.epochs), now=s.now)
    await s.ledger.submit(commands_operation(s.rules, directory), item)


async def lived(s: Stage) -> None:
    """A customer with a project and an invoice: refused once, edited, booked, and told."""
    await s.worker.identify(f"books/{next(iter(s.integrations))}")
    await s.take(c=person(), other=customer("100043"))
    claimed = await s.worker.claim()
    await s.worker.settle(claimed["other"], applied("100043"), exchanges=b"[]")
    refused = conclude.Result(what=What.REFUSED, failure=QUOTING)
    await s.worker.settle(claimed["c"], refused, exchanges=ANSWERED, answer=f"400 {ANSWER}")
    await command(s, "replay", s.delivery("c").delivery_id, edit={"name": f"{EDIT} AS"})
    claimed = await s.worker.claim()
    await s.worker.settle(claimed["c"], applied("100042"), exchanges=ANSWERED)
    await s.take(p=work())
    by_hand = conclude.Result(
        what=What.MANUAL, changes=(Change(field="name", from_=NAME, to=EDIT),)
    )
    claimed = await s.worker.claim()
    await s.worker.settle(claimed["p"], by_hand, exchanges=ANSWERED)
    await s.take(i=bill())
    claimed = await s.worker.claim()
    await s.worker.settle(claimed["i"], applied("128-2026"), exchanges=ANSWERED)
    letter = s.record("bad", person())
    await s.take_records(msgspec.structs.replace(letter, value=b'{"name": "%s' % LETTER.encode()))
    rows = s.rows("SELECT letter_id FROM letters")
    await command(s, "discard", rows[0].letter_id)
    await publish(s)


def test_nothing_of_a_customer_is_left_but_numbers(desk: Desk, request: Any) -> None:
    """In no row, and in no byte of the ledger's files: free pages and SQLite's log too."""

    async def story(s: Stage) -> None:
        await lived(s)
        before = {word.partition(": ")[2] for word in in_rows(s.url)}
        assert len(before) == 8, "every word was there to be erased"
        kept = "SELECT ce_id, digest, number FROM inbox ORDER BY event_pk"
        numbers = s.rows(kept)
        found = await desk.forget("c-1001", "100042", "--rewrite", "--by", "kari")
        assert found["kept"] == []
        assert found["erased"]["events"] == 3
        assert in_rows(s.url) == set()
        assert s.rows(kept) == numbers
        booked = s.rows("SELECT number, reference FROM bookings")
        assert [(row.number, json.loads(row.reference)["number"]) for row in booked] == [
            ("1001", "128-2026")
        ]
        other = s.rows("SELECT value FROM inbox WHERE number = '100043'")
        assert b"Fjord AS" in other[0].value, "nobody else is touched"
        assert s.rows("SELECT who, what FROM audit")[-1] == ("kari", "forgotten")
        node = request.getfixturevalue("postgresql_node") if "postgres" in s.url else None
        assert in_files(files_of(s.url, node)) == set()

    play(desk.url, story)


def test_what_was_told_of_a_record_that_never_was_an_event_goes_too(desk: Desk) -> None:
    """A refusal quotes what it refuses; of this customer the ledger has taken nothing else."""

    async def story(s: Stage) -> None:
        await s.take(other=customer("100043"))
        letter = s.record("bad", customer("100099"))
        value = (letter.value or b"").replace(b'"active"', f'"{LETTER}"'.encode())
        await s.take_records(msgspec.structs.replace(letter, value=value))
        item = Gather(
            owner=s.worker.name,
            partitions=PARTITIONS,
            now=s.now.wall,
            integrations=s.integrations,
        )
        await s.ledger.submit(gather, item)
        rows = s.rows("SELECT letter_id FROM letters")
        await command(s, "discard", rows[0].letter_id)
        await publish(s)
        assert f"notice_causes.detail: {LETTER}" in in_rows(s.url)
        await desk.forget("c-1001", "100099")
        assert in_rows(s.url) == set()

    play(desk.url, story)


def test_without_forgetting_the_words_are_in_the_files(desk: Desk, request: Any) -> None:
    """So that the test above can fail."""

    async def story(s: Stage) -> None:
        await lived(s)
        node = request.getfixturevalue("postgresql_node") if "postgres" in s.url else None
        found = {line.partition(": ")[2] for line in in_files(files_of(s.url, node))}
        assert len(found) == 8

    play(desk.url, story)


def test_what_was_forgotten_is_still_the_same_event_and_still_booked(desk: Desk) -> None:
    async def story(s: Stage) -> None:
        await lived(s)
        await desk.forget("c-1001", "100042")
        taken = await s.take(c=person(), i=bill())
        assert (taken.events, taken.duplicates, taken.letters) == (0, 2, 0)
        await s.take(j=bill())
        again = (await s.worker.claim())["j"]
        assert again.look_up_first, "the books are asked before the number is booked again"
        await s.worker.settle(again, applied("128-2026"))
        assert len(s.rows("SELECT * FROM bookings")) == 1

    play(desk.url, story)


def test_a_customer_that_comes_again_is_written_again(desk: Desk) -> None:
    async def story(s: Stage) -> None:
        await lived(s)
        await desk.forget("c-1001", "100042")
        await s.take(d=person())
        claimed = (await s.worker.claim())["d"]
        assert claimed.row.in_books
        assert claimed.row.content is None, "nothing is cleared in the books for its sake"
        await s.worker.settle(claimed, applied("100042"))
        assert s.kinds("d") == ["applied"]

    play(desk.url, story)


def test_a_customer_of_whom_something_waits_is_left_whole_and_told(desk: Desk) -> None:
    """An invoice to DK+ takes the kennitala from the customer's last event."""

    async def story(s: Stage) -> None:
        await lived(s)
        await s.take(j=bill("1002"), other2=customer("100043", "Bekk AS"))
        claimed = await s.worker.claim()
        await s.worker.settle(claimed["other2"], applied("100043"))
        await publish(s)
        found = await desk.forget("c-1001", code=1)
        assert [one["state"] for one in found["kept"]] == ["sending"]
        held = {row.number: row.value for row in s.rows("SELECT number, value FROM inbox")}
        assert held["100043"] is None
        assert held["100042"] is not None
        assert held["1001"] is not None
        await s.worker.settle(claimed["j"], applied("129-2026"))
        await publish(s)
        await desk.forget("c-1001")
        assert in_rows(s.url) == set()

    play(desk.url, story)


def test_a_whole_company_goes_and_can_be_forgotten_twice(desk: Desk) -> None:
    async def story(s: Stage) -> None:
        await lived(s)
        first = await desk.forget("c-1001")
        again = await desk.forget("c-1001")
        assert first["erased"]["events"] == 4
        assert again["erased"]["events"] == again["erased"]["deliveries"] == 0
        assert in_rows(s.url) == set()

    play(desk.url, story)


def test_a_dry_run_changes_nothing_and_an_unknown_company_is_refused(desk: Desk) -> None:
    async def story(s: Stage) -> None:
        await lived(s)
        before = in_rows(s.url)
        found = await desk.forget("c-1001", "100042", "--dry-run")
        assert found["found"] == {"events": 3, "letters": 1}
        assert in_rows(s.url) == before
        assert "knows nothing of c-9" in await desk.forget("c-9", code=2)
        assert "customer 1 of c-1001" in await desk.forget("c-1001", "1", code=2)

    play(desk.url, story)


def test_it_says_what_it_cannot_reach(desk: Desk) -> None:
    async def story(s: Stage) -> None:
        await lived(s)
        found = await desk.forget("c-1001", "100042")
        assert {one["where"] for one in found["remains"]} >= {"kafka", "books", "backups"}
        told = " ".join(one["text"] for one in found["remains"])
        assert "30 days" in told
        assert "90 days" in told

    play(desk.url, story)


def test_an_outcome_that_is_not_published_yet_is_told(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.ops.forget.WAIT_S", 0.1)

    async def story(s: Stage) -> None:
        await s.take(c=person())
        await s.worker.deliver("c")
        found = await desk.forget("c-1001", "100042", code=1)
        assert "1 outcomes are not published yet" in found["remains"][-1]["text"]
        assert found["erased"]["events"] == 0
        await publish(s)
        assert (await desk.forget("c-1001", "100042"))["erased"]["events"] == 1
        assert s.rows("SELECT * FROM outbox") == []

    play(desk.url, story)


def test_resync_does_not_bring_over_what_was_forgotten(desk: Desk) -> None:
    async def story(s: Stage) -> None:
        await lived(s)
        await desk.forget("c-1001", "100042")
        data = {"deliveries": [], "integration": "fjord-sb1", "invoicesFrom": "2026-01-01"}
        await command(s, "resync", "x", **data)
        directory = LiveDirectory(lambda: s.integrations, PARTITIONS)
        operation = commands_operation(s.rules, directory)
        for _ in range(3):
            await s.ledger.submit(operation, RunCommands(epochs=s.worker.epochs, now=s.now))
        ready = s.rows("SELECT number FROM deliveries WHERE state = 'ready'")
        assert [row.number for row in ready] == ["100043"]

    play(desk.url, story)


def test_events_that_come_meanwhile_are_taken_and_stay_whole(desk: Desk) -> None:
    async def story(s: Stage) -> None:
        for n in range(300):
            await s.take(**{f"c{n}": person(str(100_100 + n))})
        claimed = await s.worker.claim(s.worker.want(sends=400), most=400)
        for one in claimed.values():
            await s.worker.settle(one, applied(one.delivery.number))
        await publish(s)
        forgetting = asyncio.create_task(desk.forget("c-1001", code=1))
        late = 0
        while not forgetting.done():
            await s.take(**{f"late{late}": invoice(f"9{late}", "100500")})
            late += 1
        found = await forgetting
        assert found["erased"]["events"] >= 300
        rows = s.rows("SELECT value FROM inbox WHERE number LIKE '9%'")
        assert len(rows) == late > 0
        assert all(row.value is not None for row in rows)

    play(desk.url, story)


def test_a_write_that_fails_is_logged_without_what_was_written(
    desk: Desk, background_errors: BackgroundErrors
) -> None:
    """A driver's error quotes every parameter, and those are events."""

    def broken(connection: Connection, items: Sequence[bytes]) -> list[None]:
        for item in items:
            row = {"source": None, "ce_id": "x", "value": item}
            connection.execute(insert(inbox), row)
        return [None for _ in items]

    async def story(s: Stage) -> None:
        writing = s.ledger.submit(Operation("broken", 1, broken), NAME.encode())
        with pytest.raises(IntegrityError):
            await writing
        record = background_errors.records[-1]
        told = logging.Formatter().format(record)
        assert "IntegrityError" in told
        assert NAME not in told

    play(desk.url, story)
    assert background_errors.take("ledger_operation_failed") != []
