"""A connector and books that do what a test says."""

import asyncio
from collections.abc import Callable, Generator, Mapping
from typing import Any

from connectors.attempts import Attempt, SendPermit
from connectors.credentials import TokenCredentials
from connectors.http import HttpSender
from connectors.integrations import Integration
from connectors.port import (
    Answer,
    Applied,
    Call,
    Flow,
    Intent,
    Job,
    NoAnswer,
    NoAnswerKind,
    Request,
    Step,
    Write,
)
from connectors.reference_cache import ReferenceCache
from connectors.runner import Runner
from connectors.secrets import SecretStore
from schemas.events import Customer, CustomerStatus, Entity, EntityType
from schemas.failures import Reference
from tests.connectors.loopback import (
    HandClock,
)
from tests.connectors.test_credentials import SB1, IdentityServer
from tests.connectors.test_tokens import KEY, pem

READ = Request(method="GET", path="/api/biz/customers", query=(("filter", "Name eq 'a+b'"),))
POST = Request(method="POST", path="/api/biz/customers", body=b'{"a":1}')
INTENT = Intent(kind="customer.create", key="100001")
DONE = Applied(reference=Reference(id="1", number="100001"))
CUSTOMER = Customer(company="c-1", number="100001", name="A", status=CustomerStatus.ACTIVE)

UNAUTHORISED = Answer(status=401, body=b'{"Message":"Authorization has been denied."}')
OK = Answer(status=200, body=b"{}")

Script = Callable[[], Generator[Step, Any, Any]]


class Scripted:
    """A connector that does what a test says, whatever it is asked."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def content(self, event: Entity, integration: Integration) -> bytes:  # noqa: ARG002 - asks for nothing
        return b""

    def deliver(self, job: Job) -> Flow:  # noqa: ARG002 - asks for nothing
        return self._script()

    def resolve(self, job: Job, intent: Intent) -> Flow:  # noqa: ARG002 - asks for nothing
        return self._script()

    def find(self, entity_type: EntityType, number: str, integration: Integration) -> Flow:  # noqa: ARG002 - asks for nothing
        return self._script()

    def identify(self, integration: Integration) -> Flow:  # noqa: ARG002 - asks for nothing
        return self._script()


class Books:
    """An HTTP that answers from a list, and from its last entry for ever."""

    def __init__(self, *replies: Answer | NoAnswer | Exception) -> None:
        self.replies = list(replies) or [Answer(status=200, body=b"{}")]
        self.calls: list[tuple[str, str, dict[str, str], bytes | None]] = []
        self.identity = IdentityServer()
        self.gate = asyncio.Event()
        self.gate.set()

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
        if url.endswith("/connect/token"):
            return await self.identity.send(
                url,
                method=method,
                headers=headers,
                body=body,
                deadline_s=deadline_s,
                may_send=may_send,
            )
        if not may_send():
            return NoAnswer(kind=NoAnswerKind.DROPPED, sent=False)
        self.calls.append((method, url, dict(headers), body))
        await self.gate.wait()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply


class Setting:
    def __init__(self, script: Script, http: HttpSender, integration: Integration = SB1) -> None:
        self.clock = HandClock()
        self.integration = integration
        self.intents: list[Intent] = []
        self.permit: SendPermit | None = SendPermit(self.clock.seconds + 5)
        secrets = SecretStore({"KEY": pem(KEY), "DK": "static-token"})
        self.credentials = TokenCredentials(http, secrets, self.clock, lambda: "id")
        self.cache = ReferenceCache(self.clock, spacing_s=0.0)
        self.runner = Runner(
            Scripted(script), http, self.credentials, self.cache, self.clock, deadline_s=5.0
        )

    @property
    def job(self) -> Job:
        return Job(
            delivery_id="d-1",
            integration=self.integration,
            event=CUSTOMER,
            now=self.clock.now(),
        )

    async def intend(self, intent: Intent) -> SendPermit | None:
        self.intents.append(intent)
        return self.permit

    async def deliver(self) -> Attempt[Any]:
        return await self.runner.deliver(self.job, self.intend)


def deliver(script: Script, http: Books, integration: Integration = SB1) -> Attempt[Any]:
    return asyncio.run(Setting(script, http, integration).deliver())


def write_and_tell() -> Generator[Step, Any, Any]:
    """Writes once; the verdict is what came of it."""
    return (yield Write(POST, INTENT))


def read_and_tell() -> Generator[Step, Any, Any]:
    return (yield Call(READ))
