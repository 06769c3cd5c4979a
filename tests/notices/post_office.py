"""A real SMTP server on loopback, and a worker's notices that hand over to it."""

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from streams.ledger.rules import Moment
from streams.notices.mail import sender_of
from streams.notices.send import SmtpPost
from streams.notices.service import Notices, Post, Way
from streams.setting_values import SmtpServer
from tests.ledger.samples import PARTITIONS
from tests.ledger.stage import Stage

WINDOW_S = 30.0
AGAIN_S = 30 * WINDOW_S


class Office:
    """What the server has taken. `refused`: recipients that it refuses."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refused: set[str] = set()
        self.logins: list[bytes] = []
        self.port = 0

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 taken"

    def log_in(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> Any:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.password)
        return AuthResult(success=data.password == b"right")

    @property
    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    @contextmanager
    def open(self, port: int = 0, **options: Any) -> Iterator[int]:
        """Serve; yields the port, the same whenever it is asked for again."""
        self.port = port or self.port or free_port()
        controller = Controller(self, hostname="127.0.0.1", port=self.port, **options)
        controller.start()
        try:
            yield self.port
        finally:
            controller.stop()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    body = mail.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


class StageClock:
    """The stage's time."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    @property
    def _now(self) -> Moment:
        return self._stage.now

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._now.wall, UTC)

    def elapsed(self) -> float:
        return self._now.elapsed

    @property
    def boot_id(self) -> str:
        return self._now.boot


def post_to(port: int, user: str | None = None, password_file: str | None = None) -> SmtpPost:
    server = SmtpServer(host="127.0.0.1", port=port, user=user)
    return SmtpPost(server, password_file, "worker.example")


def notices_of(
    stage: Stage, post: Post | None, owner: str = "w1", kept_s: float = math.inf
) -> Notices:
    return Notices(
        ledger=stage.ledger,
        way=Way(
            post=post,
            sender=sender_of("moment-sync@sync.example", None, "worker.example"),
            group="moment-sync",
            window_s=WINDOW_S,
            kept_s=kept_s,
        ),
        owner=owner,
        partitions=PARTITIONS,
        clock=StageClock(stage),
        integrations=lambda: stage.integrations,
    )


async def after(stage: Stage, seconds: float, notices: Notices) -> None:
    """Let time pass, and the notices see what there is."""
    stage.go_on(seconds)
    for _ in range(3):  # one to gather, one to drop what is over, one to tell
        await notices.step()
