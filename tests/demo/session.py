"""What an operator does about an unknown VAT code, on the demo's world: from histogram to books.

Everything is real but the accounting systems: Kafka, a worker, the command line, mail.
"""

import json
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import msgspec

from schemas.cloudevents import Attributes, Mode
from schemas.codec import encode_event
from streams.ops.demo.companies import NORDLYS, Kind, items_of
from streams.ops.demo.course import Course
from streams.ops.demo.processes import Machine
from streams.ops.demo.report import Show
from streams.ops.demo.writing import DAY, SOURCE, customer_of, invoice_of, line_of
from streams.settings import PREFIX
from tests.notices.post_office import Office, text_of

T = TypeVar("T")
BOOKS = NORDLYS.books[0]
VAT_CODE = "98"  # of a kind of sale that the books have not been set up for
FIRST, MANY = 4001, 6
DEADLINE_S = 90.0
LOOK_AGAIN_S = 0.1
STARTS_AT = datetime.combine(DAY, datetime.min.time(), UTC) + timedelta(hours=9)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")


class Ran(msgspec.Struct, frozen=True):
    """A command that has ended."""

    code: int
    out: str
    err: str


class World:
    """The demo, left running, with a post office; what an operator sees of it."""

    def __init__(self, machine: Machine, office: Office) -> None:
        self.machine = machine
        self.office = office
        self.began = datetime.now(UTC)

    def run(self, *words: str) -> Ran:
        """`moment-sync …`, to its end, as a person runs it in a pipe."""
        done = subprocess.run(
            [sys.executable, "-m", "streams.ops.cli", *words],
            cwd=self.machine.directory,
            env=self.machine.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Ran(done.returncode, self.plain(done.stdout), self.plain(done.stderr))

    def plain(self, text: str) -> str:
        """With times as if it had all begun on the demo's day, and no path of this machine."""

        def moved(match: "re.Match[str]") -> str:
            at = datetime.fromisoformat(match[0][:19]).replace(tzinfo=UTC)
            if abs(at - self.began) > timedelta(hours=1):
                return match[0]
            whole = STARTS_AT + timedelta(seconds=int((at - self.began).total_seconds()))
            fraction = "." + "0" * (len(match[1]) - 1) if match[1] else ""
            return f"{whole:%Y-%m-%dT%H:%M:%S}{fraction}"

        return _TIME.sub(moved, text.replace(f"{self.machine.directory}/", ""))

    def write_invoices(self) -> str:
        """Invoices whose VAT code the books do not know, in a file; its name."""
        customer = customer_of(NORDLYS, 1).number
        line = line_of(NORDLYS, items_of(NORDLYS)[0], Decimal(3), vat_code=VAT_CODE)
        lines = []
        for number in range(FIRST, FIRST + MANY):
            attributes = Attributes(
                id=f"session-{number}",
                source=SOURCE,
                type="team.moment.invoice.finalized",
                time=STARTS_AT,
            )
            invoice = invoice_of(NORDLYS, number, customer, (line,))
            lines.append(encode_event(attributes, invoice, mode=Mode.STRUCTURED).value or b"")
        name = "invoices.jsonl"
        (self.machine.directory / name).write_bytes(b"\n".join(lines))
        return name

    def mend_books(self) -> None:
        """The bookkeeper sets the VAT code up."""
        url = self.machine.base_urls[Kind.SPAREBANK1]
        body = {
            "VatCode": VAT_CODE,
            "Name": "Utgående avgift, netthandel",
            "OutputVat": True,
            "VatPercent": 25,
            "account": 2700,
        }
        place = f"{url}/_simulator/companies/{BOOKS.key}/vattypes"
        # Loopback only, and the scheme is our own.
        urllib.request.urlopen(place, data=json.dumps(body).encode(), timeout=10).close()  # noqa: S310

    def mail(self, *parts: str) -> EmailMessage:
        """Wait for the mail about our invoices with these parts in its subject or text."""

        def look() -> EmailMessage | None:
            for mail in self.office.mails:
                words = f"{mail['Subject']}\n{text_of(mail)}"
                if mail["To"] == f"books@{NORDLYS.id}.example" and all(p in words for p in parts):
                    return mail
            return None

        return self.wait(look, f"a mail with {parts}")

    def wait(self, look: Callable[[], T | None], what: str) -> T:
        """The first thing that `look` finds."""
        deadline = time.monotonic() + DEADLINE_S
        while (found := look()) is None:
            subjects = [str(mail["Subject"]) for mail in self.office.mails]
            assert time.monotonic() < deadline, f"never came: {what}; there are {subjects}"
            time.sleep(LOOK_AGAIN_S)
        return found

    def all_dead(self) -> bool | None:
        """Whether all of our invoices are dead."""
        words = ("deadletters", "list", "--text", f"VAT code {VAT_CODE}", "--json")
        found = json.loads(self.run(*words).out)["deadletters"]
        return True if len(found) == MANY else None


@contextmanager
def world(directory: Path, environ: Mapping[str, str] = os.environ) -> Iterator[World]:
    """The demo's day, over, with everything left running. Ends all that it started."""
    office = Office()
    run = f"session-{secrets.token_hex(3)}"
    machine = Machine(directory, run, environ)
    course = Course(machine, Show(None), events=0, run=run, keep=True)
    with office.open() as port:
        machine.settings[f"{PREFIX}SMTP"] = f"smtp://127.0.0.1:{port}"
        machine.settings[f"{PREFIX}NOTICE_WINDOW"] = "3s"
        try:
            summary = course.run()
            assert summary.violations == []
            yield World(machine, office)
        finally:
            machine.stop_worker()
            course.remove_topics()
            machine.stop()
