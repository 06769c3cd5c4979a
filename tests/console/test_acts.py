"""Acts: sent as commands, carried out by a worker, and told with who did them."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from streams import topics
from streams.kafka_client import KafkaConnection
from streams.topics import TopicNames
from tests.console.conftest import Client, fill, visit
from tests.console.serving import application, settings_for
from tests.console.test_door import USER, acting, form_of
from tests.console.test_pages import dead_id, rows
from tests.console.world import FJORD, NOW, VIK, World, customer, invoice
from tests.ledger.samples import applied
from tests.ledger.stage import Stage
from tests.ops.mending_stage import working

KARI = {USER: "kari"}


def test_nothing_goes_without_a_reason(sqlite_world: str) -> None:
    name = dead_id(sqlite_world, "1001")

    async def story(client: Client) -> None:
        form = await form_of(client, "kari")
        for address, data in (
            ("/console/mend", {"kind": "discard", "id": name, "reason": "  "}),
            ("/console/resume/vik-dk", {}),
        ):
            answer = await client.post(address, data={**data, **form}, headers=KARI)
            assert answer.status == 400
            assert "Say why" in await answer.text()

    visit(acting(sqlite_world), story)


def test_an_act_that_cannot_be_sent_says_so(sqlite_world: str) -> None:
    """Kafka is away; nothing was done, and doing the same again does nothing twice."""
    name = dead_id(sqlite_world, "1001")

    async def story(client: Client) -> None:
        form = await form_of(client, "kari")
        data = {"kind": "replay", "id": name, "reason": "mended", **form}
        answer = await client.post("/console/mend", data=data, headers=KARI)
        assert answer.status == 200
        while "Under way" in (text := await answer.text()):
            answer = await client.get(answer.url.path, headers=KARI)
        assert "It was not done" in text
        assert "went away" in text
        other = await client.get(answer.url.path, headers={USER: "nobody-of-it"})
        assert other.status == 200, "whom the proxy names, with no file of people, sees all"

    visit(acting(sqlite_world), story)


@pytest.mark.kafka
def test_what_people_do_is_done_once_and_signed(
    tmp_path: Path, kafka: KafkaConnection, topic_prefix: str
) -> None:
    """Discard by filter, replay with an edit, resume: what the ledger then says of each."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    names = TopicNames(topic_prefix)

    async def troubles(world: World) -> None:
        world.stage.go_on(NOW - world.stage.now.wall)
        await world.take(customer("c-1001", "100100", "Nordlys AS"))
        await world.settle_all(FJORD, applied())
        await world.take(
            *(invoice("c-1001", str(n), "100100", vat="33") for n in (1_001, 1_002, 1_003))
        )
        await world.refuse_vat()
        await world.hold()

    fill(url, troubles)
    settings = settings_for(
        url,
        CONSOLE="act",
        CONSOLE_USER_HEADER=USER,
        KAFKA=kafka.bootstrap,
        TOPIC_PREFIX=topic_prefix,
    )
    edited = dead_id(url, "1001")

    async def run() -> None:
        await topics.create(kafka, names, partitions=4, replication=-1, retention_s=86_400)
        stage = Stage(url)
        World(stage)
        stage.go_on(NOW + 60 - stage.now.wall)
        await stage.begin()
        try:
            async with (
                working(stage, kafka, names),
                TestClient(TestServer(application(settings))) as client,
            ):
                await asyncio.wait_for(_edit_discard_resume(client, edited), 60)
        finally:
            await stage.ledger.stop()

    asyncio.run(run())
    said: list[Any] = rows(url, "SELECT who, why, what, detail FROM audit ORDER BY audit_pk")
    assert [(one.who, one.why, one.what) for one in said] == [
        ("kari", "wrong code", "replayed"),
        ("kari", "booked by hand", "discarded"),
        ("kari", "booked by hand", "discarded"),
        ("kari", "new token", "resumed"),
    ]
    (change,) = json.loads(said[0].detail)["edit"]
    assert (change["from"], change["to"]) == ("33", "3")
    states = rows(url, "SELECT number, state FROM deliveries WHERE entity_type = 'invoice'")
    assert {one.number: one.state for one in states} == {
        "1001": "ready",
        "1002": "discarded",
        "1003": "discarded",
    }
    assert VIK.id == "vik-dk"


async def _over(client: Client, address: str, **data: str) -> str:
    answer = await client.post(address, data=data, headers=KARI)
    while 'data-over="no"' in (text := await answer.text()):
        answer = await client.get(answer.url.path, headers=KARI)
    return text


async def _edit_discard_resume(client: Client, edited: str) -> None:
    form = await form_of(client, "kari")
    paths = {"at:lines[0].vatCode": "3", "at:lines[0].description": "Design of the new façade"}
    dry = await client.post(f"/console/edit/{edited}", data={**form, **paths}, headers=KARI)
    assert dry.url.query["edit"] == "lines[0].vatCode=3", "what was not changed is left out"
    text = await _over(
        client,
        "/console/mend",
        kind="replay",
        id=edited,
        edit="lines[0].vatCode=3",
        reason="wrong code",
        **form,
    )
    assert "1 letter replayed" in text
    text = await _over(
        client,
        "/console/mend",
        kind="discard",
        code="vat-code-unknown",
        reason="booked by hand",
        **form,
    )
    assert "2 letters discarded" in text
    text = await _over(client, "/console/resume/vik-dk", reason="new token", **form)
    assert "vik-dk is held no more" in text
    listed = await (await client.get("/console/acts", headers=KARI)).text()
    assert listed.count("by kari") == 4
    assert "booked by hand" in listed
    assert "33 → 3" in listed


def test_pages_are_told_when_the_ledger_changes(sqlite_world: str) -> None:
    """What is sent says only that something changed; pages ask for the rest themselves."""

    async def story(client: Client) -> None:
        stage = Stage(sqlite_world)
        world = World(stage)
        await stage.begin()
        try:
            async with client.get("/console/live") as stream:
                assert stream.headers["Content-Type"] == "text/event-stream"
                assert stream.headers["Cache-Control"] == "no-store"
                heard = await stream.content.readuntil(b"\n\n")
                assert heard.startswith(b"retry:")
                await world.take(customer("c-1001", "100777", "Ny AS"))
                await stream.content.readuntil(b"event: changed\ndata: changed\n\n")
        finally:
            await stage.ledger.stop()

    visit(settings_for(sqlite_world), story)
