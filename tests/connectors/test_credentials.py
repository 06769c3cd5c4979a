"""One token for all who wait, renewed in time, and no circle of renewals."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from connectors.credentials import RENEWAL_PAUSE_S, TokenCredentials
from connectors.integrations import DataType, Integration, PlatformClient, Secret, System
from connectors.port import Answer, Hold, NoAnswer, NoAnswerKind, Retry
from connectors.secrets import SecretStore
from connectors.tokens import FRESH_S
from tests.connectors.loopback import HandClock, soon
from tests.connectors.test_tokens import CLIENT, KEY, pem

SB1 = Integration(
    id="sb1",
    company="c-1",
    system=System.SPAREBANK1,
    base_url="https://books.example",
    identity_url="https://login.example",
    company_key="key-1",
    client=CLIENT,
    data=frozenset(DataType),
    notify="a@b.example",
)
DK = Integration(
    id="dk",
    company="c-2",
    system=System.DKPLUS,
    base_url="https://dk.example/api/v1",
    token=Secret(env="DK"),
    data=frozenset(DataType),
    notify="a@b.example",
)


class IdentityServer:
    """An identity server that hands out t1, t2, … when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.jtis: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.instead: Answer | NoAnswer | None = None

    async def send(
        self,
        url: str,
        *,
        method: str,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline_s: float,
        may_send: Callable[[], bool],
    ) -> Answer | NoAnswer:
        assert (method, headers["Content-Type"]) == ("POST", "application/x-www-form-urlencoded")
        assert body is not None
        assert may_send()
        assert deadline_s > 0
        self.asked.append(url)
        number = len(self.asked)
        await self.gate.wait()
        if self.instead is not None:
            return self.instead
        answer = {"access_token": f"t{number}", "expires_in": 3600}
        return Answer(status=200, body=msgspec.json.encode(answer))


class Setting:
    def __init__(self) -> None:
        self.identity = IdentityServer()
        self.clock = HandClock()
        self.environment = {"KEY": pem(KEY), "DK": "static-token"}
        self.credentials = TokenCredentials(
            self.identity, SecretStore(self.environment), self.clock, lambda: "id"
        )

    async def bearer(self, integration: Integration = SB1, refused: str | None = None) -> object:
        return await self.credentials.bearer(integration, refused)


def test_a_hundred_who_wait_make_one_request() -> None:
    async def main() -> None:
        it = Setting()
        found = await asyncio.gather(*(it.bearer() for _ in range(100)))
        assert set(found) == {"t1"}
        assert it.identity.asked == ["https://login.example/connect/token"]

    asyncio.run(main())


def test_integrations_of_one_client_share_a_token_and_others_do_not() -> None:
    async def main() -> None:
        it = Setting()
        other = msgspec.structs.replace(SB1, id="other", company_key="key-2")
        scoped = PlatformClient(client_id="client-1", key=Secret(env="KEY"), scope="Other")
        apart = msgspec.structs.replace(SB1, client=scoped)
        assert [await it.bearer(one) for one in (SB1, other, apart)] == ["t1", "t1", "t2"]

    asyncio.run(main())


def test_a_token_is_renewed_in_the_background_while_the_old_one_serves() -> None:
    async def main() -> None:
        it = Setting()
        assert await it.bearer() == "t1"
        it.clock.seconds += 3541
        it.identity.gate.clear()
        assert await it.bearer() == "t1"
        assert await it.bearer() == "t1"
        await soon(lambda: len(it.identity.asked) == 2)
        it.identity.gate.set()
        await asyncio.sleep(0.01)
        assert await it.bearer() == "t2"
        assert len(it.identity.asked) == 2

    asyncio.run(main())


def test_a_renewal_that_fails_leaves_the_old_one_in_use_and_is_not_hurried() -> None:
    async def main() -> None:
        it = Setting()
        assert await it.bearer() == "t1"
        it.clock.seconds += 3541
        it.identity.instead = Answer(status=503)
        for _ in range(20):
            assert await it.bearer() == "t1"
            await asyncio.sleep(0.001)
        assert len(it.identity.asked) == 2
        it.clock.seconds += RENEWAL_PAUSE_S
        assert await it.bearer() == "t1"
        await soon(lambda: len(it.identity.asked) == 3)

    asyncio.run(main())


def test_a_token_at_its_end_is_not_used_any_more() -> None:
    async def main() -> None:
        it = Setting()
        await it.bearer()
        it.clock.seconds += 3595
        found = await asyncio.gather(*(it.bearer() for _ in range(50)))
        assert set(found) == {"t2"}

    asyncio.run(main())


def test_a_refused_token_is_renewed_once_for_all_who_were_refused() -> None:
    async def main() -> None:
        it = Setting()
        assert await it.bearer() == "t1"
        it.credentials.heard(SB1, "t1", accepted=True)
        found = await asyncio.gather(*(it.bearer(refused="t1") for _ in range(100)))
        assert set(found) == {"t2"}
        assert len(it.identity.asked) == 2

    asyncio.run(main())


def test_who_was_refused_with_an_older_token_gets_the_newer_one_at_once() -> None:
    async def main() -> None:
        it = Setting()
        await it.bearer()
        it.credentials.heard(SB1, "t1", accepted=True)
        assert await it.bearer(refused="t1") == "t2"
        assert await it.bearer(refused="t1") == "t2"
        assert len(it.identity.asked) == 2

    asyncio.run(main())


def test_a_company_without_access_does_not_drive_a_circle_of_renewals() -> None:
    """Others of the same client are accepted, one company gets 401 whatever the token."""

    async def main() -> None:
        it = Setting()
        other = msgspec.structs.replace(SB1, id="other")
        token = await it.bearer()
        assert isinstance(token, str)
        for _ in range(50):
            it.credentials.heard(other, token, accepted=True)
            newer = await it.bearer(SB1, refused=token)
            assert isinstance(newer, str)
            if newer != token:
                it.credentials.heard(SB1, newer, accepted=False)
            token = newer
            it.clock.seconds += 0.5
        assert len(it.identity.asked) == 2
        it.clock.seconds += FRESH_S
        assert await it.bearer(SB1, refused=token) == "t3", "a probe much later may try"

    asyncio.run(main())


def test_a_fresh_token_that_was_never_accepted_is_not_renewed() -> None:
    async def main() -> None:
        it = Setting()
        for _ in range(10):
            assert await it.bearer(refused="t1") == "t1"
        assert len(it.identity.asked) == 1

    asyncio.run(main())


def test_one_who_gives_up_waiting_does_not_take_the_token_from_the_others() -> None:
    async def main() -> None:
        it = Setting()
        it.identity.gate.clear()
        waiting = [asyncio.create_task(it.bearer()) for _ in range(3)]
        await soon(lambda: len(it.identity.asked) == 1)
        waiting[0].cancel()
        await asyncio.sleep(0)
        it.identity.gate.set()
        assert [await one for one in waiting[1:]] == ["t1", "t1"]
        assert len(it.identity.asked) == 1

    asyncio.run(main())


def test_a_failure_is_told_to_all_who_wait_and_not_remembered() -> None:
    async def main() -> None:
        it = Setting()
        it.identity.instead = NoAnswer(kind=NoAnswerKind.REFUSED, sent=False)
        found = await asyncio.gather(*(it.bearer() for _ in range(10)))
        assert all(isinstance(one, NoAnswer) for one in found)
        assert all(isinstance(one.verdict, Retry) for one in found if isinstance(one, NoAnswer))
        assert len(it.identity.asked) == 1
        it.identity.instead = None
        assert await it.bearer() == "t2"

    asyncio.run(main())


def holds(found: object) -> bool:
    return isinstance(found, NoAnswer) and isinstance(found.verdict, Hold) and not found.sent


def test_a_key_that_is_missing_or_wrong_holds_and_asks_nobody() -> None:
    async def main() -> None:
        it = Setting()
        it.environment["KEY"] = ""
        assert holds(await it.bearer())
        it.environment["KEY"] = "no key"
        found = await it.bearer()
        assert holds(found)
        assert "no key" not in repr(found)
        assert holds(await it.bearer(msgspec.structs.replace(SB1, client=None)))
        assert it.identity.asked == []
        it.environment["KEY"] = pem(KEY)
        assert await it.bearer() == "t1"

    asyncio.run(main())


def test_a_static_token_is_read_from_its_place_and_again_when_it_changes(tmp_path: Path) -> None:
    async def main() -> None:
        it = Setting()
        assert await it.bearer(DK) == "static-token"
        file = tmp_path / "token"
        file.write_text("one\n")
        rotating = msgspec.structs.replace(DK, token=Secret(file=str(file)))
        assert await it.bearer(rotating) == "one"
        assert await it.bearer(rotating, refused="one") == "one"
        facts = file.stat()
        file.write_text("two\n")
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))  # a change that leaves no mark
        assert await it.bearer(rotating, refused="one") == "two"
        file.write_text("a\nX-Evil: b")
        assert holds(await it.bearer(rotating))
        file.unlink()
        assert holds(await it.bearer(rotating))
        assert holds(await it.bearer(msgspec.structs.replace(DK, token=None)))
        assert it.identity.asked == []

    asyncio.run(main())


def test_closing_ends_a_request_under_way_and_nothing_is_shown() -> None:
    async def main() -> None:
        it = Setting()
        await it.bearer()
        assert "t1" not in repr(it.credentials)
        it.identity.gate.clear()
        it.clock.seconds += 3600
        waiting = asyncio.create_task(it.bearer())
        await soon(lambda: len(it.identity.asked) == 2)
        await it.credentials.close()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()

    asyncio.run(main())
