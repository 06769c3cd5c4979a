"""Several workers, one set of integrations: a change that one reads, all have within seconds."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from connectors.integrations import DataType, Integration, Secret
from streams import integrations_watch
from streams.integrations_file import Integrations, gather, what_opens
from streams.integrations_watch import IntegrationsWatch
from streams.ledger.engine import Ledger
from streams.ledger.integration_set import newest_set
from streams.ledger.schema import migrate
from tests.ledger.samples import DK, SB1

DEADLINE_S = 10.0
OLD, NEW = gather((SB1,)), gather((SB1, DK))


class Host:
    """One worker with a file of its own."""

    def __init__(self, url: str, file: Integrations) -> None:
        self.ledger = Ledger(url)
        self.file: Integrations | None = file
        self.in_force = file
        self.reads = 0
        self.watch = IntegrationsWatch(
            self.ledger, lambda: self.in_force, self._read, self._take_over
        )

    def _read(self) -> Integrations | None:
        self.reads += 1
        return self.file

    def _take_over(self, fresh: Integrations) -> None:
        self.in_force = fresh

    def reload(self) -> None:
        """What SIGHUP does."""
        fresh = self._read()
        assert fresh is not None
        self.in_force = fresh
        self.watch.announce()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integrations_watch, "LOOK_S", 0.02)


def play(tmp_path: Path, story: Callable[[Host, Host], Awaitable[None]]) -> None:
    async def run() -> None:
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
        migrate(url)
        hosts = [Host(url, OLD), Host(url, OLD)]
        watching = []
        for host in hosts:
            host.ledger.start()
            watching.append(asyncio.create_task(host.watch.run()))
        try:
            await asyncio.wait_for(story(*hosts), DEADLINE_S)
        finally:
            for task in watching:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            for host in hosts:
                await host.ledger.stop()

    asyncio.run(run())


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110 - it is another task's, and says nothing
            await asyncio.sleep(0.01)


def test_one_is_told_to_reload_and_the_other_follows(tmp_path: Path) -> None:
    async def story(one: Host, other: Host) -> None:
        one.file = other.file = NEW
        one.reload()
        await until(lambda: other.in_force is NEW)
        assert (await one.ledger.read(newest_set)).digest == what_opens(NEW)

    play(tmp_path, story)


def test_a_host_with_an_older_file_goes_on_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(one: Host, other: Host) -> None:
        one.file = NEW
        one.reload()
        await until(lambda: other.reads >= 3)
        assert other.in_force is OLD
        actions = [getattr(record, "action", "") for record in caplog.records]
        assert actions.count("integrations_differ") == 1
        assert one.in_force is NEW, "the older file does not win by being looked at"
        other.file = NEW
        await until(lambda: other.in_force is NEW)

    play(tmp_path, story)


def test_a_file_that_is_wrong_now_changes_nothing(tmp_path: Path) -> None:
    async def story(one: Host, other: Host) -> None:
        one.file, other.file = NEW, None
        one.reload()
        await until(lambda: other.reads >= 2)
        assert other.in_force is OLD

    play(tmp_path, story)


def test_taking_it_back_is_a_new_version(tmp_path: Path) -> None:
    async def story(one: Host, other: Host) -> None:
        one.file = other.file = NEW
        one.reload()
        await until(lambda: other.in_force is NEW)
        version = (await one.ledger.read(newest_set)).version
        one.file = other.file = OLD
        other.reload()
        await until(lambda: one.in_force is OLD)
        assert (await one.ledger.read(newest_set)).version == version + 1

    play(tmp_path, story)


def test_only_what_opens_deliveries_counts() -> None:
    """Hosts may keep secrets in different places, and a new address of notices opens nothing."""

    def digest(**changes: object) -> str:
        changed: Integration = msgspec.structs.replace(SB1, **changes)
        return what_opens(gather((changed, DK)))

    same = what_opens(NEW)
    assert digest(token=Secret(file="/elsewhere")) == same
    assert digest(notify="other@fjord.example") == same
    assert digest(data=frozenset({DataType.CUSTOMERS})) != same
    assert digest(company="c-9") != same
    assert what_opens(gather((DK, SB1))) == same
