"""Mails are handed over once, whatever becomes of the server or of us."""

import asyncio
import logging
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from schemas.lane import partition_of
from streams.ledger.holds import change_hold
from streams.ledger.notice_causes import gather
from streams.notices.send import Failed
from tests.conftest import BackgroundErrors
from tests.ledger.conftest import Tell
from tests.ledger.samples import ACCESS, LANES, PARTITIONS, SB1
from tests.ledger.stage import Stage
from tests.ledger.workers import Worker
from tests.notices.failing import NO_OTHER_CODE, fail, hold_change
from tests.notices.post_office import (
    WINDOW_S,
    Office,
    after,
    free_port,
    notices_of,
    post_to,
)


def test_a_server_that_was_away_gets_it_when_it_is_back_and_once(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        office.port = free_port()
        notices = notices_of(s, post_to(office.port))
        await fail(s, ["1001"])
        for _ in range(4):
            await after(s, WINDOW_S, notices)
        await fail(s, ["1002"], NO_OTHER_CODE)  # deliveries go on all the while
        with office.open():
            for _ in range(5):
                await after(s, 300, notices)
        assert len(office.mails) == 2
        assert len({mail["Message-ID"] for mail in office.mails}) == 2

    tell(story)


def test_an_address_that_is_refused_does_not_hold_up_the_others(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        other = msgspec.structs.replace(SB1, id="other-sb1", company="c-2", notify="b@x.example")
        s.integrations[other.id] = other
        office.refused.add(SB1.notify)
        with office.open() as port:
            notices = notices_of(s, post_to(port))
            await s.ledger.submit(change_hold, hold_change(s, ACCESS))
            held = msgspec.structs.replace(hold_change(s, ACCESS), integration=other.id)
            await s.ledger.submit(change_hold, held)
            await after(s, 0, notices)
            await after(s, WINDOW_S, notices)
            assert [mail["To"] for mail in office.mails] == ["b@x.example"]
            office.refused.clear()
            await after(s, 900, notices)
        assert [mail["To"] for mail in office.mails] == ["b@x.example", SB1.notify]

    tell(story)


def test_without_smtp_it_is_a_line_of_the_log_once(
    tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    async def story(s: Stage) -> None:
        notices = notices_of(s, None)
        await fail(s, ["1001", "1002"])
        await after(s, WINDOW_S, notices)
        await after(s, WINDOW_S, notices)
        await notices_of(s, None).step()

    with caplog.at_level(logging.INFO):
        tell(story)
    (line,) = [r for r in caplog.records if getattr(r, "action", "") == "notice"]
    assert "VAT code 33 is not there" in line.getMessage()
    assert "\n" not in line.getMessage()


class Crashing:
    """A post whose worker dies after the mail was taken and before it could say so."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.crash = True

    async def send(self, message: EmailMessage, _sender: str, _recipient: str) -> Failed | None:
        self.taken.append(message["Message-ID"])
        if self.crash:
            raise asyncio.CancelledError
        return None


def test_after_a_crash_it_is_told_again_under_the_same_id_and_then_no_more(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        post = Crashing()
        await fail(s, ["1001"])
        with pytest.raises(asyncio.CancelledError):
            await after(s, WINDOW_S, notices_of(s, post))
        post.crash = False
        for _ in range(3):
            await after(s, 60, notices_of(s, post))
        assert len(post.taken) == 2
        assert len(set(post.taken)) == 1

    tell(story)


def test_only_the_owner_of_the_integrations_lane_tells(tell: Tell) -> None:
    async def story(s: Stage) -> None:
        office = Office()
        lane = partition_of(SB1.id.encode(), PARTITIONS)
        with office.open() as port:
            here, there = (notices_of(s, post_to(port), owner=name) for name in ("w1", "w2"))
            await fail(s, ["1001"])
            await Worker(s, "w2").own(LANES - {lane})
            await after(s, WINDOW_S, there)
            await here._ledger.submit(gather, here._gathering())
            await after(s, WINDOW_S, there)
            assert office.mails == []
            await Worker(s, "w2").own(frozenset({lane}))
            await after(s, WINDOW_S, here)
            assert office.mails == []
            await after(s, WINDOW_S, there)
        assert len(office.mails) == 1

    tell(story)


def test_a_login_takes_the_password_from_its_file_and_tells_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        office = Office()
        secret = tmp_path / "password"
        message = EmailMessage()
        message["Subject"] = "x"
        message["From"] = "a@b.example"
        message["To"] = "c@d.example"
        message["Date"] = datetime(2026, 11, 2, tzinfo=UTC)
        with office.open(authenticator=office.log_in, auth_require_tls=False) as port:
            post = post_to(port, "user", str(secret))
            missing = await post.send(message, "a@b.example", "c@d.example")
            assert isinstance(missing, Failed)
            assert not missing.only_this
            secret.write_text("wrong-and-secret\n")
            wrong = await post.send(message, "a@b.example", "c@d.example")
            assert isinstance(wrong, Failed)
            assert "wrong-and-secret" not in wrong.reason
            secret.write_text("right\n")
            assert await post.send(message, "a@b.example", "c@d.example") is None
        assert office.logins == [b"wrong-and-secret", b"right"]

    asyncio.run(story())


class Stumbling:
    """A post with a bug that some recipients bring out."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    async def send(self, _message: EmailMessage, _sender: str, recipient: str) -> Failed | None:
        if recipient == SB1.notify:
            raise RuntimeError(recipient)
        self.taken.append(recipient)
        return None


def test_a_bug_that_one_notice_meets_does_not_stop_the_others(
    tell: Tell, background_errors: BackgroundErrors
) -> None:
    async def story(s: Stage) -> None:
        post = Stumbling()
        other = msgspec.structs.replace(SB1, id="other-sb1", company="c-2", notify="b@x.example")
        s.integrations[other.id] = other
        notices = notices_of(s, post)
        for one in (SB1, other):
            change = msgspec.structs.replace(hold_change(s, ACCESS), integration=one.id)
            await s.ledger.submit(change_hold, change)
        await after(s, 0, notices)
        await after(s, WINDOW_S, notices)
        assert post.taken == ["b@x.example"]
        assert len(background_errors.take("notices_failed")) == 1

    tell(story)
