"""Replay, discard, resume, resync and tail through a real Kafka, with a worker beside."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any

import pytest

from schemas.commands import CommandData, CommandKind
from schemas.failures import Failure, FailureCode
from streams import topics
from streams.kafka_client import KafkaConnection
from streams.ledger.holds import HoldChange, change_hold
from streams.ledger_outbox import LedgerOutbox
from streams.ops.command_base import Exit
from streams.ops.ledger_view import LedgerView
from streams.ops.orders import Post, plan
from streams.publish import Publisher
from streams.settings import load
from streams.topics import TopicNames
from tests.ledger.samples import DK, REFUSAL, SB1, applied, customer
from tests.ledger.stage import Stage
from tests.ops.mending_stage import Place, kill, refused, three_dead, working
from tests.ops.running import end, started

pytestmark = pytest.mark.kafka


class Town:
    """A place, topics under a prefix of their own, and a broker."""

    def __init__(self, directory: Path, kafka: KafkaConnection, prefix: str) -> None:
        self.place = Place(directory)
        self.kafka = kafka
        self.names = TopicNames(prefix)
        report = asyncio.run(
            topics.create(kafka, self.names, partitions=4, replication=-1, retention_s=86_400)
        )
        assert report.failed == ()

    def play(self, story: Callable[[Stage], Awaitable[None]]) -> None:
        self.place.play(story)

    async def run(self, *arguments: str) -> tuple[int, Any, str]:
        found: tuple[int, Any, str] = await self.place.run(
            self.kafka, self.names.prefix, *arguments
        )
        return found


@pytest.fixture
def town(tmp_path: Path, kafka: KafkaConnection, topic_prefix: str) -> Town:
    return Town(tmp_path, kafka, topic_prefix)


def test_what_is_replayed_by_filter_goes_again_and_the_audit_says_who(town: Town) -> None:
    async def story(stage: Stage) -> None:
        await three_dead(stage)
        async with working(stage, town.kafka, town.names) as read:
            code, found, _ = await town.run(
                *("deadletters", "replay", "--code", "account-unknown"),
                *("--by", "kari", "--reason", "the account is there now"),
            )
        assert code == Exit.DONE
        assert len(found["replayed"]) == 3
        assert (found["refused"], found["dryRun"]) == ([], False)
        assert {record.key for record in read} == {b"c-1001/100042", b"c-1001/100043"}
        assert set(stage.states().values()) == {"applied", "ready"}
        rows = stage.rows("SELECT DISTINCT who, why FROM audit")
        assert [(row.who, row.why) for row in rows] == [("kari", "the account is there now")]

    town.play(story)


def test_an_edit_is_carried_out_and_a_discard_too(town: Town) -> None:
    async def story(stage: Stage) -> None:
        await three_dead(stage)
        first, second = (stage.delivery(name).delivery_id for name in ("i", "j"))
        async with working(stage, town.kafka, town.names):
            edit = ("--edit", "lines[0].account.number=3010")
            code, found, _ = await town.run("deadletters", "replay", first, "--by", "kari", *edit)
            assert (code, found["replayed"]) == (Exit.DONE, [first])
            code, found, _ = await town.run("deadletters", "discard", second, "--by", "kari")
            assert (code, found["discarded"]) == (Exit.DONE, [second])
            code, found, _ = await town.run("deadletters", "discard", second, "--by", "kari")
            assert (code, found["refused"][0]["reason"]) == (Exit.FOUND, "not-dead")
        claimed = (await stage.worker.claim())["i"]
        assert claimed.event.lines[0].account.number == "3010"  # type: ignore[union-attr]  # it is an invoice

    town.play(story)


def test_a_canary_goes_first_and_the_others_only_where_it_got_through(town: Town) -> None:
    async def story(stage: Stage) -> None:
        await three_dead(stage)
        ask = ("deadletters", "replay", "--entity", "invoice/1001", "--by", "kari", "--canary")
        async with working(stage, town.kafka, town.names, settle=refused(REFUSAL)):
            code, found, _ = await town.run(*ask)
        assert code == Exit.FOUND
        assert [(one["state"], one["code"]) for one in found["canary"]] == [
            ("dead", "account-unknown")
        ]
        everything = ("deadletters", "replay", "--all", "--by", "kari", "--canary")
        async with working(stage, town.kafka, town.names, settle=refused(REFUSAL)) as read:
            code, found, _ = await town.run(*everything)
            assert (code, len(read)) == (Exit.FOUND, 1), "nothing more was sent"
        assert (len(found["replayed"]), len(found["notSent"])) == (1, 2)
        assert not found["canaryApplied"]
        assert sorted(stage.states().values()) == ["applied", "dead", "dead", "dead"]
        async with working(stage, town.kafka, town.names, settle=applied()):
            code, found, told = await town.run(*everything)
        assert code == Exit.DONE
        assert len(found["replayed"]) == 3
        assert [one["state"] for one in found["canary"]] == ["applied"]
        assert "now the other 2" in told

    town.play(story)


def test_a_rate_spreads_deliveries_over_commands(town: Town) -> None:
    async def story(stage: Stage) -> None:
        await stage.take(**{f"c{n}": customer(str(100100 + n)) for n in range(4)})
        await kill(stage, "c0", "c1", "c2", "c3")
        async with working(stage, town.kafka, town.names) as read:
            began = asyncio.get_running_loop().time()
            _, found, _ = await town.run(
                "deadletters", "replay", "--all", "--by", "kari", "--rate", "2"
            )
            took = asyncio.get_running_loop().time() - began
        assert len(found["replayed"]) == 4
        assert len(read) == 4
        assert took > 1.5, "three pauses of half a second"

    town.play(story)


def test_a_replay_that_was_broken_off_sends_the_same_command_again(town: Town) -> None:
    """Kafka may then have it twice; it is carried out once."""

    async def story(stage: Stage) -> None:
        await three_dead(stage)
        environ = {f"MOMENT_SYNC_{k}": v for k, v in town.place.settings().items()}
        view = LedgerView(load({**environ, "MOMENT_SYNC_KAFKA": town.kafka.bootstrap}))
        dead = [(b"c-1001/100042", stage.delivery(name).delivery_id) for name in ("i", "j")]
        data = CommandData(by="kari")
        none = dict.fromkeys((name for _, name in dead), 0)
        waves = await asyncio.to_thread(plan, view, CommandKind.REPLAY, dead, data, 32, none)
        async with Post(town.kafka, town.names) as post:
            await post.send(waves[0])
        async with asyncio.TaskGroup() as group:
            again = group.create_task(
                town.run("deadletters", "replay", *(name for _, name in dead), "--by", "kari")
            )
            await records_in_topics(town, 2)
            async with working(stage, town.kafka, town.names) as read:
                code, found, _ = await again
        assert (code, len(found["replayed"])) == (Exit.DONE, 2)
        sent = {dict(record.headers)["ce_id"] for record in read}
        assert sent == {waves[0][0].id.encode()}
        assert {stage.delivery(name).replays for name in ("i", "j")} == {1}

    town.play(story)


def test_broken_off_in_the_middle_and_run_again_nothing_goes_twice(town: Town) -> None:
    async def story(stage: Stage) -> None:
        numbers = {f"c{n}": str(100100 + n) for n in range(12)}
        await stage.take(**{name: customer(number) for name, number in numbers.items()})
        await kill(stage, *numbers)
        settings = town.place.settings(KAFKA=town.kafka.bootstrap, TOPIC_PREFIX=town.names.prefix)
        words = ("deadletters", "replay", "--all", "--by", "kari", "--rate", "1")
        async with working(stage, town.kafka, town.names, settle=refused(REFUSAL)) as read:
            with started(town.place.directory, *words, **settings) as process:
                async with asyncio.timeout(60):
                    for _ in iter(lambda: len(read) >= 3, True):
                        await asyncio.sleep(0.02)
                code, err = await asyncio.to_thread(end, process, signal.SIGINT)
            assert code == 130
            assert "nothing twice" in err
            broken_off = {name for name in numbers if stage.delivery(name).replays}
            assert 3 <= len(broken_off) < 12
            ids = [stage.delivery(name).delivery_id for name in numbers if name not in broken_off]
            code, found, _ = await town.run("deadletters", "replay", *ids, "--by", "kari")
            assert (code, sorted(found["replayed"])) == (Exit.DONE, sorted(ids))
        assert {stage.delivery(name).replays for name in numbers} == {1}

    town.play(story)


def test_a_letter_that_still_is_none_is_counted_by_the_worker_and_told(town: Town) -> None:
    """The worker's set-up decides, not that of the machine that the command is run on."""

    async def story(stage: Stage) -> None:
        stage.integrations = {}
        await stage.take(c=customer())
        (row,) = stage.rows("SELECT letter_id FROM letters")
        ask = ("deadletters", "replay", row.letter_id, "--by", "kari")
        async with working(stage, town.kafka, town.names):
            code, found, _ = await town.run(*ask)
            assert (code, found["refused"][0]["reason"]) == (Exit.FOUND, "company-unknown")
        shown = town.place.ask("deadletters", "show", row.letter_id)
        assert shown["deadletter"]["replays"] == 1
        assert [line["what"] for line in shown["story"]] == ["refused"]
        stage.integrations = {SB1.id: SB1}
        async with working(stage, town.kafka, town.names):
            code, found, _ = await town.run(*ask)
        assert (code, found["replayed"]) == (Exit.DONE, [row.letter_id])
        assert stage.states() == {"c": "ready"}

    town.play(story)


def test_resume_and_resync_are_carried_out_and_told(town: Town) -> None:
    async def story(stage: Stage) -> None:
        stage.integrations[DK.id] = DK
        await three_dead(stage)
        await stage.ledger.submit(
            change_hold,
            HoldChange(
                integration=SB1.id,
                failure=Failure(code=FailureCode.NOT_ACTIVATED),
                now=stage.now,
                hold_probe_s=30.0,
                hold_probe_max_s=900.0,
            ),
        )
        async with working(stage, town.kafka, town.names):
            code, found, _ = await town.run("resume", SB1.id, "--by", "kari")
            assert (code, found) == (Exit.DONE, {"resumed": [SB1.id], "was": "not-activated"})
            assert stage.held().failure is None
            code, found, _ = await town.run("resync", DK.id, "--invoices-from", "2026-01-01")
            assert code == Exit.DONE
            assert found == {"resynced": [DK.id], "invoicesFrom": "2026-01-01"}
        rows = stage.rows("SELECT entity_type FROM deliveries WHERE rewrite ORDER BY ordinal")
        assert [row.entity_type for row in rows] == ["customer"] * 2 + ["invoice"] * 2

    town.play(story)


def test_an_integration_that_is_not_set_up_is_wrong_use(town: Town) -> None:
    town.play(three_dead)
    found = town.place.invoke("resume", "nobody")
    assert found.exit_code == Exit.WRONG
    assert "fjord-sb1" in found.stderr
    assert town.place.invoke("resync", "nobody").exit_code == Exit.WRONG


def test_tail_prints_what_dies_from_now_on(town: Town) -> None:
    async def story(stage: Stage) -> None:
        await kill_one(stage, "before", "100200")
        settings = town.place.settings(KAFKA=town.kafka.bootstrap, TOPIC_PREFIX=town.names.prefix)
        filters = ("--company", "c-1001", "--entity", "customer/100201")
        process = started(
            town.place.directory, "deadletters", "tail", "--json", *filters, **settings
        )
        with process:
            assert process.stderr is not None
            assert process.stdout is not None
            try:
                await lines_until(process.stderr, "following")
                await kill_one(stage, "other", "100202")
                await kill_one(stage, "after", "100201")
                await publish(stage, town)
                shown = json.loads(await asyncio.to_thread(process.stdout.readline))
            except BaseException:
                process.kill()
                raise
            code, _ = end(process, signal.SIGTERM)
        assert code == Exit.DONE
        listed = town.place.ask("deadletters", "list", "--entity", "customer/100201")
        assert shown.keys() == listed["deadletters"][0].keys()
        assert shown["deliveryId"] == stage.delivery("after").delivery_id
        assert shown["attempts"] == 1

    town.play(story)


async def lines_until(stream: IO[str], word: str) -> None:
    """Return when a line with the word has come; fail where the stream ends before."""
    said = ""
    while word not in said:
        said = await asyncio.to_thread(stream.readline)
        assert said, f"it ended before it said {word}"


async def records_in_topics(town: Town, count: int) -> None:
    """Return when so many records are in the topics that a worker reads."""
    async with asyncio.timeout(60):
        for _ in iter(int, 1):
            if await topics.lag(town.kafka, "nobody", town.names) >= count:
                return
            await asyncio.sleep(0.1)


async def kill_one(stage: Stage, name: str, number: str) -> None:
    await stage.take(**{name: customer(number)})
    await kill(stage, name)


async def publish(stage: Stage, town: Town) -> None:
    """Publish the stage's outbox as a worker would."""
    publisher = Publisher(
        town.kafka,
        LedgerOutbox(stage.ledger, stage.worker.name),
        town.names,
        max_request_bytes=2_000_000,
    )
    stop = asyncio.Event()
    stop.set()
    await publisher.run(stop, drain_s=30.0)
